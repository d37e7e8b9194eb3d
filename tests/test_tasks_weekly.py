"""The weekly report: everything a manager is promised, on one page that needs nothing else, wide and narrow."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from data import paths, promotions, snapshot, warehouse
from data.decision_points import decision_points
from data.evaluations import EVALUATION_SCHEMA, append_evaluations
from data.query import run_query
from data.schema import VALIDATION_SPLITS, Conversation, DecisionPoint, Quarantined
from data.settings import DataSettings
from data.versions import describe_version
from models.metric_log import MetricLog
from models.speech.template import completion_text
from tasks.before_after import table
from tasks.records import MissingUpstream, Record, save
from tasks.results import percent
from tasks.weekly.facts import gather
from tasks.weekly.page import headline
from tasks.weekly.report import write_report

EXAMPLES: dict[str, Any] = {"bool": True, "double": 1.0, "int64": 1, "string": "x"}
BREACH = {"signal": "length_drift", "step": 30, "before": 40.0, "now": 90.0, "says": "completions went from 40 to 90"}
SFT, GRPO = "a" * 32, "b" * 32
#: What is wrong at every turn, without and with a thought.
NOTHING = {False: "Please wait.", True: "<think>\n<script>alert(1)</script>\n</think>\n\nPlease wait."}


def record(stage: str, run_id: str, **changes: Any) -> None:
    fields: dict[str, Any] = {
        **{"stage": stage, "key": f"k{run_id[:4]}{stage}", "status": "done", "run_id": run_id},
        **{"dataset_version": "two", "profile": "smoke", "git_commit": "c" * 40, "steps": 20},
        **{"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T01:00:00+00:00"},
    }
    save(Record.model_validate(fields | changes))


def judge(
    run_id: str,
    stage: str,
    points: list[DecisionPoint],
    *,
    right: bool,
    thinking: bool,
    named: str | None = None,
    version: str = "two",
) -> None:
    """Every point judged alike, except that the first is right under SFT only."""
    rows = []
    for number, point in enumerate(points):
        row = {field.name: EXAMPLES[str(field.type)] for field in EVALUATION_SCHEMA if field.name != "created_at"}
        row.pop("evaluation_id")
        success = right if number else stage == "sft"
        thought = "<script>alert(1)</script>" if thinking else None
        said = completion_text(point.expected, thought) if success else NOTHING[thinking]
        rows.append(
            row
            | {"run_id": run_id, "stage": stage, "dataset_version": version, "decision_point_id": point.id}
            | {"conversation_id": point.conversation_id, "split": VALIDATION_SPLITS[number % 2], "thinking": thinking}
            | {"kind": point.kind, "tool": point.tool, "turn_success": success, "domain": "Ferries"}
            | {"text": said, "reasoning": "none", "truncated": False, "variant": None}
        )
    evaluation = named or f"e{stage}"
    append_evaluations(evaluation, rows)
    settings = {"run_id": run_id, "thinking": thinking, "splits": list(VALIDATION_SPLITS), "dataset": None}
    record("evaluation", run_id, settings=settings, outputs={"evaluation_id": evaluation})


def held_out(conversations: list[Conversation]) -> list[Conversation]:
    """The conversations as validation's, of a source of their own."""
    return [
        item.model_copy(update={"source": "handwritten", "split": VALIDATION_SPLITS[number % 2]})
        for number, item in enumerate(conversations)
    ]


@pytest.fixture
def week(tiny_conversations: list[Conversation]) -> None:
    """Two dataset versions, an SFT and a GRPO model, both judged; the monitor raised its alarm."""
    for day, name in enumerate(("one", "two"), start=1):
        version = describe_version("handwritten", "f", DataSettings()).model_copy(
            update={"version": name, "created_at": f"2026-01-0{day}T00:00:00+00:00"}
        )
        chosen = held_out(tiny_conversations)
        points = [point for conversation in chosen for point in decision_points(conversation)]
        rejected = [Quarantined(source="handwritten", record_id="7", reason="unknown_tool", detail="x")] * day
        warehouse.store(version, chosen, points, rejected[:1])
        snapshot.publish(name)
    record("sft", SFT, outputs={"seconds": 60.0, "peak_memory_mb": 1500.0})
    verdict = {"verdict": "breached", "steps": 40, "breaches": [BREACH]}
    ended = "2026-01-02T01:00:00+00:00"
    record("grpo", GRPO, start_run_id=SFT, thinking=True, ended=ended, outputs={"seconds": 600.0, "verdict": verdict})
    judge(SFT, "sft", points, right=False, thinking=False)
    judge(GRPO, "grpo", points, right=True, thinking=True)
    log = MetricLog(paths.run(GRPO) / "metrics.jsonl")
    for step in range(1, 4):
        log.add({"train/reward": step / 4, "train/reward_format": 0.5, "train/tokens": 1e6 * step}, step)


