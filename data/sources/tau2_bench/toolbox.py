"""How a domain declares its tools, and how a call is carried out: checked against its schema first, then executed.

An effect checks all it needs before it writes anything, so a refused call leaves the database as it was. Whatever a
call holds, the answer is a text for the agent, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from data.quality import call_faults
from data.schema import ToolCall, ToolSpec
from data.sources.tau2_bench.database import Database

Schema = dict[str, Any]
#: Takes the database and the call's arguments by name; what it returns is the result.
Effect = Callable[..., Any]


class Refused(Exception):
    """A tool does not do what it is asked; the text tells the agent why."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    content: str
    """What the agent is told: text as it is, anything else as JSON."""
    refused: bool = False


@dataclass
class Toolbox:
    """The tools of one domain by name."""

    specs: dict[str, ToolSpec] = field(default_factory=dict)
    effects: dict[str, Effect] = field(default_factory=dict)

    def tool(self, description: str, *, write: bool = False, **parameters: Schema) -> Callable[[Effect], Effect]:
        """Declares the function below as the tool of its name; every parameter is required."""

        def declare(effect: Effect) -> Effect:
            self.specs[effect.__name__] = ToolSpec(
                name=effect.__name__,
                description=description,
                parameters=record(**parameters),
                is_write=write,
            )
            self.effects[effect.__name__] = effect
            return effect

        return declare

    def call(self, database: Database, call: ToolCall) -> Outcome:
        """Carry out one call on the database. Never raises, whatever the call holds."""
        fault = next(call_faults(call, self.specs), None)
        if fault is not None:
            return Outcome(f"Error: {fault.detail}", refused=True)
        try:
            value = self.effects[call.name](database, **call.arguments)
        except Refused as error:
            return Outcome(f"Error: {error}", refused=True)
        return Outcome(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def text(description: str, *choices: str) -> Schema:
    """A string, or one of the choices."""
    return {"type": "string", "description": description} | ({"enum": list(choices)} if choices else {})


def whole(description: str) -> Schema:
    """An integer."""
    return {"type": "integer", "description": description}


def many(items: Schema, description: str) -> Schema:
    """An array."""
    return {"type": "array", "description": description, "items": items}


def record(**properties: Schema) -> Schema:
    """An object all of whose members are required."""
    return {"type": "object", "properties": properties, "required": list(properties)}
