"""pass^k: how likely an agent is to succeed at a task k times out of k, and where its episodes go wrong.

pass@k asks whether one of k attempts succeeds; a service desk needs the opposite, that all of them do. The estimator is
τ-bench's (Yao et al. 2024, arXiv 2406.12045, section 4): with c successes in n trials of a task, ``C(c, k) / C(n, k)``,
averaged over tasks. Trials differ in the user's manner and in what is sampled, the goal is the same. Intervals are
clustered by task.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import TYPE_CHECKING

from models.evaluation.statistics import Interval, clustered_interval
from models.evaluation.table import exposure

if TYPE_CHECKING:
    import pandas as pd

MOST_TRIALS = 4
SUMMARY_COLUMNS = ("group", "value", "metric", "mean", "low", "high", "n", "clusters")
#: Averages over episodes beside pass^k: name → column.
MEANS = {
    "state_right": "state_right",
    "facts": "facts",
    "breach": "breach",
    "turns": "turns",
    "calls": "calls",
    "call_errors": "call_errors",
}


def pass_hat_k(trials: int, successes: int, k: int) -> float:
    """Unbiased estimate, from one task's trials, of the probability that k trials in a row succeed.

    Raises:
        ValueError: There are fewer than k trials, or more successes than trials.
    """
    if not 0 < k <= trials:
        raise ValueError(f"pass^{k} needs at least {k} trials of a task, there are {trials}")
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes cannot come of {trials} trials")
    return comb(successes, k) / comb(trials, k)


def pass_interval(episodes: pd.DataFrame, k: int) -> Interval:
    """pass^k over the tasks with at least k trials, with a 95 % interval over tasks; n counts those tasks.

    Args:
        episodes: Rows with ``task_id`` and ``success``.
        k: See ``pass_hat_k``.
    """
    tasks = episodes.groupby("task_id")["success"].agg(["size", "sum"])
    tasks = tasks[tasks["size"] >= k]
    estimates = [pass_hat_k(int(n), int(c), k) for n, c in zip(tasks["size"], tasks["sum"], strict=True)]
    return clustered_interval(estimates, tasks.index.to_numpy(dtype=str))


def summarise_episodes(episodes: pd.DataFrame) -> pd.DataFrame:
    """pass^1 to pass^4 (``pass_1`` …) and the means of ``MEANS``, for all, by exposure, split and domain.

    Args:
        episodes: Rows of ``data.episodes`` of one model.

    Returns:
        Rows with the columns of ``models.evaluation.table.summarise``, so that both can lie in one table. pass^k of a
        group in which no task has k trials has no row.
    """
    import pandas as pd

    rows = [
        (group, value, metric, interval.mean, interval.low, interval.high, interval.n, interval.clusters)
        for group, value, part in _groups(episodes)
        for metric, interval in _metrics(part)
        if interval.n
    ]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def causes(episodes: pd.DataFrame) -> pd.DataFrame:
    """Why episodes failed: one row per exposure and cause with its share of the failures, the commonest first.

    Returns:
        Columns ``value`` (exposure), ``cause``, ``episodes``, ``share``, ``turn`` (mean first failing turn).
    """
    failed = episodes[~episodes["success"].astype(bool)]
    counted = failed.groupby([failed["split"].map(exposure), "cause"])["failed_turn"].agg(["size", "mean"])
    counted = counted.rename_axis(["value", "cause"]).reset_index()
    counted["share"] = counted["size"] / counted.groupby("value")["size"].transform("sum")
    counted = counted.rename(columns={"size": "episodes", "mean": "turn"})
    return counted.sort_values(["value", "episodes", "cause"], ascending=[True, False, True], ignore_index=True)


def _groups(episodes: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    breach = episodes["breaches"].map(len) > 0
    exposed = episodes.assign(all="all", exposure=episodes["split"].map(exposure), breach=breach)
    for group in ("all", "exposure", "split", "domain"):
        for value, part in exposed.groupby(group, sort=True):
            yield group, str(value), part


def _metrics(part: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    for k in range(1, MOST_TRIALS + 1):
        yield f"pass_{k}", pass_interval(part, k)
    for name, column in MEANS.items():
        values = part[column].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
        yield name, clustered_interval(values, part["task_id"].to_numpy(dtype=str))
