"""The trainer of GRPO on decision points: completions from the shared-trunk engine, groups drawn anew, batches stored.

What it adds to TRL's trainer over prefix trees is told in models/training/grpo.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.pass_rates import PassRate
from data.reporting import Reporter
from data.rollouts import append_rollouts
from models.engine.rollout import Generated, Request, generate, refresh
from models.engine.sampling import Sampling
from models.training import ranks
from models.training.draws import substitutes
from models.training.job import TrainingJob
from models.training.monitor import Monitor
from models.training.over_trees import OverTrees, leave_out
from models.training.scoring import BatchScorer, Discarded
from models.training.signals import signals

REDRAWING = ("resample", "replace")


class DecisionPointTrainer(OverTrees):
    """TRL's trainer with our rollouts, scoring over prefix trees and rollout store; see the module."""

    def __init__(
        self,
        *,
        job: TrainingJob,
        reporter: Reporter,
        scorer: BatchScorer,
        twin: Any,
        rates: Mapping[str, PassRate] | None = None,
        monitor: Monitor | None = None,
        **trl: Any,
    ) -> None:
        self._reporter = reporter
        self._scorer = scorer
        self._twin = twin
        self._rates = rates or {}
        self._monitor = monitor
        rows = trl["train_dataset"]
        self._prompts = dict(zip(rows["decision_point_id"], rows["prompt"], strict=True))
        self._batch_ids: list[str] = []
        rollout = self._rollout if job.settings.grpo.engine == "tree" and not trl["args"].use_vllm else None
        scorer.end_of_turn = trl["processing_class"].eos_token_id
        super().__init__(job=job, reward_funcs=scorer.functions(), rollout_func=rollout, **trl)

    def _rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's ``rollout_func``: it passes prompts only, so the decision points travel in ``_batch_ids``.

        The ids that come back are those of the prompts drawn in the end; TRL hands them to the reward functions.
        """
        refresh(self._twin, self.accelerator.unwrap_model(self.model))
        ids = list(self._batch_ids)
        generated = self._complete(ids, draw=0)
        if self._job.settings.grpo.zero_variance in REDRAWING:
            self._draw_anew(ids, generated)
        return {
            "prompt_ids": self._tokens(ids),
            "completion_ids": [one.ids for one in generated],
            "logprobs": [one.logprobs for one in generated],
            "decision_point_id": ids,
        }

    def _tokens(self, ids: Sequence[str]) -> list[list[int]]:
        return self.processing_class([self._prompts[one] for one in ids], add_special_tokens=False)["input_ids"]

    def _complete(self, ids: Sequence[str], draw: int) -> list[Generated]:
        """One completion for each of the ids, which come in whole groups."""
        settings, stage = self._job.settings, self._job.settings.grpo
        first = draw * stage.num_generations
        requests = [
            Request(prompt, (settings.seed, self.state.global_step, one, first + index % stage.num_generations))
            for index, (prompt, one) in enumerate(zip(self._tokens(ids), ids, strict=True))
        ]
        return generate(
            self._twin,
            requests,
            end_token=self.processing_class.eos_token_id,
            max_new_tokens=stage.max_completion_length,
            sampling=Sampling(stage.temperature, stage.top_p),
        )

    def _draw_anew(self, ids: list[str], generated: list[Generated]) -> None:
        """Replace groups without variance in both lists; the scorer keeps what is replaced."""
        stage, scorer = self._job.settings.grpo, self._scorer
        size = stage.num_generations
        scorer.draws = [0] * (len(ids) // size)
        for draw in range(1, stage.draws):
            texts = self.processing_class.batch_decode([one.ids for one in generated], skip_special_tokens=True)
            judged = scorer.judge(texts, ids, self._cut(generated))
            flat = [number for number, one in enumerate(scorer.flat(judged)) if one]
            instead = self._instead(flat, ids, draw)
            fresh = self._complete([one for one in instead.values() for _ in range(size)], draw) if instead else []
            for position, (number, identifier) in enumerate(instead.items()):
                place, source = (slice(start * size, start * size + size) for start in (number, position))
                old = generated[place]
                lengths = [len(one.ids) for one in old]
                scorer.discarded.append(Discarded(scorer.draws[number], judged[place], lengths, self._cut(old)))
                ids[place], generated[place] = [identifier] * size, fresh[source]
                scorer.draws[number] = draw

    def _instead(self, flat: Sequence[int], ids: Sequence[str], draw: int) -> dict[int, str]:
        """The decision point to draw for each flat group of the batch; a group for which there is none is left out."""
        settings, stage = self._job.settings, self._job.settings.grpo
        now = [ids[number * stage.num_generations] for number in flat]
        if stage.zero_variance == "resample":
            return dict(zip(flat, now, strict=True))
        kinds = {one: self._scorer.points[one].kind for one in self._prompts}
        taken = {*ids, *(group.members[0].point.id for group in self._scorer.discarded)}
        key = (settings.seed, self.state.global_step, draw)
        # All ranks choose for all places and take their own: each by itself would draw the same prompts.
        wanted = [kinds[one] for one in ranks.gathered(now)]
        places = ranks.own(len(now))
        found = substitutes(wanted, kinds, self._rates, set(ranks.gathered(sorted(taken))), key, stage.num_generations)
        return {number: one for number, one in zip(flat, found[places], strict=True) if one is not None}

    def _cut(self, generated: Sequence[Generated]) -> list[bool]:
        return [one.ids[-1] != self.processing_class.eos_token_id for one in generated]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL does; then the batch is stored, while its rows are still in the order they were generated in."""
        stage = self._job.settings.grpo
        self._batch_ids = [row["decision_point_id"] for row in inputs]
        self._scorer.begin()
        output = super()._generate_and_score_completions(inputs)
        lengths = output["completion_mask"].sum(dim=1)
        last = output["completion_ids"].gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        truncated = (last != self.processing_class.eos_token_id).tolist()
        scorer, advantages = self._scorer.of_all_ranks(), ranks.gathered(output["advantages"].tolist())
        lengths, truncated = ranks.gathered(lengths.tolist()), ranks.gathered(truncated)
        step = self.state.global_step + 1
        if ranks.leads():
            append_rollouts(self._job.run_id, step, scorer.rows(advantages, lengths, truncated))
        figures = scorer.figures() | self._signals(scorer, output, lengths)
        if self.beta == 0.0 and (step - 1) % stage.kl_every == 0:
            figures["train/kl"] = self._kl_to_start(output)
        self._reporter.metrics(figures, step)
        if self._monitor is not None:
            self._monitor.watch(figures, step)
        if stage.zero_variance != "keep":
            mine = self._scorer.flat(self._scorer.batch)
            self.made_up = leave_out(output, mine, scorer.flat(scorer.batch), stage)
            left = output["num_items_in_batch"]
            output["num_items_in_batch"] = left.new_tensor(sum(ranks.gathered([int(left)])))
        return output

    def _signals(self, scorer: BatchScorer, output: dict[str, Any], lengths: list[int]) -> dict[str, float]:
        sampled, logprobs = output.get("sampling_per_token_logps"), None
        if sampled is not None:
            logprobs = ranks.gathered(sampled[output["completion_mask"].bool()].nan_to_num(0.0).tolist())
        maxima = [scorer.maximum(one.point) for one in scorer.batch]
        size = self._job.settings.grpo.num_generations
        return signals(scorer.batch, scorer.reward, maxima, size, lengths, logprobs)
