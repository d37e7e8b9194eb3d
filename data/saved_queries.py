"""Saved queries: questions that come up every week, as documented SQL files with named parameters.

A file ``data/queries/<name>.sql`` opens with comment lines: what it answers, then one line ``with NAME: meaning`` per
parameter. Parameters are bound by DuckDB (``$name``), never pasted into the text; one that is not given is null, and
the statement says what that means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data.query import QueryError, run_query

DIRECTORY = Path(__file__).resolve().parent / "queries"
_RUN = (
    "SELECT 1 FROM runs WHERE starts_with(run_id, $run) "
    "UNION ALL SELECT 1 FROM rollouts WHERE starts_with(run_id, $run) LIMIT 1"
)
_PARAMETER = re.compile(r"with (?P<name>\w+): (?P<meaning>.+)")


@dataclass(frozen=True)
class SavedQuery:
    """A question with its statement; ``parameters`` maps a name to what it means and its default."""

    name: str
    about: str
    sql: str
    parameters: dict[str, str] = field(default_factory=dict)

    def bind(self, given: Mapping[str, str | None]) -> dict[str, str | None]:
        """A value or null for each parameter.

        Raises:
            QueryError: One is given that the query does not have.
        """
        if unknown := sorted(set(given) - set(self.parameters)):
            has = ", ".join(self.parameters) or "none"
            raise QueryError(f"query {self.name} has no parameter {unknown[0]}; it has {has}")
        return {name: given.get(name) for name in self.parameters}

    def require_runs(self, bound: Mapping[str, str | None]) -> None:
        """See to it that every run that is named is there: an empty answer would look like "nothing found".

        Raises:
            QueryError: One is not.
        """
        for name, value in bound.items():
            if value and self.parameters[name].startswith("run id") and run_query(_RUN, {"run": value}).empty:
                raise QueryError(f'no run has id {value} ({name}); apprentice query "SELECT * FROM runs" lists them')


def saved_queries() -> list[SavedQuery]:
    """All of them, by name."""
    return [_read(file) for file in sorted(DIRECTORY.glob("*.sql"))]


def find(name: str) -> SavedQuery | None:
    """The query of this name; None if there is none."""
    return next((query for query in saved_queries() if query.name == name), None)


def looks_like_a_name(text: str) -> bool:
    """Whether a text is meant as the name of a saved query: one word, which is no statement in any SQL."""
    return re.fullmatch(r"\s*[\w-]+\s*", text) is not None


def _read(file: Path) -> SavedQuery:
    lines = file.read_text(encoding="utf-8").splitlines()
    opening = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    found = {match["name"]: match["meaning"] for line in opening if (match := _PARAMETER.fullmatch(line))}
    about = " ".join(line for line in opening if not _PARAMETER.fullmatch(line))
    sql = "\n".join(line for line in lines if not line.startswith("--"))
    return SavedQuery(file.stem, about, sql.strip() + "\n", found)
