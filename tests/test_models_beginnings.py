"""How a training begins and what a kill leaves of it: rates of warm-up, orders of seeds, best weights, spent time."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler
from transformers import TrainerControl, TrainerState, TrainingArguments, get_scheduler

from data.profiles import resolve
from models.interruption import Interruption
from models.training import loop, validation
from models.training.job import TrainingJob
from models.training.loop import BudgetCallback, best_weights, common_arguments, order_seed, read_best
from models.training.validation import keep_best
from models.training.warm_up import WarmUp


def scheduled(warmup: int, tmp_path: Path) -> tuple[Any, TrainingArguments]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    kwargs = {"timescale": 40}
    scheduler = get_scheduler("inverse_sqrt", optimizer, warmup, 100, scheduler_specific_kwargs=kwargs)
    trainer = SimpleNamespace(optimizer=optimizer, lr_scheduler=scheduler)
    return trainer, TrainingArguments(output_dir=str(tmp_path), warmup_steps=warmup, use_cpu=True)


def warm_up(trainer: Any, arguments: TrainingArguments, step: int = 0) -> None:
    state = TrainerState(global_step=step)
    WarmUp().on_train_begin(
        arguments, state, TrainerControl(), optimizer=trainer.optimizer, lr_scheduler=trainer.lr_scheduler
    )


def rates(trainer: Any, steps: int) -> list[float]:
    """Of the steps to come; what the scheduler tells is what the optimizer has."""
    found = []
    for _ in range(steps):
        (rate,) = (group["lr"] for group in trainer.optimizer.param_groups)
        assert trainer.lr_scheduler.get_last_lr() == [rate]
        found.append(rate)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    return found


def test_the_first_step_of_a_warm_up_moves_and_what_follows_it_is_transformers_own(tmp_path: Path) -> None:
    theirs, _ = scheduled(4, tmp_path)
    ours, arguments = scheduled(4, tmp_path)
    warm_up(ours, arguments)
    own, other = rates(ours, 12), rates(theirs, 12)
    assert other[0] == 0
    assert own[:4] == pytest.approx([2 / 5, 4 / 5, 6 / 5, 8 / 5])
    assert own[4] == 2.0
    assert own[4:] == other[4:]
    none, arguments = scheduled(0, tmp_path)
    warm_up(none, arguments)
    assert rates(none, 3) == rates(scheduled(0, tmp_path)[0], 3)


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 7])
def test_a_resumed_run_goes_on_with_the_rates_of_one_that_was_not_stopped(cut: int, tmp_path: Path) -> None:
    whole, arguments = scheduled(4, tmp_path)
    warm_up(whole, arguments)
    before = rates(whole, cut)
    kept = (whole.optimizer.state_dict(), whole.lr_scheduler.state_dict())
    resumed, _ = scheduled(4, tmp_path)
    resumed.optimizer.load_state_dict(kept[0])
    resumed.lr_scheduler.load_state_dict(kept[1])
    warm_up(resumed, arguments, cut)
    after = rates(resumed, 10 - cut)
    again, _ = scheduled(4, tmp_path)
    warm_up(again, arguments)
    assert before + after == rates(again, 10)


def test_seeds_that_are_compared_share_no_pass_over_the_conversations() -> None:
    """accelerate draws a pass by its number plus the seed it is given: neighbours' would be each other's."""

    def order(seed: int, passed: int) -> tuple[int, ...]:
        sampler = SeedableRandomSampler(range(40), data_seed=seed)
        sampler.set_epoch(passed)
        return tuple(sampler)

    assert order(0, 1) == order(1, 0)  # what is avoided
    drawn = [order(order_seed(seed), passed) for seed, passed in product(range(6), range(4))]
    assert len(set(drawn)) == 24
    assert order_seed(3) == order_seed(3) < 2**31


def test_trainings_draw_their_order_so(tmp_path: Path) -> None:
    settings = resolve("smoke", {"seed": 4, "device": "cpu"})
    job = TrainingJob("run", "0" * 12, tmp_path, tmp_path, settings)
    assert common_arguments(job, settings.sft)["data_seed"] == order_seed(4)


def left_over(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_a_kill_while_better_weights_are_kept_loses_neither_the_old_nor_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        validation, "save_weights", lambda model, to: (to.mkdir(), (to / "weights").write_text(str(model)))
    )

    class Killed(BaseException):
        pass

    def killed(*what: Any) -> None:
        raise Killed

    def standing() -> tuple[float, float, str]:
        best = read_best(tmp_path)
        assert best is not None
        return best["step"], best["turn_success"], (best_weights(tmp_path, best["step"]) / "weights").read_text()

    keep_best(tmp_path, "of the start", 0, {"turn_success": 0.6})
    whole = validation.shutil.rmtree
    for place, name in ((Path, "rename"), (validation, "write_whole"), (validation, "save_weights")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, killed)
            with pytest.raises(Killed):
                keep_best(tmp_path, "of step 20", 20, {"turn_success": 0.66})
        assert standing() == (0, 0.6, "of the start")
    with monkeypatch.context() as patched:  # after the mark, where what was best before goes
        patched.setattr(
            validation.shutil, "rmtree", lambda path, **how: killed() if path.name == "best-0" else whole(path, **how)
        )
        with pytest.raises(Killed):
            keep_best(tmp_path, "of step 20", 20, {"turn_success": 0.66})
    assert standing() == (20, 0.66, "of step 20")
    keep_best(tmp_path, "of step 40", 40, {"turn_success": 0.7})
    assert standing() == (40, 0.7, "of step 40")
    assert left_over(tmp_path) == {"best-40", loop.MARK}


def test_a_checkpoint_whose_process_died_before_it_was_sealed_keeps_the_time_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    stage = resolve("smoke", {"sft": {"save_every_minutes": 1.0}}).sft
    first = BudgetCallback(stage, Interruption())
    for step in (1, 2):
        clock.now += 70
        control = TrainerControl()
        first.on_step_end(arguments, TrainerState(global_step=step, max_steps=9), control)
        assert control.should_save
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step == 1:  # the second is killed while older checkpoints are removed, before on_save
            first.on_save(arguments, TrainerState(global_step=step, max_steps=9), control)
    for step, seconds in ((1, 70), (2, 140)):
        again = BudgetCallback(stage, Interruption())
        again.go_on_from(tmp_path / f"checkpoint-{step}")
        assert again.seconds == seconds


def test_what_is_loaded_before_a_training_begins_is_not_charged_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    budget = BudgetCallback(resolve("smoke").sft, Interruption())
    clock.now += 30
    budget.begin()
    clock.now += 5
    assert budget.seconds == 5


def test_a_checkpoint_with_its_own_time_has_that_and_an_older_one_without_its_share_of_the_newest(
    tmp_path: Path,
) -> None:
    """What lies beside the checkpoints is of the newest save, which may be of a later step."""
    (tmp_path / loop.PROGRESS).write_text(json.dumps({"seconds": 20.0, "step": 6}))
    for step, own, expected in ((3, {"seconds": 9.0, "step": 3}, 9.0), (2, None, 20 / 3), (6, None, 20.0)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if own:
            (folder / loop.PROGRESS).write_text(json.dumps(own))
        budget = BudgetCallback(resolve("smoke").sft, Interruption())
        budget.go_on_from(folder)
        assert budget.seconds == pytest.approx(expected, abs=0.5)
