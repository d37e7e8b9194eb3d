"""Fetches SGD itself where no path is given: one archive of upstream at a pinned commit, resumed where it was cut off.

Upstream publishes no checksum of its archive and the host packs it anew now and then, so what is pinned is what is
inside: the commit the archive says it was made of, and the SHA-256 of every file in ``checksums.sha256`` (those of the
commit that were at hand when the list was made; the rest is counted and named as unlisted). Only JSON of the known
places is unpacked, under names we spell ourselves.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from filelock import FileLock

from data import paths
from data.fetching import FetchError, fetch_file
from data.parquet import digest
from data.reporting import Reporter
from data.sources.base import SourceError

COMMIT = "e852981ae34990f4358979625854259302feaa78"
REPOSITORY = "https://github.com/google-research-datasets/dstc8-schema-guided-dialogue"
CHECKSUMS = Path(__file__).with_name("checksums.sha256")
#: What is unpacked, below the archive's one top directory.
_WANTED = re.compile(r"(?:sgd_x/data/v\d/)?(?:train|dev|test)/(?:schema|dialogues_\d+)\.json|LICENSE\.txt")
#: Several times what upstream's largest file and whole copy need; more is not SGD.
MAX_FILE_BYTES, MAX_TOTAL_BYTES, MAX_MEMBERS = 64 << 20, 4 << 30, 20_000


@dataclass(frozen=True)
class Archive:
    """A ``.tar.gz`` of one commit."""

    url: str
    commit: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Path below the top directory → SHA-256 (hex); every one of them must be there and match."""
    sha256: str | None = None
    """Of the archive's own bytes, where they are known."""


def upstream() -> Archive:
    """The archive of the pinned commit, with the checksums of its files."""
    return Archive(f"{REPOSITORY}/archive/{COMMIT}.tar.gz", COMMIT, read_checksums(CHECKSUMS))


def read_checksums(file: Path) -> dict[str, str]:
    """Path → SHA-256 of a list in the format of ``sha256sum``."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {path: sha256 for sha256, path in (line.split("  ", 1) for line in lines if line.strip())}


def directory(archive: Archive) -> Path:
    """Where the unpacked copy lies once it is whole."""
    return paths.downloads() / f"sgd-{archive.commit[:12]}"


def fetch(archive: Archive, reporter: Reporter) -> Path:
    """The unpacked copy of SGD, downloaded once; a download that was cut off goes on where it stopped.

    Returns:
        A directory with train/, dev/, test/ and sgd_x/; it exists only once all checks have passed.

    Raises:
        SourceError: No network, a wrong checksum, or an archive that is not SGD; the message names ``--path``.
    """
    target = directory(archive)
    paths.locks().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.locks() / f"download-{target.name}.lock"):
        if target.is_dir():
            return target
        packed = target.with_name(f"{target.name}.tar.gz")
        try:
            if not packed.exists():
                fetch_file(archive.url, packed, reporter, what="SGD")
        except FetchError as error:
            raise SourceError(
                f"SGD cannot be downloaded: {error}. Run the same command again to go on where it stopped, or give "
                "--path DIR, a directory with train/, dev/ and test/, each with schema.json and dialogues_*.json"
            ) from error
        draft = target.with_name(f".{target.name}-{uuid.uuid4().hex}.unpacking")
        try:
            _unpack_checked(archive, packed, draft, reporter)
            draft.rename(target)
        except SourceError:
            packed.unlink()  # it would be refused again
            raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        packed.unlink()
    return target


def _unpack_checked(archive: Archive, packed: Path, draft: Path, reporter: Reporter) -> None:
    if archive.sha256 is not None and (found := digest(packed)) != archive.sha256:
        raise _refused(archive, f"its sha256 is {found}, expected {archive.sha256}")
    reporter.phase("unpacking SGD", unit="files")
    try:
        with tarfile.open(packed, "r:gz") as tar:
            made_of = tar.pax_headers.get("comment")
            if made_of is not None and made_of != archive.commit:
                raise _refused(archive, f"it was made of commit {made_of}, not {archive.commit}")
            for number, (member, path) in enumerate(_wanted_members(archive, tar), start=1):
                _write(tar, member, draft / path)
                reporter.update(number)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _refused(archive, f"it cannot be unpacked ({error})") from error
    if not (draft / "train" / "schema.json").is_file():
        raise _refused(archive, "it has no train/schema.json")
    _compare(archive, draft, reporter)


def _wanted_members(archive: Archive, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Members to unpack with their path below the top directory; one that tries to escape spoils the whole archive."""
    total = 0
    for count, member in enumerate(tar, start=1):
        parts = PurePosixPath(member.name).parts
        if not parts or ".." in parts or member.name.startswith(("/", "\\")) or ":" in parts[0]:
            raise _refused(archive, f"it holds the path {member.name!r}, which leaves its directory")
        path = "/".join(parts[1:])
        if count > MAX_MEMBERS:
            raise _refused(archive, f"it holds more than {MAX_MEMBERS:,} members")
        if not _WANTED.fullmatch(path):
            continue
        if not member.isreg():
            raise _refused(archive, f"{path} is a link or device, not a file")
        total += member.size
        if member.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
            raise _refused(archive, f"{path} makes it larger than SGD can be ({total:,} bytes)")
        yield member, path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is None:
        raise tarfile.ExtractError(f"{member.name} has no content")
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _compare(archive: Archive, draft: Path, reporter: Reporter) -> None:
    """Every listed file has to be there as it is listed; what is not listed is told."""
    for path, expected in archive.checksums.items():
        file = draft / path
        if not file.is_file():
            raise _refused(archive, f"it lacks {path}")
        if (found := digest(file)) != expected:
            raise _refused(archive, f"{path} has sha256 {found}, expected {expected}")
    unpacked = sum(path.is_file() for path in draft.rglob("*"))
    reporter.say(
        f"SGD at commit {archive.commit[:12]}: {unpacked} files, {len(archive.checksums)} of them checked against "
        "their pinned sha256"
    )


def _refused(archive: Archive, why: str) -> SourceError:
    return SourceError(
        f"the archive from {archive.url} is refused: {why}; the download was removed. Try again, or give --path DIR "
        "with a copy of SGD you trust"
    )
