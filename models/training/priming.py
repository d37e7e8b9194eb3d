"""Priming: a short SFT on some hundred decision points with brief rationales, so that GRPO starts from thinking.

The rationales come from the annotations (what is known, what is missing, what follows), not from a larger model. The
loss is on the reasoning, the action and the end of turn; the think block's opener belongs to the prompt.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from data.decision_points import by_conversation
from data.reporting import Reporter
from data.schema import DecisionPoint, Message
from data.settings import PrimingSettings
from data.snapshot import read_decision_points
from models.engine.completions import prompt_ids
from models.policy import load_tokenizer
from models.practice.transcript import prompt_in_episode
from models.speech.template import THINK_OPEN, TURN_END, action_text, completion_text
from models.training.early_stopping import chosen_by_validation
from models.training.exchanged import exchanged_thoughts
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import finished_before
from models.training.sft import IGNORED, EmptySplit, fit
from models.training.tree_sft import InOrderSFTTrainer, TreeSFTTrainer


def prime_thinking(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Teach the start model to write a brief thought before it acts.

    Raises:
        EmptySplit: The train split has no decision point with a rationale that fits.
    """
    if outcome := finished_before(job):
        return outcome
    stage = job.settings.prime
    tokenizer = load_tokenizer(job.start_model)
    version = stage.rationales or job.dataset_version
    points = with_rationale(read_decision_points(version, splits=["train"]), stage, job.settings.seed)
    others = exchanged_thoughts(points, stage.exchanged, job.settings.seed)
    rows, counts = primed_rows(
        tokenizer, points, stage.max_length, reasoned=stage.history == "reasoned", exchanged=others
    )
    epochs = max(1, -(-stage.max_steps * stage.batch_size // len(rows)))
    more = f", {counts['exchanged']} rows with that of another turn" if stage.exchanged else ""
    reporter.say(
        f"{counts['used']} decision points with rationales{more}, up to {epochs} passes{_part_read(stage, len(rows))}; "
        f"{counts['too_long']} of {len(points)} are longer than {stage.max_length} tokens and left out"
    )
    trainer = TreeSFTTrainer if stage.engine == "tree" else InOrderSFTTrainer
    watch = chosen_by_validation(job, stage, tokenizer, reporter)
    return fit(job, reporter, "prime", stage, tokenizer, rows, counts, trainer, watch)


def _part_read(stage: PrimingSettings, rows: int) -> str:
    """Where the steps end before every row was read once, how many are."""
    read = stage.max_steps * stage.batch_size
    return f", {read} of their {rows} rows in {stage.max_steps} steps" if read < rows else ""


def with_rationale(points: Sequence[DecisionPoint], stage: PrimingSettings, seed: int) -> list[DecisionPoint]:
    """Decision points that carry a rationale: whole conversations one after the other, by ``seed``.

    The decision points of a conversation share its history, so together they cost little more than one of them alone;
    and taken whole, call and answer turns come as often as they do in life. Primed on as many calls as answers, a model
    calls on most answer turns.
    """
    conversations = by_conversation(point for point in points if point.expected.rationale)
    names = sorted(conversations)
    random.Random(f"priming-{seed}").shuffle(names)
    return [point for name in names for point in conversations[name]][: stage.decision_points]


def primed_rows(
    tokenizer: Any,
    points: Sequence[DecisionPoint],
    max_length: int,
    *,
    reasoned: bool = False,
    exchanged: Mapping[str, Sequence[Message]] | None = None,
) -> tuple[list[dict[str, list[int]]], dict[str, int]]:
    """Token rows of prompt plus reasoned completion, labelled on the completion less its opener.

    Args:
        tokenizer: The policy's.
        points: Decision points with a rationale.
        max_length: Tokens of a row; longer ones are left out.
        reasoned: The prompt holds the rationales of earlier turns as well, as an episode does.
        exchanged: Decision point id → messages whose thoughts its history gets in one row more each, right after its
            own (they share the history), labelled on that message's action only.

    Raises:
        EmptySplit: Nothing is left.
    """
    rows: list[dict[str, list[int]]] = []
    counts = {"used": 0, "exchanged": 0, "too_long": 0, "tokens": 0, "labelled_tokens": 0}

    def add(prompt: list[int], message: Message, *, whole: bool) -> bool:
        completion, thought = _completion(tokenizer, message)
        if len(prompt) + len(completion) > max_length:
            return False
        given = len(prompt) + (0 if whole else thought)
        ids = prompt + completion
        rows.append({"input_ids": ids, "labels": [IGNORED] * given + ids[given:]})
        counts["tokens"] += len(ids)
        counts["labelled_tokens"] += len(ids) - given
        return True

    for point in points:
        prompt = (
            prompt_in_episode(tokenizer, point.history, point.tools)
            if reasoned
            else prompt_ids(tokenizer, point, thinking=True)
        )
        used = add(prompt, point.expected, whole=True)
        counts["used" if used else "too_long"] += 1
        for other in exchanged.get(point.id, ()) if used and exchanged else ():
            counts["exchanged"] += add(prompt, other, whole=False)
    if not rows:
        raise EmptySplit(
            f"no decision point with a rationale fits into {max_length} tokens ({counts['too_long']} are longer, "
            f"{len(points)} have one); ingest more conversations or raise prime.max_length"
        )
    return rows, counts


def as_its_thought_lists(message: Message) -> Message:
    """The message with each call's arguments in the order in which its thought names them, others after them.

    A call is then its thought read from left to right. SGD's thoughts name required arguments first, its calls name all
    by the alphabet: 62 % of the training calls had to be sorted while they were copied, and of the calls with an
    argument twice nearly all followed such a thought (docs/log.md, 2026-11-30). To judge and reward it is the same.
    """
    thought = message.rationale or ""
    calls = []
    for call in message.tool_calls:
        place = {name: at for name in call.arguments if (at := thought.find(f" {name}=")) >= 0}
        ordered = sorted(call.arguments, key=lambda name: place.get(name, len(thought)))
        arguments = {name: call.arguments[name] for name in ordered}
        raw = json.dumps(arguments, ensure_ascii=False)
        calls.append(call.model_copy(update={"arguments": arguments, "arguments_raw": raw}))
    return message.model_copy(update={"tool_calls": tuple(calls)})


def _completion(tokenizer: Any, message: Message) -> tuple[list[int], int]:
    """Token ids of a reasoned completion less its opener, and how many of them are the thought with its end."""
    message = as_its_thought_lists(message)
    text = completion_text(message, message.rationale).removeprefix(THINK_OPEN) + TURN_END
    encoded = tokenizer(text, add_special_tokens=False)
    return list(encoded["input_ids"]), encoded.char_to_token(len(text) - len(action_text(message) + TURN_END))
