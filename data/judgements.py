"""Taskmaster's human judgements: an agent's next action in a context, judged good or bad by a person.

TM-3 (movie tickets) and TM-4 (coffee orders; both Google, CC BY 4.0; PERL, arXiv 2403.10704) publish rows of
``context``, ``generation`` and ``reward`` 0 or 1. They are no conversations to train on: a judged action is the
model's, not gold. They tell whether a reward that never sees gold agrees with people.

The tools' schemas are TM-3's own ``ontology/apis.json``; TM-4 publishes none, so they are derived from the calls of its
dialogues, which share no row with the judgements.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from data.schema import Frozen, Message, ToolCall, ToolSpec

Corpus = Literal["TM-3", "TM-4"]
CORPORA: dict[Corpus, str] = {"TM-3": "TM-3-2020", "TM-4": "TM-4-2024"}
#: What TM-3's agents write for "where the user is" and "anywhere in the country".
_PLACES = "; _AUTOMATIC for the user's own, _COUNTRY for all"
_READING = ("get_", "show_", "find_", "check_", "resolve_")
#: An argument that this share of a function's recorded calls carries counts as required.
_ALWAYS = 0.99
#: And what fewer carry than this share is noise.
_SELDOM = 0.01


class JudgementError(Exception):
    """The files are not there, or not what they are documented to be; the message says which and what to do."""


class Judgement(Frozen):
    """One action in its context, and whether a person judged it good."""

    id: str
    """``<corpus>/<conversation_id>``."""
    corpus: Corpus
    context_id: str
    """Hash of the context: rows with the same one were judged for the same situation."""
    opening_id: str
    """Hash of the context up to the user's first words: rows of one script, at whatever turn."""
    tools: tuple[ToolSpec, ...]
    history: tuple[Message, ...]
    action: Message
    good: bool

    @property
    def kind(self) -> Literal["call", "text"]:
        """Whether the action is a call or a text."""
        return "call" if self.action.tool_calls else "text"


def read_judgements(root: Path, corpus: Corpus) -> list[Judgement]:
    """All judged rows of ``corpus`` under ``root`` (a copy of the Taskmaster repository), in file order.

    Raises:
        JudgementError: No reward files there, or a row that is not as documented.
    """
    files = sorted((root / CORPORA[corpus] / "reward").glob("*.json*"))
    if not files:
        raise JudgementError(f"no reward files under {root / CORPORA[corpus]}; point to a copy of Taskmaster")
    tools = _tools(root, corpus)
    return [_judgement(row, corpus, tools, path) for path in files for row in _load(path)]


def _judgement(row: Any, corpus: Corpus, tools: tuple[ToolSpec, ...], path: Path) -> Judgement:
    try:
        context = json.loads(row["context"])
        reward = row["reward"]
        if reward not in (0, 1):
            raise ValueError(f"reward {reward!r} is neither 0 nor 1")
        return Judgement(
            id=f"{corpus}/{row['conversation_id']}",
            corpus=corpus,
            context_id=_digest(context),
            opening_id=_digest(list(_opening(context))),
            tools=tools,
            history=tuple(_messages(context)),
            action=next(_messages([json.loads(row["generation"])])),
            good=bool(reward),
        )
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise JudgementError(f"{path.name}: a row is not context, generation and reward: {error!r}") from error


def _digest(messages: list[Any]) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:16]


def _opening(context: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in context:
        yield message
        if message["role"] == "user":
            return


def _messages(context: Iterable[dict[str, Any]]) -> Iterator[Message]:
    """Taskmaster's roles agent, api and user are assistant, tool and user."""
    calls = 0
    for message in context:
        if message["role"] == "user":
            yield Message(role="user", content=str(message.get("text") or ""))
        elif message["role"] == "api":
            yield Message(role="tool", tool_call_id=f"call_{calls}", content=_result(message.get("response")))
        elif message.get("api"):
            made = [_call(name, arguments, calls + n) for n, (name, arguments) in enumerate(message["api"].items(), 1)]
            calls += len(made)
            yield Message(role="assistant", tool_calls=tuple(made))
        else:
            yield Message(role="assistant", content=str(message.get("text") or ""))


def _call(name: str, arguments: Any, number: int) -> ToolCall:
    stated = arguments if isinstance(arguments, dict) else {}
    raw = json.dumps(stated, ensure_ascii=False)
    return ToolCall(id=f"call_{number}", name=name, arguments=stated, arguments_raw=raw)


def _result(response: Any) -> str:
    """What the function returned, without its name where that is all there is around it."""
    if isinstance(response, dict) and len(response) == 1:
        response = next(iter(response.values()))
    return json.dumps(response, ensure_ascii=False)


def _tools(root: Path, corpus: Corpus) -> tuple[ToolSpec, ...]:
    if corpus == "TM-3":
        return tuple(_published(_load(root / CORPORA[corpus] / "ontology" / "apis.json")))
    return tuple(_derived(_load(path) for path in sorted((root / CORPORA[corpus] / "data").glob("*.json*"))))


def _published(ontology: dict[str, Any]) -> Iterator[ToolSpec]:
    """TM-3's ontology: ``all_of`` are required, ``any_of`` optional arguments; every value is text."""
    for name, rule in ontology.items():
        required, optional = rule["args"].get("all_of", []), rule["args"].get("any_of", [])
        properties = {argument: _text_argument(argument) for argument in (*required, *optional)}
        if "attribute" in properties:
            properties["attribute"]["enum"] = list(rule["response"]["keys"])
        yield _tool(name, properties, required)


def _text_argument(name: str) -> dict[str, Any]:
    return {"type": "string", "description": name + (_PLACES if name == "location" else "")}


def _derived(files: Iterable[list[dict[str, Any]]]) -> Iterator[ToolSpec]:
    """TM-4's functions as its dialogues call them: arguments, their JSON types, and which are always there.

    What fewer than one call in a hundred shows (an argument, a type) is taken for a slip of the annotators.
    """
    calls: Counter[str] = Counter()
    types: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for name, made in (call for dialogues in files for call in _recorded_calls(dialogues)):
        calls[name] += 1
        for argument, value in made.items():
            types[name][argument][_json_type(value)] += 1
    for name, number in sorted(calls.items()):
        shown = {one: seen for one, seen in sorted(types[name].items()) if seen.total() >= _SELDOM * number}
        properties = {one: {"type": _usual(seen)} for one, seen in shown.items()}
        yield _tool(name, properties, [one for one, seen in shown.items() if seen.total() >= _ALWAYS * number])


def _usual(seen: Counter[str]) -> list[str]:
    return sorted(name for name, number in seen.items() if number >= _SELDOM * seen.total())


def _recorded_calls(dialogues: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Function name and arguments of every annotated call; requests that are no JSON object are passed over."""
    for utterance in (one for dialogue in dialogues for one in dialogue["utterances"]):
        noted = {(one["name"], one["context"]): one["value"] for one in utterance["annotations"]}
        for (name, context), function in noted.items():
            if name == "api_call" and function:
                arguments = _object(noted.get(("request", context), ""))
                if arguments is not None:
                    yield function, arguments


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def _tool(name: str, properties: dict[str, Any], required: list[str]) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": properties,
        "required": sorted(required),
        "additionalProperties": False,
    }
    return ToolSpec(name=name, parameters=schema, is_write=not name.startswith(_READING))


def _load(path: Path) -> Any:
    try:
        opened = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return json.loads(opened)
    except (OSError, ValueError) as error:
        raise JudgementError(f"{path} cannot be read as JSON: {error}") from error
