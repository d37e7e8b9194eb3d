"""Promotion as tasks: who meets whom on what, the decision stored with its evidence, the registry moved accordingly."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data import paths, promotions
from data.schema import Split
from models import tracking
from tasks import locks, records
from tasks.export import export
from tasks.held_out import chosen_on
from tasks.promotion_record import finish, keep, lock_of, note_rollback, tell
from tasks.promotion_text import describe
from tasks.records import Record
from tasks.stage import say

if TYPE_CHECKING:
    from models.champions import Registered
    from models.evaluation.promotion import Decision
    from models.evaluation.verdicts import Pairs

#: The registered model that promotions are about unless a name is given.
NAME = "apprentice"


class NoChampion(Exception):
    """A registered model has no champion; the message says what to do."""


class Contest(NamedTuple):
    """Run ids of the two, and the dataset version both are judged on."""

    challenger: str
    champion: str | None
    dataset_version: str

    @property
    def decided(self) -> bool:
        """Whether the challenger is the champion already."""
        return self.challenger == self.champion


@task(name="contest", cache_policy=NO_CACHE)
def contest(name: str, challenger: Record) -> Contest:
    """Who meets whom: the challenger and the registry's champion, on the challenger's dataset.

    Raises:
        Busy: Another promotion of this name is under way.
        MissingUpstream: The champion's model is gone.
        models.registry.TrackingAway: The registry does not answer.
    """
    from models.champions import CHAMPION, holder

    with locks.hold(lock_of(name), "promote"):
        finish(name)
    champion = holder(name, CHAMPION)
    if champion is not None:
        try:
            records.of_run(champion.run_id)
        except records.MissingUpstream as error:
            raise records.MissingUpstream(
                f"{error}. The champion of {name} has to be judged beside the challenger, and its model is not on this "
                f"machine: promote where it was trained, with the APPRENTICE_VAR of then, or begin another --name; its "
                f"package stays models:/{name}@{CHAMPION}"
            ) from error
    return Contest(challenger.run_id, champion.run_id if champion else None, challenger.model_place[1])


@task(name="look-back", cache_policy=NO_CACHE)
def was_rolled_back(name: str, run_id: str) -> bool:
    """Whether the model of a run was champion of ``name`` and was taken back.

    Raises:
        models.registry.TrackingAway: The registry does not answer.
    """
    from models import champions

    # What is stored here holds also where MLflow took no note of it.
    for row in reversed(list(promotions.decisions(name))):
        if row["outcome"] == "rolled back" and row["from"]["run_id"] == run_id:
            return True
        if row["outcome"] in ("first", "promoted") and row["challenger"]["run_id"] == run_id:
            break
    return champions.rolled_back(name, run_id)


@task(name="decide", cache_policy=NO_CACHE)
def settle(
    name: str, met: Contest, evaluations: dict[str, str], splits: list[Split], policy_due: bool = False
) -> dict[str, Any]:
    """Register the challenger, compare, store the decision and its evidence, and move the alias if it is a gain.

    Args:
        name: Registered model.
        met: Who met whom.
        evaluations: Evaluation id of ``challenger`` and, if there is one, of ``champion``.
        splits: What they were judged on.
        policy_due: Whether their kind plays episodes, so that having none in common stands in the way.

    Returns:
        The stored decision (data/promotions.py).

    Raises:
        Busy: Another promotion of this name is under way.
        models.evaluation.promotion.NothingShared: They share no judged decision points of the frozen set.
        models.registry.TrackingAway: It does not answer; the same command finishes what was begun, if anything.
    """
    from models import champions, tracking

    tracking.deliver_unsent()  # the run of a model that was trained while MLflow was away has to be known by now
    challenger = records.of_run(met.challenger)
    champion = records.of_run(met.champion) if met.champion else None
    with locks.hold(lock_of(name), "promote"):
        finish(name)
        present = champions.holder(name, champions.CHAMPION)
        if (present.run_id if present else None) != met.champion:
            raise locks.Busy(f"promote: the champion of {name} changed meanwhile; run the same command again")
        judged, conversations = _compared(challenger, champion, evaluations, splits, policy_due)
        registered = _registered(name, challenger)
        facts = _facts(met, evaluations, splits, conversations, registered, present, judged)
        facts["policy_due"] = policy_due
        row = promotions.draw_up(name, _outcome(judged), facts)
        # The registry has the evidence before the alias moves, and what is stored here was carried out.
        _tell_registry(registered, row)
        if row["outcome"] != "kept":
            promotions.intend(row)
            champions.crown(registered, present.version if present else None)
        keep(row)
    _announce(row)
    return row


def _compared(
    challenger: Record, champion: Record | None, evaluations: dict[str, str], splits: list[Split], policy_due: bool
) -> tuple[Decision | dict[str, Any], int]:
    """The decision, or the challenger's own scores where there is nobody to beat; and on how many conversations."""
    from data.evaluation_set import shared_items
    from models.evaluation.promotion import NothingShared, decide, finite, scores_of
    from tasks.evaluation import rows_of

    versions = [one.model_place[1] for one in (challenger, champion) if one is not None]
    frozen = {item.conversation_id for item in shared_items(list(dict.fromkeys(versions)), splits)}
    chose = frozen & {name for one in (challenger, champion) if one is not None for name in chosen_on(one)}
    if chose and champion is not None:
        say(f"promote: {len(chose)} conversations on which weights of either were chosen are left out")
        frozen -= chose
        if not frozen:
            raise NothingShared(
                f"weights of either were chosen on all {len(chose)} conversations that both dataset versions hold: "
                "judge on test (--final), or ingest more conversations"
            )
    after = rows_of(evaluations["challenger"])
    if champion is None:
        return {who: finite(asdict(one)) for who, one in scores_of(after, frozen).items()}, len(frozen)
    before = rows_of(evaluations["champion"])
    decision = decide(
        before,
        after,
        conversations=frozen,
        policy=_policy(evaluations),
        policy_due=policy_due,
        held_out=_hold_tools_out(versions, splits),
    )
    return decision, len(frozen)


