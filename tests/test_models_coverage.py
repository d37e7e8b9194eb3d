"""The order of conversations in which a short SFT learns most per token."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.profiles import resolve
from data.reporting import Silent
from data.schema import Conversation
from data.settings import ContinuedSettings, SFTSettings
from models.base import fetch_base_model
from models.policy import load_tokenizer
from models.training.coverage import ANSWERING, covering_order, lessons
from models.training.job import TrainingJob


def test_a_conversation_teaches_its_calls_and_its_answers_as_far_as_it_is_read(
    tiny_conversations: list[Conversation],
) -> None:
    conversation = max(tiny_conversations, key=lambda one: len(one.messages))
    own = [message for message in conversation.messages if message.role == "assistant"]
    everything = lessons(conversation, len(own))
    assert everything.count(ANSWERING) == sum(not message.tool_calls for message in own)
    assert [name for name in everything if name] == [call.name for message in own for call in message.tool_calls]
    assert lessons(conversation, 2) == everything[: sum(max(1, len(message.tool_calls)) for message in own[:2])]
    assert lessons(conversation, 0) == []


def test_rare_tools_come_before_more_of_a_frequent_one_and_short_rows_before_long_ones() -> None:
    taught = [["often"]] * 8 + [["rare"], ["often", "rare"]]
    order = covering_order(taught, [100] * 8 + [100, 1000], seed=0)
    assert sorted(order) == list(range(10))
    assert 8 in order[:2]  # as soon as one row of the other tool is read
    assert order[-1] == 9  # teaches twice as much in ten times the tokens


def test_a_prefix_holds_more_calls_and_more_of_the_rarest_tool_than_chance_gives() -> None:
    chance = random.Random(1)
    tools = [f"tool_{number}" for number in range(20)]
    taught, tokens = [], []
    for _ in range(400):
        calls = chance.choices(tools, weights=[1 + number for number in range(20)], k=chance.randint(0, 4))
        taught.append([*calls, *[ANSWERING] * chance.randint(1, 8)])
        tokens.append(chance.randint(400, 1500))

    def read(order: list[int]) -> Counter[str]:
        found: Counter[str] = Counter()
        spent = 0
        for place in order:
            if (spent := spent + tokens[place]) > 100_000:
                break
            found.update(taught[place])
        return found

    for seed in range(3):
        drawn = list(range(400))
        random.Random(seed).shuffle(drawn)
        ours, theirs = read(covering_order(taught, tokens, seed)), read(drawn)
        assert sum(ours[tool] for tool in tools) > 1.3 * sum(theirs[tool] for tool in tools)
        assert min(ours[tool] for tool in tools) > 1.5 * min(theirs[tool] for tool in tools)
    assert covering_order(taught, tokens, 0) == covering_order(taught, tokens, 0)
    assert covering_order(taught, tokens, 0) != covering_order(taught, tokens, 1)


def test_what_teaches_nothing_comes_last_and_nothing_is_lost() -> None:
    assert covering_order([[], ["a"]], [10, 10], seed=3) == [1, 0]
    assert covering_order([], [], seed=0) == []


@pytest.fixture(scope="module")
def base_model(_sheltered_session: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


def test_sft_reads_rows_in_that_order(
    base_model: Path, tiny_conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is judged by its own conversation, also where others are too long to be used."""
    from models.training import sft

    tokenizer = load_tokenizer(base_model)
    lengths = sorted(len(row["input_ids"]) for row in sft.labelled_rows(tokenizer, tiny_conversations, 10**6)[0])
    read, given = list[list[int]](), dict[str, Any]()

    def lengths_of(inputs: dict[str, Any]) -> list[int]:
        return [int(mask.sum()) for mask in inputs["attention_mask"]]

    def noted(taught: list[list[str]], tokens: list[int], seed: int) -> list[int]:
        given.update(taught=taught, tokens=tokens, seed=seed)
        return list(reversed(range(len(tokens))))

    def seen(self: Any, model: Any, inputs: dict[str, Any], *more: Any, **others: Any) -> Any:
        read.extend(
            ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        )
        return whole(self, model, inputs, *more, **others)

    whole = sft.InOrderSFTTrainer.compute_loss
    monkeypatch.setattr(sft.InOrderSFTTrainer, "compute_loss", seen)
    monkeypatch.setattr(sft, "covering_order", noted)
    monkeypatch.setattr(sft, "read_conversations", lambda version, splits=None: tiny_conversations)
    stage = {"order": "coverage", "max_length": lengths[-1] - 1, "max_steps": 500, "epochs": 1, "batch_size": 1}
    settings = resolve("smoke", {"device": "cpu", "sft": stage})
    (tmp_path / "run").mkdir()
    sft.train_sft(TrainingJob("run", "0" * 12, base_model, tmp_path / "run", settings), Silent())
    used: list[Conversation] = []
    rows, _ = sft.labelled_rows(tokenizer, tiny_conversations, lengths[-1] - 1, None, used)
    assert read == [row["input_ids"] for row in reversed(rows)]
    assert (given["tokens"], given["seed"]) == ([len(row["input_ids"]) for row in rows], settings.seed)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    turns = [row["labels"].count(end) for row in rows]
    assert given["taught"] == [lessons(one, count) for one, count in zip(used, turns, strict=True)]


def test_only_a_run_that_ends_early_has_an_order_and_what_goes_on_does_not_repeat_it() -> None:
    assert SFTSettings().order == "shuffled"
    assert ContinuedSettings().order == "shuffled"
    assert resolve("laptop").sft.order == "coverage"
    assert resolve("laptop").continued.order == "shuffled"
