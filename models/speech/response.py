"""How a completion is read outside this project: a response template, stored in the tokenizer beside the chat template.

transformers (5.x) parses what a model wrote by a declarative template that lies in the tokenizer's config; its server
(``transformers serve``) turns it into structured ``tool_calls``. Ours says what ``models.speech.parsing`` reads, with
four differences. Arguments stay the text the model wrote, so one that is no JSON reaches the client as OpenAI's API
has it, instead of ending in an error of the server. A call is only recognised with its name first, as our template
writes it; anything else stays visible in the content. A brace and ``</tool_call>`` within a text argument end the call
there, for a pattern knows no JSON. And nobody checks that the tool is on offer: that is the caller's
knowledge.
"""

from __future__ import annotations

from typing import Any

from models.speech.template import CHAT_TEMPLATE

_END = r"<\|im_end\|>|<\|endoftext\|>"
RESPONSE_TEMPLATE: dict[str, Any] = {
    "version": 1,
    "defaults": {"role": "assistant"},
    # The prompt's end is read too: with thinking it wrote the opener of the thought.
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "reasoning_content": {
            # The white space around a thought belongs to the marks: a stream hands on every character of a field.
            "open_pattern": r"<think>\s*",
            # A turn may end within its thought: the end's mark is nobody's reasoning.
            "close_pattern": rf"\s*(?:</think>\s*|{_END})",
            "content": "text",
            "repeats": True,
            "join": "\n",
        },
        "tool_calls": {
            "open_pattern": r'\s*<tool_call>\s*\{\s*"name"\s*:\s*"(?P<name>[^"\\\n]+)"\s*,\s*"arguments"\s*:',
            "close_pattern": rf"\}}\s*(?:</tool_call>|{_END})",
            "repeats": True,
            # As text, not as JSON: what cannot be parsed must not end the request, and a history keeps its bytes.
            "content": "text",
            "transform": {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}},
        },
        "content": {
            # The white space between two calls, and before the end, is nobody's content.
            "close_pattern": rf"\s*(?:{_END})",
            "content": "text",
            "repeats": True,
            "join": "\n",
        },
    },
}


_ROLES = """\
{%- set told = namespace(messages=[]) -%}
{%- for message in messages -%}
    {%- if message.role == "developer" -%}
        {%- set told.messages = told.messages + [dict(message, role="system")] -%}
    {%- elif message.role in ["system", "user", "assistant", "tool"] -%}
        {%- set told.messages = told.messages + [message] -%}
    {%- else -%}
        {%- set known = "known are system, developer, user, assistant and tool" -%}
        {{- raise_exception("unknown role '" + (message.role | string) + "'; " + known) -}}
    {%- endif -%}
{%- endfor -%}
{%- set messages = told.messages -%}
"""


def exported_chat_template(*, thinking: bool) -> str:
    """The one chat template, with the mode in which the model was trained as what happens if nobody says.

    It renders the same bytes as ``CHAT_TEMPLATE`` for every caller who says ``enable_thinking``. A ``developer``, as
    newer clients call whoever writes the system prompt, is the system; a role that nobody knows is an error, where
    ``CHAT_TEMPLATE`` would leave out what it says.
    """
    default = "true" if thinking else "false"
    return f"{{%- set enable_thinking = enable_thinking | default({default}) -%}}\n{_ROLES}{CHAT_TEMPLATE}"
