"""Kernels in C for CPUs with bf16 products: attention of training and prefill (``blocks``), decoding steps (``step``).

The machine's own C compiler builds them at set-up or on first use (``library``). Where there is none, or the CPU lacks
the instructions, everything runs through torch, more slowly.
"""
