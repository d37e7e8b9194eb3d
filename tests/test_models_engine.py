"""Rollouts over shared trunks, against plain transformers."""

from collections import Counter

import numpy as np
import pytest
import torch

from models.engine import lean
from models.engine.rollout import Request, decoder, generate, refresh
from models.engine.sampling import Sampling, choose, nucleus, rollout_uniforms

END = 2


def tiny(kind: str):
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    shape = {
        "vocab_size": 300,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "initializer_range": 0.3,
    }
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(**shape)) if kind == "llama" else Qwen3ForCausalLM(Qwen3Config(**shape))
    return model.eval()


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request):
    return tiny(request.param)


@pytest.fixture(scope="module")
def prompts():
    """Rows that are prefixes of each other, rows with a forked tail, equal rows, and one that shares nothing."""
    generator = np.random.default_rng(0)
    long = generator.integers(3, 300, 120).tolist()
    other = generator.integers(3, 300, 40).tolist()
    return [long[:50], long, [*long[:80], 7, 8, 9], long[:80], other, long]


def alone(model, prompt, tokens):
    with torch.no_grad():
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=END,
            pad_token_id=END,
        )
    return out[0, len(prompt) :].tolist()


def test_greedy_completions_equal_generate_token_for_token(model, prompts):
    ours = generate(
        decoder(model, torch.float32),
        [Request(prompt) for prompt in prompts],
        end_token=END,
        max_new_tokens=30,
        sampling=Sampling(),
    )
    assert [one.ids for one in ours] == [alone(model, prompt, 30) for prompt in prompts]


def test_thoughts_put_before_the_turns_of_a_conversation_share_its_history(model, monkeypatch):
    drawn = np.random.default_rng(1)
    history = drawn.integers(3, 300, 600).tolist()
    turns = [[*history[:length], *drawn.integers(3, 300, 60).tolist()] for length in (300, 420, 600)]
    grown = []
    monkeypatch.setattr(
        "models.engine.chains.grow_trunk", lambda *told: (grown.append(len(told[1])), lean.grow_trunk(*told))
    )
    asked = [Request(prompt) for prompt in turns]
    how = {"end_token": END, "max_new_tokens": 20, "sampling": Sampling()}
    ours = generate(decoder(model, torch.float32), asked, own_tails=[60, 60, 60], **how)
    assert [one.ids for one in ours] == [alone(model, prompt, 20) for prompt in turns]
    assert grown == [659]  # of 1,497 that the three prompts have
    grown.clear()
    assert [one.ids for one in generate(decoder(model, torch.float32), asked, **how)] == [one.ids for one in ours]
    assert grown == [659, 479, 359], "unannounced, a tail may be what several rows share"


def test_a_copy_in_bfloat16_has_the_buffers_that_a_model_loaded_in_it_has(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = dict(type(model).from_pretrained(tmp_path, dtype=torch.bfloat16).named_buffers())
    copied = dict(decoder(model, torch.bfloat16).named_buffers())
    assert {name: one.dtype for name, one in copied.items()} == {name: one.dtype for name, one in loaded.items()}
    assert all(torch.equal(one, loaded[name]) for name, one in copied.items())
    assert any("inv_freq" in name for name in copied)


def test_in_bfloat16_far_tokens_stand_where_they_stand(model):
    """Rotary frequencies rounded with the weights turned them by radians: a Llama was off by 0.26, not by 0.07."""
    prompt = np.random.default_rng(1).integers(3, 300, 1500).tolist()
    [one] = generate(
        decoder(model, torch.bfloat16),
        [Request(prompt, ("seed", 1))],
        end_token=END,
        max_new_tokens=24,
        sampling=Sampling(temperature=1.0),
    )
    with torch.no_grad():
        logits = model(torch.tensor([prompt + one.ids])).logits[0, len(prompt) - 1 : -1]
    expected = torch.log_softmax(logits, -1).gather(-1, torch.tensor(one.ids).unsqueeze(-1)).squeeze(-1)
    assert (torch.tensor(one.logprobs) - expected).abs().mean() < 0.15


def test_log_probabilities_equal_a_plain_forward_at_the_sampling_temperature(model, prompts):
    sampling = Sampling(temperature=0.7)
    requests = [Request(prompt, ("seed", number)) for number, prompt in enumerate(prompts)]
    ours = generate(decoder(model, torch.float32), requests, end_token=END, max_new_tokens=20, sampling=sampling)
    for prompt, one in zip(prompts, ours, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + one.ids])).logits[0, len(prompt) - 1 : -1]
        expected = torch.log_softmax(logits / 0.7, -1).gather(-1, torch.tensor(one.ids).unsqueeze(-1)).squeeze(-1)
        assert torch.allclose(torch.tensor(one.logprobs), expected, atol=1e-4)


def test_sampling_equals_a_row_by_row_sampler_fed_the_same_draws(model, prompts):
    sampling = Sampling(temperature=1.3, top_p=0.9)
    requests = [Request(prompt, ("run", 1, number)) for number, prompt in enumerate(prompts)]
    ours = generate(decoder(model, torch.float32), requests, end_token=END, max_new_tokens=15, sampling=sampling)
    for request, one in zip(requests, ours, strict=True):
        ids: list[int] = []
        for uniform in rollout_uniforms(request.key, 15):
            with torch.no_grad():
                logits = model(torch.tensor([[*request.prompt, *ids]])).logits[0, -1]
            probabilities = nucleus(torch.softmax(logits / 1.3, -1).unsqueeze(0), 0.9)[0].double()
            ids.append(int(torch.searchsorted(probabilities.cumsum(0), uniform * probabilities.sum(), right=True)))
            if ids[-1] == END:
                break
        assert one.ids == ids


def test_a_rollout_is_the_same_whatever_shares_its_batch(model, prompts):
    twin = decoder(model, torch.float32)
    requests = [Request(prompt, (number,)) for number, prompt in enumerate(prompts)]
    arguments = {"end_token": END, "max_new_tokens": 25, "sampling": Sampling(1.0)}
    together = generate(twin, requests, **arguments)
    apart = [generate(twin, [request], **arguments)[0] for request in requests]
    small = generate(twin, requests[::-1], max_rows=2, **arguments)[::-1]
    assert [one.ids for one in together] == [one.ids for one in apart] == [one.ids for one in small]


def test_thirty_two_rows_end_at_different_steps(model, prompts):
    requests = [Request(prompts[1][:60], ("many", number)) for number in range(32)]
    ours = generate(decoder(model, torch.float32), requests, end_token=END, max_new_tokens=200, sampling=Sampling(1.5))
    lengths = {len(one.ids) for one in ours}
    assert len(lengths) > 5
    assert all(one.ids[-1] == END or len(one.ids) == 200 for one in ours)
    assert all(END not in one.ids[:-1] for one in ours)


def test_uniforms_depend_on_the_key_alone():
    assert (rollout_uniforms(("a", 1), 5) == rollout_uniforms(("a", 1), 9)[:5]).all()
    assert (rollout_uniforms(("a", 1), 5) != rollout_uniforms(("a", 2), 5)).any()
    many = np.concatenate([rollout_uniforms(("mean", k), 100) for k in range(100)])
    assert 0.48 < many.mean() < 0.52


def test_draws_follow_the_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).repeat(10_000, 1)
    uniforms = torch.tensor(rollout_uniforms(("frequencies",), 10_000))
    tokens, _ = choose(logits, Sampling(1.0), uniforms)
    share = torch.bincount(tokens, minlength=3) / 10_000
    assert torch.allclose(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.02)


def test_the_nucleus_keeps_the_smallest_set_of_its_mass():
    kept = nucleus(torch.tensor([[0.1, 0.5, 0.15, 0.25]]), 0.7)
    assert kept.tolist() == [[0.0, 0.5, 0.0, 0.25]]


@pytest.mark.parametrize("empty", [0.0, 1.0])
def test_the_short_way_equals_the_models_own_forward(model, prompts, monkeypatch, empty):
    """Trunks of unequal length with unequal numbers of rows, each for itself and all side by side."""
    requests = [Request(prompt, (number,)) for number, prompt in enumerate([*prompts, *prompts[:3]])]
    arguments = {"end_token": END, "max_new_tokens": 25, "sampling": Sampling(1.0)}
    monkeypatch.setattr("models.engine.lean.KNOWN", ())
    plain = decoder(model, torch.float32)
    assert not hasattr(plain, "lean")
    expected = generate(plain, requests, **arguments)
    monkeypatch.undo()
    monkeypatch.setattr("models.engine.trunks.MOST_EMPTY", empty)
    twin = decoder(model, torch.float32)
    assert len(twin.lean.layers) == 3
    for one, other in zip(generate(twin, requests, **arguments), expected, strict=True):
        assert one.ids == other.ids
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-4)


