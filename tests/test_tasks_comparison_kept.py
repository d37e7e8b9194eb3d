"""What a comparison remembers and tells: lost rows and models, reused work, two calls at once, whole pages."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import paths
from data.arms import UnknownArm, chosen_arms
from data.profiles import resolve
from tasks import comparison, comparison_lost, comparison_steps, comparison_taken, evaluation, records
from tasks.comparison import Done, State, Step, opened, steps
from tasks.comparison_report import pooled_report, report
from tasks.records import Address, MissingUpstream, Record

COMPARISONS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "fixtures" / "comparisons.py")))
VERSION, stand_ins, judge = COMPARISONS.VERSION, COMPARISONS.stand_ins, COMPARISONS.judge
SFT, PLAIN = Step("sft", 0, "train"), Step("grpo-plain", 0, "train")


@pytest.fixture(autouse=True)
def _pages(monkeypatch: pytest.MonkeyPatch) -> None:
    COMPARISONS.without_a_dataset(monkeypatch)
    monkeypatch.setattr("tasks.comparison_pages.plots", lambda *one, **other: None)


def asked(*arms: str, seeds: int = 1, **changes: Any) -> State:
    return opened("minimum", chosen_arms("minimum", arms), range(seeds), resolve("smoke", changes), VERSION, {}, None)


def do_all(state: State, **how: Any) -> State:
    for step in steps(state, **how):
        if state.result(step) is None:
            comparison_steps.do(state, step)
    return state


def do_main(state: State) -> State:
    """All models and their main judgements."""
    for step in steps(state):
        if not step.aside:
            comparison_steps.do(state, step)
    return state


def text_of(state: State, *, final: bool = False) -> str:
    page = report(state, final=final)
    assert page is not None
    return page.read_text()


def line(text: str, what: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(f"- {what}: "))


def delete(state: State) -> None:
    shutil.rmtree(paths.evaluations() / str(state.result(Step("sft", 0, "judge"))))


def damage(state: State) -> None:
    (shard,) = (paths.evaluations() / str(state.result(Step("sft", 0, "judge")))).glob("*.parquet")
    shard.write_bytes(b"torn")


@pytest.mark.parametrize("harm", [delete, damage])
def test_a_judgement_whose_rows_are_lost_is_not_done_and_is_made_again(
    stand_ins: SimpleNamespace, harm: Callable[[State], None]
) -> None:
    made = do_all(asked("primed"))
    assert comparison_lost.lost_judgements(made) == []
    harm(made)
    text = text_of(made)
    assert "## Not done yet\n\n1 steps: sft/0/judge" in text
    assert "| 3 SFT" not in text.split("## Turn success")[1].split("##")[0]
    judged = len(stand_ins.calls)
    comparison_lost.judge_again(made)
    assert comparison.load(made.id).result(Step("sft", 0, "judge")) is None  # type: ignore[union-attr]
    do_all(made)
    assert comparison_lost.lost_judgements(made) == []
    assert "## Not done yet" not in text_of(made)
    assert len(stand_ins.calls) == judged  # nothing was trained for it


def test_models_that_are_gone_are_made_again_on_demand_with_what_comes_from_them(stand_ins: SimpleNamespace) -> None:
    made = do_main(asked(seeds=2))
    before = {key: one.result for key, one in made.done.items()}
    gone = records.of_run(str(made.result(Step("primed", 0, "train"))))
    assert gone.model_dir is not None
    shutil.rmtree(gone.model_dir)
    with pytest.raises(MissingUpstream, match="give the same command with --again"):
        comparison_steps.do(made, Step("primed", 0, "judge"))
    made.taken["primed/0/train"] = gone.run_id
    comparison_lost.make_again(made)
    there = comparison.load(made.id)
    assert there is not None
    lost = before.keys() - there.done.keys()
    # GRPO comes from it, and SFT that goes on has GRPO's clock; the other seed and the arms beside it stay.
    assert {key.split("/judge")[0].removesuffix("/train") for key in lost} == {
        "primed/0",
        "grpo-thinking/0",
        "sft-continued/0",
    }
    assert there.taken == {"primed/0/train": ""}
    do_main(made)
    assert {key: one.result for key, one in made.done.items() if key not in lost} == {
        key: run for key, run in before.items() if key not in lost
    }
    assert made.done.keys() == before.keys()


def test_a_record_that_was_moved_aside_is_nobodys(stand_ins: SimpleNamespace) -> None:
    made = asked("primed")
    made.directory.rename(made.directory.with_name(f"{made.id}.old"))
    assert comparison.newest() is None
    assert asked("primed").id == made.id
    assert comparison.newest().id == made.id  # type: ignore[union-attr]


def test_neither_titles_nor_what_changes_no_figure_is_part_of_the_question() -> None:
    made = asked("primed")
    arms = {name: arm.model_copy(update={"title": f"new {name}", "number": 99}) for name, arm in made.arms.items()}
    again = opened("minimum", arms, [0], resolve("smoke", {}), VERSION, {}, None)
    assert again.id == made.id
    kept = {
        "upload": True,
        "sft": {"save_every_minutes": 1.0},
        "evaluation": {"episodes": {"tasks": 9}},
        "minutes": 9.0,
    }
    assert asked("primed", **kept).id == made.id
    assert asked("primed", sft={"learning_rate": 3e-5}).id != made.id


def test_a_comparison_of_before_is_found_by_what_it_asked(stand_ins: SimpleNamespace) -> None:
    made = asked("primed")
    made.directory.rename(made.directory.with_name("0" * 12))
    record = paths.comparisons() / ("0" * 12) / "state.json"
    record.write_text(record.read_text().replace(made.id, "0" * 12))  # an id of another rule
    assert asked("primed").id == "0" * 12


def test_a_source_that_is_ingested_later_is_judged_on_from_then_on(stand_ins: SimpleNamespace) -> None:
    made = asked("primed")
    later = opened("minimum", made.arms, [0], resolve("smoke", {}), VERSION, {"bfcl": "b" * 12}, None)
    assert (later.id, later.elsewhere) == (made.id, {"bfcl": "b" * 12})
    newer = opened("minimum", made.arms, [0], resolve("smoke", {}), VERSION, {"bfcl": "c" * 12}, None)
    assert newer.elsewhere == {"bfcl": "b" * 12}  # what was judged on stays
    made.save()  # by a process that began before
    assert comparison.load(made.id).elsewhere == {"bfcl": "b" * 12}  # type: ignore[union-attr]


def test_what_other_code_found_impossible_is_tried_again_and_what_is_taken_is_possible(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = do_main(asked("primed"))
    run = made.done["primed/0/train"].result
    made.save(without=["primed/0/train"])
    made.impossible = {"primed/0/train": "nothing to learn from", "sft/0/judge/x": "no such turn"}
    made.found_by = dict.fromkeys(made.impossible, comparison_steps._commit())
    made.save()
    comparison_steps.try_again(made)
    assert len(made.impossible) == 2  # the same code would find the same
    comparison_taken.take(made, [f"primed/0={run}"])
    assert comparison.load(made.id).impossible.keys() == {"sft/0/judge/x"}  # type: ignore[union-attr]
    assert made.failed(Step("primed", 0, "train")) is None
    monkeypatch.setattr("models.tracking.git_commit", lambda: "b" * 40)
    comparison_steps.try_again(made)
    assert made.impossible == comparison.load(made.id).impossible == {}  # type: ignore[union-attr]


def test_a_model_that_was_trained_here_is_not_told_as_taken(stand_ins: SimpleNamespace) -> None:
    made = do_main(asked("primed"))
    comparison_taken.take(made, [f"sft/0={made.result(SFT)}"])
    assert (made.taken, comparison_taken.told(made)) == ({}, "")


@pytest.mark.parametrize(("validations", "told"), [(8, ["minutes 200.0, asked 90.0"]), (None, [])])
def test_another_clock_is_another_model_where_it_decided_when_it_was_validated(
    validations: int | None, told: list[str]
) -> None:
    settings = resolve("laptop", {"sft": {"minutes": 200.0, "validations": validations}}).sft.model_dump(mode="json")
    facts = {"stage": "sft", "key": "k", "dataset_version": VERSION, "start_sha256": "w"}
    ended = {"stopped": "finished", "seconds": 80 * 60.0}
    made = Record(**facts, status="done", run_id="r", settings=settings, outputs=ended)
    wanted = Address(**facts, code="", settings={**settings, "minutes": 90.0})
    assert comparison_taken.differences(made, wanted) == told


def test_reused_work_is_entered_with_the_commit_that_made_it_and_no_machine(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on(machine: str, commit: str) -> None:
        monkeypatch.setattr(comparison_steps, "described", lambda: machine)
        monkeypatch.setattr("models.tracking.git_commit", lambda: commit * 40)
        monkeypatch.setattr("tasks.stage.git_commit", lambda: commit * 40, raising=False)

    on("machine A", "a")
    first = do_main(asked("sft"))
    on("machine B", "b")
    second = do_main(asked("sft", seeds=2))
    for step in (SFT, Step("sft", 0, "judge")):
        mine, theirs = first.done[step.key], second.done[step.key]
        assert (mine.machine, theirs.machine) == ("machine A", "")
        assert theirs.git_commit == mine.git_commit
        assert theirs.at == mine.at
    assert second.done["sft/1/train"].machine == "machine B"


def test_the_page_of_a_call_has_what_another_call_did_meanwhile(stand_ins: SimpleNamespace) -> None:
    made = asked("primed", seeds=2)
    other = comparison.load(made.id)
    assert other is not None
    do_all(other, only_seed=1)
    do_all(made, only_seed=0)
    assert line(text_of(other), "seeds") == "- seeds: 0, 1"
    told = json.loads((made.directory / "outcomes.json").read_text())
    assert told["state"]["done"].keys() == comparison.load(made.id).done.keys()  # type: ignore[union-attr]


def a_part(monkeypatch: pytest.MonkeyPatch, machine: Path, work: Callable[[State], Any]) -> Path:
    monkeypatch.setenv("APPRENTICE_VAR", str(machine))
    made = asked("primed")
    work(made)
    report(made)
    return made.directory


def test_looks_at_test_are_told_of_whichever_part_or_version_they_are(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def on_test(made: State) -> None:
        for step in steps(made, final=True):
            if step.arm in ("base", "sft") and not step.aside:
                comparison_steps.do(made, step)

    looked = a_part(monkeypatch, tmp_path / "a", on_test)
    other = a_part(monkeypatch, tmp_path / "b", do_all)  # did more of the seed, and never looked
    assert "test was not looked at" in line((other / "results.md").read_text(), "judged on")
    page = pooled_report([looked, other])
    assert page is not None
    assert "test was looked at 2 times" in line(page.read_text(), "judged on")

    made = do_all(asked("primed"))
    versions = {VERSION: "sgd", "0" * 12: "sgd", "1" * 12: "bfcl"}
    monkeypatch.setattr("tasks.comparison_outcomes.source_of", versions.get)
    with paths.final_uses().open("a") as file:
        for version in versions:
            use = {"at": "x", "run_id": "r", "stage": "sft", "dataset_version": version, "evaluation_id": version}
            file.write(json.dumps(use) + "\n")
    assert "test was looked at 2 times" in line(text_of(made), "judged on")


def test_a_look_of_its_own_that_was_stopped_is_not_somebody_elses(stand_ins: SimpleNamespace) -> None:
    made = do_all(asked("sft"))
    for step in steps(made, final=True):
        if step.final and not step.aside:
            comparison_steps.do(made, step)
    run = sys.modules["models.evaluation.run"]
    whole = run.evaluate  # type: ignore[attr-defined]

    def cut(*one: Any, **other: Any) -> Any:
        return SimpleNamespace(**{**vars(whole(*one, **other)), "stopped": "interrupted"})

    run.evaluate = cut  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        comparison_steps.do(made, Step("sft", 0, "judge", "distractors", final=True))
    assert line(text_of(made, final=True), "judged on") == "- judged on: the test splits"


def test_outcomes_of_two_writings_are_refused_and_those_of_before_are_read(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import comparison_outcomes

    made = asked("primed")
    for step in steps(made):
        if step.arm != "primed":
            comparison_steps.do(made, step)
    report(made)
    do_all(made)
    with monkeypatch.context() as patch:
        patch.setattr(comparison_outcomes, "write_whole", _full)
        with pytest.raises(OSError, match="no space"):
            report(made)
    with pytest.raises(comparison_outcomes.NotOneComparison, match=r"is not the one that outcomes\.json was written"):
        comparison_outcomes.read(made.directory)
    report(made)
    facts = json.loads((made.directory / "outcomes.json").read_text())
    assert comparison_outcomes.read(made.directory).rows["step"].nunique() == 8
    del facts[comparison_outcomes.DIGEST]
    (made.directory / "outcomes.json").write_text(json.dumps(facts))
    assert comparison_outcomes.read(made.directory).state.id == made.id


def _full(file: Path, text: str) -> None:
    raise OSError(28, "no space left")


def test_a_page_does_without_the_cost_that_nobody_knows_any_more(stand_ins: SimpleNamespace) -> None:
    made = do_main(asked("grpo-plain"))
    run = records.of_run(str(made.result(PLAIN)))
    text = text_of(made)
    (row,) = [one for one in text.split("## Cost")[1].splitlines() if one.startswith("| GRPO, no thinking ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[5:7] == ["–", "–"]  # the stand-in left no rollouts, which is not the same as none sampled
    assert cells[2] != "–"
    records.save(run.model_copy(update={"start_run_id": "f" * 32}))  # its start was made elsewhere
    (row,) = [one for one in text_of(made).split("## Cost")[1].splitlines() if one.startswith("| GRPO, no thinking ")]
    assert [cell.strip() for cell in row.strip("|").split("|")][2] == "–"


def test_settings_that_were_stated_anywhere_stand_on_the_page(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRENTICE_SFT__LEARNING_RATE", "0.00777")
    made = do_main(asked("sft", grpo={"beta": 0.3}, data={"path": "/secret/place"}))
    monkeypatch.delenv("APPRENTICE_SFT__LEARNING_RATE")
    told = line(text_of(made), "settings beside the profile's")
    assert "sft.learning_rate=0.00777" in told
    assert "grpo.beta=0.3" in told
    assert "/secret" not in told
    assert "settings beside" not in text_of(do_main(asked("sft")))


def test_a_page_says_which_judgement_ended_early(stand_ins: SimpleNamespace) -> None:
    run = sys.modules["models.evaluation.run"]
    whole = run.evaluate  # type: ignore[attr-defined]

    def short(model_dir: Path, *, stage: str, splits: Any, **other: Any) -> Any:
        made = whole(model_dir, stage=stage, splits=list(splits)[: 1 if stage == "primed" else None], **other)
        return SimpleNamespace(**{**vars(made), "stopped": "budget"}) if stage == "primed" else made

    run.evaluate = short  # type: ignore[attr-defined]
    text = text_of(do_main(asked("primed")))
    told = "**Only the 6 turns that every judgement reached are told of**, of up to 12: primed to think (seed 0) was"
    assert told in text
    assert "**Only the" not in text_of(do_main(asked("sft")))


def test_a_page_says_which_model_was_the_better_of_two(stand_ins: SimpleNamespace) -> None:
    arms = chosen_arms("paper-table", ("thinking-off",))
    made = opened("paper-table", arms, range(1), resolve("smoke", {}), VERSION, {}, None)
    do_main(made)
    names = "grpo-thinking|grpo-from-base"
    assert made.preferred.keys() == {names}
    told = line(text_of(made), "the better of several arms, by validation")
    assert told.endswith(made.arms[made.preferred[names]].title)


def a_call(monkeypatch: pytest.MonkeyPatch, **how: Any) -> str:
    from flows import compare_arms

    monkeypatch.setattr(compare_arms, "whole", lambda version: version)
    monkeypatch.setattr(compare_arms, "elsewhere", dict)
    asked_for = {"preset": "minimum", "profile": "smoke", "dataset_version": VERSION, "seeds": 1, **how}
    return str(compare_arms.compare_arms.fn(**asked_for))


def test_a_budget_counts_wherever_it_is_stated_and_a_reward_is_not_held_against_itself(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = comparison.load(a_call(monkeypatch, arms=("sft",), minutes=30.0))
    monkeypatch.setenv("APPRENTICE_MINUTES", "30")
    stated = comparison.load(a_call(monkeypatch, arms=("sft",)))
    assert named is not None
    assert stated is not None
    assert stated.minutes == 30
    assert stated.settings["sft"]["minutes"] == named.settings["sft"]["minutes"]
    with pytest.raises(UnknownArm, match=r"grpo\.reward is toolrl: leave one of the two out"):
        a_call(monkeypatch, rewards=("toolrl",), overrides={"grpo": {"reward": "toolrl"}})


def test_a_copy_of_the_page_is_whole_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.cli_compare import _tell

    page, copy = tmp_path / "page.md", tmp_path / "copies" / "mine.md"
    page.write_text("new results")
    copy.parent.mkdir()
    copy.write_text("old results")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *one, **other: _full(page, ""))
        patch.setattr(Path, "replace", lambda *one: _full(page, ""))
        with pytest.raises(OSError, match="no space"):
            _tell(page, copy, said=True)
    assert copy.read_text() == "old results"
    _tell(page, copy, said=True)
    assert copy.read_text() == "new results"


def test_done_of_before_has_no_commit_of_what_was_impossible() -> None:
    told = asked("sft").model_dump(mode="json")
    del told["found_by"]
    assert State.model_validate(told).found_by == {}
    assert Done(result="r").machine == ""
    assert evaluation.final_uses() == []
