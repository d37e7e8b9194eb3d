"""Prefix trees: their shape, and log-probabilities and gradients over them against plain transformers, row by row."""

import numpy as np
import pytest
import torch

from models.engine.flex import FLEX, attend, flex_mask
from models.engine.scoring import attend_over_trees, score_rows
from models.engine.tree import NO_LABEL, Row, common_prefix, forest, grow, rows_of, sees


def drawn(seed, *lengths):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, 900, (length,), generator=generator).tolist() for length in lengths]


TRUNK, OTHER, *ENDS = drawn(0, 60, 33, *range(1, 33))
#: Batches of (prompt, completion) that a tree can get wrong.
BATCHES = {
    "groups of two decision points of one conversation": [
        ([*TRUNK[:cut], 7, 8], ENDS[number]) for cut in (20, 45) for number in range(4)
    ],
    "nothing shared": [(OTHER[:9], [5, 6]), (TRUNK[:4], [1, 2, 3]), ([901], [4])],
    "one row": [(TRUNK, [5, 6, 7])],
    "rows that are prefixes of each other": [(TRUNK[:10], TRUNK[10:cut]) for cut in (11, 12, 20, 30)],
    "the same row three times": [(TRUNK[:10], [5, 6, 7])] * 3,
    "a prompt that goes on where another's completion ends": [(TRUNK[:10], TRUNK[10:15]), (TRUNK[:20], [9, 9])],
    "a prompt through a token that others complete otherwise": [
        (TRUNK[:10], [5, 6]),
        (TRUNK[:10], [TRUNK[10], 6]),
        (TRUNK[:11], [4, 4]),
        (TRUNK[:12], [3]),
    ],
    "completions that part late": [(TRUNK[:10], [5, 6, 7, 8, last]) for last in (1, 2, 3)],
    "thirty-two rows of as many lengths": [(TRUNK[: 5 + number], ENDS[number]) for number in range(32)],
}


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request):
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from models.random_model import make_qwen3

    torch.manual_seed(0)
    if request.param == "qwen3":
        made = make_qwen3()[0]
    else:
        made = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=1024,
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=6,
                num_key_value_heads=2,
                tie_word_embeddings=True,
            )
        )
    with torch.no_grad():  # sharper than a fresh model, whose attention is all but uniform and forgives everything
        for weights in made.parameters():
            weights.mul_(8 if weights.dim() > 1 else 1)
    add_fused_lm_head(made, temperature=0.7, outputs=("log_probs", "entropy"))
    return made


def gradient_of(model):
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("name", BATCHES)
def test_scores_and_gradients_equal_row_by_row(model, name):
    batch = BATCHES[name]
    width = max(len(completion) for _, completion in batch)
    weight = torch.randn(len(batch), width, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    model.set_attn_implementation("sdpa")
    expected, entropies = torch.zeros_like(weight), torch.zeros_like(weight)
    for number, (prompt, completion) in enumerate(batch):
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1] / 0.7
        logps = logits.log_softmax(-1)
        scored = logps.gather(-1, torch.tensor(completion)[:, None])[:, 0]
        (scored * weight[number, : len(completion)]).sum().backward()
        expected[number, : len(completion)] = scored.detach()
        entropies[number, : len(completion)] = -(logps.exp() * logps).sum(-1).detach()
    theirs = gradient_of(model)

    model.zero_grad()
    attend_over_trees(model)
    rows = [Row(prompt + completion, len(prompt)) for prompt, completion in batch]
    found, uncertainty = score_rows(model, rows, width, entropies=True)
    (found * weight).sum().backward()
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(uncertainty, entropies, atol=1e-4)
    assert torch.linalg.vector_norm(gradient_of(model) - theirs) < 1e-3 * torch.linalg.vector_norm(theirs)


def test_cut_into_several_trees_the_scores_stay(model):
    batch = BATCHES["thirty-two rows of as many lengths"]
    rows = [Row(prompt + completion, len(prompt)) for prompt, completion in batch]
    attend_over_trees(model)
    with torch.no_grad():
        whole, _ = score_rows(model, rows, 32)
        cut, none = score_rows(model, rows, 32, most_tokens=100)
    assert none is None
    assert torch.allclose(whole, cut, atol=1e-4)


