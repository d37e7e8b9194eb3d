"""GRPO on whole episodes: the model holds the conversation itself, and is paid for what came of it.

One row per episode. Its prompt is the system's and the user's first message; everything after is the completion, turn
by turn with what tools and user answered in between, which TRL's ``env_mask`` keeps out of the loss. Earlier turns'
reasoning stays in context, as it was when the next turn was sampled, so one row carries the loss of all turns. A group
is G attempts at one task with one user: the same world, goal, manner and first words, and only the agent differs.

What is simplified: the advantage of an episode is that of each of its tokens, no turn is credited on its own; a task's
user says the same thing to the same words, so a group's attempts differ by the agent's sampling alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from data.episodes import append_episodes, episode_id
from data.practice.episode import Episode
from data.reporting import Reporter
from data.settings import GRPOSettings
from models.compute import decode_dtype, device_name, uses_cuda
from models.engine.recomputing import bound_activations
from models.engine.rollout import decoder, refresh
from models.engine.sampling import Sampling
from models.interruption import interruption
from models.policy import load_model, load_tokenizer, lora_config
from models.practice.outcome import Outcome, outcome_of
from models.practice.play import PlayedEpisode, Playing, play
from models.practice.rows import episode_row
from models.practice.tasks import begin, group_at, task_ids
from models.practice.transcript import prompt_tokens
from models.rewards.episode import REWARDS
from models.training import ranks
from models.training.advantages import SAME
from models.training.averaging import averaged
from models.training.episode_validation import EpisodeValidation, episode_figures, watched_tasks
from models.training.grpo import grpo_arguments
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import BudgetCallback, ReportCallback, run_trainer
from models.training.over_trees import OverTrees, leave_out
from models.training.seams import fold_in_caches, keep_groups_together, score_labelled_positions_only
from models.training.sft import EmptySplit


def train_episodes(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Train the policy in ``job.start_model`` on episodes; leaves the best weights by pass^1 on validation.

    Raises:
        EmptySplit: Too few tasks leave room for a turn within ``grpo.max_length``.
    """
    stage = job.settings.grpo
    if ranks.count() > 1:
        raise ranks.RanksError("grpo.unit=episode trains in one process; start it without torchrun")
    tokenizer = load_tokenizer(job.start_model)
    tasks, counts = _fitting(tokenizer, stage, reporter)
    if len(tasks) * stage.num_generations < stage.batch_size:
        raise EmptySplit(
            f"a step needs {stage.batch_size // stage.num_generations} tasks and {len(tasks)} of "
            f"{stage.episode_tasks} fit; raise grpo.max_length or grpo.episode_tasks"
        )
    score_labelled_positions_only()
    fold_in_caches()
    keep_groups_together()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental; we pin TRL
    model = load_model(job.start_model)
    if not uses_cuda(job.settings):
        bound_activations(model, reporter.say)
    twin = decoder(load_model(job.start_model, device=device_name(job.settings)), decode_dtype(job.settings))
    with interruption() as asked:
        budget = BudgetCallback(stage, asked)
        watched = watched_tasks(stage.validation_episodes)
        averaging, shown = averaged(stage.averaging)
        trainer = EpisodeTrainer(
            job=job,
            reporter=reporter,
            twin=twin,
            model=model,
            args=episode_arguments(job),
            train_dataset=Dataset.from_list([{"prompt": one, "task_id": one} for one in tasks]),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora_rank),
            callbacks=[
                ReportCallback(reporter, "grpo on episodes", stage, budget),
                EpisodeValidation(job, watched, tokenizer, twin, reporter, budget, shown=shown),
                budget,
                *averaging,
            ],
        )
        outcome = run_trainer(trainer, job, budget, counts, shown=shown)
    if "best_step" in outcome.metrics and outcome.stopped != "interrupted":
        reporter.say(
            f"kept the weights of step {outcome.metrics['best_step']:g}, the best by validation "
            f"(pass^1 {outcome.metrics['best_pass_1']:.0%} of {len(watched)} episodes)"
        )
    return outcome


def _fitting(tokenizer: Any, stage: GRPOSettings, reporter: Reporter) -> tuple[list[str], dict[str, int]]:
    """Tasks whose beginning leaves room for a turn, and how many there are of which kind."""
    offered = task_ids("train", stage.episode_tasks, purpose="practice")
    reporter.phase("drawing tasks", total=float(len(offered)), unit="tasks")
    fitting = []
    for number, task in enumerate(offered):
        reporter.update(number)
        episode = begin(task, 0)
        prompt = prompt_tokens(tokenizer, episode.messages, episode.tools, thinking=stage.thinking)
        episode.close()
        if len(prompt) + stage.max_completion_length <= stage.max_length:
            fitting.append(task)
    return fitting, {"offered": len(offered), "used": len(fitting), "too_long": len(offered) - len(fitting)}


