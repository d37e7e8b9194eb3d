"""Errors a live system gives now and then, whatever the arguments: time-outs, seeded, never twice in a row."""

from __future__ import annotations

from random import Random

from data.practice.declarations import Row

TIME_OUT: Row = {"error": "time-out, please try again"}


class Weather:
    """How reliable the tools are in one episode."""

    def __init__(self, rate: float, rng: Random) -> None:
        """``rate``: share of calls that time out without any effect."""
        self.rate = rate
        self.rng = rng
        self.last = False

    def strikes(self) -> bool:
        """Whether this call times out."""
        self.last = not self.last and self.rng.random() < self.rate
        return self.last
