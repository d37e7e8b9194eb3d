"""What can be said of an action without knowing the right one: is it valid, grounded, new, asked for, of use?

Each reading is in [0, 1], and their product is the gold-free score. None sees gold, so the score works where there is
none: on live traffic, on unlabelled prompts, and against people's own judgements (``benchmarks/people.py``), where its
few constants were chosen on one half and reported on the other. It is a floor, not a goal: an action can be valid,
grounded and asked for, and still be wrong. On its own it must not be trained on: what it cannot see costs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data.quality import call_faults
from data.schema import Act, Message, ToolCall, ToolSpec
from models.equality import same_call
from models.mentions import NUMBER_WORDS, mentions
from models.rewards.acts import acts_of
from models.rewards.grounding import unbacked_values
from models.rewards.seen import Seen, seen_by
from models.speech.parsing import Parsed
from models.wording import asks, is_answer, normalise, plain

#: What each value of an answer that was never seen leaves of the score.
UNGROUNDED_LEFT = 0.7
#: A value put together from seen words, against one that stands somewhere as it is.
PUT_TOGETHER = 0.9
#: An action already taken with the same arguments, an answer already given word for word.
REPEATED_LEFT = 0.5
#: The same tool once more although the user has said nothing since.
UNASKED_LEFT = 0.6
#: A call that changes the world, or any call, after the user has taken leave.
AFTER_GOODBYE_LEFT = 0.3
#: What an answer is worth by what it makes of the latest result, best first.
DELIVERS, WITHOUT_RESULT, REPORTS_FAILURE, IGNORES_RESULT, CLAIMS_WITHOUT = 1.0, 0.7, 0.4, 0.4, 0.2

_FAILED = frozenset({"empty", "api_failed", "failure", "failed", "unavailable", "error"})
_REFUSES = re.compile(
    r"\b(?:sorry|unfortunately|unable|afraid|trouble|(?:do|does|did|is|are|was|were|ca|could|wo)n['o ]?t|dont|cannot"
    r"|not (?:available|playing|showing|on|find|found|able|have)|no (?:longer|option)|nothing)\b"
)
_TAKES_LEAVE = re.compile(r"\b(?:good ?bye|bye|that(?:'s| is| was) (?:all|it|everything)|nothing else|no,? thank)\b")
_AGREES = re.compile(r"(?:yes|yeah|yep|yup|sure|ok(?:ay)?|correct|right|perfect)\b")
_WORD = re.compile(r"[^\W_]+")
#: Words of a value that claim nothing: they join others, or say that the user does not mind.
_CLAIMLESS = frozenset({"or", "and", "the", "a", "an", "of", "any", "all", "time", "today"})
_LEAST_PHRASE = 3


@dataclass(frozen=True)
class GoldFree:
    """The readings of one action, each in [0, 1]."""

    valid: float
    """Calls parse, name a tool on offer and satisfy its JSON Schema; an answer is one, and no raw JSON."""
    grounded: float
    """Arguments, or the values of an answer, stand in what the agent has seen."""
    fresh: float
    """No call made before with the same arguments, no answer given before word for word."""
    asked: float
    """No call without the user's word: the same tool over and over, anything after a goodbye."""
    useful: float
    """An answer that makes something of the latest result, or asks; not one that claims what no tool returned."""

    @property
    def score(self) -> float:
        """The product of all readings, in [0, 1]."""
        return self.valid * self.grounded * self.fresh * self.asked * self.useful


def gold_free(history: Sequence[Message], tools: Sequence[ToolSpec], parsed: Parsed) -> GoldFree:
    """Read the action of ``parsed`` after ``history``. Never raises, whatever the completion holds."""
    if parsed.attempted_call:
        # What the agent once wrote into a call itself is no evidence that it is so.
        told = seen_by([message for message in history if not message.tool_calls], tools)
        return GoldFree(
            valid=schema_validity(tools, parsed),
            grounded=_mean(_support(call.arguments, told) for call in parsed.calls),
            fresh=REPEATED_LEFT if _made_before(history, parsed.calls, tools) else 1.0,
            asked=_asked(history, parsed.calls),
            useful=1.0,
        )
    text = parsed.answer or ""
    return GoldFree(
        valid=schema_validity(tools, parsed),
        grounded=UNGROUNDED_LEFT ** len(unbacked_values(text, seen_by(history, tools))),
        fresh=REPEATED_LEFT if _said_before(history, text) else 1.0,
        asked=1.0,
        useful=_useful(history, text),
    )


