"""Notices to a webhook: something failed, a model was promoted, the hacking monitor raised its alarm.

``APPRENTICE_WEBHOOK`` is the address. The body is JSON with ``text`` (what Slack, Mattermost and Teams show), the same
as ``content`` (Discord), and fields for programs. The address is a secret: it comes from the environment only, is not a
setting, and is never printed. Whatever becomes of the delivery, the notice stays in ``var/notices.jsonl`` and work
goes on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from data import paths
from tasks.stage import now, say

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

VARIABLE = "APPRENTICE_WEBHOOK"
#: Seconds before each try.
TRIES = (0.0, 1.0, 4.0)
TIMEOUT_SECONDS = 10.0
LONGEST = 1500

Event = Literal["failure", "promotion", "hacking_alarm"]


def notify(
    event: Event, text: str, facts: Mapping[str, Any] | None = None, *, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Tell the webhook, if there is one, and keep the notice; whether it was delivered.

    Args:
        event: What happened.
        text: One or two sentences for a person.
        facts: Ids and addresses for programs; JSON-ready.
        sleep: Waits between tries.
    """
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    body = {"text": f"Apprentice: {short}", "content": f"Apprentice: {short}", "event": event, "at": now()}
    body |= dict(facts or {})
    address = os.environ.get(VARIABLE)
    problem = _deliver(address, body, sleep) if address else "no webhook"
    paths.notices().parent.mkdir(parents=True, exist_ok=True)
    with paths.notices().open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**body, "problem": problem}) + "\n")
    if address and problem:
        say(f"notice ({event}) was not delivered: {problem}; it is kept in {paths.notices()}")
    return problem is None


def _deliver(address: str, body: Mapping[str, Any], sleep: Callable[[float], None]) -> str | None:
    """Post it; None, or why it could not be delivered. 4xx is final: the same again would be refused again."""
    import httpx

    problem: str | None = None
    for pause in TRIES:
        sleep(pause)
        try:
            answer = httpx.post(address, json=body, timeout=TIMEOUT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # Its name only: the message may hold the address.
            problem = f"{type(error).__name__} while calling the address in {VARIABLE}"
            continue
        if answer.is_success:
            return None
        problem = f"the address in {VARIABLE} answers {answer.status_code}"
        if answer.is_client_error and answer.status_code != 429:
            break
    return problem


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Prefect's hook for flows that failed or crashed: one notice for the outermost, none where a person stopped it."""
    if flow_run.parent_task_run_id is not None or stopped_by_hand(state):
        return
    reason = (state.message or "no reason was given").strip()
    notify(
        "failure",
        f"{flow_run.name} ({flow.name}) {state.name.lower() if state.name else 'failed'}: {reason}",
        {"flow": flow.name, "flow_run": flow_run.name, "flow_run_id": str(flow_run.id)},
    )


def stopped_by_hand(state: State) -> bool:
    """Whether a signal ended the flow: it was saved and can be resumed, which is no failure."""
    found = state.data if isinstance(state.data, BaseException) else None
    return isinstance(found, KeyboardInterrupt) or type(found).__name__ == "TerminationSignal"


def tell_of_alarm(stage: str, run_id: str, verdict: Mapping[str, Any]) -> None:
    """The hacking monitor's breaches, in its own words."""
    if verdict["breaches"]:
        from models.training.monitor import in_words

        text = f"hacking alarm in {stage} run {run_id[:8]}: {in_words(verdict)}"
        notify("hacking_alarm", text, {"run_id": run_id, "breaches": list(verdict["breaches"])})


def tell_of_promotion(name: str, version: str | int, run_id: str, why: str) -> None:
    """A model became champion: which, and what spoke for it."""
    text = f"{name} version {version} is champion now: {why}"
    notify("promotion", text, {"model": name, "version": str(version), "run_id": run_id})
