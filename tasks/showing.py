"""What people see of a stage: its description, pictures, tables and traces in MLflow, its artifacts in Prefect.

Prefect's artifacts are left only inside a flow run, and a server that is away is named once and stops nothing: what
they say is in MLflow and under ``var/`` too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models import figures, tracking
from models.evaluation.table import METRICS
from tasks import before_after
from tasks.judged import side_by_side
from tasks.records import COMMANDS, Record
from tasks.reporting import duration
from tasks.stage import say

if TYPE_CHECKING:
    import pandas as pd

NOTE = "mlflow.note.content"
#: Metrics of a description, headline first.
DESCRIBED = ("turn_success", "call_success", "answer_success", "decision_correct", "exact_call", "facts", "format_ok")


def describe_model(run: tracking.StageRun, summary: pd.DataFrame, model: Record, heading: str) -> str:
    """The description of a judged model's run: what it is, and every headline metric on seen and unseen tools."""
    text = f"{origin(model)}\n\n**{heading}**\n\n{metric_table(summary)}"
    run.tag({NOTE: text})
    return text


def origin(model: Record) -> str:
    """A sentence on where a model comes from and the command that makes it."""
    start = f", from run `{model.start_run_id[:8]}`" if model.start_run_id else ""
    thinks = "thinks before it acts" if model.thinking else "acts without thinking"
    return (
        f"**{model.stage}**: {model.steps} steps on dataset `{model.dataset_version}`{start}; {thinks}. "
        f"Profile {model.profile}, seed {model.settings.get('seed', 0)}; `apprentice {COMMANDS[model.stage]}`."
    )


def metric_table(summary: pd.DataFrame) -> str:
    """Markdown: a row per metric, a column per kind of tools, each number with its 95 % interval and n."""
    parts = summary[summary["group"].isin(["exposure", "all"])]
    places = [place for place in ("seen", "unseen", "mixed", "train", "all") if place in set(parts["value"])]
    rows = [["metric", *places], ["---"] * (len(places) + 1)]
    cells = {(row["metric"], row["value"]): row for row in parts.to_dict("records")}
    for metric in DESCRIBED:
        found = [cells.get((metric, place)) for place in places]
        if any(found):
            rows.append([metric.replace("_", " "), *(_cell(one) for one in found)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "–"
    return f"{100 * row['mean']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}], n={row['n']}"


def bars(summary: pd.DataFrame, model: str, metric: str = "turn_success") -> list[figures.Bar]:
    """One model's metric on each kind of tools, for ``figures.seen_and_unseen``."""
    chosen = summary[(summary["group"] == "exposure") & (summary["metric"] == metric)]
    return [
        figures.Bar(model, str(row["value"]), float(row["mean"]), float(row["low"]), float(row["high"]))
        for row in chosen.to_dict("records")
    ]


def draw_evaluation(run: tracking.StageRun, summary: pd.DataFrame, frame: pd.DataFrame, model: str, name: str) -> None:
    """The pictures of one evaluation: metrics on seen and unseen tools, and which tool was called for which."""
    drawn = [bar for metric in ("turn_success", "exact_call", "facts") for bar in _named(summary, metric)]
    if drawn:
        run.log_figure(figures.seen_and_unseen(drawn, f"{model}: share"), f"{name}.png")
    if (frame["kind"] == "call").any():
        run.log_figure(figures.tool_confusion(frame), f"{name}-tools.png")


def _named(summary: pd.DataFrame, metric: str) -> list[figures.Bar]:
    assert metric in METRICS
    return bars(summary, metric.replace("_", " "), metric)


def log_side_by_side(run_id: str, evaluation_ids: Sequence[str]) -> list[before_after.Turn]:
    """Before and after in a run: a table of the turns on which models differ, and the models in one picture."""
    from models.evaluation.table import summarise

    run = tracking.StageRun(run_id, say)
    found = side_by_side(evaluation_ids)
    drawn = []
    for frame in found.frames:
        if not frame.empty:
            drawn += bars(summarise(frame), found.names[str(frame["run_id"].iloc[0])])
    if drawn:
        run.log_figure(figures.seen_and_unseen(drawn), "seen-and-unseen.png")
    chosen = before_after.turns(found)
    if chosen:
        run.log_table(before_after.table(chosen), f"before_after/{'-'.join(one[:6] for one in evaluation_ids)}.json")
    return chosen


def leave(
    key: str, text: str, *, rows: Sequence[Mapping[Any, Any]] = (), run_id: str | None = None, description: str = ""
) -> None:
    """Artifacts of the flow run under way: a text, a table, a link to the MLflow run. Nothing outside a flow run.

    Args:
        key: Names the artifacts, so that the browser shows their history: ``grpo`` gives ``grpo``, ``grpo-table``, ….
        text: Markdown.
        rows: A table, one mapping a row.
        run_id: MLflow run to link to.
        description: One line.
    """
    from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
    from prefect.context import FlowRunContext, TaskRunContext

    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    key = re.sub(r"[^a-z0-9-]+", "-", key.lower())
    url = tracking.store.run_url(run_id) if run_id else None
    if url:
        text = f"{text}\n\n[This run in MLflow]({url})"
    quietly(lambda: create_markdown_artifact(text, key=key, description=description))
    if rows:
        quietly(lambda: create_table_artifact([dict(row) for row in rows], key=f"{key}-table", description=description))
    if url:
        quietly(lambda: create_link_artifact(url, link_text=f"MLflow run {run_id}", key=f"{key}-mlflow"))


_told = False


def quietly(create: Callable[[], Any]) -> Any:
    """What Prefect answers; None, said once, if it does not."""
    global _told
    try:
        return create()
    except Exception as error:  # noqa: BLE001 - whatever Prefect's server has must not stop a training
        if not _told:
            _told = True
            say(f"Prefect takes no artifacts ({type(error).__name__}); work goes on, everything is in MLflow too")
        return None


def training_text(record: Record, note: str) -> str:
    """A training stage in Markdown: where it comes from, how far it came, its last figures."""
    outputs = record.outputs
    rows = [f"{origin(record)}", "", f"{note}"]
    if "seconds" in outputs:
        rows += ["", f"{record.steps} of {outputs['planned_steps']} steps in {duration(outputs['seconds'])}."]
    verdict = outputs.get("verdict")
    if verdict:
        from models.training.monitor import in_words

        rows += ["", f"Hacking monitor: {in_words(verdict)}"]
    return "\n".join(rows)