def schema_validity(tools: Sequence[ToolSpec], parsed: Parsed) -> float:
    """1 if every call parses, names a tool on offer and satisfies its schema, or if the text is an answer; else 0."""
    if not parsed.attempted_call:
        return 1.0 if is_answer(parsed.answer or "") else 0.0
    offered = {tool.name: tool for tool in tools}
    sound = bool(parsed.calls) and not parsed.lost_call
    return 1.0 if sound and not any(True for call in parsed.calls for _ in call_faults(call, offered)) else 0.0


def _mean(values: Iterator[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 1.0


def _support(value: Any, seen: Seen) -> float:
    """How well a value stands in what was seen: 1 as it is, else by the share of its words; booleans are choices."""
    if value is None or isinstance(value, bool):
        return 1.0
    if isinstance(value, dict):
        return _mean(_support(one, seen) for one in value.values())
    if isinstance(value, list):
        return _mean(_support(one, seen) for one in value)
    folded = plain(str(value))
    words = [word for word in _WORD.findall(folded) if word not in _CLAIMLESS]
    squeezed = "".join(words)
    stated = {one.spelling for one in mentions(folded)}
    missing = len(unbacked_values(folded, seen))
    as_it_is = not missing and len(squeezed) >= _LEAST_PHRASE and seen.squeezed(squeezed)
    if not words or as_it_is or seen.abbreviated(words):
        return 1.0
    # Dates, times and numbers count as values, however they are written; what else there is counts word by word.
    others = [word for word in words if word.isalpha() and word not in NUMBER_WORDS]
    if not others:
        return 1.0 - missing / max(1, len(stated))
    known = len(stated) - missing + sum(map(seen.word, others))
    return 1.0 if others == words[:1] and known else PUT_TOGETHER * known / (len(stated) + len(others))


def _made_before(history: Sequence[Message], calls: Sequence[ToolCall], tools: Sequence[ToolSpec]) -> bool:
    specs = {tool.name: tool for tool in tools}
    made = [call for message in history for call in message.tool_calls]
    earlier = [*made, *calls]
    return any(
        same_call(before, call, specs.get(call.name))
        for number, call in enumerate(calls)
        for before in earlier[: len(made) + number]
    )


def _asked(history: Sequence[Message], calls: Sequence[ToolCall]) -> float:
    """Less for each tool called once more without a word from the user, least after the user has taken leave."""
    last = _last_user(history)
    made = {call.name for message in history[last + 1 :] for call in message.tool_calls}
    left = UNASKED_LEFT if any(call.name in made for call in calls) else 1.0
    words = plain(history[last].content or "") if last >= 0 else ""
    leaves = _TAKES_LEAVE.search(words) and not (_AGREES.match(words) or asks(words))
    return left * (AFTER_GOODBYE_LEFT if leaves else 1.0)


def _last_user(history: Sequence[Message]) -> int:
    """Index of the user's latest message, -1 if there is none."""
    return max((index for index, message in enumerate(history) if message.role == "user"), default=-1)


def _said_before(history: Sequence[Message], text: str) -> bool:
    said = normalise(text)
    return any(message.role == "assistant" and normalise(message.content or "") == said for message in history)


def _useful(history: Sequence[Message], text: str) -> float:
    """What the answer makes of the results that came since the user spoke."""
    folded, acts = plain(text), acts_of(text)
    refuses = Act.REPORT_FAILURE in acts or _REFUSES.search(folded) is not None
    if refuses:
        return REPORTS_FAILURE
    results = _results(history)
    if not results:
        return WITHOUT_RESULT
    values = result_values(history)
    if not set(_values(results[-1])) - _FAILED:
        return WITHOUT_RESULT if asks(text) else CLAIMS_WITHOUT
    delivers = Act.CONFIRM in acts or any(len(value) >= _LEAST_PHRASE and value in folded for value in values)
    return DELIVERS if delivers else IGNORES_RESULT


def result_values(history: Sequence[Message]) -> list[str]:
    """The values of all results that came since the user spoke, as plain texts."""
    return [value for result in _results(history) for value in _values(result)]


def _results(history: Sequence[Message]) -> list[str]:
    return [message.content or "" for message in history[_last_user(history) + 1 :] if message.role == "tool"]


def _values(result: str) -> list[str]:
    """The values in a tool's result as plain texts; the result itself if it is no JSON."""
    try:
        return [plain(str(value)) for value in _leaves(json.loads(result))]
    except (ValueError, RecursionError):
        return [plain(result)]


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _leaves(one)
    elif value is not None:
        yield value
