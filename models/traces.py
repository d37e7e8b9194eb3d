"""Stored completions as MLflow traces: what was asked, what was thought, what was done, what it earned.

A trace shows one completion as a tree (think, act, each part of the reward), so a person can read a run's rollouts in
the browser beside its curves. Written through the client that ``models.tracking`` hands in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Told:
    """One completion as it is shown; ``messages`` are its history, as role and content."""

    name: str
    messages: Sequence[Mapping[str, Any]]
    expected: str
    reasoning: str | None
    action: str | None
    text: str
    tags: Mapping[str, str]
    """Short facts to filter by: step, reward, decision point, tool."""
    parts: Mapping[str, float | None] = field(default_factory=dict)
    """The reward's parts; None does not apply and is left out."""


class Tracer(Protocol):
    """The part of ``MlflowClient`` that is used."""

    def start_trace(self, name: str, **options: Any) -> Any:
        """Begin a trace; returns its root span."""

    def start_span(self, name: str, trace_id: str, parent_id: str, **options: Any) -> Any:
        """Begin a span."""

    def end_span(self, trace_id: str, span_id: str, **options: Any) -> None:
        """End a span."""

    def end_trace(self, trace_id: str, **options: Any) -> None:
        """End a trace, which sends it."""


def write(client: Tracer, experiment_id: str, run_id: str, told: Told) -> None:
    """Write one completion as a trace of a run."""
    root = client.start_trace(
        told.name,
        span_type="AGENT",
        inputs={"messages": [dict(message) for message in told.messages]},
        attributes={"expected": told.expected},
        tags=dict(told.tags),
        experiment_id=experiment_id,
        run_id=run_id,
    )

    def step(name: str, kind: str, inputs: Any, outputs: Any) -> None:
        span = client.start_span(name, root.trace_id, root.span_id, span_type=kind, inputs=inputs)
        client.end_span(root.trace_id, span.span_id, outputs=outputs)

    if told.reasoning:
        step("think", "LLM", None, told.reasoning)
    calls = told.action is not None and told.action.startswith("[")
    step("act", "TOOL" if calls else "LLM", {"expected": told.expected}, told.action)
    parts = {name: value for name, value in told.parts.items() if value is not None}
    if parts:
        step("reward", "EVALUATOR", None, parts)
    client.end_trace(root.trace_id, outputs={"text": told.text})
