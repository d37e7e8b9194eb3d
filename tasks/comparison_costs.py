"""What the models of a comparison cost: minutes, steps and tokens."""

from __future__ import annotations

from collections.abc import Callable

from data.parquet import DamagedFile
from tasks import records
from tasks.records import MissingUpstream


def cost(run_id: str) -> dict[str, float]:
    """Facts of the training of a run, without those whose records or rollouts are gone or damaged.

    ``minutes`` of its own, ``minutes_in_all`` with all before it, ``steps``, ``kept_step`` whose weights were kept,
    ``learned_tokens`` that had a loss, ``sampled_tokens``.
    """
    record = records.of_run(run_id, usable=False)
    outputs = record.outputs
    minutes, steps = float(outputs.get("seconds", 0.0)) / 60, float(record.steps)
    found = {
        "minutes": minutes,
        "steps": steps,
        "kept_step": float((outputs.get("metrics") or {}).get("best_step", steps)),
    }
    start, source = record.start_run_id, record.settings.get("rollouts_of")
    before = _known(lambda: cost(start)) if start else {"minutes_in_all": 0.0}
    # What is imitated had to be sampled: rejection has cost what the GRPO did whose rollouts it learns from.
    sampling = _known(lambda: cost(source)) if source else {"minutes": 0.0, "sampled_tokens": 0.0}
    if "minutes_in_all" in before and "minutes" in sampling:
        found["minutes_in_all"] = minutes + before["minutes_in_all"] + sampling["minutes"]
    tokens = _known(lambda: _tokens_of_grpo(record.run_id)) if record.stage == "grpo" else _tokens_of_sft(record)
    if "sampled_tokens" in tokens and "sampled_tokens" in sampling:
        tokens["sampled_tokens"] += sampling["sampled_tokens"]
    else:
        tokens.pop("sampled_tokens", None)
    return {**found, **tokens}


def _known(facts: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A cell of a table is no reason to have no page."""
    try:
        return facts()
    except (MissingUpstream, DamagedFile):
        return {}


def _tokens_of_sft(record: records.Record) -> dict[str, float]:
    counts = record.outputs.get("counts") or {}
    made = float(counts.get("used", 0)) + float(counts.get("exchanged", 0))
    each = float(counts.get("labelled_tokens", 0)) / max(1.0, made)
    return {
        "learned_tokens": float(record.steps) * float(record.settings.get("batch_size", 0)) * each,
        "sampled_tokens": 0.0,
    }


def _tokens_of_grpo(run_id: str) -> dict[str, float]:
    """Tokens a GRPO run sampled, and those of them with an advantage: the others teach nothing."""
    from data.rollouts import read_rollouts

    rollouts = read_rollouts(run_id)
    if not len(rollouts):
        return {}
    taught = rollouts["advantage"].fillna(0) != 0
    return {
        "sampled_tokens": float(rollouts["completion_tokens"].sum()),
        "learned_tokens": float(rollouts.loc[taught, "completion_tokens"].sum()),
    }
