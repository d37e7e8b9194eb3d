"""What a machine computes with is what it is faster in, unless the settings say otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from data.profiles import resolve
from flows.cli import app
from models import compute
from models.training.job import TrainingJob
from models.training.loop import common_arguments
from tasks import machine
from tasks.addresses import training_address
from tasks.records import Record

ON_A_CPU = {"device": "cpu"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, isolated_var: Path) -> Iterator[pytest.MonkeyPatch]:
    """A CPU that torch takes bf16 on, as on all with AVX-512, and that was not timed yet; without compiled kernels
    unless the test says so."""
    compute._decided.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr("models.engine.native.library.without_kernels", lambda: "none in this test")
    yield monkeypatch
    compute._decided.cache_clear()


@pytest.mark.parametrize(
    ("single", "half", "takes"),
    [
        (300e9, 50e9, "float32"),  # AVX-512 without bf16 instructions: products are emulated
        (300e9, 150e9, "float32"),  # with them, at half the speed
        (160e9, 966e9, "bf16"),
        (300e9, 270e9, "bf16"),  # about alike: it halves what activations take
    ],
)
def test_training_takes_the_precision_that_is_faster(
    clock: pytest.MonkeyPatch, tmp_path: Path, single: float, half: float, takes: str
) -> None:
    clock.setattr(compute, "product_rates", lambda device: (single, half))
    settings = resolve("laptop", ON_A_CPU)
    job = TrainingJob("run", "0" * 12, tmp_path, tmp_path, settings)
    assert compute.training_precision(settings) == takes
    assert common_arguments(job, settings.sft)["bf16"] == (takes == "bf16")
    assert compute.decode_dtype(settings) == (torch.bfloat16 if takes == "bf16" else torch.float32)


def test_what_was_decided_once_stays_for_the_machine(clock: pytest.MonkeyPatch) -> None:
    """Whatever a later process would have timed: half a training in each precision is no training that goes on."""
    settings = resolve("laptop", ON_A_CPU)
    found = []
    for rates, who in (((3.0, 1.0), "one"), ((1.0, 3.0), "one"), ((1.0, 3.0), "another"), ((3.0, 1.0), "another")):
        clock.setattr(compute, "product_rates", lambda device, rates=rates: rates)
        clock.setattr(compute, "processor", lambda who=who: who)
        compute._decided.cache_clear()  # a process of its own
        found.append(compute.training_precision(settings))
    assert found == ["float32", "float32", "bf16", "bf16"]


@pytest.mark.parametrize("said", ["bf16", "float32"])
def test_a_stated_precision_makes_a_model_of_its_own(said: str) -> None:
    start = Record(stage="base", key="b", status="done", run_id="b" * 32, model_sha256="weights", dataset_version="d")
    keys = {
        precision: training_address("sft", resolve("smoke", {"precision": precision}), start).key
        for precision in ("auto", said)
    }
    assert keys["auto"] == training_address("sft", resolve("smoke"), start).key
    assert keys[said] != keys["auto"]


@pytest.mark.parametrize("said", ["bf16", "float32"])
def test_the_settings_have_the_last_word_and_nothing_is_timed(clock: pytest.MonkeyPatch, said: str) -> None:
    clock.setattr(compute, "product_rates", lambda device: pytest.fail("timed"))
    clock.setattr("models.engine.native.library.without_kernels", lambda: None)
    settings = resolve("laptop", {**ON_A_CPU, "precision": said})
    assert compute.training_precision(settings) == said
    assert compute.decode_dtype(settings) == {"bf16": torch.bfloat16, "float32": torch.float32}[said]


def test_compiled_kernels_decode_in_bf16_where_training_does_not(clock: pytest.MonkeyPatch) -> None:
    clock.setattr(compute, "product_rates", lambda device: (300e9, 150e9))
    clock.setattr("models.engine.native.library.without_kernels", lambda: None)
    settings = resolve("laptop", ON_A_CPU)
    assert compute.training_precision(settings) == "float32"
    assert compute.training_dtype(settings) == torch.float32
    assert compute.decode_dtype(settings) == torch.bfloat16


def test_a_cpu_that_torch_has_no_bf16_for_is_not_timed(clock: pytest.MonkeyPatch) -> None:
    clock.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    clock.setattr(compute, "product_rates", lambda device: pytest.fail("timed"))
    assert compute.training_precision(resolve("laptop", ON_A_CPU)) == "float32"


def test_products_are_timed_once_and_in_operations_a_second() -> None:
    """Between a tenth of a GFLOP/s and a hundred TFLOP/s, which holds every CPU there is."""
    compute.product_rates.cache_clear()
    found = compute.product_rates("cpu")
    assert all(1e8 < rate < 1e14 for rate in found)
    assert compute.product_rates("cpu") is found


@pytest.mark.parametrize(("said", "state"), [("bf16", "note"), ("float32", "good")])
def test_the_doctor_tells_who_has_chosen_the_slower_one(clock: pytest.MonkeyPatch, said: str, state: str) -> None:
    clock.setattr(compute, "product_rates", lambda device: (300e9, 150e9))
    clock.setenv("APPRENTICE_PRECISION", said)
    clock.setenv("APPRENTICE_DEVICE", "cpu")
    (finding,) = machine.arithmetic()
    assert finding.state == state
    assert f"300 GFLOP/s in float32, 150 in bf16; training computes in {said}" in finding.says
    assert ("APPRENTICE_PRECISION" in finding.cure) == (state == "note")


def test_no_other_precision_is_taken() -> None:
    told = CliRunner().invoke(app, ["plan", "--set", "precision=fp16"])
    assert told.exit_code != 0
    assert "bf16" in told.output
