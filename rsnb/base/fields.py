"""What a setting may be, written down once: the command line, files, Python, notebooks and the lab's axes ask here."""

from __future__ import annotations

import argparse
import math
import numbers
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsnb.base.assignments import parse_value
from rsnb.errors import RsnbError

MANY = 1_000_000  # more epochs, steps or pairs than any run has
LARGE = 1_000.0  # of a rate or a margin: beyond it lies a slip of the pen


@dataclass(frozen=True)
class Whole:
    """A whole number, both ends included."""

    least: int
    most: int = MANY

    def __str__(self) -> str:
        return f"a whole number, at least {self.least} and at most {self.most:,}"

    def read(self, value: Any) -> int | None:
        """The number as Python's own; None if the value is another thing."""
        fits = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return int(value) if fits and self.least <= value <= self.most else None


@dataclass(frozen=True)
class Real:
    """A finite number, both ends included but for ``without``."""

    least: float = 0.0
    most: float = LARGE
    without: float | None = None

    def __str__(self) -> str:
        low = "above" if self.without == self.least else "at least"
        return f"a number, {low} {self.least:g} and {'below' if self.without == self.most else 'at most'} {self.most:g}"

    def read(self, value: Any) -> float | None:
        """As :meth:`Whole.read`."""
        fits = isinstance(value, numbers.Real) and not isinstance(value, bool) and value != self.without
        return float(value) if fits and self.least <= value <= self.most else None


@dataclass(frozen=True)
class Word:
    """One of some words; ``pattern``: or a text of this form, called ``also``."""

    words: Sequence[str]
    pattern: str = ""
    also: str = ""

    def __str__(self) -> str:
        return f"one of {', '.join([*self.words, *filter(None, [self.also])])}"

    def read(self, value: Any) -> str | None:
        """As :meth:`Whole.read`."""
        if not isinstance(value, str):
            return None
        fits = value in self.words or (self.pattern and re.fullmatch(self.pattern, value))
        return value if fits else None


#: name of a setting -> what it may be
FIELDS: dict[str, Whole | Real | Word] = {
    "loss": Word(("hmmc", "clip", "triplet"), r"own:\S+", "own:<name of a loss of your own>"),
    "mining": Word(("hardest", "semi-hard", "sum")),
    "optimizer": Word(("adam", "adamw")),
    "pairs": Word(("one", "all")),
    "precision": Word(("auto", "fp32", "bf16")),
    "device": Word(("auto", "cpu", "cuda", "mps"), r"cuda:\d{1,4}", "cuda:<number>"),
    "epochs": Whole(1),
    "batch_size": Whole(2),
    "lr_step": Whole(1),
    "seed": Whole(0, 2**64 - 1),
    "margin": Real(),
    "token_dropout": Real(0, 1, without=1),
    "lr": Real(),
    "loss_lr": Real(),
    "weight_decay": Real(),
    "lr_decay": Real(),
    "weight": Real(),  # each one of the three
    "share": Real(0, 1, without=0),
    "twins": Real(0, 1),
    "alike": Word(("caption", "class")),
    "seeds": Whole(1),
    "limit": Whole(1, 1_000_000_000),
    "dpi": Whole(100, 10_000),
    "k": Whole(1),  # of what a search finds
    "count": Whole(1, 100_000),  # pictures of a class that are drawn
    "test_count": Whole(1, 100_000),
    "workers": Whole(1, 1_000),
    "images": Whole(2, 100_000_000),
    "steps": Whole(1, 100_000_000),
}


def checked(field: str, value: Any, said: str = "") -> Any:
    """The value of a setting, as Python's own int, float or str.

    Args:
        field: a key of ``FIELDS``. said: how the error calls it where that is another name: "--epochs", "RSNB_SEED".

    Raises:
        RsnbError: the value is of another kind, or outside its bounds.
    """
    allowed = FIELDS[field]
    found = allowed.read(value)
    if found is None:
        raise RsnbError(f"{said or field} is {value!r}; it must be {allowed}")
    return found


def read(field: str, text: str, said: str = "") -> Any:
    """The value of a setting that was written as text: see :func:`checked` and :mod:`rsnb.base.assignments`."""
    return checked(field, text if isinstance(FIELDS[field], Word) else parse_value(text.strip()), said)


class Checked(argparse.Action):
    """An option of the command line that is a setting. (An action, since argparse replaces what a ``type`` says.)"""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, read(self.dest, values, option_string or self.dest))


# --- options of a method, which its signature describes ----------------------------------------------------------
_SAID = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a word", type(None): "none"}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that an annotation names; annotations beyond numbers, words, None, unions and
    tuples of them fit anything."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return isinstance(value, (tuple, list, range)) and all(fits(x, parts[0]) for x in value)
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is int:
        return isinstance(value, numbers.Integral)
    if hint is float:
        return isinstance(value, numbers.Real) and math.isfinite(value)
    return isinstance(value, hint) if hint in _SAID else True


def in_words(hint: Any) -> str:
    """An annotation as an error says it: 'true or false', 'a list of a whole number, or none'."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return ", or ".join(map(in_words, parts))
    return f"a list, each entry {in_words(parts[0])}" if origin is tuple and parts else _SAID.get(hint, str(hint))


def chosen_blocks(depths: Mapping[str, int], layers: Sequence[int] | None = None, share: bool = True) -> list[int]:
    """The blocks (from 0) that get an adapter, in order: those named, or all.

    Args:
        depths: number of blocks of each tower that gets it. share: one adapter serves all blocks.

    Raises:
        RsnbError: what would be ignored: a block named twice, or one that a tower lacks; an adapter for each block
            where a tower has fewer of them.
    """
    low, high = min(depths.values()), max(depths.values())
    if layers is not None and (not len(layers) or set(layers) - set(range(low)) or len(set(layers)) < len(layers)):
        raise RsnbError(f"layers is {layers!r}; name each once, of the blocks 0 to {low - 1} that each tower has")
    if layers is None and not share and low < high:
        raise RsnbError(
            f"share_layers is False, but the towers have {' and '.join(map(str, depths.values()))} blocks; take one "
            f"tower, layers from 0 to {low - 1}, or share_layers=True"
        )
    return list(range(high)) if layers is None else sorted(layers)
