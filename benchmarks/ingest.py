"""Ingestion: a copy of SGD to a published dataset version, against a plain json + pandas loop that makes the same rows.

    .venv/bin/python benchmarks/ingest.py --path ../shared/data/sgd
    .venv/bin/python benchmarks/ingest.py --path ../shared/data/sgd --scale 0.01 --no-peer
    .venv/bin/python benchmarks/ingest.py --path ../shared/data/sgd --scale 10 --no-peer

Ours is all of ``data.ingest``: fingerprint, reading, every check, splits, MinHash against everything judged, warehouse
and snapshot. The peer is what one would write in an afternoon: ``json.loads``, the mapping, ``jsonschema.validate`` for
each call, lists of dictionaries, data frames, Parquet; it looks for no duplicates and has no warehouse. ``--scale``
below 1 takes the first files of each split directory, above 1 that many copies with ids of their own. Each side runs in
a process of its own, whose resident memory, children included, is sampled 20 times a second. The rows of both are
compared. The last line is JSON: seconds of ours and the peer and how many times longer the peer takes (``ratio``).
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLES = ("conversations", "messages", "tools", "calls", "decision_points")
DIRECTORIES = ("train", "dev", "test")
_ID = re.compile(rb'("dialogue_id":\s*")')


def main() -> None:
    """Time both sides and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        {"ours": run_ours, "peer": run_peer}[chosen.side](chosen.path, chosen.out)
        return
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(chosen.path, chosen.scale, Path(directory), with_peer=not chosen.no_peer)))


def measure(path: Path, scale: float, directory: Path, *, with_peer: bool) -> dict[str, Any]:
    """The result line."""
    data = path if scale == 1 else scaled(path, scale, directory / "sgd")
    ours, our_memory = time_side("ours", data, directory / "var")
    result: dict[str, Any] = {
        "benchmark": "ingest",
        "scale": scale,
        "megabytes": round(unpacked(data) / 1e6, 1),
        "conversations": count_rows(snapshot_in(directory / "var"), "conversations"),
        "ours": round(ours, 2),
        "peak_rss_gb": round(our_memory / 1e9, 2),
    }
    if with_peer:
        peer, peer_memory = time_side("peer", data, directory / "peer")
        same = same_rows(snapshot_in(directory / "var"), directory / "peer")
        result |= {"peer": round(peer, 2), "peer_rss_gb": round(peer_memory / 1e9, 2), "same_rows": same}
        result["ratio"] = round(peer / ours, 2)
    return result


def time_side(side: str, data: Path, out: Path) -> tuple[float, int]:
    """Seconds of one side as it says itself, and the most memory its processes held together, in bytes."""
    import psutil

    out.mkdir()
    command = [sys.executable, __file__, "--path", str(data), "--side", side, "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "APPRENTICE_VAR": str(out)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    watched = psutil.Process(process.pid)
    most = 0
    while process.poll() is None:
        most = max(most, resident(watched))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{side} failed, see above")
    return float(process.communicate()[0].splitlines()[-1]), most


def resident(process: Any) -> int:
    """Bytes of a process and its children; those that have just ended count nothing."""
    import psutil

    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def scaled(path: Path, scale: float, target: Path) -> Path:
    """A smaller or larger copy of the data."""
    for directory in DIRECTORIES:
        files = sorted((path / directory).glob("dialogues_*.json*"))
        place = target / directory
        place.mkdir(parents=True)
        (place / "schema.json").write_bytes((path / directory / "schema.json").read_bytes())
        if scale < 1:
            for file in files[: math.ceil(len(files) * scale)]:
                (place / file.name).symlink_to(file.resolve())
            continue
        for number in range(round(scale)):
            for file in files:
                content = _ID.sub(rb"\g<1>c%d_" % number, read(file))
                name = f"dialogues_{number:02d}{file.name.removeprefix('dialogues_').removesuffix('.gz')}.gz"
                (place / name).write_bytes(gzip.compress(content, 1))
    return target


def read(file: Path) -> bytes:
    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == ".gz" else content


def unpacked(path: Path) -> int:
    """Bytes of all dialogue files, unpacked."""
    return sum(len(read(file)) for directory in DIRECTORIES for file in (path / directory).glob("dialogues_*.json*"))


def snapshot_in(var: Path) -> Path:
    return next(file.parent for file in (var / "datasets").glob("*/manifest.json"))


def count_rows(directory: Path, table: str) -> int:
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(directory / f"{table}.parquet").metadata.num_rows)


