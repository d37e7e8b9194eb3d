"""The model: what it says, how it is trained, rewarded, run and judged.

Two settings for computing on CPUs have to be in the environment before torch is first imported, so they live at this
door. Both are defaults; what the user has set stays.
"""

import os

# OpenMP threads that spin at barriers stall each other as soon as anything else wants a core: one busy process beside
# a training step on two cores made it ten times slower; waiting passively, 1.5 times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Large tensors on huge pages: activations are allocated and freed at every step, and page faults cost a tenth of it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
