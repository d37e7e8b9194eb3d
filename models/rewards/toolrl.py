"""The published ToolRL reward (arXiv 2504.13958), to the digit, as its code at commit 8cee13e has it without switches.

Kept as it is, holes included, so that it can be compared with: no score on turns without a call, recall before
precision, Python's ``==`` on values, calls read line by line. What it expects is another notation than ours (one
``<tool_call>`` block with a JSON object per line and ``parameters``, answers in ``<response>``), so a completion is
first rewritten into it, by text alone and without repairing anything.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from data.schema import ToolCall
from models.speech.parsing import CALL_CLOSE, CALL_OPEN, THINK_CLOSE, THINK_OPEN

LOWEST, HIGHEST = -3.0, 3.0

_BETWEEN_BLOCKS = re.compile(rf"{CALL_CLOSE}\s*{CALL_OPEN}")
_FORMATS = {
    True: re.compile(rf"^{THINK_OPEN}.*?{THINK_CLOSE}\n{CALL_OPEN}\n.*?\n{CALL_CLOSE}$", re.DOTALL),
    False: re.compile(rf"^{THINK_OPEN}.*?{THINK_CLOSE}\n<response>.*?</response>$", re.DOTALL),
}
_ONCE = {True: (CALL_OPEN, CALL_CLOSE), False: ("<response>", "</response>")}


def toolrl_notation(text: str, *, thinking: bool) -> str:
    """A completion in our notation as ToolRL would have it written; faults stay faults.

    Without thinking an empty think block is put first, since the definition knows no completion without one.
    """
    text = text.strip() if thinking else f"{THINK_OPEN}{THINK_CLOSE}\n{text.strip()}"
    before, closed, action = text.partition(THINK_CLOSE)
    if not closed:
        return text
    action = "\n".join(part.strip() for part in _BETWEEN_BLOCKS.split(action.strip()))
    if CALL_OPEN in action or CALL_CLOSE in action:
        return f"{before}{THINK_CLOSE}\n{_blocks_renamed(action)}"
    return f"{before}{THINK_CLOSE}\n<response>{action}</response>" if action else f"{before}{THINK_CLOSE}"


def toolrl_format(completion: str, *, call_is_due: bool) -> float:
    """1 if the completion has the blocks of the expected one in their order, each tag once, else 0."""
    once = all(completion.count(tag) == 1 for tag in _ONCE[call_is_due])
    return 1.0 if once and _FORMATS[call_is_due].search(completion) else 0.0


def toolrl_correctness(completion: str, expected: Sequence[ToolCall]) -> float:
    """Correctness of the calls in [-3, 3]; 0 on every turn without a call, whatever was done there."""
    if not expected:
        return 0.0
    gold = [{"name": call.name, "parameters": call.arguments} for call in expected]
    try:
        lines = completion.split(CALL_OPEN)[1].split(CALL_CLOSE)[0].strip().split("\n")
        return _match(gold, [json.loads(line) for line in lines]) if CALL_CLOSE in completion else LOWEST
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return LOWEST  # the definition's own rule: whatever cannot be read or compared earns the least


def _match(gold: list[dict[str, Any]], predicted: list[Any]) -> float:
    """``6 S / S_max - 3``: names by multiset Jaccard, then greedily, in gold's order, the best unused namesake."""
    if gold == predicted:
        return HIGHEST
    found = _jaccard([call["name"] for call in gold], [call["name"] for call in predicted])
    greatest = 1.0 + sum(1 + len(call["parameters"]) for call in gold)
    unused = list(predicted)
    for call in gold:
        scores = [_namesake(call, other) for other in unused]
        best = max(scores, default=0.0)
        if best > 0:
            found += best
            unused.pop(scores.index(best))
    return (HIGHEST - LOWEST) * found / greatest + LOWEST


def _namesake(gold: dict[str, Any], other: dict[str, Any]) -> float:
    if other["name"] != gold["name"]:
        return 0.0
    left, right = gold["parameters"], other["parameters"]
    values = sum(1.0 for name, value in left.items() if name in right and right[name] == value)
    return _jaccard(list(left.keys()), list(right.keys())) + values


def _jaccard(left: list[Any], right: list[Any]) -> float:
    if left == right:
        return 1.0
    shared = (Counter(left) & Counter(right)).total()
    return shared / (len(left) + len(right) - shared) if left and right else 0.0


def _blocks_renamed(action: str) -> str:
    """Each block's calls renamed, line by line; found by search, for a pattern over a model's text takes cubic time."""
    parts, at = [], 0
    while (start := action.find(CALL_OPEN, at)) >= 0 and (end := action.find(CALL_CLOSE, start)) >= 0:
        lines = [_renamed(line) for line in action[start + len(CALL_OPEN) : end].strip().split("\n")]
        parts += [action[at:start], "\n".join([CALL_OPEN, *lines, CALL_CLOSE])]
        at = end + len(CALL_CLOSE)
    return "".join([*parts, action[at:]])


def _renamed(line: str) -> str:
    """A line's call with ``parameters`` for ``arguments``; a line that is no such call stays as it is."""
    try:
        call = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(call, dict) or "arguments" not in call:
        return line
    return json.dumps({"parameters" if key == "arguments" else key: value for key, value in call.items()})
