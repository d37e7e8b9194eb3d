"""Models whose attention or logits the engine does not compute are refused by name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import transformers

from data.reporting import Silent
from models.base import BaseModelError, fetch_base_model
from models.engine.blocks import BLOCKS
from models.engine.families import unsupported
from models.engine.flex import FLEX
from models.training.sft import _attend
from models.training.tree_sft import TreeSFTTrainer

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e5, "factor": 8.0, "original_max_position_embeddings": 512}
LLAMA3 |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("LlamaConfig", {}),
        ("LlamaConfig", {"rope_parameters": LLAMA3}),
        ("Qwen2Config", {}),
        ("Qwen3Config", {}),
        ("SmolLM3Config", {"use_sliding_window": False}),
        ("MistralConfig", {"sliding_window": None}),
        ("GraniteConfig", {"logits_scaling": 1.0}),
    ],
)
def test_full_attention_is_supported(family, more):
    assert unsupported(getattr(transformers, family)(**SHAPE, **more)) is None


@pytest.mark.parametrize(
    ("family", "more", "what"),
    [
        ("MistralConfig", {"sliding_window": 64}, "sliding window of 64"),
        (
            "Qwen2Config",
            {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 0},
            "sliding_attention",
        ),
        (
            "Qwen3Config",
            {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 0},
            "sliding_attention",
        ),
        ("Gemma2Config", {}, "sliding_attention"),
        ("Gemma2Config", {"layer_types": ["full_attention"] * 2}, "sliding window|softcapping"),
        ("GraniteConfig", {"logits_scaling": 8.0}, "logits_scaling"),
        ("Lfm2Config", {"layer_types": ["conv", "full_attention"]}, "conv"),
        ("GptOssConfig", {"layer_types": ["full_attention"] * 2, "sliding_window": None}, "sinks"),
        ("LlamaConfig", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "dynamic"),
    ],
)
def test_what_is_more_than_that_is_named(family, more, what):
    config = getattr(transformers, family)(**SHAPE, **more)
    found = unsupported(config)
    assert found is not None
    assert any(one in found for one in what.split("|")), found


def test_such_a_model_is_no_base_model(tmp_path):
    fetched = fetch_base_model("random:qwen3", Silent())
    config = transformers.MistralConfig(**SHAPE, sliding_window=64)
    transformers.MistralForCausalLM(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(fetched).save_pretrained(tmp_path)
    with pytest.raises(BaseModelError, match="mistral model with attention within a sliding window of 64 tokens"):
        fetch_base_model(f"path:{tmp_path}", Silent())


@pytest.mark.parametrize(
    ("trees", "cuda", "attention"),
    [(True, False, BLOCKS), (False, False, BLOCKS), (True, True, FLEX), (False, True, None)],
)
def test_packed_trees_have_an_attention_of_their_own_on_either_device(trees, cuda, attention):
    chosen: list[str] = []
    _attend(SimpleNamespace(set_attn_implementation=chosen.append), trees=trees, cuda=cuda)
    assert chosen == ([attention] if attention else [])


def test_a_tree_is_not_given_to_an_attention_that_cuts_it_up():
    """transformers would take each jump of positions for another sequence, and learn branches without their history."""
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    model.set_attn_implementation("sdpa")
    with pytest.raises(ValueError, match="attention 'sdpa' takes no packed trees"):
        TreeSFTTrainer(model=model)
