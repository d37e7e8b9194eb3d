"""Which processor this is, in words."""

from __future__ import annotations

import platform
import re
from pathlib import Path

FACTS = Path("/proc/cpuinfo")


def processor() -> str:
    """``AMD EPYC, family 26``; the architecture where the system does not tell."""
    told = re.findall(r"^(model name|cpu family)\s*: (.+)$", FACTS.read_text(), re.MULTILINE) if FACTS.exists() else []
    said = dict(told)
    family = f", family {said['cpu family']}" if "cpu family" in said else ""
    return f"{said.get('model name') or platform.machine()}{family}"
