"""What a conversation says, apart from its name: the hash that finds it again, the shingles that find its like.

Both look at the texts of user and assistant only. System messages, tools, results and identifiers differ between
copies of one conversation (another mapping, other tool names as in SGD-X, results cut elsewhere), and learning from
any of the copies would give away the answers of the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from data.schema import Conversation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Words of one shingle, and hash functions of a signature: its estimate of a Jaccard index of 0.8 has a standard
#: error of sqrt(0.8 * 0.2 / 128) = 0.035 (Broder 1997, "On the resemblance and containment of documents").
SHINGLE_WORDS = 3
PERMUTATIONS = 128
_SEED = 20_251_122
_WORD = re.compile(r"\w+")


def spoken(conversation: Conversation) -> Iterator[str]:
    """Texts of user and assistant, in order."""
    for message in conversation.messages:
        if message.content and message.role in ("user", "assistant"):
            yield message.content


def words_of(conversation: Conversation) -> list[str]:
    """Words of user and assistant in lower case, without punctuation."""
    return _WORD.findall("\n".join(spoken(conversation)).casefold())


def content_hash(words: Iterable[str]) -> str:
    """32 hexadecimal characters; equal for the same words in the same order, whatever the case and punctuation."""
    text = " ".join(words).encode("utf-8", errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def shingles(words: list[str]) -> set[str]:
    """Distinct runs of ``SHINGLE_WORDS`` words; a shorter text is one shingle."""
    if len(words) <= SHINGLE_WORDS:
        return {" ".join(words)}
    return {" ".join(run) for run in zip(*(words[at:] for at in range(SHINGLE_WORDS)), strict=False)}


def signatures(texts: Iterable[list[str]]) -> NDArray[np.uint32]:
    """MinHash signatures, one row of ``PERMUTATIONS`` per text; equal shares of equal columns estimate Jaccard."""
    import numpy as np
    from rensa import RMinHash

    found = RMinHash.digests_from_token_sets([shingles(words) for words in texts], PERMUTATIONS, _SEED)
    return np.array(found, dtype=np.uint32).reshape(-1, PERMUTATIONS)
