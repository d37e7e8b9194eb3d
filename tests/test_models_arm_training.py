"""The trainings that only a comparison makes: SFT that ends in time, SFT that goes on, SFT on the best rollouts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from data.decision_points import decision_points
from data.profiles import resolve
from data.reporting import Silent
from data.schema import Conversation
from models.base import fetch_base_model
from models.speech.template import completion_text
from models.training.job import TrainingJob
from models.training.rejection import best_completions, shuffled
from models.training.sft import EmptySplit


@pytest.fixture(scope="module")
def base_model(_sheltered_session: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture
def conversations(tiny_conversations: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> list[Conversation]:
    """Training stages read these instead of a snapshot."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    read = lambda version, splits=None: tiny_conversations  # noqa: E731
    monkeypatch.setattr("models.training.sft.read_conversations", read)
    monkeypatch.setattr("models.training.early_stopping.read_decision_points", lambda version, splits: points[:3])
    monkeypatch.setattr("models.training.priming.read_decision_points", lambda version, splits: points)
    monkeypatch.setattr(
        "models.training.rejection.read_points_by_id",
        lambda version, wanted: {point.id: point for point in points if point.id in wanted},
    )
    return tiny_conversations


def job(base_model: Path, run_dir: Path, **changes: Any) -> TrainingJob:
    run_dir.mkdir(parents=True, exist_ok=True)
    return TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, resolve("smoke", {"device": "cpu", **changes}))


def test_sft_ends_once_validation_no_longer_improves(
    base_model: Path, conversations: list[Conversation], tmp_path: Path
) -> None:
    """The tiny model never gets a turn right, so its first weights stay the best."""
    from models.training.sft import train_sft

    sft = {"max_steps": 6, "validate_every": 1, "patience": 2, "validation_decision_points": 4}
    outcome = train_sft(job(base_model, tmp_path / "sft", sft=sft), Silent())
    assert (outcome.steps, outcome.planned_steps, outcome.stopped) == (3, 6, "finished")
    assert outcome.metrics == {"best_step": 1, "best_turn_success": 0.0, "best_exact_call": 0.0}


def watched(monkeypatch: pytest.MonkeyPatch, during: Callable[[int], Any] = lambda step: None) -> list[int]:
    """The steps that are validated, each the same; ``during`` is called meanwhile."""
    steps: list[int] = []

    def validate(job: TrainingJob, step: int, *what: Any, **how: Any) -> dict[str, float]:
        steps.append(step)
        during(step)
        return {"validation/turn_success": 0.5, "validation/exact_call": 0.5}

    monkeypatch.setattr("models.training.early_stopping.validate", validate)
    return steps


def ctrl_c_at(step: int) -> Callable[[int], None]:
    return lambda reached: os.kill(os.getpid(), signal.SIGINT) if reached == step else None


