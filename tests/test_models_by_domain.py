"""A slice's differences by domain: what the interval over all of it does not tell."""

from __future__ import annotations

import pandas as pd
import pytest

from models.evaluation import by_domain
from models.evaluation.document import ArmRows

QUESTION = (("after", "before", "Is it better?"),)


def rows(success: dict[str, list[bool]]) -> pd.DataFrame:
    """Ten turns a conversation, conversations of one domain each, by the turns that are right."""
    return pd.DataFrame(
        [
            {
                "decision_point_id": f"made/{domain}-{number // 10}#{number % 10}",
                "conversation_id": f"made/{domain}-{number // 10}",
                "split": "validation_unseen",
                "domain": None if domain == "unnamed" else domain,
                "kind": "answer",
                "turn_success": right,
            }
            for domain, turns in success.items()
            for number, right in enumerate(turns)
        ]
    )


def arm(name: str, frames: dict[int, pd.DataFrame], *, trained: bool = True) -> ArmRows:
    return ArmRows(1, name, name, frames, trained=trained)


def cells(text: str, row: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_gain_that_comes_from_one_large_domain_is_told_apart_from_one_of_every_domain() -> None:
    before = rows({"Flights": [False] * 30, "Banks": [True] * 10, "Movies": [True] * 10})
    after = [
        rows({"Flights": [True] * 15 + [False] * 15, "Banks": [True] * 8 + [False] * 2, "Movies": [True] * 10}),
        rows({"Flights": [True] * 9 + [False] * 21, "Banks": [True] * 10, "Movies": [True] * 10}),
    ]
    arms = [arm("before", {0: before, 1: before}), arm("after", dict(enumerate(after)))]
    text = by_domain.section(arms, QUESTION, "unseen")
    assert "3 domains, 60 % of them of Flights" in text
    assert cells(text, "Flights") == ["Flights", "30 / 3", "+40.0 (+50.0, +30.0)"]
    assert cells(text, "Banks") == ["Banks", "10 / 1", "-10.0 (-20.0, +0.0)"]
    assert cells(text, "all turns")[2] == "+22.0 (+26.0, +18.0)"
    assert cells(text, "every domain alike")[2] == "+10.0 (+10.0, +10.0)"
    pooled = pd.concat([one["turn_success"].astype(float) - before["turn_success"].astype(float) for one in after])
    assert pooled.mean() == pytest.approx(0.22)


def test_only_seeds_in_common_and_trained_arms_are_compared() -> None:
    frames = {seed: rows({"Flights": [bool(seed)] * 10, "Banks": [True] * 10}) for seed in (0, 1)}
    none = rows({"Flights": [False] * 10, "Banks": [False] * 10})
    arms = [arm("before", {0: none}), arm("after", frames), arm("base", {0: none}, trained=False)]
    text = by_domain.section(arms, (*QUESTION, ("after", "base", "Above the base?")), "unseen")
    assert cells(text, "Banks") == ["Banks", "10 / 1", "+100.0"]
    assert cells(text, "Flights")[2] == "+0.0"
    assert by_domain.section(arms, QUESTION, "seen") == ""


def test_turns_without_a_domain_and_small_domains_have_a_row_and_one_domain_has_no_table() -> None:
    many = {f"d{number:02}": [True] * (40 - number) for number in range(by_domain.MOST)}
    before = rows({**{name: [False] * len(turns) for name, turns in many.items()}, "unnamed": [True] * 3, "z": [False]})
    after = rows({**many, "unnamed": [False] * 3, "z": [True]})
    text = by_domain.section([arm("before", {0: before}), arm("after", {0: after})], QUESTION, "unseen")
    assert cells(text, "2 smaller ones") == ["2 smaller ones", "4 / –", "-50.0"]
    assert cells(text, "d00") == ["d00", "40 / 4", "+100.0"]
    alone = rows({"unnamed": [True] * 5})
    one = by_domain.section([arm("before", {0: alone}), arm("after", {0: alone})], QUESTION, "unseen")
    assert f"one domain, {by_domain.UNNAMED}" in one
    assert "|" not in one
