"""Berkeley Function Calling Leaderboard v4 (Patil et al., ICML 2025), for evaluation only.

One question, the functions on offer, and the calls that are right, each argument with all values upstream accepts.
Read in place from the wheel ``bfcl-eval`` (fetched without its dependencies where no path is given), or from a folder
with its data files. Categories whose answer is a state after many turns (multi_turn, memory, web_search) and those
with no single right call (live_relevance) cannot be judged by one action and are not read or are quarantined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.mapping.files import Read
from data.mapping.limiting import limited
from data.mapping.openai import messages_of, tools_of
from data.reporting import Reporter
from data.schema import Conversation, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings
from data.sources.base import Unusable
from data.sources.bfcl.accepted import expected_call
from data.sources.bfcl.files import categories, fingerprint_of, located
from data.splits import EVALUATION_SHARES, split_for_evaluation

#: Stands in for the answer upstream does not write: what is judged there is that nothing is called.
DECLINED = "None of the tools on offer can do this."
#: Of a category's name: what is right is to call nothing.
_IRRELEVANCE = re.compile(r"(?:live_)?irrelevance")
_NO_SINGLE_CALL = frozenset({"live_relevance"})


class BFCL:
    """BFCL's single-turn categories."""

    name = "bfcl"
    evaluation_only = True

    def fetch(self, settings: DataSettings, reporter: Reporter) -> None:
        """Download the wheel where no path is given and it is not here yet."""
        located(settings.path, reporter)

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of all files read."""
        return fingerprint_of(located(settings.path))

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield one conversation per question and what was quarantined on the way."""
        place = located(settings.path)
        reporter.phase("reading bfcl", unit="questions")
        yield from limited(lambda: self._all(place, reporter), settings.conversations, reporter, EVALUATION_SHARES)

    def _all(self, place: Path, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        number = 0
        for category in categories(place):
            truths = category.truths()
            for read in category.rows():
                number += 1
                yield self.conversation(read, category.name, truths)
            reporter.update(number, category.name)

    def conversation(self, read: Read, category: str, truths: Mapping[str, object]) -> Conversation | Quarantined:
        """The conversation of one question, or why it has none. Never raises, whatever the row holds."""
        row = read.record
        record_id = str(row["id"]) if isinstance(row, dict) and row.get("id") else read.place
        try:
            if read.reason is not None:
                raise Unusable(read.reason, read.detail)
            return _conversation(row, category, record_id, truths)
        except Unusable as error:
            return self._rejected(record_id, error.reason, error.detail)
        except ValidationError as error:
            return self._rejected(record_id, "not_a_conversation", error.errors()[0]["msg"])

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _conversation(row: Any, category: str, record_id: str, truths: Mapping[str, object]) -> Conversation:
    if not isinstance(row, dict) or not isinstance(row.get("question"), list) or len(row["question"]) != 1:
        raise Unusable("not_a_conversation", "a row is an object with one question")
    if category in _NO_SINGLE_CALL:
        raise Unusable("no_single_right_call", f"{category} accepts any call, so none can be expected")
    if not isinstance(row["question"][0], list):
        raise Unusable("not_a_conversation", "a question is a list of messages")
    tools = tools_of(row.get("function"), loose=True)
    answer = Message(role="assistant", content=DECLINED)
    if not _IRRELEVANCE.fullmatch(category):
        answer = Message(role="assistant", tool_calls=_calls(record_id, truths.get(record_id), tools))
    conversation = Conversation(
        id=f"bfcl/{record_id}",
        source="bfcl",
        record_id=record_id,
        split="test_unseen",
        domains=(category,),
        tools=tools,
        messages=(*messages_of(row["question"][0]), answer),
        metadata={"category": category},
    )
    return conversation.model_copy(update={"split": split_for_evaluation(conversation)})


def _calls(record_id: str, truth: Any, tools: tuple[ToolSpec, ...]) -> tuple[ToolCall, ...]:
    if not isinstance(truth, list) or not truth:
        raise Unusable("no_answer", f"possible_answer has nothing for {record_id}")
    specs = {tool.name: tool for tool in tools}
    return tuple(_call(number, entry, specs) for number, entry in enumerate(truth, start=1))


def _call(number: int, entry: Any, tools: Mapping[str, ToolSpec]) -> ToolCall:
    if not isinstance(entry, dict) or len(entry) != 1 or not isinstance(next(iter(entry.values())), dict):
        raise Unusable("malformed_answer", "an expected call is {function: {argument: [accepted values]}}")
    (name, accepted), *_ = entry.items()
    if name not in tools:
        raise Unusable("unknown_tool", f"{name} is not on offer")
    return expected_call(f"call_{number}", tools[name], accepted)


SOURCE = BFCL()
