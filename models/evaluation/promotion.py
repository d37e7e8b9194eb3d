"""Whether a challenger takes the champion's place: one gain that must be shown, and losses that must be ruled out.

The gain: turn success on unseen tools, paired by decision point, its interval above zero. The losses: on each guarded
slice the whole interval of the difference must lie above minus its margin, so a slice too small to tell also stands in
the way, and says so (``models/evaluation/guards.py``).

All must hold at once, which makes a wrong promotion no likelier than the weakest of them alone (intersection–union
test, Berger 1982), so nothing has to be corrected for their number. A tie never promotes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.evaluation.guards import Guard, guarded
from models.evaluation.statistics import Interval, clustered_interval
from models.evaluation.table import METRICS, exposure
from models.evaluation.verdicts import MARGIN, Pairs, Verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

POLICY = "policy"
#: Suffixes of the columns of two models side by side.
SIDES = ("_before", "_after")


class Slice(NamedTuple):
    """Turns and the metric they are compared by: an entry of ``METRICS``, on one exposure or on all turns."""

    metric: str
    where: str | None = None


UNSEEN, SEEN = "unseen tools", "seen tools"
#: Where the gain must be shown. The second counts where no domain is held out of training, as in conversations that
#: state none: then there are no unseen tools to judge on.
HEADLINES: dict[str, Slice] = {UNSEEN: Slice("turn_success", "unseen"), SEEN: Slice("turn_success", "seen")}
#: What must not get worse. That calls pay better than answers makes no-call turns the first victim of a reward.
GUARDED: dict[str, Slice] = {
    "no-call turns": Slice("no_call_right"),
    SEEN: HEADLINES[SEEN],
    "format": Slice("format_ok"),
}
#: Loss that is still borne, by guarded slice; ``CONVERSATIONS`` of a split are enough to rule it out.
MARGINS: dict[str, float] = {"no-call turns": MARGIN, SEEN: MARGIN, "format": 0.02, POLICY: 0.05}

#: Conversations of a split to judge, so that a model that is no worse passes the guards; benchmarks/promotion.py
#: measures how often.
CONVERSATIONS = 250
#: Tasks of a split to play, where models play episodes: 5 points of policy need 73 in all.
TASKS = 75


class NothingShared(ValueError):
    """Two models were judged on no common decision points; the message says what to do."""


@dataclass(frozen=True)
class Decision:
    """The word, why, and everything needed to doubt it."""

    promote: bool
    reasons: tuple[str, ...]
    """One sentence for each thing that stands in the way; if none does, what the gain is."""
    headline: Verdict
    gain_on: str
    """The slice of ``headline``: ``UNSEEN``, or ``SEEN`` where no tools are held out of training."""
    guards: dict[str, Guard]
    scores: dict[str, dict[str, Interval]]
    """``champion`` and ``challenger`` → name of the slice → its mean with interval, on the shared items."""
    items: int
    """Decision points compared."""

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, to be stored as evidence."""
        return {
            "promote": self.promote,
            "reasons": list(self.reasons),
            "items": self.items,
            "headline": finite(self.headline.as_row()),
            "gain_on": self.gain_on,
            "guards": {name: finite(one.as_row()) for name, one in self.guards.items()},
            "scores": {
                who: {name: finite(asdict(one)) for name, one in slices.items()} for who, slices in self.scores.items()
            },
        }


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose NaN and infinity became None, which JSON can say; those of nested rows and lists too."""
    return {key: _finite(value) for key, value in row.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decide(
    champion: pd.DataFrame,
    challenger: pd.DataFrame,
    *,
    conversations: Collection[str] | None = None,
    policy: Pairs | None = None,
    policy_due: bool = False,
    held_out: bool = True,
    margins: Mapping[str, float] = MARGINS,
    seed: int = 0,
) -> Decision:
    """Compare two models on the decision points that both were judged on.

    Args:
        champion: Rows with the columns of ``data.evaluations``, of the model in use.
        challenger: The same of the one that wants its place.
        conversations: Ids of those that may be compared: the frozen evaluation set; None: all.
        policy: Episodes without a breach of policy, where both models played any (``policy_pairs``).
        policy_due: Whether models of this source play episodes, so that having none stands in the way.
        held_out: Whether their datasets hold tools out of training, on which the gain must show then.
        margins: Loss that is still borne, by guarded slice.
        seed: Of the bootstrap.

    Raises:
        NothingShared: No decision points are left to compare.
    """
    both = _joined(champion, challenger, conversations)
    gain_on = UNSEEN if held_out else SEEN
    headline = verdict(_pairs(both, HEADLINES[gain_on]), seed=seed)
    compared = {name: _pairs(both, one) for name, one in GUARDED.items()}
    if policy is not None:
        compared[POLICY] = policy
    guards = {name: guarded(pairs, margins[name], seed=seed) for name, pairs in compared.items()}
    reasons = _reasons(headline, gain_on, guards)
    if policy_due and policy is None:
        reasons += ("policy: both models played no episodes in common (--set evaluation.episodes.tasks=…)",)
    return Decision(
        promote=not reasons,
        reasons=reasons or (f"turn success on {gain_on}: {headline.line()}",),
        headline=headline,
        gain_on=gain_on,
        guards=guards,
        scores={who: _scores(both, side, gain_on) for who, side in (("champion", "_before"), ("challenger", "_after"))},
        items=len(both),
    )


def scores_of(rows: pd.DataFrame, conversations: Collection[str] | None = None) -> dict[str, Interval]:
    """A model's own figures by slice, for the one that had nobody to beat.

    Raises:
        NothingShared: No decision points are left.
    """
    both = _joined(rows, rows, conversations)
    return _scores(both, "_after", UNSEEN if (both["exposure"] == "unseen").any() else SEEN)


def policy_pairs(champion: pd.DataFrame, challenger: pd.DataFrame) -> Pairs | None:
    """Episodes that both models played (same task, same user), 1 where no policy was breached; None if there are none.

    Args:
        champion: Episodes with ``task_id``, ``trial``, ``user_seed`` and ``breaches`` (a list of names).
        challenger: The same.
    """
    key = ["task_id", "trial", "user_seed"]
    both = champion[[*key, "breaches"]].merge(
        challenger[[*key, "breaches"]], on=key, suffixes=SIDES, validate="one_to_one"
    )
    if both.empty:
        return None
    clean = {side: np.asarray(both[f"breaches{side}"].map(len) == 0, dtype=np.float64) for side in SIDES}
    return Pairs(clean["_before"], clean["_after"], both["task_id"].to_numpy(dtype=str))


_KEYS = ["decision_point_id", "conversation_id", "split", "kind"]


def _joined(champion: pd.DataFrame, challenger: pd.DataFrame, conversations: Collection[str] | None) -> pd.DataFrame:
    columns = sorted({METRICS[one.metric][0] for one in (*HEADLINES.values(), *GUARDED.values())})
    kept = [*_KEYS, *columns]
    both = champion[kept].merge(challenger[kept], on=_KEYS, suffixes=SIDES, validate="one_to_one")
    if conversations is not None:
        both = both[both["conversation_id"].isin(set(conversations))]
    if both.empty:
        raise NothingShared(
            "the two models share no judged decision points of the frozen evaluation set; judge both with more "
            "(--decision-points, --minutes), or ingest the source of one again"
        )
    return both.assign(exposure=both["split"].map(exposure)).reset_index(drop=True)


def _pairs(both: pd.DataFrame, part: Slice) -> Pairs:
    column, _ = METRICS[part.metric]
    rows = _rows_of(both, part)
    before, after = (_numbers(rows[f"{column}{side}"]) for side in SIDES)
    return Pairs(before, after, rows["conversation_id"].to_numpy(dtype=str))


def _rows_of(both: pd.DataFrame, part: Slice) -> pd.DataFrame:
    _, kind = METRICS[part.metric]
    chosen = both if part.where is None else both[both["exposure"] == part.where]
    return chosen if kind is None else chosen[chosen["kind"] == kind]


def _numbers(values: pd.Series) -> Any:
    return values.astype("Float64").to_numpy(dtype=float, na_value=float("nan"))


def _scores(both: pd.DataFrame, side: str, gain_on: str) -> dict[str, Interval]:
    slices = {gain_on: HEADLINES[gain_on], **GUARDED}
    found = {}
    for name, part in slices.items():
        rows = _rows_of(both, part)
        values = _numbers(rows[f"{METRICS[part.metric][0]}{side}"])
        found[name] = clustered_interval(values, rows["conversation_id"].to_numpy(dtype=str))
    return found


def _reasons(headline: Verdict, gain_on: str, guards: Mapping[str, Guard]) -> tuple[str, ...]:
    """What stands in the way."""
    found = []
    if headline.word != "better":
        nothing = "none of their turns can be compared"
        found.append(f"no gain shown on {gain_on}: {headline.line() if headline.difference.n else nothing}")
    for name, one in guards.items():
        if not one.ruled_out:
            found.append(_doubt(name, one))
    return tuple(found)


def _doubt(name: str, guard: Guard) -> str:
    found = guard.verdict.difference
    margin = f"{100 * guard.verdict.margin:g} points"
    if found.clusters < 2:
        return f"{name}: too few turns to rule out a loss of {margin}"
    low, mean, high, lowest = (100 * value for value in (found.low, found.mean, found.high, guard.lowest))
    figures = f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}], n = {found.n}"
    if found.high < 0:
        return f"{name}: worse ({figures})"
    of, enough = "tasks" if name == POLICY else "conversations", guard.needed
    more = "" if enough is None or enough <= found.clusters else f", on {found.clusters} {of} of at least {enough}"
    return f"{name}: a loss of {margin} cannot be ruled out, down to {lowest:+.1f} ({figures}{more})"
