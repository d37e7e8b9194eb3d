"""τ²-bench: the tools' effects against upstream's own, tasks as paths of reference actions, and hostile calls."""

from __future__ import annotations

import json
import random
import runpy
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data.decision_points import decision_points
from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, DecisionPoint, Quarantined, ToolCall
from data.settings import DataSettings, RewardWeights
from data.sources import SourceError, get_source
from data.sources.tau2_bench.database import digest
from data.sources.tau2_bench.files import Domain, domains
from data.sources.tau2_bench.path import AGREED
from data.sources.tau2_bench.source import SOURCE
from models.evaluation.metrics import judge
from models.rewards.gold import audit
from models.rewards.variants import load_reward
from models.speech.parsing import parse_completion
from models.speech.template import completion_text

FIXTURES = Path(__file__).parent / "fixtures" / "tau2_bench"
MINI = FIXTURES / "mini"
UPSTREAM = json.loads((FIXTURES / "states.json").read_text())
DRAWN = runpy.run_path(str(FIXTURES / "drawn.py"))
#: Tools whose result is a sentence of ours or theirs, or that upstream's pinned version has not.
NOT_COMPARED = {"send_certificate", "transfer_to_human_agents", "get_item_details"}
Calls = Sequence[tuple[str, dict[str, Any]]]


def call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(id="c", name=name, arguments=arguments, arguments_raw=json.dumps(arguments))


def replayed(domain: Domain, calls: Calls) -> list[str]:
    """Hashes of the final state and of the results, as tests/fixtures/tau2_bench/upstream.py has them."""
    database, results = domain.database(), []
    for name, arguments in calls:
        outcome = domain.toolbox.call(database, call(name, arguments))
        if outcome.refused:
            results.append("refused")
        elif name in NOT_COMPARED:
            results.append("done")
        else:
            results.append(json.loads(outcome.content) if outcome.content[:1] in "[{" else outcome.content)
    return [database.state_hash()[:16], digest(results)[:16]]


@pytest.fixture(scope="module")
def real(shared_data: Callable[[str], Path]) -> dict[str, Domain]:
    return {domain.name: domain for domain in domains(shared_data("tau2-bench"))}


@pytest.mark.real
@pytest.mark.parametrize("name", ["retail", "airline"])
def test_reference_actions_end_in_upstreams_states(real: dict[str, Domain], name: str) -> None:
    found = {}
    for read in real[name].tasks():
        actions = read.record["evaluation_criteria"]["actions"]
        found[read.record["id"]] = replayed(real[name], [(act["name"], act["arguments"]) for act in actions])
    assert len(found) == {"retail": 114, "airline": 50}[name]
    assert found == UPSTREAM["tasks"][name]


@pytest.mark.real
@pytest.mark.parametrize("name", ["retail", "airline"])
def test_drawn_calls_refusals_among_them_do_what_upstreams_tools_do(real: dict[str, Domain], name: str) -> None:
    tables = real[name].database().tables
    expected = UPSTREAM["drawn"][name]
    found = [replayed(real[name], DRAWN["sequence"](name, tables, seed)) for seed in range(len(expected))]
    assert found == expected
    assert len({state for state, _ in found}) > 0.7 * len(found)


def read_all(path: Path = MINI, **more: Any) -> list[Conversation | Quarantined]:
    return list(SOURCE.read(DataSettings(source="tau2-bench", path=path, **more), Silent()))


def conversations(path: Path = MINI) -> dict[str, Conversation]:
    return {item.record_id: item for item in read_all(path) if isinstance(item, Conversation)}


def test_a_task_becomes_a_path_with_consent_before_what_it_changes() -> None:
    found = conversations()["retail/0"]
    calls = [[one.name for one in message.tool_calls] for message in found.messages if message.role == "assistant"]
    assert calls == [
        ["find_user_id_by_name_zip"],
        ["get_order_details"],
        ["get_order_details"],  # the third look-up repeats the first and the sum is nobody's business
        [],
        ["return_delivered_order_items"],
        ["cancel_pending_order"],
        [],
    ]
    assert "You are Ada Poe" in (found.messages[1].content or "")
    assert [message.content for message in found.messages if message.role == "user"][1:] == [AGREED]
    assert found.messages[-1].facts[0].forms == ("112.5",)
    assert check(found) is None


