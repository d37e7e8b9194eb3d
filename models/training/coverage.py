"""The order in which SFT reads conversations where the budget ends long before they do: most learned per token first.

A budget of minutes reads a few hundred of SGD's conversations. Drawn at random, a rare service comes a handful of times
among them, and much of their length is declarations of tools before a single call. Here the next is the one whose turns
are worth most per token, a turn being worth one over one plus the turns so far that call the same tool, or that answer.
That sum has diminishing returns (it is submodular), so always taking the best next is near the best choice; the best of
a random few is nearly as good, and leaves the chance in it by which seeds differ (Mirzasoleiman et al. 2015, "Lazier
than lazy greedy", https://arxiv.org/abs/1409.7938).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from data.schema import Conversation

#: How many conversations the next one is the best of.
CANDIDATES = 64
#: What a turn without a call teaches, where one with calls teaches its tools.
ANSWERING = ""


def lessons(conversation: Conversation, turns: int) -> list[str]:
    """What the first ``turns`` messages of the assistant teach: names of tools, and ``ANSWERING``."""
    own = [message for message in conversation.messages if message.role == "assistant"][:turns]
    return [name for message in own for name in [call.name for call in message.tool_calls] or [ANSWERING]]


def covering_order(taught: Sequence[Sequence[str]], tokens: Sequence[int], seed: int) -> list[int]:
    """Positions of all rows, those that teach most per token first.

    Args:
        taught: What each row teaches, as ``lessons`` has it.
        tokens: Its length.
        seed: Another seed, another order of the same kind.
    """
    chance = random.Random(f"coverage-{seed}")
    left = list(range(len(taught)))
    chance.shuffle(left)
    counted = [Counter(one) for one in taught]
    known: Counter[str] = Counter()
    order: list[int] = []
    while left:
        places = chance.sample(range(len(left)), min(CANDIDATES, len(left)))
        place = max(places, key=lambda at: _worth(counted[left[at]], known) / tokens[left[at]])
        left[place], left[-1] = left[-1], left[place]
        order.append(left.pop())
        known.update(counted[order[-1]])
    return order


def _worth(lessons: Counter[str], known: Counter[str]) -> float:
    """Of each lesson the first time counts ``1 / (1 + known)``, the second one less, and so on."""
    return sum(1 / (1 + known[one] + again) for one, times in lessons.items() for again in range(times))
