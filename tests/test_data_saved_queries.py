"""Saved queries answer what their first line asks, on rows small enough to count by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data import paths, snapshot, warehouse
from data.decision_points import decision_points
from data.evaluations import EVALUATION_SCHEMA, append_evaluations
from data.files import write_whole
from data.query import QueryError, run_query
from data.rollouts import ROLLOUT_SCHEMA, append_rollouts
from data.saved_queries import find, looks_like_a_name, saved_queries
from data.schema import Conversation, DecisionPoint
from data.settings import DataSettings
from data.validations import VALIDATION_SCHEMA, append_validations
from data.versions import describe_version

EXAMPLES: dict[str, Any] = {"bool": True, "double": 1.0, "int64": 1, "string": "x"}
NAMES = [query.name for query in saved_queries()]


def row(schema: Any, filled_in: set[str], **changes: Any) -> dict[str, Any]:
    return {field.name: EXAMPLES[str(field.type)] for field in schema if field.name not in filled_in} | changes


def evaluation(**changes: Any) -> dict[str, Any]:
    return row(EVALUATION_SCHEMA, {"evaluation_id", "created_at"}, **{"variant": None, **changes})


def rollout(**changes: Any) -> dict[str, Any]:
    return row(ROLLOUT_SCHEMA, {"run_id", "step", "attempt", "created_at"}, **changes)


def record(run_id: str, stage: str, day: int = 1) -> None:
    at = f"2026-01-{day:02d}T00:00:00+00:00"
    fields = {"run_id": run_id, "stage": stage, "status": "done", "settings": {}, "started": at, "ended": at}
    write_whole(paths.stages() / stage / f"{run_id}.json", json.dumps(fields))


def ask(name: str, **given: str) -> list[dict[str, Any]]:
    query = find(name)
    assert query is not None
    return run_query(query.sql, query.bind(given)).to_dict("records")


@pytest.mark.parametrize("name", NAMES)
def test_every_saved_query_is_documented_and_answers_on_nothing(name: str) -> None:
    query = find(name)
    assert query is not None
    assert len(query.about) > 30
    assert all(f"${parameter}" in query.sql for parameter in query.parameters)
    assert run_query(query.sql, query.bind({})).empty


def test_the_promised_ones_are_there() -> None:
    promised = {"wrong-arguments", "lost", "validated", "flat-groups", "longest-thoughts", "disagreements", "changed"}
    assert promised <= set(NAMES)


def test_unknown_parameters_are_named() -> None:
    query = find("changed")
    assert query is not None
    with pytest.raises(QueryError, match="query changed has no parameter since; it has before, after"):
        query.bind({"since": "x"})


def test_names_and_statements_are_told_apart() -> None:
    assert looks_like_a_name(" wrong-arguments ")
    assert not looks_like_a_name("SELECT 1")


def test_prompts_that_changed_between_two_models() -> None:
    for run_id, stage, thinking, right in (("aaa1", "sft", False, "lw"), ("bbb2", "grpo", True, "ww")):
        record(run_id, stage)
        rows = [
            evaluation(run_id=run_id, stage=stage, thinking=thinking, decision_point_id=point, turn_success=mark == "w")
            for point, mark in zip(("p1", "p2"), right, strict=True)
        ]
        append_evaluations(f"e{run_id}", rows)
    found = ask("changed")  # no champion: the SFT run is what is compared with
    assert [(each["change"], each["decision_point_id"]) for each in found] == [("won", "p1")]
    assert [(each["before_run"], each["after_run"]) for each in found] == [("aaa1", "bbb2")]
    backwards = ask("changed", before="bb", after="aa")
    assert [(each["change"], each["decision_point_id"]) for each in backwards] == [("lost", "p1")]
    assert ask("lost") == []
    (lost,) = ask("lost", champion="bbb2", run="aaa1")
    assert (lost["tool"], lost["lost"], lost["won"], lost["judged_by_both"]) == ("x", 1, 0, 2)


def test_changed_turns_and_samples_are_no_results_of_a_model() -> None:
    for run_id, stage, right in (("aaa1", "sft", "lw"), ("bbb2", "grpo", "ww")):
        record(run_id, stage)
        for variant, marks in ((None, right), ("sample 1", "ll"), ("withheld", "wl"), ("thoughts empty", "ll")):
            rows = [
                evaluation(
                    run_id=run_id,
                    stage=stage,
                    split=split,
                    decision_point_id=point,
                    turn_success=mark == "w",
                    variant=variant,
                    kind="call",
                    parse_status="unreadable",
                )
                for point, split, mark in zip(
                    ("p1", "p2"), ("validation_seen", "validation_unseen"), marks, strict=True
                )
            ]
            append_evaluations(f"e{run_id}-{str(variant).replace(' ', '-')}", rows)
        append_evaluations(
            f"t{run_id}", [evaluation(run_id=run_id, stage=stage, split="test_seen", decision_point_id=run_id)]
        )
    found = ask("changed")
    assert [(each["change"], each["decision_point_id"]) for each in found] == [("won", "p1")]
    (lost,) = ask("lost", champion="bbb2", run="aaa1")
    assert (lost["lost"], lost["won"], lost["judged_by_both"]) == (1, 0, 2)
    models = {each["run"]: (each["seen"], each["unseen"], each["judged"]) for each in ask("models")}
    assert models == {"aaa1": (0.0, 1.0, 2), "bbb2": (1.0, 1.0, 2)}
    assert sum(each["times"] for each in ask("unreadable", run="aaa1")) == 3
    assert len(ask("longest-thoughts", run="aaa1")) == 3


def test_validated_turns_that_a_training_won_and_lost() -> None:
    def validate(run_id: str, step: int, right: str) -> None:
        rows = [
            row(VALIDATION_SCHEMA, {"run_id", "step", "created_at"}, decision_point_id=name, turn_success=mark == "w")
            for name, mark in zip(("p1", "p2", "p3"), right, strict=True)
        ]
        append_validations(run_id, step, rows)

    validate("aaa1", 0, "lww")
    validate("aaa1", 20, "lll")
    validate("aaa1", 20, "wlw")  # again after a resume: the newest counts
    validate("aaa1", 40, "www")
    validate("bbb2", 0, "www")
    validate("bbb2", 20, "wwl")
    (last,) = ask("validated")  # the run that was validated last
    assert (last["run"], last["lost"], last["won"], last["validated"], last["for_example"]) == ("bbb2", 1, 0, 3, "p3")
    (other,) = ask("validated", run="aa", step="20")
    assert (other["first_step"], other["step"], other["lost"], other["won"]) == (0, 20, 1, 1)
    (end,) = ask("validated", run="aa")
    assert (end["step"], end["lost"], end["won"]) == (40, 0, 1)


@pytest.fixture
def point(tiny_conversations: list[Conversation]) -> DecisionPoint:
    """A stored decision point with one call, of a published dataset."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    version = describe_version("handwritten", "f", DataSettings()).model_copy(update={"version": "one"})
    chosen = [item.model_copy(update={"source": "handwritten"}) for item in tiny_conversations]
    warehouse.store(version, chosen, points, [])
    snapshot.publish("one")
    return next(point for point in points if len(point.expected.tool_calls) == 1)


