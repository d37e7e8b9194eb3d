"""Judging by episodes: the same tasks for every model, whole tasks within a budget, and no episode played twice."""

import json

import pytest

from data import paths
from data.episodes import read_episodes
from data.parquet import shards
from data.practice.domains import DOMAINS
from data.profiles import resolve
from data.reporting import Silent
from models.base import fetch_base_model
from models.practice.evaluation import evaluate_episodes
from models.practice.tasks import attempts_at, group_at, task_ids


@pytest.fixture(scope="module")
def base_model(_sheltered_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


def evaluate(base_model, reporter=None, **episodes):
    chosen = {"tasks": 2, "trials": 2, "max_turns": 2, "batch_size": 2, **episodes}
    return evaluate_episodes(
        base_model,
        run_id="r",
        stage="sft",
        evaluation_id="e",
        splits=("validation_seen", "validation_unseen"),
        thinking=False,
        settings=resolve("smoke", {"device": "cpu", "evaluation": {"episodes": chosen}}),
        reporter=reporter or Silent(),
    )


def test_what_a_budget_leaves_out_is_played_later_and_nothing_twice(base_model):
    first = evaluate(base_model, minutes=1e-9)
    assert first.stopped == "budget"
    assert 0 < first.episodes < first.planned == 8
    before = read_episodes("evaluation", "e")
    second = evaluate(base_model)
    assert (second.stopped, second.episodes) == ("finished", 8)
    frame = read_episodes("evaluation", "e")
    kept = frame[frame["episode_id"].isin(before["episode_id"])]
    assert kept["created_at"].tolist() == before["created_at"].tolist()
    assert frame.groupby(["split", "task_id"])["trial"].apply(sorted).tolist() == [[0, 1]] * 4
    assert frame.groupby("task_id")["messages"].apply(lambda said: said.iloc[0][1] != said.iloc[1][1]).all()
    evaluate(base_model)
    assert read_episodes("evaluation", "e")["created_at"].equals(frame["created_at"])


def test_a_budget_counts_what_earlier_attempts_took(base_model):
    def spent():
        (file,) = (paths.evaluations() / "e").glob("*.json")
        return file, json.loads(file.read_text())["seconds"]

    first = evaluate(base_model, minutes=1e-9)
    file, seconds = spent()
    assert 0 < seconds <= first.seconds
    file.write_text(json.dumps({"seconds": 3600.0}))
    second = evaluate(base_model, minutes=60.0)
    assert (second.stopped, second.seconds > 3600) == ("budget", True)
    assert first.episodes < second.episodes < second.planned  # never none
    assert spent()[1] > 3600
    file.write_text("[]")  # begins to count where it cannot be read
    third = evaluate(base_model, minutes=60.0)
    assert (third.stopped, third.seconds < 3600) == ("finished", True)


def test_episodes_that_cannot_be_read_are_played_again(base_model):
    said = []
    reporter = Silent()
    reporter.say = said.append
    assert evaluate(base_model, reporter).stopped == "finished"
    files = shards(paths.evaluations() / "e" / "episodes")
    files[0].write_bytes(b"PAR1 broken")
    again = evaluate(base_model, reporter)
    assert (again.stopped, again.episodes, len(read_episodes("evaluation", "e"))) == ("finished", 8, 8)
    assert len(shards(paths.evaluations() / "e" / "episodes")) == 8
    assert said == ["1 files of this evaluation's episodes could not be read; what they held is played again"]


def test_tasks_of_splits_and_purposes_never_meet_and_more_only_adds():
    few, many = task_ids("validation_seen", 5), task_ids("validation_seen", 9)
    assert many[:5] == few
    others = [*task_ids("train", 9), *task_ids("train", 9, purpose="practice"), *task_ids("test_seen", 9)]
    assert not set(many) & set(others)
    unseen = {task.split("/")[0] for task in task_ids("validation_unseen", 20)}
    assert unseen == {name for name, domain in DOMAINS.items() if domain.errands.get("unseen_in_validation")}


def test_trials_have_other_users_and_groups_have_one():
    (task,) = task_ids("validation_seen", 1)
    trials = [attempt.start().messages for attempt in attempts_at(task, range(4), ("k",))]
    assert len({messages[1].content for messages in trials}) > 1
    assert {messages[0].content for messages in trials} == {trials[0][0].content}
    group = group_at(task, 3, ("k",))
    assert len({attempt.start().messages[1].content for attempt in group}) == 1
    assert len({attempt.key for attempt in group}) == 3
