"""What a completion says: its text taken apart into reasoning, tool calls and an answer, or a typed failure.

The parser is total: whatever a model writes becomes a ``Parsed``, never an exception, because a reward or a metric
must exist for every rollout. It is strict about JSON (no NaN, no duplicate keys) and it reads calls with a JSON
decoder rather than a pattern, so braces and tags inside strings are harmless. Nothing a model wrote is evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from data.schema import Frozen, ToolCall, ToolSpec
from models.speech.strict_json import read_members, skip_space

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"

_THINK_TAG = re.compile(r"</?think>")
#: Markup that only the chat template may write; in a completion it means the model goes on playing other roles.
_TEMPLATE_MARKUP = re.compile(r"</?tool_response>|</?tools>|<\|im_(?:start|end)\|>|<\|endoftext\|>")


class ParseStatus(StrEnum):
    """How well-formed a completion is: ``ok`` or the first thing wrong with it."""

    OK = "ok"
    MISSING_THINK = "missing_think"
    UNCLOSED_THINK = "unclosed_think"
    EMPTY_THINK = "empty_think"
    EXTRA_THINK = "extra_think"
    UNEXPECTED_THINK = "unexpected_think"
    MALFORMED_CALL = "malformed_call"
    UNCLOSED_CALL = "unclosed_call"
    UNKNOWN_TOOL = "unknown_tool"
    TEXT_BESIDE_CALL = "text_beside_call"
    STRAY_MARKUP = "stray_markup"
    EMPTY = "empty"


class Parsed(Frozen):
    """A completion taken apart. The pieces are kept as far as they were understood even if ``status`` is not ok."""

    status: ParseStatus
    reasoning: str | None
    calls: tuple[ToolCall, ...]
    answer: str | None
    raw: str
    attempted_call: bool = False
    """Whether a call block was begun, however badly: the decision to call, apart from the skill to write it."""
    lost_call: bool = False
    """Whether a call block could not be read, also where ``status`` names an earlier fault."""

    @property
    def ok(self) -> bool:
        """Whether the whole completion is well-formed."""
        return self.status is ParseStatus.OK

    @property
    def action(self) -> str | None:
        """The action as stored with rollouts: a JSON list of the calls, or the answer's text; None if neither."""
        if self.calls:
            calls = [{"name": call.name, "arguments": call.arguments} for call in self.calls]
            return json.dumps(calls, ensure_ascii=False)
        return self.answer


@dataclass
class _Action:
    """The part after the reasoning while it is being read."""

    calls: list[ToolCall] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    problem: ParseStatus | None = None
    attempted: bool = False

    def fail(self, status: ParseStatus) -> None:
        self.attempted = True
        self.problem = self.problem or status


def parse_completion(text: str, *, thinking: bool, tools: Sequence[ToolSpec], text_beside_call: bool = False) -> Parsed:
    """Take a completion apart; never raises.

    Args:
        text: The completion without a final ``<|im_end|>``. When thinking it includes the opener ``<think>``, which
            the prompt wrote.
        thinking: Whether one non-empty think block must come first; otherwise none may occur.
        tools: The tools on offer; a call of any other is ``unknown_tool``.
        text_beside_call: Whether text may stand beside calls, as it does in what was recorded here.
    """
    # A lone surrogate cannot be stored as UTF-8; no tokenizer writes one, but the parser is total.
    text = text.encode("utf-8", "replace").decode("utf-8")
    reasoning, rest, problem = _split_thinking(text) if thinking else (None, text, None)
    action = _read_action(rest)
    outside = "\n".join(piece.strip() for piece in action.outside).strip()
    problem = problem or _think_tag_outside(outside, thinking) or action.problem
    problem = problem or _action_problem(action, outside, {tool.name for tool in tools}, text_beside_call)
    return Parsed(
        status=problem or ParseStatus.OK,
        reasoning=reasoning,
        calls=tuple(action.calls),
        answer=outside or None,
        raw=text,
        attempted_call=action.attempted,
        lost_call=action.problem is not None,
    )


def _split_thinking(text: str) -> tuple[str | None, str, ParseStatus | None]:
    """Reasoning, the rest, and what is wrong with the think block."""
    body = text.lstrip()
    if not body.startswith(THINK_OPEN):
        return None, text, ParseStatus.MISSING_THINK
    inside, closed, rest = body[len(THINK_OPEN) :].partition(THINK_CLOSE)
    reasoning = inside.strip() or None
    if not closed:
        return reasoning, "", ParseStatus.UNCLOSED_THINK
    if THINK_OPEN in inside:
        return reasoning, rest, ParseStatus.EXTRA_THINK
    return reasoning, rest, None if reasoning else ParseStatus.EMPTY_THINK


def _think_tag_outside(outside: str, thinking: bool) -> ParseStatus | None:
    if not _THINK_TAG.search(outside):
        return None
    return ParseStatus.EXTRA_THINK if thinking else ParseStatus.UNEXPECTED_THINK


def _action_problem(action: _Action, outside: str, known: set[str], may_speak: bool) -> ParseStatus | None:
    if action.calls and outside and not may_speak:
        return ParseStatus.TEXT_BESIDE_CALL
    if any(call.name not in known for call in action.calls):
        return ParseStatus.UNKNOWN_TOOL
    if _TEMPLATE_MARKUP.search(outside):
        return ParseStatus.STRAY_MARKUP
    return None if action.calls or outside else ParseStatus.EMPTY


def _read_action(text: str) -> _Action:
    """Calls and the text around them, read from left to right."""
    action = _Action()
    position = 0
    while (start := text.find(CALL_OPEN, position)) >= 0:
        _note_outside(action, text[position:start])
        action.attempted = True
        position = _read_block(action, text, start + len(CALL_OPEN))
    _note_outside(action, text[position:])
    return action


def _note_outside(action: _Action, piece: str) -> None:
    if CALL_CLOSE in piece:
        action.fail(ParseStatus.MALFORMED_CALL)
    action.outside.append(piece.replace(CALL_CLOSE, ""))


def _read_block(action: _Action, text: str, start: int) -> int:
    """Read one call block whose opener ended at ``start``; where to read on."""
    try:
        members, end = read_members(text, start)
        call = _as_call(members, len(action.calls))
    except ValueError:
        call, end = None, start
    close = skip_space(text, end)
    if call is not None and text.startswith(CALL_CLOSE, close):
        action.calls.append(call)
        return close + len(CALL_CLOSE)
    next_close = text.find(CALL_CLOSE, end)
    if next_close < 0:
        action.calls.extend([call] if call is not None and close == len(text) else [])
        action.fail(ParseStatus.UNCLOSED_CALL)
        return len(text)
    action.fail(ParseStatus.MALFORMED_CALL)
    return next_close + len(CALL_CLOSE)


def _as_call(members: dict[str, tuple[Any, str]], number: int) -> ToolCall:
    """A call from the members of its JSON object: exactly ``name`` (string) and ``arguments`` (object)."""
    if set(members) != {"name", "arguments"}:
        raise ValueError("a call has exactly the keys name and arguments")
    (name, _), (arguments, raw) = members["name"], members["arguments"]
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        raise ValueError("name must be a non-empty string and arguments an object")
    return ToolCall(id=f"call_{number}", name=name, arguments=arguments, arguments_raw=raw)
