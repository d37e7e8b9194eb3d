"""Our fused LM head against TRL's, in values and gradients."""

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture
def small_blocks(monkeypatch):
    """Several products and several blocks of rows, with rests."""
    import models.engine.head as head

    monkeypatch.setattr(head, "TOKENS", 7)
    monkeypatch.setattr(head, "_VALUES", 3 * 301)


def inputs(dtype, *, bias):
    generator = torch.Generator().manual_seed(3)
    hidden, weight, beside = (
        torch.randn(*shape, generator=generator).to(dtype).requires_grad_() for shape in [(19, 32), (301, 32), (301,)]
    )
    targets = torch.randint(0, 301, (19,), generator=generator)
    return hidden, weight, beside if bias else None, targets


def applied(function, dtype, *, bias, outputs, temperature=0.7, factor=1.0):
    hidden, weight, beside, targets = inputs(dtype, bias=bias)
    out = function.apply(hidden, weight, beside, targets, temperature, 64, None, factor, outputs)
    share = torch.linspace(-1, 1, 19)
    loss = (out[0] * share).sum() + (0.0 if out[1] is None else (out[1] * share.flip(0)).sum())
    loss.backward()
    return out, [one.grad for one in (hidden, weight, beside) if one is not None]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [("log_probs",), ("log_probs", "entropy"), ("log_probs", "entropy", "is_top1")])
def test_values_and_gradients_equal_trl(small_blocks, bias, outputs):
    from trl.kernels import ChunkedLogProbFunction

    from models.training.seams import _Fold

    ours, our_gradients = applied(_Fold, torch.float32, bias=bias, outputs=outputs, factor=1.3)
    theirs, their_gradients = applied(ChunkedLogProbFunction, torch.float32, bias=bias, outputs=outputs, factor=1.3)
    assert [one is None for one in ours] == [one is None for one in theirs]
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        assert one is None or torch.allclose(one, other, atol=1e-5)
    assert ours[4] is None or torch.equal(ours[4], theirs[4])
    for one, other in zip(our_gradients, their_gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_tie_is_no_first_place():
    from models.training.seams import _Fold

    hidden, weight = torch.ones(2, 4), torch.zeros(5, 4)
    weight[[1, 3]] = 1.0
    *_, first = _Fold.apply(hidden, weight, None, torch.tensor([1, 3]), 1.0, 64, None, 1.0, ("log_probs", "is_top1"))
    assert first.tolist() == [True, False]


def test_gradients_in_bfloat16_are_as_near_to_float32_as_those_of_full_logits(small_blocks):
    from models.training.seams import _Fold

    _, exact = applied(_Fold, torch.float32, bias=False, outputs=("log_probs",))
    _, ours = applied(_Fold, torch.bfloat16, bias=False, outputs=("log_probs",))
    hidden, weight, _, targets = inputs(torch.bfloat16, bias=False)
    logprobs = torch.log_softmax((hidden @ weight.t()).float() / 0.7, dim=-1)
    (logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1) * torch.linspace(-1, 1, 19)).sum().backward()
    for mine, plain, right in zip(ours, (hidden.grad, weight.grad), exact, strict=True):
        error, plain_error = ((one.float() - right).norm() / right.norm() for one in (mine, plain))
        assert error < 1.5 * plain_error < 0.05


def test_what_ours_does_not_compute_is_left_to_trl(small_blocks):
    from trl.kernels import ChunkedLogProbFunction

    from models.training.seams import _Fold

    outputs = ("log_probs", "log_sum_sq_probs")
    ours, _ = applied(_Fold, torch.float32, bias=False, outputs=outputs)
    theirs, _ = applied(ChunkedLogProbFunction, torch.float32, bias=False, outputs=outputs)
    assert torch.equal(ours[2], theirs[2])


def test_no_gradient_is_computed_for_frozen_weights(small_blocks):
    from models.training.seams import _Fold

    hidden, weight, _, targets = inputs(torch.float32, bias=False)
    weight = weight.detach()
    _Fold.apply(hidden, weight, None, targets, 1.0, 64, None, 1.0, ("log_probs",))[0].sum().backward()
    assert weight.grad is None
    assert hidden.grad.abs().sum() > 0