def same_rows(ours: Path, peer: Path) -> bool:
    """Whether both hold the same rows in every column that the peer has."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("SET memory_limit = '1GB'")
        for table in TABLES:
            one, other = (f"read_parquet('{directory / f'{table}.parquet'}')" for directory in (ours, peer))
            names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {other}").fetchall()]
            columns = ", ".join(f"hash({name}::VARCHAR)" for name in names)
            for left, right in ((one, other), (other, one)):
                query = f"SELECT count(*) FROM (SELECT {columns} FROM {left} EXCEPT ALL SELECT {columns} FROM {right})"
                found = connection.execute(query).fetchone()
                if found is None or found[0]:
                    print(f"{table}: {found} rows differ", file=sys.stderr)
                    return False
    return True


def run_ours(path: Path, out: Path) -> None:
    """All of ingestion; prints its seconds."""
    started = time.perf_counter()
    from data.ingest import ingest
    from data.reporting import Silent
    from data.settings import DataSettings

    ingest(DataSettings(source="sgd", path=path), Silent())
    print(time.perf_counter() - started)


def run_peer(path: Path, out: Path) -> None:
    """The plain loop; prints its seconds."""
    started = time.perf_counter()
    import jsonschema
    import pandas as pd

    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for conversation in plain_conversations(path):
        writes = {tool.name: tool.is_write for tool in conversation.tools}
        schemas = {tool.name: tool.parameters for tool in conversation.tools}
        try:
            for message in conversation.messages:
                if message.role != "tool" and not message.tool_calls and not (message.content or "").strip():
                    raise ValueError("empty message")
                for call in message.tool_calls:
                    if not call.arguments.keys() <= schemas[call.name]["properties"].keys():
                        raise ValueError("unknown argument")
                    jsonschema.validate(call.arguments, schemas[call.name])
        except (ValueError, KeyError, jsonschema.ValidationError):
            continue
        add_rows(rows, conversation, writes)
    for table, found in rows.items():
        order = [name for name in ("conversation_id", "message_index", "tool_index", "call_index") if name in found[0]]
        frame = pd.DataFrame(found).sort_values(order)
        frame.to_parquet(out / f"{table}.parquet", compression="zstd", index=False)
    print(time.perf_counter() - started)


def plain_conversations(path: Path) -> Iterator[Any]:
    """Conversations by the mapping that ingestion uses, one file after the other."""
    from data.schema import Conversation
    from data.sources.sgd.index import Place
    from data.sources.sgd.source import build
    from data.sources.sgd.splits import SplitRule
    from data.sources.sgd.tools import read_services

    services = {directory: read_services(path / directory / "schema.json") for directory in DIRECTORIES}
    train = frozenset(services["train"])
    rule = SplitRule(train=train, unseen_in_test=frozenset(services["test"]) - train)
    for directory in DIRECTORIES:
        for file in sorted((path / directory).glob("dialogues_*.json*")):
            for position, record in enumerate(json.loads(read(file))):
                split = rule.split(directory, record["services"])
                place = Place(f"{directory}/{record['dialogue_id']}", split, directory, file, position)
                item, _ = build(record, services[directory], place, 3)
                if isinstance(item, Conversation):
                    yield item


def add_rows(rows: dict[str, list[dict[str, Any]]], conversation: Any, writes: dict[str, bool]) -> None:
    """One dictionary per row of every table."""
    from data.decision_points import decision_points

    name = {"conversation_id": conversation.id}
    record = {**name, "source": conversation.source, "record_id": conversation.record_id, "split": conversation.split}
    record |= {"num_messages": len(conversation.messages), "num_tools": len(conversation.tools)}
    rows["conversations"].append({**record, "record": conversation.model_dump_json()})
    for index, message in enumerate(conversation.messages):
        facts = json.dumps([fact.model_dump(mode="json") for fact in message.facts], ensure_ascii=False)
        row = {**name, "message_index": index, "role": message.role, "content": message.content, "facts": facts}
        row |= {"tool_call_id": message.tool_call_id, "num_calls": len(message.tool_calls)}
        row |= {"acts": [str(act) for act in message.acts], "requested": list(message.requested)}
        rows["messages"].append({**row, "rationale": message.rationale})
        for number, call in enumerate(message.tool_calls):
            row = {**name, "message_index": index, "call_index": number, "id": call.id, "name": call.name}
            row |= {"arguments": json.dumps(call.arguments, ensure_ascii=False), "arguments_raw": call.arguments_raw}
            rows["calls"].append({**row, "is_write": writes.get(call.name)})
    for index, tool in enumerate(conversation.tools):
        row = {**name, "tool_index": index, "name": tool.name, "description": tool.description}
        parameters = json.dumps(tool.parameters, ensure_ascii=False)
        rows["tools"].append({**row, "parameters": parameters, "is_write": tool.is_write})
    for point in decision_points(conversation):
        row = {"decision_point_id": point.id, **name, "message_index": point.message_index, "source": point.source}
        row |= {"split": point.split, "domain": point.domain, "kind": point.kind, "tool": point.tool}
        counts = {"num_calls": len(point.expected.tool_calls), "num_facts": len(point.expected.facts)}
        rows["decision_points"].append({**row, **counts})


if __name__ == "__main__":
    main()
