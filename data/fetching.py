"""One file over HTTP, resumed where it was cut off: what is there is kept as ``NAME.part`` and asked for no more.

A server that ignores ``Range`` starts over, one whose file has changed since (``ETag``) too. The file gets its name
only when it is as long as the server said.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from data.files import write_whole
from data.parquet import sync_file
from data.reporting import Reporter

TIMEOUT_SECONDS = 30.0
#: Times in a row that a connection may break without a byte of progress.
ATTEMPTS = 3
PAUSE_SECONDS = 0.5
_BLOCK = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class FetchError(Exception):
    """The file could not be had; the message says why. What has arrived is kept."""


class _Broken(Exception):
    """The connection broke; trying again may help."""


class _Answer(NamedTuple):
    stream: http.client.HTTPResponse
    start: int
    """Byte of the file at which this answer begins."""
    total: int | None
    """Bytes of the whole file, if the server told."""


def fetch_file(url: str, target: Path, reporter: Reporter, *, what: str) -> None:
    """Download ``url`` to ``target``, going on from ``target.part`` if an earlier call left one.

    Raises:
        FetchError: Unreachable, refused by the server, or broken off ``ATTEMPTS`` times without progress.
    """
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    reporter.say(f"downloading {what} from {url}" + (f", going on after {_size(part):,} bytes" if _size(part) else ""))
    failures = 0
    while True:
        before = _size(part)
        try:
            _go_on(url, part, reporter, what)
            break
        except _Broken as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                kept = f"; {_size(part):,} bytes are kept" if _size(part) else ""
                raise FetchError(f"{url} does not answer or breaks off ({error}){kept}") from error
            time.sleep(PAUSE_SECONDS * failures)
    sync_file(part)
    part.replace(target)
    _validator(part).unlink(missing_ok=True)


def _go_on(url: str, part: Path, reporter: Reporter, what: str) -> None:
    """Ask for what is missing and append it until the file is as long as the server says."""
    with _asked(url, part) as answer:
        if answer is None:
            return
        reporter.phase(
            f"downloading {what}", total=answer.total and answer.total / 1e6, unit="MB", done=answer.start / 1e6
        )
        with part.open("r+b" if answer.start else "wb") as file:
            file.seek(answer.start)
            file.truncate()
            for block in _blocks(answer.stream):
                file.write(block)
                reporter.update(file.tell() / 1e6)
            reached = file.tell()
    if answer.total is not None and reached != answer.total:
        raise _Broken(f"{reached:,} of {answer.total:,} bytes arrived")


@contextmanager
def _asked(url: str, part: Path) -> Iterator[_Answer | None]:
    """The server's answer; None where it says that nothing is missing."""
    have = _size(part)
    request = urllib.request.Request(url, headers=_headers(part, have))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as stream:
            yield _understood(stream, part, have)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if re.fullmatch(rf"bytes \*/{have}", error.headers.get("Content-Range", "")):
                yield None
                return
            part.unlink()  # longer than the file: it belongs to another one
            raise _Broken("what was kept does not fit the file") from error
        if error.code >= 500:
            raise _Broken(f"the server answers {error.code}") from error
        raise FetchError(f"{url} answers {error.code} ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(getattr(error, "reason", None) or error) or type(error).__name__) from error


def _headers(part: Path, have: int) -> dict[str, str]:
    headers = {"User-Agent": "apprentice", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _validator(part).exists():
            headers["If-Range"] = json.loads(_validator(part).read_text(encoding="utf-8"))["etag"]
    return headers


def _understood(stream: http.client.HTTPResponse, part: Path, have: int) -> _Answer:
    found = _CONTENT_RANGE.fullmatch(stream.headers.get("Content-Range", ""))
    if stream.status == 206 and found and int(found[1]) == have:
        return _Answer(stream, have, None if found[2] == "*" else int(found[2]))
    if stream.status == 206:
        raise FetchError(f"{stream.url} answers with another part of the file than was asked for")
    etag = stream.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):  # If-Range takes strong validators only
        write_whole(_validator(part), json.dumps({"etag": etag}))
    else:
        _validator(part).unlink(missing_ok=True)
    length = stream.headers.get("Content-Length")
    return _Answer(stream, 0, int(length) if length else None)


def _blocks(stream: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _validator(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
