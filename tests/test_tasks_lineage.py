"""The way back from a number to the raw record, on a real little pipeline of stored rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data import paths, rollouts
from data.evaluations import EVALUATION_SCHEMA, append_evaluations
from data.ingest import ingest
from data.lineage import NoLineage, Step, raw_step
from data.redaction import BUILT_IN
from data.reporting import Silent
from data.rollouts import ROLLOUT_SCHEMA, append_rollouts
from data.settings import DataSettings
from data.snapshot import read_conversations
from data.tombstones import bury
from tasks import records
from tasks.lineage import trace
from tasks.records import Record

MINI = Path(__file__).parent / "fixtures" / "sgd"
POINT = "sgd/train/1_00000#4"


def blank(schema: Any, filled: tuple[str, ...], **values: Any) -> dict[str, Any]:
    kinds: dict[str, Any] = {"string": "x", "int64": 1, "bool": True, "double": 0.5}
    row = {field.name: kinds[str(field.type)] for field in schema if field.name not in filled}
    return {**row, **values}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A dataset from a copy of the miniature, three runs that start from each other, rollouts and an evaluation."""
    root = tmp_path_factory.mktemp("lineage")
    shutil.copytree(MINI, root / "sgd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(root / "var"))
        version = ingest(DataSettings(source="sgd", path=root / "sgd", duplicates="report"), Silent()).dataset_version
        starts = {"base": None, "sft": "run-base", "grpo": "run-sft"}
        for stage, start in starts.items():
            facts = {
                "stage": stage,
                "key": stage,
                "status": "done",
                "run_id": f"run-{stage}",
                "dataset_version": version,
            }
            records.save(Record.model_validate({**facts, "start_run_id": start, "git_commit": "abc", "ended": "2026"}))
        filled = rollouts.FILLED_IN
        told = {"decision_point_id": POINT, "dataset_version": version, "reward": 2.5}
        append_rollouts("run-grpo", 3, [blank(ROLLOUT_SCHEMA, filled, **told)])
        judged = [
            blank(
                EVALUATION_SCHEMA,
                ("evaluation_id", "created_at"),
                run_id="run-grpo",
                dataset_version=version,
                decision_point_id=f"sgd/train/1_00000#{number}",
                conversation_id="sgd/train/1_00000",
                exact_call=right,
            )
            for number, right in ((4, False), (10, True), (6, None))
        ]
        append_evaluations("eval-77", judged)
        yield root, version


@pytest.fixture(autouse=True)
def _there(made: tuple[Path, str], isolated_var: Path) -> None:
    shutil.copytree(made[0] / "var", isolated_var, dirs_exist_ok=True)


def told(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.what, step.name) for step in steps]


def test_from_a_metric_to_the_raw_record(made: tuple[Path, str]) -> None:
    root, version = made
    steps = trace("eval-7", metric="exact_call", point=POINT)
    assert told(steps) == [
        ("decision point", POINT),
        ("metric", "exact_call"),
        ("evaluation", "eval-77"),
        ("run", "run-grpo"),
        ("run", "run-sft"),
        ("run", "run-base"),
        ("dataset", version),
        ("conversation", "sgd/train/1_00000"),
        ("raw record", "train/1_00000"),
    ]
    facts = {step.what: step.facts for step in steps}
    assert facts["metric"] == {"mean": 0.5, "n": 2, "for example not met at": [POINT]}
    assert facts["dataset"]["source"] == "sgd"
    raw = facts["raw record"]
    original = json.loads((root / "sgd" / "train" / "dialogues_001.json").read_text(encoding="utf-8"))
    assert raw["file"] == str(root / "sgd" / "train" / "dialogues_001.json")
    assert raw["record"] == original[raw["position"]]
    assert raw["record"]["dialogue_id"] == "1_00000"
    assert json.dumps([step.model_dump(mode="json") for step in steps])


def test_from_a_rollout(made: tuple[Path, str]) -> None:
    steps = trace("run-g", point=POINT)
    assert [what for what, _ in told(steps)] == [
        "rollout",
        "run",
        "run",
        "run",
        "dataset",
        "conversation",
        "raw record",
    ]
    assert steps[0].name == "run-grpo step 3, completion 1"
    assert steps[0].facts["reward"] == 2.5


def test_from_a_conversation_a_point_and_a_version(made: tuple[Path, str]) -> None:
    expected = ["dataset", "conversation", "raw record"]
    assert [what for what, _ in told(trace("sgd/train/1_00000"))] == expected
    assert [what for what, _ in told(trace(POINT))] == expected
    assert told(trace(made[1])) == [("dataset", made[1])]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "nowhere"}, "nothing under var/ is named 'nowhere'"),
        ({"name": "sgd/train/none"}, "nothing under var/ is named"),
        ({"name": "run-"}, "ambiguous: run-base, run-grpo, run-sft"),
        ({"name": "eval-77", "metric": "beauty"}, r"no metric 'beauty' is stored; there are .*exact_call"),
        ({"name": "run-grpo", "metric": "exact_call"}, "--metric needs an evaluation"),
        ({"name": "eval-77", "point": "sgd/train/1_00000#999"}, "did not judge"),
    ],
)
def test_what_is_not_there_is_said(asked: dict[str, str], message: str) -> None:
    with pytest.raises(NoLineage, match=message):
        trace(**asked)


def test_a_raw_record_that_is_gone_is_said_and_the_rest_stands(made: tuple[Path, str], monkeypatch: Any) -> None:
    root, _ = made
    (root / "sgd").rename(root / "elsewhere")
    try:
        raw = trace(POINT)[-1]
    finally:
        (root / "elsewhere").rename(root / "sgd")
    assert "--path DIR" in raw.facts["not found"]


def test_of_a_redacted_dataset_the_raw_record_is_not_shown(made: tuple[Path, str]) -> None:
    settings = DataSettings(source="sgd", path=made[0] / "sgd", duplicates="report", redact=BUILT_IN)
    version = ingest(settings, Silent()).dataset_version
    raw = raw_step(version, next(iter(read_conversations(version, ["train"]))))
    assert {"file", "position", "sha256"} <= set(raw.facts)
    assert "record" not in raw.facts


def test_a_forgotten_conversation_has_no_lineage() -> None:
    from data.forget import forget

    forget("sgd/train/1_00000", Silent())
    with pytest.raises(NoLineage):
        trace(POINT)
    with pytest.raises(NoLineage, match=r"run-grpo|forgotten|did not judge|no rows"):
        trace("eval-77", point=POINT)
    assert not bury("sgd/train/1_00000", {})
    assert paths.forgotten().exists()
