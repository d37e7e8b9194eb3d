"""What a part of the whole job begins with: whose conversations, which model, and nothing that it would ignore."""

from __future__ import annotations

from typing import Any

import pytest

from data.settings import Settings
from flows import evaluate_model
from tasks import beginning as module
from tasks import records
from tasks.beginning import beginning, stated_source
from tasks.selection import SelectionError, select

VERSION = "d" * 12


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The sources whose newest results were asked for; what is there is of SGD."""
    seen: list[str | None] = []

    def handed_on(selection: Any, start: str, run_id: str | None, source: str | None) -> dict[str, str]:
        seen.append(source)
        return {} if "ingest" in selection else {"dataset_version": VERSION}

    monkeypatch.setattr(module, "handed_on", handed_on)
    monkeypatch.setattr(module, "source_of", lambda version: "sgd")
    return seen


def test_a_source_counts_in_whichever_way_it_is_stated(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    part = select("sft")
    beginning(part, None, "laptop", None)
    beginning(part, None, "laptop", None, source="sgd")
    beginning(part, None, "laptop", {"data": {"source": "star"}})
    monkeypatch.setenv("APPRENTICE_DATA__SOURCE", "openai")
    beginning(part, None, "laptop", None)
    assert asked == [None, "sgd", "star", "openai"]
    assert stated_source("sgd", {"data": {"source": "star"}}) == "sgd"


def test_budgets_are_shared_out_for_the_dataset_that_a_part_goes_on_with(asked: list[Any]) -> None:
    """Models of SGD play no episodes, so turns get all of the time; by its default source they would play some."""
    part, _ = beginning(select(only="evaluate"), None, "laptop", None, minutes=60)
    named, _ = beginning(select(only="evaluate"), None, "laptop", None, source="sgd", minutes=60)
    whole, _ = beginning(select(), None, "laptop", None, minutes=60)
    assert part.evaluation == named.evaluation
    assert part.evaluation.minutes > whole.evaluation.minutes


@pytest.mark.parametrize(
    ("stated", "overrides", "says"),
    [
        ({"path": "here"}, None, "--path: nothing is ingested where a run begins with grpo"),
        ({"conversations": 5, "path": "here"}, None, "--path, --conversations: nothing"),
        ({}, {"data": {"rename_tools": 0.5, "source": "sgd"}}, r"--set data.rename_tools=…: nothing"),
    ],
)
def test_what_an_ingestion_would_need_is_refused_where_there_is_none(
    asked: list[Any], stated: dict[str, Any], overrides: dict[str, Any] | None, says: str
) -> None:
    with pytest.raises(SelectionError, match=says):
        beginning(select("grpo"), None, "laptop", overrides, **stated)
    settings, ids = beginning(select(), None, "laptop", overrides, **stated)
    assert isinstance(settings, Settings)
    assert ids == {}


def test_what_the_environment_states_for_every_command_is_no_reason_to_refuse_one(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPRENTICE_DATA__CONVERSATIONS", "50")
    assert beginning(select("grpo"), None, "laptop", None, max_steps=3)[0].grpo.max_steps == 3


def test_a_model_of_another_stage_than_the_one_named_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    record = records.Record.model_construct(stage="sft", run_id="a" * 32)
    monkeypatch.setattr(evaluate_model, "start_or_base", lambda *what: record)
    monkeypatch.setattr(evaluate_model, "source_of", lambda version: pytest.fail("was taken"))
    with pytest.raises(records.MissingUpstream, match=r"run a+ is of stage sft, not base: leave out either"):
        evaluate_model.evaluate_model.fn(model="base", run_id="a" * 32)
