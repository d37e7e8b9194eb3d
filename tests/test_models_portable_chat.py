"""What the package makes of odd requests and of odd things that a model says; what it says is given here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.portable_chat import Chat, RequestError, checked, generation

USER = {"role": "user", "content": "hi"}
HELLO: dict[str, Any] = {"messages": [USER]}
TOOL = {"type": "function", "function": {"name": "f"}}
CALL = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'

Says = Callable[[str], Chat]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.base import _save
    from models.export import Origin, export_model
    from models.random_model import make_qwen3

    root = tmp_path_factory.mktemp("portable")
    (root / "model").mkdir()
    _save(*make_qwen3(), root / "model")
    origin = Origin("ferryman", "grpo", "r" * 32, "d" * 12, True, "random:qwen3", "c0ffee", 128)
    export_model(root / "model", root / "ferryman", origin)
    return root / "ferryman"


@pytest.fixture(scope="module")
def loaded(export: Path) -> Chat:
    return Chat(str(export), device="cpu")


@pytest.fixture
def says(loaded: Chat, monkeypatch: pytest.MonkeyPatch) -> Says:
    """The model, saying this whatever it is asked."""

    def made(text: str) -> Chat:
        import torch

        said = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        monkeypatch.setattr(loaded, "_generate", lambda prompt, _: torch.cat([prompt["input_ids"], said], 1))
        return loaded

    return made


def message(answer: dict[str, Any]) -> tuple[str | None, str | None, list[str]]:
    """Thought, content and called tools."""
    said = answer["choices"][0]["message"]
    called = [call["function"]["name"] for call in said.get("tool_calls", [])]
    return said.get("reasoning_content"), said["content"], called


@pytest.mark.parametrize("offer", [{}, {"tools": []}, {"tools": [TOOL], "tool_choice": "none"}])
def test_what_looks_like_a_call_is_text_where_no_tool_is_on_offer(says: Says, offer: dict[str, Any]) -> None:
    answer = says(f"So.\n</think>\n\n{CALL}<|im_end|>").predict({**HELLO, **offer})
    assert message(answer) == ("So.", CALL, [])
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("text", "thinking", "thought", "content"),
    [
        ("I think.\n</think>\n\nHello.", False, "I think.", "Hello."),
        ("a</think>b</think>d", True, "a\nb", "d"),
        ("a</think>b</think>c</think>d", False, "a\nb\nc", "d"),
        ("a</think>b<think>c</think>d", True, "a\nc", "b\nd"),
        (f"I think.\n</think>\n\n{CALL}", False, "I think.", None),
        ("Hello.", False, None, "Hello."),
    ],
)
def test_a_thought_is_no_content_however_it_is_marked(
    says: Says, text: str, thinking: bool, thought: str | None, content: str | None
) -> None:
    request = {**HELLO, "tools": [TOOL], "chat_template_kwargs": {"enable_thinking": thinking}}
    called = ["f"] if CALL in text else []
    assert message(says(f"{text}<|im_end|>").predict(request)) == (thought, content, called)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {**HELLO, "tools": [TOOL], "max_tokens": 5}},
        {"inputs": [HELLO, {**HELLO, "tools": [TOOL]}]},
        {"instances": [HELLO]},
        {"instances": [{**HELLO, "tools": [TOOL], "max_tokens": 5, "temperature": 0.5}] * 2},
        {"instances": [{**HELLO, "chat_template_kwargs": {"enable_thinking": True}}] * 2},
    ],
)
def test_every_form_of_mlflow_s_scoring_server_is_answered(says: Says, body: dict[str, Any]) -> None:
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    found = says("So.\n</think>\n\nHello.<|im_end|>").predict(infer_and_parse_data(body))
    (asked,) = body.values()
    assert [message(one) for one in ([found] if isinstance(asked, dict) else found)] == [("So.", "Hello.", [])] * (
        1 if isinstance(asked, dict) else len(asked)
    )


def test_a_table_from_parquet_is_answered(says: Says, tmp_path: Path) -> None:
    import pandas as pd

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    called = [USER, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    pd.DataFrame([{"messages": called, "tools": [TOOL]}, HELLO]).to_parquet(tmp_path / "t.parquet")
    found = says("So.\n</think>\n\nHello.<|im_end|>").predict(pd.read_parquet(tmp_path / "t.parquet"))
    assert [message(one)[1] for one in found] == ["Hello.", "Hello."]
    assert found[0]["usage"]["prompt_tokens"] > found[1]["usage"]["prompt_tokens"]


def test_arrays_are_read_as_lists() -> None:
    messages, tools, options = checked(
        {"messages": np.array([USER], dtype=object), "tools": np.array([TOOL], dtype=object), "seed": np.array(5)}
    )
    assert (messages, tools, options) == ([USER], [TOOL], {"seed": 5})


@pytest.mark.parametrize(
    ("asked", "says_"),
    [
        ("hello", "not str"),
        (5, "not int"),
        ([HELLO["messages"]], "not list"),
        ({"messages": [[USER], [USER]], "seed": [1]}, "'seed' does not have one value for each of the 2 lists"),
    ],
)
def test_what_is_no_request_is_refused(loaded: Chat, asked: Any, says_: str) -> None:
    with pytest.raises(RequestError, match=says_):
        loaded.predict(asked)


def calling(**function: Any) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", "tool_calls": [{"function": function}]}]}


@pytest.mark.parametrize(
    ("request_", "says_"),
    [
        *(
            ({**HELLO, "chat_template_kwargs": kwargs}, "takes .*enable_thinking.* and nothing else")
            for kwargs in (
                ["a"],
                {"tokenize": False},
                {"add_generation_prompt": True},
                {"chat_template": "x"},
                {"enable_thinking": "false"},
            )
        ),
        ({"messages": [USER, {"role": "assistant", "tool_calls": 5}]}, r"messages\[1\] has 'tool_calls' that are no"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": ["f"]}]}, "without a function's name and arguments"),
        (calling(name=None, arguments="{}"), "without a function's name and arguments"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "half a character"),
        ({**HELLO, "tools": [{"function": {"name": "\ud800"}}]}, "half a character"),
        ({**HELLO, "tools": [{"function": {"name": "f", "parameters": {1, 2}}}]}, "not made of what JSON has"),
        ({**HELLO, 0: "x", "stop": ["x"]}, "unknown option '0'"),
    ],
)
def test_odd_requests_are_refused_with_their_reason(request_: dict[str, Any], says_: str) -> None:
    with pytest.raises(RequestError, match=says_):
        checked(request_)


@pytest.mark.parametrize("most", [float("inf"), 10**400])
def test_a_number_beyond_all_bounds_is_refused(most: float) -> None:
    with pytest.raises(RequestError, match=r"max_tokens is .*give a number from 1"):
        generation({"max_tokens": most})


def test_a_seed_that_is_no_seed_is_refused(loaded: Chat) -> None:
    with pytest.raises(RequestError, match=r"seed is .*give a number from"):
        loaded.predict({**HELLO, "seed": 10**30})


def test_what_changes_nothing_may_be_said_in_every_way() -> None:
    said = {"logprobs": False, "frequency_penalty": 0, "presence_penalty": 0.0, "service_tier": "auto"}
    said |= {"response_format": {"type": "text"}, "chat_template_kwargs": {"enable_thinking": None}}
    assert checked({**HELLO, **said}) == ([USER], None, {"chat_template_kwargs": {}})
    for name, value in (("logprobs", True), ("frequency_penalty", 1), ("response_format", {"type": "json_object"})):
        with pytest.raises(RequestError, match=f"{name}=.* is not supported"):
            checked({**HELLO, name: value})


@pytest.mark.parametrize("options", [{"max_tokens": 30}, {}])
def test_no_more_is_written_than_the_model_can_read(
    loaded: Chat, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = loaded.predict({**HELLO, "max_tokens": 1})["usage"]["prompt_tokens"]
    monkeypatch.setattr(loaded.model.config, "max_position_embeddings", read + 6)
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", None)
    answer = loaded.predict({**HELLO, **options})
    assert answer["usage"] == {"prompt_tokens": read, "completion_tokens": 6, "total_tokens": read + 6}
    assert answer["choices"][0]["finish_reason"] == "length"
