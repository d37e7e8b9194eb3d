"""Activations held to the memory that is there: same gradients, less kept, and said in words."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.engine.recomputing import bound_activations
from models.engine.scoring import attend_over_trees, score_rows
from models.engine.tree import Row
from models.memory import available_memory
from models.random_model import make_qwen3

LAYERS = 6


@pytest.fixture(params=["llama", "qwen3"])
def make(request: pytest.FixtureRequest) -> Any:
    """Makes the same small model each time, in training over trees."""
    from trl.trainer.utils import add_fused_lm_head

    def made() -> Any:
        torch.manual_seed(0)
        shape = {"vocab_size": 512, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": LAYERS}
        model = (
            LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=6, num_key_value_heads=2))
            if request.param == "llama"
            else make_qwen3()[0]
        )
        add_fused_lm_head(model.train(), temperature=1.0)
        attend_over_trees(model)
        return model

    return made


def rows_of(*lengths: int) -> list[Row]:
    trunk = list(range(3, 43))
    return [Row([*trunk, *range(50 + 60 * number, 50 + 60 * number + size)], 40) for number, size in enumerate(lengths)]


ROWS = rows_of(7, 30, 55)


def kept_bytes(model: Any, rows: list[Row]) -> tuple[int, torch.Tensor]:
    """What a pass keeps for backward, weights left out, and its result."""
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logps, _ = score_rows(model, rows, 55)
    return sum(one.untyped_storage().nbytes() for key, one in kept.items() if key not in own), logps


def gradient_of(model: Any) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters()])


def test_what_does_not_fit_is_computed_again_and_gradients_stay_the_same(make: Any) -> None:
    plain = make()
    whole, logps = kept_bytes(plain, ROWS)
    logps.sum().backward()
    said: list[str] = []
    bounded = make()
    bound = bound_activations(bounded, said.append, room=0.75 * whole)
    kept, again = kept_bytes(bounded, ROWS)
    again.sum().backward()
    assert torch.equal(logps, again)
    assert torch.allclose(gradient_of(plain), gradient_of(bounded), atol=1e-6)
    assert bound.most_recomputed > 0
    assert kept < 0.75 * whole
    assert len(said) == 1
    assert "layers are computed again in backward: a pass of 134 tokens" in said[0]


def test_gradients_stay_the_same_in_bf16(make: Any) -> None:
    found = []
    for room in (1e12, 0.0):
        model = make()
        bound = bound_activations(model, lambda words: None, room=room)
        with torch.autocast("cpu", torch.bfloat16):
            logps, _ = score_rows(model, ROWS, 55)
        logps.sum().backward()
        assert (bound.most_recomputed > 0) == (room == 0.0)
        found.append(gradient_of(model))
    assert torch.linalg.vector_norm(found[1] - found[0]) <= 1e-3 * torch.linalg.vector_norm(found[0])


def test_what_fits_is_kept(make: Any) -> None:
    said: list[str] = []
    model = make()
    whole, _ = kept_bytes(make(), ROWS)
    bound = bound_activations(model, said.append, room=1.2 * whole)
    for _ in range(3):  # backward sets free what forward kept, so the third pass has the room of the first
        kept, logps = kept_bytes(model, ROWS)
        logps.sum().backward()
        assert kept == pytest.approx(whole, rel=0.02)
    assert bound.most_recomputed == 0
    assert said == []


def test_forward_passes_before_one_backward_share_the_room(make: Any) -> None:
    model = make()
    whole, _ = kept_bytes(make(), ROWS)
    bound = bound_activations(model, lambda words: None, room=1.2 * whole)
    first, second = score_rows(model, ROWS, 55)[0], score_rows(model, ROWS, 55)[0]
    assert bound.most_recomputed > 0
    (first.sum() + second.sum()).backward()
    twice = gradient_of(model)
    once = make()
    (2 * score_rows(once, ROWS, 55)[0].sum()).backward()
    assert torch.allclose(gradient_of(once), twice, atol=1e-5)


def test_no_room_at_all_is_said_with_a_cure(make: Any) -> None:
    said: list[str] = []
    model = make()
    bound = bound_activations(model, said.append, room=0.0)
    score_rows(model, ROWS, 55)[0].sum().backward()
    assert bound.most_recomputed == len(bound._layers)
    assert "lower micro_batch_size" in said[0]


def test_passes_without_gradients_are_left_alone(make: Any) -> None:
    said: list[str] = []
    model = make()
    bound = bound_activations(model, said.append, room=0.0)
    with torch.no_grad():
        score_rows(model, ROWS, 55)
    assert (bound.most_recomputed, said) == (0, [])


def test_a_container_that_is_given_less_has_less(tmp_path: Path) -> None:
    free = available_memory(tmp_path)
    assert free > 0
    given = {"memory.max": "1000000", "memory.current": "700000", "memory.stat": "anon 1\ninactive_file 9"}
    for name, text in given.items():
        (tmp_path / name).write_text(f"{text}\n")
    assert available_memory(tmp_path) == 300_009
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(tmp_path) == pytest.approx(free, rel=0.2)
