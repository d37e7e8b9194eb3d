"""Downloading SGD from a server on this machine: resumed, checked against what is pinned, and unable to escape."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data import fetching, paths
from data.fetching import FetchError, fetch_file
from data.ingest import ingest
from data.reporting import Silent
from data.settings import DataSettings
from data.sources import SourceError, get_source
from data.sources.sgd import download
from data.sources.sgd.download import Archive, directory, fetch, upstream

MINI = Path(__file__).parent / "fixtures" / "sgd"
TOP = "dstc8-schema-guided-dialogue-0123456789"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """Serves one file; can break off, ignore ranges, fail, or change the file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = b"", '"one"'
        self.break_after: list[int] = []
        """Bytes after which each of the next answers breaks off."""
        self.ranges, self.chunked = True, False
        self.statuses: list[int] = []
        """Status codes of the next answers."""
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/sgd.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(dict(self.headers))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = 0
        asked = self.headers.get("Range")
        if asked and server.ranges and self.headers.get("If-Range", server.etag) == server.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("ETag", server.etag)
        if not server.chunked:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.break_after:
            body = body[: server.break_after.pop(0)]
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.0)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def members() -> dict[str, bytes]:
    """The miniature as upstream lays it out, with things nobody asked for."""
    files = {
        f"{part}/{file.name}": file.read_bytes()
        for part in ("train", "dev", "test")
        for file in (MINI / part).iterdir()
    }
    files["train/dialogues_004.json"] = b"[]"
    return {**files, "LICENSE.txt": b"licence", "sgd_x/generate_sgdx_dialogues.py": b"print()", "train/notes.txt": b"x"}


def packed(files: dict[str, bytes], commit: str | None = COMMIT, extra: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    stream = io.BytesIO()
    headers = {"comment": commit} if commit else {}
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name if name.startswith(("/", "..")) else f"{TOP}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return stream.getvalue()


def archive(server: Server, **changes: Any) -> Archive:
    listed = {
        path: hashlib.sha256(content).hexdigest() for path, content in members().items() if path == "train/schema.json"
    }
    return Archive(**{"url": server.url, "commit": COMMIT, "checksums": listed, **changes})


class Listener(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


# --- one file


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    server.content = bytes(range(256)) * 5000
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == server.content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.content = bytes(range(256)) * 5000
    server.break_after = [400_000, 300_000]
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == server.content
    assert [request.get("Range") for request in server.asked] == [None, "bytes=400000-", "bytes=700000-"]


def test_what_an_earlier_call_left_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.content = b"abcdef" * 100_000
    server.break_after = [500_000, 0, 0]
    with pytest.raises(FetchError, match=r"500,000 of 600,000 bytes arrived.*500,000 bytes are kept"):
        fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert not (tmp_path / "file").exists()
    server.asked.clear()
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == server.content
    assert [request.get("Range") for request in server.asked] == ["bytes=500000-"]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.content, server.ranges = b"abcdef" * 100_000, False
    server.break_after = [500_000]
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == server.content


def test_a_file_that_changed_meanwhile_is_not_mixed(server: Server, tmp_path: Path) -> None:
    server.content = b"a" * 600_000
    server.break_after = [500_000, 0, 0]
    with pytest.raises(FetchError):
        fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    server.content, server.etag = b"b" * 600_000, '"two"'
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == server.content


def test_a_part_that_is_already_whole_is_enough(server: Server, tmp_path: Path) -> None:
    server.content = b"whole"
    (tmp_path / "file.part").write_bytes(b"whole")
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.content = b"whole"
    (tmp_path / "file.part").write_bytes(b"whole and more")
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_passing_server_error_is_tried_again_and_a_refusal_is_not(server: Server, tmp_path: Path) -> None:
    server.content, server.statuses = b"x", [503, 502]
    fetch_file(server.url, tmp_path / "file", Silent(), what="it")
    server.statuses, server.asked = [404], []
    with pytest.raises(FetchError, match="404"):
        fetch_file(server.url, tmp_path / "other", Silent(), what="it")
    assert len(server.asked) == 1


# --- SGD


def test_the_archive_becomes_a_copy_of_sgd_once(server: Server) -> None:
    server.content = packed(members())
    listener = Listener()
    root = fetch(archive(server), listener)
    assert root == directory(archive(server))
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert "train/schema.json" in found
    assert not {"train/notes.txt", "sgd_x/generate_sgdx_dialogues.py"} & set(found)
    assert (root / "train" / "dialogues_001.json").read_bytes() == (MINI / "train" / "dialogues_001.json").read_bytes()
    assert any("1 of them checked" in line for line in listener.said)
    assert fetch(archive(server), Silent()) == root
    assert len(server.asked) == 1
    assert [path.name for path in paths.downloads().iterdir()] == [root.name]


def test_ingest_without_a_path_downloads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = packed(members())
    monkeypatch.setattr(download, "upstream", lambda: archive(server))
    here = ingest(DataSettings(source="sgd", path=MINI, duplicates="report"), Silent()).conversations
    there = ingest(DataSettings(source="sgd", duplicates="report"), Silent()).conversations
    assert here["test_unseen"] == there["test_unseen"]
    assert there["train"] >= 3


def test_no_network_is_an_error_that_names_the_path_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(download, "upstream", lambda: Archive("http://127.0.0.1:9/x.tar.gz", COMMIT))
    for call in (lambda s: get_source("sgd").fingerprint(s), lambda s: list(get_source("sgd").read(s, Silent()))):
        with pytest.raises(SourceError, match=r"(?s)cannot be downloaded.*--path DIR.*train/, dev/ and test/"):
            call(DataSettings(source="sgd"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"sha256": "0" * 64}, "its sha256 is"),
        ({"commit": "f" * 40}, "made of commit 0123456789"),
        ({"checksums": {"train/schema.json": "0" * 64}}, r"train/schema\.json has sha256"),
        ({"checksums": {"train/dialogues_099.json": "0" * 64}}, r"lacks train/dialogues_099\.json"),
    ],
)
def test_what_differs_from_the_pin_is_refused(server: Server, spoil: dict[str, Any], message: str) -> None:
    server.content = packed(members())
    with pytest.raises(SourceError, match=f"{message}.*--path DIR"):
        fetch(archive(server, **spoil), Silent())
    assert list(paths.downloads().iterdir()) == []  # neither the archive nor half a copy
    if "sha256" in spoil:
        right = hashlib.sha256(server.content).hexdigest()
        assert fetch(archive(server, sha256=right), Silent()).is_dir()


