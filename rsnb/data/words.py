"""The words of captions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence


def words_of(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation: `2 boats, side-by-side .` has three."""
    return re.findall(r"[^\W_]+(?:['\u2019-][^\W_]+)*", caption.lower())


FUNCTION_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "has", "have", "in", "is", "it", "its", "many",
    "near", "next", "of", "on", "one", "or", "see", "several", "some", "that", "the", "there", "this", "to",
    "two", "we", "with",
))  # fmt: skip


# --- captions ---------------------------------------------------------------------------------------------------
def vocabulary(captions: Sequence[str]) -> Counter[str]:
    """How often each word occurs (lower case, without punctuation)."""
    return Counter(word for caption in captions for word in words_of(caption))
