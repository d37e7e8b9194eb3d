"""Make ``.venv`` with everything pinned, choosing the build of torch with care; ``make`` calls this. Only stdlib.

Torch is the one package with a choice: its CUDA build pulls gigabytes that a machine without an NVIDIA driver cannot
use. So on such a machine the registry is asked which build it would hand out before anything is downloaded;
``TORCH_INDEX_URL`` names an index to take torch (and nothing else) from. Running this again continues where it stopped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
#: Sum of the wheels of torch 2.13.0 with its CUDA packages, and the CPU wheel, on Linux x86-64 (measured 2026-11-22).
CUDA_DOWNLOAD, CPU_DOWNLOAD, MEASURED_FOR = "2.7 GB", "0.2 GB", "2.13.0"
PAUSE_SECONDS = 10


def say(text: str) -> None:
    """One line for the person waiting."""
    print(f"set-up: {text}", flush=True)


def pinned(name: str, constraints: str) -> str:
    """Version that ``constraints`` (text of constraints.txt) pins for ``name``.

    Raises:
        SystemExit: There is no such pin.
    """
    found = re.search(rf"^{re.escape(name)}==(\S+)$", constraints, re.MULTILINE)
    if not found:
        raise SystemExit(f"set-up: constraints.txt pins no {name}; add a line {name}==VERSION")
    return found.group(1)


def driver_present() -> bool:
    """Whether this machine has an NVIDIA driver."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def brings_cuda(report: dict[str, Any]) -> bool:
    """Whether a pip installation report (``--report``) holds a package that requires CUDA packages."""
    required = [line for item in report["install"] for line in item["metadata"].get("requires_dist", [])]
    return any(re.match(r"(nvidia|cuda)-", line) and "extra ==" not in line for line in required)


def announcement(version: str, *, cuda: bool, driver: bool) -> str:
    """What to say before torch is downloaded: which build, how much, and how to get the smaller one."""
    size = CUDA_DOWNLOAD if cuda else CPU_DOWNLOAD
    known = "" if version == MEASURED_FOR else f" (as of torch {MEASURED_FOR})"
    build = "CUDA" if cuda else "CPU"
    text = f"torch {version}, {build} build: about {size} to download{known}"
    if cuda and not driver:
        text += (
            ",\nalthough no NVIDIA driver is here. A CPU build is about "
            f"{CPU_DOWNLOAD}: stop now (Ctrl-C) and put in front of make\n"
            "  TORCH_INDEX_URL=<index that has CPU builds of torch>"
        )
    return text


def pip(*arguments: str, doing: str, capture: bool = False) -> str:
    """Run the environment's pip, ending the program with a cure if it fails; returns stdout if captured."""
    command = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE if capture else None, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"set-up: {doing} failed; pip's words are above. Is the package registry reachable? "
            "Run make again to continue, or `make clean-venv` first to start afresh."
        )
    return done.stdout or ""


def offered(requirement: str, source: list[str]) -> bool:
    """Whether the index has this very version; nothing is downloaded."""
    command = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    ask = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--use-feature=fast-deps", *source, requirement]
    return subprocess.run([*command, *ask], cwd=ROOT, capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    """Create ``.venv`` unless there is one with a pip and the right Python."""
    if sys.version_info[:2] != (3, 11):
        raise SystemExit(f"set-up: needs Python 3.11, this is {sys.version.split()[0]}; try `make PYTHON=python3.11 …`")
    if VENV.exists() and not (VENV / "lib/python3.11").is_dir():
        raise SystemExit("set-up: .venv belongs to another Python; remove it with `make clean-venv` and run make again")
    if (VENV / "bin/pip").exists():
        return
    say("making .venv")
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
        raise SystemExit("set-up: could not make .venv; Debian and Ubuntu need `apt-get install python3.11-venv`")


def compiling() -> list[str]:
    """pip's options about bytecode: each module is compiled when it is first imported, and a fifth of them ever are, so
    set-up takes half the time. Where imports keep nothing, pip compiles all, or every start would compile anew."""
    return [] if os.environ.get("PYTHONDONTWRITEBYTECODE") else ["--no-compile"]


def install_torch(version: str) -> None:
    """Install torch from ``TORCH_INDEX_URL`` or whichever build the registry offers, saying its size beforehand."""
    if any(VENV.glob(f"lib/python3.11/site-packages/torch-{version}*.dist-info")):
        return
    index = os.environ.get("TORCH_INDEX_URL")
    source, asked = (["--index-url", index], "TORCH_INDEX_URL") if index else ([], "the registry")
    cpu_build = f"torch=={version}+cpu"  # what an index that has several builds calls it
    wanted = cpu_build if not driver_present() and offered(cpu_build, source) else f"torch=={version}"
    ask = ["install", "--dry-run", "--ignore-installed", "--no-deps", "-qq", "--report", "-", *source]
    # fast-deps reads a wheel's metadata by range request: without it the question alone may download the wheel.
    answer = pip(*ask, "--use-feature=fast-deps", wanted, doing=f"asking {asked} for {wanted}", capture=True)
    cuda, driver = brings_cuda(json.loads(answer)), driver_present()
    say(announcement(version, cuda=cuda, driver=driver))
    if cuda and not driver and sys.stdin.isatty():
        say(f"going on in {PAUSE_SECONDS} seconds")
        time.sleep(PAUSE_SECONDS)
    # Its dependencies come with the rest: an index for torch alone need not have our pins of them.
    pip("install", "--no-deps", *compiling(), *source, wanted, doing=f"installing {wanted}")


def main() -> None:
    """Environment, pip, torch, then the project with all its dependencies."""
    constraints = CONSTRAINTS.read_text(encoding="utf-8")
    make_environment()
    pip("install", "--quiet", f"pip=={pinned('pip', constraints)}", doing="updating pip")
    install_torch(pinned("torch", constraints))
    say(f"installing the other dependencies, {constraints.count('==') - 1} pins; a few minutes")
    bound = ["--constraint", str(CONSTRAINTS), "--build-constraint", str(CONSTRAINTS), *compiling()]
    pip("install", "--quiet", *bound, "--editable", ".", "--group", "dev", doing="installing the dependencies")
    subprocess.run([str(VENV / "bin/python"), "-m", "models.engine.native.library"], cwd=ROOT, check=True)
    say("done")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("\nset-up: stopped; run make again to continue") from None
