"""Conversations on a terminal: who said what, reasoning dimmed, calls with their results, rows before and after."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from data.practice.difference import RowChange
    from data.schema import Message
    from models.practice.chat import Shown

STYLES = {"system": "dim", "user": "bold cyan", "assistant": "bold green", "tool": "yellow"}


def console() -> Console:
    """Narrow enough to read, also where the output goes into a file."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def print_episode(row: dict[str, Any]) -> None:
    """Print a stored episode: what it was, every message, what came of it."""
    out = console()
    out.print(f"[bold]{escape(_title(row))}[/]")
    out.print(f"[dim]task {escape(row['task_id'])}, trial {row['trial']}, run {row['run_id']}[/]\n", highlight=False)
    turn = 0
    for message in row["messages"]:
        turn += message["role"] == "assistant"
        if turn == row["failed_turn"] and message["role"] == "assistant":
            out.print(f"[bold red]turn {turn}: {row['cause']}[/]")
        _print_message(out, message)
    out.print(f"\n[bold]{escape(_verdict(row))}[/]")


def _title(row: dict[str, Any]) -> str:
    thinks = "thinking" if row["thinking"] else "no thinking"
    where = f"step {row['step']} of its training" if row["purpose"] == "training" else row["split"]
    return f"episode {row['episode_id']}: {row['stage']}, {thinks}, {row['domain']}, {where}"


def _verdict(row: dict[str, Any]) -> str:
    verdict = "success" if row["success"] else f"failed at turn {row['failed_turn']}: {row['cause']}"
    facts = "none required" if row["facts"] is None else f"{row['facts']:.0%} of those required"
    state = "as it should be" if row["state_right"] else "not as it should be"
    told = [verdict, f"database {state}", f"facts told: {facts}", f"ended: {row['ended']}"]
    told += [f"breaches: {', '.join(row['breaches'])}"] if row["breaches"] else []
    told += [f"reward {row['reward']:g}, advantage {row['advantage']:+.2f}"] if row["reward"] is not None else []
    return "; ".join(told)


def _print_message(out: Console, message: dict[str, Any]) -> None:
    style = STYLES[message["role"]]
    if message["reasoning"]:
        out.print(f"[dim italic]  {escape(message['reasoning'])}[/]", highlight=False)
    if message["content"]:
        out.print(f"[{style}]{message['role']:>9}[/]  {escape(message['content'])}", highlight=False)
    for call in json.loads(message["calls"] or "[]"):
        _print_call(out, call["name"], call["arguments"])
    if message["fault"]:
        out.print(f"[red]           ({message['fault']})[/]")


def _print_call(out: Console, name: str, arguments: dict[str, Any]) -> None:
    stated = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    out.print(f"[{STYLES['tool']}]     call[/]  {escape(f'{name}({stated})')}", highlight=False)


class Terminal:
    """The person's side of ``apprentice chat``."""

    def __init__(self) -> None:
        self.out = console()

    def show(self, shown: Shown) -> None:
        """A turn's reasoning, or what calls gave and changed; what the agent says is shown when the person is asked."""
        from models.practice.transcript import Turn

        if isinstance(shown, Turn):
            if shown.parsed.reasoning:
                self.out.print(f"[dim italic]  {escape(shown.parsed.reasoning)}[/]", highlight=False)
            if not shown.parsed.ok or shown.cut:
                fault = "cut at its token limit" if shown.cut else str(shown.parsed.status)
                self.out.print(f"[red]           ({fault})[/]")
            return
        for call, result in shown.calls:
            _print_call(self.out, call.name, call.arguments)
            self.out.print(f"[dim]          {escape(result)}[/]", highlight=False)
        self.show_changes(shown.changes)

    def show_changes(self, changes: Sequence[RowChange]) -> None:
        """Rows that a write has touched: ``+`` came, ``-`` went, ``~`` changed."""
        for change in changes:
            sign, row = ("+", change.after) if change.before is None else ("-", change.before)
            if change.before is not None and change.after is not None:
                key = next(iter(change.after.values()))
                told = ", ".join(f"{name}: {old!r} → {new!r}" for name, (old, new) in change.changed.items())
                sign, text = "~", f"{key}: {told}"
            else:
                text = ", ".join(f"{name} {value!r}" for name, value in (row or {}).items())
            self.out.print(f"[magenta]       {sign} {change.table}[/]  {escape(text)}", highlight=False)

    def ask(self, messages: Sequence[Message]) -> str:
        """Show what the agent said last and read the answer; the end of the input is a farewell without words."""
        last = messages[-1]
        if last.role == "assistant":
            self.out.print(
                f"[{STYLES['assistant']}]    agent[/]  {escape(last.content or '(nothing)')}", highlight=False
            )
        try:
            return self.out.input(f"[{STYLES['user']}]      you[/]  ")
        except EOFError:
            return ""