def test_look_ups_in_any_order_and_returned_items_in_any_order_are_right() -> None:
    accepted = [one.accepted for message in conversations()["retail/0"].messages for one in message.tool_calls]
    assert accepted == [{}, {"order_id": ("#W1", "#W2")}, {}, {"item_ids": (["k2", "a1"], ["a1", "k2"])}, {}]


def test_refused_look_ups_stay_only_if_the_user_named_what_they_ask_for_and_handing_over_ends_the_path() -> None:
    messages = conversations()["retail/1"].messages
    assert [one.name for message in messages for one in message.tool_calls] == [
        "find_user_id_by_email",
        "find_user_id_by_name_zip",
    ]
    assert (messages[3].content or "").startswith("Error: ")
    assert messages[-1].role == "tool"


def test_what_cannot_be_followed_is_quarantined_and_upstreams_split_kept() -> None:
    rejected = {item.record_id: item.reason for item in read_all() if isinstance(item, Quarantined)}
    assert rejected == {
        "retail/2": "no_reference_action",
        "retail/3": "no_reference_action",
        "retail/4": "malformed_task",
        "retail/tasks.json#6": "malformed_task",
    }
    assert {name: item.split for name, item in conversations().items()} == {
        "retail/0": "validation_unseen",
        "retail/1": "test_unseen",
        "airline/0": "test_unseen",
    }


def judged_right(point: DecisionPoint) -> bool:
    text = completion_text(point.expected, None)
    return judge(point, parse_completion(text, thinking=False, tools=point.tools)).turn_success


def test_the_expected_action_is_right_and_another_is_not() -> None:
    points = [point for item in conversations().values() for point in decision_points(item)]
    assert all(map(judged_right, points))
    silent = [judge(point, parse_completion("Hm.", thinking=False, tools=point.tools)) for point in points]
    assert not any(one.turn_success for one in silent)
    graded = audit(points, load_reward("graded", RewardWeights()))
    assert graded.failures == ()


@pytest.mark.real
def test_every_real_task_is_accounted_for(real: dict[str, Domain]) -> None:
    items = read_all(real["retail"].folder.parent)
    found = [item for item in items if isinstance(item, Conversation)]
    assert Counter((item.domains[0], item.split) for item in found) == {
        ("retail", "validation_unseen"): 70,
        ("retail", "test_unseen"): 40,
        ("airline", "validation_unseen"): 25,
        ("airline", "test_unseen"): 17,
    }
    assert Counter(item.reason for item in items if isinstance(item, Quarantined)) == {"no_reference_action": 12}
    assert [check(item) for item in found if check(item) is not None] == []
    assert all(judged_right(point) for item in found[::5] for point in decision_points(item))


def test_it_is_never_trained_on_and_says_what_it_needs_and_what_is_broken(tmp_path: Path) -> None:
    assert get_source("tau2-bench").evaluation_only
    with pytest.raises(SourceError, match="--path"):
        read_all(tmp_path)
    shutil.copytree(MINI, tmp_path / "broken")
    tables = tmp_path / "broken" / "retail" / "db.json"
    tables.write_text(tables.read_text().replace('"first_name"', '"called"'))
    rejected = {item.record_id: item.reason for item in read_all(tmp_path / "broken") if isinstance(item, Quarantined)}
    assert rejected["retail/0"] == rejected["retail/1"] == "malformed_row"
    shutil.copytree(tmp_path / "broken", tmp_path / "no_tables")
    (tmp_path / "no_tables" / "retail" / "db.json").write_text("[]")
    with pytest.raises(SourceError, match="products"):
        read_all(tmp_path / "no_tables")


