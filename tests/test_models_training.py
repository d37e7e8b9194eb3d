"""The seams to TRL against TRL's own results, and training stages that resume where they were."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data.decision_points import decision_points
from data.profiles import resolve
from data.reporting import Silent
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.base import fetch_base_model
from models.training.job import TrainingJob, TrainingOutcome


@pytest.fixture(scope="module")
def base_model(_sheltered_session):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture
def train_set(tiny_conversations, monkeypatch):
    """Training stages read this instead of a snapshot."""
    conversations = [c.model_copy(update={"split": "train"}) for c in tiny_conversations] * 3
    points = [point for conversation in conversations for point in decision_points(conversation)]

    def read_points(version, splits=None, kind=None) -> list[DecisionPoint]:
        return points if splits == ["train"] else points[:6]

    monkeypatch.setattr("models.training.sft.read_conversations", lambda version, splits=None: conversations)
    monkeypatch.setattr("models.training.priming.read_decision_points", read_points)
    monkeypatch.setattr("models.training.grpo.read_decision_points", read_points)
    return conversations


def job(base_model, run_dir, **changes) -> TrainingJob:
    settings = resolve("smoke", {"device": "cpu", **changes})
    run_dir.mkdir(parents=True, exist_ok=True)
    return TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, settings)


class Recorder(Silent):
    """Keeps metrics by (name, step); can ask to stop after a step, which is heeded at the end of the next."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: dict[tuple[str, int], float] = {}
        self.begun_at: dict[str, float] = {}
        self._stop_at = stop_at

    def phase(self, name, total=None, unit="steps", done=0.0):
        self.begun_at[name] = done

    def metrics(self, values, step):
        self.seen |= {(name, step): value for name, value in values.items()}
        if step == self._stop_at and "train/loss" in values:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)


def weights(model_dir):
    from safetensors.torch import load_file

    return load_file(model_dir / "model.safetensors")


def test_compact_scoring_equals_trl_scoring_every_position(base_model, monkeypatch):
    """Loss and gradients of TRL's fused head with and without the seam."""
    import trl.trainer.utils as trl_utils

    from models.policy import load_model
    from models.training.seams import score_labelled_positions_only

    ids = torch.randint(3, 900, (2, 50), generator=torch.Generator().manual_seed(0))
    labels = ids.masked_fill(torch.rand(2, 50, generator=torch.Generator().manual_seed(1)) < 0.7, -100)

    def loss_and_gradient():
        model = load_model(base_model)
        trl_utils.add_fused_lm_head(model, temperature=0.8, outputs=("log_probs", "entropy"))
        out = model(input_ids=ids, labels=labels, fused_lm_head=True)
        (out.loss + 0.1 * out.entropy.mean()).backward()
        return out, model.model.embed_tokens.weight.grad

    monkeypatch.setattr(trl_utils, "_use_triton", lambda device: False)
    theirs, their_gradient = loss_and_gradient()
    score_labelled_positions_only()
    ours, our_gradient = loss_and_gradient()
    assert torch.allclose(ours.log_probs, theirs.log_probs, atol=1e-5)
    assert torch.allclose(ours.entropy, theirs.entropy, atol=1e-5)
    assert torch.allclose(our_gradient, their_gradient, rtol=1e-3, atol=1e-7)


