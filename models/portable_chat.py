"""Answers a chat request with a model from an export: the one file of code that travels with it.

MLflow copies this file beside the weights and calls ``_load_pyfunc`` wherever the model is loaded, so it imports
nothing of this project: torch and transformers suffice. Requests and answers have the form of OpenAI's chat
completions; how text becomes tool calls is said by the response template in the exported tokenizer.
"""

from __future__ import annotations

import json
import math
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any

#: ``developer`` is what newer clients call the system prompt.
ROLES = ("system", "developer", "user", "assistant", "tool")
#: What a request may say besides messages and tools.
OPTIONS = frozenset(
    {"model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "chat_template_kwargs"}
)
#: What clients say besides that changes nothing, with the values that change nothing; None: any.
NEUTRAL: dict[str, tuple[Any, ...] | None] = {
    "stream": (False,),
    "n": (1,),
    "tool_choice": ("auto", "none"),
    "parallel_tool_calls": (True,),
    "user": None,
    "metadata": None,
    "store": (False,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto",),
}
#: What a seed may be: 64 bits with a sign.
_SEEDS = {"lowest": -(2.0**63), "highest": 2.0**63}
_THOUGHT_ENDS = "</think>"


class RequestError(ValueError):
    """A chat request cannot be answered as it is; the message says what is wrong with it."""


def _load_pyfunc(path: str) -> Chat:
    """What MLflow calls with the folder of the export."""
    return Chat(path)


class Chat:
    """A model that answers chat requests."""

    def __init__(self, folder: str, device: str | None = None) -> None:
        """Load the export in ``folder``; on CUDA where there is one unless ``device`` says otherwise."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        self.model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype="auto", **local)
        self.model = self.model.to(self.device).eval()

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """An OpenAI chat completion for a request (``messages``, ``tools``, …), or a list of them for a list.

        Args:
            model_input: ``{"messages": […], "tools": […], "max_tokens": …, "temperature": …}``, a list of such, a
                pandas table with a request in each row, which is how MLflow's scoring server hands on records, or a
                mapping of columns with a request in each place, which is what it makes of ``instances``.
            params: Options that hold where the request says nothing. MLflow hands none on, for the model states none.

        Raises:
            RequestError: No messages, an unknown role or option, a value of the wrong kind, a tool without a name, or
                more tokens than the model can read.
        """
        if hasattr(model_input, "to_dict"):
            model_input = model_input.to_dict("records")
        asked = _rows(_plain(model_input))
        if not isinstance(asked, list):
            return self.complete(_with(params, asked))
        return [self.complete(_with(params, request)) for request in asked]

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One chat completion."""
        messages, tools, options = checked(request)
        prompt = self.tokenizer.apply_chat_template(
            messages,
            tools=tools,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            **options.get("chat_template_kwargs", {}),
        ).to(self.device)
        ids = prompt["input_ids"]
        written = self._generate(prompt, options)[0, ids.shape[1] :].tolist()
        ends = self.model.generation_config.eos_token_id
        ended = bool(written) and written[-1] in (ends if isinstance(ends, list) else [ends])
        template = self.tokenizer.response_template if tools else _without_calls(self.tokenizer.response_template)
        message = self.tokenizer.parse_response(written, template, prefix=ids[0].tolist())
        return _completion(request, message, ids.shape[1], len(written), ended)

    def _generate(self, prompt: Any, options: Mapping[str, Any]) -> Any:
        import torch

        chosen, read = generation(options), prompt["input_ids"].shape[1]
        if longest := getattr(self.model.config.get_text_config(), "max_position_embeddings", None):
            if read >= longest:
                raise RequestError(f"the request is {read} tokens long, and the model reads and writes {longest}")
            most = chosen.get("max_new_tokens") or self.model.generation_config.max_new_tokens or longest
            chosen["max_new_tokens"] = min(most, longest - read)
        if (seed := options.get("seed")) is not None:
            torch.manual_seed(int(_number("seed", seed, **_SEEDS)))
        with torch.inference_mode():
            return self.model.generate(**prompt, **chosen)


def generation(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of transformers' ``generate`` for the options of a request: greedy unless it names a temperature above
    0 or a ``top_p``; then from all tokens, as OpenAI has it, not from transformers' 50 likeliest.

    Raises:
        RequestError: A value that is no number, or out of its range.
    """
    chosen: dict[str, Any] = {}
    if (most := options.get("max_completion_tokens", options.get("max_tokens"))) is not None:
        chosen["max_new_tokens"] = int(_number("max_tokens", most, lowest=1))
    temperature, top_p = options.get("temperature"), options.get("top_p")
    if temperature is None and top_p is None:
        return chosen
    heat = 1.0 if temperature is None else _number("temperature", temperature, lowest=0)
    if heat == 0:
        return chosen | {"do_sample": False}
    chosen |= {"do_sample": True, "temperature": heat, "top_k": 0}
    return chosen if top_p is None else chosen | {"top_p": _number("top_p", top_p, lowest=0, highest=1)}


def _number(name: str, value: Any, *, lowest: float, highest: float = sys.float_info.max) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        most = f" to {highest:g}" if highest < sys.float_info.max else ""
        raise RequestError(f"{name} is {value!r}; give a number from {lowest:g}{most}")
    return float(value)


def _plain(value: Any) -> Any:
    """Lists and values of Python's own where MLflow and Parquet hand on arrays."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _rows(asked: Any) -> Any:
    """A list of requests where there is a mapping of columns, whose ``messages`` are lists of messages."""
    first = asked.get("messages") if isinstance(asked, Mapping) else None
    if not isinstance(first, list) or not first or not isinstance(first[0], list):
        return asked
    if uneven := [name for name, column in asked.items() if not isinstance(column, list) or len(column) != len(first)]:
        raise RequestError(f"{uneven[0]!r} does not have one value for each of the {len(first)} lists of messages")
    return [dict(zip(asked, row, strict=True)) for row in zip(*asked.values(), strict=True)]


def _with(params: Mapping[str, Any] | None, request: Any) -> Any:
    return {**(params or {}), **request} if isinstance(request, Mapping) else request


def checked(request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Any] | None, dict[str, Any]]:
    """Messages and tools as the chat template takes them, and the options of a request; null counts as not said.

    Raises:
        RequestError: As ``Chat.predict``.
    """
    if not isinstance(request, Mapping):
        raise RequestError(f"a chat request is an object with 'messages', not {type(request).__name__}")
    said = {key: value for key, value in _plain(request).items() if not _is_nothing(value)}
    messages, tools = said.pop("messages", None), said.pop("tools", None)
    if said.get("tool_choice") == "none":
        tools = None
    for key in [key for key in said if key in NEUTRAL]:
        harmless = NEUTRAL[key]
        if harmless is not None and said[key] not in harmless:
            raise RequestError(f"{key}={said[key]!r} is not supported; leave it out")
        del said[key]
    if not isinstance(messages, list) or not messages:
        raise RequestError("a chat request needs 'messages': a list with at least one message")
    if unknown := sorted(map(str, set(said) - OPTIONS)):
        raise RequestError(f"unknown option {unknown[0]!r}; known are messages, tools, {', '.join(sorted(OPTIONS))}")
    if "chat_template_kwargs" in said:
        said["chat_template_kwargs"] = _mode(said["chat_template_kwargs"])
    if tools is not None and not isinstance(tools, list):
        raise RequestError("'tools' is no list; give OpenAI's form of each tool in one")
    for number, tool in enumerate(tools or ()):
        function = (tool.get("function") or tool) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise RequestError(f"tools[{number}] has no function name; give OpenAI's form of a tool")
    spoken = [_message(number, message) for number, message in enumerate(messages)]
    _check_text(spoken, tools)
    return spoken, tools or None, said


def _mode(kwargs: Any) -> dict[str, bool]:
    """Whether it is to think: of what a chat template takes, the rest is this program's to say."""
    said = {key: value for key, value in kwargs.items() if value is not None} if isinstance(kwargs, Mapping) else None
    if said is None or not set(said) <= {"enable_thinking"} or not all(isinstance(one, bool) for one in said.values()):
        raise RequestError('chat_template_kwargs takes {"enable_thinking": true or false} and nothing else')
    return said


def _check_text(*parts: Any) -> None:
    """Refuse what no JSON in UTF-8 could have held, for neither template nor tokenizer says what is wrong with it."""
    try:
        json.dumps(parts, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RequestError("the request has half a character in it (a lone surrogate); leave it out") from None
    except (TypeError, ValueError) as error:
        raise RequestError(f"the request is not made of what JSON has ({error})") from None


def _message(number: int, message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        raise RequestError(f"messages[{number}] needs a role among {', '.join(ROLES)}")
    content = message.get("content") or ""
    if not isinstance(content, str):  # OpenAI's content parts
        parts = content if isinstance(content, list) else [None]
        texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
        if not all(isinstance(text, str) for text in texts):
            raise RequestError(f"messages[{number}] has content other than text, which this model cannot read")
        content = "".join(map(str, texts))
    kept = {key: message[key] for key in ("tool_calls", "tool_call_id") if message.get(key)}
    calls = kept.get("tool_calls", [])
    if not isinstance(calls, list):
        raise RequestError(f"messages[{number}] has 'tool_calls' that are no list; give OpenAI's form of each in one")
    for call in calls:
        function = (call.get("function") or call) if isinstance(call, Mapping) else None
        function = function if isinstance(function, Mapping) else {}
        if not isinstance(function.get("name"), str) or "arguments" not in function:
            raise RequestError(f"messages[{number}] has a tool call without a function's name and arguments")
    role = "system" if message["role"] == "developer" else message["role"]
    return {"role": role, "content": content, **kept}


def _is_nothing(value: Any) -> bool:
    """Null, or the NaN that a table has where a record says nothing."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _without_calls(template: Mapping[str, Any]) -> dict[str, Any]:
    """The response template where no tool is on offer: what looks like a call is text."""
    return {**template, "fields": {name: one for name, one in template["fields"].items() if name != "tool_calls"}}


def _spoken(message: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Thought and content. The model may end a thought that was never begun, or a second time; the response template
    reads a thought from its beginning only, so here all up to the last end counts as thought."""
    before, ended, content = (message.get("content") or "").rpartition(_THOUGHT_ENDS)
    stray = before.replace(_THOUGHT_ENDS, "\n").strip() if ended else ""
    thought = "\n".join(part for part in (message.get("reasoning_content"), stray) if part)
    return thought or None, content.strip() or None


def _completion(
    request: Mapping[str, Any], message: Mapping[str, Any], read: int, written: int, ended: bool
) -> dict[str, Any]:
    head = uuid.uuid4().hex
    calls = [{"id": f"call_{head[:8]}_{n}", **call} for n, call in enumerate(message.get("tool_calls") or ())]
    thought, content = _spoken(message)
    answer: dict[str, Any] = {"role": "assistant", "content": content}
    if thought:
        answer["reasoning_content"] = thought
    if calls:
        answer["tool_calls"] = calls
    finish = "length" if not ended else "tool_calls" if calls else "stop"
    return {
        "id": f"chatcmpl-{head}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model") or "apprentice",
        "choices": [{"index": 0, "message": answer, "finish_reason": finish}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }
