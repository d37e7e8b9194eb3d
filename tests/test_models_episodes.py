"""Training on episodes: whose tokens carry loss, what TRL would make of the same rows, and a stage that resumes."""

import pytest
import torch

from data.episodes import read_episodes
from data.profiles import resolve
from data.reporting import Silent
from data.settings import GRPOSettings
from models.base import fetch_base_model
from models.training.job import TrainingJob

GRPO = {"unit": "episode", "max_completion_length": 16, "max_turns": 3, "micro_batch_size": 2, "temperature": 0.8}


@pytest.fixture(scope="module")
def base_model(_sheltered_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


def job(base_model, run_dir, **changes) -> TrainingJob:
    settings = resolve("smoke", {"device": "cpu", "grpo": {**GRPO, **changes}})
    run_dir.mkdir(parents=True, exist_ok=True)
    return TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, settings)


def trainer_of(work: TrainingJob):
    from datasets import Dataset

    from models.engine.rollout import decoder
    from models.policy import load_model, load_tokenizer
    from models.practice.tasks import task_ids
    from models.training.episodes import EpisodeTrainer, episode_arguments

    model, tokenizer = load_model(work.start_model), load_tokenizer(work.start_model)
    with torch.no_grad():  # a model that knows nothing never ends a turn; this one does now and then
        model.model.embed_tokens.weight[tokenizer.eos_token_id] *= 60
    rows = [{"prompt": one, "task_id": one} for one in task_ids("train", 4, purpose="practice")]
    return EpisodeTrainer(
        job=work,
        reporter=Silent(),
        twin=decoder(model, torch.float32),
        model=model,
        args=episode_arguments(work),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


@pytest.fixture(scope="module")
def batch(base_model, tmp_path_factory, _sheltered_session):
    """One generation batch: two groups of two episodes by a model that knows nothing, rewarded by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        patch.setattr("models.training.loop.bf16_pays", lambda settings: False)
        patch.setattr("models.training.episodes.EpisodeTrainer._rewards", lambda self: [1.0, 0.0, 0.5, 0.0])
        work = job(base_model, tmp_path_factory.mktemp("run") / "masks")
        trainer = trainer_of(work)
        trainer.model.train()
        tasks = trainer.train_dataset["task_id"][:2]
        rows = [{"prompt": one, "task_id": one} for one in tasks for _ in range(2)]
        output = trainer._generate_and_score_completions(rows)
        trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = 1
    return trainer, output


def test_exactly_the_assistants_own_tokens_carry_loss(batch, monkeypatch):
    """Of TRL's loss by each log-probability, the gradient is not zero exactly where the model wrote the token."""
    trainer, output = batch
    shape = output["completion_ids"].shape
    logps = torch.full(shape, -1.0, requires_grad=True)
    monkeypatch.setattr(
        trainer, "_get_per_token_logps_and_entropies", lambda *a, **k: (logps, torch.zeros(shape), None)
    )
    trainer._compute_loss(trainer.model, dict(output)).backward()
    own = torch.zeros(shape)
    for row, played in enumerate(trainer._batch):
        own[row, : len(played.transcript.own)] = torch.tensor(played.transcript.own, dtype=torch.float)
    assert (output["advantages"] != 0).all()
    assert ((logps.grad != 0).float() == own).all()
    assert 0 < own.sum() < output["completion_mask"].sum()


def test_the_prompt_is_what_every_attempt_of_a_group_begins_with(batch):
    trainer, output = batch
    prompts = [one.transcript.prompt for one in trainer._batch]
    assert prompts[0] == prompts[1] != prompts[2] == prompts[3]
    for row, prompt in enumerate(prompts):
        assert output["prompt_ids"][row][output["prompt_mask"][row].bool()].tolist() == prompt


def test_loss_over_the_tree_equals_trls_over_rows(batch, base_model):
    """The same rows with TRL's own log-probabilities, computed row by row."""
    from models.policy import load_model
    from models.training.seams import score_labelled_positions_only

    trainer, output = batch
    score_labelled_positions_only()
    ours = trainer._compute_loss(trainer.model, dict(output))
    trainer.model.zero_grad()
    ours.backward()
    gradient = trainer.model.model.embed_tokens.weight.grad.clone()
    trainer.model.set_attn_implementation("sdpa")
    trainer._over_trees = False
    theirs = trainer._compute_loss(trainer.model, dict(output))
    trainer.model.zero_grad()
    theirs.backward()
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(gradient, trainer.model.model.embed_tokens.weight.grad, rtol=1e-3, atol=1e-6)
    assert load_model(base_model).config.vocab_size == trainer.model.config.vocab_size


def test_log_probabilities_of_sampling_are_those_the_loss_starts_from(batch):
    trainer, output = batch
    own = output["tool_mask"] * output["completion_mask"]
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    with torch.no_grad():
        logps, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, output["completion_ids"].shape[1]
        )
    assert torch.allclose(logps * own, output["sampling_per_token_logps"] * own, atol=1e-3)


def test_the_stage_stores_its_episodes_and_leaves_a_model(base_model, tmp_path):
    from models.training.grpo import train_grpo

    work = job(base_model, tmp_path / "whole", max_steps=2)
    outcome = train_grpo(work, Silent())
    assert (outcome.steps, outcome.stopped) == (2, "finished")
    assert (outcome.model_dir / "model.safetensors").exists()
    assert outcome.counts["used"] == 4
    assert "best_pass_1" in outcome.metrics
    frame = read_episodes("training", work.run_id)
    assert frame.groupby("step").size().to_dict() == {1: 4, 2: 4}
    assert frame.groupby(["step", "task_id"]).size().eq(2).all()
    assert set(frame["reward"]) <= {0.0, 1.0}
    assert frame["messages"].map(len).gt(2).all()
    watched = read_episodes("validation", work.run_id)
    assert set(watched["step"]) == {0, 1, 2}
    assert watched["episode_id"].is_unique
    assert not set(watched["episode_id"]) & set(frame["episode_id"])
    assert watched[watched["step"] == 2]["task_id"].nunique() == work.settings.grpo.validation_episodes
    assert set(watched["split"]) == {"validation_seen", "validation_unseen"}
    assert watched["reward"].isna().all()


def test_settings_that_do_not_go_with_episodes_are_refused():
    assert GRPOSettings(unit="episode").micro_batch_size == 2
    assert GRPOSettings(unit="episode", batch_size=9, num_generations=3).micro_batch_size == 1
    assert GRPOSettings().micro_batch_size == 32
    with pytest.raises(ValueError, match="unit=episode needs engine=tree"):
        GRPOSettings(unit="episode", zero_variance="resample")