def test_refreshed_weights_are_what_is_decoded_with(model, prompts):
    other = tiny("llama" if type(model).__name__.startswith("Llama") else "qwen3")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    twin = decoder(model, torch.float32)
    refresh(twin, other)
    arguments = {"end_token": END, "max_new_tokens": 12, "sampling": Sampling()}
    requests = [Request(prompt) for prompt in prompts]
    changed = generate(decoder(other, torch.float32), requests, **arguments)
    assert generate(twin, requests, **arguments) == changed
    assert changed != generate(decoder(model, torch.float32), requests, **arguments)


@pytest.mark.parametrize(("dtype", "within"), [(torch.bfloat16, 0.02), (torch.float32, 1e-5)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_equal_the_plain_ones(dtype, within, bias):
    """Packed into oneDNN's layout where the CPU computes in that precision."""
    from models.engine.lean import _product

    layers = [torch.nn.Linear(64, width, bias=bias, dtype=dtype) for width in (96, 32)]
    rows = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.inference_mode():
        expected = torch.cat([layer(rows) for layer in layers], dim=-1)
        assert torch.allclose(_product(layers)(rows).float(), expected.float(), atol=within)


def test_a_cpu_without_products_in_bfloat16_takes_the_plain_ones(monkeypatch):
    """As those without AVX-512 are: oneDNN refuses to lay out such weights there."""
    from models.engine.lean import _packs

    single, half = torch.ones(2, 2), torch.ones(2, 2, dtype=torch.bfloat16)
    for supported in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda answer=supported: answer)
        assert (_packs(single), _packs(half)) == (True, supported)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not _packs(single)


def test_no_word_without_probability_is_drawn():
    logits = torch.full((4, 1000), float("-inf"))
    logits[:, [3, 700]] = 0.0
    uniforms = torch.tensor([0.0, 0.4999, 0.5, 1 - 2**-53], dtype=torch.float64)
    tokens, logprobs = choose(logits, Sampling(1.0), uniforms)
    assert tokens.tolist() == [3, 3, 700, 700]
    assert torch.allclose(logprobs, torch.full((4,), 0.5).log())


def test_greedy_takes_the_first_of_equals_wherever_it_stands():
    logits = torch.zeros(3, 777)
    logits[0, [600, 300]] = 2.0
    logits[1, [776]] = 1.0
    tokens, logprobs = choose(logits, Sampling(), None)
    assert tokens.tolist() == [300, 776, 0]
    assert torch.allclose(logprobs, torch.log_softmax(logits, -1)[range(3), tokens])


@pytest.mark.parametrize("max_rows", [1, 3, 8])
def test_rows_that_end_make_room_for_others_and_nothing_changes(model, prompts, max_rows):
    """Rows of one batch then began at different times; some wait for their trunk until an earlier one has gone."""
    drawn = np.random.default_rng(5)
    asked = [*prompts, *(drawn.integers(3, 300, length).tolist() for length in (5, 70, 33, 34, 90, 12))]
    requests = [Request(prompt, ("room", number)) for number, prompt in enumerate(asked)] * 2
    twin, told = decoder(model, torch.float32), []
    how = {"max_new_tokens": 25, "sampling": Sampling(temperature=1.5)}
    endless = [one.ids for one in generate(twin, requests, end_token=-1, **how)]
    how["end_token"] = Counter(token for ids in endless for token in ids).most_common(4)[-1][0]  # ends some rows soon
    ours = generate(twin, requests, max_rows=max_rows, on_batch=told.append, **how)
    together = generate(twin, requests, max_rows=64, **how)
    assert [one.ids for one in ours] == [one.ids for one in together]
    assert len({len(one.ids) for one in ours}) > 3
    for mine, other in zip(ours, together, strict=True):
        assert np.allclose(mine.logprobs, other.logprobs, atol=1e-4)
    assert told == sorted(set(told))
    assert told[-1] == len(requests)
    greedy = generate(twin, requests, end_token=END, max_new_tokens=25, sampling=Sampling(), max_rows=max_rows)
    assert [one.ids for one in greedy[: len(asked)]] == [alone(model, prompt, 25) for prompt in asked]
