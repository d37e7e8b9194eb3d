"""Forgetting as the whole project sees it: nobody at work meanwhile, then the data, then who had seen it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from pydantic import BaseModel, ConfigDict

from data import paths
from data.forget import Forgotten
from data.reporting import Reporter
from tasks import locks, records
from tasks.records import EVERY_MODEL, Record


class Witness(BaseModel):
    """A run that had seen the conversation."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    stage: str
    how: str
    """``rolled out``, ``may have trained on it``, ``was evaluated on it``, or ``started from …``."""
    model_dir: str | None
    registered: tuple[str, ...] = ()


class ForgetReport(BaseModel):
    """What was erased, and who had seen it."""

    model_config = ConfigDict(frozen=True)

    erased: Forgotten
    witnesses: tuple[Witness, ...]
    raw_places: tuple[str, ...]
    """Where the raw record still lies: a source's files are the user's own."""


def forget_conversation(conversation_id: str, reporter: Reporter) -> ForgetReport:
    """Erase a conversation and name the runs and registered models that had seen it.

    Raises:
        data.forget.UnknownConversation: Nothing of that id is stored.
        Busy: An ingestion, a training or an evaluation is under way.
        models.registry.TrackingAway: MLflow does not answer, so models cannot be named; nothing was changed.
    """
    from data.forget import forget
    from models.registry import known

    with quiet_house("forget"):
        registered = known()
        raw = raw_places(conversation_id)
        erased = forget(conversation_id, reporter)
        records.renew_digests([*(f"evaluations/{name}/" for name in erased.evaluations)])
        found = [
            witness.model_copy(update={"registered": registered.models_of(witness.run_id)})
            for witness in witnesses(erased, list(records.every(*EVERY_MODEL)))
        ]
    return ForgetReport(erased=erased, witnesses=tuple(found), raw_places=raw)


def quiet_house(purpose: str) -> ExitStack:
    """Locks that keep every stage out, those of evaluations as well; refuses while one is under way.

    Raises:
        Busy: Somebody is at work; the message says who.
    """
    stack = ExitStack()
    try:
        for name in ("ingest", locks.TRAINING, locks.REMOVAL):
            stack.enter_context(locks.hold(name, purpose))
        for record in records.running():
            if record.lock not in ("", "ingest", locks.TRAINING) and not locks.is_free(record.lock):
                raise locks.Busy(
                    f"{purpose}: run {record.run_id} ({record.stage}) is under way and reads what would go; "
                    "wait until it ends, then run the same command again"
                )
    except BaseException:
        stack.close()
        raise
    return stack


def witnesses(erased: Forgotten, every: Sequence[Record]) -> list[Witness]:
    """Runs that had seen the conversation, each once, the surest way first, and those that started from them."""
    how: dict[str, str] = {}
    by_id = {record.run_id: record for record in every}
    for record in every:
        if record.run_id in erased.rollouts:
            how[record.run_id] = "rolled out"
        elif any(erased.was_in.get(version) == "train" for version in record.learned_from):
            how[record.run_id] = "may have trained on it"
    trained = set(how)
    judged = _judged(erased)
    for record in every:
        if record.run_id in judged:
            how.setdefault(record.run_id, "was evaluated on it")
    while True:  # what a model knows, those that start from it know
        heirs = {r.run_id: r.start_run_id for r in every if r.start_run_id in trained and r.run_id not in trained}
        if not heirs:
            break
        for run_id, start in heirs.items():
            how[run_id] = f"started from {start}"
        trained |= set(heirs)
    for run_id in erased.rollouts:
        how.setdefault(run_id, "rolled out")
    return [
        Witness(
            run_id=run_id,
            stage=by_id[run_id].stage if run_id in by_id else "unknown",
            how=way,
            model_dir=str(by_id[run_id].model_dir) if run_id in by_id and by_id[run_id].model_dir else None,
        )
        for run_id, way in how.items()
    ]


def _judged(erased: Forgotten) -> set[str]:
    found = [
        record for record in records.every("evaluation") if record.outputs.get("evaluation_id") in erased.evaluations
    ]
    return {record.run_id for record in found}


def raw_places(conversation_id: str) -> tuple[str, ...]:
    """Directories of the sources that the stored versions with this conversation were read from."""
    from data import snapshot, warehouse
    from data.forget import where
    from data.warehouse.removing import versions_holding

    holding = {*where(conversation_id), *versions_holding(conversation_id)}
    versions = [*snapshot.published(), *(warehouse.stored_versions() if paths.warehouse().exists() else ())]
    settings = [version.settings for version in versions if version.version in holding]
    return tuple(sorted({str(each["path"]) for each in settings if each.get("path")}))
