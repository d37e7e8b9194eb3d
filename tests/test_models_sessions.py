"""Conversations that go on: a turn over kept keys and values equals one that computes everything anew."""

import numpy as np
import pytest
import torch

from models.engine.rollout import Request, decoder, generate
from models.engine.sampling import Sampling
from models.engine.sessions import Sessions

END = 2


@pytest.fixture(scope="module")
def twin():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(3)
    config = Qwen3Config(
        vocab_size=300,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.3,
    )
    return decoder(Qwen3ForCausalLM(config).eval(), torch.float32)


def play(twin, sessions, turns=4, attempts=3, forget=False):
    """Two tasks, some attempts each; after every turn a few tokens come from outside, others for each attempt."""
    generator = np.random.default_rng(0)
    start = [generator.integers(3, 300, length).tolist() for length in (90, 40)]
    rows = {f"{task}/{k}": list(start[task]) for task in range(2) for k in range(attempts)}
    said = []
    for turn in range(turns):
        requests = [Request(ids, (name, turn), session=name) for name, ids in rows.items()]
        made = generate(twin, requests, end_token=END, max_new_tokens=12, sampling=Sampling(1.0), sessions=sessions)
        said.append(made)
        for (name, ids), one in zip(list(rows.items()), made, strict=True):
            outside = np.random.default_rng([turn, *name.encode()]).integers(3, 300, 50).tolist()
            rows[name] = [*(ids[:60] if forget else ids), *one.ids, *outside]
    return said


@pytest.mark.parametrize("forget", [False, True])
def test_turns_over_kept_keys_equal_turns_computed_anew(twin, forget):
    """``forget``: the next prompt leaves out part of what was said, as with reasoning dropped from the history."""
    kept, anew = play(twin, Sessions(), forget=forget), play(twin, None, forget=forget)
    for ours, theirs in zip(kept, anew, strict=True):
        assert [one.ids for one in ours] == [one.ids for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert np.allclose(one.logprobs, other.logprobs, atol=1e-4)


def test_a_turn_passes_only_its_new_tokens_through_the_model(twin, monkeypatch):
    passed = []
    embed = twin.base_model.embed_tokens.forward

    def counted(ids):
        passed.append(ids.numel())
        return embed(ids)

    monkeypatch.setattr(twin.base_model.embed_tokens, "forward", counted)
    play(twin, Sessions())
    with_sessions = sum(passed)
    passed.clear()
    play(twin, None)
    assert with_sessions < sum(passed) / 2


def test_what_ended_is_dropped(twin):
    sessions = Sessions()
    play(twin, sessions, turns=1)
    assert len(sessions) == 6
    sessions.drop("0/0")
    sessions.drop("0/0")
    assert len(sessions) == 5
    assert sessions.known([1] * 10, ["0/0"]) is None
