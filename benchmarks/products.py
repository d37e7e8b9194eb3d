"""Products of one decoding step in float32: weights kept in oneDNN's layout against torch's linear, which packs them.

    .venv/bin/python benchmarks/products.py --rows 40

Shapes are those of SmolLM2-135M: 30 layers of four products, and the head. Both sides multiply the same rows in turn,
and the shortest of several rounds counts. The last line is JSON: milliseconds of the products of one step, ours and
torch's, and how many times longer torch takes (``ratio``).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F
from workload import tell

from models.engine.lean import _product

#: Inputs and outputs of a layer's products, into and out of attention and MLP, and how many layers there are.
LAYER, LAYERS = ((576, 960), (576, 576), (576, 3072), (1536, 576)), 30
HEAD = (576, 49_152)


def shortest(rounds: int, sides: Sequence[Callable[[], object]]) -> list[float]:
    """Milliseconds of each side's quickest call, the sides taking turns."""
    spent: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for one, side in zip(spent, sides, strict=True):
            began = time.perf_counter()
            side()
            one.append(1000 * (time.perf_counter() - began))
    return [min(one) for one in spent]


def main() -> None:
    """Time both sides and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40, help="completions that are decoded together")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    ours = theirs = 0.0
    with torch.inference_mode():
        for (inputs, outputs), times in [*((shape, LAYERS) for shape in LAYER), (HEAD, 1)]:
            layer, rows = torch.nn.Linear(inputs, outputs, bias=False), torch.randn(given.rows, inputs)
            packed = _product([layer])
            assert torch.allclose(packed(rows), layer(rows), atol=1e-4)
            found = shortest(given.rounds, [partial(packed, rows), partial(F.linear, rows, layer.weight)])
            ours, theirs = ours + times * found[0], theirs + times * found[1]
            print(f"{inputs} to {outputs}: packed {found[0]:.2f} ms, plain {found[1]:.2f} ms", flush=True)
    tell("products", ours, {"torch's linear": theirs}, rows=given.rows, unit="ms")


if __name__ == "__main__":
    main()