def episode_arguments(job: TrainingJob) -> Any:
    """TRL's configuration: a completion is the rest of the episode, and there is one reward."""
    return grpo_arguments(job, max_completion_length=job.settings.grpo.max_length, reward_weights=[1.0], use_vllm=False)


def playing(stage: GRPOSettings) -> Playing:
    """How training plays its episodes."""
    return Playing(
        thinking=stage.thinking,
        sampling=Sampling(stage.temperature, stage.top_p),
        max_new_tokens=stage.max_completion_length,
        max_length=stage.max_length,
        max_turns=stage.max_turns,
        max_rows=stage.batch_size,
    )


class EpisodeTrainer(OverTrees):
    """TRL's trainer whose rollouts are played episodes; see the module."""

    def __init__(self, *, job: TrainingJob, reporter: Reporter, twin: Any, **trl: Any) -> None:
        self._reporter = reporter
        self._twin = twin
        self._task_ids: list[str] = []
        self._batch: list[PlayedEpisode] = []
        self._outcomes: list[Outcome] = []
        super().__init__(job=job, reward_funcs=[self._reward()], rollout_func=self._rollout, **trl)

    def _rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's ``rollout_func``: one episode for each prompt, which is a task's id and comes in whole groups."""
        refresh(self._twin, self.accelerator.unwrap_model(self.model))
        settings, stage = self._job.settings, self._job.settings.grpo
        groups = self._task_ids[:: stage.num_generations]
        key = (settings.seed, self.state.global_step)
        attempts = [one for task in groups for one in group_at(task, stage.num_generations, key)]
        ended = {one.attempt.name: one for one in play(self._twin, self.processing_class, attempts, playing(stage))}
        self._batch = [ended[attempt.name] for attempt in attempts]
        self._outcomes = [outcome_of(_episode(one), one.ended) for one in self._batch]
        transcripts = [one.transcript for one in self._batch]
        return {
            "prompt_ids": [one.prompt for one in transcripts],
            "completion_ids": [one.ids for one in transcripts],
            "logprobs": [one.logprobs for one in transcripts],
            "env_mask": [one.own for one in transcripts],
        }

    def _reward(self) -> Any:
        def reward_episode(completions: Sequence[str], **unused: Any) -> list[float]:
            return self._rewards()

        return reward_episode

    def _rewards(self) -> list[float]:
        return [REWARDS[self._job.settings.grpo.episode_reward](one) for one in self._outcomes]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL does; then the batch is stored, while its rows are still in the order they were played in."""
        stage = self._job.settings.grpo
        self._task_ids = [row["task_id"] for row in inputs]
        output = super()._generate_and_score_completions(inputs)
        step = self.state.global_step + 1
        append_episodes("training", self._job.run_id, self._rows(step, output["advantages"].tolist()))
        figures = self._figures()
        if self.beta == 0.0 and (step - 1) % stage.kl_every == 0:
            figures["train/kl"] = self._kl_to_start(output)
        self._reporter.metrics(figures, step)
        if stage.zero_variance != "keep":
            flat = self._flat()
            self.made_up = leave_out(output, flat, flat, stage)
        for one in self._batch:
            _episode(one).close()
        return output

    def _flat(self) -> list[bool]:
        """Which groups have no variance."""
        size, rewards = self._job.settings.grpo.num_generations, self._rewards()
        groups = [rewards[start : start + size] for start in range(0, len(rewards), size)]
        return [max(group) - min(group) <= SAME for group in groups]

    def _rows(self, step: int, advantages: Sequence[float]) -> list[dict[str, Any]]:
        stage, run_id = self._job.settings.grpo, self._job.run_id
        rows = []
        for index, (one, outcome) in enumerate(zip(self._batch, self._outcomes, strict=True)):
            trial = index % stage.num_generations
            head = {
                "episode_id": episode_id(run_id, one.attempt.task_id, trial, step),
                "run_id": run_id,
                "stage": "grpo",
                "step": step,
                "split": "train",
                "trial": trial,
                "user_seed": "0",
                "thinking": stage.thinking,
                "keeps_reasoning": True,
                "temperature": stage.temperature,
                "reward": self._rewards()[index],
                "advantage": advantages[index],
            }
            rows.append(episode_row(one, _episode(one), outcome, head))
        return rows

    def _figures(self) -> dict[str, float]:
        """What TRL does not count."""
        flat, turns = self._flat(), [turn for one in self._batch for turn in one.transcript.turns]
        return {
            **episode_figures(self._outcomes, "train"),
            "train/zero_variance_groups": float(sum(flat)),
            "train/groups": float(len(flat)),
            "train/malformed_share": sum(not turn.parsed.ok for turn in turns) / len(turns),
        }


def _episode(one: PlayedEpisode) -> Episode:
    assert isinstance(one.environment, Episode)  # begun by models.practice.tasks
    return one.environment
