"""The practice domains as TRL knows environments: one class per domain whose methods are its tools.

    GRPOTrainer(environment_factory=environment_factories(), train_dataset=environment_rows(400), …)

runs TRL's own loop over them. That loop ends at the first message without a call, so an agent talks through a tool as
well: ``reply_to_user`` says something to the user and returns the answer. Two things differ from our own episodes for
that reason: a model must call a tool to speak, and all tools of the domain's part are on offer, since TRL renders one
schema per environment.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from data.practice.declarations import Domain, Slice
from data.practice.domains import DOMAINS
from data.practice.drawing import PracticeTask, task_of
from data.practice.episode import Episode
from data.schema import Message, ToolCall, ToolSpec
from data.sources.simulated import SLICES
from models.practice.outcome import how_it_ended, outcome_of
from models.practice.tasks import task_ids
from models.rewards.episode import REWARDS, EpisodeReward

LEFT = "The user has left. Say nothing more."
_TYPES: Mapping[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}


class PracticeEnvironment:
    """One episode as TRL holds it; subclasses add the tools of their domain as methods, and name the reward."""

    reward: EpisodeReward = "outcome"
    tools: tuple[ToolSpec, ...] = ()

    def __init__(self) -> None:
        self._episode: Episode | None = None
        self._calls = 0

    def reset(self, *, task_id: str, user_seed: int = 0, **unused: Any) -> str:
        """Begin the episode of a row of ``environment_rows``; what the agent is told of the desk and by the user."""
        if self._episode is not None:
            self._episode.close()
        task: PracticeTask = replace(task_of(task_id), tools=self.tools)
        self._episode, self._calls = Episode(task, user_seed), 0
        desk, user = (message.content or "" for message in self._episode.messages)
        return f"{desk}\n\nThe user says: {user}"

    def reply_to_user(self, text: str) -> str:
        """Say something to the user and hear the answer. There is no other way to talk to the user.

        Args:
            text: What to say.
        """
        if self._now.done:
            return LEFT
        answer = self._now.step(Message(role="assistant", content=str(text))).messages
        return (answer[0].content or "") if answer else LEFT

    def get_reward(self) -> float:
        """The reward of the episode as it stands."""
        return REWARDS[self.reward](outcome_of(self._now, how_it_ended(self._now)))

    def _call(self, tool: str, arguments: dict[str, Any]) -> str:
        if self._now.done:
            return LEFT
        self._calls += 1
        stated = {name: value for name, value in arguments.items() if value is not None}
        call = ToolCall(id=f"call_{self._calls}", name=tool, arguments=stated, arguments_raw=json.dumps(stated))
        (result,) = self._now.step(Message(role="assistant", tool_calls=(call,))).messages
        return result.content or ""

    @property
    def _now(self) -> Episode:
        if self._episode is None:
            raise RuntimeError("an environment begins with reset(task_id=…)")
        return self._episode


def environment_factories(
    part: Slice = "seen", *, reward: EpisodeReward = "outcome"
) -> dict[str, type[PracticeEnvironment]]:
    """``environment_factory`` for TRL: a class per domain that has errands of ``part``, by the domain's name.

    TRL adds ``get_reward`` as a reward function for each class, so none need be given.
    """
    domains = {name: domain for name, domain in DOMAINS.items() if domain.errands.get(part)}
    return {name: _environment(domain, part, reward) for name, domain in domains.items()}


def environment_rows(number: int, *, group: str = "practice") -> list[dict[str, Any]]:
    """Rows of a training set for the factories of the part ``seen``: the tasks episode training takes."""
    opening = [{"role": "user", "content": ""}]
    tasks = task_ids("train", number, purpose=group)
    assert SLICES["train"] == "seen"
    return [{"prompt": opening, "environment": task.split("/")[0], "task_id": task} for task in tasks]


def readable_by_trl(tokenizer: Any) -> Any:
    """The tokenizer with TRL's reading of Qwen3's calls, which our template writes; TRL knows templates by their text.

    Returns:
        The tokenizer given, changed.
    """
    from trl.chat_template_utils import qwen3_template

    tokenizer.response_template = qwen3_template
    return tokenizer


def _environment(domain: Domain, part: Slice, reward: EpisodeReward) -> type[PracticeEnvironment]:
    slices = {domain.name, *(domain.tasks[name].domain for errand in domain.errands[part] for name in errand)}
    tools = tuple(tool.spec for tool in domain.tools.values() if tool.domain in slices)
    members = {"reward": reward, "tools": tools, "__doc__": f"Episodes of the domain {domain.name}."}
    methods = {tool.name: _method(tool) for tool in tools}
    return type(f"{domain.name.title()}Environment", (PracticeEnvironment,), members | methods)


def _method(spec: ToolSpec) -> Callable[..., str]:
    """A method that transformers' ``get_json_schema`` reads as the tool's specification."""

    def tool(self: PracticeEnvironment, **arguments: Any) -> str:
        return self._call(spec.name, arguments)

    schemas: dict[str, dict[str, Any]] = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", ()))
    hints = {name: _TYPES[schema.get("type", "string")] for name, schema in schemas.items()}
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if name in required else None,
            annotation=hint,
        )
        for name, hint in hints.items()
    ]
    tool.__name__ = tool.__qualname__ = spec.name
    tool.__signature__ = inspect.Signature([own, *named], return_annotation=str)  # type: ignore[attr-defined]
    tool.__annotations__ = {**hints, "return": str}
    told = [f"    {name}: {_described(name, schema)}" for name, schema in schemas.items()]
    tool.__doc__ = "\n".join([spec.description, "", "Args:", *told]) if told else spec.description
    return tool


def _described(name: str, schema: Mapping[str, Any]) -> str:
    words = str(schema.get("description") or name.replace("_", " "))
    if schema.get("format") == "date":
        words = f"{words}, YYYY-MM-DD"
    return f"{words} (choices: {json.dumps(schema['enum'])})" if "enum" in schema else words
