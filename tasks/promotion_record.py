"""The record of promotions: what was decided is stored once it is carried out, whatever dies in between."""

from __future__ import annotations

from typing import Any

from data import promotions
from tasks.notices import tell_of_promotion
from tasks.promotion_text import said
from tasks.stage import say


def lock_of(name: str) -> str:
    """Name of the lock that a promotion or rollback of a registered model holds."""
    return f"promotion-{name}"


def keep(row: dict[str, Any]) -> None:
    """Store a decision that was carried out, or that asks for nothing to be done."""
    promotions.store(row)
    promotions.no_longer_intended(row["name"])


def finish(name: str) -> dict[str, Any] | None:
    """Store a decision that a process carried out and did not live to store; None where there is none.

    Whether it was carried out is what the registry says; if not, it is forgotten, as if it had not been made.
    """
    from models.champions import CHAMPION, holder, settled

    row = promotions.intended(name)
    if row is None:
        return None
    new = row["to"] if row["outcome"] == "rolled back" else row["challenger"]
    present = holder(name, CHAMPION)
    if present is None or present.version != new["version"]:
        promotions.no_longer_intended(name)
        return None
    if row["outcome"] == "rolled back":
        note_rollback(row)
    else:
        settled(name, new["version"])
    keep(row)
    say(f"{name}: an earlier call made version {new['version']} champion and was stopped before it could say so")
    if row["outcome"] != "rolled back":
        tell(row)
    return row


def note_rollback(row: dict[str, Any]) -> None:
    """In the registry, where people look at the version that left."""
    from models import champions
    from models.registry import TrackingAway

    left = champions.Registered(row["name"], row["from"]["version"], row["from"]["run_id"], {})
    try:
        champions.annotate(left, {champions.ROLLED_BACK: row["at"], champions.WHY_ROLLED_BACK: row["reason"]})
        champions.store_evidence(left.run_id, row["promotion_id"], row)
    except TrackingAway as error:  # the place has changed hands and is recorded; going back again is no repair
        why = str(error.__cause__ or error).strip().partition("\n")[0]
        say(f"rollback: done and recorded, but MLflow took no note of it ({why}). Again would go back one further")


def tell(row: dict[str, Any]) -> None:
    """Say who is champion and why, here and, where the place changed hands, to whoever wants to be told."""
    say(f"promote: {said(row)}")
    for reason in row["decision"]["reasons"]:
        say(f"promote: {reason}")
    if row["outcome"] != "kept":
        why = "; ".join(row["decision"]["reasons"])
        tell_of_promotion(row["name"], row["challenger"]["version"], row["challenger"]["run_id"], why)
