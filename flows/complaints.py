"""Errors a person can act on become one message and an exit code; what nobody expected keeps its traceback.

Exit codes: 1 the job cannot go on, 2 wrong usage, 130 interrupted by Ctrl-C, or by SIGTERM where a stage could end its
step and save, 143 by SIGTERM elsewhere.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_GO_ON = "run the same command again to go on where it was (less --force, which begins anew)"

#: By name, because importing them all would make the door heavy; a test sees to it that each exists.
EXPECTED = (
    "data.settings.UnknownVariable",
    "data.sources.base.SourceError",
    "data.warehouse.WarehouseError",
    "data.snapshot.SnapshotError",
    "data.parquet.DamagedFile",
    "data.query.QueryError",
    "data.episodes.EpisodeError",
    "models.rewards.user_reward.RewardError",
    "data.diff.UnknownVersion",
    "data.forget.UnknownConversation",
    "data.lineage.NoLineage",
    "models.registry.TrackingAway",
    "models.champions.RegistryError",
    "models.uploads.UploadFailed",
    "models.evaluation.promotion.NothingShared",
    "models.export.ExportError",
    "tasks.promotion.NoChampion",
    "tasks.promotion_scope.NotAsRecorded",
    "models.base.BaseModelError",
    "models.training.sft.EmptySplit",
    "models.training.ranks.RanksError",
    "models.training.replay.ReplayError",
    "tasks.records.MissingUpstream",
    "tasks.held_out.ReadBefore",
    "tasks.locks.Busy",
    "tasks.selection.SelectionError",
    "flows.services.ServiceError",
    "flows.server.ServerError",
    "flows.compare_arms.StepsFailed",
    "tasks.evaluation.NothingToEvaluate",
    "models.evaluation.thoughts.NoThoughts",
)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: safetensors and torch, SQLite, DuckDB.
_NO_ROOM_SAID = ("No space left on device", "File too large", "PytorchStreamWriter failed writing", "disk is full")


def expected(error: BaseException) -> bool:
    """Whether this is one of ours; only modules that are already loaded can have raised it."""
    for name in EXPECTED:
        module, _, kind = name.rpartition(".")
        if module in sys.modules and isinstance(error, getattr(importlib.import_module(module), kind)):
            return True
    return False


def disk_full(error: BaseException) -> str | None:
    """What to say if the error, or one behind it, means that nothing more can be written; each library has its own."""
    from data import paths

    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    by_number = any(isinstance(each, OSError) and each.errno in _NO_ROOM for each in chain)
    by_words = any(words in str(each) for each in chain for words in _NO_ROOM_SAID)
    if not by_number and not by_words:
        return None
    free = shutil.disk_usage(paths.var()).free / 1e6
    return (
        f"nothing more can be written under {paths.var()} ({free:,.0f} MB free): {str(error)[:200]}\n"
        f"Make room (`apprentice data gc` shows what can go), then {_GO_ON}."
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Within a command: complain on stderr and leave with the right exit code."""
    from pydantic import ValidationError

    try:
        yield
    except KeyboardInterrupt as interrupt:
        _leave(str(interrupt) or f"stopped; {_GO_ON}", 130)
    except ValidationError as error:
        _leave(_settings_complaint(error), 1)
    except Exception as error:
        if full := disk_full(error):
            _leave(full, 1)
        if not expected(error):
            raise
        _leave(str(error), 1)
    except BaseException as error:
        if type(error).__name__ != "TerminationSignal":
            raise
        _leave(f"stopped by SIGTERM; {_GO_ON}", 143)


def _settings_complaint(error: object) -> str:
    from pydantic import ValidationError

    assert isinstance(error, ValidationError)
    rows = [(".".join(str(part) for part in each["loc"]), _in_words(each)) for each in error.errors()]
    lines = [f"  {where or 'settings'}: {message.removeprefix('Value error, ')}" for where, message in rows]
    return "these settings cannot be used:\n" + "\n".join(lines)


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a setting: of a name that is none, which was meant; of a section, that it has names."""
    where = [str(part) for part in fault["loc"]]
    if fault["type"] == "extra_forbidden":
        known = _names_in(where[:-1])
        meant = difflib.get_close_matches(where[-1], known, n=1, cutoff=0.6)
        instead = f"did you mean {'.'.join([*where[:-1], meant[0]])}" if meant else f"there are {', '.join(known)}"
        return f"no such setting; {instead}" + ("?" if meant else "")
    if fault["type"] == "model_type":
        return f"this has settings of its own, as in {where[-1]}.{_names_in(where)[0]}: {', '.join(_names_in(where))}"
    return fault["msg"]


def _names_in(section: Sequence[str]) -> list[str]:
    """Names of the settings in a section, in their order; empty if it is none."""
    from pydantic import BaseModel

    from data.settings import Settings

    model: type[BaseModel] = Settings
    for name in section:
        found = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return []
        model = found
    return list(model.model_fields)


def _leave(message: str, code: int) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(code)
