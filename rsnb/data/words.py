"""The words of captions."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_MARKS = "".join(chr(c) for c in range(0x300, 0x1E00) if unicodedata.category(chr(c)).startswith("M"))  # on a letter
_LETTER = rf"(?:[^\W_][{_MARKS}]*)"
_WORD = re.compile(rf"{_LETTER}+(?:['\u2019-]{_LETTER}+)*")
#: Letters of scripts that put no space between words.
_UNSPACED = re.compile(
    r"[\u0e01-\u0e30\u0e81-\u0eb0\u1000-\u1021\u1780-\u17b3\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff]"
)


def words_of(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation: `2 boats, side-by-side .` has three."""
    return _WORD.findall(caption.lower())


def length_of(caption: str) -> int:
    """The number of words; of a script without spaces between words, each letter counts as one."""
    words = words_of(caption)
    return len(words) if caption.isascii() else sum(max(1, len(_UNSPACED.findall(word))) for word in words)


FUNCTION_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "has", "have", "in", "is", "it", "its", "many",
    "near", "next", "of", "on", "one", "or", "see", "several", "some", "that", "the", "there", "this", "to",
    "two", "we", "with",
))  # fmt: skip


# --- captions ---------------------------------------------------------------------------------------------------
def vocabulary(captions: Sequence[str]) -> Counter[str]:
    """How often each word occurs (lower case, without punctuation)."""
    return Counter(word for caption in captions for word in words_of(caption))
