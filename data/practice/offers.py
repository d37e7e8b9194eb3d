"""Which rows of a look-up an agent's text offers."""

from __future__ import annotations

from collections.abc import Sequence

from data.practice.declarations import Domain, Row, Task
from data.practice.spellings import everywhere_said


def mentioned_rows(said: str, rows: Sequence[Row], domain: Domain, task: Task) -> list[Row]:
    """Rows that the text offers, in the order it does.

    A row counts where all its told columns are said together, or one that no other row has. Where values of two rows
    are interleaved (``a twin with sea view or a double with city view``), the row said more closely is meant; one of
    which everything was said is not displaced by one known by a single value within it (room 105, of 105 euros).
    """
    spans: dict[int, tuple[int, int]] = {}
    own: dict[int, tuple[int, int]] = {}
    whole: set[int] = set()
    for number, row in enumerate(rows):
        places = {
            column: everywhere_said(said, _forms(row, column, domain))
            for column in (*task.told, *task.carry)
            if row.get(column) is not None
        }
        told = [places[column] for column in task.told if column in places]
        if alone := [at for column, at in places.items() if at and _is_alone(row, column, rows)]:
            own[number] = _closest(alone)
        if told and all(told):
            spans[number] = _closest(told)
            whole.add(number)
        elif number in own:
            spans[number] = own[number]

    def displaces(rival: int, number: int) -> bool:
        if rival in whole and number not in whole and _inside(spans[number], spans[rival]):
            return True
        return (rival in whole or number not in whole) and _inside(spans[rival], spans[number])

    meant = [number for number in spans if not any(displaces(rival, number) for rival in spans)]
    # "A double with city view or the one with mountain view": the second by what no other row has, beside the first.
    for number in whole & own.keys() - set(meant):
        if all(own[number][1] < spans[other][0] or own[number][0] > spans[other][1] for other in meant):
            spans[number] = own[number]
            meant.append(number)
    return [rows[number] for number in sorted(meant, key=lambda number: (spans[number], number))]


def _closest(places: Sequence[Sequence[int]]) -> tuple[int, int]:
    """The shortest stretch with one place of each kind."""
    best: tuple[int, int] | None = None
    for start in sorted({at for kind in places for at in kind}):
        after = [next((at for at in kind if at >= start), None) for kind in places]
        if all(at is not None for at in after):
            end = max(at for at in after if at is not None)
            if best is None or end - start < best[1] - best[0]:
                best = (start, end)
    assert best is not None
    return best


def _inside(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner != outer and outer[0] <= inner[0] and inner[1] <= outer[1]


def _is_alone(row: Row, column: str, rows: Sequence[Row]) -> bool:
    return len(rows) > 1 and sum(other.get(column) == row[column] for other in rows) == 1


def _forms(row: Row, column: str, domain: Domain) -> tuple[str, ...]:
    slot = domain.slots.get(column)
    return slot.forms(row[column]) if slot else (str(row[column]),)
