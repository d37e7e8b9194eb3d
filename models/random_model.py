"""A tiny Qwen3-shaped model with random weights and a tokenizer of its own: the whole job in seconds, no download."""

from __future__ import annotations

from typing import Any

from models.speech.template import CHAT_TEMPLATE

VOCABULARY = 1024
#: Enough English and JSON for a small byte-pair vocabulary; bytes cover everything else.
CORPUS = [
    CHAT_TEMPLATE,
    '{"type": "function", "function": {"name": "search_rooms", "description": "Find free rooms.", "parameters": '
    '{"type": "object", "properties": {"check_in": {"type": "string", "format": "date", "description": "First night"}, '
    '"guests": {"type": "integer"}, "breakfast": {"type": "boolean"}}, "required": ["check_in", "guests"]}}}',
    "You are a helpful assistant who books and looks things up for the user with the tools on offer. Today is Friday.",
    "Which city should I search in? What time would you like? I found three results. Would you like to book a room?",
    "Please confirm: a table for two at half past seven. Your reservation is made. Is there anything else I can do?",
    '{"results": [{"name": "x", "price": "120", "phone_number": "555-0100", "available": "True"}], "total": 7}',
]


def make_qwen3(seed: int = 0) -> tuple[Any, Any]:
    """``(model, tokenizer)``: two layers of width 64, a 1,024-token byte-level BPE with ChatML tokens."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            bos_token_id=None,
        )
        return Qwen3ForCausalLM(config), tokenizer


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