def _hold_tools_out(versions: Sequence[str], splits: Sequence[Split]) -> bool:
    """Whether any of the dataset versions has conversations on unseen tools to judge by, shared or not."""
    from data.evaluation_set import shared_items
    from models.evaluation.table import exposure

    return any(exposure(item.split) == "unseen" for version in versions for item in shared_items([version], splits))


def _policy(evaluations: dict[str, str]) -> Pairs | None:
    """Episodes that both played while they were judged, where they played any."""
    from data.episodes import read_episodes
    from models.evaluation.promotion import policy_pairs

    return policy_pairs(*(read_episodes("evaluation", evaluations[who]) for who in ("champion", "challenger")))


def _registered(name: str, challenger: Record) -> Registered:
    from models import champions

    facts = {
        "stage": challenger.stage,
        "dataset_version": challenger.dataset_version or "",
        "thinking": str(challenger.thinking).lower(),
        "git_commit": challenger.git_commit,
    }
    with tempfile.TemporaryDirectory(dir=paths.var(), prefix=".export-") as making:

        def pack() -> Path:
            say(f"promote: packing the model of run {challenger.run_id} for the registry")
            return export(challenger.run_id, name, Path(making) / name)

        return champions.challenge(name, challenger.run_id, pack, challenger.model_sha256 or "", facts)


def _outcome(judged: Decision | dict[str, Any]) -> promotions.Outcome:
    if isinstance(judged, dict):
        return "first"
    return "promoted" if judged.promote else "kept"


def _facts(
    met: Contest,
    evaluations: dict[str, str],
    splits: list[Split],
    conversations: int,
    registered: Registered,
    present: Registered | None,
    judged: Decision | dict[str, Any],
) -> dict[str, Any]:
    alone = {"promote": True, "reasons": ["there was no champion to beat"], "scores": {"challenger": judged}}
    return {
        "challenger": _side(records.of_run(met.challenger), registered.version),
        "champion": _side(records.of_run(met.champion), present.version) if met.champion and present else None,
        "dataset_version": met.dataset_version,
        "splits": list(splits),
        "frozen_conversations": conversations,
        "evaluations": evaluations,
        "decision": alone if isinstance(judged, dict) else judged.as_row(),
        "git_commit": tracking.git_commit(),
    }


def _side(record: Record, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "run_id": record.run_id,
        "stage": record.stage,
        "dataset_version": record.dataset_version,
        "model_sha256": record.model_sha256,
        "thinking": record.thinking,
    }


def _tell_registry(registered: Registered, row: dict[str, Any]) -> None:
    from models import champions

    champions.store_evidence(registered.run_id, row["promotion_id"], row)
    tags = {
        "promotion_id": row["promotion_id"],
        "promotion": row["outcome"],
        "promotion_reason": "; ".join(row["decision"]["reasons"])[:4900],
        "judged_on": row["dataset_version"],
    }
    champions.annotate(registered, tags, describe(row))


def _announce(row: dict[str, Any]) -> None:
    create_markdown_artifact(describe(row), key="promotion", description=f"{row['name']}: {row['outcome']}")
    tell(row)


def roll_back(name: str, reason: str = "") -> dict[str, Any]:
    """Give the place back to the champion before; returns the stored decision.

    Called again after it was cut short, it finishes what it began, and does not go back once more.

    Raises:
        Busy: A promotion of this name is under way.
        models.champions.RegistryError: There is no champion, or none before it.
        models.registry.TrackingAway: It does not answer; the same command finishes what was begun, if anything.
    """
    from models import champions

    with locks.hold(lock_of(name), "rollback"):
        row = finish(name)
        if row is None or row["outcome"] != "rolled back":
            left, now = champions.former(name)
            sides = {
                "from": {"version": left.version, "run_id": left.run_id},
                "to": {"version": now.version, "run_id": now.run_id},
            }
            row = promotions.draw_up(name, "rolled back", {**sides, "reason": reason})
            promotions.intend(row)
            champions.give_place(left, now)
            note_rollback(row)  # before it is kept: what is kept is finished, and the next call goes back one more
            keep(row)
            say(f"rollback: version {now.version} is champion of {name} again, instead of version {left.version}")
    return row


def champion_run(name: str) -> str:
    """Run id of the champion's model.

    Raises:
        NoChampion: There is none.
        models.registry.TrackingAway: The registry does not answer.
    """
    from models.champions import CHAMPION, holder

    champion = holder(name, CHAMPION)
    if champion is None:
        raise NoChampion(f"{name} has no champion yet: run `apprentice promote` first, or name a model with --run")
    return champion.run_id
