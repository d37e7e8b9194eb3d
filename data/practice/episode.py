"""One conversation of an agent with a simulated user over an executable world.

    task = draw_task(DOMAINS["hotel"], "seen", 7)
    episode = Episode(task, user_seed=1)            # messages: system, first user message; tools: what is on offer
    while not episode.done:
        message = agent(episode.messages, episode.tools)     # data.schema.Message, role "assistant"
        result = episode.step(message)              # tool results, or the user's reply; done; info
    episode.state_hash() == task.expected_state()   # were the right changes made, and no others?
    episode.required_facts()                        # Facts the answers (``episode.answers``) must convey; {} conveys
    episode.breaches                                # of the policy

A message with tool calls runs them all; its text is not heard by the user. A message without calls is heard; an empty
one too. Whatever an agent does comes back as a tool error or as a puzzled user, never as an exception. The user's
manner, words and slips and the time-outs depend on ``user_seed``; what it wants, and so the expected state, does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from data.practice.calls import sound_arguments
from data.practice.declarations import Row
from data.practice.drawing import PracticeTask
from data.practice.errors import TIME_OUT, Weather
from data.practice.gold import Gold, owed
from data.practice.language import WEEKDAYS, say
from data.practice.log import Executed
from data.practice.manner import Manner
from data.practice.modelled import ModelledUser, Speaker
from data.practice.moves import UserMove
from data.practice.policing import Breach, breaches_before
from data.practice.user import User
from data.schema import Fact, Message, ToolCall, ToolSpec

MAX_TURNS = 30
"""Assistant messages after which an episode ends."""
MAX_CALLS = 8
"""Calls of one message that are run."""
TIME_OUT_RATE = 0.03
_ANY_CHANGE = "*"
"""What a model in the user's place says yes to: its words do not tell which change."""


@dataclass(frozen=True)
class StepResult:
    """What one assistant message led to."""

    messages: tuple[Message, ...]
    """Tool results in the order of the calls, or the user's reply, or nothing where the conversation has ended."""
    done: bool
    info: dict[str, Any] = field(default_factory=dict)
    """``reason`` it ended (``ended``, ``unsettled`` where the user left with something open, ``too_long``),
    ``breaches`` of this step, ``move``: what the user's reply is
    (kinds of ``moves.UserMove``), ``errors``: calls that failed."""


