"""Completions by several processes over shared weights, against the same by one."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from data.workers import WorkerDied
from models.engine import crew as crews
from models.engine.rollout import Generated, Request, decoder, generate, refresh
from models.engine.sampling import Sampling
from models.engine.sessions import Sessions

END = 2
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,
}


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(crews, "WORTH", 0)
    yield
    torch.set_num_threads(before)


def tiny(seed: int, *, tied: bool = True) -> torch.nn.Module:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, tie_word_embeddings=tied)).eval()


def requests() -> list[Request]:
    """Four conversations, several decision points and attempts each."""
    drawn = np.random.default_rng(0)
    long = [drawn.integers(3, 300, 60).tolist() for _ in range(4)]
    return [
        Request(prompt[:length], ("seed", place, length, k))
        for place, prompt in enumerate(long)
        for length in (30, 45, 60)
        for k in range(2)
    ]


def completed(twin: torch.nn.Module, **more: object) -> list[Generated]:
    how = {"end_token": END, "max_new_tokens": 12, "sampling": Sampling(temperature=1.0), **more}
    return generate(twin, requests(), **how)  # type: ignore[arg-type]


def children() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        found = {int(one) for one in file.read().split()}
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as file:
            found |= {int(one) for one in file.read().split()}
    return found


def same(ours: list[Generated], theirs: list[Generated]) -> bool:
    return [one.ids for one in ours] == [one.ids for one in theirs] and all(
        np.allclose(left.logprobs, right.logprobs, atol=1e-5) for left, right in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("tied", [True, False])
def test_a_crew_completes_as_one_process_does_and_sees_new_weights(monkeypatch: pytest.MonkeyPatch, tied: bool) -> None:
    first, second = tiny(1, tied=tied), tiny(2, tied=tied)
    twin = decoder(first, torch.float32)
    told: list[int] = []
    by_two = completed(twin, on_batch=told.append)
    assert twin.crew is not None
    assert told[-1] == len(by_two) == 24
    assert told == sorted(told)
    refresh(twin, second)
    newer = completed(twin)
    monkeypatch.setattr(crews, "WORTH", float("inf"))
    assert same(newer, completed(twin))
    assert same(by_two, completed(decoder(first, torch.float32)))
    assert not same(by_two, newer)


def test_helpers_really_work_and_leave_with_the_copy() -> None:
    twin = decoder(tiny(1), torch.float32)
    before = children()
    asked: list[int] = []
    completed(twin)
    ask = twin.crew._ask
    twin.crew._ask = lambda function, task: asked.append(len(task.requests)) or ask(function, task)
    for _ in range(20):  # which process takes a part is the system's to decide
        completed(twin, max_rows=4)
        if asked:
            break
    assert asked
    assert len(children() - before) == 1
    del twin
    gc.collect()
    assert children() == before


def test_a_killed_helper_is_an_error_that_says_so_and_the_next_call_engages_another() -> None:
    twin = decoder(tiny(1), torch.float32)
    before = children()
    completed(twin)
    (helper,) = children() - before
    os.kill(helper, signal.SIGKILL)

    def until_asked() -> None:
        for _ in range(50):  # which process takes a part is the system's to decide
            completed(twin, max_rows=4)

    with pytest.raises(WorkerDied, match="killed by signal 9"):
        until_asked()
    assert twin.crew is None
    assert children() == before
    assert len(completed(twin)) == 24


def test_what_is_raised_here_ends_the_helpers() -> None:
    twin = decoder(tiny(1), torch.float32)
    before = children()

    def stop(finished: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        completed(twin, on_batch=stop)
    assert children() == before


def test_small_calls_and_conversations_under_way_stay_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = decoder(tiny(1), torch.float32)
    completed(twin, sessions=Sessions())
    assert twin.crew is None
    generate(twin, requests()[:8], end_token=END, max_new_tokens=2, sampling=Sampling())
    assert twin.crew is None
    torch.set_num_threads(1)
    completed(twin)
    assert twin.crew is None
    torch.set_num_threads(2)
    monkeypatch.setattr(crews, "WORTH", 1e11)
    completed(twin)
    assert twin.crew is None
