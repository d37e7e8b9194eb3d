"""The gate: a shown gain and no loss that was not ruled out; simulated, so that its error rates are known."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.evaluation.guards import guarded, unmet
from models.evaluation.promotion import (
    GUARDED,
    MARGINS,
    NothingShared,
    decide,
    finite,
    policy_pairs,
    scores_of,
)
from models.evaluation.statistics import wilson_bounds
from models.evaluation.verdicts import Pairs

CONVERSATIONS, TURNS = 150, 6
BENCHMARK = Path(__file__).resolve().parent.parent / "benchmarks" / "promotion.py"


def rows(success, no_call=None, form=None, seed: int = 0) -> pd.DataFrame:
    """Judged turns, half of the conversations on unseen tools, every second turn an answer.

    Each argument is a chance, or a function of (random generator, exposure) to a chance per turn.
    """
    generator = np.random.default_rng(seed)
    found = []
    for split in ("validation_seen", "validation_unseen"):
        for number in range(CONVERSATIONS):
            for turn in range(TURNS):
                right = generator.random() < (success[split] if isinstance(success, dict) else success)
                answer = bool(turn % 2)
                found.append(
                    {
                        "decision_point_id": f"{split}/{number}#{turn}",
                        "conversation_id": f"{split}/{number}",
                        "split": split,
                        "kind": "answer" if answer else "call",
                        "turn_success": bool(right),
                        "decision_correct": bool(generator.random() < (0.9 if no_call is None else no_call)),
                        "format_ok": bool(generator.random() < (0.98 if form is None else form)),
                    }
                )
    return pd.DataFrame(found)


def changed(frame: pd.DataFrame, column: str, share: float, to: bool, where=None, seed: int = 5) -> pd.DataFrame:
    """The same rows with a share of a column (on the rows of ``where``) set to ``to``."""
    picked = np.random.default_rng(seed).random(len(frame)) < share
    if where is not None:
        picked &= where(frame)
    return frame.assign(**{column: np.where(picked, to, frame[column])})


def unseen(frame: pd.DataFrame) -> pd.Series:
    return frame["split"] == "validation_unseen"


def test_a_clear_gain_without_losses_promotes_and_its_evidence_is_json() -> None:
    champion = rows(0.4)
    decision = decide(champion, changed(champion, "turn_success", 0.2, True, unseen))
    assert decision.promote
    assert decision.headline.word == "better"
    assert set(decision.guards) == set(GUARDED)
    assert "turn success on unseen tools: +1" in decision.reasons[0]
    row = json.loads(json.dumps(decision.as_row(), allow_nan=False))
    assert row["scores"]["challenger"]["unseen tools"]["mean"] > row["scores"]["champion"]["unseen tools"]["mean"]
    assert row["guards"]["format"]["margin"] == MARGINS["format"]


def test_without_unseen_tools_the_gain_is_asked_for_on_seen_ones_and_the_decision_says_so() -> None:
    champion = rows(0.4).assign(split="validation_seen")
    decision = decide(champion, changed(champion, "turn_success", 0.3, True), held_out=False)
    assert (decision.promote, decision.gain_on, decision.headline.word) == (True, "seen tools", "better")
    assert "turn success on seen tools: +1" in decision.reasons[0]
    assert set(decision.scores["challenger"]) == set(GUARDED)
    tie = decide(champion, champion, held_out=False)
    assert tie.reasons[0].startswith("no gain shown on seen tools: ")
    assert "nan" not in " ".join((*decision.reasons, *tie.reasons))
    # Where tools are held out and none of their turns is left to compare, seen ones do not stand in for them.
    left_out = decide(champion, changed(champion, "turn_success", 0.3, True))
    assert (left_out.promote, left_out.gain_on) == (False, "unseen tools")
    assert left_out.reasons[0] == "no gain shown on unseen tools: none of their turns can be compared"


def test_three_conversations_that_gain_alike_are_not_enough() -> None:
    champion = rows(0.0)
    few = set(champion.loc[unseen(champion), "conversation_id"].unique()[:3])
    kept = champion[~unseen(champion) | champion["conversation_id"].isin(few)].copy()
    every_second = unseen(kept) & (kept.groupby("conversation_id").cumcount() % 2 == 0)
    decision = decide(kept, kept.assign(turn_success=np.where(every_second, 1.0, kept["turn_success"].astype(float))))
    assert (decision.promote, decision.headline.word) == (False, "underpowered")


def test_a_challenger_that_is_always_right_where_the_champion_never_is_promotes() -> None:
    champion = rows(0.0)
    right = np.where(unseen(champion), 1.0, champion["turn_success"].astype(float))
    assert decide(champion, champion.assign(turn_success=right)).promote


def test_what_no_json_can_say_is_none_however_deep_it_lies() -> None:
    row = {"a": math.inf, "b": [{"c": math.nan, "d": 1.5}], "e": {"f": (math.inf, "x")}}
    assert finite(row) == {"a": None, "b": [{"c": None, "d": 1.5}], "e": {"f": [None, "x"]}}


def test_a_tie_never_promotes() -> None:
    champion = rows(0.4)
    same = decide(champion, champion)
    assert not same.promote
    assert same.headline.difference.mean == 0
    perfect = decide(rows(1.0, 1.0, 1.0), rows(1.0, 1.0, 1.0))
    assert not perfect.promote
    assert all(one.ruled_out for one in same.guards.values())


@pytest.mark.parametrize(
    ("column", "where", "name"),
    [
        ("decision_correct", lambda frame: frame["kind"] == "answer", "no-call turns"),
        ("turn_success", lambda frame: frame["split"] == "validation_seen", "seen tools"),
        ("format_ok", None, "format"),
    ],
)
def test_a_loss_on_a_guarded_slice_stands_in_the_way_of_any_gain(column: str, where, name: str) -> None:
    champion = rows(0.4)
    better = changed(champion, "turn_success", 0.3, True, unseen)
    worse = changed(better, column, 0.15, False, where)
    decision = decide(champion, worse)
    assert not decision.promote
    assert decision.headline.word == "better"
    assert [reason.split(":")[0] for reason in decision.reasons] == [name]
    assert "worse" in decision.reasons[0]


def test_a_slice_too_small_to_tell_stands_in_the_way_too() -> None:
    champion = rows(0.4)
    few = champion[(champion["kind"] == "call") | (champion["conversation_id"].str.endswith("/1"))]
    decision = decide(few, changed(few, "turn_success", 0.3, True, unseen))
    assert not decision.promote
    assert decision.reasons[0].startswith("no-call turns: a loss of 3 points cannot be ruled out")
    none = champion[champion["kind"] == "call"]
    assert "no-call turns: too few turns" in decide(none, none).reasons[1]


def few(conversations: int, turns: int = 10) -> pd.DataFrame:
    """A champion that is perfect where it is guarded, and half right on unseen tools."""
    found = [
        {
            "decision_point_id": f"{split}/{number}#{turn}",
            "conversation_id": f"{split}/{number}",
            "split": split,
            "kind": "answer" if turn % 2 else "call",
            "turn_success": split == "validation_seen" or turn % 2 == 0,
            "decision_correct": True,
            "format_ok": True,
        }
        for split in ("validation_seen", "validation_unseen")
        for number in range(conversations)
        for turn in range(turns)
    ]
    return pd.DataFrame(found)


def test_perfection_on_few_conversations_rules_out_no_loss_and_says_how_many_would() -> None:
    for conversations, reasons in ((40, 3), (90, 2), (130, 0)):
        champion = few(conversations)
        decision = decide(champion, changed(champion, "turn_success", 0.3, True, unseen))
        assert decision.headline.word == "better"
        assert decision.promote == (reasons == 0)
        assert len([reason for reason in decision.reasons if "cannot be ruled out" in reason]) == reasons
    short = decide(few(40), changed(few(40), "turn_success", 0.3, True, unseen))
    assert (
        "format: a loss of 2 points cannot be ruled out, down to -4.6 (+0.0 points [-4.6, +4.6], n = 800, on 80 "
        "conversations of at least 189)" in short.reasons
    )
    assert short.as_row()["guards"]["format"] == short.as_row()["guards"]["format"] | {
        "needed": 189,
        "ruled_out": False,
    }


@pytest.mark.parametrize("conversations", [20, 60, 100, 140, 200])
@pytest.mark.parametrize("name", list(GUARDED))
def test_a_challenger_made_worse_is_never_promoted_for_it(conversations: int, name: str) -> None:
    champion = few(conversations)
    challenger = changed(champion, "turn_success", 0.5, True, unseen)
    column, where = {
        "no-call turns": ("decision_correct", challenger["kind"] == "answer"),
        "seen tools": ("turn_success", challenger["split"] == "validation_seen"),
        "format": ("format_ok", challenger["kind"] != ""),
    }[name]
    places = np.random.default_rng(9).permutation(np.flatnonzero(where))
    ruled, promoted = [], []
    for worse in (0, 1, 2, 3, 5, 8, 12, 20, 40, 160):
        frame = challenger.copy()
        frame.loc[places[:worse], column] = False
        ruled.append(decide(champion, frame).guards[name].ruled_out)
        promoted.append(decide(champion, frame).promote)
    assert ruled == sorted(ruled, reverse=True)
    assert not any(better and not safe for better, safe in zip(promoted, ruled, strict=True))
    # That many losses are more than any margin, whatever the size.
    assert not ruled[-1]
    assert not promoted[-1]


def test_conversations_that_are_needed_are_those_that_leave_no_more_unmet_than_is_borne() -> None:
    for margin in (0.02, 0.03, 0.05):
        enough = guarded(Pairs(np.ones(9), np.ones(9), np.arange(9)), margin).needed
        assert enough is not None
        assert unmet(enough) < margin <= unmet(enough - 1)
        assert unmet(enough) == pytest.approx(wilson_bounds(0.0, enough)[1])
    worse = guarded(Pairs(np.ones(9), np.r_[np.zeros(3), np.ones(6)], np.arange(9)), 0.05)
    assert worse.needed is None
    assert unmet(0) == 1.0


def test_only_the_frozen_set_and_what_both_were_judged_on_counts() -> None:
    champion = rows(0.4)
    decision = decide(champion.iloc[:900], champion.iloc[600:], conversations={"validation_seen/120"})
    assert decision.items == TURNS
    with pytest.raises(NothingShared, match="no judged decision points of the frozen evaluation set"):
        decide(champion.iloc[:6], champion.iloc[6:])
    with pytest.raises(NothingShared):
        scores_of(champion, conversations={"unknown"})
    assert scores_of(champion)["unseen tools"].n == CONVERSATIONS * TURNS


def test_breaches_of_policy_are_guarded_where_episodes_exist() -> None:
    champion = rows(0.4)
    better = changed(champion, "turn_success", 0.3, True, unseen)
    tasks = [{"task_id": f"t{n}", "trial": k, "user_seed": str(k), "breaches": []} for n in range(200) for k in (0, 1)]
    clean = pd.DataFrame(tasks)
    breaching = clean.assign(breaches=[["told_too_much"] if n % 10 == 0 else [] for n in range(len(clean))])
    assert decide(champion, better, policy=policy_pairs(clean, clean)).promote
    decision = decide(champion, better, policy=policy_pairs(clean, breaching))
    assert not decision.promote
    assert [reason.split(" [")[0] for reason in decision.reasons] == ["policy: worse (-10.0 points"]
    assert policy_pairs(clean, clean.assign(task_id=clean["task_id"] + "?")) is None
    # Trials of a task hang together: 400 episodes are 200 independent ones.
    pairs = policy_pairs(clean, breaching)
    assert pairs is not None
    assert (len(pairs.before), len(set(np.asarray(pairs.clusters)))) == (400, 200)


def test_one_more_conversation_that_is_lost_whole_must_be_borne_too() -> None:
    """Two of 200 were lost whole. What was met and what may have gone unmet stay within 3 points; one more does not."""
    after = np.ones(1000)
    after[:10] = 0
    found = guarded(Pairs(np.ones(1000), after, np.repeat(np.arange(200), 5)), 0.03)
    assert found.verdict.difference.low > -0.03
    assert found.verdict.difference.mean - unmet(200) > -0.03
    assert not found.ruled_out


@pytest.mark.slow
def test_promotions_are_seldom_false_and_real_gains_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """benchmarks/promotion.py draws hundreds of weeks of each kind, at full size, and prints the bounds."""
    from models.evaluation import statistics

    monkeypatch.setattr(statistics, "RESAMPLES", 200)  # the rates are the same within their own error
    made = runpy.run_path(str(BENCHMARK), run_name="simulation")
    costly = [f"{name} at its margin, whole conversations" for name in ("no-call turns", "format", "policy")]
    kinds = ["nothing changed", "a gain of the detectable size", "seen tools at its margin, here and there", *costly]
    assert set(kinds) <= set(made["weeks"](0.05))
    found = made["rates"](20, 250, 6, 1, kinds)["kinds"]
    gain = found.pop("a gain of the detectable size")
    assert sum(one["promoted"] for one in found.values()) / len(found) <= 0.05
    # None by itself either: of 20 weeks at 5 % each four or more would be promoted in 16 of 1,000 trials.
    assert max(one["promoted"] for one in found.values()) <= 0.15
    assert all(one["gain"] == 1 for kind, one in found.items() if "margin" in kind), "it is the guards that refuse"
    assert 0.6 <= gain["gain"] <= 0.95
    assert gain["promoted"] >= gain["gain"] - 0.25
