"""Rewards as TRL asks for them, one function per part, and the rollout rows that come of it.

TRL calls every reward function with the same batch. A completion is parsed and scored once, by the first of them; the
others read the parts, and ``rows`` turns the same scores into what is stored once advantages exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.rewards.compose import Scored, score, total
from models.speech.template import THINK_OPEN

RewardFunction = Callable[..., list[float | None]]
PARTS = ("format", "tool_accuracy", "answer_correctness")


class BatchScorer:
    """Scores one generation batch at a time; see the module."""

    def __init__(self, points: Mapping[str, DecisionPoint], settings: GRPOSettings, dataset_version: str) -> None:
        self._points = points
        self._settings = settings
        self._dataset_version = dataset_version
        self._texts: list[str] = []
        self.batch: list[tuple[DecisionPoint, str, Scored]] = []

    def functions(self) -> list[RewardFunction]:
        """The reward functions for TRL, named ``reward_<part>``."""
        return [self._function(part) for part in PARTS]

    def _function(self, part: str) -> RewardFunction:
        def reward(completions: Sequence[str], decision_point_id: Sequence[str], **unused: Any) -> list[float | None]:
            self._score(completions, decision_point_id)
            return [getattr(scored.parts, part) for _, _, scored in self.batch]

        reward.__name__ = f"reward_{part}"
        return reward

    def _score(self, completions: Sequence[str], ids: Sequence[str]) -> None:
        opener = THINK_OPEN if self._settings.thinking else ""
        texts = [opener + completion for completion in completions]
        if texts == self._texts and [point.id for point, _, _ in self.batch] == list(ids):
            return
        self._texts = texts
        points = [self._points[identifier] for identifier in ids]
        self.batch = [
            (point, text, score(point, text, thinking=self._settings.thinking))
            for point, text in zip(points, texts, strict=True)
        ]

    def rewards(self) -> list[float]:
        """The weighted sum of each completion of the last batch."""
        return [total(scored.parts, self._settings.weights) for _, _, scored in self.batch]

    def rows(
        self, advantages: Sequence[float], lengths: Sequence[int], truncated: Sequence[bool]
    ) -> list[dict[str, Any]]:
        """Rollout rows of the last batch, in the order TRL generated it: groups of ``num_generations``."""
        group = self._settings.num_generations
        return [
            {
                "decision_point_id": point.id,
                "completion_index": index % group,
                "dataset_version": self._dataset_version,
                "split": point.split,
                "kind": point.kind,
                "domain": point.domain,
                "tool": point.tool,
                "thinking": self._settings.thinking,
                "text": text,
                "reasoning": scored.parsed.reasoning,
                "action": scored.parsed.action,
                "parse_status": str(scored.parsed.status),
                "reward": total(scored.parts, self._settings.weights),
                "reward_format": scored.parts.format,
                "reward_tool_accuracy": scored.parts.tool_accuracy,
                "reward_answer_correctness": scored.parts.answer_correctness,
                "advantage": advantages[index],
                "completion_tokens": lengths[index],
                "truncated": truncated[index],
                "temperature": self._settings.temperature,
            }
            for index, (point, text, scored) in enumerate(self.batch)
        ]

    def figures(self) -> dict[str, float]:
        """What TRL does not count, or counts wrongly: zero-variance groups, malformed and calling shares."""
        if not self.batch:
            return {}
        group = self._settings.num_generations
        rewards = self.rewards()
        groups = [rewards[start : start + group] for start in range(0, len(rewards), group)]
        parsed = [scored.parsed for _, _, scored in self.batch]
        answers = [
            item.attempted_call
            for (point, _, _), item in zip(self.batch, parsed, strict=True)
            if point.kind == "answer"
        ]
        return {
            "train/zero_variance_groups": float(sum(max(one) - min(one) < 1e-6 for one in groups)),
            "train/groups": float(len(groups)),
            "train/malformed_share": sum(not item.ok for item in parsed) / len(parsed),
            "train/call_share": sum(item.attempted_call for item in parsed) / len(parsed),
            **({"train/call_share_on_answer_turns": sum(answers) / len(answers)} if answers else {}),
        }
