"""Training conversations whose tools go by other names: what a model must read cannot be learned by heart.

A model fine-tuned on few tools writes their names from memory and then invents names, or prefers the practised ones,
where others are on offer (measured: docs/log.md). ``data.rename_tools`` gives that share of the training conversations
tools of the same meaning under names of another house: other word order, other spelling (``find_booking``,
``bookingFind``, ``api-lookup-booking``), arguments alike or, in half of the houses, after what their description says
(``flight_class``, "Fare class of flight booking", is ``fareClassFlight``). What people said stays, as do all values.

One house per conversation, drawn from its id: the same conversation gets the same names in every version that holds
it. Splits other than ``train`` are never touched, nor is a conversation that is unsound, or would be under other names.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.json_text import to_json
from data.quality import check
from data.schema import Conversation, Message, Quarantined, ToolCall, ToolSpec
from data.splits import stable_fraction

#: Verbs that begin tools' names, in groups of which one may stand for another.
_VERBS: tuple[tuple[str, ...], ...] = (
    ("find", "search", "lookup", "query", "locate"),
    ("get", "fetch", "read", "retrieve", "show"),
    ("list", "enumerate", "browse", "show"),
    ("book", "reserve", "schedule"),
    ("create", "add", "make", "new", "open"),
    ("change", "update", "modify", "edit", "amend"),
    ("cancel", "revoke", "drop", "withdraw"),
    ("delete", "remove", "erase"),
    ("check", "inspect", "test", "probe"),
    ("verify", "authenticate", "confirm", "validate"),
    ("identify", "recognise", "resolve"),
    ("send", "dispatch", "submit"),
    ("transfer", "remit", "move"),
    ("order", "request", "purchase"),
    ("buy", "purchase", "acquire"),
    ("track", "trace", "follow"),
    ("play", "start", "run"),
    ("pay", "settle"),
)
_OPENINGS: tuple[str, ...] = ("", "", "", "api", "do", "desk", "v2", "svc")
_STYLES: tuple[str, ...] = ("snake", "camel", "pascal", "kebab")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|[A-Z]")
#: What no ordinary word has; ``check-in`` is one.
_IDENTIFIER = re.compile(r"_|[a-z0-9][A-Z]")
#: Keywords under which a schema may speak of its arguments by name; such a tool keeps its arguments.
_NAMING_KEYWORDS = frozenset(
    {"$ref", "$defs", "definitions", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies"}
    | {"dependentRequired", "dependentSchemas", "patternProperties", "propertyNames"}
)
_DRAWS = 20
#: Words of a description that tell nothing about the argument.
_EMPTY_WORD = re.compile(
    "a|an|the|this|that|these|those|which|who|whose|where|when|if|whether|in|on|at|by|of|to|for|from|with|as|or|and|"
    "be|is|are|was|were|been|being|has|have|had|do|does|did|can|will|would|should|may|it|its|they|their|them|"
    "users?|boolean|flag|indicat(?:es|ing)|string|value|s|i|e|g"
)
#: Longer names made of a description are sentences.
_DESCRIPTION_WORDS = 3


def fingerprint(share: float) -> str:
    """Hash of the share and of this code: part of the dataset version where tools are renamed."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return hashlib.sha256(f"{share!r}\0{code}".encode()).hexdigest()[:16]


def renamed(items: Iterable[Conversation | Quarantined], share: float) -> Iterator[Conversation | Quarantined]:
    """The same items, ``share`` of the training conversations with tools under other names (chosen by their ids).

    What is unsound passes as it is, for the quality gate to refuse with its own reason; so does what could not be
    renamed and stay sound, such as a schema with references to its own arguments. Nothing is lost for its names.
    """
    for item in items:
        drawn = stable_fraction(f"rename\0{item.source}/{item.record_id}") < share
        if drawn and isinstance(item, Conversation) and item.split == "train" and check(item) is None:
            other = with_other_names(item)
            yield other if check(other) is None else item
        else:
            yield item


