"""Pass rates outlive their runs, belong to contents, and let prompts rest that taught nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from data import paths
from data.decision_points import decision_points
from data.evaluations import append_evaluations, read_evaluations
from data.pass_rates import (
    PassRate,
    content_digest,
    count_evaluation,
    count_rollouts,
    known_rates,
    read_pass_rates,
    store,
)
from data.rollouts import append_rollouts, read_rollouts
from data.settings import GRPOSettings
from models.training.curriculum import plan, verdict_of
from models.training.draws import frozen_rates, substitutes

BEGAN = datetime(2026, 11, 22, tzinfo=UTC)
ROW: dict[str, Any] = {
    "dataset_version": "abc",
    "split": "train",
    "kind": "call",
    "domain": "Ferries",
    "tool": "FindFerry",
    "thinking": True,
    "text": "…",
    "reasoning": None,
    "action": None,
    "parse_status": "ok",
    "reward_format": 1.0,
    "reward_tool_accuracy": 1.0,
    "reward_answer_correctness": None,
    "advantage": 0.0,
    "completion_tokens": 3,
    "truncated": False,
    "temperature": 1.0,
    "draw": 0,
}


def group(identifier: str, *rewards: float, discarded: bool = False) -> list[dict[str, Any]]:
    return [
        {
            **ROW,
            "decision_point_id": identifier,
            "completion_index": index,
            "reward": reward,
            "passed": reward == 1.5,
            "discarded": discarded,
        }
        for index, reward in enumerate(rewards)
    ]


@pytest.fixture
def points(tiny_conversations):
    return [point for one in tiny_conversations for point in decision_points(one)]


def test_a_runs_rollouts_are_counted_by_decision_point_discarded_draws_included(points) -> None:
    first, second, third = (point.id for point in points[:3])
    append_rollouts("r1", 1, [*group(first, 1.5, 1.5), *group(second, 1.5, 0.0), *group(first, 0.0, 0.5)])
    append_rollouts("r1", 2, [*group(second, 0.0, 0.0), *group(third, 1.5, 1.5, discarded=True)])
    rows = count_rollouts(read_rollouts("r1"), {point.id: content_digest(point) for point in points[:3]})
    counted = {
        row["decision_point_id"]: (row["attempts"], row["passes"], row["groups"], row["varied_groups"]) for row in rows
    }
    assert counted == {first: (4, 2, 2, 1), second: (4, 1, 2, 1), third: (2, 2, 1, 0)}
    assert {row["reward_mean"] for row in rows if row["decision_point_id"] == first} == {0.875}
    assert all(row["seconds_per_group"] is None or row["seconds_per_group"] > 0 for row in rows)


def test_files_written_before_passes_were_stored_still_count(points) -> None:
    import pyarrow.parquet as pq

    identifier = points[0].id
    path = append_rollouts("old", 1, group(identifier, 1.5, 1.5))
    table = pq.read_table(path).drop_columns(["passed", "draw", "discarded"])
    pq.write_table(table, path)
    rows = count_rollouts(read_rollouts("old"), {identifier: "c"})
    assert [(row["attempts"], row["passes"]) for row in rows] == [(2, 2)]


def kept(
    identifier: str, content: str, attempts: int, passes: int, *, week: int = 0, varied: int = 0
) -> dict[str, Any]:
    return {
        "origin": f"r{week}",
        "kind": "rollouts",
        "dataset_version": f"v{week}",
        "decision_point_id": identifier,
        "content": content,
        "attempts": attempts,
        "passes": passes,
        "groups": attempts // 8,
        "varied_groups": varied,
        "reward_mean": 0.5,
        "seconds_per_group": 6.0,
        "last_at": BEGAN + timedelta(weeks=week),
    }


def test_rates_persist_across_runs_and_the_newest_attempts_count(points) -> None:
    one, content = points[0].id, content_digest(points[0])
    store("r1", [kept(one, content, 16, 0, week=1)])
    store("r2", [kept(one, content, 8, 8, week=2)])
    store("r2", [kept(one, content, 16, 16, week=2)])  # the run went on: replaced, not added
    everything = read_pass_rates()
    assert len(everything) == 2
    assert known_rates(everything, points, window=16) == {one: PassRate(16, 16, 2, 0)}
    assert known_rates(everything, points, window=32) == {one: PassRate(32, 16, 4, 0)}
    assert store("r3", []) is None


def test_another_content_under_the_same_id_starts_anew(points) -> None:
    store("r1", [kept(points[0].id, "0123456789abcdef", 16, 16)])
    assert known_rates(read_pass_rates(), points, window=16) == {}
    changed = points[0].model_copy(update={"history": points[0].history[:-1]})
    assert content_digest(changed) != content_digest(points[0]) == content_digest(points[0].model_copy())


def test_an_evaluation_counts_too(points) -> None:
    row = {
        "run_id": "r",
        "stage": "sft",
        "dataset_version": "abc",
        "decision_point_id": points[0].id,
        "conversation_id": points[0].conversation_id,
        **{name: ROW[name] for name in ("split", "kind", "domain", "tool", "thinking", "text", "reasoning", "action")},
        **{name: ROW[name] for name in ("parse_status", "completion_tokens", "truncated")},
        **dict.fromkeys(("turn_success", "decision_correct", "format_ok"), True),
        **dict.fromkeys(("tool_name_correct", "argument_names_correct", "exact_call"), True),
        "facts": None,
        "argument_values": 1.0,
    }
    append_evaluations("e1", [row])
    rows = count_evaluation(read_evaluations("e1"), {points[0].id: content_digest(points[0])})
    store("e1", rows)
    assert known_rates(read_pass_rates(), points, 16) == {points[0].id: PassRate(1, 1, 0, 0)}


def rates(points) -> dict[str, PassRate]:
    """Always solved, never solved without and with partial credit, sometimes solved, hardly tried."""
    known = [
        PassRate(16, 16, 2, 0),
        PassRate(16, 0, 2, 0),
        PassRate(16, 0, 2, 2),
        PassRate(16, 5, 2, 2),
        PassRate(8, 8, 1, 0),
    ]
    return {point.id: rate for point, rate in zip(points, known, strict=False)}


def test_what_was_always_or_never_solved_rests_and_the_saved_time_is_told(points) -> None:
    settings = GRPOSettings(curriculum="passes", return_share=0.0)
    found = plan(points, rates(points), settings, (0,), seconds_per_group=6.0)
    assert [point.id for point in found.points] == [point.id for point in points[3:]]
    assert (found.always_solved, found.never_solved, found.resting) == (1, 2, 3)
    assert found.minutes_saved == pytest.approx(0.3)
    assert "1 always solved, 2 never" in found.says("passes")
    assert "about 0.3 min shorter" in found.says("passes")
    assert "would rest" in found.says("off")
    by_signal = plan(points, rates(points), GRPOSettings(curriculum="signal", return_share=0.0), (0,), None)
    assert points[2].id in {point.id for point in by_signal.points}
    assert (by_signal.resting, by_signal.minutes_saved) == (2, None)
    assert verdict_of(PassRate(8, 8, 1, 0), settings) is None


def test_some_of_the_resting_return_others_each_time_and_a_step_is_never_short(points) -> None:
    settings = GRPOSettings(curriculum="passes", return_share=0.1)
    solved = {point.id: PassRate(16, 16, 2, 0) for point in points}
    chosen = [
        frozenset(p.id for p in plan(points, solved, settings, (0, evidence), 1.0).points) for evidence in range(4)
    ]
    step = settings.batch_size // settings.num_generations
    assert {len(one) for one in chosen} == {step}
    assert len(set(chosen)) > 1
    assert len(plan(points[:2], solved, settings, (0,), 1.0).points) == 2
    half = GRPOSettings(curriculum="passes", return_share=0.5)
    assert plan(points, solved, half, (0,), 1.0).returned == round(len(points) / 2)


def test_rates_are_frozen_when_a_run_begins(points, tmp_path) -> None:
    content = content_digest(points[0])
    store("r1", [kept(points[0].id, content, 16, 16)])
    first = frozen_rates(tmp_path, points, 16)
    store("r2", [kept(points[0].id, content, 16, 0, week=2)])
    assert frozen_rates(tmp_path, points, 16) == first != frozen_rates(tmp_path / "new", points, 16)


def test_substitutes_are_of_the_kind_promise_more_and_repeat_for_the_same_key() -> None:
    pool = {f"c{number}": "call" for number in range(40)} | {f"a{number}": "answer" for number in range(2)}
    known = {f"c{number}": PassRate(16, 16, 50, 0) for number in range(20)}
    known |= {f"c{number}": PassRate(16, 8, 50, 50) for number in range(20, 40)}
    promising = 0
    for step in range(20):
        found = substitutes(["call", "answer", "call", "answer", "answer"], pool, known, {"c0", "a0"}, (0, step, 1), 8)
        assert found == substitutes(
            ["call", "answer", "call", "answer", "answer"], pool, known, {"c0", "a0"}, (0, step, 1), 8
        )
        assert [one and pool[one] for one in found] == ["call", "answer", "call", None, None]
        assert found[1] == "a1"
        promising += sum(int(one[1:]) >= 20 for one in (found[0], found[2]) if one)
    assert promising >= 37  # of 40: the others promise a fiftieth


def test_promise_is_counted_where_groups_were_drawn_and_else_follows_from_the_rate() -> None:
    assert PassRate(16, 16, 8, 0).promise(8) == pytest.approx(0.1)
    assert PassRate(10, 5, 0, 0).promise(8) == pytest.approx(1 - 2 / 2**8)
    assert PassRate(1, 1, 0, 0).promise(8) < PassRate(10, 5, 0, 0).promise(8)
    assert paths.pass_rates().name == "pass_rates"
