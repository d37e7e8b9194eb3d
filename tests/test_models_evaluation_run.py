"""The judge at work: the same decision points for every model, rows kept, budgets and interruptions honoured."""

import os
import signal
from itertools import pairwise

import pytest

from data import decision_points as points_of
from data import evaluations
from data.pass_rates import read_pass_rates
from data.profiles import resolve
from data.reporting import Silent
from models.base import fetch_base_model
from models.evaluation.run import batches, evaluate, select_points

SPLITS = ["validation_seen", "validation_unseen"]


@pytest.fixture(scope="module")
def model(_sheltered_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture
def points(tiny_conversations, monkeypatch):
    found = [
        point
        for number, conversation in enumerate(tiny_conversations)
        for point in points_of.decision_points(conversation.model_copy(update={"split": SPLITS[number % 2]}))
    ]
    monkeypatch.setattr("models.evaluation.run.read_decision_points", lambda version, splits: found)
    return found


def judged(model, evaluation_id="e1", reporter=None, alike=None, **evaluation):
    chosen = {"max_completion_length": 8, "batch_size": 2, "decision_points": None, **evaluation}
    return evaluate(
        model,
        run_id="run",
        stage="base",
        evaluation_id=evaluation_id,
        dataset_version="v",
        splits=SPLITS,
        thinking=False,
        settings=resolve("smoke", {"device": "cpu", "evaluation": chosen}),
        reporter=reporter or Silent(),
        alike=alike,
    )


def test_every_decision_point_gets_one_row(model, points):
    outcome = judged(model)
    rows = evaluations.read_evaluations("e1")
    assert outcome.rows == outcome.planned == len(rows) == len(points)
    assert outcome.stopped == "finished"
    assert set(rows["decision_point_id"]) == {point.id for point in points}
    assert rows["exact_call"].isna().equals(rows["kind"] == "answer")
    assert judged(model).rows == len(points)  # nothing is done twice
    assert len(evaluations.read_evaluations("e1")) == len(points)
    kept = read_pass_rates()
    assert dict(zip(kept["decision_point_id"], kept["passes"].astype(bool), strict=True)) == dict(
        zip(rows["decision_point_id"], rows["turn_success"], strict=True)
    )


class Impatient(Silent):
    """Asks to stop, once, as soon as something is done."""

    asked = False

    def update(self, done, note=""):
        if not self.asked:
            self.asked = True
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_evaluation_keeps_its_rows_and_goes_on(model, points):
    stopped = judged(model, reporter=Impatient())
    assert stopped.stopped == "interrupted"
    assert 0 < stopped.rows < len(points)
    assert len(evaluations.read_evaluations("e1")) == stopped.rows
    assert judged(model).rows == len(points)
    assert evaluations.read_evaluations("e1")["decision_point_id"].is_unique


def test_a_budget_that_is_up_still_judges_one_batch(model, points):
    outcome = judged(model, minutes=1e-6)
    assert outcome.stopped == "budget"
    assert 0 < outcome.rows < len(points)


def test_a_budget_counts_what_earlier_attempts_took(model, points):
    assert judged(model, reporter=Impatient(), minutes=60.0).stopped == "interrupted"
    spent = evaluations.seconds_spent("e1")
    assert 0 < spent < 3600
    evaluations.note_seconds("e1", 3600.0)
    again = judged(model, minutes=60.0)
    assert (again.stopped, again.seconds > 3600) == ("budget", True)
    assert judged(model, minutes=120.0).stopped == "finished"
    assert evaluations.seconds_spent("e1") > 3600
    assert evaluations.seconds_spent("e2") == 0


def test_conversations_longer_than_the_context_are_left_out_and_said(model, points):
    said = []
    reporter = Silent()
    reporter.say = said.append
    whole = judged(model, "whole")
    short = judged(model, "short", reporter=reporter, max_prompt_length=900)
    assert short.too_long + short.planned == whole.planned
    assert short.too_long > 0
    assert f"{short.too_long} decision points left out" in said[0]


def test_an_empty_split_gives_no_rows(model, points, monkeypatch):
    monkeypatch.setattr("models.evaluation.run.read_decision_points", lambda version, splits: [])
    assert judged(model, "nothing").rows == 0


def test_a_larger_selection_only_adds_conversations(points):
    few, more = select_points(points, 2), select_points(points, 6)
    assert {c[0].conversation_id for c in few} < {c[0].conversation_id for c in more}
    splits = [conversation[0].split for conversation in more]
    assert splits[:2] == SPLITS


def test_what_chooses_a_checkpoint_is_apart_from_what_judges_it(points):
    judge, chooser = select_points(points, 3), select_points(points, 3, from_end=True)
    assert not {c[0].conversation_id for c in judge} & {c[0].conversation_id for c in chooser}


def test_the_same_conversations_under_other_names_come_first(model, points, monkeypatch):
    renamed = [
        point.model_copy(
            update={
                name: getattr(point, name).replace("handwritten/", "other/", 1) for name in ("id", "conversation_id")
            }
        )
        for point in points
    ]
    assert renamed[0].id.startswith("other/")
    last = select_points(renamed, None)[-1]
    judged_elsewhere = [
        point for point in points if point.conversation_id.endswith(last[0].conversation_id.removeprefix("other"))
    ]
    found = {"v": renamed, "own": judged_elsewhere}
    monkeypatch.setattr("models.evaluation.run.read_decision_points", lambda version, splits: found[version])
    judged(model, decision_points=1)
    judged(model, "e2", decision_points=1, alike="own")
    without, having = (set(evaluations.read_evaluations(one)["decision_point_id"]) for one in ("e1", "e2"))
    assert not {point.id for point in last} & without
    assert {point.id for point in last} <= having


def test_batches_hold_whole_conversations(points):
    conversations = select_points(points, None)
    made = list(batches(conversations, 5))
    assert [point for batch in made for point in batch] == [point for one in conversations for point in one]
    for before, after in pairwise(made):
        assert before[-1].conversation_id != after[0].conversation_id


def test_batches_of_a_budget_begin_small_and_hold_what_is_left_has_room_for(monkeypatch):
    now = 100.0
    monkeypatch.setattr("models.evaluation.run.time.monotonic", lambda: now)
    sizes = []
    for batch in batches([[f"{number}/{turn}" for turn in range(8)] for number in range(100)], 128, ends=160.0):
        sizes.append(len(batch))
        now += 10.0 if len(batch) == 32 else len(batch) * 0.25
        if now >= 160.0:
            break
    # 32 took 10 of 60 seconds, so 160 have room and no more than 128 go together; then the 68 that the last 18 have
    # room for, whole conversations.
    assert sizes == [32, 128, 72]
    slow = batches([[name] * 3 for name in "abcdef"], 128, ends=now + 10.0)
    assert len(next(slow)) == 12
    now += 30.0
    assert len(next(slow)) == 3  # never less than a conversation
    assert [len(batch) for batch in batches([["a"] * 20, ["b"] * 20], 16, ends=now + 10.0)] == [20, 20]


def test_models_judged_in_a_budget_have_conversations_of_both_splits_in_common(model, points):
    judged(model, minutes=1e-6, batch_size=64)
    assert set(evaluations.read_evaluations("e1")["split"]) == set(SPLITS)