@dataclass(frozen=True)
class _Names:
    """New names by old ones, and the identifiers among them as they stand in running text."""

    tools: Mapping[str, str]
    arguments: Mapping[str, str]
    kept: frozenset[str]
    """Tools whose arguments keep their names."""

    def in_text(self, text: str | None) -> str | None:
        """The text with every identifier replaced that no ordinary word looks like (it has ``_``, or humps)."""
        known = {**self.arguments, **self.tools}
        return _replaced(text, {old: new for old, new in known.items() if _IDENTIFIER.search(old)}, r"(?![\w-])")

    def in_result(self, text: str | None) -> str | None:
        """The same, and the keys of JSON objects that are arguments' names, whatever they look like."""
        return self.in_text(_replaced(text, self._words(), r'(?="\s*:)', before='(?<=")'))

    def in_rationale(self, text: str | None) -> str | None:
        """The same as ``in_text``, and where rationales name arguments that are ordinary words too: before their value
        (``city=Paris``) and in the lists of what is missing or asked for."""
        return self.in_text(_replaced(text, self._words(), r"(?==|(?:, [\w-]+)*(?: is missing| are missing|, which ))"))

    def _words(self) -> dict[str, str]:
        return {old: new for old, new in self.arguments.items() if not _IDENTIFIER.search(old)}


def _replaced(text: str | None, names: Mapping[str, str], after: str, before: str = r"(?<![\w-])") -> str | None:
    known = {old: new for old, new in names.items() if old and old != new}
    if not text or not known:
        return text
    pattern = "|".join(re.escape(old) for old in sorted(known, key=len, reverse=True))
    return re.sub(rf"{before}(?:{pattern}){after}", lambda found: known[found.group()], text)


def with_other_names(conversation: Conversation) -> Conversation:
    """A sound conversation as another house would have recorded it; equal conversations give equal results."""
    names = _names(conversation)
    return conversation.model_copy(
        update={
            # Where tools are the domains, they go by the names that are called.
            "domains": tuple(names.tools.get(domain, domain) for domain in conversation.domains),
            "tools": tuple(_tool(tool, names) for tool in conversation.tools),
            "messages": tuple(_message(message, names) for message in conversation.messages),
        }
    )


def _names(conversation: Conversation) -> _Names:
    house = random.Random(f"house\0{conversation.source}/{conversation.record_id}")
    tools: dict[str, str] = {}
    opening, style = house.choice(_OPENINGS), house.choice(_STYLES)
    turned = house.random() < 0.5
    for tool in conversation.tools:
        domain = _opening_domain(tool.name, conversation.domains)
        drawn = (
            domain + _tool_name(tool.name.removeprefix(domain), opening, style, turned, house) for _ in range(_DRAWS)
        )
        tools[tool.name] = _free(tool.name, drawn, {*tools.values(), *(one.name for one in conversation.tools)})
    kept = frozenset(tool.name for tool in conversation.tools if _NAMING_KEYWORDS & set(tool.parameters))
    fixed = {name for tool in conversation.tools if tool.name in kept for name in _arguments(tool)}
    known = dict.fromkeys(name for tool in conversation.tools for name in _arguments(tool))
    spelling, turned = house.choice(_STYLES), house.random() < 0.3
    described = _descriptions(conversation.tools) if house.random() < 0.5 else {}
    arguments: dict[str, str] = {}
    for name in known:
        words = [_described_words(described.get(name, "")), _turned(_WORD.findall(name), turned)]
        wanted = [name] if name in fixed else [_spelled(one, spelling) for one in words if one]
        arguments[name] = _free(name, iter(wanted), {*arguments.values(), *known})
    return _Names(tools, arguments, kept)


def _descriptions(tools: Iterable[ToolSpec]) -> dict[str, str]:
    """What the first tool that describes an argument says of it."""
    found: dict[str, str] = {}
    for tool in tools:
        for name, schema in tool.parameters.get("properties", {}).items():
            said = schema.get("description") if isinstance(schema, dict) else None
            if isinstance(said, str) and said:
                found.setdefault(name, said)
    return found


