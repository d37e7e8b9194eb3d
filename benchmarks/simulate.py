"""The contact centre's oracle: conversations a minute on one core, and how varied they are beside recorded ones.

    .venv/bin/python benchmarks/simulate.py --conversations 3000
    .venv/bin/python benchmarks/simulate.py --conversations 2000 --path ../shared/data/sgd

Conversations are made by the ``simulated`` source in one process, as ingestion makes them: a task drawn, its world
built, user and oracle played, calls executed, messages annotated. Two rates are given, by the clock and by processor
time; the latter is what a core to itself would do. Variety is counted on as many conversations of the training slices
of both sources, n-grams on the first ``WORDS`` words, so that neither profits from being longer. With ``--path`` the
same is counted on SGD. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

WORDS = 20_000
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")
_NAMED = re.compile(r"\d[\d:.,]*|\b[A-Z][\w']*")


def main() -> None:
    """Time the oracle, count, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--path", type=Path, help="directory of SGD, to count its variety beside ours")
    chosen = parser.parse_args()
    made, seconds, busy = simulate(chosen.conversations, chosen.seed)
    result: dict[str, Any] = {
        "benchmark": "simulate",
        "conversations": len(made),
        "seed": chosen.seed,
        "per_minute": round(60 * len(made) / seconds),
        "per_minute_of_processor": round(60 * len(made) / busy),
    }
    ours = [one for one in made if one.split == "train"]
    theirs = recorded(chosen.path, len(ours)) if chosen.path else []
    counted = min(len(ours), len(theirs) or len(ours))
    result["counted"] = counted
    result["simulated"] = variety(ours[:counted])
    if theirs:
        result["sgd"] = variety(theirs[:counted])
        tell(result["simulated"], result["sgd"])
    print(json.dumps(result))


def simulate(count: int, seed: int) -> tuple[list[Any], float, float]:
    """That many conversations of the ``simulated`` source, seconds by the clock, seconds of processor."""
    from data.reporting import Silent
    from data.settings import DataSettings
    from data.sources.simulated import Simulated

    source = Simulated()
    settings = DataSettings(source="simulated", conversations=count, seed=seed)
    list(source.read(DataSettings(source="simulated", conversations=50, seed=seed + 1), Silent()))  # warm
    started, busy = time.perf_counter(), time.process_time()
    made = list(source.read(settings, Silent()))
    return made, time.perf_counter() - started, time.process_time() - busy


def recorded(path: Path, count: int) -> list[Any]:
    """The first conversations of SGD's training files."""
    from data.reporting import Silent
    from data.schema import Conversation
    from data.settings import DataSettings
    from data.sources import get_source

    # A limit in the settings thins the files evenly over splits; three times as many hold enough for training.
    settings = DataSettings(source="sgd", path=path, conversations=3 * count)
    found = (one for one in get_source("sgd").read(settings, Silent()) if isinstance(one, Conversation))
    return list(islice((one for one in found if one.split == "train"), count))


def variety(conversations: Sequence[Any]) -> dict[str, Any]:
    """Counts of what differs: utterances, n-grams of both sides, sequences of calls."""
    said = {role: list(spoken(conversations, role)) for role in ("user", "assistant")}
    sequences = Counter(tuple(call.name for m in one.messages for call in m.tool_calls) for one in conversations)
    result: dict[str, Any] = {
        "messages": round(sum(len(one.messages) for one in conversations) / len(conversations), 1),
        "calls": round(sum(len(sequence) * n for sequence, n in sequences.items()) / len(conversations), 2),
        "call_sequences": len(sequences),
        "call_sequences_bits": round(entropy(sequences), 2),
        "tools": len({call.name for one in conversations for m in one.messages for call in m.tool_calls}),
    }
    for role, texts in said.items():
        words = [word for text in texts for word in _WORD.findall(text.lower())][:WORDS]
        result[role] = {
            "utterances": len(texts),
            "distinct": round(len({text.lower() for text in texts}) / len(texts), 3),
            "distinct_unnamed": round(len({_NAMED.sub("#", text[1:]).lower() for text in texts}) / len(texts), 3),
            "words_each": round(sum(len(_WORD.findall(text.lower())) for text in texts) / len(texts), 1),
            "counted_words": len(words),
            **{f"{n}_grams": len(set(zip(*(words[start:] for start in range(n)), strict=False))) for n in (1, 2, 3)},
        }
    return result


def spoken(conversations: Iterable[Any], role: str) -> Iterable[str]:
    """What one side says, without calls."""
    return (m.content for one in conversations for m in one.messages if m.role == role and m.content)


def entropy(counts: Counter[Any]) -> float:
    """Bits of surprise of a draw from these counts."""
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def tell(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Both sides in a table."""
    rows = [(key, ours[key], theirs[key]) for key in ours if not isinstance(ours[key], dict)]
    rows += [
        (f"{role}: {key}", ours[role][key], theirs[role][key]) for role in ("user", "assistant") for key in ours[role]
    ]
    print(f"{'':32}{'simulated':>12}{'SGD':>12}")
    for name, mine, other in rows:
        print(f"{name.replace('_', ' '):32}{mine:>12}{other:>12}")


if __name__ == "__main__":
    main()
