"""Writing without spaces between words: where a word ends there no neighbouring sign tells."""

from __future__ import annotations

import re

#: For a character class: Thai, Lao, Burmese, Khmer, Japanese, Chinese; Korean, whose particles cling to the word.
SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SPACELESS = re.compile(f"[{SPACELESS}]")


def is_spaceless(text: str) -> bool:
    """Whether any sign of the text belongs to such a script."""
    return bool(_SPACELESS.search(text))
