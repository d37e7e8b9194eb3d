"""A conversation with an agent in a practice domain, a person in the user's place: tools execute, rows change.

Knows nothing of terminals: what is shown and asked goes through two functions that are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.practice.difference import RowChange, difference, rows_of
from data.practice.drawing import PracticeTask
from data.practice.episode import Episode, StepResult
from data.schema import Message, ToolCall, ToolSpec
from data.settings import Settings
from models.compute import decode_dtype, device_name
from models.engine.rollout import decoder
from models.engine.sampling import Sampling
from models.policy import load_model, load_tokenizer
from models.practice.outcome import Ended
from models.practice.play import Attempt, Playing, play
from models.practice.transcript import Turn


@dataclass(frozen=True)
class Called:
    """One message's calls with their results, and what they changed in the database."""

    calls: tuple[tuple[ToolCall, str], ...]
    changes: tuple[RowChange, ...]


Shown = Turn | Called
Show = Callable[[Shown], None]
Ask = Callable[[Sequence[Message]], str]
"""From the messages so far to the person's next words; empty text ends the conversation."""


class WatchedEpisode:
    """An episode that shows what its tools do."""

    def __init__(self, episode: Episode, show: Show) -> None:
        self._episode = episode
        self._show = show

    @property
    def messages(self) -> list[Message]:
        """The conversation so far."""
        return self._episode.messages

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """What is on offer."""
        return self._episode.tools

    def step(self, message: Message) -> StepResult:
        """As the episode's; a message with calls is shown with results and changes."""
        before = rows_of(self._episode.world)
        stepped = self._episode.step(message)
        if message.tool_calls:
            results = (reply.content or "" for reply in stepped.messages)
            changes = tuple(difference(before, rows_of(self._episode.world)))
            self._show(Called(tuple(zip(message.tool_calls, results, strict=False)), changes))
        return stepped


def chat(model_dir: Path, task: PracticeTask, *, thinking: bool, settings: Settings, ask: Ask, show: Show) -> Ended:
    """Talk until the person leaves or a limit is reached; how it ended.

    Args:
        model_dir: The agent's model.
        task: Gives the world and the tools on offer; what the person wants is their own affair.
        thinking: Whether the agent opens with reasoning.
        settings: Temperature and limits are those of evaluation by episodes.
        ask: The person.
        show: Called with every turn of the agent, and with what its calls did.
    """
    chosen = settings.evaluation
    how = Playing(
        thinking=thinking,
        sampling=Sampling(chosen.episodes.temperature),
        max_new_tokens=chosen.max_completion_length,
        max_length=chosen.max_prompt_length,
        max_turns=10_000,  # the episode has a limit of its own
        keep_reasoning=not chosen.episodes.drop_reasoning,
    )
    attempt = Attempt(
        name="chat",
        task_id="chat",
        start=lambda: WatchedEpisode(Episode(task, "chat", user=ask, errors=0.0), show),
        key=("chat", settings.seed),
    )
    tokenizer = load_tokenizer(model_dir)
    model = decoder(load_model(model_dir, device=device_name(settings)), decode_dtype(settings))
    (ended,) = play(model, tokenizer, [attempt], how, watch=show)
    return ended.ended
