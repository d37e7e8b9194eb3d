"""Berkeley Function Calling Leaderboard v4, for evaluation only."""

from data.sources.bfcl.source import SOURCE

__all__ = ["SOURCE"]
