"""The training attention against torch's own, forward and backward: causal rows and prefix trees."""

import pytest
import torch
from torch.nn import functional as F

from models.engine.blocks import BLOCK, BLOCKS, attend, causal_plan, plan
from models.engine.tree import Row, grow, sees


@pytest.mark.parametrize("tokens", [1, 7, BLOCK, BLOCK + 1, 2 * BLOCK + 90])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("by_blocks", [True, False])
def test_output_and_gradients_equal_torch(tokens, heads, kv_heads, by_blocks):
    generator = torch.Generator().manual_seed(tokens + heads)

    def made(count):
        return torch.randn(2, count, tokens, 16, generator=generator, requires_grad=True)

    inputs = [made(heads), made(kv_heads), made(kv_heads)]
    weight = torch.randn(2, heads, tokens, 16, generator=generator)
    blocks = causal_plan(tokens) if by_blocks else None
    ours = attend(None, *inputs, None, scaling=0.25, blocks=blocks)[0].transpose(1, 2)
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
    for name in ("sdpa", BLOCKS):
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
        model.set_attn_implementation(BLOCKS)
        ours = model(padded, attention_mask=mask).logits[:, :50]
    assert torch.allclose(ours, alone, atol=1e-4)


@pytest.mark.parametrize("block", [4, 16, 256])
def test_a_tree_sees_its_paths_as_torch_does_under_a_dense_mask(block):
    generator = torch.Generator().manual_seed(block)
    trunk = torch.randint(0, 9, (40,), generator=generator).tolist()
    rows = [Row(trunk[:cut] + torch.randint(0, 9, (7,), generator=generator).tolist(), cut) for cut in (5, 5, 20, 39)]
    tree = grow([*rows, Row([8, 8, 8, 8], 1)])
    total = len(tree)
    index, end = torch.arange(total), torch.from_numpy(tree.end)
    dense = sees(index[:, None], index[None, :], end[None, :])
    inputs = [torch.randn(1, heads, total, 16, generator=generator, requires_grad=True) for heads in (4, 2, 2)]
    weight = torch.randn(1, 4, total, 16, generator=generator)
    ours = attend(None, *inputs, None, scaling=0.25, blocks=plan(tree.end, block))[0].transpose(1, 2)
    theirs = F.scaled_dot_product_attention(*inputs, attn_mask=dense, scale=0.25, enable_gqa=True)
    assert torch.allclose(ours, theirs, atol=1e-5)
    our_gradients = torch.autograd.grad((ours * weight).sum(), inputs)
    for our, their in zip(our_gradients, torch.autograd.grad((theirs * weight).sum(), inputs), strict=True):
        assert torch.allclose(our, their, rtol=1e-3, atol=1e-5)


def test_hidden_keys_with_huge_scores_leave_no_trace():
    """What is not seen may score so high that its exponential overflows."""
    query = torch.full((1, 1, 6, 16), 30.0, requires_grad=True)
    key = torch.cat([torch.zeros(1, 1, 3, 16), torch.full((1, 1, 3, 16), 30.0)], dim=2).requires_grad_()
    value = torch.randn(1, 1, 6, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    out, _ = attend(None, query, key, value, None, scaling=1.0)
    out.sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in (query, key, value))


def test_dropout_is_refused():
    part = torch.zeros(1, 1, 2, 16)
    with pytest.raises(ValueError, match="dropout"):
        attend(None, part, part, part, None, scaling=1.0, dropout=0.1)