MINIATURE = {domain.name: domain for domain in domains(MINI)}
RETAIL, AIRLINE = MINIATURE["retail"], MINIATURE["airline"]
ADDRESS = {"address1": "1 Hill", "address2": "", "city": "Bath", "state": "TX", "country": "USA", "zip": "1"}
PASSENGER = {"first_name": "Ben", "last_name": "Roe", "dob": "1980-02-03"}
FLIGHT = {"flight_number": "HAT1", "date": "2024-05-20"}
BOOKING = {
    "user_id": "ben_roe_2",
    "origin": "JFK",
    "destination": "ORD",
    "flight_type": "one_way",
    "cabin": "economy",
    "flights": [FLIGHT],
    "passengers": [PASSENGER],
    "payment_methods": [{"payment_id": "gift_card_2", "amount": 100}],
    "total_baggages": 1,
    "nonfree_baggages": 0,
    "insurance": "no",
}
SWAP = {"order_id": "#W1", "item_ids": ["k1"], "new_item_ids": ["k2"], "payment_method_id": "paypal_1"}


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("cancel_pending_order", {"order_id": "#W2", "reason": "no longer needed"}, "delivered"),
        ("cancel_pending_order", {"order_id": "#W1", "reason": "too dear"}, "reason"),
        ("modify_pending_order_items", SWAP | {"new_item_ids": ["k3"]}, "in stock"),
        ("modify_pending_order_items", SWAP | {"new_item_ids": ["a1"]}, "in stock"),
        ("modify_pending_order_items", SWAP | {"new_item_ids": ["k1"]}, "what it is"),
        ("modify_pending_order_items", SWAP | {"item_ids": ["k1"] * 3}, "not as many"),
        ("modify_pending_order_items", SWAP | {"new_item_ids": []}, "as many new"),
        (
            "modify_pending_order_items",
            SWAP | {"new_item_ids": ["k4"], "payment_method_id": "gift_card_1"},
            "less than",
        ),
        ("modify_pending_order_payment", {"order_id": "#W1", "payment_method_id": "paypal_1"}, "already"),
        ("modify_pending_order_payment", {"order_id": "#W1", "payment_method_id": "gift_card_1"}, "less than"),
        ("return_delivered_order_items", {"order_id": "#W1", "item_ids": [], "payment_method_id": "x"}, "pending"),
        ("modify_user_address", {"user_id": "nobody", **ADDRESS}, "no customer"),
        ("modify_user_address", {"user_id": "ada_poe_1"}, "required"),
        ("no_such_tool", {}, "not on offer"),
    ],
)
def test_the_shop_refuses_and_nothing_changes(name: str, arguments: dict[str, Any], why: str) -> None:
    refused_without_effect(RETAIL, name, arguments, why)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("book_reservation", BOOKING | {"insurance": "yes"}, "add up to 100"),
        ("book_reservation", BOOKING | {"passengers": [PASSENGER] * 3}, "3 seats"),
        ("book_reservation", BOOKING | {"flights": [FLIGHT | {"date": "2024-05-14"}]}, "landed"),
        (
            "book_reservation",
            BOOKING | {"payment_methods": [{"payment_id": "certificate_2", "amount": 50}] * 2},
            "once",
        ),
        (
            "book_reservation",
            BOOKING | {"payment_methods": [{"payment_id": "gift_card_2", "amount": 151}]},
            "less than",
        ),
        ("get_flight_status", {"flight_number": "HAT1", "date": "2024-05-01"}, "does not leave"),
        ("update_reservation_passengers", {"reservation_id": "ABCDE1", "passengers": []}, "cannot change"),
        (
            "update_reservation_flights",
            {"reservation_id": "ABCDE1", "cabin": "business", "flights": [FLIGHT], "payment_id": "certificate_2"},
            "certificates",
        ),
        (
            "update_reservation_flights",
            {"reservation_id": "ABCDE1", "cabin": "business", "flights": [FLIGHT], "payment_id": "gift_card_2"},
            "less than 240",
        ),
    ],
)
def test_the_airline_refuses_and_nothing_changes(name: str, arguments: dict[str, Any], why: str) -> None:
    refused_without_effect(AIRLINE, name, arguments, why)


