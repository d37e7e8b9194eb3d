"""The weekly report as one HTML file that needs nothing else: pictures are inside it, nothing is fetched, no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data import paths
from models import figures
from models.metric_log import MetricLog
from tasks import results
from tasks.records import Record
from tasks.reporting import duration
from tasks.stage import now
from tasks.weekly.facts import Week, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from models.evaluation.verdicts import Verdict

TEMPLATE = Path(__file__).with_name("page.html.jinja")
STAGES = {"base": "Pretrained", "sft": "SFT", "primed": "Priming", "grpo": "GRPO"}


class Picture(NamedTuple):
    """An image in the page: its address is its content."""

    title: str
    address: str


def render(week: Week) -> str:
    """The page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(plain=plain, title=title, number=number, percent=results.percent, duration=duration)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        week=week,
        today=now()[:10],
        stages=STAGES,
        headline=headline(week),
        compared=_compared(week),
        curves=[picture for record in week.models for picture in _curves(record)],
        shown=results.SHOWN,
        caution=results.caution(week.lines),
        groups=_by_word(week),
    )


def headline(week: Week) -> str:
    """The result in one sentence, with its interval: the first and the last model on unseen tools, else on any."""
    places = [line.where for line in week.lines]
    where = "unseen" if "unseen" in places else next(iter(places), None)
    mine = {line.run_id: line for line in week.lines if line.where == where}
    if week.newest.run_id not in mine:
        return "No turn was judged by all models."
    told = {run: (title(line.model), results.percent(line.intervals["turn_success"])) for run, line in mine.items()}
    last, share = told.pop(week.newest.run_id)
    found = f"{last} gets {share} of turns right on {where} tools"
    rest = [" ".join(one) for one in told.values()]
    return f"{found} ({', '.join(rest)})." if rest else f"{found}."


def title(model: str) -> str:
    """``GRPO 1a2b`` for ``grpo 1a2b``."""
    stage, _, run = model.partition(" ")
    return f"{STAGES.get(stage, stage)} {run}".rstrip()


def number(value: float | None) -> str:
    """``1,234``, ``480 k``, ``12.3 M``; a dash where nothing was recorded."""
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:.1f} M"
    return f"{value / 1e3:.0f} k" if value >= 1e5 else f"{value:,.0f}"


def _compared(week: Week) -> Picture | None:
    bars = [
        figures.Bar(title(line.model), line.where, one.mean, one.low, one.high)
        for line in week.lines
        if (one := line.intervals["turn_success"]).n
    ]
    return _picture("Turn success by model, seen and unseen tools", figures.seen_and_unseen(bars)) if bars else None


def _curves(record: Record) -> Iterator[Picture]:
    drawn = figures.curves(MetricLog(paths.run(record.run_id) / "metrics.jsonl", reader=True))
    wanted = ("reward.png", "length.png", "entropy.png") if record.stage == "grpo" else ("loss.png",)
    for name in wanted:
        if name in drawn:
            title = f"{STAGES.get(record.stage, record.stage)}: {name.removesuffix('.png')} over steps"
            yield _picture(title, drawn[name])


def _picture(title: str, figure: Figure) -> Picture:
    """As SVG whose letters stay readable on a telephone: drawn small, so that they are large."""
    import matplotlib as mpl

    figure.set_size_inches(5.2, 3.1)
    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "apprentice"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Picture(title, "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue().encode()).decode())


def _by_word(week: Week) -> dict[str, list[tuple[str, Verdict]]]:
    """Tools by verdict, in the order a manager asks."""
    order = ("better", "worse", "no difference shown", "underpowered")
    found = {word: [(tool, one) for tool, one in week.tools.items() if one.word == word] for word in order}
    return {word: rows for word, rows in found.items() if rows}
