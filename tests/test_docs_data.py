"""Reasons of quarantine that the code gives stand in docs/data.md, each with what to do."""

from __future__ import annotations

import re

from data import paths

_GIVEN = re.compile(r'(?:Fault\(\s*|reason=|^REASON = )"(\w+)"', re.MULTILINE)


def test_every_reason_is_explained() -> None:
    docs = (paths.PROJECT_ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", docs.partition("## Reasons of quarantine")[2]))
    code = [file.read_text(encoding="utf-8") for file in (paths.PROJECT_ROOT / "data").rglob("*.py")]
    given = {reason for text in code for reason in _GIVEN.findall(text)}
    assert {"too_deep", "forgotten", "not_json"} <= given
    assert given <= explained, sorted(given - explained)
