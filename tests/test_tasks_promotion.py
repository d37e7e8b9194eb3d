"""Promotion in the registry: a gain takes the place, a tie does not, and one command gives it back."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from data import paths, promotions
from data.episodes import append_episodes
from data.evaluation_set import SharedItem
from data.schema import VALIDATION_SPLITS
from models import champions, tracking
from models.champions import CHALLENGER, CHAMPION, RegistryError, holder
from models.registry import TrackingAway
from tasks import promotion, promotion_record, records
from tasks.promotion import Contest, NoChampion, champion_run, contest, roll_back, settle
from tasks.promotion_text import describe, print_trend, trend

ROW = runpy.run_path(str(Path(__file__).parent / "fixtures" / "stages.py"))["row"]
CONVERSATIONS = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite store for the module: creating it takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking.store.connect(uri)
    return uri


@pytest.fixture
def house(store: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SimpleNamespace:
    """A registry that is real, packages of a few bytes, and a frozen set of known conversations."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    told: list[tuple[str, str]] = []
    artifacts: list[str] = []
    frozen = [f"{split}/{n}" for split in VALIDATION_SPLITS for n in range(CONVERSATIONS)]
    monkeypatch.setattr(promotion, "create_markdown_artifact", lambda text, **more: artifacts.append(text))
    monkeypatch.setattr(
        promotion_record, "tell_of_promotion", lambda name, version, run, why: told.append((version, why))
    )
    monkeypatch.setattr(promotion, "export", lambda run_id, name, target: paths.run(run_id) / "model")
    monkeypatch.setattr(champions, "save_package", lambda export, target: (target.mkdir(), _write(target)))
    monkeypatch.setattr(
        "data.evaluation_set.shared_items",
        lambda versions, splits: [SharedItem(name, name.split("/")[0], "", "") for name in frozen],
    )
    return SimpleNamespace(name=request.node.name.partition("[")[0][:40], told=told, artifacts=artifacts)


def _write(target: Path) -> None:
    (target / "MLmodel").write_text("flavors: {}")


def model(stage: str = "grpo", version: str = "d" * 12, started: str | None = None) -> records.Record:
    """A finished run with a model of a few bytes."""
    with tracking.stage_run(stage, name=stage) as run:
        folder = run.directory / "model"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(run.run_id.encode())
    record = records.Record(
        stage=stage,
        key=run.run_id[:16],
        status="done",
        run_id=run.run_id,
        dataset_version=version,
        start_run_id=started,
        model_dir=folder,
        model_sha256=records.model_sha256(folder),
        ended="2026-01-01",
    )
    records.save(record)
    return record


def judged(monkeypatch: pytest.MonkeyPatch, **right: float) -> dict[str, str]:
    """Evaluations whose share of right turns is known: the first so many of every hundred."""
    frames = {}
    for who, share in right.items():
        rows = [
            {**ROW(f"{split}/{n}#{turn}", split, (n * 7 + turn) % 100 < share, who, "grpo", "d" * 12, False)}
            | {"conversation_id": f"{split}/{n}", "kind": "answer" if turn % 2 else "call"}
            for split in VALIDATION_SPLITS
            for n in range(CONVERSATIONS + 5)  # five that nobody froze
            for turn in range(4)
        ]
        frames[who] = pd.DataFrame(rows)
    monkeypatch.setattr("tasks.evaluation.rows_of", frames.__getitem__)
    return {who: who for who in right}


def decide(house: SimpleNamespace, challenger: records.Record, evaluations: dict[str, str]) -> dict:
    met = contest.fn(house.name, challenger)
    return settle.fn(house.name, met, evaluations, list(VALIDATION_SPLITS))


