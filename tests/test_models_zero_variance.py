"""Advantages by TRL's formula outside TRL, groups without variance by each setting, and replay that gives them back."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import replace

import pytest
import torch

from data import paths
from data.decision_points import decision_points
from data.pass_rates import read_pass_rates
from data.profiles import resolve
from data.reporting import Silent
from data.rollouts import in_batch, read_rollouts
from data.settings import GRPOSettings
from models.base import fetch_base_model
from models.speech.template import completion_text
from models.training.advantages import AdvantageRule, advantages, flat_groups, part_table
from models.training.job import TrainingJob
from models.training.over_trees import OverTrees, leave_out
from models.training.withheld import MARK, withheld_turns

NAN = None
#: Two groups of four: one where the parts cancel in the sum, one without any variance.
CANCELLING = [[1.0, 0.0, NAN], [0.0, 1.0, NAN], [1.0, 0.0, NAN], [0.0, 1.0, NAN]] + [[1.0, 1.0, 0.5]] * 4


def rule(**changes) -> AdvantageRule:
    return AdvantageRule(**{"weights": (1.0, 1.0, 1.0), "group": 4, **changes})


def test_parts_that_cancel_are_flat_only_when_they_are_summed_first():
    table = part_table(CANCELLING)
    assert flat_groups(table, rule()) == [True, True]
    assert flat_groups(table, rule(aggregation="normalize_then_sum")) == [False, True]
    unweighted = rule(aggregation="normalize_then_sum", weights=(0.0, 0.0, 1.0))
    assert flat_groups(table, unweighted) == [True, True]


def test_what_nobody_could_score_gets_no_advantage():
    table = part_table([[NAN, NAN, NAN], [1.0, NAN, NAN], [0.0, NAN, NAN], [0.5, NAN, NAN]])
    found = advantages(table, rule())
    assert found[0] == 0
    assert found[1] > 0 > found[2]


def test_a_group_is_divided_by_its_own_spread_or_the_batchs_or_none():
    table = part_table([[1.0, 0, 0], [0.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0], [9.0, 0, 0], [7.0, 0, 0]])
    centred = advantages(table, rule(group=2, scale="none"))
    assert centred.tolist() == [0.5, -0.5, 0.5, -0.5, 1.0, -1.0]
    by_group = advantages(table, rule(group=2))
    assert torch.allclose(by_group.abs(), torch.tensor([0.7071] * 6), atol=2e-4)
    by_batch = advantages(table, rule(group=2, scale="batch"))
    assert torch.allclose(by_batch / centred, (by_batch / centred)[0].expand(6))


@pytest.fixture(scope="module")
def base_model(_sheltered_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture
def points(tiny_conversations, monkeypatch):
    """All decision points, read instead of a snapshot by training and by replay."""
    conversations = [one.model_copy(update={"split": "train"}) for one in tiny_conversations]
    found = [point for one in conversations for point in decision_points(one)]
    monkeypatch.setattr("models.training.grpo.read_decision_points", lambda version, splits=None: found)
    monkeypatch.setattr("models.training.grpo.select_points", lambda *args, **kwargs: [])
    monkeypatch.setattr(
        "models.training.replay.read_points_by_id",
        lambda version, wanted: {point.id: point for point in found if point.id in wanted},
    )
    return found


def written(point, kind: int) -> str:
    """A completion without its opener: right, with a bad thought, another call, an answer instead, or broken."""
    action = completion_text(point.expected, "I know what is needed.").removeprefix("<think>\n")
    call = '<tool_call>\n{"name": "HarbourWeather", "arguments": {"harbour": "Ostvik"}}\n</tool_call>'
    return [
        action,
        f"\n</think>\n\n{action.partition('</think>')[2]}",
        f"Hm.\n</think>\n\n{call}",
        "I wonder.\n</think>\n\nWhich one do you mean?",
        "Broken.\n</think>\n\n<tool_call>\n{",
    ][kind]


@pytest.fixture
def pretend(points, monkeypatch):
    """Let the engine write texts that earn different rewards: a function of the rollout's key, as real ones are.

    The first draw of each ``every``-th decision point is flat; with ``always`` all draws of these are.
    """
    asked: list[tuple] = []
    practised = [*points, *withheld_turns(points)]
    by_id = {point.id: point for point in practised}
    order = {point.id: number for number, point in enumerate(practised)}

    def install(tokenizer, always: bool = False, every: int = 3):
        from models.engine.rollout import Generated

        def generate(model, requests, **others):
            results = []
            for request in requests:
                _, step, identifier, k = request.key
                asked.append(request.key)
                digest = hashlib.sha256(f"{step} {identifier} {k}".encode()).digest()
                flat = order[identifier] % every == 0 and (always or k < 4)
                text = written(by_id[identifier], 0 if flat else digest[0] % 5) + "<|im_end|>"
                ids = tokenizer(text, add_special_tokens=False)["input_ids"]
                results.append(Generated(ids, [-0.5] * len(ids)))
            return results

        monkeypatch.setattr("models.training.decision_trainer.generate", generate)
        return asked

    return install


def train(base_model, run_dir, **grpo):
    """A short GRPO run whose settings lie where a stage leaves them."""
    from models.training.grpo import train_grpo

    settings = resolve(
        "smoke",
        {
            "device": "cpu",
            "grpo": {
                "max_steps": 3,
                "batch_size": 16,
                "micro_batch_size": 4,
                "num_generations": 4,
                "max_completion_length": 96,
                **grpo,
            },
        },
    )
    run_dir.mkdir(parents=True, exist_ok=True)
    work = TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, settings)
    recorder = Recorder()
    outcome = train_grpo(work, recorder)
    folder = paths.run(work.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    told = {"stage": "grpo", "profile": "smoke", "seed": 0, **settings.grpo.model_dump(mode="json")}
    (folder / "settings.json").write_text(json.dumps(told))
    return work, outcome, recorder


class Recorder(Silent):
    def __init__(self) -> None:
        self.seen: dict[tuple[str, int], float] = {}

    def metrics(self, values, step):
        self.seen |= {(name, step): value for name, value in values.items()}

    def curve(self, name):
        return [value for (key, _), value in sorted(self.seen.items(), key=lambda item: item[0][1]) if key == name]


@pytest.fixture
def tokenizer(base_model):
    from models.policy import load_tokenizer

    return load_tokenizer(base_model)


NORMALISATIONS = [
    {"scale_rewards": "group"},
    {"scale_rewards": "batch"},
    {"scale_rewards": "none"},
    {"aggregation": "normalize_then_sum"},
]


@pytest.mark.parametrize("normalisation", NORMALISATIONS, ids=["group", "batch", "none", "gdpo"])
def test_replay_with_the_same_reward_gives_back_what_trl_computed(
    base_model, pretend, tokenizer, tmp_path, normalisation
):
    from models.training.comparison import compare
    from models.training.replay import replay, run_settings

    pretend(tokenizer)
    work, _, recorder = train(base_model, tmp_path / "same", max_steps=2, **normalisation)
    original = run_settings(work.run_id)
    assert original == work.settings.grpo
    replayed = replay(work.run_id, original, original, Silent())
    stored = read_rollouts(work.run_id)
    assert stored["advantage"].abs().max() > 0.5 or normalisation.get("scale_rewards") == "none"
    assert replayed.rollouts["new_reward"].tolist() == stored["reward"].tolist()
    assert replayed.rollouts["new_advantage"].tolist() == stored["advantage"].tolist()
    found = compare(replayed)
    assert (found.rank_agreement, found.sign_flips) == (1.0, 0.0)
    assert (found.rewards_equal, found.advantages_equal) == (1.0, 1.0)
    assert found.zero_variance_before == found.zero_variance_after
    counted = sum(recorder.curve("train/zero_variance_groups")) / sum(recorder.curve("train/groups"))
    assert found.zero_variance_before == pytest.approx(counted)
    assert 0 < counted < 1


def test_turns_with_a_value_withheld_are_practised_stored_counted_and_replayed(
    base_model, points, pretend, tokenizer, tmp_path
):
    from models.training.replay import replay, run_settings

    pretend(tokenizer)
    work, outcome, _ = train(base_model, tmp_path / "asked", max_steps=2, call_share=0.3, withheld_share=0.6)
    stored = read_rollouts(work.run_id)
    withheld = stored["decision_point_id"].str.endswith(MARK)
    assert 0 < withheld.sum() < len(stored)
    assert outcome.counts["withheld"] > 0
    assert set(stored[withheld]["kind"]) == {"answer"}
    calling = stored[withheld & stored["text"].str.contains("<tool_call>")]
    assert len(calling)
    assert not calling["passed"].any()
    assert stored[withheld]["passed"].any()
    replayed = replay(work.run_id, run_settings(work.run_id), work.settings.grpo, Silent())
    assert replayed.rollouts["new_reward"].tolist() == stored["reward"].tolist()
    assert replayed.rollouts["new_advantage"].tolist() == stored["advantage"].tolist()
    rates = read_pass_rates()
    assert set(stored["decision_point_id"]) == set(rates[rates["origin"] == work.run_id]["decision_point_id"])


def test_replay_under_another_reward_says_what_would_change(base_model, pretend, tokenizer, tmp_path):
    from models.training.comparison import ANSWER_TURNS, by_tool, compare, largest_flips
    from models.training.replay import ReplayError, changed_settings, find_run, replay, run_settings

    pretend(tokenizer)
    work, _, _ = train(base_model, tmp_path / "other", max_steps=2)
    original = run_settings(find_run(work.run_id[:3]))
    changed = changed_settings(original, {"grpo": {"weights": {"format": 0.0}}}, {"reward": "toolrl"})
    replayed = replay(work.run_id, original, changed, Silent())
    found = compare(replayed)
    assert found.completions == 32
    assert found.rank_agreement < 1
    assert found.rewards_equal < 1
    tools = by_tool(replayed)
    assert tools["groups"].sum() == found.groups
    assert ANSWER_TURNS in set(tools["tool"])
    assert tools["rank_agreement"].dropna().is_monotonic_increasing
    assert len(largest_flips(replayed, most=1)) <= 1
    with pytest.raises(ReplayError, match="apprentice grpo"):
        find_run("nowhere")

    from typer.testing import CliRunner

    from flows.cli import app

    told = CliRunner().invoke(app, ["rewards", "replay", "--reward", "toolrl", "--format", "json"])
    assert json.loads(told.stdout)["rank_agreement"] == found.rank_agreement
    told = CliRunner().invoke(app, ["rewards", "replay", "--run", work.run_id, "--aggregation", "normalize_then_sum"])
    assert "32 completions in 8 groups" in told.stdout
    assert CliRunner().invoke(app, ["rewards", "replay", "--reward", "better"]).exit_code == 1


def test_flat_groups_are_skipped_without_a_trace_in_the_gradient(base_model, pretend, tokenizer, tmp_path):
    """With ``dr_grpo`` the loss is a mean over rows: leaving out flat rows only scales it, so one SGD-like step of
    Adam, which does not see scale, ends at the same weights."""
    from safetensors.torch import load_file

    pretend(tokenizer, always=True)
    common = {"max_steps": 1, "loss_type": "dr_grpo", "learning_rate": 1e-3, "max_grad_norm": 1e9}
    kept = train(base_model, tmp_path / "kept", zero_variance="keep", **common)
    skipped = train(base_model, tmp_path / "skipped", zero_variance="skip", **common)
    assert kept[2].curve("train/zero_variance_groups") == skipped[2].curve("train/zero_variance_groups")
    assert skipped[2].curve("train/zero_variance_groups")[0] >= 1
    theirs, ours = (load_file(one[1].model_dir / "model.safetensors") for one in (kept, skipped))
    before = load_file(base_model / "model.safetensors")
    moved = sum(float((ours[name] - before[name]).abs().sum()) for name in before)
    apart = sum(float((ours[name] - theirs[name]).abs().sum()) for name in before)
    assert moved > 0
    assert apart < 0.02 * moved


@pytest.mark.parametrize(("loss", "made_up"), [("grpo", 4.0), ("dr_grpo", 4.0), ("dapo", 1.0)])
def test_what_is_left_out_leaves_the_whole_loss_its_scale(loss, made_up):
    """Of four groups three are flat: a mean over all rows has a quarter of the loss, of the KL penalty as well."""
    stage = GRPOSettings(loss_type=loss, num_generations=2, batch_size=8, micro_batch_size=2)
    output = {"completion_mask": torch.ones(8, 3, dtype=torch.long), "advantages": torch.ones(8)}
    assert leave_out(output, [True, False, True, True], [True, False, True, True], stage) == made_up
    assert output["completion_mask"].sum(dim=1).tolist() == [0, 0, 3, 3, 0, 0, 0, 0]
    assert output["advantages"].tolist() == [1.0] * 8
    assert leave_out(output, [True] * 4, [True] * 4, stage) == 1.0


@pytest.mark.parametrize("empty", [False, True])
def test_the_penalty_is_scaled_with_the_rest_and_nothing_is_told_of_nothing(monkeypatch, empty):
    from trl import GRPOTrainer

    def of_trl(self, model, inputs):
        for name in ("entropy", "kl"):
            self._metrics["train"][name].append(0.0 if empty else 0.3)
        return torch.tensor(0.2)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", of_trl)
    trainer = OverTrees.__new__(OverTrees)
    trainer.made_up, trainer._metrics = 4.0, {"train": defaultdict(list)}
    loss = trainer._compute_loss(None, {"completion_mask": torch.full((2, 3), int(not empty))})
    assert float(loss) == pytest.approx(0.8)
    assert dict(trainer._metrics["train"]) == ({} if empty else {"entropy": [0.3], "kl": [0.3]})


def test_a_mean_of_micro_batches_takes_none_out():
    with pytest.raises(ValueError, match="loss_type=bnpo averages over micro-batches"):
        GRPOSettings(loss_type="bnpo", zero_variance="skip", batch_size=8, num_generations=2, micro_batch_size=2)
    GRPOSettings(loss_type="bnpo", zero_variance="skip", batch_size=8, num_generations=2, micro_batch_size=8)


def test_resampling_draws_the_same_prompt_again_and_keeps_what_it_discards(base_model, pretend, tokenizer, tmp_path):
    asked = pretend(tokenizer)
    work, _, recorder = train(base_model, tmp_path / "again", zero_variance="resample")
    assert {k for *_, k in asked} == set(range(8))  # k goes on in the second draw
    rollouts = read_rollouts(work.run_id)
    batch, discarded = in_batch(rollouts), rollouts[rollouts["discarded"]]
    assert len(batch) == 3 * work.settings.grpo.batch_size
    assert sum(recorder.curve("train/discarded_groups")) * 4 == len(discarded) > 0
    assert discarded.groupby(["step", "decision_point_id"])["reward"].nunique().eq(1).all()
    assert (discarded["advantage"] == 0).all()
    again = batch[batch["draw"] == 1]
    assert set(again["decision_point_id"]) == set(discarded["decision_point_id"])
    assert again.groupby(["step", "decision_point_id"])["reward"].nunique().gt(1).any()


def test_a_step_with_nothing_to_learn_from_is_a_step_all_the_same(base_model, pretend, tokenizer, tmp_path):
    pretend(tokenizer, always=True, every=1)
    _, outcome, recorder = train(base_model, tmp_path / "flat", zero_variance="skip", batch_size=8, max_steps=2)
    assert outcome.steps == 2
    assert recorder.curve("train/zero_variance_groups") == recorder.curve("train/groups")
    assert recorder.curve("train/loss") == [0.0, 0.0]


def test_replacing_takes_other_prompts_of_the_same_kind_and_is_the_same_after_a_resume(
    base_model, pretend, tokenizer, tmp_path
):
    pretend(tokenizer, always=True)
    work, _, _ = train(base_model, tmp_path / "replaced", zero_variance="replace", draws=3)
    rollouts = read_rollouts(work.run_id)
    batch = in_batch(rollouts)
    other = batch[batch["draw"] > 0]
    assert len(other)
    assert batch.groupby("step")["kind"].apply(lambda kinds: (kinds == "call").mean()).eq(0.5).all()
    flat_ones = rollouts[rollouts["discarded"]]
    for step, gone in flat_ones.groupby("step"):
        assert not set(gone["decision_point_id"]) & set(batch[batch["step"] == step]["decision_point_id"])

    from models.training.draws import FROZEN
    from models.training.grpo import train_grpo

    resumed = replace(work, run_id="resumed", run_dir=tmp_path / "resumed")
    resumed.run_dir.mkdir()
    # As a resume finds it: by now the run itself has left pass rates, which must not matter.
    (resumed.run_dir / FROZEN).write_text((work.run_dir / FROZEN).read_text())
    train_grpo(resumed, Silent())
    columns = ["step", "decision_point_id", "completion_index", "draw", "discarded", "text", "advantage"]
    again = read_rollouts("resumed")
    assert again[columns].to_dict("records") == rollouts[columns].to_dict("records")


def test_drawing_anew_never_uses_vllm(base_model, tmp_path, monkeypatch):
    from models.training import grpo

    monkeypatch.setattr(grpo, "vllm_available", lambda settings: True)
    settings = resolve("smoke", {"device": "cpu", "grpo": {"zero_variance": "resample"}})
    assert not grpo.grpo_arguments(TrainingJob("r", "v", base_model, tmp_path, settings)).use_vllm
    assert GRPOSettings().zero_variance == "keep"


def test_a_breach_marks_the_run_and_by_setting_ends_it_cleanly(base_model, pretend, tokenizer, tmp_path):
    from models.training.grpo import train_grpo

    pretend(tokenizer)
    watchful = {"window": 1, "length_factor": 1.0001}  # any change of length is a breach
    marked, outcome, recorder = train(base_model, tmp_path / "marked", max_steps=4, monitor=watchful)
    assert (outcome.stopped, outcome.steps, outcome.verdict["verdict"]) == ("finished", 4, "breached")
    assert {one["signal"] for one in outcome.verdict["breaches"]} >= {"length_drift"}
    assert sum(recorder.curve("monitor/breaches")) >= 1
    assert recorder.curve("monitor/entropy") == [0.5] * 4
    _, ended, _ = train(base_model, tmp_path / "ended", max_steps=4, monitor={**watchful, "on_breach": "stop"})
    assert (ended.stopped, ended.verdict["verdict"]) == ("breach", "breached")
    assert ended.steps == ended.verdict["breaches"][0]["step"] < 4
    assert (ended.model_dir / "model.safetensors").exists()
    assert train_grpo(marked, Silent()) == outcome  # what was told is kept


def test_pass_rates_are_kept_and_choose_the_next_runs_prompts(base_model, pretend, tokenizer, tmp_path, points):
    from data.pass_rates import read_pass_rates

    pretend(tokenizer, always=True)  # every third decision point is always solved
    train(base_model, tmp_path / "week1", max_steps=6)
    kept = read_pass_rates()
    solved = set(kept[(kept["attempts"] >= 4) & (kept["passes"] == kept["attempts"])]["decision_point_id"])
    assert solved >= {point.id for point in points[::3]} & set(kept["decision_point_id"])
    week2 = {"curriculum": "passes", "rest_after": 4, "return_share": 0.0, "max_steps": 1}
    _, outcome, recorder = train(base_model, tmp_path / "week2", **week2)
    assert outcome.counts["resting"] >= len(solved)
    assert not solved & set(read_rollouts("week2")["decision_point_id"])
    assert recorder.curve("curriculum/resting") == [outcome.counts["resting"]]
    assert recorder.curve("curriculum/minutes_saved")[0] > 0
