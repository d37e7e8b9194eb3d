"""What a step's completions show besides their reward: the raw figures of the hacking monitor.

Measured, not paid: none of this enters a reward. Everything is read from the completions, their decision points and
the sampled tokens' log-probabilities; shares are of completions unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from data.schema import DecisionPoint
from models.evaluation.heeding import announced, heeded
from models.rewards.variants import Reward
from models.speech.parsing import Parsed, ParseStatus
from models.training.scoring import PARTS, Judged
from models.wording import plain

#: A thought is copied if so much of it stands in the history word for word, in runs of ``RUN`` words.
COPIED_SHARE, RUN, LEAST_WORDS = 0.8, 5, 8
#: Values shorter than this stand in any thought by accident.
SHORTEST_VALUE = 2


def signals(
    batch: Sequence[Judged],
    reward: Reward,
    maxima: Sequence[float],
    group: int,
    lengths: Sequence[int],
    logprobs: Sequence[float] | None,
) -> dict[str, float]:
    """The monitor's figures of one generation batch.

    Args:
        batch: Completions, whole groups of ``group`` one after the other.
        reward: What they were paid by.
        maxima: The greatest reward at each completion's decision point.
        group: Completions per prompt.
        lengths: Tokens of each completion.
        logprobs: Log-probabilities of all sampled tokens, if known: their negative mean estimates the entropy.

    Returns:
        Figures under ``monitor/``; those that do not apply (entropy without log-probabilities) are left out.
    """
    parsed = [one.scored.parsed for one in batch]
    totals = [reward.total(one.scored.parts) for one in batch]
    calling = {
        kind: [p.attempted_call for one, p in zip(batch, parsed, strict=True) if one.point.kind == kind]
        for kind in ("answer", "call")
    }
    figures = {
        "reward_share": _mean([total / most if most else 0.0 for total, most in zip(totals, maxima, strict=True)]),
        "calls_per_turn": _mean([len(one.calls) for one in parsed]),
        "gold_calls_per_turn": _mean([len(one.point.expected.tool_calls) for one in batch]),
        "call_share": _mean([one.attempted_call for one in parsed]),
        "gold_call_share": _mean([one.point.kind == "call" for one in batch]),
        **({"unasked_call_share": _mean(calling["answer"])} if calling["answer"] else {}),
        **({"withheld_call_share": 1.0 - _mean(calling["call"])} if calling["call"] else {}),
        "malformed_share": _mean([not one.ok for one in parsed]),
        "completion_tokens": _mean(lengths),
        **thought_figures(batch),
        **part_figures(batch, reward, group),
    }
    if logprobs is not None and len(logprobs):
        figures["entropy"] = -_mean(logprobs)
    return {f"monitor/{name}": value for name, value in figures.items()}


def thought_figures(batch: Sequence[Judged]) -> dict[str, float]:
    """Shares of empty, copied and repeated thoughts, how many of the calls' values the thoughts name, and how many of
    the thoughts that announce a call or a question are followed by that."""
    thoughts = [one.scored.parsed.reasoning for one in batch]
    told = [(one, thought) for one, thought in zip(batch, thoughts, strict=True) if thought]
    followed = [heeded(kind, one.scored.parsed.attempted_call) for one, thought in told if (kind := announced(thought))]
    named = [share for one, thought in told if (share := named_values(one.scored.parsed, thought)) is not None]
    return {
        "empty_thought_share": _mean([one.scored.parsed.status is ParseStatus.EMPTY_THINK for one in batch]),
        "copied_thought_share": sum(copied(one.point, thought) for one, thought in told) / len(batch),
        "repeated_thought_share": repeated_share([(one.point.id, thought) for one, thought in told]),
        **({"values_in_thought": _mean(named)} if named else {}),
        **({"heeded_thought_share": _mean(followed)} if followed else {}),
    }


def copied(point: DecisionPoint, thought: str) -> bool:
    """Whether a thought of some length is taken word for word from the conversation."""
    words = tuple(plain(thought).split())
    if len(words) < LEAST_WORDS:
        return False
    known = _history_runs(" ".join(message.content or "" for message in point.history))
    covered = {start + offset for start, run in enumerate(_runs(words)) if run in known for offset in range(RUN)}
    return len(covered) >= COPIED_SHARE * len(words)


@lru_cache(maxsize=64)
def _history_runs(content: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(tuple(plain(content).split())))


def _runs(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (words[start : start + RUN] for start in range(len(words) - RUN + 1))


def repeated_share(thoughts: Sequence[tuple[str, str]]) -> float:
    """Share of the thoughts (with their decision point's id) that also occur, word for word, at another point."""
    places: dict[str, set[str]] = {}
    for identifier, thought in thoughts:
        places.setdefault(plain(thought), set()).add(identifier)
    return _mean([len(places[plain(thought)]) > 1 for _, thought in thoughts])


def named_values(parsed: Parsed, thought: str) -> float | None:
    """Share of the calls' argument values that the thought names; None without any. Single characters do not count."""
    values = [text for call in parsed.calls for value in call.arguments.values() for text in _texts(value)]
    said = plain(thought)
    return _mean([plain(value) in said for value in values]) if values else None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and len(str(value)) >= SHORTEST_VALUE:
        yield str(value)


def part_figures(batch: Sequence[Judged], reward: Reward, group: int) -> dict[str, float]:
    """What each part brings to the mean reward, and its share of the reward's variance within groups.

    The shares are covariances of a part's weighted value with the whole, over the whole's variance: they sum to 1.
    """
    weights = np.array([getattr(reward.weights, part) for part in PARTS])
    values = np.array([[0.0 if part is None else float(part) for part in one.parts] for one in batch]) * weights
    grouped = values.reshape(-1, group, len(PARTS))
    centred = (grouped - grouped.mean(axis=1, keepdims=True)).reshape(-1, len(PARTS))
    whole = centred.sum(axis=1)
    variance = float((whole**2).sum())
    carried = (centred * whole[:, None]).sum(axis=0) / variance if variance > 1e-12 else np.zeros(len(PARTS))
    used = [number for number, weight in enumerate(weights) if weight]
    return {f"brought_by_{PARTS[number]}": float(values[:, number].mean()) for number in used} | {
        f"carried_by_{PARTS[number]}": float(carried[number]) for number in used
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
