"""Ways to disturb a stage that runs in a child: kills in time and at commit points, a full disk, damaged files.

The child is forked from a warm process, so an attempt costs the stage and not its imports; it is a process of its own
and the kill is SIGKILL.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: How often each kind is drawn. ``time`` and ``commit`` are SIGKILL.
KINDS = {"time": 40, "commit": 40, "SIGTERM": 5, "SIGINT": 3, "disk full": 4, "checkpoint": 3, "shard": 3, "away": 2}
KILLS = ("time", "commit", "checkpoint", "shard", "away")
#: Calls of ``os`` that make a change visible or lasting.
COMMITS = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "link")
#: Seconds after which a child counts as hung.
LONGEST = 600.0


def fork(do: Callable[[], None], log: Path) -> int:
    """Run ``do`` in a child of its own session; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        do()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - the child's last word goes to its log
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, within: float) -> int | None:
    """Exit status of a child as ``Popen`` has it, or None if it still runs after so many seconds."""
    deadline = time.monotonic() + within
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def count_commits(kill_at: int | None = None, tell: Path | None = None) -> None:
    """Wrap the calls that commit something: count them into ``tell``, or SIGKILL ourselves at one of them."""
    seen = 0

    def passed() -> None:
        nonlocal seen
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1
        if tell is not None:
            tell.write_text(str(seen))

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            passed()
            result = call(*given, **named)
            passed()
            return result

        return counted

    for name in COMMITS:
        setattr(os, name, wrapped(getattr(os, name)))


def limit_files(most: int) -> None:
    """A full disk: no file of this process may grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def mlflow_away() -> None:
    """Point this process at a tracking server that does not answer."""
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"


def newest(file: Path) -> tuple[int, str]:
    """Sorts a checkpoint's files so that those of the newest come last."""
    return int(file.parent.name.split("-")[1]), file.name


def damage(files: list[Path], draw: random.Random) -> bool:
    """Cut one of the files short or change a byte of it; of checkpoints one of the newest. False if there is none."""
    if files and files[-1].parent.name.startswith("checkpoint-"):
        files = [file for file in files if file.parent == files[-1].parent]
    files = [file for file in files if file.is_file() and file.stat().st_size]
    if not files:
        return False
    file = draw.choice(files)
    content = file.read_bytes()
    at = draw.randrange(len(content))
    file.write_bytes(
        content[:at] if draw.random() < 0.5 else content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    )
    return True
