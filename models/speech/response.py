"""How a completion is read outside this project: a response template, stored in the tokenizer beside the chat template.

transformers (5.x) parses what a model wrote by a declarative template that lies in the tokenizer's config; its server
(``transformers serve``) turns it into structured ``tool_calls``. Ours says what ``models.speech.parsing`` reads, with
three differences. Arguments stay the text the model wrote, so one that is no JSON reaches the client as OpenAI's API
has it, instead of ending in an error of the server. A call is only recognised with its name first, as our template
writes it; anything else stays visible in the content. And nobody checks that the tool is on offer: that is the caller's
knowledge.
"""

from __future__ import annotations

from typing import Any

from models.speech.template import CHAT_TEMPLATE

RESPONSE_TEMPLATE: dict[str, Any] = {
    "version": 1,
    "defaults": {"role": "assistant"},
    # The prompt's end is read too: with thinking it wrote the opener of the thought.
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "reasoning_content": {"open": "<think>", "close": "</think>", "content": "text"},
        "tool_calls": {
            "open_pattern": r'\s*<tool_call>\s*\{\s*"name"\s*:\s*"(?P<name>[^"\\\n]+)"\s*,\s*"arguments"\s*:',
            "close_pattern": r"\}\s*</tool_call>",
            "repeats": True,
            # As text, not as JSON: what cannot be parsed must not end the request, and a history keeps its bytes.
            "content": "text",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {
            # The white space between two calls, and before the end, is nobody's content.
            "close_pattern": r"\s*(?:<\|im_end\|>|<\|endoftext\|>)",
            "content": "text",
            "repeats": True,
            "join": "\n",
        },
    },
}


def exported_chat_template(*, thinking: bool) -> str:
    """The one chat template, with the mode in which the model was trained as what happens if nobody says.

    It renders the same bytes as ``CHAT_TEMPLATE`` for every caller who says ``enable_thinking``.
    """
    default = "true" if thinking else "false"
    return f"{{%- set enable_thinking = enable_thinking | default({default}) -%}}\n{CHAT_TEMPLATE}"
