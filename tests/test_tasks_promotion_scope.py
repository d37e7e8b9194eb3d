"""What a promotion judges: as recorded, and as much as its guards need unless somebody asks for less."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from data.schema import VALIDATION_SPLITS
from models.evaluation.promotion import CONVERSATIONS, TASKS, NothingShared
from tasks import promotion_scope
from tasks.promotion_scope import NotAsRecorded, as_recorded, judged_alike, scoped, turns_of

VERSION = "d" * 12
#: Conversations of a split and the turns of each.
SHAPES = {"validation_seen": (300, 12), "validation_unseen": (100, 8)}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(name="sgd")

    counts = {
        "conversations": {split: held for split, (held, _) in SHAPES.items()},
        "decision_points": {split: held * turns for split, (held, turns) in SHAPES.items()},
    }
    monkeypatch.setattr("data.snapshot.manifest", lambda version: SimpleNamespace(counts=counts))
    monkeypatch.setattr(promotion_scope.choices, "source_of", lambda version: made.name)
    return made


def scope(**evaluation: Any) -> tuple[dict[str, Any], bool]:
    chosen, due = scoped("laptop", {"evaluation": evaluation} if evaluation else {}, VERSION, list(VALIDATION_SPLITS))
    return chosen["evaluation"], due


def test_the_guards_get_the_turns_they_need_without_a_clock(source: SimpleNamespace) -> None:
    assert turns_of(VERSION, ["validation_seen"], 250) == 3000
    assert turns_of(VERSION, ["validation_unseen"], 250) == 800  # all there are
    assert turns_of(VERSION, list(VALIDATION_SPLITS), CONVERSATIONS) == 12 * CONVERSATIONS
    assert scope() == ({"decision_points": 12 * CONVERSATIONS, "minutes": None}, False)


def test_what_somebody_states_stays(source: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scope(decision_points=50) == ({"decision_points": 50}, False)
    assert scope(minutes=3.0) == ({"minutes": 3.0, "decision_points": 12 * CONVERSATIONS}, False)
    timed, _ = scoped("laptop", {}, VERSION, list(VALIDATION_SPLITS), timed=True)
    assert timed["evaluation"] == {"decision_points": 12 * CONVERSATIONS}
    monkeypatch.setenv("APPRENTICE_EVALUATION__DECISION_POINTS", "70")
    assert scope() == ({}, False)


def test_where_models_play_episodes_policy_is_due_and_gets_its_tasks(source: SimpleNamespace) -> None:
    source.name = "simulated"
    sizes, due = scope()
    assert due
    assert sizes["episodes"] == {"tasks": TASKS, "minutes": None}
    sizes, due = scope(episodes={"tasks": 0})
    assert due, "asking for no episodes does not do away with the guard"
    assert sizes["episodes"] == {"tasks": 0}
    sizes, _ = scope(episodes={"minutes": 2.0})
    assert sizes["episodes"] == {"minutes": 2.0, "tasks": TASKS}
    sizes, _ = scope(minutes=3.0)
    assert sizes["episodes"] == {"minutes": 3.0, "tasks": TASKS}, "who bounds the turns bounds the episodes"
    sizes, _ = scope(minutes=3.0, episodes={"minutes": None})
    assert sizes["episodes"] == {"minutes": None, "tasks": TASKS}


@pytest.mark.parametrize(
    ("evaluation", "named"),
    [
        ({"sample": 2}, "sample 2"),
        ({"variant": "distractors"}, "distractors"),
        ({"thoughts": "empty", "thinking": True}, "thinking, thoughts empty"),
        ({"dataset": VERSION}, "dataset"),
    ],
)
def test_nothing_else_than_recorded_turns_decides(evaluation: dict[str, Any], named: str) -> None:
    with pytest.raises(NotAsRecorded, match=rf"\({named}\); `apprentice evaluate` takes them"):
        as_recorded("laptop", {"evaluation": evaluation})
    as_recorded("laptop", {"evaluation": {"decision_points": 9}})


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        (("sgd", "simulated"), r"of the source simulated and run new of sgd.*--name agent-sgd"),
        (("sgd", "sgd"), r"\(b{12}, a{12}\) hold out no conversations in common"),
    ],
)
def test_models_without_conversations_in_common_are_refused_before_hours_of_judging(
    monkeypatch: pytest.MonkeyPatch, sources: tuple[str, str], says: str
) -> None:
    versions = {"new": "b" * 12, "old": "a" * 12}
    of = dict(zip(versions.values(), sources, strict=True))
    shared: list[str] = []
    monkeypatch.setattr(
        promotion_scope.records, "of_run", lambda run: SimpleNamespace(model_place=(None, versions[run]))
    )
    monkeypatch.setattr(promotion_scope.choices, "source_of", of.__getitem__)
    monkeypatch.setattr("data.evaluation_set.shared_items", lambda held, splits: shared)
    with pytest.raises(NothingShared, match=says):
        judged_alike("agent", "new", "old", list(VALIDATION_SPLITS))
    shared.append("a conversation")
    judged_alike("agent", "new", "old", list(VALIDATION_SPLITS))
