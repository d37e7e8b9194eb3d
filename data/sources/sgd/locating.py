"""Finds a raw dialogue again by its record id, for lineage: the file, the place in it, and the record itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from data.sources.base import RawPlace
from data.sources.sgd.raw import DIRECTORIES, UnreadableFile, dialogue_files, load_dialogues


def find_record(root: Path, record_id: str) -> RawPlace | None:
    """The record named ``<directory>/<dialogue id>``, or None.

    Dialogue ids begin with the number of their file, so that one is looked at first; the others follow in order.
    """
    directory, _, dialogue_id = record_id.partition("/")
    likely = f"dialogues_{dialogue_id.partition('_')[0].zfill(3)}.json"
    files = dialogue_files(root, directory) if directory in DIRECTORIES else []
    for path in sorted(files, key=lambda file: not file.name.startswith(likely)):
        try:
            records = load_dialogues(path)
        except UnreadableFile:
            continue  # ingestion has quarantined it: no record is known to come from there
        for position, record in enumerate(records):
            if isinstance(record, dict) and record.get("dialogue_id") == dialogue_id:
                content = json.dumps(record, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
                return RawPlace(
                    file=str(path), position=position, sha256=hashlib.sha256(content).hexdigest(), record=record
                )
    return None
