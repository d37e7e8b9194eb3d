"""Notices: delivered as JSON, tried again, kept whatever happens, and never a reason to stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from data import paths
from tasks import notices


class Receiver:
    """A webhook on loopback: what it got, and what it answers next (200 once nothing is planned)."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/secret"


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv(notices.VARIABLE, receiver.address)
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def kept() -> list[dict[str, Any]]:
    return [json.loads(line) for line in paths.notices().read_text().splitlines()]


def flow_run(parent: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(id="7", name="GRPO (smoke)", parent_task_run_id=parent)


def state(data: object = None) -> SimpleNamespace:
    return SimpleNamespace(name="Failed", message="ValueError: no such run", data=data)


FLOW = SimpleNamespace(name="train-grpo")


def test_a_failed_flow_is_told_once_with_its_reason(webhook: Receiver) -> None:
    notices.tell_of_failure(FLOW, flow_run(parent="a subflow's"), state())
    notices.tell_of_failure(FLOW, flow_run(), state())
    (body,) = webhook.got
    assert body["event"] == "failure"
    assert body["text"] == body["content"] == "Apprentice: GRPO (smoke) (train-grpo) failed: ValueError: no such run"
    assert body["flow_run_id"] == "7"


def test_who_stops_a_flow_gets_no_alarm(webhook: Receiver) -> None:
    notices.tell_of_failure(FLOW, flow_run(), state(KeyboardInterrupt("stopped")))
    assert webhook.got == []


def test_promotion_and_alarm_say_what_and_why(webhook: Receiver) -> None:
    notices.tell_of_promotion("apprentice", 3, "r" * 32, "turn success up by 4 points [1, 7]")
    breach = {
        "signal": "length_drift",
        "step": 30,
        "before": 40.0,
        "now": 90.0,
        "says": "completions went from 40 to 90",
    }
    notices.tell_of_alarm("grpo", "r" * 32, {"verdict": "breached", "breaches": [breach]})
    notices.tell_of_alarm("grpo", "r" * 32, {"verdict": "clean", "breaches": []})
    promotion, alarm = webhook.got
    assert promotion["text"] == "Apprentice: apprentice version 3 is champion now: turn success up by 4 points [1, 7]"
    assert alarm["text"].endswith("completions went from 40 to 90 (from step 30)")
    assert alarm["breaches"] == [breach]


def test_what_may_pass_is_tried_again_and_a_refusal_is_not(webhook: Receiver) -> None:
    waits: list[float] = []
    webhook.answers = [503, 429]
    assert notices.notify("failure", "x", sleep=waits.append)
    assert waits == [0.0, 1.0, 4.0]
    webhook.answers = [404]
    assert not notices.notify("failure", "y", sleep=waits.append)
    assert len(webhook.got) == 4


def test_an_undelivered_notice_is_kept_and_its_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(notices.VARIABLE, "http://127.0.0.1:9/secret")
    assert not notices.notify("failure", "z", sleep=lambda seconds: None)
    (row,) = kept()
    assert row["problem"] == "ConnectError while calling the address in APPRENTICE_WEBHOOK"
    said = capsys.readouterr().out
    assert "was not delivered" in said
    assert "secret" not in said + json.dumps(row)


def test_without_a_webhook_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not notices.notify("failure", "quiet", {"flow": "x"})
    assert kept()[0]["problem"] == "no webhook"
    assert capsys.readouterr().out == ""


def test_a_long_reason_is_cut(webhook: Receiver) -> None:
    notices.notify("failure", "x" * 5000)
    assert len(webhook.got[0]["text"]) < 1600
