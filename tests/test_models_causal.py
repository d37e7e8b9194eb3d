"""The training attention against torch's own, forward and backward."""

import pytest
import torch
from torch.nn import functional as F

from models.engine.causal import BLOCK, CAUSAL, attend


@pytest.mark.parametrize("tokens", [1, 7, BLOCK, BLOCK + 1, 2 * BLOCK + 90])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2), (3, 1)])
def test_output_and_gradients_equal_torch(tokens, heads, kv_heads):
    generator = torch.Generator().manual_seed(tokens + heads)

    def made(count):
        return torch.randn(2, count, tokens, 16, generator=generator, requires_grad=True)

    inputs = [made(heads), made(kv_heads), made(kv_heads)]
    weight = torch.randn(2, heads, tokens, 16, generator=generator)
    ours = attend(None, *inputs, None, scaling=0.25)[0].transpose(1, 2)
    our_gradients = torch.autograd.grad((ours * weight).sum(), inputs)
    theirs = F.scaled_dot_product_attention(*inputs, is_causal=True, scale=0.25, enable_gqa=True)
    their_gradients = torch.autograd.grad((theirs * weight).sum(), inputs)
    assert torch.allclose(ours, theirs, atol=1e-5)
    for our, their in zip(our_gradients, their_gradients, strict=True):
        assert torch.allclose(our, their, rtol=1e-3, atol=1e-5)


def test_autocast_works_as_for_torch():
    from models.random_model import make_qwen3

    model, _ = make_qwen3()
    ids = torch.randint(3, 900, (1, 40), generator=torch.Generator().manual_seed(0))
    gradients = []
    for name in ("sdpa", CAUSAL):
        model.zero_grad()
        model.set_attn_implementation(name)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(ids, labels=ids).loss
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.linalg.vector_norm(gradients[1] - gradients[0]) < 0.03 * torch.linalg.vector_norm(gradients[0])


def test_a_model_scores_right_padded_rows_as_alone():
    from models.random_model import make_qwen3

    model, _ = make_qwen3()
    ids = torch.randint(3, 900, (1, 50), generator=torch.Generator().manual_seed(0))
    padded = torch.cat([ids, torch.zeros(1, 14, dtype=torch.long)], dim=1)
    mask = torch.cat([torch.ones(1, 50), torch.zeros(1, 14)], dim=1).long()
    with torch.no_grad():
        alone = model(ids).logits
        model.set_attn_implementation(CAUSAL)
        ours = model(padded, attention_mask=mask).logits[:, :50]
    assert torch.allclose(ours, alone, atol=1e-4)
