"""Models that a comparison takes instead of training them: only what would have been trained, and the page says so."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from data.arms import chosen_arms
from data.profiles import resolve
from tasks import comparison, comparison_steps, comparison_taken, records, training
from tasks.addresses import TRAINERS, training_address
from tasks.comparison import State, Step, opened
from tasks.comparison_taken import NotTakable, take
from tasks.records import Record

VERSION = "d" * 12
BASE = Record(
    stage="base", key="b" * 16, status="done", run_id="b" * 32, dataset_version=VERSION, model_sha256="weights"
)


@pytest.fixture
def state() -> State:
    records.save(BASE)
    made = opened("minimum", chosen_arms("minimum"), range(2), resolve("smoke", {}), VERSION, {}, None)
    made.done["base/0/train"] = comparison.Done(result=BASE.run_id)
    made.save()
    return made


def trained(run: str, *, stage: str = "sft", seed: int = 0, key: str = "", **changes: Any) -> Record:
    """The record of a training by other code as the comparison would have made it, but for ``changes``."""
    address = training_address("sft", resolve("smoke", {"seed": seed}), BASE, VERSION)
    facts: dict[str, Any] = {
        "stage": stage,
        "key": key or run[:16],
        "status": "done",
        "run_id": run,
        "dataset_version": VERSION,
        "settings": dict(address.settings),
        "start_sha256": "weights",
        "model_sha256": f"model-{run}",
        "git_commit": "abcdef0123456",
        "ended": "2026-11-30T00:00:00+00:00",
        "outputs": {"seconds": 60.0},
    }
    record = Record(**{**facts, **changes})
    records.save(record)
    return record


def test_a_model_that_was_refused_is_trained_once_it_is_no_longer_named(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("3" * 32, settings={**trained("4" * 32).settings, "learning_rate": 1.0}).run_id
    monkeypatch.setattr(training, "train", lambda *unused, **unused_too: trained("anew").run_id)
    take(state, [f"sft/0={run}"])
    for _ in range(2):  # however often it is asked for
        with pytest.raises(NotTakable, match="learning_rate"):
            comparison_steps.do(state, Step("sft", 0, "train"))
        take(state, [f"sft/0={run}"])
    with pytest.raises(NotTakable, match="learning_rate"):
        comparison_steps.do(state, Step("sft", 0, "train"))
    again = comparison.load(state.id)
    assert again is not None
    comparison_steps.do(again, Step("sft", 0, "train"))
    assert again.done["sft/0/train"].result == "anew"
    assert comparison_taken.told(again) == ""


def test_a_model_that_is_there_stands_for_a_training_and_the_page_names_it(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def train(stage: str, settings: Any, start: str, dataset_version: str | None = None) -> str:
        calls.append((stage, start))
        return trained(f"run-{stage}", stage=stage).run_id

    monkeypatch.setattr(training, "train", train)
    run = trained("1" * 32).run_id
    take(state, [f"sft/0={run[:8]}"])
    assert comparison_taken.told(state) == ""  # not in use yet
    comparison_steps.do(state, Step("sft", 0, "train"))
    comparison_steps.do(state, Step("primed", 0, "train"))
    assert calls == [("primed", run)]
    there = comparison.load(state.id)
    assert there is not None
    assert there.done["sft/0/train"].model_dump() == {
        "result": run,
        "git_commit": "abcdef0123456",
        "machine": "",
        "at": "2026-11-30T00:00:00+00:00",
    }
    assert comparison_taken.told(there) == f"sft, seed 0: run {run[:8]} of commit abcdef012"
    take(state, [f"sft/0={run}"])  # the same again, as a loop of slices asks
    with pytest.raises(NotTakable, match=r"sft/0 is done already"):
        take(state, [f"sft/0={trained('2' * 32).run_id}"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "seed 1, asked 0"),
        ({"dataset_version": "e" * 12}, f"dataset {'e' * 12}, asked {VERSION}"),
        ({"start_sha256": "others"}, "weights it starts from others, asked weights"),
        ({"learning_rate": 0.5}, "learning_rate 0.5, asked"),
        ({"of_a_setting_that_is_gone": 3}, "of_a_setting_that_is_gone 3, asked None"),
    ],
)
def test_what_was_trained_otherwise_is_not_taken_and_what_differs_is_named(
    state: State, changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {name: value for name, value in changes.items() if name not in Record.model_fields}
    told = {name: value for name, value in changes.items() if name in Record.model_fields}
    record = trained("3" * 32)
    records.save(record.model_copy(update={**told, "settings": {**record.settings, **own}}))
    monkeypatch.setattr(training, "train", lambda *asked, **named: pytest.fail("trained all the same"))
    take(state, ["sft/0=3333"])
    with pytest.raises(NotTakable, match="is not the sft that is asked for") as error:
        comparison_steps.do(state, Step("sft", 0, "train"))
    assert said in str(error.value)
    assert "sft/0/train" not in state.done


def test_a_setting_younger_than_the_run_counts_as_its_default(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    record = trained("4" * 32)
    old = {name: value for name, value in record.settings.items() if name != "order"}
    records.save(record.model_copy(update={"settings": old}))
    take(state, ["sft/0=4444"])
    comparison_steps.do(state, Step("sft", 0, "train"))
    assert state.model_of("sft", 0) == record.run_id
    address = training_address("sft", resolve("smoke", {"sft": {"order": "coverage"}}), BASE, VERSION)
    others = comparison_taken.differences(record.model_copy(update={"settings": old}), address)
    assert others == ["order shuffled, asked coverage"]


@pytest.mark.parametrize(
    ("stopped", "asked", "same"),
    [("finished", 2.0, True), ("finished", None, True), ("finished", 0.5, False), ("budget", 2.0, False)],
)
def test_a_clock_that_a_run_did_not_need_may_be_another(
    state: State, stopped: str, asked: float | None, same: bool
) -> None:
    """Ended by its validation after a minute of five, it would have ended so within two as well."""
    record = trained("a" * 32, outputs={"seconds": 60.0, "stopped": stopped})
    made = record.model_copy(update={"settings": {**record.settings, "minutes": 5.0}})
    address = training_address("sft", resolve("smoke", {"sft": {"minutes": asked}}), BASE, VERSION)
    assert (comparison_taken.differences(made, address) == []) is same


def test_only_a_training_of_this_comparison_can_be_taken(state: State) -> None:
    trained("5" * 32)
    trained("6" * 32, stage="primed")
    trained("7" * 32, status="interrupted")
    for given, said in (
        ("sft=5555", "ARM/SEED=RUN"),
        ("sft/2=5555", "trains no sft under seed 2; it trains grpo-plain/0, "),
        ("rejection/0=5555", "trains no rejection"),
        ("base/0=bbbb", "trains no base"),
        ("base-format-help/0=bbbb", "trains no base-format-help"),
        ("sft/0=6666", "is of the stage primed; sft is made by sft"),
        ("sft/0=8888", "no stage has run id 8888"),
        ("sft/0=7777", "is interrupted, not finished"),
    ):
        with pytest.raises(NotTakable, match=said):
            take(state, [given])
    assert state.taken == {}


def test_taking_is_no_part_of_the_question_and_two_calls_keep_what_both_take(state: State) -> None:
    trained("5" * 32)
    trained("9" * 32, seed=1)
    other = comparison.load(state.id)
    assert other is not None
    take(state, ["sft/0=5555"])
    take(other, ["sft/1=9999"])
    again = opened("minimum", chosen_arms("minimum"), range(2), resolve("smoke", {}), VERSION, {}, None)
    assert again.id == state.id
    assert again.taken == {"sft/0/train": "5" * 32, "sft/1/train": "9" * 32}


def test_the_command_says_what_cannot_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    import flows.compare_arms
    from flows.cli import app

    def compare_arms(**asked: Any) -> str:
        assert asked["taken"] == ["sft/0=0000"]
        raise NotTakable("no stage has run id 0000")

    monkeypatch.setattr(flows.compare_arms, "compare_arms", compare_arms)
    monkeypatch.setattr("flows.server.temporary_server", contextlib.nullcontext)
    said = CliRunner().invoke(app, ["compare", "--take", "sft/0=0000"])
    assert said.exit_code == 2
    assert "no stage has run id 0000" in said.output
    for only_a_page in (["--report"], ["--pool", "somewhere"]):
        said = CliRunner().invoke(app, ["compare", "--take", "sft/0=0000", *only_a_page])
        assert (said.exit_code, f"{only_a_page[0]} takes no --take" in said.output) == (2, True)


def test_where_validation_cuts_completions_is_known_of_runs_that_did_not_record_it() -> None:
    """SFT of the comparison in docs/comparison.md is older than that part of its address."""
    settings = resolve("laptop", {"sft": {"validate_every": 20}})
    address = training_address("sft", settings, BASE, VERSION)
    record = trained("c" * 32)
    old = {name: value for name, value in address.settings.items() if name != "validation_completion_length"}
    assert len(old) == len(address.settings) - 1
    assert comparison_taken.differences(record.model_copy(update={"settings": old}), address) == []


def test_every_stage_that_trains_has_defaults_to_compare_with() -> None:
    for stage in TRAINERS:
        assert "max_steps" in comparison_taken._defaults(stage)