def test_wrong_and_missing_arguments_are_counted(point: DecisionPoint) -> None:
    call = point.expected.tool_calls[0]
    first, *others = call.arguments
    said = [{"name": call.name, "arguments": {**call.arguments, first: "somewhere else"}}]
    common = {"decision_point_id": point.id, "conversation_id": point.conversation_id, "tool": call.name}
    append_evaluations("e", [evaluation(**common, run_id="r", kind="call", action=json.dumps(said))])
    (found,) = ask("wrong-arguments")
    assert (found["argument"], found["missing"], found["other_value"], found["calls"]) == (first, 0, 1, 1)
    assert json.loads(found["but_said"]) == "somewhere else"
    said[0]["arguments"].pop(first)
    append_evaluations("f", [evaluation(**common, run_id="r", kind="call", action=json.dumps(said))])
    (found,) = ask("wrong-arguments", run="r")
    assert (found["missing"], found["other_value"]) == (1, 0)
    assert others


def test_groups_without_variance_by_domain() -> None:
    def group(point: str, domain: str, rewards: list[float]) -> list[dict[str, Any]]:
        return [
            rollout(decision_point_id=point, domain=domain, reward=reward, passed=reward >= 1.0, completion_index=place)
            for place, reward in enumerate(rewards)
        ]

    rows = group("a", "Ferries", [1.0, 1.0]) + group("b", "Ferries", [0.0, 1.0]) + group("c", "Bikes", [0.2, 0.2])
    append_rollouts("run", 1, rows)
    found = {each["domain"]: each for each in ask("flat-groups")}
    assert (found["Ferries"]["groups"], found["Ferries"]["flat"], found["Ferries"]["flat_solved"]) == (2, 1, 1)
    assert (found["Bikes"]["flat_share"], found["Bikes"]["flat_hopeless"]) == (1.0, 1)


def test_where_reward_and_judge_disagree() -> None:
    append_rollouts("run", 1, [rollout(tool="Book", passed=True), rollout(tool="Find", passed=True)])
    rows = [
        evaluation(run_id="run", decision_point_id="p1", tool="Book", turn_success=False),
        evaluation(run_id="run", decision_point_id="p2", tool="Find", turn_success=True),
    ]
    append_evaluations("e", rows)
    found = ask("disagreements")
    assert [(each["tool"], each["gap"]) for each in found] == [("Book", 1.0), ("Find", 0.0)]
