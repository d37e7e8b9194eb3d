"""An episode as tokens: what the model was given, what it wrote, and which of it was its own.

A turn continues the very tokens of the turns before, whatever the model wrote: nothing is rendered again, so what was
sampled is what is scored, and within an episode reasoning stays in context. Only what comes from outside (tool results,
the user's reply) is rendered, by the chat template, as the piece between an end of turn and the next turn's opener.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data.schema import Message, ToolSpec
from models.engine.rollout import Generated
from models.speech.parsing import Parsed, parse_completion
from models.speech.template import THINK_OPEN, TURN_END, completion_text, prompt_text

_BEFORE = (Message(role="user", content="u"), Message(role="assistant", content="a"))
_MARK = f"<|im_start|>assistant\na{TURN_END}"


def prompt_tokens(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[ToolSpec], *, thinking: bool
) -> list[int]:
    """The prompt of a turn rendered from its messages, without any reasoning: an episode's beginning."""
    text = prompt_text(tokenizer, messages, tools, thinking=thinking)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def outside_tokens(tokenizer: Any, replies: Sequence[Message], *, thinking: bool) -> list[int]:
    """What stands between the end of one turn and what the model writes next: the replies and the next opener.

    Raises:
        ValueError: The tokenizer's template is not the one this is made for.
    """
    text = prompt_text(tokenizer, (*_BEFORE, *replies), (), thinking=thinking)
    _, mark, rest = text.partition(_MARK)
    if not mark:
        raise ValueError("the tokenizer's chat template is not Apprentice's; fetch the base model again")
    return list(tokenizer(rest, add_special_tokens=False)["input_ids"])


def prompt_in_episode(tokenizer: Any, history: Sequence[Message], tools: Sequence[ToolSpec]) -> list[int]:
    """The prompt of a thinking turn with the rationales of the turns before it, as they stand in an episode."""
    own = [index for index, message in enumerate(history) if message.role == "assistant"]
    if not own:
        return prompt_tokens(tokenizer, history, tools, thinking=True)
    ids = prompt_tokens(tokenizer, history[: own[0]], tools, thinking=True)
    for index, following in zip(own, [*own[1:], len(history)], strict=True):
        said = completion_text(history[index], history[index].rationale).removeprefix(THINK_OPEN) + TURN_END
        ids += tokenizer(said, add_special_tokens=False)["input_ids"]
        ids += outside_tokens(tokenizer, history[index + 1 : following], thinking=True)
    return ids


@dataclass(frozen=True)
class Turn:
    """One assistant message: its text with the think opener, taken apart; ``cut`` means at a token limit."""

    text: str
    parsed: Parsed
    tokens: int
    cut: bool


@dataclass
class Transcript:
    """An episode's tokens: ``prompt`` up to the first turn, then turn by turn the model's own and what came between.

    ``ids``, ``own`` (1 on what the model wrote, its end-of-turn tokens included) and ``logprobs`` (0.0 elsewhere) are
    equally long. They end with the model's last token.
    """

    tokenizer: Any
    thinking: bool
    tools: tuple[ToolSpec, ...]
    prompt: list[int]
    ids: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def __len__(self) -> int:
        """Tokens so far."""
        return len(self.prompt) + len(self.ids)

    @property
    def so_far(self) -> list[int]:
        """All tokens, from which the next turn goes on."""
        return self.prompt + self.ids

    def write(self, generated: Generated) -> Turn:
        """Add what the model wrote."""
        self.ids += generated.ids
        self.own += [1] * len(generated.ids)
        self.logprobs += generated.logprobs
        text = (THINK_OPEN if self.thinking else "") + self.tokenizer.decode(generated.ids, skip_special_tokens=True)
        parsed = parse_completion(text, thinking=self.thinking, tools=self.tools)
        cut = generated.ids[-1] != self.tokenizer.eos_token_id
        self.turns.append(Turn(text, parsed, len(generated.ids), cut))
        return self.turns[-1]

    def hear(self, ids: Sequence[int]) -> None:
        """Add what came from outside with the next turn's opener (``outside_tokens``)."""
        self.ids += ids
        self.own += [0] * len(ids)
        self.logprobs += [0.0] * len(ids)