def test_a_torn_archive_is_refused(server: Server) -> None:
    server.content = packed(members())[:-200]
    with pytest.raises(SourceError, match="cannot be unpacked"):
        fetch(archive(server), Silent())
    server.content = b"<html>moved</html>"
    with pytest.raises(SourceError, match="cannot be unpacked"):
        fetch(archive(server), Silent())


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{TOP}/{name}")
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize("name", ["../evil.json", "/tmp/evil.json", "train/../../../evil.json", "C:/evil.json"])
def test_paths_cannot_escape(server: Server, name: str, tmp_path: Path) -> None:
    server.content = packed({**members(), name: b"[]"})
    if name.startswith("C:"):  # below the top directory it is an odd name that nobody asks for
        fetch(archive(server), Silent())
    else:
        with pytest.raises(SourceError, match="leaves its directory"):
            fetch(archive(server), Silent())
    assert not [path for path in tmp_path.rglob("*evil*")]
    assert not Path("/tmp/evil.json").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(server: Server, kind: bytes) -> None:
    server.content = packed(members(), extra=(link("train/dialogues_088.json", "../../../../etc/passwd", kind),))
    with pytest.raises(SourceError, match="link or device"):
        fetch(archive(server), Silent())


def test_what_is_too_large_to_be_sgd_is_refused_before_it_is_written(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 20_000)
    server.content = packed({**members(), "train/dialogues_077.json": bytes(1_000_000)})
    with pytest.raises(SourceError, match="larger than SGD can be"):
        fetch(archive(server), Silent())
    monkeypatch.setattr(download, "MAX_MEMBERS", 3)
    with pytest.raises(SourceError, match="more than 3 members"):
        fetch(archive(server), Silent())


def test_the_pinned_list_is_what_upstream_has() -> None:
    pinned = upstream()
    assert pinned.commit in pinned.url
    assert len(pinned.commit) == 40
    assert {f"{part}/schema.json" for part in ("train", "dev", "test")} <= set(pinned.checksums)
    assert {f"sgd_x/data/v{n}/test/schema.json" for n in range(1, 6)} <= set(pinned.checksums)
    assert all(len(value) == 64 and int(value, 16) for value in pinned.checksums.values())


@pytest.mark.real
def test_the_pinned_list_fits_the_real_files(shared_data: Any, tmp_path: Path) -> None:
    import gzip

    root = shared_data("sgd")
    for path, expected in list(upstream().checksums.items())[::15]:
        file = root / path
        content = file.read_bytes() if file.exists() else gzip.decompress(root.joinpath(f"{path}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == expected, path
    shutil.rmtree(tmp_path)
