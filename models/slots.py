"""Which argument a text speaks of: words of its name, common other words for such a thing, its schema's values.

Read alike by reward and judge, as models/wording.py is; what each makes of it is its own. Known are only slot names and
tool schemas, never how somebody asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from data.schema import ToolSpec
from models.equality import argument_schemas
from models.wording import plain

_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Words that say nothing about which slot is meant.
_NO_MEANING = "is has have are be of the for a an in on with to from id number name type new by and or"
_EMPTY = frozenset(_NO_MEANING.split())
_A_DATE = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december) \d|\d(?:st|nd|rd|th)\b"
)
GOING_TO = r"(?:go|going|fly|flying|travel|traveling|head|heading|bound) to\b"
#: What else is said for a word of a slot's name, as patterns at a word's beginning.
ALSO_SAID: dict[str, str] = {
    "date": rf"when|day|dates?|night|weekend|how soon|{_A_DATE}|until|how long|days?",
    "day": rf"when|date|{_A_DATE}",
    "days": r"how long|how many|duration|length|nights?|until when",
    "time": r"when|what hour|how early|how late|o'clock|morning|evening|afternoon|\d ?[ap]\.?m\b|\d:\d\d|timing",
    "city": rf"region|where|{GOING_TO}|town|area|place|location|from\b|destination|look in|search in|someone i[ns]\b"
    "|which part",
    "location": rf"region|where|{GOING_TO}|city|town|area|place|address|destination|from\b",
    "area": r"where|city|town|place|location|part of|region",
    "where": r"where|city|town|area|place|location|destination",
    "place": r"where|city|town|area|location",
    "origin": r"where|from\b|depart|leav|start|out of|city",
    "destination": r"where|to\b|going|head|arriv|city|visit|travel|address|venue|is (?:it|that|the)\b.*\d",
    "departure": r"when|leav|depart|travel|go\b|start|outbound",
    "outbound": r"leav|depart|going|outgoing",
    "inbound": r"return|back|com(?:e|ing)",
    "leaving": r"when|depart|travel|go\b|start",
    "return": r"back|round|com(?:e|ing)|returning|return",
    "check": r"arriv|leav|stay|start|end|until|check",
    "pickup": r"pick|collect|start|get it|begin|when|where",
    "dropoff": r"drop|return|bring|end|until|how long|back",
    "pick": r"collect|start|pickup",
    "drop": r"return|bring|dropoff",
    "start": r"begin|when|from\b|move",
    "end": r"until|finish|when|out\b",
    "appointment": r"when|meet|visit",
    "event": r"show|game|concert|match|who|where|when|interest|preference|particular|in mind|wish to",
    "seats": r"how many|people|persons?|party|tickets?|table for|number|reserve|just (?:for )?you|only you",
    "tickets": r"how many|people|persons?|party|seats?|number",
    "number": r"how many|count|number|amount|just (?:for )?you",
    "people": r"how many|persons?|party|guests?|number",
    "guests": r"how many|people|persons?|party",
    "riders": r"how many|people|persons?|passengers?|number|yourself|alone|seats?|just (?:for )?you|only you",
    "passengers": r"how many|people|persons?|travel|tickets?|number|seats?",
    "travelers": r"how many|people|persons?|passengers?|travel|tickets?|number|seats?",
    "adults": r"how many|people|persons?|guests?|number|who|what size",
    "group": r"how many|people|persons?|party|passengers?|size|travel",
    "size": r"how many|people|how big|how large|big|large",
    "beds": r"how many|bedrooms?|big|size|rooms?|floor plan",
    "baths": r"how many|bathrooms?|floor plan",
    "nights": r"how long|how many|days?|stay",
    "stay": r"how long|how many|days?|nights?|length|how much time",
    "length": r"how long|how many|days?|nights?|duration",
    "amount": r"how much|sum|money|value",
    "price": r"how much|cost|budget|expensive|cheap|range|fare",
    "cuisine": r"food|kind|type|dish|meal|eat|serv|style",
    "genre": r"kind|type|sort|music|style|movie|film|interest|preference|particular|in mind|which one",
    "category": r"kind|type|sort|class|attraction|event|theme|interest|preference|particular|in mind|genre",
    "type": r"kind|specific|sort|class|prefer|style|interest|preference|particular|in mind|floor plan",
    "kind": r"type|sort|prefer",
    "class": r"kind|type|seat|cabin",
    "shared": r"shar|alone|other|private",
    "share": r"shar|alone|private",
    "recipient": r"whom?|to\b|send|transfer",
    "title": r"movie|film|song|name|called|thinking|in mind|particular|interest",
    "movie": r"film|watch|title|see|interest|in mind|particular",
    "film": r"movie|watch|title|see",
    "song": r"track|music|listen|play|title",
    "artist": r"who|singer|band|by\b|perform",
    "restaurant": r"where|place|eat|dine|name|preference|particular|in mind",
    "hotel": r"where|place|stay|name",
    "doctor": r"who|name|dentist|provider",
    "dentist": r"who|name|doctor",
    "stylist": r"who|name|salon|hairdresser",
    "property": r"place|apartment|house|name",
    "airlines": r"airline|carrier|fly with|company",
    "airport": r"where|from\b|fly|city",
    "account": r"checking|saving|kind|type|credit|name",
    "insurance": r"insur|cover|insurance",
    "intent": r"how|look|help|looking|interest|do for you|search",
    "alarm": r"when|time|name|set",
    "breakfast": r"breakfast|meal",
    "code": r"number|reference|identifier",
    "email": r"e ?-? ?mail|mail address",
    "product": r"item|article|thing|what (?:is|was) it|which one",
    "item": r"product|article|thing|what (?:is|was) it|which one",
    "merchant": r"shop|store|company|where|whom",
    "payee": r"whom?|recipient|receive|go to|send",
    "reason": r"why|happened|is wrong|went wrong|the matter|the problem",
    "zone": r"region|part of|where|countr|continent",
    "gb": r"data|gigabyte",
    "speciality": r"department|(?:kind|type) of doctor|specialist",
    "booking": r"reservation|code|reference|which booking",
    "ride": r"kind|type|car|taxi|cab|pool|luxury|regular",
    "car": r"vehicle|kind|type",
    "theater": r"where|cinema|place",
    "venue": r"where|place",
    "show": r"movie|film|when|kind|type",
    "temperature": r"degrees|warm|cold",
    "choice": r"which|prefer|suits?\b|would that|is that|like (?:it|that|this)|take it|right",
    "name": r"name",
    "room": r"kind|type|which",
}


def speaks_of(slot: str, text: str, tools: Sequence[ToolSpec]) -> bool:
    """Whether the text has a word for the slot, or one of its listed values; of slots joined by ``|`` for one."""
    return any(has_a_word_for(one, text) or has_a_value_of(one, text, tools) for one in slot.split("|"))


def has_a_word_for(slot: str, text: str) -> bool:
    """Whether the text has a word of the slot's name, or another that is said for it."""
    return _slot_pattern(slot).search(plain(text)) is not None