def test_trees_equal_trl_in_log_probabilities_and_gradients(base_model, train_set, tmp_path):
    """``_get_per_token_logps_and_entropies`` of TRL and ours on one padded batch of two groups."""
    from datasets import Dataset
    from trl import GRPOTrainer

    from models.engine.rollout import decoder
    from models.engine.scoring import attend_over_trees
    from models.policy import load_model, load_tokenizer
    from models.training.grpo import DecisionPointTrainer, grpo_arguments
    from models.training.scoring import BatchScorer

    work = job(base_model, tmp_path / "parity", precision="float32", grpo={"temperature": 0.7})
    arguments = grpo_arguments(work)
    model = load_model(base_model)
    trainer = DecisionPointTrainer(
        job=work,
        reporter=Silent(),
        scorer=BatchScorer({}, work.settings.grpo, "v"),
        twin=decoder(model, torch.float32),
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": "x", "decision_point_id": "y"}] * 4),
        processing_class=load_tokenizer(base_model),
    )
    generator = torch.Generator().manual_seed(5)
    first, second = (torch.randint(3, 900, (length,), generator=generator).tolist() for length in (30, 21))
    completions = [[5, 6, 7, 2], [8, 2], [9, 10, 11, 12, 13], [14]]
    width, longest = 5, 30
    ids = torch.zeros(4, longest + width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (prompt, completion) in enumerate(zip([first, first, second, second], completions, strict=True)):
        start, end = longest - len(prompt), longest + len(completion)
        ids[row, start:end] = torch.tensor(prompt + completion)
        mask[row, start:end] = 1
    told = mask[:, longest:].bool()

    def scored(method):
        model.zero_grad()
        logps, entropies, _ = method(trainer, model, ids, mask, width, compute_entropy=True)
        (logps * told).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        return logps.detach()[told], entropies.detach()[told], gradient

    model.set_attn_implementation("sdpa")
    theirs = scored(GRPOTrainer._get_per_token_logps_and_entropies)
    attend_over_trees(model)
    ours = scored(DecisionPointTrainer._get_per_token_logps_and_entropies)
    assert torch.allclose(ours[0], theirs[0], atol=1e-4)
    assert torch.allclose(ours[1], theirs[1], atol=1e-4)
    assert torch.linalg.vector_norm(ours[2] - theirs[2]) < 1e-3 * torch.linalg.vector_norm(theirs[2])


def test_sft_interrupted_and_resumed_ends_bit_for_bit_as_without(base_model, train_set, tmp_path):
    from models.training.sft import train_sft

    steps = {"sft": {"max_steps": 4, "batch_size": 2}}
    whole = Recorder()
    straight = train_sft(job(base_model, tmp_path / "whole", **steps), whole)
    cut = job(base_model, tmp_path / "cut", **steps)
    first, second = Recorder(stop_at=1), Recorder()
    stopped = train_sft(cut, first)
    assert (stopped.stopped, stopped.steps) == ("interrupted", 2)
    assert not (cut.run_dir / "model").exists()
    resumed = train_sft(cut, second)
    assert (resumed.stopped, resumed.steps, straight.steps) == ("finished", 4, 4)
    assert {step for _, step in second.seen} == {3, 4}
    assert (first.begun_at["sft"], second.begun_at["sft"]) == (0, 50)  # percent: the time left is told by what is left
    together = first.seen | second.seen
    for name in ("train/loss", "train/tokens"):
        curve = {step: value for (metric, step), value in whole.seen.items() if metric == name}
        assert len(curve) == 4
        assert curve == {step: value for (metric, step), value in together.items() if metric == name}
    ours, theirs = weights(resumed.model_dir), weights(straight.model_dir)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not (cut.run_dir / "checkpoints").exists()


def test_a_budget_stops_cleanly_and_leaves_a_model(base_model, train_set, tmp_path):
    from models.training.sft import train_sft

    work = job(base_model, tmp_path / "short", sft={"max_steps": 500, "minutes": 0.001, "epochs": 100})
    outcome = train_sft(work, Silent())
    assert outcome.stopped == "budget"
    assert 1 <= outcome.steps < 500
    assert (outcome.model_dir / "model.safetensors").exists()
    assert (outcome.model_dir / "tokenizer.json").exists()


def test_conversations_longer_than_the_context_end_with_a_whole_assistant_message(base_model, train_set, tmp_path):
    from models.policy import load_tokenizer
    from models.training.sft import EmptySplit, labelled_rows, train_sft

    tokenizer = load_tokenizer(base_model)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    whole, counts = labelled_rows(tokenizer, train_set, 10**6)
    assert (counts["used"], counts["cut"], counts["too_long"]) == (len(train_set), 0, 0)
    longest = max(whole, key=lambda row: len(row["input_ids"]))
    cuts = set()
    for most in range(len(longest["input_ids"]) - 1, 0, -7):
        try:
            (row,), counts = labelled_rows(tokenizer, [train_set[whole.index(longest)]], most)
        except EmptySplit:
            first = next(place for place, label in enumerate(longest["labels"]) if label == end)
            assert most <= first  # not even the first message of the assistant fits
            break
        length = len(row["input_ids"])
        cuts.add(length)
        assert (length <= most, counts["cut"], counts["too_long"]) == (True, 1, 0)
        assert (row["input_ids"], row["labels"]) == (longest["input_ids"][:length], longest["labels"][:length])
        assert row["labels"][-1] == end
        assert end not in longest["labels"][length:most]  # the last message that fits is there
        taught, turns = row["labels"].count(end), longest["labels"].count(end)
        assert (counts["turns"], counts["turns_left_out"]) == (turns, turns - taught)
    else:
        pytest.fail("no length was too short")
    assert len(cuts) == longest["labels"].count(end) - (longest["labels"][-1] == end)
    with pytest.raises(EmptySplit, match="max_length"):
        train_sft(job(base_model, tmp_path / "none", sft={"max_length": 16}), Silent())


def test_sft_says_which_share_of_the_turns_it_cuts_off_and_what_would_not(base_model, train_set):
    from models.policy import load_tokenizer
    from models.training.sft import _not_taught, labelled_rows

    tokenizer = load_tokenizer(base_model)
    rows, whole = labelled_rows(tokenizer, train_set, 10**6)
    assert (whole["turns_left_out"], _not_taught(whole)) == (0, "")
    middle = sorted(len(row["input_ids"]) for row in rows)[len(rows) // 2]
    _, cut = labelled_rows(tokenizer, train_set, middle)
    assert 0 < cut["turns_left_out"] < cut["turns"] == whole["turns"]
    assert f"{cut['turns_left_out']:,} of {whole['turns']:,} turns" in _not_taught(cut)
    assert f"max_length={cut['long_enough']} it would be one in fifty" in _not_taught(cut)
    _, enough = labelled_rows(tokenizer, train_set, cut["long_enough"])
    assert enough["turns_left_out"] * 50 <= enough["turns"]
    assert "max_length" not in _not_taught(enough)
    _, less = labelled_rows(tokenizer, train_set, cut["long_enough"] - 1)
    assert less["turns_left_out"] * 50 > less["turns"]


def test_priming_labels_the_thought_and_the_action_but_not_the_opener(base_model, train_set):
    from models.policy import load_tokenizer
    from models.training.priming import primed_rows, with_rationale

    tokenizer = load_tokenizer(base_model)
    points = [point for conversation in train_set for point in decision_points(conversation)]
    chosen = with_rationale(points, resolve("smoke").prime, seed=0)
    rows, _ = primed_rows(tokenizer, chosen, 10**6)
    for point, row in zip(chosen, rows, strict=True):
        labelled = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
        text = tokenizer.decode(labelled)
        assert text.startswith(point.expected.rationale)
        assert text.endswith("<|im_end|>")
        assert tokenizer.decode(row["input_ids"]).removesuffix(text).endswith("<|im_start|>assistant\n<think>\n")


def test_an_exchanged_thought_is_given_and_only_its_action_is_learned(base_model, train_set):
    from models.policy import load_tokenizer
    from models.training.exchanged import exchanged_thoughts
    from models.training.priming import primed_rows, with_rationale

    tokenizer = load_tokenizer(base_model)
    points = list({point.id: point for conversation in train_set for point in decision_points(conversation)}.values())
    chosen = with_rationale(points, resolve("smoke").prime, seed=0)
    others = exchanged_thoughts(chosen, 1.0, seed=0)
    rows, counts = primed_rows(tokenizer, chosen, 10**6, exchanged=others)
    pairs = [(point, other) for point in chosen for other in (None, *others.get(point.id, ()))]
    assert counts["exchanged"] == len(pairs) - len(chosen) == len(rows) - len(chosen) > len(chosen) / 2
    for (point, other), row in zip(pairs, rows, strict=True):
        if other is None:
            own = row
            continue
        learned = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
        said, given = tokenizer.decode(learned), tokenizer.decode(row["input_ids"][: -len(learned)])
        assert other.rationale != point.expected.rationale
        assert other.rationale not in said
        assert given.rstrip().endswith(f"{other.rationale}\n</think>")
        assert said.startswith("<tool_call>" if other.tool_calls else other.content)
        assert said.endswith("<|im_end|>")
        prompt = len(own["labels"]) - sum(label != -100 for label in own["labels"])
        assert row["input_ids"][:prompt] == own["input_ids"][:prompt]  # so that both share its history


def test_which_thoughts_are_exchanged_depends_on_the_seed_and_the_share(train_set):
    from models.training.exchanged import REACH, exchanged_thoughts

    points = list({point.id: point for conversation in train_set for point in decision_points(conversation)}.values())
    assert exchanged_thoughts(points, 0.0, seed=0) == {}
    half = exchanged_thoughts(points, 0.5, seed=0)
    assert 0.3 * len(points) < len(half) < 0.7 * len(points)
    assert half == exchanged_thoughts(points, 0.5, seed=0) != exchanged_thoughts(points, 0.5, seed=1)
    assert half.items() <= exchanged_thoughts(points, 1.0, seed=0).items()
    first = [point for point in points if point.conversation_id == points[0].conversation_id]
    for index, point in enumerate(first):
        if point.id in half:
            near = [one.expected for one in first[max(0, index - REACH) : index + REACH + 1] if one is not point]
            assert half[point.id][0] in near


def test_what_calls_or_tells_borrows_the_thought_of_its_kind_in_another_conversation(train_set):
    from models.training.exchanged import exchanged_thoughts

    points = list({point.id: point for conversation in train_set for point in decision_points(conversation)}.values())
    others = exchanged_thoughts(points, 1.0, seed=0)

    def kind(message):
        return [call.name for call in message.tool_calls], message.acts, sorted(fact.name for fact in message.facts)

    borrowed = {"call": 0, "answer": 0}
    for point in points:
        own = [one.expected for one in points if one.conversation_id == point.conversation_id]
        elsewhere = [one for one in others.get(point.id, ()) if all(one is not mine for mine in own)]
        assert len(elsewhere) <= 1
        assert point.expected.tool_calls or point.expected.facts or not elsewhere  # there is nothing to copy
        for other in elsewhere:
            assert kind(other) == kind(point.expected)
            assert other.rationale != point.expected.rationale
            borrowed[point.kind] += 1
        for other in others.get(point.id, ()):
            assert all(any(form in other.rationale for form in fact.forms) for fact in other.facts)
    assert borrowed["call"] > 3
    # Where a name means another tool, nothing is borrowed.
    point = next(point for point in points if point.expected.tool_calls and len(others.get(point.id, ())) == 2)
    renamed = tuple(tool.model_copy(update={"description": "Does something else."}) for tool in point.tools)
    changed = [point.model_copy(update={"tools": renamed}) if one is point else one for one in points]
    assert exchanged_thoughts(changed, 1.0, seed=0)[point.id] == others[point.id][:1]


def test_an_answer_that_tells_borrows_only_where_the_same_is_told(train_set):
    from models.training.exchanged import exchanged_thoughts

    points = [point for conversation in train_set for point in decision_points(conversation)]
    telling = next(point for point in points if point.expected.facts and not point.expected.tool_calls)

    def elsewhere(home, **changes):
        facts = tuple(fact.model_copy(update=changes) for fact in telling.expected.facts)
        told = ", ".join(fact.forms[-1] for fact in facts)
        message = telling.expected.model_copy(update={"facts": facts, "rationale": f"{home} tells {told}."})
        return telling.model_copy(update={"id": f"{home}#1", "conversation_id": home, "expected": message})

    alike, unlike = elsewhere("alike"), elsewhere("unlike", name="something_else")
    assert exchanged_thoughts([telling, alike], 1.0, 0)[telling.id] == (alike.expected,)
    assert telling.id not in exchanged_thoughts([telling, unlike], 1.0, 0)
    # What a thought leaves to the answer stands nowhere in another turn's place, and would be learned as made up.
    silent = alike.model_copy(update={"expected": alike.expected.model_copy(update={"rationale": "I tell it."})})
    assert telling.id not in exchanged_thoughts([telling, silent], 1.0, 0)
    named = alike.expected.model_copy(update={"rationale": f"{telling.tools[0].name}: {alike.expected.rationale}"})
    other = alike.model_copy(update={"expected": named, "tools": telling.tools})
    assert exchanged_thoughts([telling, other], 1.0, 0)[telling.id] == (named,)
    assert telling.id not in exchanged_thoughts([telling.model_copy(update={"tools": ()}), other], 1.0, 0)


def test_a_primed_call_is_its_thought_read_from_left_to_right():
    from data.schema import Message, ToolCall
    from models.training.priming import as_its_thought_lists

    arguments = {"airline": "Delta", "day": "Friday", "from": "Oslo", "seats": "2", "to": "Rome"}
    raw = json.dumps(arguments)
    call = ToolCall(id="c", name="FindFlight", arguments=arguments, arguments_raw=raw)
    thought = "FindFlight needs to=Rome, from=Oslo, day=Friday; also airline=Delta. Nothing is missing, so I call it."
    made = as_its_thought_lists(Message(role="assistant", tool_calls=(call, call), rationale=thought))
    for one in made.tool_calls:
        assert list(one.arguments) == ["to", "from", "day", "airline", "seats"]  # what it does not name comes last
        assert one.arguments == arguments
        assert json.loads(one.arguments_raw) == arguments
        assert list(json.loads(one.arguments_raw)) == list(one.arguments)
    without = Message(role="assistant", tool_calls=(call,), rationale="I look it up.")
    assert list(as_its_thought_lists(without).tool_calls[0].arguments) == list(arguments)
    assert as_its_thought_lists(Message(role="assistant", content="Hello")).content == "Hello"


def test_grpo_stores_every_rollout_once_and_resumes(base_model, train_set, tmp_path):
    from data.rollouts import current_files, read_rollouts
    from data.validations import read_validations
    from models.training.grpo import train_grpo

    steps = {"grpo": {"max_steps": 4, "validate_every": 2, "validation_decision_points": 4}}
    work = job(base_model, tmp_path / "grpo", **steps)
    begun, recorder = Recorder(stop_at=1), Recorder()
    first = train_grpo(work, begun)
    assert (first.stopped, first.steps) == ("interrupted", 2)
    # As if it had been killed in a step that it will not come to again: its rollouts are none of the run's in the end.
    last = current_files(work.run_id)[-1]
    shutil.copy(last, last.with_name("step-00000009-attempt-0001.parquet"))
    outcome = train_grpo(work, recorder)
    assert (outcome.stopped, outcome.steps) == ("finished", 4)
    rollouts = read_rollouts(work.run_id)
    assert sorted(rollouts["step"].unique()) == [1, 2, 3, 4]
    assert len(rollouts) == 4 * work.settings.grpo.batch_size
    for _, group in rollouts.groupby(["step", "decision_point_id"]):
        assert len(group) % work.settings.grpo.num_generations == 0
        assert abs(group["advantage"].sum()) < 1e-3
    assert ("train/reward", 4) in recorder.seen
    assert ("train/zero_variance_groups", 3) in recorder.seen
    validated = read_validations(work.run_id)
    assert validated.groupby("step")["decision_point_id"].agg(frozenset).nunique() == 1
    seen = begun.seen | recorder.seen
    told = {step: seen["validation/format_ok", step] for step in (0, 2, 4)}
    assert validated.groupby("step")["format_ok"].mean().to_dict() == pytest.approx(told)

    straight = train_grpo(replace(work, run_id="straight", run_dir=tmp_path / "straight"), Recorder())
    again = read_rollouts("straight")
    order = ["step", "decision_point_id", "completion_index", "text"]
    assert again[order].to_dict("records") == rollouts[order].to_dict("records")
    assert straight.steps == 4


def lengthy(self, completions, ids):
    """A reward that differs within every group, as a random model never earns one by itself."""
    from models.rewards.compose import RewardParts, Scored
    from models.speech.parsing import parse_completion
    from models.training.scoring import Judged

    points = [self.points[identifier] for identifier in ids]
    self.batch = [
        Judged(point, text, Scored(parse_completion(text, thinking=True, tools=()), RewardParts(index % 2, 0.0, None)))
        for index, (point, text) in enumerate(zip(points, completions, strict=True))
    ]


def test_lora_trains_and_leaves_merged_weights(base_model, train_set, tmp_path, monkeypatch):
    from models.training.grpo import train_grpo
    from models.training.scoring import BatchScorer

    monkeypatch.setattr("models.training.grpo.select_points", lambda *args, **kwargs: [])  # keep the last weights
    monkeypatch.setattr(BatchScorer, "_score", lengthy)
    steps = {"lora_rank": 4, "learning_rate": 1e-2, "warmup_steps": 0, "max_steps": 3}
    work = job(base_model, tmp_path / "lora", grpo=steps)
    before, after = weights(base_model), weights(train_grpo(work, Silent()).model_dir)
    assert before.keys() == after.keys()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("q_proj" in name for name in moved)
    assert not any("norm" in name or "embed" in name for name in moved)


def test_vllm_writes_the_completions_where_a_gpu_and_vllm_are_there(base_model, tmp_path, monkeypatch):
    from models.training import grpo

    work = job(base_model, tmp_path / "vllm")
    assert not grpo.grpo_arguments(work).use_vllm
    monkeypatch.setattr(grpo, "vllm_available", lambda settings: True)
    arguments = grpo.grpo_arguments(work)
    assert (arguments.use_vllm, arguments.vllm_mode) == (True, "colocate")


def test_groups_must_divide_and_have_two_members():
    with pytest.raises(ValueError, match="use a multiple"):
        GRPOSettings(batch_size=12, micro_batch_size=4, num_generations=8)
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        GRPOSettings(num_generations=1)


@pytest.mark.parametrize("engine", ["tree", "trl"])
def test_grpo_moves_the_weights_towards_what_is_rewarded(base_model, train_set, tmp_path, monkeypatch, engine):
    """Reward the completions that hold a token more often: after some steps it is more probable."""
    from models.training.grpo import train_grpo
    from models.training.scoring import BatchScorer

    monkeypatch.setattr("models.training.grpo.select_points", lambda *args, **kwargs: [])
    monkeypatch.setattr(BatchScorer, "_score", favour_e)
    steps = {"learning_rate": 1.5e-2, "warmup_steps": 0, "max_steps": 10, "batch_size": 32, "num_generations": 16}
    recorder = Recorder()
    work = job(base_model, tmp_path / "towards", grpo={**steps, "micro_batch_size": 32, "engine": engine})
    train_grpo(work, recorder)
    rewards = [recorder.seen["train/reward", step] for step in range(1, 11)]
    assert sum(rewards[-3:]) > 1.5 * sum(rewards[:3])


def favour_e(self, completions, ids):
    """Pays the share of letters that are an e."""
    from models.rewards.compose import RewardParts, Scored
    from models.speech.parsing import parse_completion
    from models.training.scoring import Judged

    points = [self.points[identifier] for identifier in ids]
    shares = [text.count("e") / max(1, len(text)) for text in completions]
    self.batch = [
        Judged(point, text, Scored(parse_completion(text, thinking=True, tools=()), RewardParts(share, 0.0, None)))
        for point, text, share in zip(points, completions, shares, strict=True)
    ]


@pytest.mark.parametrize("stage", ["sft", "prime", "grpo"])
def test_little_memory_is_said_and_changes_no_weight(base_model, train_set, tmp_path, monkeypatch, stage):
    from models.training.grpo import train_grpo
    from models.training.priming import prime_thinking
    from models.training.sft import train_sft

    train = {"sft": train_sft, "prime": prime_thinking, "grpo": train_grpo}[stage]
    monkeypatch.setattr("models.training.grpo.select_points", lambda *args, **kwargs: [])
    monkeypatch.setattr("models.training.scoring.BatchScorer._score", favour_e)
    steps = {"learning_rate": 1e-3, "warmup_steps": 0, "max_steps": 2}
    ended, said = [], []
    for free in (10**12, 0):
        monkeypatch.setattr("models.engine.recomputing.available_memory", lambda free=free: free)
        recorder = Recorder()
        recorder.say = said.append
        outcome = train(job(base_model, tmp_path / str(free), **{stage: steps}), recorder)
        assert any("computed again in backward" in words for words in said) == (free == 0)
        ended.append(weights(outcome.model_dir))
    moved = [(ended[0][name] - values).abs().max() for name, values in weights(base_model).items()]
    assert max(moved) > 1e-4
    for name, values in ended[0].items():
        assert torch.allclose(ended[1][name], values, atol=2e-5), name


def test_a_finished_training_is_not_done_again(base_model, train_set, tmp_path):
    """As after a kill between the saving of the model and the stage's own note."""
    from models.training.sft import train_sft

    work = job(base_model, tmp_path / "done")
    first = train_sft(work, Silent())
    recorder = Recorder()
    assert train_sft(work, recorder) == first
    assert not recorder.seen


def checkpoint(folder, step, *, whole=True, sealed=True):
    from models.training import checkpoints

    made = folder / f"checkpoint-{step}"
    made.mkdir()
    (made / "model.safetensors").write_bytes(b"weights")
    if whole:
        (made / "trainer_state.json").write_text("{}")
    if sealed:
        checkpoints.seal(made)
    return made


def test_a_torn_checkpoint_is_removed_and_the_whole_one_before_it_used(tmp_path):
    from models.training import checkpoints

    checkpoint(tmp_path, 5)
    before = checkpoint(tmp_path, 10, sealed=False)
    torn = checkpoint(tmp_path, 15, whole=False, sealed=False)
    assert checkpoints.newest(tmp_path) == str(before)
    assert not torn.exists()
    assert checkpoints.newest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("left", [b"", b'{"epoch": 1.0, "log_history": [{"lo', b'{"note": "\xc3'])
def test_a_checkpoint_whose_last_file_was_cut_short_before_it_was_sealed_is_torn(tmp_path, left):
    from models.training import checkpoints

    before = checkpoint(tmp_path, 10, sealed=False)
    torn = checkpoint(tmp_path, 15, sealed=False)
    (torn / "trainer_state.json").write_bytes(left)
    assert checkpoints.newest(tmp_path) == str(before)
    assert not torn.exists()


@pytest.mark.parametrize("damage", ["cut short", "one bit", "gone"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path, capsys, damage):
    from models.training import checkpoints

    before = checkpoint(tmp_path, 5)
    weights = checkpoint(tmp_path, 10) / "model.safetensors"
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(b"weig" if damage == "cut short" else b"weighus")
    assert checkpoints.newest(tmp_path) == str(before)
    assert "checkpoint-10 is damaged (model.safetensors); going on from the one before" in capsys.readouterr().err


def test_a_signal_too_late_to_be_heeded_is_raised_when_the_work_is_done():
    import os
    import signal

    from models.interruption import interruption

    def too_late():
        with interruption() as state:
            os.kill(os.getpid(), signal.SIGINT)
            assert state.asked

    with pytest.raises(KeyboardInterrupt):
        too_late()
    with interruption() as state:
        os.kill(os.getpid(), signal.SIGTERM)
        state.heeded = True


@pytest.mark.parametrize("more", [{}, {"beta": 0.1}, {"beta": 0.1, "lora_rank": 4}], ids=["plain", "kl", "lora"])
def test_an_optimizer_step_over_trees_equals_trls(base_model, train_set, tmp_path, monkeypatch, more):
    """One whole step, rollouts to weights: the model's forward over trees, and TRL's own row by row."""
    from trl import GRPOTrainer

    from models.training.grpo import DecisionPointTrainer, train_grpo
    from models.training.scoring import BatchScorer

    monkeypatch.setattr("models.training.grpo.select_points", lambda *args, **kwargs: [])
    monkeypatch.setattr(BatchScorer, "_score", favour_e)
    steps = {"learning_rate": 1e-3, "warmup_steps": 0, "max_steps": 2, "batch_size": 16, "num_generations": 8}
    ended = []
    for name in ("trees", "rows"):
        if name == "rows":
            monkeypatch.setattr("models.training.over_trees.attend_over_trees", lambda model: None)
            theirs = GRPOTrainer._get_per_token_logps_and_entropies
            monkeypatch.setattr(DecisionPointTrainer, "_get_per_token_logps_and_entropies", theirs)
        # In bf16 the second step's completions would part where a weight rounds the other way.
        stage = {**steps, **more, "micro_batch_size": 8}
        outcome = train_grpo(job(base_model, tmp_path / name, precision="float32", grpo=stage), Silent())
        ended.append(weights(outcome.model_dir))
    started = weights(base_model)
    moved = torch.cat([(ended[1][name] - started[name]).flatten() for name in started])
    apart = torch.cat([(ended[1][name] - ended[0][name]).flatten() for name in started])
    assert torch.linalg.vector_norm(moved) > 0
    assert torch.linalg.vector_norm(apart) < 0.02 * torch.linalg.vector_norm(moved)


def test_a_model_comes_from_the_best_step_though_its_training_ended_before_it():
    """Validated as the best at 40, killed, gone on with from 35 and ended by its budget at 38."""
    from models.training.grpo import last_step

    outcome = TrainingOutcome(Path("m"), 38, 60, 1.0, "budget", {"best_step": 40.0}, {}, None)
    assert last_step(outcome) == 40
    assert last_step(replace(outcome, metrics={"best_step": 20.0})) == 38
    assert last_step(replace(outcome, metrics={})) == 38


@pytest.mark.parametrize("exchanged", [0.0, 1.0])
def test_priming_over_trees_equals_trls_rows(base_model, train_set, tmp_path, exchanged):
    """Loss, figures and weights of two steps; repeated rows count as often as they occur. A row with the thought of
    another turn shares its prompt with the turn's own and is labelled from further on."""
    from models.training.priming import prime_thinking

    steps = {"learning_rate": 1e-3, "warmup_steps": 0, "max_steps": 2, "batch_size": 8, "micro_batch_size": 4}
    seen, ended = [], []
    for engine in ("tree", "trl"):
        recorder = Recorder()
        stage = {**steps, "engine": engine, "exchanged": exchanged}
        outcome = prime_thinking(job(base_model, tmp_path / engine, precision="float32", prime=stage), recorder)
        assert (outcome.counts["exchanged"] > 0) == (exchanged > 0)
        seen.append({name: recorder.seen[f"train/{name}", 2] for name in ("loss", "entropy", "token_accuracy")})
        ended.append(weights(outcome.model_dir))
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)
    for name, values in ended[1].items():
        assert torch.allclose(ended[0][name], values, atol=2e-4), name
