"""A reward of the user's own: one Python file with one function, given by its path.

    # my_reward.py
    def reward(point, parsed):
        return 1.0 if parsed.ok and len(parsed.calls) == len(point.expected.tool_calls) else 0.0

``point`` is a ``data.schema.DecisionPoint`` and ``parsed`` a ``models.speech.parsing.Parsed``; one finite number comes
back. The file is the user's own code and runs as such. What is wrong with it is said before a training starts, and a
result that is no number stops the run at once: a silent zero would train a model on nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.schema import DecisionPoint
from models.speech.parsing import Parsed

FUNCTION = "reward"


class RewardError(ValueError):
    """A reward cannot be used; the message says why and what to do."""


def load_user_reward(path: Path) -> Callable[[DecisionPoint, Parsed], float]:
    """The function ``reward(point, parsed) -> float`` of a file, checked at each call.

    Raises:
        RewardError: No such file, it does not import, or it has no function ``reward``.
    """
    function = getattr(_module(path), FUNCTION, None)
    if not callable(function):
        raise RewardError(f"{path} has no function {FUNCTION}(point, parsed); define one that returns a number")

    def checked(point: DecisionPoint, parsed: Parsed) -> float:
        try:
            value = function(point, parsed)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise RewardError(f"{path} failed on decision point {point.id} ({what}); it must score any text") from error
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RewardError(f"{path} returned {value!r} for decision point {point.id}; return a finite number")
        return float(value)

    return checked


def user_reward_digest(path: Path) -> str:
    """12 hex characters of the file's bytes: a changed file is another reward."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _module(path: Path) -> Any:
    if not path.is_file():
        raise RewardError(f"no reward file {path}; give the path of a Python file with a function {FUNCTION}")
    spec = importlib.util.spec_from_file_location(f"user_reward_{user_reward_digest(path)}", path)
    if spec is None or spec.loader is None:
        raise RewardError(f"{path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RewardError(f"{path} does not import ({type(error).__name__}: {error}); put that right first") from error
    return module
