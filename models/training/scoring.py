"""Rewards as TRL asks for them, one function per part, and the rollout rows that come of it.

TRL calls every reward function with the same batch. A completion is parsed and scored once, by the first of them; the
others read the parts, and ``rows`` turns the same scores into what is stored once advantages exist. Draws that were
discarded (``zero_variance``) are kept beside the batch: they were sampled, so they are stored and count as attempts.

A completion that was cut at its token limit is scored as malformed, whatever it says so far: paid in full, a policy
would learn not to end its turn. TRL hands the tokens on as ``completion_ids``; without them everything counts as ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.rewards.compose import Scored
from models.rewards.variants import Reward, load_reward
from models.speech.parsing import ParseStatus
from models.speech.template import THINK_OPEN
from models.training import ranks
from models.training.advantages import AdvantageRule, flat_groups, part_table

RewardFunction = Callable[..., list[float | None]]
PARTS = ("format", "tool_accuracy", "answer_correctness")
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Judged:
    """One completion with its decision point and its score."""

    point: DecisionPoint
    text: str
    scored: Scored
    cut: bool = False
    """Whether it stopped at its token limit, as far as it was told when it was scored."""

    @property
    def parts(self) -> list[float | None]:
        """The reward's parts in the order of ``PARTS``."""
        return [getattr(self.scored.parts, part) for part in PARTS]


@dataclass(frozen=True)
class Discarded:
    """A group that another draw replaced: its completions with their lengths and whether they were cut."""

    draw: int
    members: list[Judged]
    lengths: list[int]
    truncated: list[bool]


