"""``apprentice data`` on the command line: options are heeded or refused, never ignored."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from data import snapshot, warehouse
from data.decision_points import decision_points
from data.schema import Conversation
from data.settings import DataSettings
from data.versions import describe_version
from flows.cli import app

invoke: Callable = CliRunner().invoke


@pytest.fixture
def version(tiny_conversations: list[Conversation]) -> str:
    """A published dataset of the hand-written conversations."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    stored = warehouse.store(describe_version("handwritten", "f", DataSettings()), tiny_conversations, points, [])
    snapshot.publish(stored.version)
    return stored.version


def test_lineage_follows_a_decision_point_of_a_dataset(version: str, tiny_conversations: list[Conversation]) -> None:
    asked, other = tiny_conversations[0].id, tiny_conversations[1].id
    found = invoke(app, ["data", "lineage", version, "--point", f"{asked}#2", "--format", "json"])
    assert found.exit_code == 0
    steps = [(step["what"], step["name"]) for step in json.loads(found.stdout)]
    assert steps[:2] == [("dataset", version), ("conversation", asked)]
    assert steps[2][0] == "raw record"
    same = invoke(app, ["data", "lineage", asked, "--point", f"{asked}#2"])
    assert same.exit_code == 0
    nowhere = invoke(app, ["data", "lineage", version, "--point", "nobody#2"])
    assert (nowhere.exit_code, nowhere.stdout) == (1, "")
    assert f"dataset version {version} holds no conversation 'nobody'" in nowhere.stderr
    elsewhere = invoke(app, ["data", "lineage", asked, "--point", f"{other}#2"])
    assert (elsewhere.exit_code, elsewhere.stdout) == (1, "")
    assert f"{asked!r} does not lead to {other}#2" in elsewhere.stderr
