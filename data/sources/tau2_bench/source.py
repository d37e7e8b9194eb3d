"""τ²-bench (Barres et al. 2025, arXiv 2506.07982), retail and airline: its tasks along their reference actions.

Never trained on. Upstream's split decides ours: what it calls train may be looked at while developing
(``validation_unseen``), its test is ``test_unseen``. What only a conversation with a simulated user can tell is not
covered, see docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from data.mapping.files import Read, fingerprint
from data.mapping.limiting import limited
from data.reporting import Reporter
from data.schema import Conversation, Message, Quarantined
from data.settings import DataSettings
from data.sources.base import Unusable
from data.sources.tau2_bench.files import Domain, domains
from data.sources.tau2_bench.path import HANDED_OVER, followed, last_answer, reference_actions, turns, user_brief
from data.splits import EVALUATION_SHARES


class Tau2Bench:
    """The tasks of τ²-bench's domains retail and airline."""

    name = "tau2-bench"
    evaluation_only = True

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of all files read."""
        return fingerprint([file for domain in domains(settings.path) for file in domain.files])

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield one conversation per task and what was quarantined on the way."""
        found = domains(settings.path)
        reporter.phase("reading tau2-bench", unit="tasks")
        yield from limited(lambda: self._all(found), settings.conversations, reporter, EVALUATION_SHARES)

    def _all(self, found: list[Domain]) -> Iterator[Conversation | Quarantined]:
        for domain in found:
            held_out = domain.test_ids()
            for read in domain.tasks():
                yield self.conversation(domain, read, held_out)

    def conversation(self, domain: Domain, read: Read, held_out: frozenset[str]) -> Conversation | Quarantined:
        """The conversation of one task, or why it has none. Never raises, whatever the task holds."""
        task = read.record
        named = isinstance(task, dict) and isinstance(task.get("id"), str)
        record_id = f"{domain.name}/{task['id'] if named else read.place}"
        try:
            if read.reason is not None:
                raise Unusable(read.reason, read.detail)
            if not named:
                raise Unusable("malformed_task", "a task is an object with an id")
            return _conversation(domain, task, record_id, held_out)
        except Unusable as error:
            return self._rejected(record_id, error.reason, error.detail)
        except ValidationError as error:
            return self._rejected(record_id, "malformed_task", error.errors()[0]["msg"])
        except (LookupError, TypeError, AttributeError) as error:
            detail = f"a row that the task's actions touch is not as upstream writes it: {type(error).__name__} {error}"
            return self._rejected(record_id, "malformed_row", detail)

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _conversation(domain: Domain, task: dict[str, Any], record_id: str, held_out: frozenset[str]) -> Conversation:
    brief, actions = user_brief(task), reference_actions(task)
    path = followed(domain.toolbox, domain.database(), brief, actions)
    if not path:
        raise Unusable("no_reference_action", "no action that a model could be judged by; only a conversation can tell")
    handed_over = any(call.name == HANDED_OVER for call in actions)
    criteria = task["evaluation_criteria"]
    told = [str(value) for value in criteria.get("communicate_info") or []]
    return Conversation(
        id=f"tau2-bench/{record_id}",
        source="tau2-bench",
        record_id=record_id,
        split="test_unseen" if task["id"] in held_out else "validation_unseen",
        domains=(domain.name,),
        tools=tuple(domain.toolbox.specs.values()),
        messages=(
            Message(role="system", content=domain.policy),
            Message(role="user", content=brief),
            *turns(domain.toolbox, path),
            *(() if handed_over else (last_answer(told),)),
        ),
        metadata={"task_id": task["id"], "reward_basis": criteria.get("reward_basis")},
    )


SOURCE = Tau2Bench()