@dataclass
class BatchScorer:
    """Scores one generation batch at a time; see the module."""

    points: Mapping[str, DecisionPoint]
    settings: GRPOSettings
    dataset_version: str
    batch: list[Judged] = field(default_factory=list)
    discarded: list[Discarded] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)
    """The draw each group of the batch comes from; empty means all from the first."""
    end_of_turn: int | None = None
    """Token that ends a turn; its trainer knows. While it is not known every completion counts as ended."""
    cut: list[bool] = field(default_factory=list)
    """Which completions of the batch were cut at their token limit; empty means none."""
    _maxima: dict[str, float] = field(default_factory=dict)

    @cached_property
    def reward(self) -> Reward:
        """The reward that the settings name."""
        return load_reward(self.settings.reward, self.settings.weights)

    @property
    def rule(self) -> AdvantageRule:
        """How parts become advantages."""
        return advantage_rule(self.settings, self.reward)

    def functions(self) -> list[RewardFunction]:
        """The reward functions for TRL, named ``reward_<part>``."""
        return [self._function(part) for part in PARTS]

    def of_all_ranks(self) -> BatchScorer:
        """One for the generation batch of all ranks, whose groups follow each other by rank."""
        if ranks.count() == 1:
            return self
        draws = [self.draw_of(group) for group in range(len(self.batch) // self.settings.num_generations)]
        return replace(
            self,
            batch=ranks.gathered(self.batch),
            discarded=ranks.gathered(self.discarded),
            draws=ranks.gathered(draws),
        )

    def begin(self) -> None:
        """Forget the draws of the batch before."""
        self.discarded, self.draws = [], []

    def _function(self, part: str) -> RewardFunction:
        def reward(
            completions: Sequence[str],
            decision_point_id: Sequence[str],
            completion_ids: Sequence[Sequence[int]] = (),
            **unused: Any,
        ) -> list[float | None]:
            self.cut = cut_short(completion_ids, self.end_of_turn)
            self._score(completions, decision_point_id)
            return [getattr(one.scored.parts, part) for one in self.batch]

        reward.__name__ = f"reward_{part}"
        return reward

    def _score(self, completions: Sequence[str], ids: Sequence[str]) -> None:
        cut = self.cut or [False] * len(completions)
        wanted = list(zip(ids, map(self._opened, completions), cut, strict=True))
        if wanted != [(one.point.id, one.text, one.cut) for one in self.batch]:
            self.batch = self.judge(completions, ids, cut)

    def judge(self, completions: Sequence[str], ids: Sequence[str], cut: Sequence[bool] = ()) -> list[Judged]:
        """Completions as TRL decodes them, scored at their decision points; ``cut`` as the field of that name."""
        told = cut or [False] * len(completions)
        return [
            self._judged(self.points[identifier], self._opened(completion), one)
            for identifier, completion, one in zip(ids, completions, told, strict=True)
        ]

    def _judged(self, point: DecisionPoint, text: str, cut: bool) -> Judged:
        return Judged(point, text, self.reward.score(point, text, thinking=self.settings.thinking, cut=cut), cut)

    def _opened(self, completion: str) -> str:
        return (THINK_OPEN if self.settings.thinking else "") + completion

    def flat(self, judged: Sequence[Judged]) -> list[bool]:
        """Which groups of these completions have no variance."""
        return flat_groups(part_table([one.parts for one in judged]), self.rule)

    def rewards(self) -> list[float]:
        """The whole reward of each completion of the last batch."""
        return [self.reward.total(one.scored.parts) for one in self.batch]

    def maximum(self, point: DecisionPoint) -> float:
        """The greatest reward at this point."""
        if point.id not in self._maxima:
            self._maxima[point.id] = self.reward.maximum(point)
        return self._maxima[point.id]

    def rows(
        self, advantages: Sequence[float], lengths: Sequence[int], truncated: Sequence[bool]
    ) -> list[dict[str, Any]]:
        """Rollout rows of the last batch in the order TRL generated it, then those of its discarded groups."""
        group = self.settings.num_generations
        rows = [
            self._row(one, index % group, self.draw_of(index // group), lengths[index], truncated[index])
            | {"advantage": advantages[index], "discarded": False}
            for index, one in enumerate(self.batch)
        ]
        return rows + [
            self._row(one, index, other.draw, other.lengths[index], other.truncated[index])
            | {"advantage": 0.0, "discarded": True}
            for other in self.discarded
            for index, one in enumerate(other.members)
        ]

    def draw_of(self, group: int) -> int:
        """Which draw a group of the batch comes from, counted from 0."""
        return self.draws[group] if self.draws else 0

    def _row(self, one: Judged, index: int, draw: int, length: int, truncated: bool) -> dict[str, Any]:
        point, scored, total = one.point, one.scored, self.reward.total(one.scored.parts)
        status = scored.parsed.status
        return {
            "decision_point_id": point.id,
            "completion_index": index,
            "draw": draw,
            "dataset_version": self.dataset_version,
            "split": point.split,
            "kind": point.kind,
            "domain": point.domain,
            "tool": point.tool,
            "thinking": self.settings.thinking,
            "text": one.text,
            "reasoning": scored.parsed.reasoning,
            "action": scored.parsed.action,
            "parse_status": "truncated" if one.cut and status is ParseStatus.OK else str(status),
            "reward": total,
            "reward_format": scored.parts.format,
            "reward_tool_accuracy": scored.parts.tool_accuracy,
            "reward_answer_correctness": scored.parts.answer_correctness,
            "passed": total >= self.maximum(point) - _TOLERANCE and not truncated,
            "completion_tokens": length,
            "truncated": truncated,
            "temperature": self.settings.temperature,
        }

    def figures(self) -> dict[str, float]:
        """What TRL does not count, or counts wrongly: zero-variance groups, malformed and calling shares."""
        if not self.batch:
            return {}
        flat = self.flat(self.batch)
        parsed = [one.scored.parsed for one in self.batch]
        answers = [one.scored.parsed.attempted_call for one in self.batch if one.point.kind == "answer"]
        return {
            "train/zero_variance_groups": float(sum(flat)),
            "train/groups": float(len(flat)),
            "train/discarded_groups": float(len(self.discarded)),
            "train/malformed_share": sum(not item.ok for item in parsed) / len(parsed),
            "train/call_share": sum(item.attempted_call for item in parsed) / len(parsed),
            **({"train/call_share_on_answer_turns": sum(answers) / len(answers)} if answers else {}),
        }


def cut_short(completion_ids: Sequence[Sequence[int]], end: int | None) -> list[bool]:
    """Which completions stopped at their token limit: those whose last token is not ``end``, where that is known."""
    return [end is not None and len(ids) > 0 and ids[-1] != end for ids in completion_ids]


def advantage_rule(settings: GRPOSettings, reward: Reward) -> AdvantageRule:
    """The settings as TRL will apply them to this reward's parts."""
    return AdvantageRule(
        weights=tuple(getattr(reward.weights, part) for part in PARTS),
        group=settings.num_generations,
        scale=settings.scale_rewards,
        aggregation=settings.aggregation,
    )
