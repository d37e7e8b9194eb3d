"""The compiled kernels against float64 and against plain models, and what happens where they cannot be had."""

import dataclasses
import math
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from data import paths
from models.engine import lean
from models.engine.blocks import TREE_BLOCK, attend, causal_plan, plan
from models.engine.native import blocks, library
from models.engine.rollout import Request, decoder, generate
from models.engine.sampling import Sampling
from models.engine.tree import sees

needs_kernels = pytest.mark.skipif(library.without_kernels() is not None, reason=f"{library.without_kernels()}")


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def afresh() -> Iterator[None]:
    """Nothing is remembered of whether there are kernels, before and afterwards."""
    caches = (library.kernels, library.without_kernels)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def drawn(rows, heads, kv_heads, tokens, width):
    generator = torch.Generator().manual_seed(tokens + heads)
    return [torch.randn(rows, n, tokens, width, generator=generator).bfloat16() for n in (heads, kv_heads, kv_heads)]


def exactly(inputs, seen, scale, gradient):
    """Output and gradients in float64."""
    query, key, value = (part.double().requires_grad_() for part in inputs)
    keys, values = (part.repeat_interleave(query.shape[1] // key.shape[1], 1) for part in (key, value))
    scores = (query @ keys.transpose(-1, -2) * scale).masked_fill(~seen, -math.inf)
    out = scores.softmax(-1) @ values
    return [out.detach(), *torch.autograd.grad(out, (query, key, value), gradient.double())]


def by_kernels(inputs, blocks_, scale, gradient):
    inputs = [part.clone().requires_grad_() for part in inputs]
    out = attend(None, *inputs, None, scaling=scale, blocks=blocks_)[0].transpose(1, 2)
    assert "Native" in type(out.grad_fn.next_functions[0][0]).__name__
    return [out.detach(), *torch.autograd.grad(out, inputs, gradient)]


def off(ours, theirs, least=1e-3):
    return float((ours.double() - theirs).norm() / max(theirs.norm(), least))


def branching(tokens):
    """Ends of a packed tree: a trunk of a third, then branches of 40 with twigs of 10."""
    end = np.full(tokens, tokens)
    for length in (40, 10):
        for start in range(tokens // 3, tokens, length):
            end[start : start + length] = np.minimum(end[start : start + length], min(start + length, tokens))
    return end


@needs_kernels
@pytest.mark.parametrize("tokens", [1, 2, 7, 97, TREE_BLOCK + 1, 400])
@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(9, 3, 64), (2, 2, 16), (3, 1, 128), (4, 2, 80)])
@pytest.mark.parametrize("tree", [False, True])
def test_attention_and_gradients_are_those_of_float64_but_for_rounding(tokens, heads, kv_heads, width, tree):
    inputs = drawn(2, heads, kv_heads, tokens, width)
    gradient = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    end = branching(tokens) if tree else np.full(tokens, tokens)
    at = np.arange(tokens)
    exact = exactly(inputs, torch.from_numpy(sees(at[:, None], at[None, :], end[None, :])), 0.2, gradient)
    ours = by_kernels(inputs, plan(end), 0.2, gradient)
    # bf16 keeps 8 bits: outputs and gradients are rounded once, probabilities on their way once. With few keys the
    # gradient of a score is a small difference of large numbers, so its error is measured by what comes in.
    least = 0.5 * float(gradient.norm())
    assert max(off(our, true, least) for our, true in zip(ours, exact, strict=True)) < 0.006


@needs_kernels
@pytest.mark.usefixtures("threads")
def test_one_input_gives_one_result_whatever_the_machine_is_doing():
    inputs = drawn(1, 9, 3, 700, 64)
    gradient = torch.ones_like(inputs[0])
    torch.set_num_threads(3)
    first, again = (by_kernels(inputs, plan(branching(700)), 0.125, gradient) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    torch.set_num_threads(1)
    alone = by_kernels(inputs, plan(branching(700)), 0.125, gradient)
    assert torch.equal(first[0], alone[0])
    assert all(off(one, other.double()) < 0.003 for one, other in zip(first, alone, strict=True))


@needs_kernels
@pytest.mark.parametrize(("before", "new"), [(0, 70), (33, 1), (100, 129)])
def test_prefill_goes_on_where_a_trunk_ends(before, new):
    query, key, value = drawn(1, 6, 2, before + new, 32)
    at = torch.arange(before + new)
    exact = exactly((query, key, value), at[:, None] >= at[None, :], 0.3, torch.ones_like(query))[0][:, :, before:]
    laid = query[:, :, before:].transpose(1, 2).contiguous(), key.transpose(1, 2), value.transpose(1, 2)
    out, _ = blocks.forward(*laid, 0.3, blocks.causal_native_plan(new, before, 64))
    assert off(out.transpose(1, 2), exact) < 0.004


@needs_kernels
def test_very_large_and_very_small_scores_are_no_nan():
    inputs = [part * 200 for part in drawn(1, 2, 1, 150, 64)]
    found = by_kernels(inputs, causal_plan(150), 1.0, torch.ones_like(inputs[0]))
    assert all(torch.isfinite(part).all() for part in found)
    exact = exactly(inputs, torch.ones(150, 150, dtype=torch.bool).tril(), 1.0, torch.ones_like(inputs[0]))
    assert off(found[0], exact[0]) < 0.01


def model_of(kind):
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    shape = {
        "vocab_size": 300,  # no multiple of 16
        "hidden_size": 96,
        "intermediate_size": 160,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "initializer_range": 0.15,
    }
    torch.manual_seed(3)
    made = LlamaForCausalLM(LlamaConfig(**shape)) if kind == "llama" else Qwen3ForCausalLM(Qwen3Config(**shape))
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    return made.eval()


@needs_kernels
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("count", [1, 2])
def test_decoding_steps_score_as_a_plain_forward(kind, count):
    """Over trunks of several lengths, rows that see parts of them, and rows that come and go at different times."""
    torch.set_num_threads(count)
    model = model_of(kind)
    numbers = np.random.default_rng(0)
    long, other = numbers.integers(3, 300, 300).tolist(), numbers.integers(3, 300, 37).tolist()
    prompts = [long, [*long[:280], 7, 8, 9], long[:150], other, *([long[:299]] * 20), [5, 6]]
    requests = [Request(prompt, (number,)) for number, prompt in enumerate(prompts)]
    twin = decoder(model, torch.bfloat16)
    assert twin.lean.native is not None
    how = {"end_token": 2, "max_new_tokens": 20, "sampling": Sampling(1.0), "max_rows": 9}
    found = generate(twin, requests, **how)
    assert found == generate(twin, requests, **how)
    head = lean._product([twin.get_output_embeddings()])
    twin.lean = dataclasses.replace(twin.lean, native=None, head=head)
    through_torch = generate(twin, requests, **how)
    errors = [error_of(model, prompts, done) for done in (found, through_torch)]
    assert errors[0] < 0.1
    assert errors[0] < 1.2 * errors[1]


def error_of(model, prompts, done):
    """Mean difference of log-probabilities from a plain forward in float32."""
    found = []
    for prompt, one in zip(prompts, done, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + one.ids])).logits[0, len(prompt) - 1 : -1]
        exact = torch.log_softmax(logits, -1).gather(-1, torch.tensor(one.ids).unsqueeze(-1)).squeeze(-1)
        found += (exact - torch.tensor(one.logprobs)).abs().tolist()
    return sum(found) / len(found)