def test_first_gain_tie_and_rollback(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    one, two, three = model(), model(), model()
    first = decide(house, one, judged(monkeypatch, challenger=30))
    assert (first["outcome"], first["challenger"]["version"]) == ("first", "1")
    assert contest.fn(house.name, one).decided

    gain = decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert (gain["outcome"], champion_run(house.name)) == ("promoted", two.run_id)
    assert gain["frozen_conversations"] == 2 * CONVERSATIONS
    assert gain["decision"]["items"] == 8 * CONVERSATIONS  # not the five

    tie = decide(house, three, judged(monkeypatch, champion=60, challenger=60))
    assert (tie["outcome"], champion_run(house.name)) == ("kept", two.run_id)
    assert holder(house.name, CHALLENGER).run_id == three.run_id
    assert [version for version, _ in house.told] == ["1", "2"]

    back = roll_back(house.name, "books twice")
    assert (back["from"]["version"], back["to"]["version"]) == ("2", "1")
    assert champion_run(house.name) == one.run_id
    with pytest.raises(RegistryError, match=r"version 1 of .* is the first champion"):
        roll_back(house.name)

    again = decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert (again["outcome"], again["challenger"]["version"]) == ("promoted", "2")  # registered once
    kept = list(promotions.decisions(house.name))
    assert [row["outcome"] for row in kept] == ["first", "promoted", "kept", "rolled back", "promoted"]
    assert [line[2] for line in trend(kept)] == ["1", "2", "2", "1", "2"]
    capsys.readouterr()
    print_trend(kept)
    assert "rolled back" in capsys.readouterr().out


def test_verdict_and_evidence_lie_in_var_and_in_the_registry(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(house, model(), judged(monkeypatch, challenger=30))
    row = decide(house, model(), judged(monkeypatch, champion=30, challenger=60))
    file = next(paths.promotions().glob(f"*-{row['promotion_id']}.json"))
    assert json.loads(file.read_text()) == row
    client = tracking.store.ask()[0]
    stored = client.download_artifacts(row["challenger"]["run_id"], f"promotion/{row['promotion_id']}.json")
    assert json.loads(Path(stored).read_text())["decision"]["headline"]["word"] == "better"
    version = client.get_model_version(house.name, "2")
    assert version.source.startswith(f"runs:/{row['challenger']['run_id']}/chat/")
    assert (version.tags["promotion"], version.tags[champions.BEFORE]) == ("promoted", "1")
    assert version.description == describe(row) == house.artifacts[-1]
    assert "| unseen tools | 3" in describe(row)


def test_without_a_champion_the_command_is_named(house: SimpleNamespace) -> None:
    with pytest.raises(NoChampion, match="run `apprentice promote` first, or name a model with --run"):
        champion_run(house.name)
    with pytest.raises(RegistryError, match="has no champion"):
        roll_back(house.name)


def test_a_champion_that_changed_meanwhile_is_not_overwritten(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = model(), model()
    met = contest.fn(house.name, two)
    decide(house, one, judged(monkeypatch, challenger=30))
    with pytest.raises(promotion.locks.Busy, match="changed meanwhile"):
        settle.fn(house.name, met, judged(monkeypatch, challenger=60), list(VALIDATION_SPLITS))
    assert champion_run(house.name) == one.run_id
    assert len(list(promotions.decisions(house.name))) == 1


def test_a_registry_that_is_away_decides_nothing(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    challenger = model()
    monkeypatch.setattr(tracking.store, "connect", lambda uri: (_ for _ in ()).throw(ConnectionError("refused")))
    with pytest.raises(TrackingAway, match="refused"):
        settle.fn(house.name, Contest(challenger.run_id, None, "d" * 12), {}, list(VALIDATION_SPLITS))
    assert list(promotions.decisions()) == []


def test_what_was_not_carried_out_is_no_decision(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(challenger: champions.Registered, met: str | None) -> champions.Registered:
        raise TrackingAway("the alias cannot be set")

    monkeypatch.setattr(champions, "crown", refuses)
    with pytest.raises(TrackingAway):
        decide(house, model(), judged(monkeypatch, challenger=30))
    assert list(promotions.decisions()) == []
    assert holder(house.name, CHAMPION) is None


def test_turns_that_chose_the_weights_of_either_do_not_judge_them(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data.validations import VALIDATION_SCHEMA, append_validations

    one = model()
    ancestor = model("sft")
    two = model(started=ancestor.run_id)
    decide(house, one, judged(monkeypatch, challenger=30))
    example = {"bool": True, "double": 1.0, "int64": 1, "string": "x"}
    row = {
        field.name: example[str(field.type)]
        for field in VALIDATION_SCHEMA
        if field.name not in ("run_id", "step", "created_at")
    }
    for record, numbers in ((one, range(5)), (ancestor, range(3, 9)), (two, ())):
        rows = [row | {"decision_point_id": f"validation_unseen/{n}#{turn}"} for n in numbers for turn in (1, 3)]
        if rows:
            append_validations(record.run_id, 20, rows)
    met = decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert met["frozen_conversations"] == 2 * CONVERSATIONS - 9
    assert met["decision"]["items"] == 8 * CONVERSATIONS - 9 * 4


def away(*given: object, **named: object) -> None:
    raise TrackingAway("database is locked")


def three_champions(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[records.Record]:
    """Three models, each of which took the place of the one before."""
    one, two, three = models = [model() for _ in range(3)]
    decide(house, one, judged(monkeypatch, challenger=20))
    decide(house, two, judged(monkeypatch, champion=20, challenger=50))
    decide(house, three, judged(monkeypatch, champion=50, challenger=80))
    return models


def test_a_rollback_without_a_note_is_done_once_and_says_not_to_repeat_it(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, two, _ = three_champions(house, monkeypatch)
    monkeypatch.setattr(champions, "annotate", away)
    row = roll_back(house.name, "books twice")
    assert champion_run(house.name) == two.run_id
    assert list(promotions.decisions(house.name))[-1] == row
    assert "took no note of it (database is locked). Again would go back one further" in capsys.readouterr().out


def test_rollbacks_go_back_one_by_one_whoever_was_champion_twice(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = three_champions(house, monkeypatch)
    decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert champion_run(house.name) == two.run_id
    seen = []
    for _ in range(3):
        roll_back(house.name)
        seen.append(champion_run(house.name))
    assert seen == [three.run_id, two.run_id, one.run_id]
    with pytest.raises(champions.RegistryError, match="is the first champion"):
        roll_back(house.name)


def test_the_newest_model_is_not_put_back_unasked_after_a_rollback(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows import promote_model as flow

    _, two, three = three_champions(house, monkeypatch)
    roll_back(house.name, "books twice")
    for name in ("contest", "was_rolled_back"):
        monkeypatch.setattr(flow, name, getattr(flow, name).fn)
    monkeypatch.setattr(flow, "latest_model", lambda source: three)
    monkeypatch.setattr(flow, "of_run", lambda run_id: three)
    assert flow.promote_model.fn(name=house.name)["outcome"] == "was rolled back"
    assert champion_run(house.name) == two.run_id
    assert f"or say that you mean it: --run {three.run_id}" in capsys.readouterr().out

    def asked(*unused: object, **unused_too: object) -> None:
        raise LookupError("judged")

    monkeypatch.setattr(flow, "evaluate_model", asked)
    monkeypatch.setattr(flow, "scoped", lambda *unused, **unused_too: ({}, False))
    with pytest.raises(LookupError, match="judged"):
        flow.promote_model.fn(name=house.name, run_id=three.run_id)


def test_a_rollback_that_was_killed_is_finished_and_not_done_twice(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, _ = three_champions(house, monkeypatch)
    before = list(promotions.decisions(house.name))

    def killed(row: dict) -> None:
        raise SystemExit

    with monkeypatch.context() as dies:
        dies.setattr(promotion, "keep", killed)
        with pytest.raises(SystemExit):
            roll_back(house.name, "books twice")
    assert list(promotions.decisions(house.name)) == before
    row = roll_back(house.name, "again")
    assert champion_run(house.name) == two.run_id
    assert (row["reason"], row["to"]["run_id"]) == ("books twice", two.run_id)
    assert list(promotions.decisions(house.name)) == [*before, row]
    assert "was stopped before it could say so" in capsys.readouterr().out
    left = tracking.store.ask()[0].get_model_version(house.name, "3")
    assert left.tags["rolled_back_reason"] == "books twice"
    # One whose alias never moved is as if it had not been asked for.
    with monkeypatch.context() as refuses:
        refuses.setattr(champions, "give_place", away)
        with pytest.raises(TrackingAway):
            roll_back(house.name, "never mind")
    assert champion_run(house.name) == two.run_id
    assert roll_back(house.name, "in earnest")["reason"] == "in earnest"
    assert champion_run(house.name) == one.run_id
    assert promotions.intended(house.name) is None


def test_a_promotion_that_was_carried_out_is_recorded_and_told_whatever_failed_after(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = model(), model()
    decide(house, one, judged(monkeypatch, challenger=30))
    crown = champions.crown

    def half(challenger: champions.Registered, met: str | None) -> None:
        crown(challenger, met)
        away()

    monkeypatch.setattr(champions, "crown", half)
    with pytest.raises(TrackingAway):
        decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert [row["outcome"] for row in promotions.decisions(house.name)] == ["first"]
    assert champion_run(house.name) == two.run_id
    assert contest.fn(house.name, two).decided  # the same command again finds it champion
    assert [row["outcome"] for row in promotions.decisions(house.name)] == ["first", "promoted"]
    assert [version for version, _ in house.told] == ["1", "2"]


def test_a_package_is_never_written_over(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    one = model()
    decide(house, one, judged(monkeypatch, challenger=30))
    other = SimpleNamespace(**{**vars(house), "name": f"{house.name}-2"})
    decide(other, one, judged(monkeypatch, challenger=30))
    client = tracking.store.ask()[0]
    sources = {client.get_model_version(name, "1").source for name in (house.name, other.name)}
    assert len(sources) == 2
    for source in sources:
        place = source.removeprefix(f"runs:/{one.run_id}/")
        assert [file.path for file in client.list_artifacts(one.run_id, place)] == [f"{place}/MLmodel"]


def test_where_policy_is_due_having_played_nothing_stands_in_the_way(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(house, model(), judged(monkeypatch, challenger=30))
    evaluations = judged(monkeypatch, champion=30, challenger=60)
    met = contest.fn(house.name, model())
    row = settle.fn(house.name, met, evaluations, list(VALIDATION_SPLITS), True)
    assert row["outcome"] == "kept"
    assert [reason.partition(" (")[0] for reason in row["decision"]["reasons"]] == [
        "policy: both models played no episodes in common"
    ]
    assert "Policy is not guarded" not in describe(row), "it is what stands in the way"
    other = decide(house, model(), evaluations)
    assert other["outcome"] == "promoted"
    assert "Policy is not guarded here" in describe(other)


def test_the_card_tells_greedy_results_of_the_model_s_own_thoughts_only(house: SimpleNamespace) -> None:
    from tasks.export import newest_evaluation

    one = model()
    own = {"run_id": one.run_id, "thinking": one.thinking, "splits": list(VALIDATION_SPLITS)}
    kinds = {
        "greedy": {},
        "sampled": {"sample": 1},
        "foreign": {"thoughts": "shuffled"},
        "changed": {"variant": "withheld"},
    }
    for at, (key, changes) in enumerate(kinds.items()):
        record = records.Record(
            stage="evaluation",
            key=f"{key}-{one.run_id[:8]}",
            status="done",
            run_id=one.run_id,
            dataset_version=one.dataset_version,
            settings={**own, "thoughts": "own", "sample": None, "variant": None, **changes},
            ended=f"2026-01-0{at + 1}",
        )
        records.save(record)
    found = newest_evaluation(one)
    assert found is not None
    assert found.key.startswith("greedy")


def episode(run_id: str, number: int, breaches: list[str]) -> dict:
    return {
        "episode_id": f"{run_id}{number}",
        "run_id": run_id,
        "stage": "grpo",
        "step": None,
        "task_id": f"task{number}",
        "domain": "bank",
        "split": "validation_unseen",
        "trial": 0,
        "user_seed": "7",
        "thinking": False,
        "keeps_reasoning": False,
        "temperature": 0.0,
        "success": True,
        "state_right": True,
        "facts": None,
        "breaches": breaches,
        "milestones": None,
        "ended": "done",
        "failed_turn": None,
        "cause": None,
        "turns": 3,
        "calls": 1,
        "call_errors": 0,
        "completion_tokens": 9,
        "reward": None,
        "advantage": None,
        "messages": [],
    }


def test_breaches_in_the_practice_environment_stop_a_promotion(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = model(), model()
    decide(house, one, judged(monkeypatch, challenger=30))
    for who, record, breaching in (("champion", one, 0), ("challenger", two, 20)):
        played = [episode(record.run_id, n, ["wrong_door"] if n < breaching else []) for n in range(100)]
        append_episodes("evaluation", who, played)
    row = decide(house, two, judged(monkeypatch, champion=30, challenger=60))
    assert row["outcome"] == "kept"
    assert [reason.split(" [")[0] for reason in row["decision"]["reasons"]] == ["policy: worse (-20.0 points"]


def dies(*unused: object, **unused_too: object) -> None:
    raise SystemExit


def test_a_rollback_killed_before_it_was_kept_is_known(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled_back_and_killed(house, monkeypatch, "keep")


def test_a_rollback_killed_before_its_note_is_known(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled_back_and_killed(house, monkeypatch, "note_rollback")


def rolled_back_and_killed(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Die in ``at``; then the next promotion begins."""
    _, two, three = three_champions(house, monkeypatch)
    with monkeypatch.context() as killed:
        killed.setattr(promotion, at, dies)
        with pytest.raises(SystemExit):
            roll_back(house.name, "books twice")
    assert contest.fn(house.name, three).champion == two.run_id
    assert promotion.was_rolled_back.fn(house.name, three.run_id)
    left = tracking.store.ask()[0].get_model_version(house.name, "3")
    assert left.tags[champions.WHY_ROLLED_BACK] == "books twice"
    assert [row["outcome"] for row in promotions.decisions(house.name)][-1] == "rolled back"


def test_a_rollback_without_a_note_in_mlflow_is_known(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    _, two, three = three_champions(house, monkeypatch)
    with monkeypatch.context() as refuses:
        refuses.setattr(champions, "annotate", away)
        roll_back(house.name, "books twice")
    assert promotion.was_rolled_back.fn(house.name, three.run_id)
    assert not promotion.was_rolled_back.fn(house.name, two.run_id)
    decide(house, three, judged(monkeypatch, champion=30, challenger=60))  # somebody means it
    assert not promotion.was_rolled_back.fn(house.name, three.run_id)


def test_who_is_champion_again_is_no_challenger_and_not_rolled_back(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, three = three_champions(house, monkeypatch)
    roll_back(house.name, "books twice")
    with monkeypatch.context() as killed:
        killed.setattr(champions, "_settled", dies)
        with pytest.raises(SystemExit):
            decide(house, three, judged(monkeypatch, champion=30, challenger=60))
    assert contest.fn(house.name, three).decided
    version = tracking.store.ask()[0].get_model_version(house.name, "3")
    assert not {champions.ROLLED_BACK, champions.WHY_ROLLED_BACK} & version.tags.keys()
    assert holder(house.name, CHALLENGER) is None


def test_a_version_that_a_training_registered_is_not_taken_for_a_package(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = model()
    client = tracking.store.ask()[0]
    client.create_registered_model(house.name)
    run = one.run_id
    client.create_model_version(house.name, str(paths.run(run)), run, tags={"sha256": str(one.model_sha256)})
    decide(house, one, judged(monkeypatch, challenger=30))
    champion = client.get_model_version_by_alias(house.name, CHAMPION)
    assert str(champion.version) == "2"
    assert champion.source.startswith(f"runs:/{run}/{champions.PACKAGES}/")


def test_a_rollback_passes_over_versions_that_were_deleted(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, _ = three_champions(house, monkeypatch)
    tracking.store.ask()[0].delete_model_version(house.name, "2")
    roll_back(house.name)
    assert champion_run(house.name) == one.run_id
    with pytest.raises(RegistryError, match="no version is known to roll back to"):
        roll_back(house.name)


def test_a_version_of_no_run_is_named_as_that(house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _, _ = three_champions(house, monkeypatch)
    client = tracking.store.ask()[0]
    made = client.create_model_version(house.name, str(paths.run(one.run_id)))
    client.set_registered_model_alias(house.name, CHAMPION, str(made.version))
    with pytest.raises(RegistryError, match="registered by hand, of no run"):
        contest.fn(house.name, one)


def test_a_champion_that_was_changed_while_the_package_was_made_is_not_overwritten(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_champions(house, monkeypatch)
    client = tracking.store.ask()[0]

    def saved(export: Path, target: Path) -> None:
        target.mkdir()
        _write(target)
        client.set_registered_model_alias(house.name, CHAMPION, "1")

    monkeypatch.setattr(champions, "save_package", saved)
    with pytest.raises(RegistryError, match="was changed in the registry meanwhile"):
        decide(house, model(), judged(monkeypatch, champion=30, challenger=90))
    assert holder(house.name, CHAMPION).version == "1"  # type: ignore[union-attr]


def test_a_champion_of_another_machine_is_named_as_that(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    three_champions(house, monkeypatch)
    monkeypatch.setenv("APPRENTICE_VAR", str(tmp_path / "another"))
    with pytest.raises(records.MissingUpstream, match="promote where it was trained, with the APPRENTICE_VAR of then"):
        contest.fn(house.name, model())


def test_what_mlflow_has_missed_is_told_before_a_package_is_registered(
    house: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = model()
    told: list[str] = []
    monkeypatch.setattr(tracking, "deliver_unsent", lambda: told.append("told"))
    monkeypatch.setattr(promotion, "_registered", lambda name, record: told.append("registered") or dies())
    with pytest.raises(SystemExit):
        decide(house, one, judged(monkeypatch, challenger=30))
    assert told == ["told", "registered"]