def test_checkpointing_changes_nothing(model):
    rows = [Row(prompt + completion, len(prompt)) for prompt, completion in BATCHES["completions that part late"]]
    attend_over_trees(model)
    gradients = []
    for checkpointing in (False, True):
        model.zero_grad()
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        score_rows(model, rows, 5)[0].sum().backward()
        gradients.append(gradient_of(model))
    model.gradient_checkpointing_disable()
    model.eval()
    assert torch.allclose(*gradients, atol=1e-6)


def paths(tree):
    """For each packed position the tokens it sees, itself included, in order."""
    at = np.arange(len(tree))
    return [tree.tokens[np.flatnonzero(sees(i, at, tree.end))].tolist() for i in at]


@pytest.mark.parametrize("name", BATCHES)
def test_every_scored_position_sees_its_own_prefix_and_predicts_its_own_token(name):
    batch = BATCHES[name]
    tree = grow([Row(prompt + completion, len(prompt)) for prompt, completion in batch])
    seen = paths(tree)
    for (prompt, completion), at in zip(batch, tree.scored, strict=True):
        assert tree.labels[at].tolist() == completion
        for offset, position in enumerate(at):
            assert seen[position] == prompt + completion[:offset]
            assert tree.positions[position] == len(prompt) + offset - 1
    assert int((tree.labels != NO_LABEL).sum()) == len({position for at in tree.scored for position in at.tolist()})


def test_prefixes_are_held_once():
    group = [Row([*TRUNK, end, 1, 1], len(TRUNK)) for end in range(8)]
    # The trunk once, eight completions, and seven copies of the trunk's last token to predict their beginnings from.
    assert len(grow(group)) == len(TRUNK) + 8 * 3 + 7
    assert len(grow([group[0]] * 8)) == len(TRUNK) + 3


def test_a_forest_keeps_to_its_size_and_loses_no_row():
    rows = [Row([*TRUNK[:cut], end], cut) for cut in (10, 30, 50) for end in range(4)]
    rows += [Row([*OTHER, end], len(OTHER)) for end in range(4)]
    trees = list(forest(rows, 70))
    assert sorted(member for members, _ in trees for member in members) == list(range(len(rows)))
    assert all(len(tree) <= 70 for _, tree in trees)
    assert len(trees) < 4
    assert [members for members, _ in forest([rows[0]], 3)] == [[0]]


def test_a_row_needs_something_to_be_predicted_from():
    for row in (Row([1, 2], 0), Row([1, 2], 3), Row([], 1)):
        with pytest.raises(ValueError, match="scored part"):
            grow([row])
    assert grow([Row([1, 2], 2)]).scored[0].tolist() == []


def test_padded_rows_are_read_as_trl_holds_them():
    ids = torch.tensor([[0, 5, 6, 7, 8], [3, 4, 5, 6, 0]])
    mask = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    assert rows_of(ids, mask, 2) == [Row([5, 6, 7, 8], 2), Row([3, 4, 5, 6], 3)]


def test_common_prefix():
    assert common_prefix([1, 2, 3], [1, 2, 4]) == 2
    assert common_prefix([1, 2], [1, 2, 4]) == 2
    assert common_prefix([], [1]) == 0


def test_equal_rows_have_labels_of_their_own_where_asked_for():
    rows = [Row([*TRUNK, 5, 6], len(TRUNK))] * 3 + [Row([*TRUNK, 5, 6, 7], len(TRUNK) + 1)]
    tree = grow(rows, own_labels=True)
    assert int((tree.labels != NO_LABEL).sum()) == 3 * 2 + 2
    assert len({position for at in tree.scored for position in at.tolist()}) == 3 * 2 + 2
    seen = paths(tree)
    for row, at in zip(rows, tree.scored, strict=True):
        assert [seen[position] for position in at] == [row.tokens[:cut] for cut in range(row.start, len(row.tokens))]


def test_flex_attention_sees_the_same():
    batch = BATCHES["a prompt through a token that others complete otherwise"]
    tree = grow([Row(prompt + completion, len(prompt)) for prompt, completion in batch])
    mask = flex_mask(tree, torch.device("cpu"))
    at = torch.arange(len(tree))
    told = mask.mask_mod(torch.tensor(0), torch.tensor(0), at[:, None], at[None, :])
    assert torch.equal(told, sees(at[:, None], at[None, :], torch.from_numpy(tree.end)[None, :]))
    assert mask.shape == (1, 1, len(tree), len(tree))


def test_flex_attention_without_a_mask_is_refused():
    part = torch.zeros(1, 1, 2, 16)
    with pytest.raises(ValueError, match=FLEX):
        attend(None, part, part, part, None, scaling=1.0)
