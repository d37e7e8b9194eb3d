"""How the answers of ``apprentice data …`` and ``apprentice forget`` look on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from data.diff import Difference
    from data.garbage import Garbage
    from data.lineage import Step
    from tasks.forgetting import ForgetReport

WIDEST = 300


def print_difference(found: Difference, most: int) -> None:
    """Counts per split, what caused the change, and the first conversations of each kind."""
    console = _console()
    causes = ", ".join(found.causes) or "nothing: it is one and the same version"
    console.print(Text(f"{found.before} → {found.after}; what differs: {causes}"))
    table = Table("split", "new", "changed", "removed", "unchanged")
    for split, counts in found.splits.items():
        table.add_row(split, *(f"{value:,}" for value in counts.model_dump().values()))
    console.print(table)
    for reason, (before, after) in found.quarantined.items():
        console.print(Text(f"quarantined {reason}: {before:,} → {after:,}"))
    _listed(console, "new", [f"{name} ({split})" for name, split in found.new.items()], most)
    _listed(console, "removed", [f"{name} ({split})" for name, split in found.removed.items()], most)
    changed = [f"{each.conversation_id} ({each.split}): {', '.join(each.parts)}" for each in found.changed]
    _listed(console, "changed", changed, most)


def _listed(console: Console, what: str, names: Sequence[str], most: int) -> None:
    for name in names[:most]:
        console.print(Text(f"  {what}  {name}"))
    if len(names) > most:
        console.print(Text(f"  … and {len(names) - most:,} more {what}; all of them with --format json"))


def print_steps(steps: Sequence[Step]) -> None:
    """One block per station."""
    console = _console()
    for step in steps:
        console.print(Text.assemble((step.what, "bold"), "  ", step.name))
        for name, value in step.facts.items():
            if value not in (None, "", [], {}):
                console.print(Text(f"    {name}: {_short(value)}"))


def print_garbage(found: Sequence[Garbage], *, freed: bool) -> None:
    """What can go or is gone, with its size."""
    console = _console()
    if not found:
        console.print("nothing to free: something refers to everything there is")
        return
    table = Table("what", "name", "size", "why")
    for item in found:
        table.add_row(item.kind, item.name, size(item.size), item.why)
    console.print(table)
    total = size(sum(item.size for item in found))
    console.print(f"freed {total}" if freed else f"would free {total}; to do it: apprentice data gc --yes")


def print_forgotten(report: ForgetReport) -> None:
    """What was erased, who had seen it, what is left to do by hand."""
    console, erased = _console(), report.erased
    console.print(Text(f"{erased.conversation_id} is forgotten{'' if erased.newly else ' (it was before)'}"))
    rows = [
        ("warehouse", f"{erased.warehouse_rows:,} rows"),
        *((f"snapshot {version}", f"rewritten, was in {split}") for version, split in erased.snapshots.items()),
        *((f"rollouts of {run}", f"{number:,} rows") for run, number in erased.rollouts.items()),
        *((f"evaluation {name}", f"{number:,} rows") for name, number in erased.evaluations.items()),
        *((name, f"{number:,} rows") for name, number in erased.other_files.items()),
    ]
    for place, what in rows:
        console.print(Text(f"  {place}: {what}"))
    if report.witnesses:
        console.print("Runs that had seen it; their models and the numbers in MLflow stay as they are:")
    for witness in report.witnesses:
        registered = f"; registered as {', '.join(witness.registered)}" if witness.registered else ""
        console.print(Text(f"  {witness.run_id} ({witness.stage}): {witness.how}{registered}"))
    for page in erased.quoted:
        console.print(Text(f"  {page} names or quotes it and stays: remove it, or make it anew"))
    if erased.same_record:
        console.print(Text(f"Other sources have the same record: {', '.join(erased.same_record)}; forget these too"))
    for place in report.raw_places:
        console.print(Text(f"The raw record still lies under {place}, which is yours: remove it there"))


def size(number: int) -> str:
    """``1.2 MB``."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=200)
