"""A completion that never ends: what TRL tells of it, what it is paid, how it is stored, and that none is taught."""

from __future__ import annotations

import pandas as pd
import pytest

from data.decision_points import decision_points
from data.rollouts import FILLED_IN, ROLLOUT_SCHEMA
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.speech.template import completion_text
from models.training.rejection import best_completions
from models.training.scoring import BatchScorer, Discarded, cut_short

LONGEST, END = 8, 2


@pytest.fixture
def point(tiny_conversations) -> DecisionPoint:
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    return next(point for point in points if point.kind == "answer")


def scorer_of(point: DecisionPoint, **changes) -> BatchScorer:
    sizes = {"num_generations": 2, "batch_size": 4, "micro_batch_size": 4, "max_completion_length": LONGEST}
    return BatchScorer({point.id: point}, GRPOSettings(**sizes, **changes), "v", end_of_turn=END)


def told(scorer: BatchScorer, texts: list[str], point: DecisionPoint, **more) -> list[list[float | None]]:
    """What the reward functions say of a batch, called as TRL calls them."""
    columns = {"prompts": [""] * len(texts), "decision_point_id": [point.id] * len(texts), "trainer_state": None}
    return [function(completions=texts, **columns, **more) for function in scorer.functions()]


def right(point: DecisionPoint) -> str:
    return completion_text(point.expected, "I know what is needed.").removeprefix("<think>\n")


def test_a_completion_has_ended_if_its_last_token_ends_a_turn():
    ids = [[5, 6, END], [4] * LONGEST, [4] * 7 + [END], [3] * 3, []]
    assert cut_short(ids, END) == [False, True, False, True, False]
    assert cut_short(ids, None) == [False] * 5
    assert cut_short([], END) == []


def test_the_same_text_is_paid_if_it_ends_and_only_then(point):
    scorer, text = scorer_of(point), right(point)
    ended, cut = [4, END], [4] * LONGEST
    first = told(scorer, [text, text], point, completion_ids=[ended, cut])
    assert first == [[1.0, 0.0], [0.1, 0.1], [1.0, 0.0]]
    assert [reward == scorer.maximum(point) for reward in scorer.rewards()] == [True, False]
    assert scorer.figures()["train/malformed_share"] == 0.5
    rows = scorer.rows([1.0, -1.0], [2, LONGEST], [False, True])
    assert [(row["parse_status"], row["passed"], row["truncated"]) for row in rows] == [
        ("ok", True, False),
        ("truncated", False, True),
    ]
    assert set(rows[0]) == set(ROLLOUT_SCHEMA.names) - set(FILLED_IN)
    assert told(scorer, [text, text], point, completion_ids=[cut, ended]) == [pair[::-1] for pair in first]


def test_where_no_ids_are_told_everything_has_ended(point):
    assert told(scorer_of(point), [right(point)] * 2, point) == [[1.0, 1.0], [0.1, 0.1], [1.0, 1.0]]


def test_what_was_malformed_anyhow_is_paid_and_stored_as_before(point):
    scorer = scorer_of(point)
    texts = ["I go on and on", "Hm.\n</think>\n\n<tool_call>\n{"]
    without = told(scorer, texts, point)
    assert told(scorer, texts, point, completion_ids=[[4] * LONGEST] * 2) == without
    statuses = [row["parse_status"] for row in scorer.rows([0.0] * 2, [LONGEST] * 2, [True] * 2)]
    assert statuses == ["unclosed_think", "unclosed_call"]


def test_no_reward_passes_what_never_ends(point):
    for name in ("graded", "toolrl", "binary", "f1"):
        scorer = scorer_of(point, reward=name)
        told(scorer, [right(point)] * 2, point, completion_ids=[[4, END], [4] * LONGEST])
        rows = scorer.rows([0.0] * 2, [2, LONGEST], [False, True])
        assert [row["passed"] for row in rows] == [True, False], name


def test_discarded_draws_are_stored_as_what_they_were(point):
    scorer = scorer_of(point)
    members = scorer.judge([right(point)] * 2, [point.id] * 2, [False, True])
    scorer.discarded.append(Discarded(0, members, [2, LONGEST], [False, True]))
    rows = scorer.rows([], [], [])
    assert [(row["reward"] == scorer.maximum(point), row["passed"], row["parse_status"]) for row in rows] == [
        (True, True, "ok"),
        (False, False, "truncated"),
    ]


def test_what_never_ended_is_not_taught_however_it_was_paid():
    made = {"decision_point_id": "a#1", "parse_status": "ok", "thinking": False}
    rows = [
        {
            "completion_index": 0,
            "reward": 0.1,
            "passed": False,
            "truncated": False,
            "completion_tokens": 9,
            "text": "bad",
        },
        {
            "completion_index": 1,
            "reward": 2.0,
            "passed": True,
            "truncated": True,
            "completion_tokens": 3,
            "text": "cut",
        },
        {
            "completion_index": 2,
            "reward": 2.0,
            "passed": True,
            "truncated": False,
            "completion_tokens": 5,
            "text": "good",
        },
    ]
    assert best_completions(pd.DataFrame([made | row for row in rows]))["text"].tolist() == ["good"]
    assert best_completions(pd.DataFrame([made | row for row in rows[:2]])).empty
