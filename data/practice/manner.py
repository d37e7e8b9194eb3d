"""How a user behaves and speaks: drawn once per user, independent of what they want."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Manner:
    """One user's manner; ``PLAIN`` is the user whom the gold state is computed with."""

    eagerness: float = 1.0
    """Probability that the opening mentions a value the desk will need: 1 is all at once, 0 one slot at a time."""
    one_at_a_time: bool = False
    errs: bool = False
    """Whether values of ``Goal.first`` are said first and put right later."""
    changes_mind: bool = False
    """Whether what was said first is put right when something is offered, not only at the confirmation."""
    asks_outside: bool = False
    announces: bool = False
    """Whether a user with two errands says so at once."""
    chatty: bool = False
    takes_leave: bool = True
    terse: float = 0.0
    """Probability of answering with the bare value."""
    typo_rate: float = 0.0
    """Share of words (never of values) with a slip of the keyboard."""

    @classmethod
    def sample(cls, rng: Random) -> Manner:
        """Draw a manner; shares are tuned so that calls are about four in ten assistant turns."""
        return cls(
            eagerness=rng.choice((1.0, 0.8, 0.6, 0.3, 0.1, 0.0)),
            one_at_a_time=rng.random() < 0.4,
            errs=rng.random() < 0.8,
            changes_mind=rng.random() < 0.4,
            asks_outside=rng.random() < 0.25,
            announces=rng.random() < 0.3,
            chatty=rng.random() < 0.12,
            takes_leave=rng.random() < 0.5,
            terse=rng.choice((0.2, 0.4, 0.7)),
            typo_rate=rng.choice((0.0, 0.0, 0.0, 0.03, 0.08)),
        )


PLAIN = Manner()
