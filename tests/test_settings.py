"""Settings: every profile resolves, mistakes name their cure, and who overrides whom."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.profiles import PROFILES, merge, resolve
from data.settings import GRPOSettings, PaperAssumptions, ProfileName, Settings, TrainingSettings, UnknownVariable


@pytest.mark.parametrize("profile", get_args(ProfileName))
def test_every_profile_resolves_and_survives_being_saved(profile: ProfileName) -> None:
    settings = resolve(profile)
    assert settings.profile == profile
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_every_named_profile_exists_and_no_other() -> None:
    assert set(PROFILES) == set(get_args(ProfileName))


@pytest.mark.parametrize("profile", get_args(ProfileName))
def test_groups_and_batches_fit_in_every_profile(profile: ProfileName) -> None:
    grpo = resolve(profile).grpo
    assert grpo.num_generations >= 2
    assert grpo.batch_size % grpo.num_generations == 0
    assert grpo.batch_size % grpo.micro_batch_size == 0


def test_laptop_fits_into_about_twenty_minutes() -> None:
    settings = resolve("laptop")
    stages = [settings.sft, settings.prime, settings.grpo, settings.evaluation, settings.evaluation.episodes]
    minutes = [stage.minutes for stage in stages]
    assert all(minute is not None for minute in minutes)
    assert 15 <= sum(minute for minute in minutes if minute) <= 22


def test_paper_states_its_assumptions_in_one_place() -> None:
    assumed, settings = PaperAssumptions(), resolve("paper")
    assert settings.base_model.uri == assumed.base_model
    assert settings.grpo.learning_rate == assumed.learning_rate
    assert settings.grpo.num_generations == assumed.num_generations
    assert settings.grpo.weights == assumed.reward_weights


def test_an_uneven_micro_batch_names_the_cure() -> None:
    with pytest.raises(ValidationError, match=r"batch_size=10 .*micro_batch_size=4.*a divisor of 10"):
        TrainingSettings(batch_size=10, micro_batch_size=4)


def test_an_uneven_group_names_a_batch_size_that_works() -> None:
    with pytest.raises(ValidationError, match=r"num_generations=8.*e\.g\. batch_size=24"):
        GRPOSettings(batch_size=25, num_generations=8, micro_batch_size=5)


def test_the_batch_size_that_the_message_names_does_work() -> None:
    assert GRPOSettings(batch_size=24, num_generations=8, micro_batch_size=8).batch_size == 24


@pytest.mark.parametrize("number", [-1, 0, 1])
def test_a_group_needs_two_completions(number: int) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        GRPOSettings(num_generations=number)


@pytest.mark.parametrize(
    "overrides",
    [
        {"sft": {"learning_rat": 1e-4}},
        {"grpo": {"weights": {"politeness": 1.0}}},
        {"dta": {}},
    ],
)
def test_an_unknown_key_is_an_error(overrides: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        resolve("laptop", overrides)


def test_an_unknown_profile_is_an_error() -> None:
    with pytest.raises((KeyError, ValueError), match="desktop"):
        resolve("desktop")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "overrides",
    [
        {"sft": {"minutes": 0}},
        {"sft": {"learning_rate": -1e-4}},
        {"seed": -1},
        {"grpo": {"top_p": 1.1}},
        {"grpo": {"call_share": 1.0}},
        {"data": {"conversations": 0}},
        {"device": "tpu"},
    ],
)
def test_a_value_out_of_range_is_an_error(overrides: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        resolve("laptop", overrides)


def test_settings_do_not_change_after_they_are_resolved() -> None:
    settings = resolve("laptop")
    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 5  # type: ignore[misc]


def test_profile_overrides_class_default_environment_overrides_profile_and_overrides_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert resolve("night").data.conversations is None
    assert resolve("laptop").data.conversations == 2000
    monkeypatch.setenv("APPRENTICE_DATA__CONVERSATIONS", "50")
    assert resolve("laptop").data.conversations == 50
    assert resolve("laptop", {"data": {"conversations": 7}}).data.conversations == 7


def test_the_environment_reaches_every_depth_and_leaves_the_rest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resolve("laptop")
    monkeypatch.setenv("APPRENTICE_SEED", "3")
    monkeypatch.setenv("APPRENTICE_GRPO__WEIGHTS__FORMAT", "0.25")
    after = resolve("laptop")
    assert after.seed == 3
    assert after.grpo.weights.format == 0.25
    assert after.grpo.weights.tool_accuracy == before.grpo.weights.tool_accuracy
    assert after.sft == before.sft


@pytest.mark.parametrize(("batch", "passes"), [("16", 2), (" 24 ", 2), ("many", None)])
def test_rows_of_a_pass_follow_from_a_batch_size_of_the_environment(
    batch: str, passes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRENTICE_GRPO__UNIT", "episode")
    monkeypatch.setenv("APPRENTICE_GRPO__BATCH_SIZE", batch)
    if passes is None:
        with pytest.raises(ValidationError, match="batch_size"):
            resolve("night")
    else:
        assert resolve("night").grpo.micro_batch_size == passes


def test_a_bad_environment_value_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_SFT__LEARNING_RATE", "fast")
    with pytest.raises(ValidationError, match="learning_rate"):
        resolve("laptop")


@pytest.mark.parametrize("name", ["APPRENTICE_SFT_LEARNING_RATE", "APPRENTICE_GPRO__MAX_STEPS", "APPRENTICE_SEEED"])
def test_a_variable_that_is_no_setting_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of hours would begin without it."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(UnknownVariable, match=f"{name} is no setting.*two underscores"):
        resolve("smoke")


def test_the_variable_that_moves_var_is_no_setting() -> None:
    assert "VAR" not in {name.upper() for name in resolve("laptop").model_dump()}


NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
TREES = st.dictionaries(st.sampled_from("abc"), NESTED, max_size=3)


@given(TREES, TREES)
def test_merging_alters_neither_side_and_changes_win(base: dict[str, Any], changes: dict[str, Any]) -> None:
    copies = repr(base), repr(changes)
    merged = merge(base, changes)
    assert (repr(base), repr(changes)) == copies
    assert set(merged) == set(base) | set(changes)
    assert all(merged[key] == value for key, value in changes.items() if not isinstance(value, dict))
    assert merge(merged, changes) == merged


def test_rows_that_share_prefixes_meet_in_one_forward_pass_unless_stated() -> None:
    settings = resolve("laptop", {"prime": {"batch_size": 6}, "grpo": {"batch_size": 24}})
    assert settings.prime.micro_batch_size == 6
    assert settings.grpo.micro_batch_size == 24
    assert settings.sft.micro_batch_size == 1
    assert resolve("night", {"grpo": {"micro_batch_size": 8}}).grpo.micro_batch_size == 8
    assert resolve("night").grpo.micro_batch_size == resolve("night").grpo.batch_size
    assert resolve("night", {"grpo": {"engine": "trl"}}).grpo.micro_batch_size == 1


def test_only_our_engine_draws_single_prompts_again() -> None:
    with pytest.raises(ValidationError, match=r"engine=trl cannot.*set engine=tree, or zero_variance to keep"):
        GRPOSettings(engine="trl", zero_variance="resample")