def test_without_a_judged_model_the_command_is_named() -> None:
    with pytest.raises(MissingUpstream, match="run `apprentice run` first"):
        gather()


def test_the_page_tells_all_that_is_promised(week: None) -> None:
    promotions.store(
        promotions.draw_up(
            "apprentice", "kept", {"challenger": {"run_id": GRPO}, "decision": {"reasons": ["too few turns"]}}
        )
    )
    file = write_report()
    page = file.read_text(encoding="utf-8")
    assert file.parent == paths.reports()
    for promised in (
        *("Promotion", "apprentice: kept", "too few turns"),
        *("Results", "unseen", "GRPO, thinks"),
        *("Better and worse, by tool", "won", "lost"),
        *("Why turns fail, week on week", "2026-01-02 (bbbb)", "turns judged"),
        *("Three conversations", "right now, wrong before", "wrong now, right before"),
        *("completions went from 40 to 90 (from step 30)",),
        *("version two of 2026-01-02; before: one of 2026-01-01", "rejected: unknown tool"),
        *("GRPO: reward over steps", "10.0 min", "3.0 M", "1,500 MB"),
    ):
        assert promised in page, promised
    assert page.count('<div class="card">') == 3
    assert "<script" not in page  # what a model wrote stays text
    assert "&lt;script&gt;" in page
    assert all(address not in page for address in ('src="http', 'href="', "url("))


def test_the_report_follows_the_newest_model_and_its_ancestors(week: None) -> None:
    found = gather()
    assert [record.stage for record in found.models] == ["sft", "grpo"]
    assert found.arrived is not None
    assert found.arrived.before is not None
    assert len({turn.point.conversation_id for turn in found.told}) == 3
    assert all(verdict.comparisons == len(found.tools) for verdict in found.tools.values())


def test_last_weeks_model_of_the_same_stage_is_told_apart_from_this_weeks(
    week: None, tiny_conversations: list[Conversation]
) -> None:
    """A GRPO that goes on from the one of last week and is worse: both are told, each by its own figures."""
    newest = "d" * 32
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    record("grpo", newest, start_run_id=GRPO, thinking=True, ended="2026-01-09T01:00:00+00:00")
    judge(newest, "grpo", points, right=False, thinking=True, named="enewest")
    found = gather()
    assert [record.run_id for record in found.models] == [SFT, GRPO, newest]
    assert {line.model for line in found.lines} == {"sft", "grpo bbbb", "grpo"}
    share = {line.run_id: percent(line.intervals["turn_success"]) for line in found.lines if line.where == "unseen"}
    assert share[newest] != share[GRPO]
    told = f"GRPO gets {share[newest]} of turns right on unseen tools (SFT {share[SFT]}, GRPO bbbb {share[GRPO]})."
    assert headline(found) == told
    assert [said.model for said in found.told[0].said] == ["grpo bbbb", "grpo"]
    columns = table(found.told).columns
    assert {"grpo: right", "grpo bbbb: right"} <= set(columns)
    assert "GRPO bbbb, thinks" in write_report().read_text(encoding="utf-8")


def test_models_of_two_dataset_versions_meet_on_what_both_hold_alike(
    week: None, tiny_conversations: list[Conversation]
) -> None:
    """Between versions two and three a recording was put right: its turns keep their ids and are other turns now."""
    first, *others = held_out(tiny_conversations)
    last = first.messages[-1].model_copy(update={"content": "Put right."})
    put_right = [first.model_copy(update={"messages": (*first.messages[:-1], last)}), *others]
    points = [point for conversation in put_right for point in decision_points(conversation)]
    changed = first.id
    version = describe_version("handwritten", "g", DataSettings()).model_copy(
        update={"version": "three", "created_at": "2026-01-08T00:00:00+00:00"}
    )
    warehouse.store(version, put_right, points, [])
    snapshot.publish("three")
    newest = "d" * 32
    record("grpo", newest, start_run_id=GRPO, thinking=True, dataset_version="three", ended="2026-01-09T01:00:00+00:00")
    judge(newest, "grpo", points, right=True, thinking=True, named="enewest", version="three")
    found = gather()
    common = sum(point.conversation_id != changed for point in points)
    assert 0 < common < len(points)
    assert {(line.model, line.n) for line in found.lines if line.where == "unseen"} == {
        (model, sum(point.conversation_id != changed for point in points[1::2]))
        for model in ("sft", "grpo bbbb", "grpo")
    }
    assert all(verdict.difference.clusters <= len(tiny_conversations) - 1 for verdict in found.tools.values())
    assert changed not in {turn.point.conversation_id for turn in found.told}
    assert found.left_out is None
    shutil.rmtree(paths.datasets() / "two")
    alone = gather()
    assert {line.model for line in alone.lines} == {"grpo"}
    assert (alone.tools, alone.told) == ({}, ())
    assert alone.left_out is not None
    assert alone.left_out.startswith("Left out: sft, grpo bbbb, judged on another dataset version")
    assert alone.left_out in write_report().read_text(encoding="utf-8")


