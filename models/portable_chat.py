"""Answers a chat request with a model from an export: the one file of code that travels with it.

MLflow copies this file beside the weights and calls ``_load_pyfunc`` wherever the model is loaded, so it imports
nothing of this project: torch and transformers suffice. Requests and answers have the form of OpenAI's chat
completions; how text becomes tool calls is said by the response template in the exported tokenizer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = ("system", "user", "assistant", "tool")
#: What a request may say besides messages and tools.
OPTIONS = frozenset(
    {"model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "chat_template_kwargs"}
)


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
            model_input: ``{"messages": […], "tools": […], "max_tokens": …, "temperature": …}``.
            params: Options that hold where the request says nothing.

        Raises:
            RequestError: No messages, an unknown role or option, or a tool without a name.
        """
        if isinstance(model_input, Mapping):
            return self.complete({**(params or {}), **model_input})
        return [self.complete({**(params or {}), **request}) for request in model_input]

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
        message = self.tokenizer.parse_response(written, prefix=ids[0].tolist())
        return _completion(request, message, ids.shape[1], len(written), ended)

    def _generate(self, prompt: Any, options: Mapping[str, Any]) -> Any:
        import torch

        chosen: dict[str, Any] = {}
        if (most := options.get("max_completion_tokens", options.get("max_tokens"))) is not None:
            chosen["max_new_tokens"] = int(most)
        if (temperature := options.get("temperature")) is not None:
            chosen |= {"do_sample": temperature > 0} | ({"temperature": float(temperature)} if temperature > 0 else {})
        if (top_p := options.get("top_p")) is not None and chosen.get("do_sample"):
            chosen["top_p"] = float(top_p)
        if (seed := options.get("seed")) is not None:
            torch.manual_seed(int(seed))
        with torch.inference_mode():
            return self.model.generate(**prompt, **chosen)


def checked(request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Any] | None, dict[str, Any]]:
    """Messages and tools as the chat template takes them, and the options of a request; null counts as not said.

    Raises:
        RequestError: As ``Chat.predict``.
    """
    said = {key: value for key, value in request.items() if value is not None}
    messages, tools = said.pop("messages", None), said.pop("tools", None)
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise RequestError("a chat request needs 'messages': a list with at least one message")
    if unknown := sorted(set(said) - OPTIONS):
        raise RequestError(f"unknown option {unknown[0]!r}; known are messages, tools, {', '.join(sorted(OPTIONS))}")
    for number, tool in enumerate(tools or ()):
        if not isinstance(tool, Mapping) or not (tool.get("function") or tool).get("name"):
            raise RequestError(f"tools[{number}] has no function name; give OpenAI's form of a tool")
    return [_message(number, message) for number, message in enumerate(messages)], tools or None, said


def _message(number: int, message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        raise RequestError(f"messages[{number}] needs a role among {', '.join(ROLES)}")
    content = message.get("content") or ""
    if not isinstance(content, str):  # OpenAI's content parts
        if any(not isinstance(part, Mapping) or part.get("type") != "text" for part in content):
            raise RequestError(f"messages[{number}] has content other than text, which this model cannot read")
        content = "".join(part["text"] for part in content)
    kept = {key: message[key] for key in ("tool_calls", "tool_call_id") if message.get(key)}
    return {"role": message["role"], "content": content, **kept}


def _completion(
    request: Mapping[str, Any], message: Mapping[str, Any], read: int, written: int, ended: bool
) -> dict[str, Any]:
    head = uuid.uuid4().hex
    calls = [{"id": f"call_{head[:8]}_{n}", **call} for n, call in enumerate(message.get("tool_calls") or ())]
    answer: dict[str, Any] = {"role": "assistant", "content": message.get("content") or None}
    if message.get("reasoning_content"):
        answer["reasoning_content"] = message["reasoning_content"]
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
