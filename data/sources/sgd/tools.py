"""SGD schemas as tools: one tool per intent of a service, named ``<Service>_<Intent>``.

All values stay strings, as the calls record them. A categorical slot becomes an ``enum``: measured over the whole copy,
no recorded call steps outside it. ``dontcare`` (upstream's default of most optional slots) is left out: leaving the
argument out says the same, no call ever passes it, and a default outside its own enum would be a broken schema.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from data.schema import ToolSpec
from data.sources.base import SourceError
from data.sources.sgd.raw import Raw

#: Upstream's value where the user does not mind.
DONTCARE = "dontcare"


class RawSlot(Raw):
    """One slot of a service."""

    name: str
    description: str
    is_categorical: bool
    possible_values: list[str]


class RawIntent(Raw):
    """One thing a service does."""

    name: str
    description: str
    is_transactional: bool
    required_slots: list[str]
    optional_slots: dict[str, str]


class RawService(Raw):
    """One service of ``schema.json``."""

    service_name: str
    description: str
    slots: list[RawSlot]
    intents: list[RawIntent]


@dataclass(frozen=True)
class Service:
    """A service with its tools, in the order of its intents."""

    name: str
    tools: tuple[ToolSpec, ...]


Services = Mapping[str, Service]
_SCHEMA = TypeAdapter(list[RawService])


def tool_name(service: str, intent: str) -> str:
    """Name of the tool for one intent."""
    return f"{service}_{intent}"


def tool_spec(service: RawService, intent: RawIntent) -> ToolSpec:
    """The tool for one intent: required slots first, then the optional ones in upstream's order."""
    slots = {slot.name: slot for slot in service.slots}
    names = dict.fromkeys([*intent.required_slots, *intent.optional_slots])
    return ToolSpec(
        name=tool_name(service.service_name, intent.name),
        description=intent.description,
        parameters={
            "type": "object",
            "properties": {name: _property(slots[name], intent.optional_slots.get(name)) for name in names},
            "required": list(intent.required_slots),
        },
        is_write=intent.is_transactional,
    )


def _property(slot: RawSlot, default: str | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "description": slot.description}
    if slot.is_categorical and slot.possible_values:
        schema["enum"] = list(slot.possible_values)
    if default is not None and default != DONTCARE:
        schema["default"] = default
    return schema


def read_schema(path: Path) -> list[RawService]:
    """The services of one ``schema.json`` as upstream writes them.

    Raises:
        SourceError: The file is missing, or not a schema as upstream writes it.
    """
    try:
        return _SCHEMA.validate_python(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise _unreadable(path, error) from error


def read_services(path: Path) -> Services:
    """Services of one ``schema.json`` by name; raises as ``read_schema`` does."""
    try:
        return {
            service.service_name: Service(
                service.service_name, tuple(tool_spec(service, intent) for intent in service.intents)
            )
            for service in read_schema(path)
        }
    except KeyError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path} cannot be read as an SGD schema ({type(error).__name__}: {str(error).splitlines()[0]}); "
        "its dialogues cannot be understood without it: restore the file or give another --path DIR"
    )


def offered_tools(services: Services, names: Iterable[str], conversation_id: str) -> tuple[ToolSpec, ...]:
    """All tools of a dialogue's services in an order fixed by the conversation, so that position tells nothing."""
    tools: Sequence[ToolSpec] = [tool for name in names for tool in services[name].tools]
    return tuple(random.Random(conversation_id).sample(tools, len(tools)))
