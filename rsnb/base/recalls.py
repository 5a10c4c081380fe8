"""The six recalls by name: "text_r5" is image to text, the share of images with an own caption among the first 5."""

from __future__ import annotations

from collections.abc import Sequence

KS = (1, 5, 10)
WAYS = {"text": "i2t", "image": "t2i"}  # what is looked for: how a table calls the direction


def recall_names(ks: Sequence[int] = KS) -> tuple[str, ...]:
    """text_r1, text_r5, ..., image_r1, ... of these K."""
    return tuple(f"{way}_r{k}" for way in WAYS for k in ks)


RECALLS = recall_names()
COLUMNS = (*RECALLS, "mr")  # with their mean


def parts_of(name: str) -> tuple[str, int]:
    """'text_r5' -> ("text", 5)."""
    way, _, k = name.partition("_r")
    return way, int(k)


def recall_label(name: str) -> str:
    """How a table calls a recall: 'text_r5' -> 'i2t R@5', 'mr' -> 'mR'."""
    if name == "mr":
        return "mR"
    way, k = parts_of(name)
    return f"{WAYS[way]} R@{k}"
