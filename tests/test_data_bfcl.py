"""BFCL: accepted values, what cannot be judged by one call, the wheel, and that nothing of it is trained on."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import paths, wheels
from data.decision_points import decision_points
from data.ingest import ingest
from data.mapping.files import Read
from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, Quarantined, ToolSpec
from data.settings import DataSettings, RewardWeights
from data.sources import SourceError, get_source
from data.sources.base import Unusable
from data.sources.bfcl.accepted import expected_call
from data.sources.bfcl.source import DECLINED, SOURCE
from models.rewards.gold import audit
from models.rewards.variants import load_reward

MINI = Path(__file__).parent / "fixtures" / "bfcl"
TOOL = ToolSpec(
    name="brew",
    parameters={
        "type": "object",
        "properties": {"size": {"type": "string", "enum": ["s", "l"]}, "cups": {"type": "integer"}, "how": {}},
    },
)


def read_all(path: Path = MINI, **settings: Any) -> list[Conversation | Quarantined]:
    return list(SOURCE.read(DataSettings(source="bfcl", path=path, **settings), Silent()))


def conversations(path: Path = MINI) -> dict[str, Conversation]:
    return {item.record_id: item for item in read_all(path) if isinstance(item, Conversation)}


def test_each_category_of_the_miniature_is_read() -> None:
    found = conversations()
    assert Counter(item.metadata["category"] for item in found.values()) == {
        "simple_python": 2,
        "parallel": 1,
        "irrelevance": 1,
        "live_multiple": 1,
    }
    assert [check(item) for item in found.values()] == [None] * 5
    assert {item.split for item in found.values()} <= {"validation_unseen", "test_unseen"}
    assert all(item.domains == (item.metadata["category"],) for item in found.values())
    rejected = Counter(item.reason for item in read_all() if isinstance(item, Quarantined))
    assert rejected == {"no_single_right_call": 1, "no_answer": 1, "not_json": 1}


def test_accepted_values_stand_beside_the_first_one() -> None:
    (call,) = conversations()["simple_python_0"].messages[-1].tool_calls
    assert call.arguments == {"town": "Ely", "nights": 2, "view": "garden"}
    assert call.accepted == {"town": ("Ely", "Ely, UK"), "nights": (2,), "view": ("garden", None)}
    tool = conversations()["simple_python_0"].tool("find_room")
    assert tool is not None
    assert tool.parameters["properties"]["view"] == {"type": "string", "enum": ["garden", "street"]}
    assert tool.parameters["properties"]["budget"] == {"type": "number"}


def test_parallel_calls_are_one_message_and_irrelevance_calls_nothing() -> None:
    found = conversations()
    assert [call.arguments for call in found["parallel_0"].messages[-1].tool_calls] == [
        {"town": "Ely"},
        {"town": "Bath"},
    ]
    assert found["irrelevance_0"].messages[-1].content == DECLINED
    assert [message.role for message in found["live_multiple_0-0-0"].messages] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("written", "arguments", "accepted"),
    [
        ({"cups": [2.0, 3]}, {"cups": 2}, {"cups": (2, 3)}),
        ({"size": ["huge", "l"]}, {"size": "l"}, {"size": ("huge", "l")}),
        ({"size": [""]}, {}, {"size": (None,)}),
        ({"size": ["any", ""]}, {}, {"size": ("any", None)}),  # its own schema refuses it, and it may be left out
        ({"size": ["", "s"]}, {"size": "s"}, {"size": ("s", None)}),
        ({"how": [None, ""]}, {}, {"how": (None,)}),
        ({"how": [[]]}, {"how": []}, {"how": ([],)}),
        ({"how": [["a", "b"]]}, {"how": ["a", "b"]}, {"how": (["a", "b"],)}),
        (
            {"how": [{"milk": ["oat", "soy"], "sugar": ["", 1]}]},
            {"how": {"milk": "oat"}},
            {"how": ({"milk": "oat"}, {"milk": "oat", "sugar": 1}, {"milk": "soy"}, {"milk": "soy", "sugar": 1})},
        ),
        ({"how": [[{"a": [1]}, {"b": [2]}]]}, {"how": [{"a": 1}, {"b": 2}]}, {"how": ([{"a": 1}, {"b": 2}],)}),
    ],
)
def test_upstreams_notation(written: Any, arguments: Any, accepted: Any) -> None:
    call = expected_call("1", TOOL, written)
    assert (call.arguments, call.accepted) == (arguments, accepted)
    assert json.loads(call.arguments_raw) == arguments


def test_alternatives_do_not_explode() -> None:
    nested = {f"m{number}": [1, 2, 3, 4] for number in range(30)}
    assert len(expected_call("1", TOOL, {"how": [nested, [nested] * 9]}).accepted["how"]) == 256


@pytest.mark.parametrize("written", [{"size": "s"}, {"size": []}])
def test_an_argument_without_a_list_is_malformed(written: Any) -> None:
    with pytest.raises(Unusable, match="no list of accepted values"):
        expected_call("1", TOOL, written)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "user", "brew"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "name", "parameters", "type", "brew", "size"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(row=JSON | st.fixed_dictionaries({"id": st.just("x"), "question": st.lists(JSON), "function": JSON}), truth=JSON)
def test_no_row_makes_it_raise(row: Any, truth: Any) -> None:
    found = SOURCE.conversation(Read("a#1", row), "simple_python", {"x": truth})
    assert isinstance(found, Conversation | Quarantined)


def test_the_wheel_gives_what_the_folder_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "bfcl_eval-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in MINI.rglob("*.json"):
            archive.writestr(f"bfcl_eval/data/{file.relative_to(MINI).as_posix()}", file.read_bytes())
        archive.writestr("bfcl_eval/data/../../../outside.json", "{}")
        archive.writestr("bfcl_eval/__init__.py", "raise SystemExit")
    assert read_all(wheel) == read_all()
    unpacked = sorted(file.name for file in paths.downloads().rglob("*") if file.is_file())
    assert unpacked == sorted(file.name for file in MINI.rglob("*.json") if "multi_turn" not in file.name)
    wheel.write_bytes(b"no wheel")
    with pytest.raises(SourceError, match="--path"):
        read_all(wheel)


def test_without_a_path_the_pinned_wheel_is_fetched_without_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Refused:
        returncode = 1
        stderr = "ERROR: no network"

    def run(command: list[str], **options: Any) -> Refused:
        asked.append(command)
        return Refused()

    monkeypatch.setattr(wheels.subprocess, "run", run)
    with pytest.raises(SourceError, match=r"could not be downloaded: ERROR: no network[\s\S]*--path"):
        SOURCE.fetch(DataSettings(source="bfcl"), Silent())
    (command,) = asked
    assert "--no-deps" in command
    assert command[-1] == "bfcl-eval==2026.3.23"
    paths.downloads().mkdir(parents=True, exist_ok=True)
    (paths.downloads() / "bfcl_eval-2026.3.23-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(SourceError, match=r"is not bfcl-eval==2026\.3\.23"):
        SOURCE.fetch(DataSettings(source="bfcl"), Silent())


def test_a_folder_without_bfcl_names_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="possible_answer/"):
        read_all(tmp_path)


def test_nothing_of_it_can_be_trained_on() -> None:
    assert get_source("bfcl").evaluation_only
    report = ingest(DataSettings(source="bfcl", path=MINI), Silent())
    assert sum(report.conversations.values()) == 5
    assert report.conversations.keys() <= {"validation_unseen", "test_unseen"}


@pytest.mark.real
def test_counts_equal_an_independent_count_and_gold_passes(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("bfcl")
    questions, calls = Counter(), Counter()
    for file in folder.glob("BFCL_v4_*.json*"):
        category = file.name.removeprefix("BFCL_v4_").split(".")[0]
        if category.split("_")[0] in ("multi", "memory", "web", "format"):
            continue
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        questions[category] = len(content.splitlines())
        answers = folder / "possible_answer" / f"BFCL_v4_{category}.json"
        if answers.exists():
            calls[category] = sum(len(json.loads(line)["ground_truth"]) for line in answers.read_text().splitlines())
    items = read_all(folder)
    stored = [item for item in items if isinstance(item, Conversation)]
    rejected = Counter(item.reason for item in items if isinstance(item, Quarantined))
    assert len(items) == questions.total() == 2541
    assert rejected == {"no_single_right_call": questions["live_relevance"], "malformed_answer": 2}
    counted = Counter(c.metadata["category"] for c in stored for _ in c.messages[-1].tool_calls)
    assert counted == calls - Counter(live_simple=2)
    assert {item.split for item in items if isinstance(item, Conversation)} == {"validation_unseen", "test_unseen"}
    sample = stored[::8]
    sound = [item for item in sample if check(item) is None]
    assert len(sound) >= 0.96 * len(sample)  # the rest contradict their own schemas
    points = [point for item in sound for point in decision_points(item)]
    assert audit(points, load_reward("graded", RewardWeights())).failures == ()
