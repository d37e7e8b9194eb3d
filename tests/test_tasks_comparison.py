"""A comparison of arms: what is to be done in which order, budgets, slices, and a page from stand-ins' rows."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.arms import PAPER_TABLE, UnknownArm, chosen_arms
from data.profiles import PROFILES, resolve
from data.schema import DecisionPoint, Message
from flows.assignments import nested
from models.interruption import interruption
from tasks import comparison, comparison_budget, comparison_steps, evaluation, training
from tasks.comparison import State, Step, opened, steps
from tasks.comparison_budget import affordable_seeds, budgeted
from tasks.comparison_taken import NotTakable
from tasks.records import MissingUpstream, Record, save
from tasks.slices import Slice, SliceOver
from tasks.stage import Interrupted

COMPARISONS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "fixtures" / "comparisons.py")))
VERSION, state, a_record = COMPARISONS.VERSION, COMPARISONS.state, COMPARISONS.a_record
stand_ins, judge, without_a_dataset = COMPARISONS.stand_ins, COMPARISONS.judge, COMPARISONS.without_a_dataset


def test_the_paper_table_has_its_ten_arms_and_each_can_be_made() -> None:
    assert {arm.number for arm in PAPER_TABLE.values()} == set(range(1, 11))
    assert {arm.number for arm in PAPER_TABLE.values() if arm.seeded} == {3, 4, 6, 7, 8}  # 6, since 8 starts from it
    for arm in PAPER_TABLE.values():
        assert all(start in PAPER_TABLE for start in arm.starts)
        resolve("smoke", arm.settings)
    assert set(chosen_arms("paper-table", ("rejection",))) >= {"base", "sft", "primed", "grpo-thinking", "rejection"}
    assert chosen_arms("minimum", (), ("toolrl",))["grpo-toolrl"].settings["grpo"]["reward"] == "toolrl"
    # Another reward's arm brings what it starts from, beside what is named, and can be named itself.
    assert set(chosen_arms("minimum", ("base",), ("toolrl",))) == {"base", "sft", "primed", "grpo-toolrl"}
    assert set(chosen_arms("minimum", ("grpo-f1",), ("f1",))) == {"base", "sft", "primed", "grpo-f1"}
    for wrong in (("nothing", (), ()), ("minimum", ("nobody",), ()), ("minimum", (), ("luck",))):
        with pytest.raises(UnknownArm, match="there are"):
            chosen_arms(*wrong)


def test_what_a_step_needs_comes_before_it_and_the_minimum_set_first() -> None:
    made = state()
    order = [step.key for step in steps(made)]
    assert len(order) == len(set(order))
    place = {key: number for number, key in enumerate(order)}
    for step in steps(made):
        arm = made.arms[step.arm]
        if step.kind == "train":
            assert all(place[f"{one}/{made.seed_of(one, step.seed)}/train"] < place[step.key] for one in arm.starts)
    assert place["grpo-thinking/1/train"] < place["sft-continued/1/train"]  # whose time it gets
    assert place["grpo-thinking/0/train"] < place["rejection/0/train"]
    assert place["grpo-thinking/1/judge"] < min(place["rejection/0/train"], place["grpo-from-base/0/train"])
    assert "sft/0/judge/on bfcl" in place
    assert [key for key in order if key.startswith("base/")] == ["base/0/train", "base/0/judge"]
    final = [step for step in steps(made, final=True) if step.final]
    assert len(final) == len({step.key for step in final})
    # Test is looked at once in each way: as recorded, changed and elsewhere, and never sampled.
    assert {step.aside for step in final} == {"", "distractors", "withheld", "on bfcl"}
    assert {step.arm for step in final if step.aside} == set(comparison.LOOKED_AT)
    assert {step.seed for step in final if step.aside} == {made.seeds[0]}
    assert not any(step.final for step in steps(made))
    order = [step.key for step in steps(made, final=True)]
    assert order.index("sft/0/judge/final") < order.index("base/0/judge/final") < order.index("sft/0/judge/distractors")
    # What one seed alone makes: its own steps, and the base model to start from.
    second = steps(made, only_seed=1)
    assert {step.key for step in second if step.seed != 1} == {"base/0/train"}
    assert {step.key for step in second if step.seed == 1} == {step.key for step in steps(made) if step.seed == 1}


def test_a_budget_is_shared_out_and_what_is_stated_stays() -> None:
    arms = chosen_arms("paper-table")
    settings = budgeted("laptop", {"grpo": {"minutes": 2.0}}, arms, 1, 30)
    assert settings.grpo.minutes == 2.0
    assert settings.sft.minutes is not None
    assert settings.evaluation.minutes is not None
    judged = [step for step in steps(state(seeds=1)) if step.kind == "judge" and not step.aside.startswith("on ")]
    whole = sum(not step.aside for step in judged) * settings.evaluation.minutes
    aside = sum(bool(step.aside) for step in judged) * settings.evaluation.minutes * comparison_budget.ASIDE
    units = sum(comparison_budget.UNITS.get(arm.recipe, 0.0) for arm in arms.values())
    beginnings = len(judged) * comparison_budget.A_JUDGEMENTS_MINUTES + comparison_budget.BEGINNING_MINUTES
    assert 28 < whole + aside + settings.sft.minutes * units + beginnings < 30
    assert settings.evaluation.episodes.tasks == 0  # no page of a comparison tells of them
    asked = budgeted("laptop", {"evaluation": {"episodes": {"tasks": 3}}}, arms, 1, 30)
    assert asked.evaluation.episodes.tasks == 3
    short = budgeted("laptop", {}, arms, 1, 4)
    assert short.sft.minutes is not None
    assert short.sft.minutes > 0.1  # beginnings never take it all
    assert settings.data.conversations == 300
    unasked = budgeted("night", {}, arms, 3, None)  # all as it is, but that validation chooses SFT's weights
    chosen = {name: getattr(unasked.sft, name) for name in ("validations", "validation_decision_points")}
    assert unasked == resolve("night", {"sft": chosen, "evaluation": {"episodes": {"tasks": 0}}})
    assert [affordable_seeds(minutes) for minutes in (30, 300, None)] == [1, 3, 3]


def test_grpo_of_few_minutes_makes_small_steps_unless_they_are_stated(monkeypatch) -> None:
    arms = chosen_arms("paper-table")

    def sizes(budget, profile="laptop", seeds=1, **stated):
        grpo = budgeted(profile, {"grpo": stated}, arms, seeds, budget).grpo
        return grpo.batch_size, grpo.micro_batch_size, grpo.validation_decision_points, grpo.guard

    whole = (32, 32, 60, 0.05)
    assert sizes(30) == (16, 16, 16, 0.2)
    assert sizes(30, num_generations=4) == (8, 8, 16, 0.2)
    assert sizes(30, batch_size=64) == (64, 64, 16, 0.2)
    assert sizes(30, micro_batch_size=4) == (32, 4, 16, 0.2)
    assert sizes(30, validation_decision_points=40) == (16, 16, 40, 0.05)
    assert sizes(30, guard=0.1)[3] == 0.1
    assert sizes(30, "paper")[:2] == (2 * resolve("paper").grpo.num_generations, 8)
    # What GRPO gets in the end decides, stated or not.
    assert sizes(30, minutes=45.0) == sizes(600) == sizes(240, seeds=3) == sizes(None) == whole
    assert sizes(600, minutes=2.0) == (16, 16, 16, 0.2)
    monkeypatch.setenv("WORLD_SIZE", "4")  # each process samples a group at least
    assert sizes(30, "paper")[0] == 4 * resolve("paper").grpo.num_generations
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("APPRENTICE_GRPO__BATCH_SIZE", "24")
    assert sizes(30)[0] == 24


def test_the_same_question_goes_on_where_it_was_and_another_begins_anew() -> None:
    first = state()
    first.done["base/0/train"] = comparison.Done(result="r")
    first.save()
    assert state().result(Step("base", 0, "train")) == "r"
    assert state(sft={"learning_rate": 1e-5}).id != first.id
    assert state(data={"path": "elsewhere"}).id == first.id  # on another machine
    assert comparison.newest() is not None


def test_a_comparison_goes_on_when_the_settings_have_grown() -> None:
    """Its name follows from all settings, so one from before a setting was added has another name than it would now."""
    first = state()
    old = first.model_dump(mode="json") | {"id": "0123456789ab"}
    del old["settings"]["prime"]["validate_every"]
    shutil.rmtree(first.directory)
    State.model_validate(old).save()
    assert state().id == "0123456789ab"
    assert state(prime={"validate_every": 20}).id not in ("0123456789ab", first.id)
    gone = old | {"id": "ba9876543210"}
    gone["settings"]["prime"]["a_setting_that_is_gone"] = 1
    State.model_validate(gone).save()
    (first.directory.parent / "torn").mkdir()
    (first.directory.parent / "torn" / "state.json").write_text('{"id"')
    assert state().id == "0123456789ab"


def test_two_calls_at_once_lose_nothing_that_the_other_entered() -> None:
    training, sampling = state(), state()  # both read what is done before either enters anything
    sampling.done["sft/0/judge/sample 1"] = comparison.Done(result="s")
    sampling.impossible["rejection/0/train"] = "nothing was solved"
    sampling.note_command("apprentice compare --only-seed 0")
    training.done["grpo-thinking/1/train"] = comparison.Done(result="g")
    training.done["rejection/0/train"] = comparison.Done(result="r")
    training.note_command("apprentice compare --only-seed 1")
    there = comparison.load(training.id)
    assert there is not None
    assert {key: one.result for key, one in there.done.items()} == {
        "sft/0/judge/sample 1": "s",
        "grpo-thinking/1/train": "g",
        "rejection/0/train": "r",
    }
    assert there.impossible == {}  # it was possible after all
    assert there.commands == ["apprentice compare --only-seed 0", "apprentice compare --only-seed 1"]


def test_the_newest_is_the_one_that_was_asked_for_last() -> None:
    first, second = state(), state(sft={"learning_rate": 1e-5})
    for at, one in enumerate((first, second)):
        os.utime(one.directory / comparison.ASKED, (at + 1, at + 1))
    first.save()  # a step of the other one is done meanwhile
    assert comparison.newest().id == second.id  # type: ignore[union-attr]
    assert state().id == first.id  # with nothing left to do, for all it knows
    assert comparison.newest().id == first.id  # type: ignore[union-attr]
    assert comparison.load("0" * 12) is None


def test_rl_and_its_twins_learn_from_the_dataset_to_practise_on(monkeypatch: pytest.MonkeyPatch) -> None:
    arms, settings = chosen_arms("paper-table"), resolve("smoke", {})
    made = opened("paper-table", arms, range(1), settings, VERSION, {}, None, "e" * 12)
    assert made.id != opened("paper-table", arms, range(1), settings, VERSION, {}, None).id
    assert made.id == opened("paper-table", arms, range(1), settings, VERSION, {}, None, "e" * 12).id
    learned: dict[str, str | None] = {}

    def train(stage: str, settings: Any, start: str, dataset_version: str | None = None) -> str:
        learned[stage] = dataset_version
        return f"run-{stage}"

    def evaluate(settings: Any, run: str) -> str:
        assert settings.evaluation.dataset is None  # the model's own, which holds out the same
        judged = {"evaluation_id": f"judged-{run}"}
        save(Record(stage="evaluation", key=run, status="done", run_id=run, outputs=judged))
        return f"judged-{run}"

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(comparison_steps, "prepare_base_model", lambda settings, version: f"base-{version}")
    monkeypatch.setattr("tasks.records.of_run", lambda run, **how: a_record(run))
    for step in steps(made):
        if step.kind == "train":
            comparison_steps.do(made, step)
    comparison_steps.do(made, Step("grpo-thinking", 0, "judge"))
    assert made.done["base/0/train"].result == f"base-{VERSION}"
    assert learned == {"sft": None, "primed": None, **dict.fromkeys(("continued", "rejection", "grpo"), "e" * 12)}


def test_twins_of_grpo_get_the_time_from_where_both_start(monkeypatch: pytest.MonkeyPatch) -> None:
    made = state(seeds=1, prime={"minutes": 2.0}, grpo={"minutes": 5.0})
    minutes = lambda name: comparison_steps._wall_clock(made, made.arms[name], 0)  # noqa: E731
    assert minutes("sft-continued") == {"continued": {"minutes": 7.0}}  # priming's and GRPO's budgets
    taken = {"p": 90.0, "g": 330.0}
    monkeypatch.setattr("tasks.records.of_run", lambda run, **how: SimpleNamespace(outputs={"seconds": taken[run]}))
    for name, run in (("primed", "p"), ("grpo-thinking", "g")):
        made.done[f"{name}/0/train"] = comparison.Done(result=run)
    assert minutes("sft-continued") == {"continued": {"minutes": 7.0}}
    taken["p"] = 150.0
    assert minutes("sft-continued") == {"continued": {"minutes": 8.0}}
    assert minutes("rejection") == {"rejection": {"minutes": 5.5, "rollouts_of": "g"}}
    assert minutes("grpo-plain") == {}
    del made.arms["grpo-thinking"]
    assert minutes("sft-continued") == {"continued": {"minutes": 5.0}}
    made = state(seeds=1)
    assert minutes("sft-continued") == {"continued": {"minutes": None}}  # no budget, no end by the clock


def test_an_arm_that_cannot_be_made_takes_only_what_needs_it_along() -> None:
    made = state()
    made.impossible["rejection/0/train"] = "nothing was solved"
    assert made.failed(Step("rejection", 0, "judge")) == "nothing was solved"
    assert made.failed(Step("grpo-thinking", 0, "judge")) is None
    without_rollouts = state()
    without_rollouts.impossible["grpo-thinking/0/train"] = "no thoughts"
    assert without_rollouts.failed(Step("rejection", 0, "train")) == "no thoughts"  # it learns that one's rollouts
    assert without_rollouts.failed(Step("sft-continued", 0, "train")) is None  # a budget is known all the same


def test_what_is_missing_far_below_is_missing_too() -> None:
    made = state()
    made.impossible["primed/0/train"] = "no rationales"
    for step in (
        Step("grpo-thinking", 0, "train"),
        Step("rejection", 0, "train"),
        Step("thinking-off", 0, "judge"),
        Step("thoughts-shuffled", 0, "judge"),
    ):
        assert made.failed(step) == "no rationales", step
    assert made.failed(Step("grpo-plain", 0, "train")) is None
    of_test = state()
    of_test.impossible["grpo-thinking/0/judge/final"] = "no test split"
    assert of_test.failed(Step("thoughts-shuffled", 0, "judge", final=True)) == "no test split"
    assert of_test.failed(Step("thoughts-shuffled", 0, "judge")) is None


def test_a_model_that_is_gone_says_how_it_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = state()
    made.done["sft/0/train"] = comparison.Done(result="gone")
    with pytest.raises(MissingUpstream, match="give the same command with --again"):
        comparison_steps.do(made, Step("primed", 0, "train"))


def test_the_better_of_two_arms_stays_the_one_that_was_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made, other, names = state(), state(), ("grpo-thinking", "grpo-from-base")
    found = iter(["grpo-from-base", "grpo-thinking"])
    monkeypatch.setattr(comparison_steps, "_best_of", lambda state, names: next(found))
    assert comparison_steps.best_of(made, names) == "grpo-from-base"
    assert comparison_steps.best_of(made, names) == "grpo-from-base"
    assert comparison_steps.best_of(other, names) == "grpo-from-base"  # another process that has found otherwise
    assert state().preferred == {"grpo-thinking|grpo-from-base": "grpo-from-base"}


def test_the_better_of_two_arms_is_so_on_the_turns_that_both_were_judged_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first arm is right on three turns of four, and on one of the two that the other reached, too."""
    import pandas as pd

    right = {"grpo-thinking": {1: True, 2: False, 3: True, 4: True}, "grpo-from-base": {1: True, 2: True}}
    frames = {
        name: pd.DataFrame(
            {
                "decision_point_id": [f"sgd/{number}#1" for number in turns],
                "turn_success": list(turns.values()),
                "variant": None,
            }
        )
        for name, turns in right.items()
    }
    monkeypatch.setattr(comparison_steps, "_known", lambda state, step: step.arm)
    monkeypatch.setattr(evaluation, "rows_of", frames.__getitem__)
    monkeypatch.setattr("data.snapshot.read_points_by_id", lambda version, names: {})
    monkeypatch.setattr("models.evaluation.rejudge.judged_again", lambda frame, points: frame)
    made = state()
    assert comparison_steps._best_of(made, tuple(right)) == "grpo-from-base"
    frames["grpo-from-base"]["turn_success"] = False
    assert comparison_steps._best_of(made, tuple(right)) == "grpo-thinking"
    assert comparison_steps._best_of(made, ("absent", "grpo-from-base")) == "grpo-from-base"


