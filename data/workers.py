"""A function applied to many tasks by a few processes of its own, results in the order of the tasks.

Processes rather than threads because the work is Python. Started as ``python -m data.workers`` rather than through
``multiprocessing``, which would first import the caller's main module again in every worker (Prefect's takes seconds)
and asks every script for a guard. A worker ends with its parent: its input ends, or its output has no reader.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from data.paths import PROJECT_ROOT

Task = TypeVar("Task")
Result = TypeVar("Result")
_MOST = 8


class WorkerDied(RuntimeError):
    """A worker process ended without an answer; the message says how and what to do."""


def available() -> int:
    """Processes worth starting: the cores this process may use, eight at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _MOST)


def in_order(function: Callable[[Task], Result], tasks: Sequence[Task], processes: int) -> Iterator[Result]:
    """``function(task)`` for every task, in order, by up to this many processes; here if one is enough.

    Args:
        function: One that can be imported by name, for it travels pickled, as tasks and results do.
        tasks: What to apply it to.
        processes: Workers at most.

    Raises:
        WorkerDied: A worker was killed or crashed.
        Exception: What ``function`` raised, when the turn comes to its task.
    """
    if processes <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    with _crew() as ask, ThreadPoolExecutor(min(processes, len(tasks)), "ingest-worker") as threads:
        try:
            yield from threads.map(lambda task: ask(function, task), tasks)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            ask.stop()


class _Crew:
    """One worker process for each thread that asks."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def __call__(self, function: Callable[[Any], Any], task: Any) -> Any:
        worker = self._worker()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            pickle.dump((function, task), worker.stdin)
            worker.stdin.flush()
            raised, answer = pickle.load(worker.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise WorkerDied(_obituary(worker)) from error
        if raised:
            raise answer
        return answer

    def _worker(self) -> subprocess.Popen[bytes]:
        if not hasattr(self._mine, "worker"):
            if self._stopped:
                raise WorkerDied("the work was stopped")
            self._mine.worker = _start()
            self._all.append(self._mine.worker)
        worker: subprocess.Popen[bytes] = self._mine.worker
        return worker

    def stop(self) -> None:
        """End every worker, busy or not."""
        self._stopped = True
        for worker in self._all:
            worker.kill()

    def close(self) -> None:
        """Wait until all are gone."""
        for worker in self._all:
            worker.communicate()


@contextmanager
def _crew() -> Iterator[_Crew]:
    crew = _Crew()
    try:
        yield crew
    finally:
        crew.stop()
        crew.close()


def _start() -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(PROJECT_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "data.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def _obituary(worker: subprocess.Popen[bytes]) -> str:
    code = worker.wait()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    cure = "; if memory ran out, set data.processes=1" if code == -signal.SIGKILL else ""
    return f"a worker process {how} before it had answered{cure}. Nothing was changed; run the command again"


def _serve() -> None:
    """The life of a worker: one task after the other until the parent closes our input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints must not end up among the answers
    while True:
        try:
            function, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (False, function(task))
        except Exception as error:  # noqa: BLE001  raised again in the parent
            answer = (True, error)
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
