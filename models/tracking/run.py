"""One run as MLflow has it: what is told, what is kept until MLflow can be told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from data import paths
from models import figures, spool, traces
from models.metric_log import MetricLog, Point, missing, same
from models.traces import Told
from models.tracking import store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

T = TypeVar("T")

PARENT_TAG = "mlflow.parentRunId"
#: Tag with the id that a run had before MLflow heard of it.
OUR_ID = "apprentice.run_id"
#: How MLflow says that it will not have something.
REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST")
#: Seconds before a store that failed is asked again.
RETRY_AFTER = 30.0
#: Seconds after which the end of a run is told a second time.
ONCE_MORE = 2.0
#: MLflow takes 1000 metrics and 100 params a call.
METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100
PARAM_LENGTH = 500


class StageRun:
    """One MLflow run and its local log. Methods tell MLflow if it listens, and never raise because it does not."""

    def __init__(self, run_id: str | None, say: Callable[[str], None]) -> None:
        """Without ``run_id`` a new run is meant; it is opened by ``stage_run``."""
        self.ours = run_id or ""
        """Its id under ``var/runs``, by which MLflow may know it or not; empty until it is opened."""
        self._id_without_mlflow = uuid.uuid4().hex
        self._say = say
        self._told = False
        self._delivering = False
        self._answered = False
        self._away_until = 0.0
        self._pending: list[Point] = []
        self._log: MetricLog | None = None

    @property
    def run_id(self) -> str:
        """The id by which MLflow knows the run: ours, unless it was away when the run began."""
        return spool.alias(self.ours)

    @property
    def directory(self) -> Path:
        """The run's directory under ``var/runs``."""
        return paths.run(self.ours)

    @property
    def _lasting_id(self) -> str:
        """``ours``; before the run is opened what that becomes if MLflow gives no id, so that messages can name it."""
        return self.ours or self._id_without_mlflow

    @property
    def log(self) -> MetricLog:
        """The local truth about this run's numbers."""
        if self._log is None:
            self._log = MetricLog(self.directory / "metrics.jsonl")
        return self._log

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep the numbers that are new for this step and send them on."""
        self._pending.extend(self.log.add(values, step))
        self._flush()

    def log_results(self, values: Mapping[str, float], step: int) -> None:
        """Keep and send numbers of a finished evaluation: a newer one replaces an older one at the same step.

        What a killed process had kept and not yet sent is sent by the next one, which evaluates to the same numbers.
        """
        self.log.add(values, step, again=True)
        sent = self.ask(lambda client, _: client.get_run(self.run_id).data.metrics) or {}
        latest = {point.key: point for point in self.log.points if point.step == step and point.key in values}
        self._pending.extend(point for key, point in latest.items() if not same(sent.get(key), point.value))
        self._flush()

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags; later values replace earlier ones."""

        def send(client: MlflowClient, _: str) -> None:
            for key, value in tags.items():
                client.set_tag(self.run_id, key, value)

        self.ask(send, tags=dict(tags))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params once. MLflow refuses to change one, so a value that differs on resume becomes a tag."""
        texts = {key: str(value)[:PARAM_LENGTH] for key, value in params.items()}

        def send(client: MlflowClient, _: str) -> None:
            from mlflow.entities import Param

            known = client.get_run(self.run_id).data.params
            new = [Param(key, text) for key, text in texts.items() if key not in known]
            for start in range(0, len(new), PARAMS_PER_CALL):
                client.log_batch(self.run_id, params=new[start : start + PARAMS_PER_CALL])
            for key, text in texts.items():
                if known.get(key, text) != text:
                    client.set_tag(self.run_id, f"changed.{key}", text)

        self.ask(send, params=texts)

    def log_text(self, text: str, artifact: str) -> None:
        """Save a text as an artifact, replacing one of the same name."""
        self.ask(lambda client, _: client.log_text(self.run_id, text, artifact), texts={artifact: text})

    def log_table(self, frame: pd.DataFrame, artifact: str) -> None:
        """Save a table (``NAME.json``) that the MLflow UI shows and compares; MLflow appends, so use fresh names."""

        def send(client: MlflowClient, _: str) -> None:
            there = {file.path for file in client.list_artifacts(self.run_id, artifact.rpartition("/")[0] or None)}
            if artifact not in there:  # else it was sent before a kill, and would be doubled
                client.log_table(self.run_id, frame, artifact)

        self.ask(send)

    def log_curves(self) -> None:
        """Draw the run's curves from its log, into its directory and into MLflow."""
        for name, figure in figures.curves(self.log).items():
            self.log_figure(figure, name)

    def log_figure(self, figure: Figure, name: str) -> None:
        """Save a picture into the run's directory and into MLflow."""
        self.directory.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.directory / name, dpi=120)
        self._log_file(self.directory / name)

    def log_traces(self, sample: Sequence[Told]) -> None:
        """Leave completions as traces of this run, once: a run that has traces keeps those."""

        def send(client: MlflowClient, experiment: str) -> None:
            import mlflow

            if client.search_traces(locations=[experiment], run_id=self.run_id, max_results=1):
                return
            # Traces are sent in the background, to the address set for all.
            mlflow.set_tracking_uri(store.tracking_uri())
            for told in sample:
                traces.write(client, experiment, self.run_id, told)
            mlflow.flush_trace_async_logging()

        if sample:
            self.ask(send)

    def _log_file(self, file: Path) -> None:
        self.ask(lambda client, _: client.log_artifact(self.run_id, str(file)), files=[file.name])

    def register_model(self, stage: str, model_dir: Path, tags: Mapping[str, str]) -> None:
        """Add a version to the registered model ``apprentice-<stage>``: a path and its digest, no copy; once a run."""
        name = f"{store.EXPERIMENT}-{stage}"

        def send(client: MlflowClient, _: str) -> None:
            if not client.search_registered_models(filter_string=f"name='{name}'"):
                client.create_registered_model(name, description=f"Models after the stage '{stage}', by path.")
            versions = client.search_model_versions(f"name='{name}'")
            if all(version.run_id != self.run_id for version in versions):
                # A server takes no local path that is not the run's own; the tag says where the model lies.
                source = f"runs:/{self.run_id}/model" if store.tracking_uri().startswith("http") else str(model_dir)
                facts = {**tags, "model_dir": str(model_dir)}
                client.create_model_version(name, source, self.run_id, tags=facts, await_creation_for=0)

        self.ask(send, model={"stage": stage, "model_dir": str(model_dir), "tags": dict(tags)})

    def open(self, name: str, tags: dict[str, str]) -> None:
        """Create it, or set it running again if it has an id; where MLflow is away, under an id of our own."""
        parent = {PARENT_TAG: spool.alias(tags[PARENT_TAG])} if PARENT_TAG in tags else {}

        def create(client: MlflowClient, experiment: str) -> str:
            return str(client.create_run(experiment, tags={**tags, **parent}, run_name=name).info.run_id)

        def resume(client: MlflowClient, _: str) -> None:
            client.update_run(self.run_id, status="RUNNING")
            self._compare(client)

        if self.ours:
            self.ask(resume, status="RUNNING")
        elif created := self.ask(create):
            self.ours = created
        else:
            self.ours = self._id_without_mlflow
            spool.keep(self.directory, begun={"name": name, "tags": tags})
        self.directory.mkdir(parents=True, exist_ok=True)

    def _compare(self, client: MlflowClient) -> None:
        """Find out which numbers of the run's log MLflow does not have."""
        recorded = {key: _steps(client, self.run_id, key) for key in self.log.names()}
        self._pending = missing(self.log.points, recorded)

    def deliver(self) -> bool:
        """Tell MLflow what it has missed of this run; whether nothing is left to tell."""
        self.ask(lambda client, experiment: None)
        return spool.read(self.directory) is None

    def _deliver(self, client: MlflowClient, experiment: str) -> None:
        if not self.ours or spool.read(self.directory) is None:
            return
        with spool.locked(self.directory):
            try:
                self._tell_missed(client, experiment, spool.read(self.directory) or {})
            except Exception as error:
                if not _refused(error):
                    raise
                self._say(f"MLflow refuses what it missed of run {self.ours}, which is dropped: {_first_line(error)}")
            spool.forget(self.directory)
        self._pending = []

    def _tell_missed(self, client: MlflowClient, experiment: str, missed: dict[str, Any]) -> None:
        if (begun := missed.get("begun")) and self.run_id == self.ours:
            before = _begun_before(client, experiment, self.ours)
            spool.call_it(self.ours, before or self._begin(client, experiment, **begun))
        again = StageRun(self.ours, self._say)
        again._delivering = True
        again._compare(client)
        again._flush()
        again.tag(missed.get("tags", {}))
        again.log_params(missed.get("params", {}))
        for artifact, text in missed.get("texts", {}).items():
            again.log_text(text, artifact)
        for name in missed.get("files", ()):
            again._log_file(self.directory / name)
        if model := missed.get("model"):
            again.register_model(model["stage"], Path(model["model_dir"]), model["tags"])
        if (status := missed.get("status")) == "RUNNING":
            client.update_run(self.run_id, status=status)
        elif status:
            client.set_terminated(self.run_id, status)

    def _begin(self, client: MlflowClient, experiment: str, name: str, tags: dict[str, str]) -> str:
        known = {**tags, OUR_ID: self.ours}
        if PARENT_TAG in tags:
            StageRun(tags[PARENT_TAG], self._say).deliver()  # it may have to get its id first
            known[PARENT_TAG] = spool.alias(tags[PARENT_TAG])
        return str(client.create_run(experiment, tags=known, run_name=name).info.run_id)

    def close(self, status: str) -> None:
        """Send what is left and end it as FINISHED, FAILED or KILLED."""
        self._away_until = 0.0
        self._flush()
        self.ask(lambda client, _: client.set_terminated(self.run_id, status), status=status)
        if self._answered and spool.read(self.directory) is not None:
            time.sleep(ONCE_MORE)  # a server that was only busy: a run must not look as if it were still running
            self._away_until = 0.0
            self.deliver()

    def _flush(self) -> None:
        def send(client: MlflowClient, _: str) -> None:
            from mlflow.entities import Metric

            while self._pending:
                part = self._pending[:METRICS_PER_CALL]
                rows = [Metric(point.key, point.value, int(point.at * 1000), point.step) for point in part]
                client.log_batch(self.run_id, metrics=rows)
                del self._pending[: len(part)]

        if self._pending:
            self.ask(send)

    def ask(self, call: Callable[[MlflowClient, str], T], **missed: Any) -> T | None:
        """What ``call`` answers, given MLflow's client and the experiment's id; None if that failed.

        A failure is said once and MLflow left alone for a while; what it has ``missed`` is kept to be told later.
        """
        if time.monotonic() < self._away_until:
            self._miss(missed)
            return None
        try:
            client, experiment = store.connect(store.tracking_uri())
            if not self._delivering:
                self._deliver(client, experiment)
            answer = call(client, experiment)
            self._answered = True
            return answer
        except Exception as error:
            if _refused(error):
                self._say(f"MLflow refuses something of run {self._lasting_id}; work goes on: {_first_line(error)}")
                return None
            if self._delivering:
                raise
            self._miss(missed)
            self._away_until = time.monotonic() + RETRY_AFTER
            if not self._told:
                self._told = True
                self._say(
                    f"MLflow at {store.tracking_uri()} does not answer ({_first_line(error)}); work goes on, "
                    f"numbers are kept in {paths.run(self._lasting_id) / 'metrics.jsonl'}"
                )
            return None

    def _miss(self, missed: dict[str, Any]) -> None:
        if self.ours:
            spool.keep(self.directory, **missed)


def _refused(error: Exception) -> bool:
    """Whether MLflow is there and will not have it, so that asking again later is of no use."""
    return getattr(error, "error_code", None) in REFUSALS


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _begun_before(client: MlflowClient, experiment: str, ours: str) -> str | None:
    """The run that was created for one of ours by a process that died before it could remember that."""
    found = client.search_runs([experiment], f"tags.`{OUR_ID}` = '{ours}'")
    return str(found[0].info.run_id) if found else None


def _steps(client: MlflowClient, run_id: str, key: str) -> set[int]:
    return {metric.step for metric in client.get_metric_history(run_id, key)}
