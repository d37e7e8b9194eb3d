"""Budgets are shared out once, and what is stated wins."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from data.profiles import resolve
from tasks.choices import deadline, judged_within, judging_minutes, stated, whole_job, whole_run


def test_minutes_of_a_run_are_shared_out() -> None:
    settings = whole_run("laptop", {"minutes": 60})
    assert settings.sft.minutes == pytest.approx(60 * 0.31)
    assert settings.prime.minutes == pytest.approx(60 * 0.09)
    assert settings.grpo.minutes == pytest.approx(60 * 0.27)
    assert settings.evaluation.minutes == pytest.approx(60 * 0.22 * 0.6 / 4)
    assert settings.evaluation.episodes.minutes == pytest.approx(60 * 0.22 * 0.4 / 4)
    judging = settings.evaluation.minutes + settings.evaluation.episodes.minutes
    assert settings.sft.minutes + settings.prime.minutes + settings.grpo.minutes + 4 * judging < 60


def test_conversations_whose_tools_do_not_execute_leave_the_whole_evaluation_to_turns() -> None:
    settings = whole_run("laptop", {"minutes": 60, "data": {"source": "sgd"}})
    assert settings.evaluation.minutes == pytest.approx(60 * 0.22 / 4)


def test_without_minutes_the_profile_keeps_its_own_and_evaluation_is_split() -> None:
    settings = whole_run("laptop", None)
    assert settings.sft.minutes == 7.0
    assert settings.evaluation.minutes == pytest.approx(3.5 / 4)
    assert settings.evaluation.episodes.minutes == pytest.approx(2.5 / 4)


def test_a_stated_stage_budget_wins_over_its_share() -> None:
    assert whole_run("laptop", {"minutes": 60, "sft": {"minutes": 1.0}}).sft.minutes == 1.0


def test_max_steps_hold_for_every_training_stage() -> None:
    settings = whole_run("laptop", None, max_steps=3)
    assert [settings.sft.max_steps, settings.prime.max_steps, settings.grpo.max_steps] == [3, 3, 3]


def test_what_is_not_stated_is_left_out() -> None:
    assert stated(None, "sft", minutes=None, max_steps=None) == {}
    assert stated({"sft": {"seed": 1}}, "sft", minutes=2.0) == {"sft": {"seed": 1, "minutes": 2.0}}
    assert stated({"a": 1}, seed=4) == {"a": 1, "seed": 4}


def test_an_impossible_budget_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        whole_run("laptop", {"minutes": 0})


def test_a_deadline_follows_from_the_budget_and_without_one_there_is_none() -> None:
    assert deadline(None) is None
    assert deadline(7.0) == 60 * 44


def test_minutes_of_a_judgement_are_for_turns_and_episodes() -> None:
    asked = resolve("night", {"evaluation": {"minutes": 10.0}})
    shared = judged_within(asked, "simulated", 10.0, {"minutes": 10.0})
    assert (shared.evaluation.minutes, shared.evaluation.episodes.minutes) == (6.0, 4.0)
    assert judging_minutes(shared, "simulated") == 10.0
    assert judged_within(asked, "sgd", 10.0, {}) == asked  # nothing to play
    assert judging_minutes(asked, "sgd") == 10.0
    stays = {"minutes": 10.0, "episodes": {"minutes": 80.0}}
    assert judged_within(asked, "simulated", 10.0, stays) == asked
    night = resolve("night", {})
    assert judged_within(night, "simulated", None, {}) == night
    assert judging_minutes(night, "simulated") == 120.0
    assert judging_minutes(resolve("night", {"evaluation": {"minutes": None}}), "simulated") is None


def test_what_a_person_states_for_the_whole_job_reaches_every_section() -> None:
    settings = whole_job("smoke", {"sft": {"max_steps": 9}}, source="sgd", path="here", seed=3, max_steps=5, final=True)
    assert (settings.data.source, str(settings.data.path), settings.data.seed, settings.seed) == ("sgd", "here", 3, 3)
    assert (settings.sft.max_steps, settings.grpo.max_steps, settings.evaluation.final) == (5, 5, True)