class Episode:
    """The state of one conversation. Episodes share nothing that changes."""

    def __init__(
        self,
        task: PracticeTask,
        user_seed: str | int,
        *,
        user: Speaker | None = None,
        errors: float = TIME_OUT_RATE,
        manner: Manner | None = None,
        gold: Gold | None = None,
        unjudged: bool = False,
    ) -> None:
        """Begin: the system message and the user's first message are there.

        Args:
            task: What the user wants, and where.
            user_seed: Seed of the user's manner and words, and of the time-outs.
            user: A model that plays the user in place of the rules; see ``data.practice.modelled``.
            errors: Share of calls that time out.
            manner: A manner in place of the one drawn.
            gold: Computed from the task if it is needed and not given.
            unjudged: Leave out what needs the gold conversation: rows wanted are chosen on sight, and nobody is
                somebody else. For the oracle's own use.
        """
        rng = Random(f"{task.id}|{user_seed}")
        self.task = task
        self.tools: tuple[ToolSpec, ...] = task.tools
        self.world = task.world()
        self.log: list[Executed] = []
        self.breaches: list[Breach] = []
        self.moves: list[UserMove] = []
        self.done = False
        self.reason = ""
        self.turns = 0
        self.gold = None if unjudged else gold or task.gold
        self._allowed = None if self.gold is None else self.gold.owners
        self._specs = {tool.name: tool for tool in task.tools}
        self._consent: str | None = None
        self._weather = Weather(errors, Random(f"{task.id}|{user_seed}|errors"))
        drawn = manner or Manner.sample(rng)
        matters = [matter for matter, tool in task.domain.outside.items() if tool is None or tool not in self._specs]
        wanted, impossible = (None, None) if self.gold is None else (self.gold.wanted, self.gold.impossible)
        self.user: User | ModelledUser = (
            ModelledUser(user)
            if user
            else User(task.domain, task.goals, drawn, task.today, matters, rng, wanted, impossible)
        )
        self.messages: list[Message] = [Message(role="system", content=_system(task))]
        self._hear(self.user.open() if isinstance(self.user, User) else self.user.open(self.messages))

    def step(self, message: Message) -> StepResult:
        """Take one assistant message.

        Raises:
            ValueError: The message is not an assistant's; nothing an assistant says raises.
        """
        if message.role != "assistant":
            raise ValueError(f"an episode is stepped with assistant messages, not with role {message.role}")
        if self.done:
            return StepResult((), True, {"reason": self.reason})
        self.turns += 1
        self.messages.append(message)
        before, breaches, calls = len(self.messages), len(self.breaches), len(self.log)
        if message.tool_calls:
            self.messages += [self._result(call, number) for number, call in enumerate(message.tool_calls)]
        else:
            self._listen(message.content or "")
        if self.turns >= MAX_TURNS and not self.done:
            self._end("too_long")
        info: dict[str, Any] = {
            "reason": self.reason,
            "breaches": self.breaches[breaches:],
            "errors": sum("error" in step.result for step in self.log[calls:]),
            "move": self.moves[-1].kind if self.moves and not message.tool_calls else None,
        }
        return StepResult(tuple(self.messages[before:]), self.done, info)

    @property
    def answers(self) -> tuple[str, ...]:
        """What the agent has said to the user so far."""
        return tuple(m.content or "" for m in self.messages if m.role == "assistant" and not m.tool_calls)

    def state_hash(self) -> str:
        """Hash of the rows as they are now; compare with ``task.expected_state()``."""
        return self.world.digest()

    def required_facts(self) -> tuple[Fact, ...]:
        """What the agent's answers must have conveyed, with the codes that this episode's changes were given."""
        return owed(self.gold or self.task.gold, self.log)

    @property
    def rows_chosen(self) -> list[Row | None]:
        """By goal: the row the user chose, if any."""
        return self.user.chosen if isinstance(self.user, User) else []

    def close(self) -> None:
        """Give the database's memory back."""
        self.world.close()

    def _end(self, reason: str) -> None:
        self.done, self.reason = True, reason

    def _hear(self, move: UserMove) -> None:
        self._take_consent(move)
        self.moves.append(move)
        self.messages.append(Message(role="user", content=move.text))

    def _listen(self, text: str) -> None:
        if self.moves[-1].kind == "leave":
            return self._leave()
        move = self.user.react(text, self.log) if isinstance(self.user, User) else self.user.react(self.messages)
        return self._leave() if move is None else self._hear(move)

    def _leave(self) -> None:
        """The user is gone; whether a model in their place is content its words do not tell."""
        self._end("ended" if isinstance(self.user, ModelledUser) or self.user.content else "unsettled")

    def _result(self, call: ToolCall, number: int) -> Message:
        result = (
            self._run(call) if number < MAX_CALLS else {"error": f"too many calls at once; the most is {MAX_CALLS}"}
        )
        return Message(role="tool", tool_call_id=call.id, content=to_text(result))

    def _run(self, call: ToolCall) -> Row:
        spec = self._specs.get(call.name)
        if spec is None:
            return {"error": f"unknown tool {call.name[:60]!r}; on offer: {', '.join(self._specs)}"}
        sound = sound_arguments(call.arguments, spec)
        if isinstance(sound, str):
            return self._logged(call.name, call.arguments, {"error": sound})
        if self._weather.strikes():
            return self._logged(call.name, sound, TIME_OUT)
        self._police(spec, sound)
        result = self._logged(call.name, sound, self.world.execute(call.name, sound, self.task.max_rows))
        if spec.is_write and "error" not in result:
            self._spend_consent(spec)
        return result

    def _logged(self, tool: str, arguments: Row, result: Row) -> Row:
        self.log.append(Executed(tool, arguments, result))
        return result

    def _police(self, spec: ToolSpec, arguments: Row) -> None:
        said = [value for move in self.moves for value in move.values.values()]
        for found in breaches_before(
            self.task.domain, self.world.connection, spec.name, arguments, self.log, self._allowed, said
        ):
            self._breach(found.kind, spec.name, found.detail)

    def _take_consent(self, move: UserMove) -> None:
        """A yes is to the change that was in question; a no, a correction or another errand takes it back."""
        if move.consents:
            self._consent = self.user.goal.task.write if isinstance(self.user, User) else _ANY_CHANGE
        elif move.kind in ("state", "refuse", "correct", "leave") or self._says_otherwise(move):
            self._consent = None

    def _says_otherwise(self, move: UserMove) -> bool:
        """Whether the user says another value than before."""
        said = {name: value for earlier in self.moves for name, value in earlier.values.items()}
        return any(said.get(name, value) != value for name, value in move.values.items())

    def _spend_consent(self, spec: ToolSpec) -> None:
        """One yes covers one change."""
        if self._consent not in (spec.name, _ANY_CHANGE):
            self._breach("unconfirmed_write", spec.name, f"{spec.name} changed something without the user's yes to it")
        self._consent = None

    def _breach(self, kind: Any, tool: str, detail: str) -> None:
        index = max(index for index, message in enumerate(self.messages) if message.role == "assistant")
        self.breaches.append(Breach(kind, tool, index, detail))


def to_text(result: Row) -> str:
    """A tool's result, or arguments, as the agent sees it; what is no valid text is replaced."""
    return json.dumps(result, ensure_ascii=False).encode("utf-8", "replace").decode()


def _system(task: PracticeTask) -> str:
    words = {"place": task.place, "weekday": WEEKDAYS[task.today.weekday()], "today": task.today.isoformat()}
    opening = say(task.domain.phrases, "system", Random(f"{task.id}|system"), words)
    return f"{opening} {task.domain.policy.text}"
