"""τ²-bench's retail and airline domains, for evaluation only."""

from data.sources.tau2_bench.source import SOURCE

__all__ = ["SOURCE"]
