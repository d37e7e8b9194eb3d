"""What an ingestion did, as the table it ends with: changes, splits, what was refused and why, what repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from data.ingest import IngestReport
from data.schema import SPLITS

if TYPE_CHECKING:
    from rich.table import Table

#: Kinds of duplicates in words.
_DUPLICATES = {
    "exact": "says the same as one to be judged by",
    "near": "nearly the same as one to be judged by",
    "exact_elsewhere": "the same as one of another source or an earlier version",
    "near_elsewhere": "nearly the same as one of another source or an earlier version",
    "exact_within_split": "repeats another of its own split (kept)",
}


def ingest_table(report: IngestReport) -> Table:
    """One row per count, grouped, in a fixed order; groups without anything are left out."""
    from rich.table import Table

    state = "reused" if report.reused else f"{report.seconds:.1f} s"
    table = Table(title=f"dataset {report.dataset_version} · {report.source} · {state}", title_justify="left")
    table.add_column()
    table.add_column()
    table.add_column("conversations", justify="right")
    table.add_column("decision points", justify="right")
    for group, rows in _groups(report):
        for number, (name, conversations, points) in enumerate(rows):
            last = number == len(rows) - 1
            table.add_row("" if number else group, name, conversations, points, end_section=last)
    return table


def _groups(report: IngestReport) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Title and rows of each group that has any."""
    against = f"against {report.compared_with}" if report.compared_with else "first of its source"
    groups = [
        (against, [(name, f"{count:,}", "") for name, count in report.changes.items()]),
        ("split", [_split(report, split) for split in SPLITS if split in report.conversations]),
        ("quarantined", _counts(_largest_first(report.quarantined))),
        ("flagged answers, kept", _counts(_largest_first(report.flagged))),
        ("duplicates", _counts({words: report.duplicates.get(kind, 0) for kind, words in _DUPLICATES.items()})),
    ]
    yield from ((group, rows) for group, rows in groups if rows)


def _split(report: IngestReport, split: str) -> tuple[str, str, str]:
    conversations = {str(name): count for name, count in report.conversations.items()}
    points = {str(name): count for name, count in report.decision_points.items()}
    return split, f"{conversations[split]:,}", f"{points.get(split, 0):,}"


def _counts(counts: Mapping[str, int]) -> list[tuple[str, str, str]]:
    return [(name, f"{count:,}", "") for name, count in counts.items() if count]


def _largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
