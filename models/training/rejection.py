"""Rejection sampling: SFT on the best of the completions that a GRPO run sampled (RAFT, arXiv 2304.06767).

It tells what GRPO's rollouts teach from what its loss does: same prompts, same completions, same reward, but only
the best at each turn is learned, as if a person had written it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from data.reporting import Reporter
from data.rollouts import group_numbers, read_rollouts
from data.schema import DecisionPoint
from data.snapshot import read_points_by_id
from models.engine.completions import prompt_ids
from models.policy import load_tokenizer
from models.speech.template import THINK_OPEN, TURN_END
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import finished_before
from models.training.sft import IGNORED, EmptySplit, bounded_by_epochs, fit
from models.training.tree_sft import InOrderSFTTrainer, TreeSFTTrainer
from models.training.withheld import as_practised, recorded_ids

if TYPE_CHECKING:
    import pandas


_NOTHING = (
    "no rollout is worth learning from ({chosen} chosen, {too_long} longer than {longest} tokens): the GRPO run solved "
    "nothing; train it longer or name another by rejection.rollouts_of"
)


def train_on_best(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Teach the start model the best completions of the GRPO run ``settings.rejection.rollouts_of``.

    Raises:
        EmptySplit: The run has no completion worth learning, or none fits.
    """
    if outcome := finished_before(job):
        return outcome
    stage = job.settings.rejection
    tokenizer = load_tokenizer(job.start_model)
    best = best_completions(read_rollouts(stage.rollouts_of or ""))
    if best.empty:
        raise EmptySplit(_NOTHING.format(chosen=0, too_long=0, longest=stage.max_length))
    best = shuffled(best, job.settings.seed)
    wanted = set(best["decision_point_id"])
    points = as_practised(read_points_by_id(job.dataset_version, recorded_ids(wanted)), wanted)
    rows, counts = rejection_rows(tokenizer, best, points, stage.max_length)
    reporter.say(f"{counts['used']} completions are the best at their turn in run {stage.rollouts_of}")
    trainer = TreeSFTTrainer if stage.engine == "tree" else InOrderSFTTrainer
    return fit(job, reporter, "rejection", bounded_by_epochs(stage, len(rows)), tokenizer, rows, counts, trainer)


def best_completions(rollouts: pandas.DataFrame) -> pandas.DataFrame:
    """For each decision point the best well-formed completion that has more than its group's mean reward, or all of the
    reward there is: of several groups of one decision point the best of all; the shortest of equals. In order of
    conversation, whose history is then computed once.

    One that was cut at its token limit is never chosen, whatever it was paid: it would be taught as if it had ended.
    """
    numbered = rollouts.assign(group=group_numbers(rollouts))
    above = numbered["reward"] > numbered.groupby("group")["reward"].transform("mean") + 1e-9
    whole = (numbered["parse_status"] == "ok") & numbered["truncated"].ne(True)
    worth = numbered[whole & (above | numbered["passed"].eq(True))]
    # Of equals in everything the latest, which is nearest to what the policy became.
    order = ["decision_point_id", "reward", "completion_tokens", "group"]
    ranked = worth.sort_values(order, ascending=[True, False, True, False])
    return ranked.drop_duplicates("decision_point_id").reset_index(drop=True)


def shuffled(best: pandas.DataFrame, seed: int) -> pandas.DataFrame:
    """Whole conversations one after the other by ``seed``, as priming takes them: in the order of their ids neighbours
    are of the same services, and those that come last would weigh most."""
    homes = best["decision_point_id"].str.rpartition("#")[0]
    names = sorted(set(homes))
    random.Random(f"rejection-{seed}").shuffle(names)
    place = {name: number for number, name in enumerate(names)}
    return best.iloc[homes.map(place).argsort(kind="stable")].reset_index(drop=True)


def rejection_rows(
    tokenizer: Any, best: pandas.DataFrame, points: dict[str, DecisionPoint], max_length: int
) -> tuple[list[dict[str, list[int]]], dict[str, int]]:
    """Token rows of prompt plus chosen completion, labelled on the completion less its opener.

    Raises:
        EmptySplit: Nothing is left.
    """
    rows: list[dict[str, list[int]]] = []
    counts = {"used": 0, "too_long": 0, "tokens": 0, "labelled_tokens": 0}
    for chosen in best.to_dict("records"):
        prompt = prompt_ids(tokenizer, points[chosen["decision_point_id"]], thinking=bool(chosen["thinking"]))
        text = (chosen["text"].removeprefix(THINK_OPEN) if chosen["thinking"] else chosen["text"]) + TURN_END
        completion = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if len(prompt) + len(completion) > max_length:
            counts["too_long"] += 1
            continue
        rows.append({"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion})
        counts["used"] += 1
        counts["tokens"] += len(prompt) + len(completion)
        counts["labelled_tokens"] += len(completion)
    if not rows:
        raise EmptySplit(_NOTHING.format(chosen=len(best), too_long=counts["too_long"], longest=max_length))
    return rows, counts