@needs_kernels
def test_models_they_were_not_written_for_go_through_torch():
    from models.engine.native.step import fits

    model = model_of("llama").bfloat16()
    assert fits(model)
    model.config.hidden_act = "gelu"
    assert not fits(model)
    assert not fits(model_of("llama"))  # float32


@pytest.mark.usefixtures("afresh")
def test_they_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("APPRENTICE_KERNELS", "off")
    assert library.kernels() is None
    assert "APPRENTICE_KERNELS" in library.without_kernels()
    query, *others = drawn(1, 2, 1, 9, 16)
    assert not blocks.fits(query)
    assert attend(None, query, *others, None, scaling=0.25)[0].shape == (1, 9, 2, 16)


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize(
    ("flags", "compiler", "says"),
    [
        ({"avx512f"}, "/bin/true", "avx512_bf16"),
        (set(library.INSTRUCTIONS), None, "gcc or clang"),
        (set(library.INSTRUCTIONS), "/bin/false", "cannot compile"),
    ],
)
def test_where_they_cannot_be_had_the_reason_and_the_cure_are_told(monkeypatch, tmp_path, flags, compiler, says):
    monkeypatch.setattr(library, "_cpu_flags", lambda: flags)
    monkeypatch.setattr(library.shutil, "which", lambda name: compiler)
    monkeypatch.setattr(library, "in_environment", lambda: tmp_path)
    assert says in library.without_kernels()
    assert library.kernels() is None
    assert list(paths.kernels().glob("*.so")) == []


@needs_kernels
def test_two_processes_that_compile_at_once_do_not_disturb_each_other(monkeypatch, tmp_path):
    code = (
        "from models.engine.native import library; from pathlib import Path; "
        "library.in_environment = lambda: Path('/nowhere'); print(library.kernels() is not None)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in processes] == ["True", "True"]
    assert len(list(paths.kernels().iterdir())) == 1