def test_judgements_on_changed_turns_and_samples_are_no_results(
    week: None, tiny_conversations: list[Conversation]
) -> None:
    before = gather()
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    for stage, run_id, thinking, changes in (
        ("sft", SFT, False, {"sample": 1}),
        ("grpo", GRPO, True, {"variant": "withheld"}),
        ("grpo", GRPO, True, {"thoughts": "shuffled"}),
    ):
        named = f"aside-{'-'.join(changes)}"
        judge(run_id, stage, points[:3], right=False, thinking=thinking, named=named)
        settings = {
            "run_id": run_id,
            "thinking": thinking,
            "splits": list(VALIDATION_SPLITS),
            "dataset": None,
            **changes,
        }
        later = {"ended": "2026-03-01T00:00:00+00:00", "key": named}
        record("evaluation", run_id, settings=settings, outputs={"evaluation_id": named}, **later)
    judge(SFT, "sft", points, right=False, thinking=False)
    judge(GRPO, "grpo", points, right=True, thinking=True)
    assert gather().evaluations == before.evaluations == ("esft", "egrpo")


def test_a_whole_job_that_judged_on_test_alone_ends_well(
    isolated_var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks import whole

    monkeypatch.setattr(whole.tracking, "StageRun", lambda *given: pytest.fail("there is nothing to log"))
    whole._report("p" * 32)
    assert "report: left out, it tells of judgements on validation" in capsys.readouterr().out


def test_causes_of_failure_are_told_week_on_week(week: None, tiny_conversations: list[Conversation]) -> None:
    """An older GRPO model that failed nearly everywhere, one whose dataset is gone, and SFT, which is another story."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    older, lost, earlier, plain = "c" * 32, "d" * 32, "e" * 32, "f" * 32
    record("grpo", older, thinking=True, ended="2025-12-20T00:00:00+00:00")
    judge(older, "grpo", points, right=False, thinking=True, named="older")
    record("grpo", lost, thinking=True, dataset_version="one", ended="2025-12-25T00:00:00+00:00")
    judge(lost, "grpo", points, right=False, thinking=True, named="lost")
    record("grpo", earlier, thinking=True, ended="2026-01-01T00:00:00+00:00")  # of the newest's own week
    judge(earlier, "grpo", points, right=False, thinking=True, named="earlier")
    record("grpo", plain, thinking=False, ended="2025-12-29T00:00:00+00:00")  # another story
    judge(plain, "grpo", points, right=False, thinking=False, named="plain")
    trend = gather().trend
    assert trend.weeks == ("2025-12-20 (cccc)", "2025-12-25 (dddd)", "2026-01-02 (bbbb)")
    assert trend.turns == (len(points),) * 3
    assert trend.others == 2
    shares = dict(trend.causes)
    due = sum(point.kind == "call" for point in points) / len(points)
    assert shares["decision:answered_instead"] == pytest.approx((due, due, 0.0))
    shutil.rmtree(paths.datasets() / "one")
    left = gather().trend
    assert (left.weeks, left.gone) == (("2025-12-20 (cccc)", "2026-01-02 (bbbb)"), 1)


def test_the_champion_is_marked_in_the_table_of_runs(week: None) -> None:
    promotions.store(promotions.draw_up("apprentice", "promoted", {"challenger": {"run_id": GRPO}}))
    sides = {"from": {"run_id": GRPO}, "to": {"run_id": SFT}, "reason": "worse on Tuesdays"}
    assert run_query("SELECT run_id FROM runs WHERE champion")["run_id"].tolist() == [GRPO]
    promotions.store(promotions.draw_up("apprentice", "rolled back", sides))
    assert run_query("SELECT run_id FROM runs WHERE champion")["run_id"].tolist() == [SFT]


def test_the_page_fits_a_wide_and_a_narrow_browser(week: None, browser: Any, tmp_path: Path) -> None:
    file = write_report(tmp_path / "report.html")
    for width in (1280, 375):
        page = browser.new_page(viewport={"width": width, "height": 900})
        complaints: list[str] = []
        page.on("console", lambda message, seen=complaints: seen.append(message.text))
        page.on("request", lambda request, seen=complaints: _foreign(request.url, seen))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        drawn = page.evaluate("[...document.images].map(one => one.complete && one.naturalWidth > 0)")
        assert len(drawn) >= 2
        assert all(drawn)
        assert complaints == []


def _foreign(url: str, seen: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        seen.append(url)
