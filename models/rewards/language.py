"""Whether a text is language at all: gibberish and bare lists of keywords are not, and must not earn like an answer.

No model and no dictionary, only what any English answer has: its words are common ones or words of this conversation,
and some of them are the small words that hold a sentence together. Both shares were set so that the recorded answers
of the sources pass (docs/rewards.md says how many do); a text without letters (a price, a time) is language too.
Where the user writes another language nothing is known of its words, and nothing is held against an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from data.schema import DecisionPoint, Message, ToolSpec
from data.scripts import SPACELESS
from models.wording import plain

#: The words that hold sentences together.
_SMALL = """
a an the this that these those there here it its he his him she her hers they them their we us our ours you your
yours i me my mine who whom whose which what when where why how is are was were be been being am isn't aren't
wasn't it's i'm i've i'll i'd you're you've you'll you'd that's there's they're we're we've we'll he's she's
let's what's do does did done doing don't doesn't didn't have has had having haven't hasn't can could can't
cannot couldn't will would won't wouldn't shall should may might must and or but nor so if then than as because
while although though until after before since of to in on at by for from with without about into onto over
under between during through near up down out off not no yes ok okay any some all each every both either neither
none one ones also too very just only more most less least much many few other another else same such own per
please thanks thank sorry well sure
"""
#: Other common words of talk about a service. Longer forms of these count as well.
_COMMON = """
able accept account add address afternoon again ahead alarm album all alright amount appointment area around
arrange arrive ask assist available average back balance bath bed best better birthday book bring bus buy bye
call cancel car card change charge cheap check chat choose city clear close code cold come complete confirm
contact correct cost could create cut date day degree departure destination detail direct do dollar double drive
early east eat email end enjoy enough error euro evening event every exact expect expensive fail fare favorite
fee feel film find fine first flight fly follow food found free friend full fun game get give glad go good
goodbye great group guest happy hear hello help hi high hold home hope hot hotel hour house idea included inform
information instead interest item job join keep kind kitchen know large last late later latest leave left let
like list listen live local located location long look lot love lovely low luck make map match mean medium meet
mention message mile minute moment money month morning move movie music name near need new next nice night
number offer open option order outside part party pass pay people perfect person phone pick place plan play
pleasant pleased pleasure point possible prefer preference price problem proceed provide purchase put question
quick rain rate rating ready receive recommend record refer refund regular remain rent request require
reservation reserve rest restaurant result return review ride right road room safe save say scheduled search
seat second see select send service set several share shop short show sign similar single size small something
song soon sort sound speak special specific spend standard star start station stay still stop street style
success successful suggest suit support sunny table take talk tell temperature thing think ticket time title
today together tomorrow tonight total tour town train transfer travel trip try turn type under unfortunately
update use verify visit wait walk want warm watch way wear weather week welcome west whole will wind wish
wonderful word work world worry wrong year yesterday amazing anything anytime anywhere apologise apologize
apology assistance awesome booking cheers delighted everything excellent fantastic farewell further good-bye
greeting nothing opposed preferably somewhere someone somebody care whatever whenever wherever monday tuesday
wednesday thursday friday saturday sunday january february march april may june july august september october
november december zero two three four five six seven eight nine ten eleven twelve hundred thousand
"""
#: Common words that only English has.
_OWN = """
the my and with you your please this that these those what how which would i'm i'd i've i'll don't it's from about
could should using there their need write fetch get
"""
SMALL_WORDS = frozenset(_SMALL.split())
COMMON_WORDS = frozenset(_COMMON.split())
_ENGLISH_ONLY = frozenset(_OWN.split())

KNOWN_SHARE = 0.5
#: Least share of small words in a text of more than ``SHORT`` words: a list of keywords and values has none.
SMALL_SHARE = 0.08
SHORT = 8

#: Least share of common words in what a user of English writes. On 8,000 turns of SGD it is 0.5 or more, in two dozen
#: sentences of a dozen other languages 0 to 0.5; technical English has less, but some word that only English has.
ENGLISH_SHARE = 0.45
#: Words in plain letters that a user must have written to be taken for a speaker of another language.
_LEAST_HEARD = 4

_WORD = re.compile(rf"[{SPACELESS}]|(?:(?![{SPACELESS}])[^\W\d_])+(?:['-][^\W\d_]+)*")
_IDENTIFIER_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ENDINGS = ("'s", "ing", "ed", "es", "ly", "er", "est", "s", "d", "n", "y")


def is_language(text: str, point: DecisionPoint) -> bool:
    """Whether at least half of the words are common or stand in the conversation or its tools; true without words, and
    where the user does not write English."""
    words = _WORD.findall(plain(text))
    if not words:
        return any(map(str.isalnum, text))
    strange = [word for word in words if not _is_common(word)]
    if len(words) - len(strange) >= KNOWN_SHARE * len(words):
        return True  # most answers; what was said before need not be looked at
    heard = conversation_words(point)
    known = len(words) - sum(word not in heard for word in strange)
    return known >= KNOWN_SHARE * len(words) or not is_in_english(point.history)


def is_list_of_keywords(text: str, point: DecisionPoint) -> bool:
    """Whether a text of some length lacks the small words that any sentence has, of English at least."""
    tokens = plain(text).split()
    small = sum(word in SMALL_WORDS for word in _WORD.findall(plain(text)))
    return len(tokens) > SHORT and small < SMALL_SHARE * len(tokens) and is_in_english(point.history)


def is_in_english(history: Iterable[Message]) -> bool:
    """Whether the user writes English; also where they have written too little to tell. Only the user's words count:
    what a model said itself must not change how it is judged."""
    counts = [_counted(message.content) for message in history if message.role == "user" and message.content]
    words, common, english, foreign = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0, 0)
    told = words >= _LEAST_HEARD or (foreign and words > 1)
    return not told or bool(english) or common >= ENGLISH_SHARE * words


@lru_cache(maxsize=8192)
def _counted(text: str) -> tuple[int, int, int, int]:
    """How many words; common ones; ones that only English has; ones with letters that English lacks."""
    words = _WORD.findall(plain(text))
    foreign = sum(not word.isascii() for word in words)
    return len(words), sum(map(_is_common, words)), sum(word in _ENGLISH_ONLY for word in words), foreign


def conversation_words(point: DecisionPoint) -> frozenset[str]:
    """All words of the history and of the tools on offer, identifiers taken apart."""
    said = (_words_of(message.content) for message in point.history if message.content)
    return frozenset().union(*said, *(_tool_words(_spelling(tool)) for tool in point.tools))


@lru_cache(maxsize=8192)
def _words_of(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(plain(text)))


@lru_cache(maxsize=1024)
def _tool_words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _IDENTIFIER_PART.findall(text))


def _spelling(tool: ToolSpec) -> str:
    properties = tool.parameters.get("properties") or {}
    return " ".join([tool.name, tool.description, *map(str, properties.items())])


@lru_cache(maxsize=8192)
def _is_common(word: str) -> bool:
    if word in SMALL_WORDS or word in COMMON_WORDS:
        return True
    return any(_stem_is_common(word, ending) for ending in _ENDINGS)


def _stem_is_common(word: str, ending: str) -> bool:
    stem = word.removesuffix(ending)
    forms: Iterable[str] = (stem, f"{stem}e", f"{stem}y", stem[:-1]) if stem != word and len(stem) > 2 else ()
    return any(form in COMMON_WORDS for form in forms)
