"""The gate: a shown gain and no loss that was not ruled out; simulated, so that its error rates are known."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.evaluation.promotion import GUARDED, MARGINS, NothingShared, decide, policy_pairs, scores_of

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


def test_a_tie_never_promotes() -> None:
    champion = rows(0.4)
    same = decide(champion, champion)
    assert not same.promote
    assert same.headline.difference.mean == 0
    perfect = decide(rows(1.0, 1.0, 1.0), rows(1.0, 1.0, 1.0))
    assert not perfect.promote
    assert all(one.not_worse for one in same.guards.values())


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


def test_promotions_are_seldom_false_and_real_gains_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.evaluation import statistics

    monkeypatch.setattr(statistics, "RESAMPLES", 200)  # the rates are the same within their own error
    rates = runpy.run_path(str(BENCHMARK))["rates"](weeks=25, conversations=150, seed=0)
    # benchmarks/promotion.py draws hundreds of weeks of each kind and prints the bounds.
    assert rates["nothing changed"]["promoted"] <= 0.05
    assert rates["a gain at the guard's cost"]["promoted"] <= 0.05
    assert rates["a gain"]["promoted"] >= 0.6
