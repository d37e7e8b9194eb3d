"""A finished model as a folder that others can use: weights, tokenizer, how to talk to it, and what it was measured at.

The weights are those that were judged, to the byte (adapters were merged when they were saved). The tokenizer carries
the chat template, which thinks by default if the model was trained to, and the response template, by which servers
turn its text into tool calls. Nothing in the folder is code.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.snapshot import ASIDE
from models.base import file_sha256
from models.speech.response import RESPONSE_TEMPLATE, exported_chat_template

#: Written last: it is there = the export is whole.
FACTS = "apprentice.json"
CARD = "README.md"


class ExportError(Exception):
    """The model cannot be exported; the message says what to do."""


@dataclass(frozen=True)
class Result:
    """One line of the model card's table."""

    where: str
    """Which turns: ``seen tools, validation``."""
    metric: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Origin:
    """What the card says about where a model comes from."""

    name: str
    stage: str
    run_id: str
    dataset_version: str
    thinking: bool
    """Whether it was trained to think, which becomes the default of its chat template."""
    base_model: str
    git_commit: str
    max_new_tokens: int
    """Tokens it may write at a turn; as it was evaluated."""
    results: Sequence[Result] = ()
    judged: str = ""
    """One sentence on how ``results`` came about."""


def export_model(model_dir: Path, target: Path, origin: Origin) -> dict[str, str]:
    """Write the export of the model in ``model_dir`` to ``target``; returns the SHA-256 of every file in it.

    Raises:
        ExportError: ``target`` holds something else or cannot be made, or ``model_dir`` has no safetensors weights.
    """
    if not list(model_dir.glob("*.safetensors")):
        raise ExportError(f"{model_dir} holds no safetensors weights; train or evaluate the model again")

    def write(room: Path) -> Path:
        made = room / "export"
        made.mkdir()
        _copy_weights(model_dir, made)
        _save_tokenizer(model_dir, made, origin)
        _save_generation(made, origin)
        (made / CARD).write_text(model_card(origin), encoding="utf-8")
        files = {file.name: file_sha256(file) for file in sorted(made.iterdir())}
        (made / FACTS).write_text(json.dumps(_facts(origin, files), indent=2), encoding="utf-8")
        return made

    return _digests(put_in_place(target, write))


def put_in_place(target: Path, write: Callable[[Path], Path]) -> Path:
    """Put what is written now where an earlier export may be, whole or not at all; returns the folder.

    Args:
        target: The folder.
        write: Gets an empty folder beside it, and returns the one in there that is to take the place.

    Raises:
        ExportError: ``target`` holds something else, or cannot be made.
    """
    target = target.resolve()  # "." is a folder within its parent, too
    with _unmade(target):
        if others := not_ours(target):
            raise ExportError(
                f"{target} holds what is no part of an earlier export ({'; '.join(others[:4])}), and an export "
                "replaces its folder whole: move that away, or name another folder with --to"
            )
        if target.exists() and not os.access(target, os.W_OK):  # it could be set aside, but not be removed
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        target.parent.mkdir(parents=True, exist_ok=True)
        making = tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-")
    with making as room:
        made = write(Path(room))
        with _unmade(target):
            _swap(made, target)
    return target


@contextmanager
def _unmade(target: Path) -> Iterator[None]:
    """Say which folder cannot be made; of a full disk those speak who know what can go."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ExportError(
            f"{target} cannot be made ({error.strerror or error}): name another folder with --to"
        ) from error


def _swap(made: Path, target: Path) -> None:
    """The former is whole until the new one is there: who is killed in between finds it beside, under a hidden name."""
    aside = target.with_name(f".{target.name}{ASIDE}")
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
    try:
        made.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def not_ours(folder: Path) -> list[str]:
    """Names in a folder that no export wrote, or that were changed since."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        return [folder.name]
    try:
        known = _digests(folder) if (folder / FACTS).exists() else {}
    except (ValueError, KeyError, TypeError):
        return [f"{FACTS}, which cannot be read"]
    found = sorted(one for one in folder.iterdir() if one.name != FACTS)
    others = [one for one in found if not one.is_file() or known.get(one.name) != file_sha256(one)]
    return [f"{one.name}, changed since" if one.name in known else one.name for one in others]


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an export, as it was written."""
    return dict(json.loads((folder / FACTS).read_text(encoding="utf-8"))["sha256"])


def _copy_weights(model_dir: Path, target: Path) -> None:
    for pattern in ("*.safetensors", "*.safetensors.index.json", "config.json"):
        for file in model_dir.glob(pattern):
            shutil.copyfile(file, target / file.name)


def _save_tokenizer(model_dir: Path, target: Path, origin: Origin) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False)
    tokenizer.chat_template = exported_chat_template(thinking=origin.thinking)
    tokenizer.response_template = RESPONSE_TEMPLATE
    tokenizer.save_pretrained(target)


def _save_generation(target: Path, origin: Origin) -> None:
    """Greedy, as it was judged; ends at the end of its turn."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(target, local_files_only=True, trust_remote_code=False)
    GenerationConfig(
        do_sample=False,
        max_new_tokens=origin.max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(target)


def _facts(origin: Origin, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": origin.name,
        "stage": origin.stage,
        "run_id": origin.run_id,
        "dataset_version": origin.dataset_version,
        "thinking": origin.thinking,
        "base_model": origin.base_model,
        "git_commit": origin.git_commit,
        "sha256": dict(files),
    }


def model_card(origin: Origin) -> str:
    """The card: what it is, what it was measured at, how to use it, what it is not for."""
    mode = "thinks before it acts" if origin.thinking else "acts without thinking aloud"
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "tags: [tool-calling, conversational]",
            "---",
            f"# {origin.name}",
            "",
            f"A conversational agent that calls tools and {mode}. Stage `{origin.stage}` of an Apprentice run.",
            "",
            "| | |",
            "| --- | --- |",
            f"| base model | `{origin.base_model}` |",
            f"| dataset version | `{origin.dataset_version}` |",
            f"| run | `{origin.run_id}` |",
            f"| code | `{origin.git_commit}` |",
            "",
            "## Results",
            "",
            *_results(origin),
            "",
            "## Use",
            "",
            "The tokenizer holds the chat template (ChatML; tools as JSON, calls in `<tool_call>` blocks) and a",
            "response template, so `tokenizer.parse_response` and `transformers serve` give structured tool calls.",
            f"Unless told otherwise (`enable_thinking`) it {mode}. Decoding is greedy, as it was judged.",
            "",
            f"    transformers serve {shlex.quote(f'./{origin.name}')} --port 8000",
            "",
            f"Clients then name the model `./{origin.name}`, to the letter; `/v1/models` lists nothing.",
            "",
            "## Limits",
            "",
            "Calls are the model's wish, not a deed: check name and arguments against the tools on offer before you",
            "execute one. It was trained on task-oriented conversations and knows nothing of the world beyond what its",
            f"base model learned. {_to_expect(origin)}",
            "",
        ]
    )


def _to_expect(origin: Origin) -> str:
    if any(one.metric == "turn success" and "unseen" in one.where for one in origin.results):
        return "Turn success on unseen tools, above, is what to expect on yours at best."
    return "How it does on tools that were not in its training is not shown above."


def _results(origin: Origin) -> list[str]:
    if not origin.results:
        return ["Not evaluated yet."]
    lines = [
        f"| {one.where} | {one.metric} | {100 * one.mean:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}] | {one.n} |"
        for one in origin.results
    ]
    return [origin.judged, "", "| turns | metric | share, 95 % interval | n |", "| --- | --- | --- | --- |", *lines]
