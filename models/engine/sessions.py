"""What was computed of a conversation that goes on: its next prompt continues the last one, so that only its new tokens
pass through the model.

Several attempts at one task begin with one prompt. They hold its keys and values together until they part; each then
keeps its own. Nothing is assumed of how a prompt came about: what it shares with the kept tokens is used, and where it
differs (reasoning dropped from the history, say) it is computed from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.engine.tree import common_prefix
from models.engine.trunks import DecodeState, Trunk


@dataclass(frozen=True)
class _Kept:
    """Keys and values of ``tokens``: the first ``visible`` in a trunk, which others may share, the rest its own."""

    tokens: list[int]
    trunk: Trunk
    visible: int
    own: Trunk


class Sessions:
    """Keys and values of conversations by name. About 46 kB a token for the 135M model in float32, so drop what ended.

    Valid for one set of weights: make a new one when the model has changed.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def __len__(self) -> int:
        """Conversations held."""
        return len(self._kept)

    def keep(self, name: str, tokens: list[int], trunk: Trunk, visible: int, state: DecodeState, row: int) -> None:
        """Keep what a decoded row has computed.

        Args:
            name: Of the conversation.
            tokens: Its tokens that were fed to the model.
            trunk: The trunk the row hangs on, of which it sees ``visible`` tokens.
            visible: See above.
            state: Holds the keys and values of the rest, in order.
            row: The row's place in ``state``.
        """
        length = len(tokens) - visible
        own = Trunk(
            [buffer[row, :, :length].clone() for buffer in state.keys],
            [buffer[row, :, :length].clone() for buffer in state.values],
        )
        self._kept[name] = _Kept(tokens, trunk, visible, own)

    def known(self, tokens: Sequence[int], names: Sequence[str | None]) -> Trunk | None:
        """A trunk with the longest beginning of ``tokens`` that one of the conversations holds, less one token.

        At least one token is left to compute, since a trunk is grown by a forward pass. None if nothing is known.
        """
        candidates = [self._kept[name] for name in dict.fromkeys(names) if name is not None and name in self._kept]
        if not candidates:
            return None
        shared, kept = max(((common_prefix(one.tokens, tokens), one) for one in candidates), key=lambda pair: pair[0])
        length = min(shared, len(tokens) - 1)
        return None if length < 1 else _joined(kept, length)

    def drop(self, name: str) -> None:
        """Forget a conversation that has ended."""
        self._kept.pop(name, None)


def _joined(kept: _Kept, length: int) -> Trunk:
    """The first ``length`` tokens as one trunk that nobody else holds."""
    shared, own = min(length, kept.visible), max(0, length - kept.visible)

    def join(first: list[torch.Tensor], second: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.cat([a[:, :shared], b[:, :own]], dim=1) for a, b in zip(first, second, strict=True)]

    return Trunk(join(kept.trunk.keys, kept.own.keys), join(kept.trunk.values, kept.own.values))
