"""Several methods on one CLIP at once: each is called at its places, one after the other."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from rsnb.errors import RsnbError
from rsnb.surgery import Method, untouched_blocks, widened

PLACES = tuple(name for name, value in vars(Method).items() if value is None)  # what a method may override
#: A place that counts positions, after the place of its own method that puts something there.
POSITIONS = {"before_block": "enter", "embed": "tokens"}


class Composed(Method):
    """The parts in their order, each with the promises of its own class.

    At a place the first part gets what a method alone would get, the next one gets what the first one made of it, and
    so on: of ``after_mlp(out, normed, stream, ...)`` that is ``out``, while ``normed`` and ``stream`` are the block's
    for all of them. What parallel adapters add is summed, a serial one sees what earlier parts added. ``leave`` goes
    through the parts from the last one to the first, so that what entered last leaves first. Between parts all is
    fp32 under autocast too.

    Args:
        parts: {name, without a dot: method}.

    Raises:
        RsnbError: two parts that would count positions in a sequence that a later part makes longer.
    """

    def __init__(self, parts: dict[str, Method]):
        super().__init__()
        _refuse_moved_positions(parts)
        self.parts = nn.ModuleDict(parts)
        for place in PLACES:
            if any(getattr(part, place) is not None for part in parts.values()):
                setattr(self, place, partial(self.at, place))
        self.trains_backbone = any(part.trains_backbone for part in parts.values())

    def keeps_promise(self, word: str) -> bool:
        """Whether all parts make this promise."""
        return all(part.keeps_promise(word) for part in self.parts.values())

    def mixes_tokens(self, tower: str) -> bool:
        """Whether a part may let tokens see each other where only some of them may be computed."""
        return any(part.mixes_tokens(tower) for part in self.parts.values())

    def first_block(self, tower: str) -> int | None:
        """The first block of all that the parts act in."""
        found = [untouched_blocks(part, tower) for part in self.parts.values()]
        return min((first for first in found if first is not None), default=None)

    def at(self, place: str, *given):
        """What the parts make of ``given`` at a place, in the dtype of the first one; each keeps its own promises."""
        made, *others = (widened(x) if isinstance(x, torch.Tensor) else x for x in given)
        parts = [part for part in self.parts.values() if getattr(part, place) is not None]
        for part in reversed(parts) if place == "leave" else parts:
            made = part.at(place, made, *others)
        return made.to(given[0].dtype)


def _refuse_moved_positions(parts: dict[str, Method]) -> None:
    """A part that puts tokens somewhere and finds them again by position must be the last one that puts any there."""
    for counts, puts in POSITIONS.items():
        putting = [name for name, part in parts.items() if getattr(part, puts) is not None]
        for name in putting[:-1]:
            if getattr(parts[name], counts) is not None:
                raise RsnbError(
                    f"{name} and {putting[-1]} both override {puts!r}, and {name} finds its own tokens again by "
                    f"position in {counts!r}, where {putting[-1]} moves them; leave one out, or let {name} stand last"
                )
