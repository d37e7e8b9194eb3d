"""A finished model as a folder that others can use: weights, tokenizer, how to talk to it, and what it was measured at.

The weights are those that were judged, to the byte (adapters were merged when they were saved). The tokenizer carries
the chat template, which thinks by default if the model was trained to, and the response template, by which servers
turn its text into tool calls. Nothing in the folder is code.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        ExportError: ``target`` holds something else, or ``model_dir`` has no safetensors weights.
    """
    target = target.resolve()  # "." is a folder within its parent, too
    if others := _not_ours(target):
        raise ExportError(
            f"{target} holds what is no part of an earlier export ({', '.join(others[:4])}), and an export replaces "
            "its folder whole: move that away, or name another folder with --to"
        )
    if not list(model_dir.glob("*.safetensors")):
        raise ExportError(f"{model_dir} holds no safetensors weights; train or evaluate the model again")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as making:
        made = Path(making) / "export"
        made.mkdir()
        _copy_weights(model_dir, made)
        _save_tokenizer(model_dir, made, origin)
        _save_generation(made, origin)
        (made / CARD).write_text(model_card(origin), encoding="utf-8")
        files = {file.name: file_sha256(file) for file in sorted(made.iterdir())}
        (made / FACTS).write_text(json.dumps(_facts(origin, files), indent=2), encoding="utf-8")
        if target.exists():
            target.rename(Path(making) / "former")  # whole until the new one is there, and removed with the rest
        made.rename(target)
    return files


def _not_ours(target: Path) -> list[str]:
    """Names in a folder that no export wrote."""
    if not target.exists():
        return []
    if not target.is_dir():
        return [target.name]
    known = {FACTS}
    if (target / FACTS).exists():
        try:
            known |= set(json.loads((target / FACTS).read_text(encoding="utf-8"))["sha256"])
        except (ValueError, KeyError, TypeError):
            return [f"{FACTS}, which cannot be read"]
    return sorted(one.name for one in target.iterdir() if one.name not in known)


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
            f"    transformers serve ./{origin.name} --port 8000",
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
