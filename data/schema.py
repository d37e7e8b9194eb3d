"""The one shape every conversation takes, whatever source it came from.

A *conversation* is an ordered tuple of messages plus the tools on offer. A *decision point* is one assistant message
together with its history: what the agent should do next, either call tools or answer. Both are frozen: nothing after
ingestion edits them, so a dataset version means the same bytes for ever.

Raw and parsed stand side by side (``ToolCall.arguments_raw`` and ``.arguments``): the raw text is what a model said or
a source recorded, the parsed form is what we understood.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
Split = Literal[
    "train",
    "validation_seen",
    "validation_unseen",
    "test_seen",
    "test_unseen",
    "test_mixed",
    "excluded",
]
SPLITS: tuple[Split, ...] = (
    "train",
    "validation_seen",
    "validation_unseen",
    "test_seen",
    "test_unseen",
    "test_mixed",
    "excluded",
)
TEST_SPLITS: tuple[Split, ...] = ("test_seen", "test_unseen", "test_mixed")
VALIDATION_SPLITS: tuple[Split, ...] = ("validation_seen", "validation_unseen")


class Act(StrEnum):
    """What an answer does in the dialogue, in the words of task-oriented dialogue annotation (SGD, DSTC8)."""

    INFORM = "inform"
    OFFER = "offer"
    REQUEST = "request"
    CONFIRM = "confirm"
    OFFER_INTENT = "offer_intent"
    REPORT_SUCCESS = "report_success"
    REPORT_FAILURE = "report_failure"
    REQUEST_MORE = "request_more"
    GOODBYE = "goodbye"


#: Acts after which the user is expected to reply: the answer has to ask something.
ASKING_ACTS: frozenset[Act] = frozenset({Act.REQUEST, Act.OFFER_INTENT, Act.REQUEST_MORE})


class Frozen(BaseModel):
    """Base of every record: immutable, and unknown keys are an error rather than silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolSpec(Frozen):
    """A tool on offer: its name, what it does, and a JSON Schema (``type: object``) of its arguments."""

    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, Any]
    is_write: bool = False
    """Whether a call changes the world (books, pays, sends). Never shown to the model; used by rewards and metrics."""

    def as_openai(self) -> dict[str, Any]:
        """The OpenAI ``tools`` entry, the form chat templates render."""
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": self.parameters},
        }


class ToolCall(Frozen):
    """One call the assistant asks for: ``arguments_raw`` is the JSON text as written, ``arguments`` its object."""

    id: str
    name: str
    arguments: dict[str, Any]
    arguments_raw: str
    accepted: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Evaluation data with several right values: argument name → all of them; None among them = may be left out.

    An argument named here is right with any value listed; one that is not named must equal ``arguments``.
    """


class Fact(Frozen):
    """Something an answer must convey.

    ``forms`` are the spellings that count as conveying a ``value`` (any one suffices), the spoken one first. A
    ``boolean`` fact has the single form ``"True"`` or ``"False"``; conveying it means the right polarity about
    ``name``.
    """

    name: str
    kind: Literal["value", "boolean"]
    forms: tuple[str, ...] = Field(min_length=1)


class Message(Frozen):
    """One message. ``facts`` and ``acts`` annotate assistant answers and are never rendered to a model."""

    role: Role
    content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    facts: tuple[Fact, ...] = ()
    acts: tuple[Act, ...] = ()
    requested: tuple[str, ...] = ()
    """Names of the slots an answer asks for (``Act.REQUEST``); slots of which one suffices are joined by ``|``."""
    derived: bool = False
    """Whether nobody annotated this answer: its facts and acts were read off the record, as far as that is honest."""
    rationale: str | None = None
    """Brief reasoning derived from the annotations; used only to prime thinking, never part of a history."""


class Conversation(Frozen):
    """A whole conversation with the tools on offer."""

    id: str
    """Unique across sources: ``<source>/<record_id>``."""
    source: str
    record_id: str
    split: Split
    domains: tuple[str, ...]
    """What its tools belong to (SGD: service names); the unit of "seen" and "unseen"."""
    tools: tuple[ToolSpec, ...]
    messages: tuple[Message, ...]
    metadata: dict[str, Any] = Field(default_factory=dict)
    """What the source says about the whole (a task's reward, a category): kept, queryable, never shown to a model."""

    def tool(self, name: str) -> ToolSpec | None:
        """The tool on offer with this name, or None."""
        return next((tool for tool in self.tools if tool.name == name), None)


class DecisionPoint(Frozen):
    """One assistant message with its history: the unit of GRPO prompts, gold checks and evaluation."""

    id: str
    """``<conversation id>#<message index>``: stable as long as the conversation is unchanged."""
    conversation_id: str
    message_index: int
    source: str
    split: Split
    domain: str
    """The domain of this turn: that of its call, else the latest call's or the conversation's first."""
    kind: Literal["call", "answer"]
    tool: str | None
    """Name of the (first) expected tool on call turns."""
    tools: tuple[ToolSpec, ...]
    history: tuple[Message, ...]
    expected: Message

    @property
    def speaks_beside_call(self) -> bool:
        """Whether the recorded action says something beside its call; only there may a completion do so too."""
        return bool(self.expected.tool_calls and (self.expected.content or "").strip())


class Quarantined(Frozen):
    """A record that did not become a conversation, and why. One row per rejected conversation."""

    source: str
    record_id: str
    reason: str
    """Short stable code, e.g. ``unknown_tool``; groupable in SQL."""
    detail: str
    """One sentence for a person: what exactly was wrong and where."""
