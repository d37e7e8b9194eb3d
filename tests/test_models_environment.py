"""The practice domains under TRL's own loop: tools as methods, the user behind a tool, the same reward."""

import json

import pytest
import torch
from transformers.utils import get_json_schema

from data.practice.domains import DOMAINS
from data.practice.drawing import task_of
from data.practice.gold import play_oracle
from models.practice.environment import LEFT, environment_factories, environment_rows, readable_by_trl
from models.random_model import make_qwen3
from models.speech.template import CHAT_TEMPLATE, TURN_END


def test_methods_are_read_as_the_tools_specifications():
    for name, factory in environment_factories().items():
        environment = factory()
        for spec in environment.tools:
            told = get_json_schema(getattr(environment, spec.name))["function"]
            assert told["name"] == spec.name
            assert told["description"] == spec.description
            assert set(told["parameters"].get("required", ())) == set(spec.parameters.get("required", ()))
            for argument, schema in spec.parameters["properties"].items():
                ours = told["parameters"]["properties"][argument]
                assert ours["type"] == schema["type"], (name, spec.name, argument)
                assert ours.get("enum") == schema.get("enum")
        spoken = get_json_schema(environment.reply_to_user)["function"]
        assert list(spoken["parameters"]["properties"]) == ["text"]


def test_only_tools_of_the_part_are_on_offer():
    offered = {tool.name for factory in environment_factories("seen").values() for tool in factory.tools}
    unseen = environment_factories("unseen_in_test")
    assert {tool.name for factory in unseen.values() for tool in factory.tools} - offered


def gold_steps(task_id: str):
    """The gold agent's calls and answers at this task."""
    said = play_oracle(task_of(task_id), 0, errors=0.0).messages
    return [message for message in said if message.role == "assistant"]


def test_the_gold_agent_earns_all_through_the_environment_and_a_silent_one_nothing():
    for line in environment_rows(len(environment_factories())):
        environment = environment_factories()[line["environment"]]()
        opening = environment.reset(**line)
        assert "The user says: " in opening
        assert environment.get_reward() == 0.0
        for step in gold_steps(line["task_id"]):
            for call in step.tool_calls:
                while "time-out" in (result := getattr(environment, call.name)(**call.arguments)):
                    pass
                assert json.loads(result)
            if not step.tool_calls:
                environment.reply_to_user(step.content)
        assert environment.get_reward() == 1.0, line["task_id"]
        assert environment.reply_to_user("Still there?") == LEFT


def test_unsound_arguments_come_back_as_errors():
    (line,) = environment_rows(1)
    environment = environment_factories()[line["environment"]]()
    environment.reset(**line)
    tool = next(spec for spec in environment.tools if spec.parameters.get("required"))
    assert "error" in json.loads(getattr(environment, tool.name)(nonsense=3))


@pytest.mark.slow
def test_trls_own_loop_runs_the_gold_agent(tmp_path, monkeypatch):
    """TRL renders the tools, executes the calls, masks what came back and asks the environment for its reward."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.setattr("data.practice.episode.TIME_OUT_RATE", 0.0)
    model, tokenizer = make_qwen3()
    tokenizer.chat_template = CHAT_TEMPLATE
    (line,) = environment_rows(1)
    turns = [_written(step) for step in gold_steps(line["task_id"])]
    trainer = GRPOTrainer(
        model=model,
        args=GRPOConfig(
            str(tmp_path),
            num_generations=2,
            per_device_train_batch_size=2,
            max_completion_length=4000,
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_list([line, line]),
        processing_class=readable_by_trl(tokenizer),
        environment_factory=environment_factories(),
    )
    said = iter(turns)

    def generate(prompt_ids, *others, **more):
        text = next(said, "Goodbye.")
        ids = tokenizer(text + TURN_END, add_special_tokens=False)["input_ids"]
        return [list(ids) for _ in prompt_ids], None

    monkeypatch.setattr(trainer, "_generate_single_turn", generate)
    trainer.model.train()
    output = trainer._generate_and_score_completions([line, line])
    rewards = [environment.get_reward() for environment in trainer.environments]
    assert rewards == [1.0, 1.0]
    own = tokenizer.decode(output["completion_ids"][0][(output["tool_mask"] * output["completion_mask"])[0].bool()])
    assert own.startswith("".join(text + TURN_END for text in turns))
    assert torch.isfinite(output["advantages"]).all()
    assert DOMAINS[line["environment"]]


def _written(step) -> str:
    calls = [{"name": call.name, "arguments": call.arguments} for call in step.tool_calls]
    calls = calls or [{"name": "reply_to_user", "arguments": {"text": step.content}}]
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
