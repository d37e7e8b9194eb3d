"""A model in the user's place: it sees the conversation and gives free text, and that is all.

What it means is read off its words by rules: a yes to a question of the agent's is consent to one change, and an empty
text or a farewell ends the conversation. ``PracticeTask.brief`` tells such a model what it wants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from data.practice.moves import UserMove
from data.practice.spellings import plain
from data.schema import Message

Speaker = Callable[[Sequence[Message]], str]
"""From the messages so far (the system message is the agent's, not the user's) to the user's next words."""

_YES = re.compile(
    r"^(?:\w+, )?(?:yes|yep|yeah|yup|sure|ok|okay|correct|exactly|perfect|please do|go ahead|do (?:it|that)|sounds good"
    r"|that's (?:right|correct|fine)|right|absolutely|of course|please go ahead|all good)\b"
)
_NO = re.compile(r"\b(?:no|not|don't|stop|wait|but|instead|cancel that)\b")
_BYE = re.compile(r"\b(?:good ?bye|bye|###stop###)(?:\b|$)|###stop###")


class ModelledUser:
    """A user whose words come from outside."""

    def __init__(self, speak: Speaker) -> None:
        self.speak = speak

    def open(self, messages: Sequence[Message]) -> UserMove:
        """The first words; an empty text counts as a greeting."""
        return UserMove(self.speak(tuple(messages)).strip() or "Hello.", "state")

    def react(self, messages: Sequence[Message]) -> UserMove | None:
        """The next words, or None when there are none."""
        text = self.speak(tuple(messages)).strip()
        if not text:
            return None
        said = plain(text)
        if _BYE.search(said):
            return UserMove(text, "leave")
        asked = "?" in (messages[-1].content or "")
        if asked and _YES.search(said) and not _NO.search(said):
            return UserMove(text, "affirm", consents=True)
        return UserMove(text, "answer")