def refused_without_effect(domain: Domain, name: str, arguments: dict[str, Any], why: str) -> None:
    database = domain.database()
    outcome = domain.toolbox.call(database, call(name, arguments))
    assert outcome.refused
    assert why in outcome.content
    assert database.state_hash() == domain.database().state_hash()


def test_the_state_is_what_changed_whatever_the_path() -> None:
    there, back = {"user_id": "ada_poe_1", **ADDRESS}, {}
    first, second = RETAIL.database(), RETAIL.database()
    for database in (first, second):
        user = database.get("users", "ada_poe_1")
        assert user is not None
        back = {"user_id": "ada_poe_1", **user["address"]}
        RETAIL.toolbox.call(database, call("modify_user_address", there))
    assert first.state_hash() == second.state_hash() != RETAIL.database().state_hash()
    RETAIL.toolbox.call(second, call("modify_user_address", back))
    assert second.state_hash() == RETAIL.database().state_hash()
    RETAIL.toolbox.call(second, call("modify_user_address", there))
    assert second.state_hash() == first.state_hash()


def test_connections_over_midnight_are_found_as_upstream_finds_them() -> None:
    route = {"origin": "JFK", "destination": "SEA", "date": "2024-05-20"}
    outcome = AIRLINE.toolbox.call(AIRLINE.database(), call("search_onestop_flight", route))
    pairs = [[leg["flight_number"] for leg in pair] for pair in json.loads(outcome.content)]
    assert pairs == [["HAT1", "HAT2"], ["HAT3", "HAT4"]]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * (4 - 1)", "11.0"),
        ("10 / 4", "2.5"),
        ("-2**2", "-4.0"),
        ("7//2", "3.0"),
        ("1/0", None),
        ("9**9**9", None),
        ("(-1)**0.5", None),
        ("()", None),
        ("2(3)", None),
        ("__import__", None),
        ("(" * 199, None),
        ("1" * 201, None),
    ],
)
def test_sums_are_worked_out_and_nothing_else_is(expression: str, result: str | None) -> None:
    outcome = RETAIL.toolbox.call(RETAIL.database(), call("calculate", {"expression": expression}))
    assert outcome.refused if result is None else outcome.content == result


NAMED = ("#W1", "#W2", "k1", "k2", "p1", "ada_poe_1", "gift_card_1", "paypal_1", "ben_roe_2", "ABCDE1", "HAT1", "JFK")
VALUES = (*NAMED, None, True, -1, 2.5, float("nan"), 10**400, "", "\ud800", [], ["k1"], [{}], [PASSENGER], [FLIGHT], {})


def fitting(schema: dict[str, Any]) -> Sequence[Any]:
    """Values the schema takes."""
    if schema["type"] == "array":
        return ["k1", "k1"], ["k2"], [], [PASSENGER], [FLIGHT], [{"payment_id": "gift_card_2", "amount": 100}]
    return (1, 2, 150) if schema["type"] == "integer" else schema.get("enum", NAMED)


def test_no_call_makes_a_tool_raise_or_change_anything_when_it_refuses() -> None:
    rng = random.Random(0)
    refused = 0
    for domain in (RETAIL, AIRLINE):
        specs = list(domain.toolbox.specs.values())
        unchanged = domain.database().state_hash()
        for number in range(1200):
            spec = rng.choice(specs)
            schemas = spec.parameters["properties"]
            values = {name: rng.choice(fitting(schemas[name]) if number % 4 else VALUES) for name in schemas}
            database = domain.database()
            outcome = domain.toolbox.call(database, call(spec.name, values))
            assert isinstance(outcome.content, str)
            refused += outcome.refused
            assert not outcome.refused or database.state_hash() == unchanged
    assert 1200 < refused < 2100
