"""docs/rewards.md says what the rewards do: its tables are those the bench makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.rewards.bench_table import EXAMPLES, document

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rewards.md"


@pytest.mark.parametrize("section", ["worked examples", "exploit table"])
def test_the_page_has_what_the_bench_makes(section):
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {section} -->\n", f"\n<!-- end of {section} -->"
    assert begin in page
    assert end in page
    written = page.split(begin)[1].split(end)[0]
    assert written == document()[section], "paste the sections that `apprentice rewards check --markdown` prints"


def test_every_part_has_a_worked_example():
    page = PAGE.read_text(encoding="utf-8")
    for part in EXAMPLES:
        assert f"**{part}.**" in page