def _described_words(description: str) -> list[str]:
    """The first telling words: ``City in which the journey originates`` gives city, journey, originates."""
    words = (word.lower() for word in re.findall(r"[A-Za-z]+", re.split(r"[(.;:\n]", description, maxsplit=1)[0]))
    return [word for word in words if not _EMPTY_WORD.fullmatch(word)][:_DESCRIPTION_WORDS]


def _tool_name(name: str, opening: str, style: str, turned: bool, house: random.Random) -> str:
    words = [word.lower() for word in _WORD.findall(name)]
    for group in _VERBS:
        if words and words[0] in group and house.random() < 0.5:
            words[0] = house.choice(group)
            break
    words = _turned(words, turned)
    if opening or len(words) == 1:
        words = [opening or house.choice([one for one in _OPENINGS if one]), *words]
    return _spelled(words, style)


def _turned(words: list[str], turned: bool) -> list[str]:
    """``find booking`` as ``booking find``: the object first, as in a house that groups by object."""
    return [*words[1:], words[0]] if turned and len(words) > 1 else words


def _spelled(words: list[str], style: str) -> str:
    words = [word.lower() for word in words]
    if style in ("snake", "kebab"):
        return ("_" if style == "snake" else "-").join(words)
    humps = "".join(word[:1].upper() + word[1:] for word in words)
    return humps if style == "pascal" else humps[:1].lower() + humps[1:]


def _free(name: str, drawn: Iterator[str], taken: set[str]) -> str:
    """The first drawn name that nothing else has; the old one where there is none."""
    return next((one for one in drawn if one and (one == name or one not in taken)), name)


def _opening_domain(name: str, domains: Iterable[str]) -> str:
    """``Hotels_2_`` of ``Hotels_2_Find``: what tells the turn's domain stays."""
    return max((f"{one}_" for one in domains if name.startswith(f"{one}_")), key=len, default="")


def _arguments(tool: ToolSpec) -> list[str]:
    return list(tool.parameters.get("properties", {}))


def _tool(tool: ToolSpec, names: _Names) -> ToolSpec:
    parameters = tool.parameters
    if tool.name not in names.kept and "properties" in parameters:
        parameters = {
            **parameters,
            "properties": {
                names.arguments[name]: _described(schema, names) for name, schema in parameters["properties"].items()
            },
        }
        if "required" in parameters:
            parameters["required"] = [names.arguments.get(name, name) for name in parameters["required"]]
    return tool.model_copy(
        update={
            "name": names.tools[tool.name],
            "description": names.in_text(tool.description) or "",
            "parameters": parameters,
        }
    )


def _described(schema: Any, names: _Names) -> Any:
    if isinstance(schema, dict) and isinstance(schema.get("description"), str):
        return {**schema, "description": names.in_text(schema["description"])}
    return schema


#: Of a tool's result only keys and identifiers change: what a customer sees and says is the same in every house.
_SPEAKING: Mapping[str, Callable[[_Names, str | None], str | None]] = {
    "system": _Names.in_text,
    "tool": _Names.in_result,
}


def _message(message: Message, names: _Names) -> Message:
    return message.model_copy(
        update={
            "content": _SPEAKING[message.role](names, message.content)
            if message.role in _SPEAKING
            else message.content,
            "tool_calls": tuple(_call(call, names) for call in message.tool_calls),
            "rationale": names.in_rationale(message.rationale),
        }
    )


def _call(call: ToolCall, names: _Names) -> ToolCall:
    renamed_call = call.model_copy(update={"name": names.tools[call.name]})
    if call.name in names.kept:
        return renamed_call
    arguments = _keys(call.arguments, names.arguments)
    return renamed_call.model_copy(
        update={
            "arguments": arguments,
            "arguments_raw": to_json(arguments),
            "accepted": _keys(call.accepted, names.arguments),
        }
    )


def _keys(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
