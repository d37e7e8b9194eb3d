"""The estimator of benchmarks/gradients.py finds what made-up gradients were made with."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARK = Path(__file__).resolve().parent.parent / "benchmarks" / "gradients.py"
CONVERSATIONS, PROMPTS, SIZE = 60, 4, 20_000
SIGNAL = 0.2


@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_share_of_variance_and_noise_scale_are_found(shared: float) -> None:
    alike: Any = runpy.run_path(str(BENCHMARK))["alike"]
    chance = np.random.default_rng(0)
    mean = chance.normal(size=SIZE) * SIGNAL
    common = chance.normal(size=(CONVERSATIONS, 1, SIZE)) * shared**0.5
    own = chance.normal(size=(CONVERSATIONS, PROMPTS, SIZE)) * (1 - shared) ** 0.5
    rows = (mean + common + own).reshape(-1, SIZE)
    names = [str(number) for number in range(CONVERSATIONS) for _ in range(PROMPTS)]
    found = alike(rows @ rows.T, names, draws=300)
    low, high = found["interval"]
    assert found["rho"] == pytest.approx(shared, abs=0.005)
    assert low <= found["rho"] <= high
    assert high - low < 0.02
    assert found["noise_scale"] == pytest.approx(1 / SIGNAL**2, rel=0.1)