def stop_by_hand() -> None:
    """Ctrl-C within a slice without an end."""
    with Slice(None) as left:
        left.require("")
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


def test_a_slice_ends_the_work_as_ctrl_c_does_and_says_so() -> None:
    with pytest.raises(SliceOver, match="run the same command again"), Slice(0.005):
        time.sleep(5)
    with pytest.raises(SliceOver, match="3 of 9"), Slice(0.4) as left:
        left.require("3 of 9 steps done")
    with pytest.raises(KeyboardInterrupt) as stopped:
        stop_by_hand()
    assert not isinstance(stopped.value, SliceOver)


def test_a_slice_that_ends_while_ctrl_c_is_being_heeded_neither_cuts_the_work_nor_goes_on() -> None:
    saved = []

    def work() -> None:
        with Slice(0.005), interruption() as asked:
            os.kill(os.getpid(), signal.SIGINT)  # long before the slice's end at 0.3 s
            time.sleep(0.6)
            asked.heeded = True
            saved.append(asked.asked)
            raise Interrupted("stopped at step 3")

    with pytest.raises(Interrupted, match="step 3"):
        work()
    assert saved == [True]


def test_all_arms_are_made_once_and_the_page_is_of_their_rows(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.comparison_report import report

    settings = resolve("smoke", {})
    made = opened("paper-table", chosen_arms("paper-table"), range(2), settings, VERSION, {}, None)
    without_a_dataset(monkeypatch)
    for step in steps(made):
        comparison_steps.do(made, step)
    assert all(made.result(step) for step in steps(made))
    trained = [stage for stage, _ in stand_ins.calls]
    assert {stage: trained.count(stage) for stage in ("sft", "continued", "grpo", "rejection", "primed")} == {
        "sft": 2,
        "continued": 2,
        "grpo": 5,
        "rejection": 1,
        "primed": 2,
    }
    for step in steps(made):
        comparison_steps.do(made, step)  # the stages' own records answer: nothing is trained again
    assert [stage for stage, _ in stand_ins.calls] == trained
    page = report(made)
    assert page is not None
    text = page.read_text()
    assert f"- dataset: {VERSION}, source sgd" in text
    assert "| 8 | GRPO, thinking | 83.3 %" in text
    assert "GRPO, thinking − SFT, no thinking | +50.0" in text
    assert "underpowered" in text
    assert "## Noise floor" in text
    assert "Against the same model told not to think" in text
    assert "## Hacking monitor" in text
    said = "2 steps are too few to tell"
    assert {f"| GRPO, thinking | 1 | {said} |", f"| GRPO, no thinking | 0 | {said} |"} <= set(text.splitlines())
    assert "Not done yet" not in text
    assert "judged on: validation; test was not looked at" in text
    assert "Not all arms have the same seeds" in text  # most are trained under both, some once
    assert {file.name for file in made.directory.iterdir()} >= {
        "results.md",
        "verdicts.json",
        "examples.md",
        "turn-success.png",
        "history-length.png",
        "cost.png",
    }


def test_a_look_at_test_is_told_on_both_pages_and_leaves_validations_files(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data import paths
    from tasks.comparison_report import report

    without_a_dataset(monkeypatch)
    made = opened("minimum", chosen_arms("minimum", ("sft",)), range(1), resolve("smoke", {}), VERSION, {}, None)
    for step in steps(made):
        comparison_steps.do(made, step)
    assert "test was not looked at" in report(made).read_text()  # type: ignore[union-attr]
    before = {file.name: file.read_bytes() for file in made.directory.iterdir() if file.name != "results.md"}
    for step in steps(made, final=True):
        comparison_steps.do(made, step)
    uses = paths.final_uses().read_text().splitlines()
    with paths.final_uses().open("a") as stream:  # somebody judges one of the models on test beside the comparison
        stream.write(uses[0].replace('"evaluation_id": "', '"evaluation_id": "another-') + "\n")
    page = report(made, final=True)
    assert page is not None
    assert page.name == "results-final.md"
    assert "judged on: the test splits; 1 other judgements have looked at them before or since" in page.read_text()
    finals = {"verdicts-final.json", "examples-final.md", "turn-success-final.png", "results-final.md"}
    assert finals <= {file.name for file in made.directory.iterdir()}
    kept = {name: (made.directory / name).read_bytes() for name in before if not name.startswith(("outcomes", "state"))}
    assert kept.items() <= before.items()
    monkeypatch.setattr("tasks.comparison_outcomes.chosen_on", lambda record: {"made/validation_seen3", "elsewhere/1"})
    text = report(made).read_text()  # type: ignore[union-attr]
    assert "validation; test was looked at too (results-final.md). **By 1 of the 12 conversations weights were" in text


def test_seeds_of_several_machines_make_the_page_of_one(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tasks.comparison_report import pooled_report, report

    without_a_dataset(monkeypatch)
    unmoved = {"minutes": 1.0, "minutes_in_all": 2.0, "steps": 2.0, "kept_step": 0.0}
    monkeypatch.setattr("tasks.comparison_outcomes.cost", lambda run: unmoved)

    def page_of(machine: str, only_seed: int | None) -> tuple[State, Path, str]:
        monkeypatch.setenv("APPRENTICE_VAR", str(tmp_path / machine))
        made = opened("minimum", chosen_arms("minimum"), range(2), resolve("smoke", {}), VERSION, {}, None)
        monkeypatch.setattr(comparison_steps, "described", lambda: machine)
        for step in steps(made, only_seed=only_seed):
            comparison_steps.do(made, step)
        made.note_command(f"apprentice compare on {machine}")
        page = report(made)
        assert page is not None
        return made, page.parent, page.read_text()

    whole, _, one_page = page_of("one", None)
    parts = [page_of("first", 0), page_of("second", 1)]
    assert {made.id for made, *_ in parts} == {whole.id}
    assert set(parts[0][0].done) | set(parts[1][0].done) == set(whole.done)
    assert set(parts[0][0].done) & set(parts[1][0].done) == {"base/0/train"}  # which both start from
    assert all("steps: " in text for *_, text in parts)  # each says what it has not done
    assert "- seeds: 0; not judged yet: 1\n" in parts[0][2]
    assert "- seeds: 1; not judged yet: 0\n" in parts[1][2]
    assert "- seeds: 0, 1\n" in one_page
    together = pooled_report([directory for _, directory, _ in parts])
    assert together is not None
    pooled_page = together.read_text()
    assert "- hardware: first; second" in pooled_page
    assert "- seeds: 0, 1\n" in pooled_page
    assert "`apprentice compare on first`" in pooled_page
    assert "`apprentice compare on second`" in pooled_page
    assert pooled_page.partition("## Turn success")[2] == one_page.partition("## Turn success")[2]
    assert "| 8 | GRPO, thinking | 83.3 %" in pooled_page
    assert "GRPO, thinking (seed 0), " in pooled_page  # among those that kept the weights they started from
    assert "GRPO, thinking (seed 1)" in pooled_page
    assert {file.name for file in together.parent.iterdir()} >= {"turn-success.png", "outcomes.json", "verdicts.json"}
    # What was pooled can be pooled again, and one that was done twice counts once.
    again = pooled_report([together.parent, parts[1][1]])
    assert again is not None
    assert again.read_text().partition("## Turn success")[2] == one_page.partition("## Turn success")[2]


def test_a_page_says_which_seeds_are_judged_in_part() -> None:
    from tasks.comparison_head import _seeds

    made = state(seeds=3, preset="minimum")
    for step in steps(made, only_seed=0):
        made.done[step.key] = comparison.Done(result="r")
    for name in ("sft", "primed"):
        made.done[f"{name}/1/judge"] = comparison.Done(result="r")
    assert _seeds(made, final=False) == "0, 1 in part (2 of 5 arms); not judged yet: 2"
    assert _seeds(made, final=True) == "none; not judged yet: 0, 1, 2"


def test_judges_that_may_differ_are_named_as_several() -> None:
    import pandas as pd

    from tasks.comparison_head import _judges, head
    from tasks.comparison_outcomes import Outcomes

    made = Outcomes(
        state(preset="minimum"), "sgd", pd.DataFrame({"step": ["sft/0/judge"], "conversation_id": ["c"]}), {}, {}, []
    )
    sha = "a" * 40
    for by, told, several in (
        (sha, "aaaaaaaaa", False),
        (f"{sha}+changes", "aaaaaaaaa+changes", False),
        (f"{sha}, {sha}+changes", "aaaaaaaaa, aaaaaaaaa+changes", True),
        (f", {sha}", "an unknown commit, aaaaaaaaa", True),
        ("", "an unknown commit", False),
    ):
        made.judged_by = by
        assert _judges(made).startswith(told)
        assert ("**several" in _judges(made)) == several
    made.state.done["sft/0/train"] = comparison.Done(result="r", git_commit=f"{sha}+changes")
    assert "- commit: aaaaaaaaa+changes" in head(made, final=False)
    assert "validation; test was not looked at" in head(made, final=False)
    made.other_looks = 3
    assert "no page of this comparison is on test, but test was looked at 3 times" in head(made, final=False)


def test_a_page_names_the_commands_that_made_it_whoever_writes_it(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from contextlib import nullcontext

    from typer.testing import CliRunner

    from flows import compare_arms
    from flows.cli import app

    without_a_dataset(monkeypatch)
    monkeypatch.setattr("flows.server.temporary_server", nullcontext)
    monkeypatch.setattr(compare_arms, "compare_arms", compare_arms.compare_arms.fn)
    monkeypatch.setattr(compare_arms, "whole", lambda version: version)
    monkeypatch.setattr(compare_arms, "elsewhere", dict)

    def page_after(*typed: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["apprentice", *typed])
        told = CliRunner().invoke(app, list(typed))
        assert told.exit_code == 0, told.output
        page = Path(told.stdout.split("results: ")[1].strip())
        return [line for line in page.read_text().splitlines() if line.startswith("- command")]

    asked = ["compare", "--preset", "minimum", "--profile", "smoke", "--dataset", VERSION, "--seeds", "2"]
    first, second = ([*asked, "--only-seed", seed] for seed in "01")
    named = [f"- command: `apprentice {' '.join(one)}`" for one in (first, second)]
    assert page_after(*first, "--slice", "10") == named[:1]
    assert page_after(*first, "--slice=20") == named[:1]  # the same work, in another slice
    assert page_after("compare", "--report") == named[:1]
    assert page_after(*second) == named
    assert page_after(*first) == named
    # The page is of what was asked for, whatever else was worked on meanwhile.
    mine = comparison.newest()
    assert mine is not None
    other = state(seeds=1)
    later = time.time() + 60
    os.utime(other.directory / comparison.ASKED, (later, later))
    assert page_after(*first) == named
    os.utime(other.directory / comparison.ASKED, (later, later))
    assert page_after("compare", "--report", "--id", mine.id) == named


def test_a_slice_that_ends_leaves_a_page_and_says_that_there_is_more(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from contextlib import nullcontext

    from typer.testing import CliRunner

    from flows import cli_compare, compare_arms
    from flows.cli import app

    without_a_dataset(monkeypatch)
    hooks = compare_arms.compare_arms
    assert hooks.on_failure_hooks == hooks.on_crashed_hooks == [compare_arms.tell_of_failure]
    monkeypatch.setattr("flows.server.temporary_server", nullcontext)
    monkeypatch.setattr(compare_arms, "compare_arms", compare_arms.compare_arms.fn)
    monkeypatch.setattr(compare_arms, "whole", lambda version: version)
    monkeypatch.setattr(compare_arms, "elsewhere", dict)
    asked = ["compare", "--preset", "minimum", "--profile", "smoke", "--dataset", VERSION, "--seeds", "1"]
    does = comparison_steps.do
    # A stand-in knows no errors of its own, and how a command ends is looked up among them.
    monkeypatch.setattr(sys.modules["models.training.sft"], "EmptySplit", LookupError, raising=False)

    def until(end: Exception) -> Any:
        def do(made: State, step: Step) -> None:
            if step.arm == "sft-continued":
                raise end
            does(made, step)

        return do

    with monkeypatch.context() as short:
        short.setattr(comparison_steps, "do", until(SliceOver("4 steps done; the slice is over")))
        told = CliRunner().invoke(app, [*asked, "--slice", "10"])
    assert told.exit_code == cli_compare.MORE_TO_DO
    assert "the slice is over" in told.output
    page = Path(told.output.split("results: ")[1].split()[0])
    assert "steps: sft-continued/0/train" in page.read_text()
    page.unlink()
    with monkeypatch.context() as short:
        short.setattr(comparison_steps, "do", until(NotTakable("it was made otherwise")))
        told = CliRunner().invoke(app, asked)
    assert told.exit_code == 2
    assert "it was made otherwise" in told.output
    assert "steps: sft-continued/0/train" in page.read_text(), "what is done before has its page"
    done = CliRunner().invoke(app, [*asked, "--write", str(page.parent / "not/there/yet.md")])
    assert done.exit_code == 0
    assert "Not done yet" not in page.read_text()
    assert (page.parent / "not/there/yet.md").read_text() == page.read_text()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--arm", "base"], 2, "base alone is no comparison"),
        (["--take", "sft=1234"], 2, "sft=1234 is not of the form ARM/SEED=RUN"),
        (["--set", "evaluation.sample=1"], 1, "the arms of a comparison are judged on recorded turns"),
        (["--set", "evaluation.thinking=false"], 1, "(thinking)"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, says: str
) -> None:
    from contextlib import nullcontext

    from typer.testing import CliRunner

    from flows import compare_arms
    from flows.cli import app

    monkeypatch.setattr("flows.server.temporary_server", nullcontext)
    monkeypatch.setattr(compare_arms, "compare_arms", compare_arms.compare_arms.fn)
    monkeypatch.setattr(compare_arms, "ingest_data", lambda **unused: pytest.fail("ingested"))
    told = CliRunner().invoke(app, ["compare", "--profile", "smoke", *options], env={"COLUMNS": "200"})
    assert told.exit_code == code
    assert says in told.output


def test_a_page_of_what_is_not_there_says_what_to_do() -> None:
    from typer.testing import CliRunner

    from flows.cli import app

    mine = state().id
    for options, said in (
        (["--report", "--id", "0" * 12], "no comparison '000000000000' here"),
        (["--id", mine], "--id names a comparison for --report"),
    ):
        told = CliRunner().invoke(app, ["compare", *options], env={"COLUMNS": "200"})
        assert told.exit_code == 2
        assert said in told.output
    told = CliRunner().invoke(app, ["compare", "--report", "--id", mine])
    assert told.exit_code == 0
    assert "no page yet" in told.output


def test_a_cost_that_an_older_part_does_not_tell_is_left_out() -> None:
    import pandas as pd

    from tasks.comparison_outcomes import Outcomes

    made = opened("minimum", chosen_arms("minimum"), range(2), resolve("smoke", {}), VERSION, {}, None)
    costs = {"sft/0/train": {"minutes": 2.0, "kept_step": 4.0}, "sft/1/train": {"minutes": 4.0}}
    outcomes = Outcomes(made, "sgd", pd.DataFrame(), costs, {}, [])
    assert outcomes.cost("sft", [0, 1]) == {"minutes": 3.0}
    # A seed that is trained and not judged is in no row, so it costs that row nothing.
    assert outcomes.cost("sft", [0]) == {"minutes": 2.0, "kept_step": 4.0}
    assert outcomes.kept_steps("sft", [0]) == {0: 4.0}
    assert outcomes.kept_steps("sft", [1]) == {}


def test_only_one_comparison_is_pooled_and_what_differs_is_named(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tasks.comparison_outcomes import NotOneComparison, gathered, read
    from tasks.comparison_pooling import pooled
    from tasks.comparison_report import pooled_report

    without_a_dataset(monkeypatch)
    left = []
    for rate in (1e-4, 2e-4):
        settings = resolve("smoke", {"sft": {"learning_rate": rate}, "data": {"path": "somewhere/private"}})
        made = opened("minimum", chosen_arms("minimum", ("base",)), range(1), settings, VERSION, {}, None)
        for step in steps(made):
            comparison_steps.do(made, step)
        outcomes = gathered(made)
        assert outcomes is not None
        outcomes.write(directory := tmp_path / str(rate))
        assert "private" not in (directory / "outcomes.json").read_text()
        left.append(directory)
    with pytest.raises(NotOneComparison, match=r"sft\.learning_rate: 0\.0001 and 0\.0002"):
        pooled_report(left)
    with pytest.raises(NotOneComparison, match=r"has no outcomes\.json and no outcomes\.parquet"):
        read(tmp_path)
    whole = read(left[0])
    whole.other_looks = 1
    assert pooled([whole, whole]).other_looks == 1, "one that is given twice is one"
    elsewhere = replace(whole, other_looks=2)
    assert pooled([whole, elsewhere]).other_looks == 3, "looks of a machine whose seeds are not used are looks as well"
    facts = json.loads((left[0] / "outcomes.json").read_text())
    for wrong in ("null", '"text"', json.dumps({**facts, "costs": None}), json.dumps({**facts, "newer": 1})):
        (left[0] / "outcomes.json").write_text(wrong)
        with pytest.raises(NotOneComparison, match="damaged, or another commit made them"):
            read(left[0])
    (left[0] / "outcomes.json").write_text(json.dumps(facts))
    (left[0] / "outcomes.parquet").write_bytes(b"torn")
    with pytest.raises(NotOneComparison, match=r"outcomes\.parquet.*damaged, or another commit made them"):
        read(left[0])


def test_an_arm_costs_its_own_minutes_those_before_and_the_tokens_that_had_a_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pandas as pd

    from tasks import comparison_costs

    counts = {"used": 10, "tokens": 9000, "labelled_tokens": 1000}
    runs = {
        "s": SimpleNamespace(run_id="s", stage="sft", steps=20, start_run_id=None, settings={"batch_size": 2}),
        "g": SimpleNamespace(run_id="g", stage="grpo", steps=30, start_run_id="s", settings={"batch_size": 64}),
    }
    runs["s"].outputs = {"seconds": 600.0, "counts": counts}
    runs["g"].outputs = {
        "seconds": 300.0,
        "counts": {"used": 50},
        "metrics": {"best_step": 0, "best_turn_success": 0.4},
    }
    monkeypatch.setattr("tasks.records.of_run", lambda run, usable: runs[run])
    rollouts = pd.DataFrame({"completion_tokens": [3000, 2000, 1500, 500], "advantage": [1.0, -1.0, 0.0, None]})
    monkeypatch.setattr("data.rollouts.read_rollouts", {"g": rollouts}.__getitem__)
    sft, grpo = (comparison_costs.cost(run) for run in "sg")
    tokens = {"learned_tokens": 4000, "sampled_tokens": 0}
    assert sft == {"minutes": 10, "minutes_in_all": 10, "steps": 20, "kept_step": 20, **tokens}
    tokens = {"learned_tokens": 5000, "sampled_tokens": 7000}
    assert grpo == {"minutes": 5, "minutes_in_all": 15, "steps": 30, "kept_step": 0, **tokens}
    # Rejection learns what GRPO has sampled, so it has cost that too.
    runs["r"] = SimpleNamespace(
        run_id="r", stage="rejection", steps=5, start_run_id="s", settings={"batch_size": 2, "rollouts_of": "g"}
    )
    runs["r"].outputs = {"seconds": 60.0, "counts": counts}
    found = comparison_costs.cost("r")
    assert (found["minutes"], found["minutes_in_all"], found["sampled_tokens"]) == (1, 16, 7000)


def test_examples_quote_what_turned_right_and_wrong(tmp_path: Path) -> None:
    import pandas as pd

    from tasks import comparison_examples

    def rows(*causes: str | None) -> pd.DataFrame:
        ids = [f"made#{number}" for number in range(len(causes))]
        texts = [f"said {cause or 'well'}" for cause in causes]
        return pd.DataFrame({"decision_point_id": ids, "kind": "answer", "text": texts, "cause": causes}, dtype=object)

    found = {"sft": rows("missed fact", None, None), "grpo-plain": rows(None, "wrong decision", None)}
    point = DecisionPoint(
        id="made#0",
        conversation_id="made",
        message_index=1,
        source="made",
        split="validation_seen",
        domain="Ferries",
        kind="answer",
        tool=None,
        tools=(),
        history=(Message(role="user", content="What is\nthe price?"),),
        expected=Message(role="assistant", content="It is $9."),
    )
    comparison_examples.examples(tmp_path / "examples.md", found, {"made#0": point}, seed=1)
    head, better, worse = (tmp_path / "examples.md").read_text().split("## ")
    assert "All of seed 1" in head
    assert better.startswith("sft → grpo-plain, wrong → right: 1 of 1\n")
    assert worse.startswith("sft → grpo-plain, right → wrong: 1 of 1\n")
    quoted = "`made#0` (answer)\n\nlast, by the user:\n\n    What is\n    the price?\n\ndue:\n\n    It is $9.\n\n"
    assert f"{quoted}before, missed fact:\n\n    said missed fact\n\nafter, right" in better
    assert "`made#1` (answer)\n\nbefore, right:\n\n    said well\n\nafter, wrong decision" in worse
    assert "made#2" not in better + worse


def twins(made: State, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Settings of the two twins once GRPO's model is there, which took 90 minutes as did priming."""
    facts = {"stage": "grpo", "key": "k", "status": "done", "run_id": "r", "started": "", "settings": {}}
    trained = Record.model_validate({**facts, "steps": 130, "outputs": {"seconds": 5400.0}})
    monkeypatch.setattr("tasks.records.of_run", lambda run, **how: trained)
    for name in ("primed", "grpo-thinking"):
        made.done[f"{name}/0/train"] = comparison.Done(result=name)
    both = [
        comparison_steps.settings_of(
            made, PAPER_TABLE[name], 0, comparison_steps._as_a_twin(made, PAPER_TABLE[name], 0)
        )
        for name in ("sft-continued", "rejection")
    ]
    return both[0].continued, both[1].rejection


@pytest.mark.parametrize("profile", PROFILES)
def test_twins_of_grpo_are_trained_as_what_they_are_compared_with(
    profile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = resolve(profile)
    made = opened("paper-table", chosen_arms("paper-table"), range(1), own, VERSION, {}, None)
    continued, rejection = twins(made, monkeypatch)
    assert (continued.max_length, continued.averaging) == (own.sft.max_length, own.sft.averaging)
    assert (rejection.max_length, rejection.averaging) == (own.grpo.max_length, own.sft.averaging)
    # On trained weights: a rate no higher than SFT's, a batch no smaller, in any case those of its class.
    assert continued.learning_rate == min(own.continued.learning_rate, own.sft.learning_rate)
    assert continued.batch_size == max(own.continued.batch_size, own.sft.batch_size)
    assert continued.order == "shuffled"
    # Weights are chosen as GRPO's are, and only the clock ends it.
    assert continued.validation_decision_points == own.grpo.validation_decision_points
    assert continued.validate_every is None
    assert continued.validations == max(1, 130 // own.grpo.validate_every)  # as often, within the same time
    assert continued.minutes == 180.0
    assert min(continued.max_steps, continued.epochs, continued.patience) >= 100_000
    # Nothing chooses among the weights of SFT on rollouts: it passes over them as often as it says, within the clock.
    assert (rejection.minutes, rejection.epochs) == (90.0, own.rejection.epochs)
    assert rejection.max_steps >= 100_000


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_stated_of_a_twin_stays(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"max_length": 777, "averaging": 0.2, "learning_rate": 2e-3, "max_steps": 7, "epochs": 5.0}
    choosing = {"validate_every": 9, "validation_decision_points": 11, "patience": 2}
    stated = {"continued": {**shared, **choosing, "batch_size": 6, "micro_batch_size": 2}, "rejection": shared}
    made = opened("paper-table", chosen_arms("paper-table"), range(1), resolve(profile, stated), VERSION, {}, None)
    continued, rejection = twins(made, monkeypatch)
    assert continued.model_dump() | stated["continued"] == continued.model_dump()
    assert rejection.model_dump() | stated["rejection"] == rejection.model_dump()
    # One of the two alone keeps the other as well: SFT's need not divide it.
    made = opened("", PAPER_TABLE, range(1), resolve(profile, {"continued": {"batch_size": 6}}), VERSION, {}, None)
    assert twins(made, monkeypatch)[0].model_dump(include={"batch_size", "micro_batch_size"}) == {
        "batch_size": 6,
        "micro_batch_size": 1,
    }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("minutes", [None, 600.0, 30.0])
def test_sft_ends_where_validation_no_longer_improves_unless_stated_otherwise(profile: Any, minutes: Any) -> None:
    def sft(**stated: Any) -> Any:
        return budgeted(profile, {"sft": stated} if stated else {}, chosen_arms("minimum"), 1, minutes).sft

    own = resolve(profile)
    found = sft()
    if minutes == 30.0:  # its clock ends it long before
        assert not found.is_validated
    else:
        assert (found.validate_every, found.validations) == (None, 8)
        assert found.validation_decision_points == own.grpo.validation_decision_points
        assert sft(validations=3).validations == 3
    stated = sft(validate_every=100, validation_decision_points=320)
    assert (stated.validate_every, stated.validation_decision_points) == (100, 320)
    assert not sft(validate_every=None).is_validated


def test_what_the_environment_states_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computed default outranks a profile, not a person, however they say it."""
    from tasks.choices import whole_job

    for name, value in (("SFT__VALIDATE_EVERY", "100"), ("GRPO__MINUTES", "60"), ("SFT__MINUTES", "7")):
        monkeypatch.setenv(f"APPRENTICE_{name}", value)
    arms = chosen_arms("minimum")
    for minutes in (None, 300.0, 30.0):
        own = budgeted("laptop", {"sft": {"minutes": 8.0}}, arms, 1, minutes)
        assert (own.sft.validate_every, own.sft.validations, own.grpo.minutes, own.sft.minutes) == (100, None, 60, 8)
    whole = whole_job("laptop", {}, minutes=100)
    assert (whole.grpo.minutes, whole.sft.minutes, whole.prime.minutes) == (60, 7, 9)
    assert whole_job("laptop", {}, minutes=100, max_steps=3).grpo.max_steps == 3


def test_without_a_clock_a_twin_ends_by_its_steps() -> None:
    made = state(seeds=1)
    arm = made.arms["sft-continued"]
    settings = comparison_steps.settings_of(made, arm, 0, comparison_steps._as_a_twin(made, arm, 0))
    assert (settings.continued.minutes, settings.continued.max_steps, settings.continued.patience) == (None, 400, 3)
    assert comparison_steps._as_a_twin(made, made.arms["grpo-plain"], 0) == {}


def test_the_comparison_of_the_docs_gets_the_twin_that_it_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds of it are made on several machines and weeks, so its settings may not move."""
    page = Path(__file__).parent.parent / "docs" / "comparison.md"
    command = page.read_text(encoding="utf-8").partition("until apprentice compare --preset minimum --profile laptop")[
        2
    ]
    stated = nested(re.findall(r"--set ([^\s;]+)", command.partition("do [")[0]))
    assert {"continued", "grpo", "prime", "sft"} <= stated.keys()
    arms = chosen_arms("minimum")
    made = opened("minimum", arms, range(3), budgeted("laptop", stated, arms, 3, None), VERSION, {}, None)
    continued, _ = twins(made, monkeypatch)
    today = resolve("laptop", {"continued": {**stated["continued"], "minutes": 180.0}}).continued
    assert continued == today
    assert (continued.learning_rate, continued.batch_size, continued.micro_batch_size) == (1e-4, 4, 1)
