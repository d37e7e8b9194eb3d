"""Reading people's judgements, and how scores are held against them: hand-written rows, and the real ones."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.judgements import JudgementError, read_judgements
from data.schema import Message
from models.rewards.grounding import ungrounded_values
from models.rewards.people import against_reference, agreements, half_of

GREETING = {"role": "agent", "text": "Boats for rent. How can I help?"}


def _row(number: int, context: list[dict[str, Any]], generation: dict[str, Any], reward: float) -> dict[str, Any]:
    named = {"context": json.dumps(context), "generation": json.dumps({"role": "agent", **generation})}
    return {"conversation_id": f"dlg-{number}", "reward": reward, **named}


def _rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, harbour in enumerate(("Whitby", "Padstow", "Oban", "Ullapool", "Cromer", "Seahouses")):
        asked = [GREETING, {"role": "user", "text": f"Any boats in {harbour}?"}]
        right = {"api": {"find_boats": {"harbour": harbour}}}
        wrong = {"api": {"find_boats": {"harbour": "Atlantis"}}}
        found += [_row(10 * number, asked, right, 1.0), _row(10 * number + 1, asked, wrong, 0.0)]
        found += [_row(10 * number + 2, asked, right, 1.0)]
        result = {"role": "api", "response": {"find_boats": {"boats": ["Petrel"]}}}
        after = [*asked, {"role": "agent", **right}, result]
        found.append(_row(10 * number + 3, after, {"text": "The Petrel lies there."}, 1.0))
        found.append(_row(10 * number + 4, after, {"text": "The sea is wide and blue."}, 0.0))
    return found


@pytest.fixture
def taskmaster(tmp_path: Path) -> Path:
    ontology = {
        "find_boats": {"args": {"all_of": ["harbour"], "any_of": ["location"]}, "response": {"keys": ["boats"]}},
        "rent_boat": {"args": {"all_of": ["name"]}, "response": {"keys": ["status"]}},
    }
    (tmp_path / "TM-3-2020" / "ontology").mkdir(parents=True)
    (tmp_path / "TM-3-2020" / "ontology" / "apis.json").write_text(json.dumps(ontology))
    (tmp_path / "TM-3-2020" / "reward").mkdir()
    (tmp_path / "TM-3-2020" / "reward" / "reward_00.json.gz").write_bytes(gzip.compress(json.dumps(_rows()).encode()))
    return tmp_path


def test_rows_become_histories_tools_and_judged_actions(taskmaster: Path) -> None:
    rows = read_judgements(taskmaster, "TM-3")
    assert len(rows) == 30
    answer = rows[3]
    assert [message.role for message in answer.history] == ["assistant", "user", "assistant", "tool"]
    assert answer.history[2].tool_calls[0].arguments == {"harbour": "Whitby"}
    assert json.loads(answer.history[3].content or "") == {"boats": ["Petrel"]}
    assert (answer.kind, answer.good, answer.action.content) == ("text", True, "The Petrel lies there.")
    assert rows[0].context_id == rows[1].context_id != rows[3].context_id
    assert rows[0].opening_id == rows[3].opening_id
    writes = {tool.name: tool.is_write for tool in rows[0].tools}
    assert writes == {"find_boats": False, "rent_boat": True}
    assert rows[0].tools[0].parameters["required"] == ["harbour"]


def test_tools_of_tm4_are_derived_from_its_dialogues(tmp_path: Path) -> None:
    def noted(number: int, name: str, request: str) -> list[dict[str, str]]:
        context = f"api_call_{number}"
        return [
            {"name": "api_call", "value": name, "context": context},
            {"name": "request", "value": request, "context": context},
        ]

    usual = [noted(0, "add_boat", '{"boat_id": "b1", "crew": ["Ann"]}') for _ in range(200)]
    slips = [noted(0, "add_boat", '{"boat_id": "b1", "crw": "Ann"}'), noted(0, "add_boat", "{not json")]
    utterances = [{"annotations": annotations} for annotations in (*usual, *slips, noted(1, "show_boats", "{}"))]
    for room, content in (("data", [{"utterances": utterances}]), ("reward", _rows()[:1])):
        (tmp_path / "TM-4-2024" / room).mkdir(parents=True)
        (tmp_path / "TM-4-2024" / room / "part.json").write_text(json.dumps(content))
    tools = {tool.name: tool for tool in read_judgements(tmp_path, "TM-4")[0].tools}
    assert set(tools) == {"add_boat", "show_boats"}
    assert tools["add_boat"].parameters["properties"] == {"boat_id": {"type": ["string"]}, "crew": {"type": ["array"]}}
    assert tools["add_boat"].parameters["required"] == ["boat_id", "crew"]
    assert tools["add_boat"].is_write
    assert not tools["show_boats"].is_write


def test_what_is_not_there_or_not_as_documented_is_told(tmp_path: Path, taskmaster: Path) -> None:
    with pytest.raises(JudgementError, match="no reward files"):
        read_judgements(tmp_path / "elsewhere", "TM-3")
    path = taskmaster / "TM-3-2020" / "reward" / "reward_00.json.gz"
    path.write_bytes(gzip.compress(json.dumps([{**_rows()[0], "reward": 3}]).encode()))
    with pytest.raises(JudgementError, match="neither 0 nor 1"):
        read_judgements(taskmaster, "TM-3")


def test_scores_are_held_against_people_by_kind_and_half(taskmaster: Path) -> None:
    rows = read_judgements(taskmaster, "TM-3")
    found = {(one.rows, one.score): one for one in agreements(rows, "all")}
    assert found["call", "gold-free"].auc.mean == 1.0
    assert found["call", "schema validity"].auc.mean == 0.5
    assert found["call", "gold-free"].auc.clusters == 6
    assert found["text", "gold-free"].auc.mean == 1.0
    above = found["text", "gold-free"].above_validity
    assert above is not None
    assert above.mean == 0.5
    halves = [
        sum(one.auc.n for one in agreements(rows, half) if one.score == "gold-free") for half in ("tuning", "reporting")
    ]
    assert sum(halves) == 30
    assert all(len({half_of(row) for row in rows if row.opening_id == some.opening_id}) == 1 for some in rows)


def test_a_good_action_as_gold_ranks_the_others_of_its_context(taskmaster: Path) -> None:
    found = {(one.rows, one.score): one for one in against_reference(read_judgements(taskmaster, "TM-3"))}
    assert found["call", "graded"].auc.n == 12
    assert all(found["call", name].auc.mean == 1.0 for name in ("graded", "toolrl", "binary", "f1"))


@pytest.mark.real
def test_people_agree_with_the_gold_free_score(shared_data: Callable[[str], Path]) -> None:
    rows = [row for row in read_judgements(shared_data("taskmaster"), "TM-4") if row.kind == "call"]
    found = {one.score: one for one in agreements(rows, "reporting")}["gold-free"]
    assert found.auc.n > 900
    assert found.auc.low > 0.5
    assert found.above_validity is not None
    assert found.above_validity.low > 0


@pytest.mark.real
def test_a_known_invented_number_of_api_bank_is_found(shared_data: Callable[[str], Path]) -> None:
    accused: list[tuple[str, ...]] = []
    with zipfile.ZipFile(shared_data("api-bank") / "samples.zip") as archive:
        for name in archive.namelist():
            history: list[Message] = []
            for line in io.TextIOWrapper(archive.open(name), encoding="utf-8") if name.endswith(".jsonl") else ():
                turn = json.loads(line)
                if turn["role"] == "API":
                    history.append(Message(role="tool", content=json.dumps([turn["param_dict"], turn["result"]])))
                elif turn["role"] == "User":
                    history.append(Message(role="user", content=turn["text"]))
                else:
                    if "APPT1234" in turn["text"]:
                        accused.append(ungrounded_values(history, turn["text"]))
                    history.append(Message(role="assistant", content=turn["text"]))
    assert accused
    assert all("appt1234" in values for values in accused)
