"""Random completions, and what must hold of the reward of every one of them.

Bytes at random hardly reach past the parser's door, so most cases are made: pieces of markup, calls, answers, values
and bytes in any order, and honest actions with some pieces cut out, doubled or moved. Reproducible from a seed.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence

from data.schema import DecisionPoint
from models.rewards.variants import Reward
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

_PIECES = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    '{"name": "',
    '", "arguments": {',
    "}}",
    "{",
    "}",
    "[",
    "]",
    '"',
    "\\",
    "\\u00e9",
    "\\ud800",
    "null",
    "true",
    "-1e999",
    "NaN",
    "1",
    "'",
    ",",
    ":",
    "\n",
    " ",
    "\x00",
    "\u2028",
    "é",
    "𝕫",
    "Which city?",
    "Please confirm: ",
    "I found 3 of them for $45 at 5:30 pm.",
    "Goodbye!",
    "<|im_end|>",
    "<tool_response>",
    "[" * 70,
    "9" * 400,
)


def completions(points: Sequence[DecisionPoint], seed: int, cases: int) -> Iterator[tuple[DecisionPoint, str]]:
    """So many pairs of a decision point and a random completion of it."""
    rng = random.Random(f"fuzz-{seed}")
    makers: tuple[Callable[[DecisionPoint, random.Random], str], ...] = (_bytes, _pieces, _spoilt, _spoilt, _calls)
    for _ in range(cases):
        point = rng.choice(points)
        yield point, rng.choice(makers)(point, rng)


def fault(reward: Reward, point: DecisionPoint, text: str, *, thinking: bool) -> str | None:
    """What is wrong with the reward of a completion: an exception, no finite number, or one above the maximum."""
    try:
        total = reward.total(reward.score(point, text, thinking=thinking).parts)
    except Exception as error:  # noqa: BLE001 - whatever a reward raises is what is looked for
        return f"{type(error).__name__}: {error}"
    if not math.isfinite(total):
        return f"reward {total}"
    highest = reward.maximum(point)
    return f"reward {total} above the maximum {highest}" if total > highest + 1e-9 else None


def _bytes(point: DecisionPoint, rng: random.Random) -> str:
    return rng.randbytes(rng.randrange(80)).decode(rng.choice(("utf-8", "latin-1", "utf-16-le")), "replace")


def _pieces(point: DecisionPoint, rng: random.Random) -> str:
    names = [tool.name for tool in point.tools]
    return "".join(rng.choice((*_PIECES, *names)) for _ in range(rng.randrange(14)))


def _spoilt(point: DecisionPoint, rng: random.Random) -> str:
    """The recorded action with up to three spans cut, doubled, replaced or moved."""
    text = completion_text(point.expected, PLACEHOLDER_THOUGHT)
    for _ in range(rng.randrange(4)):
        start, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        end = min(end, start + 40)
        span = text[start:end]
        text = text[:start] + rng.choice(("", span * 2, rng.choice(_PIECES), span[::-1])) + text[end:]
    return text


def _calls(point: DecisionPoint, rng: random.Random) -> str:
    """Well-formed calls of tools on offer with arguments at random."""
    blocks = [_call(point, rng) for _ in range(rng.randrange(1, 4))]
    return "<think>\nx\n</think>\n\n" + "\n".join(blocks)


def _call(point: DecisionPoint, rng: random.Random) -> str:
    tools = {tool.name: sorted(tool.parameters.get("properties") or {}) for tool in point.tools} or {"Nothing": []}
    name = rng.choice(sorted(tools))
    known = [call.arguments for call in point.expected.tool_calls]
    values = [value for arguments in known for value in arguments.values()] + [1, 1.5, True, None, "x", [], {"a": [1]}]
    arguments = {key: rng.choice(values) for key in [*tools[name], "invented"] if rng.random() < 0.6}
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
