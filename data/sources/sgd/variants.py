"""SGD-X (Lee et al. 2022, arXiv 2110.06800): five paraphrases of every schema, v1 nearest to the original, v5 farthest.

Upstream ships the paraphrased schemas alone. Services, intents and slots of a variant stand in the order of the
originals (measured: all 511 slots of all 64 schemas, for each variant), so a dialogue is renamed by position *before*
it is translated: tools, calls, results, facts, requested slots and rationales then speak the new names by construction,
and nothing is left to search and replace. What people said stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data.sources.base import SourceError
from data.sources.sgd.dialogue import Unusable
from data.sources.sgd.raw import RawAction, RawDialogue, RawFrame, RawTurn
from data.sources.sgd.tools import RawService, read_schema

Name = TypeVar("Name")
VARIANTS: tuple[str, ...] = ("v1", "v2", "v3", "v4", "v5")
#: Acts whose values name an intent; their slot is the word "intent", which is no slot of the schema.
_ABOUT_INTENTS = frozenset({"INFORM_INTENT", "OFFER_INTENT"})


def schema_file(root: Path, variant: str, directory: str) -> Path:
    """Where a copy of SGD keeps the schema of one variant for one split directory."""
    return root / "sgd_x" / "data" / variant / directory / "schema.json"


@dataclass(frozen=True)
class ServiceNames:
    """New names for one service: its own, and those of its intents and slots by the old ones."""

    service: str
    intents: Mapping[str, str]
    slots: Mapping[str, str]


@dataclass(frozen=True)
class Renaming:
    """New names of the services of one split directory, by the old name of the service."""

    services: Mapping[str, ServiceNames]

    def dialogue(self, dialogue: RawDialogue) -> RawDialogue:
        """The dialogue in the variant's names; utterances and values are untouched.

        Raises:
            Unusable: It names a service, intent or slot that the original schema does not have.
        """
        return dialogue.model_copy(
            update={
                "services": [self._of(name).service for name in dialogue.services],
                "turns": [self._turn(turn) for turn in dialogue.turns],
            }
        )

    def _of(self, service: str) -> ServiceNames:
        return _look_up(self.services, service, "service")

    def _turn(self, turn: RawTurn) -> RawTurn:
        return turn.model_copy(update={"frames": [self._frame(frame) for frame in turn.frames]})

    def _frame(self, frame: RawFrame) -> RawFrame:
        names = self._of(frame.service)
        changes: dict[str, Any] = {
            "service": names.service,
            "actions": [_action(action, names) for action in frame.actions],
        }
        if frame.state is not None:
            intent = frame.state.active_intent
            known = {
                "active_intent": intent if intent == "NONE" else _look_up(names.intents, intent, "intent"),
                "slot_values": _keys(frame.state.slot_values, names),
            }
            changes["state"] = frame.state.model_copy(update=known)
        if frame.service_call is not None:
            call = frame.service_call
            changes["service_call"] = call.model_copy(
                update={
                    "method": _look_up(names.intents, call.method, "intent"),
                    "parameters": _keys(call.parameters, names),
                }
            )
        if frame.service_results is not None:
            changes["service_results"] = [_keys(row, names) for row in frame.service_results]
        return frame.model_copy(update=changes)


def _action(action: RawAction, names: ServiceNames) -> RawAction:
    if action.act in _ABOUT_INTENTS:
        renamed = {
            field: [_look_up(names.intents, value, "intent") for value in getattr(action, field)]
            for field in ("values", "canonical_values")
        }
        return action.model_copy(update=renamed)
    # "" (no slot) and the "count" of INFORM_COUNT are upstream's own words, not the schema's.
    if not action.slot or action.act == "INFORM_COUNT":
        return action
    return action.model_copy(update={"slot": _look_up(names.slots, action.slot, "slot")})


def _keys(row: Mapping[str, Any], names: ServiceNames) -> dict[str, Any]:
    return {_look_up(names.slots, key, "slot"): value for key, value in row.items()}


def _look_up(names: Mapping[str, Name], old: str, what: str) -> Name:
    try:
        return names[old]
    except KeyError as error:
        reason = "unknown_service" if what == "service" else "cannot_rename"
        raise Unusable(reason, f"{what} {old!r} is not in the original schema, so it has no new name") from error


def read_renaming(original: Path, variant: Path) -> Renaming:
    """How ``variant`` (a schema file of SGD-X) renames what ``original`` (the schema file of the same split) names.

    Raises:
        SourceError: A file cannot be read, or the two do not stand in the same order.
    """
    old, new = read_schema(original), read_schema(variant)
    _require_same_length(variant, "services", old, new)
    return Renaming(
        {before.service_name: _names(variant, before, after) for before, after in zip(old, new, strict=True)}
    )


def _names(file: Path, before: RawService, after: RawService) -> ServiceNames:
    _require_same_length(file, f"intents of {before.service_name}", before.intents, after.intents)
    _require_same_length(file, f"slots of {before.service_name}", before.slots, after.slots)
    names = ServiceNames(
        service=after.service_name,
        intents={old.name: new.name for old, new in zip(before.intents, after.intents, strict=True)},
        slots={old.name: new.name for old, new in zip(before.slots, after.slots, strict=True)},
    )
    _require_same_signatures(file, names, before, after)
    return names


def _require_same_length(file: Path, what: str, old: Sequence[Any], new: Sequence[Any]) -> None:
    if len(old) != len(new):
        raise _other_order(file, f"it has {len(new)} {what}, the original {len(old)}")


def _require_same_signatures(file: Path, names: ServiceNames, before: RawService, after: RawService) -> None:
    """Position is trusted only where it explains which slots every intent takes."""
    for old, new in zip(before.intents, after.intents, strict=True):
        required = [names.slots.get(slot) for slot in old.required_slots]
        optional = {names.slots.get(slot): default for slot, default in old.optional_slots.items()}
        if required != new.required_slots or optional != new.optional_slots:
            raise _other_order(file, f"{after.service_name}.{new.name} does not take the slots of {old.name}, renamed")


def _other_order(file: Path, what: str) -> SourceError:
    return SourceError(
        f"{file} does not stand in the order of the original schema: {what}; restore the copy of SGD-X, its variants "
        "are renamed by position"
    )