def has_a_value_of(slot: str, text: str, tools: Sequence[ToolSpec]) -> bool:
    """Whether the text has one of the values that a schema lists for the slot."""
    said = plain(text)
    return any(re.search(rf"\b{re.escape(plain(value))}\b", said) for value in _listed(slot, tools))


def parts_of(slot: str) -> list[str]:
    """The words of a slot's name as it is written: ``number``, ``of``, ``seats``."""
    return _PARTS.findall(slot)


def _listed(slot: str, tools: Sequence[ToolSpec]) -> list[str]:
    found: list[dict[str, Any]] = [known[slot] for tool in tools if slot in (known := argument_schemas(tool))]
    listed = [value for schema in found for value in schema.get("enum") or () if isinstance(value, str)]
    return [value for value in listed if plain(value) not in {"true", "false", "dontcare"} and not value.isdigit()]


@lru_cache(maxsize=2048)
def _slot_pattern(slot: str) -> re.Pattern[str]:
    parts = [part.lower() for part in parts_of(slot)]
    also = [ALSO_SAID[part] for part in parts if part in ALSO_SAID]
    return re.compile("|".join([_name_pattern(slot).pattern, *(rf"\b(?:{said})" for said in also)]))


@lru_cache(maxsize=2048)
def _name_pattern(slot: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(stems_of(slot))})" if stems_of(slot) else r"(?!)")


@lru_cache(maxsize=2048)
def stems_of(slot: str) -> tuple[str, ...]:
    """The words of a slot's name that mean something, cut to stems."""
    parts = [part.lower() for part in parts_of(slot)]
    return tuple(map(_stem, [part for part in parts if part not in _EMPTY] or parts))


def _stem(word: str) -> str:
    word = word.removesuffix("s")
    return word[: max(4, int(0.7 * len(word)))] if len(word) > 5 else word
