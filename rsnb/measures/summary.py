"""Recall, the effect of ties, an interval and the ceiling in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from rsnb.base.recalls import KS, recall_label
from rsnb.errors import RsnbError
from rsnb.measures.bootstrap import intervals
from rsnb.measures.ceiling import as_read, ceiling, shared_captions
from rsnb.measures.ties import Hits, checked_embeddings, hits_of_ties, recall, ties


# --- all of it --------------------------------------------------------------------------------------------------
@dataclass
class RecallSummary:
    """The recalls and mr of one model on one split, in percent, under the names of :attr:`Hits.names`.

    ``expected`` over random orders of the ties, ``sort`` in the order of the data set, ``low`` and ``high`` with all
    ties broken against and for the model; ``interval`` of expected over resampled images; ``ceiling`` and ``shared``
    (captions that also describe another image) are None where no captions were given.
    """

    expected: dict[str, float]
    sort: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    interval: dict[str, tuple[float, float]]
    ceiling: dict[str, float] | None
    shared: int | None
    images: int
    captions: int
    level: float
    draws: int
    hits: Hits = field(repr=False)

    @property
    def share(self) -> dict[str, float] | None:
        """Expected recall in percent of the ceiling."""
        return self.ceiling and {name: 100 * self.expected[name] / self.ceiling[name] for name in self.expected}

    def to_dict(self) -> dict[str, Any]:
        """What a result file keeps, rounded to 1/100 of a point."""
        low, high = self.interval["mr"]
        kept = {
            "expected": _rounded(self.expected),
            "ties_mr": [round(self.low["mr"], 2), round(self.high["mr"], 2)],
            "interval_mr": [round(low, 2), round(high, 2)],
        }
        if self.ceiling:
            kept |= {"ceiling": _rounded(self.ceiling), "shared_captions": self.shared}
        return kept

    def table(self) -> list[dict[str, str | float]]:
        """One row a recall, mR last, in percent."""
        rows = []
        for name, value in self.expected.items():
            numbers = {
                "expected": value,
                "as sorted": self.sort[name],
                "ties lowest": self.low[name],
                "ties highest": self.high[name],
                "interval low": self.interval[name][0],
                "interval high": self.interval[name][1],
            }
            if self.ceiling:
                numbers |= {"ceiling": self.ceiling[name], "share of ceiling": self.share[name]}
            rows.append(
                {"recall": recall_label(name), **{column: round(number, 4) for column, number in numbers.items()}}
            )
        return rows

    def text(self) -> str:
        """The table for a terminal; every number in percent."""
        rows = self.table()
        lines = ["  ".join(f"{name:>8}" for name in rows[0])]
        for row in rows:
            shown = ((v if isinstance(v, str) else f"{v:.1f}", max(8, len(name))) for name, v in row.items())
            lines.append("  ".join(f"{value:>{width}}" for value, width in shown))
        return "\n".join(lines)

    def sentence(self) -> str:
        """The same of mR, in words."""
        low, high = self.interval["mr"]
        words = f"On {self.images:,} images and {self.captions:,} captions"
        if self.shared is not None:
            words += f", {self.shared:,} of which also describe another image,"
        words += f" the mean recall is {self.expected['mr']:.1f} in expectation over the order of ties"
        if self.high["mr"] - self.low["mr"] < 0.05:
            words += ", and no order of the ties changes it by 0.1. "
        else:
            words += f"; whatever a sort makes of the ties, it is from {self.low['mr']:.1f} to {self.high['mr']:.1f}. "
        words += (
            f"The {100 * self.level:.0f} % interval over resampled images ({self.draws:,} draws, the gallery kept "
            f"fixed) runs from {low:.1f} to {high:.1f}."
        )
        if self.ceiling:
            words += (
                f" Captions that repeat limit every model to {self.ceiling['mr']:.1f} in expectation; "
                f"{self.share['mr']:.0f} % of that is reached."
            )
        return words


def summarise(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    captions: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = 2000,
    level: float = 0.95,
    tolerance: float = 0.0,
    tokenizer: Callable[[list[str]], Tensor] | None = None,
) -> RecallSummary:
    """Recall, the effect of ties, intervals and, with the M captions at hand, the ceiling.

    Args:
        image: (N, D); text: (M, D); owner: (M,), as :func:`rsnb.evaluation.embed` returns them; captions: M texts.
        tokenizer: of the model: captions of the same tokens count as one text (:func:`rsnb.measures.ceiling.as_read`).
    """
    image, text, owner = checked_embeddings(image, text, owner)
    if captions is not None and len(captions) != len(text):
        raise RsnbError(f"{len(captions)} captions do not belong to {len(text)} embeddings of captions")
    if captions is not None:
        captions = captions if tokenizer is None else as_read(captions, tokenizer)
        first: dict[str, int] = {}
        like = text[[first.setdefault(caption, i) for i, caption in enumerate(captions)]]
        if (text - like).abs().max() > 1e-3 * text.abs().max():
            raise RsnbError(
                "captions of one text have different embeddings, so these captions belong to another order "
                "or another split; give them as the data set's captions[0]"
            )
        text = text if tokenizer is None else like  # what reads alike ties exactly, however it was batched
    both = ties(image, text, owner, tolerance)
    expected, low, high = (hits_of_ties(both, owner, KS, name) for name in ("expected", "pessimistic", "optimistic"))
    return RecallSummary(
        expected=expected.recalls,
        sort=recall(image, text, owner, "sort"),
        low=low.recalls,
        high=high.recalls,
        interval=intervals(expected, draws, level, seed),
        ceiling=None if captions is None else ceiling(captions, owner, images=len(image)),
        shared=None if captions is None else shared_captions(captions, owner),
        images=len(image),
        captions=len(text),
        level=level,
        draws=draws,
        hits=expected,
    )


def summary_of(found, dataset, **options: Any) -> RecallSummary:
    """:func:`summarise` what ``rsnb.evaluate(model, dataset)`` found; ``options`` are its own, such as
    ``tokenizer=model.clip.tokenizer``."""
    captions = dataset.captions[0]
    return summarise(found.image_embeddings, found.text_embeddings, found.owner, captions, **options)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
