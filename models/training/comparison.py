"""What another reward would have taught: stored against recomputed rewards and advantages, group by group.

Advantages depend on the order within a group, so agreement is Kendall's tau-b there (ties count as ties), averaged over
the groups in which both rewards differ at all. A sign flip is a completion that was pushed up and would now be pushed
down, or the other way round: what GRPO would unlearn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.training.advantages import flat_groups, part_table
from models.training.replay import Replayed
from models.training.scoring import PARTS

if TYPE_CHECKING:
    import pandas

#: Advantages closer to 0 push nowhere.
STILL = 1e-6
#: Rewards closer than this rank alike.
TIE = 1e-9
ANSWER_TURNS = "(answer turns)"


@dataclass(frozen=True)
class Comparison:
    """Shares are in [0, 1]; None where nothing could be compared."""

    completions: int
    groups: int
    rank_agreement: float | None
    """Mean Kendall's tau-b over ``compared_groups``."""
    compared_groups: int
    zero_variance_before: float
    zero_variance_after: float
    sign_flips: float
    """Share of all completions whose advantage has the opposite sign."""
    awakened: float
    """Share of all completions that got no push and would get one."""
    silenced: float
    """Share that got a push and would get none."""
    rewards_equal: float
    advantages_equal: float
    """Shares of completions whose reward, and advantage, comes out exactly as it was stored."""

    def as_row(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def compare(replayed: Replayed) -> Comparison:
    """The comparison over all completions of a replay."""
    frame = replayed.rollouts
    size = replayed.before.group
    tau = rank_agreement(_grouped(frame["reward"], size), _grouped(frame["new_reward"], size))
    old, new = _signs(frame["advantage"]), _signs(frame["new_advantage"])
    before = flat_groups(part_table(_parts(frame, "reward_")), replayed.before)
    after = flat_groups(part_table(_parts(frame, "new_")), replayed.after)
    return Comparison(
        completions=len(frame),
        groups=len(before),
        rank_agreement=_mean(tau),
        compared_groups=int(np.isfinite(tau).sum()),
        zero_variance_before=float(np.mean(before)),
        zero_variance_after=float(np.mean(after)),
        sign_flips=float(np.mean(old * new < 0)),
        awakened=float(np.mean((old == 0) & (new != 0))),
        silenced=float(np.mean((old != 0) & (new == 0))),
        rewards_equal=float((frame["reward"] == frame["new_reward"]).mean()),
        advantages_equal=float((frame["advantage"] == frame["new_advantage"]).mean()),
    )


def by_tool(replayed: Replayed) -> pandas.DataFrame:
    """One row per tool that was due (answer turns together), the least agreement first, then the most flips.

    Columns: tool, groups, rank_agreement, sign_flips, reward_before, reward_after.
    """
    import pandas as pd

    frame, size = replayed.rollouts, replayed.before.group
    tau = rank_agreement(_grouped(frame["reward"], size), _grouped(frame["new_reward"], size))
    flips = _signs(frame["advantage"]) * _signs(frame["new_advantage"]) < 0
    groups = pd.DataFrame(
        {
            "tool": frame["tool"].fillna(ANSWER_TURNS).to_numpy()[::size],
            "rank_agreement": tau,
            "sign_flips": flips.reshape(-1, size).mean(axis=1),
            "reward_before": _grouped(frame["reward"], size).mean(axis=1),
            "reward_after": _grouped(frame["new_reward"], size).mean(axis=1),
        }
    )
    table = groups.groupby("tool").mean()
    table.insert(0, "groups", groups.groupby("tool").size())
    return table.sort_values(["rank_agreement", "sign_flips"], ascending=[True, False]).reset_index()


def largest_flips(replayed: Replayed, most: int = 5) -> pandas.DataFrame:
    """The completions whose push would turn most: decision point, action, rewards and advantages before and after."""
    frame = replayed.rollouts
    turned = frame[_signs(frame["advantage"]) * _signs(frame["new_advantage"]) < 0]
    change = (turned["new_advantage"] - turned["advantage"]).abs()
    worst = turned.loc[change.sort_values(ascending=False, kind="stable").index].drop_duplicates(
        ["decision_point_id", "text"]
    )
    columns = ["decision_point_id", "tool", "action", "reward", "new_reward", "advantage", "new_advantage"]
    return worst[columns].head(most).reset_index(drop=True)


def rank_agreement(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each row of two ``(groups, size)`` arrays; NaN where either has no variance (Kendall 1945)."""
    left, right = _orders(before), _orders(after)
    scale = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (left * right).sum(axis=1) / scale, np.nan)


def _orders(values: np.ndarray) -> np.ndarray:
    """-1, 0 or 1 for each pair of columns, ``(groups, pairs)``."""
    first, second = np.triu_indices(values.shape[1], k=1)
    difference = values[:, first] - values[:, second]
    return np.sign(np.where(np.abs(difference) < TIE, 0.0, difference))


def _grouped(values: pandas.Series, size: int) -> np.ndarray:
    return values.to_numpy(dtype=float).reshape(-1, size)


def _signs(advantages: pandas.Series) -> np.ndarray:
    values = advantages.to_numpy(dtype=float)
    return np.sign(np.where(np.abs(values) < STILL, 0.0, values))


def _parts(frame: pandas.DataFrame, prefix: str) -> list[list[float | None]]:
    return frame[[f"{prefix}{part}" for part in PARTS]].to_numpy(dtype=float).tolist()


def _mean(values: np.ndarray) -> float | None:
    found = values[np.isfinite(values)]
    return float(found.mean()) if len(found) else None
