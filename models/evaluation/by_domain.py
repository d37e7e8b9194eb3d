"""Which tools a difference comes from: an interval over conversations says nothing of tools that are not in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.document import ArmRows, first_frame, matched, table
from models.evaluation.pairing import Seeded, item_of, scores

if TYPE_CHECKING:
    import pandas as pd

#: Domains that have a row; the smaller ones beyond share one.
MOST = 20
UNNAMED = "(none)"


def differences(before: Seeded, after: Seeded) -> pd.DataFrame:
    """Mean difference of turn success in each domain, one column a seed, domains with the most turns first.

    Args:
        before: Rows of one arm by seed, of the same seeds as ``after`` (``document.matched``).
        after: Of the other.
    """
    import pandas as pd

    columns = {}
    for seed, frame in sorted(after.items()):
        paired = scores(frame, "turn_success") - scores(before[seed], "turn_success")
        columns[seed] = paired.dropna().groupby(domains(frame)).mean()
    found = pd.DataFrame(columns)
    turns = domains(after[min(after)]).value_counts()
    return found.loc[sorted(found.index, key=lambda name: (-turns.get(name, 0), str(name)))]


def domains(frame: pd.DataFrame) -> pd.Series:
    """The domain of each item, by item."""
    return frame.assign(item=frame["decision_point_id"].map(item_of)).set_index("item")["domain"].fillna(UNNAMED)


def section(arms: Sequence[ArmRows], questions: Sequence[tuple[str, str, str]], where: str) -> str:
    """How many domains stand behind a slice, and each question's difference in each of them.

    The last row weighs every domain alike: where it differs from the row above, the largest ones decide that.
    """
    frame = first_frame(arms[0], where)
    named = frame.assign(domain=frame["domain"].fillna(UNNAMED))
    if not len(named):
        return ""
    sizes = named["domain"].value_counts()
    how_many = (
        f"one domain, {sizes.index[0]}"
        if len(sizes) == 1
        else f"{len(sizes)} domains, {100 * sizes.iloc[0] / sizes.sum():.0f} % of them of {sizes.index[0]}"
    )
    told = (
        f"These turns are of {how_many}. The intervals say how far other conversations with these tools would "
        "differ, not how far other tools would."
    )
    columns = _columns(arms, questions, where)
    if len(sizes) < 2 or not columns:
        return f"## By domain, {where} tools\n\n{told}"
    shown, rest = list(sizes.index[:MOST]), list(sizes.index[MOST:])
    conversations = named.groupby("domain")["conversation_id"].nunique()
    rows = [
        [name, f"{sizes[name]} / {conversations[name]}", *(_cell(one.loc[[name]].mean()) for one in columns.values())]
        for name in shown
    ]
    if rest:
        cells = (_cell(_weighted(one.loc[rest], sizes)) for one in columns.values())
        rows.append([f"{len(rest)} smaller ones", f"{sizes[rest].sum()} / –", *cells])
    rows.append(["all turns", f"{sizes.sum()} / –", *(_cell(_weighted(one, sizes)) for one in columns.values())])
    rows.append(["every domain alike", "–", *(_cell(one.mean()) for one in columns.values())])
    return (
        f"## By domain, {where} tools\n\n{told} Differences in points, in brackets seed by seed; with few "
        f"conversations a row is chance.\n\n{table(['domain', 'turns / conversations', *columns], rows)}"
    )


def _columns(arms: Sequence[ArmRows], questions: Sequence[tuple[str, str, str]], where: str) -> dict[str, pd.DataFrame]:
    """By heading: differences by domain and seed of the questions between two trained arms."""
    by_name = {arm.name: arm for arm in arms if arm.trained}
    found = {}
    for after, before, _ in questions:
        if after in by_name and before in by_name:
            both = matched(by_name[before], by_name[after], where)
            if both is not None:
                found[f"{by_name[after].title} − {by_name[before].title}"] = differences(*both)
    return found


def _weighted(one: pd.DataFrame, sizes: pd.Series) -> pd.Series:
    import pandas as pd

    weights = sizes.reindex(one.index).to_numpy(dtype=float)
    return pd.Series(np.average(one.to_numpy(dtype=float), axis=0, weights=weights), index=one.columns)


def _cell(by_seed: pd.Series) -> str:
    """``+3.8 (+7.1, +0.5)``: the mean over seeds, and each seed's own where there are several."""
    each = ", ".join(f"{100 * value:+.1f}" for value in by_seed)
    return f"{100 * by_seed.mean():+.1f}" + (f" ({each})" if len(by_seed) > 1 else "")