def test_a_signal_while_validation_ends_sft_does_not_make_it_train_on(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training import checkpoints
    from models.training.sft import train_sft

    saved: list[str] = []
    monkeypatch.setattr(checkpoints, "seal", lambda checkpoint: saved.append(checkpoint.name))
    steps = watched(monkeypatch, ctrl_c_at(3))
    sft = {"max_steps": 6, "validate_every": 1, "patience": 2, "save_every_minutes": 1e-9}
    work = job(base_model, tmp_path / "cut", sft=sft)
    with pytest.raises(KeyboardInterrupt):  # what was done is kept, what would come next is not begun
        train_sft(work, Silent())
    assert steps == [1, 2, 3]
    assert saved == ["checkpoint-1", "checkpoint-2"]  # due at 3 too, but nothing goes on from there
    outcome = train_sft(work, Silent())
    assert (outcome.steps, outcome.stopped, steps) == (3, "finished", [1, 2, 3])


def test_what_has_ended_is_neither_interrupted_nor_saved_to_go_on_with(tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from models.interruption import Interruption
    from models.training.loop import BudgetCallback

    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    stage = resolve("smoke", {"sft": {"minutes": 1e-9, "save_every_minutes": 1e-9}}).sft
    for asked in (True, False):
        for ended in (True, False):
            budget = BudgetCallback(stage, Interruption(asked=asked))
            control = TrainerControl(should_training_stop=ended)
            budget.on_step_end(arguments, TrainerState(global_step=3, max_steps=9), control)
            assert control.should_training_stop
            assert budget.stopped == ("finished" if ended else "interrupted" if asked else "budget")
            assert control.should_save == (asked and not ended)


def test_sft_that_goes_on_and_does_not_improve_leaves_its_start(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is validated once, whether or not the run is interrupted; SFT's start is none to go back to."""
    from safetensors.torch import load_file

    from models.training.continued import continue_sft
    from models.training.sft import train_sft

    stage = {"max_steps": 6, "batch_size": 1, "max_length": 4096, "learning_rate": 1e-2, "warmup_steps": 0}
    stage |= {"validate_every": 1, "patience": 3, "averaging": 0.1}
    steps = watched(monkeypatch, ctrl_c_at(1))
    work = job(base_model, tmp_path / "more", continued=stage, sft=stage)
    assert continue_sft(work, Silent()).stopped == "interrupted"
    assert steps == [0, 1]
    outcome = continue_sft(work, Silent())
    assert steps == [0, 1, 2, 3]
    assert (outcome.steps, outcome.metrics["best_step"]) == (3, 0)
    start, kept = (load_file(folder / "model.safetensors") for folder in (base_model, outcome.model_dir))
    assert all((kept[name] == start[name].to(kept[name].dtype)).all() for name in start)
    steps = watched(monkeypatch)
    assert train_sft(job(base_model, tmp_path / "sft", sft=stage), Silent()).metrics["best_step"] == 1
    assert steps == [1, 2, 3, 4]


def test_priming_is_validated_with_thoughts_and_leaves_the_best_weights_and_never_its_start(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.priming import prime_thinking
    from models.training.validation import keep_best

    scores = {1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6}
    seen: list[tuple[int, bool]] = []
    kept: list[int] = []

    def validate(job: TrainingJob, step: int, *what: Any, thinking: bool) -> dict[str, float]:
        seen.append((step, thinking))
        return {"validation/turn_success": scores[step], "validation/exact_call": 0.5}

    monkeypatch.setattr("models.training.early_stopping.validate", validate)

    def noted(directory: Path, model: Any, step: int, reached: dict[str, float]) -> None:
        kept.append(step)
        keep_best(directory, model, step, reached)

    monkeypatch.setattr("models.training.early_stopping.keep_best", noted)
    stage = {"max_steps": 6, "max_length": 4096, "validate_every": 1, "patience": 2, "validation_decision_points": 4}
    outcome = prime_thinking(job(base_model, tmp_path / "chosen", prime=stage), Silent())
    assert seen == [(step, True) for step in (1, 2, 3, 4)]
    assert (outcome.steps, outcome.metrics["best_step"], kept) == (4, 2, [1, 2])
    seen.clear()
    last = prime_thinking(job(base_model, tmp_path / "last", prime={**stage, "validate_every": None}), Silent())
    assert (last.steps, last.metrics, seen) == (6, {}, [])


def test_the_time_of_a_validation_is_kept_free_for_the_last_one_also_after_a_resumption(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from models.interruption import Interruption
    from models.policy import load_model, load_tokenizer
    from models.training.early_stopping import EarlyStopping
    from models.training.loop import BudgetCallback

    watched(monkeypatch, lambda step: time.sleep(0.2))
    work = job(base_model, tmp_path / "more", continued={"minutes": 1.0, "validate_every": 5})
    stage = work.settings.continued
    arguments = TrainingArguments(output_dir=str(work.run_dir / "checkpoints"), use_cpu=True)
    state, control = TrainerState(global_step=0, max_steps=9), TrainerControl()
    budget = BudgetCallback(stage, Interruption())
    watch = EarlyStopping(work, stage, load_tokenizer(base_model), Silent(), budget)
    watch.on_train_begin(arguments, state, control, model=load_model(base_model))
    assert 0.2 <= budget.reserve < 30
    (work.run_dir / "checkpoints" / "checkpoint-0").mkdir(parents=True)
    budget.on_save(arguments, state, control)
    later = BudgetCallback(stage, Interruption())
    later.go_on_from(work.run_dir / "checkpoints" / "checkpoint-0")
    assert later.reserve == budget.reserve


def test_time_is_counted_up_to_the_checkpoint_that_a_run_goes_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost checkpoint had cost is done again, so it is not charged twice."""
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from models.interruption import Interruption
    from models.training import checkpoints, loop
    from models.training.loop import BudgetCallback

    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    arguments, control = TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerControl()
    first = BudgetCallback(resolve("smoke").sft, Interruption())
    for step in (1, 2):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        clock.now += 60
        first.on_save(arguments, TrainerState(global_step=step, max_steps=9), control)
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text('{"torn')
    newest = checkpoints.newest(tmp_path)
    assert newest == str(tmp_path / "checkpoint-1")
    again = BudgetCallback(resolve("smoke").sft, Interruption())
    assert again.seconds == 0
    again.go_on_from(Path(newest))
    assert again.seconds == 60


def walked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_model: Path, *, cut: int | None = None, **stage: Any
) -> list[int]:
    """Steps that ``EarlyStopping`` validates on its way over 20 steps of six seconds each; at ``cut`` the process ends
    and another goes on there, whose clock stands three seconds later, since it had to load."""
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from models.policy import load_model, load_tokenizer
    from models.training.early_stopping import EarlyStopping

    steps = watched(monkeypatch)
    work = job(base_model, tmp_path, sft={"max_steps": 20, "patience": 99, **stage})
    (work.run_dir / "checkpoints").mkdir(parents=True)
    model, tokenizer = load_model(base_model), load_tokenizer(base_model)
    arguments, control = TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerControl()
    for first, last, late in ((0, cut or 20, 0.0), (cut or 20, 20, 3.0)):
        budget: Any = SimpleNamespace(seconds=6.0 * first + late, reserve=0.0, stopped="finished")
        watch = EarlyStopping(work, work.settings.sft, tokenizer, Silent(), budget)
        state = TrainerState(global_step=first, max_steps=20)
        watch.on_train_begin(arguments, state, control, model=model)
        for state.global_step in range(first + 1, last + 1):
            budget.seconds, budget.reserve = 6.0 * state.global_step + late, 0.0
            if stage.get("minutes") and budget.seconds > 60 * stage["minutes"]:
                break
            watch.on_step_end(arguments, state, control, model=model)
    return steps


def test_validations_are_spread_over_the_steps_or_over_the_clock_whichever_ends_the_training(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_steps = walked(monkeypatch, tmp_path / "steps", base_model, validations=4)
    by_clock = walked(monkeypatch, tmp_path / "clock", base_model, validations=4, minutes=0.85)
    assert by_steps == [5, 10, 15, 20]
    assert by_clock == [3, 5, 7]  # at 12.75, 25.5 and 38.25 of 51 seconds; the last weights come at the end
    assert walked(monkeypatch, tmp_path / "many", base_model, validations=50) == [*range(1, 21)]
    assert walked(monkeypatch, tmp_path / "every", base_model, validate_every=8) == [8, 16]


def test_a_validation_that_fell_due_while_a_resumed_run_loaded_is_made(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = walked(monkeypatch, tmp_path / "cut", base_model, validations=4, minutes=0.85, cut=4)
    # The second falls due at 25.5 seconds, where the checkpoint is of 24 and the clock that goes on begins at 27; the
    # others at 38.25 and 51, which steps 6 and 8 of the late clock reach.
    assert cut == [3, 5, 6, 8]


def test_patience_counts_validations_also_where_they_are_spread_and_the_run_is_resumed(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.sft import train_sft

    steps = watched(monkeypatch, ctrl_c_at(4))
    sft = {"max_steps": 8, "batch_size": 1, "validations": 4, "patience": 2, "epochs": 99, "warmup_steps": 0}
    work = job(base_model, tmp_path / "cut", sft=sft)
    assert train_sft(work, Silent()).stopped == "interrupted"
    assert steps == [2, 4]
    outcome = train_sft(work, Silent())
    assert (steps, outcome.steps, outcome.metrics["best_step"]) == ([2, 4, 6], 6, 2)


def test_the_first_step_of_a_warm_up_moves_the_weights_and_loading_is_not_charged(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    from models.training import sft as module
    from models.training.early_stopping import EarlyStopping

    class Slow(EarlyStopping):
        def __init__(self, *what: Any, **how: Any) -> None:
            super().__init__(*what, **how)
            clock.now += 1000

    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("models.training.loop.time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr("models.training.early_stopping.EarlyStopping", Slow)
    watched(monkeypatch)
    stage = {"max_steps": 1, "batch_size": 1, "warmup_steps": 3, "validations": 1, "max_length": 4096}
    outcome = module.train_sft(job(base_model, tmp_path / "sft", sft=stage), Silent())
    assert outcome.seconds == 0
    start, left = (load_file(folder / "model.safetensors") for folder in (base_model, outcome.model_dir))
    assert any((left[name] != start[name].to(left[name].dtype)).any() for name in start)


def test_two_ways_to_say_when_to_validate_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="validate_every=20 and validations=4 both say when to validate"):
        resolve("smoke", {"sft": {"validate_every": 20, "validations": 4}})


def test_sft_that_validates_is_addressed_by_where_validation_cuts_completions() -> None:
    """The weights that are chosen depend on it; where nothing is validated it has no effect, and addresses stay."""
    from tasks.addresses import training_address

    start: Any = SimpleNamespace(dataset_version="0" * 12, model_sha256="s")

    def keys(stage: Any, **section: Any) -> set[str]:
        settings = [resolve("smoke", {"grpo": {"max_completion_length": length}, **section}) for length in (16, 256)]
        return {training_address(stage, one, start).key for one in settings}

    assert len(keys("sft", sft={"validate_every": 20})) == len(keys("continued", continued={"validate_every": 20})) == 2
    assert len(keys("primed", prime={"validate_every": 20})) == 2
    for stage in ("sft", "continued", "primed", "rejection"):
        assert len(keys(stage)) == 1
    plain = training_address("sft", resolve("smoke"), start)
    assert "validation_completion_length" not in plain.settings


def test_sft_goes_on_in_another_order(base_model: Path, conversations: list[Conversation], tmp_path: Path) -> None:
    from models.training.continued import continue_sft

    small = {"max_steps": 1, "batch_size": 1, "warmup_steps": 0, "max_length": 4096, "learning_rate": 1e-2}
    outcome = continue_sft(job(base_model, tmp_path / "more", continued=small), Silent())
    assert outcome.steps == 1
    assert (outcome.model_dir / "model.safetensors").read_bytes() != (base_model / "model.safetensors").read_bytes()


def rollout(point: str, index: int, reward: float, **changes: Any) -> dict[str, Any]:
    made = {"decision_point_id": point, "completion_index": index, "reward": reward, "text": f"{point} {index}"}
    ended = {"parse_status": "ok", "truncated": False, "completion_tokens": 10}
    return {**made, **ended, "passed": False, "thinking": False, **changes}


def test_the_best_of_each_group_is_learned_if_there_is_anything_to_learn() -> None:
    rows = [
        rollout("a#1", 0, 0.2),
        rollout("a#1", 1, 0.9, completion_tokens=30),
        rollout("a#1", 2, 0.9, completion_tokens=20),
        rollout("b#1", 0, 0.5),
        rollout("b#1", 1, 0.5),  # nothing is above the mean, nothing solved
        rollout("c#1", 0, 2.0, passed=True),
        rollout("c#1", 1, 2.0, passed=True, completion_tokens=5),  # all solved
        rollout("d#1", 0, 0.1),
        rollout("d#1", 1, 0.8, parse_status="malformed_call"),  # the best cannot be read
        rollout("e#1", 0, 0.2),
        rollout("e#1", 1, 2.0, passed=True, truncated=True),  # stored before a cut one was paid less: it has no end
    ]
    assert best_completions(pd.DataFrame(rows))["text"].tolist() == ["a#1 2", "c#1 1"]


def test_of_several_groups_of_one_turn_the_best_of_all_is_learned() -> None:
    """Drawn anew later, a turn may have gone worse: that is not what the rollouts have to teach of it."""
    groups = [(1, (2.0, 0.1)), (9, (0.2, 0.1)), (12, (2.0, 0.0))]
    rows = [
        rollout("a#1", index, reward, step=step, draw=0, text=f"step {step}, {index}")
        for step, rewards in groups
        for index, reward in enumerate(rewards)
    ]
    assert best_completions(pd.DataFrame(rows))["text"].tolist() == ["step 12, 0"]  # of equals the latest
    assert best_completions(pd.DataFrame(rows[:4]))["text"].tolist() == ["step 1, 0"]


def test_chosen_completions_are_learned_in_whole_conversations_by_seed() -> None:
    best = pd.DataFrame({"decision_point_id": [f"sgd/{name}#{at}" for name in "abcdef" for at in (1, 3)]})
    orders = [shuffled(best, seed)["decision_point_id"].tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(order) == sorted(best["decision_point_id"]) != order for order in orders)
    homes = [one.partition("#")[0] for one in orders[0]]
    assert homes[::2] == homes[1::2]
    assert all(order.index(f"sgd/{name}#1") < order.index(f"sgd/{name}#3") for order in orders for name in "abcdef")


def test_chosen_completions_are_trained_on_and_none_says_so(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.rejection import train_on_best

    points = [point for conversation in conversations for point in decision_points(conversation)][:4]
    rows = [
        rollout(point.id, 0, 1.0, passed=True, text=completion_text(point.expected, "I know."), thinking=True)
        for point in points
    ]
    monkeypatch.setattr("models.training.rejection.read_rollouts", lambda run: pd.DataFrame(rows))
    small = {"batch_size": 2, "warmup_steps": 0, "max_length": 4096, "epochs": 1, "rollouts_of": "g"}
    outcome = train_on_best(job(base_model, tmp_path / "best", rejection=small), Silent())
    assert (outcome.steps, outcome.counts["used"]) == (2, 4)
    failed = pd.DataFrame(rows).assign(passed=False)
    monkeypatch.setattr("models.training.rejection.read_rollouts", lambda run: failed)
    with pytest.raises(EmptySplit, match="solved nothing"):
        train_on_best(job(base_model, tmp_path / "none", rejection=small), Silent())
