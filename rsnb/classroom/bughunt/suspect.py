"""What is known of a suspect: its numbers, its source, and what a check may look at."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from rsnb.studies.runs import recall_columns

_CODE = "font-family:monospace;font-size:90%;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere"


@dataclass(repr=False)
class Suspect:
    """A finished run and what it can be examined by. N images in the gallery, M captions, D the width.

    Fields:
        letter, claim, source: its name, what its paper says, its code.
        recalls: the six recalls that it reports, in percent (text_r1 is image to text, image_r1 text to image).
        image (N, D), text (M, D), owner (M,): what was ranked, and which image it took each caption to belong to.
        gallery: the names of the N images. test_pairs, train_pairs: (image name, caption), M of them and all that
            anything here was trained on.
        frozen: names of the weights that it says are frozen. before, after: {name: tensor}, all weights before and
            after training, of the base model and of what was added ("adapter...").
        history: of every epoch {"epoch", "val_mr", "test_mr"}, [] where no epoch was chosen. epoch: the reported one.
        again: ``again()`` embeds the first images and captions of test once more, as the model stood when it was
            evaluated: (n, D), (m, D).
        bare, published: embeddings of the first test images and captions, a pair of tensors each: by this run's base
            model, without the adapter and with CLIP's own weights put back in; and by CLIP as it was published.
    """

    letter: str
    claim: str
    recalls: dict[str, float]
    image: Tensor
    text: Tensor
    owner: Tensor
    gallery: list[str]
    test_pairs: list[tuple[str, str]]
    train_pairs: list[tuple[str, str]]
    frozen: tuple[str, ...]
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    again: Callable[[], tuple[Tensor, Tensor]]
    bare: tuple[Tensor, Tensor]
    published: tuple[Tensor, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int | None = None
    source: str = ""

    @property
    def mr(self) -> float:
        """The mean of the six reported recalls, in percent."""
        return sum(self.recalls.values()) / len(self.recalls)

    @property
    def numbers(self) -> dict[str, float]:
        """The reported recalls under the names of a table's columns, and mR."""
        return recall_columns(self)

    def __repr__(self) -> str:
        numbers = "   ".join(f"{name} {value:.1f}" for name, value in self.numbers.items())
        return f"Suspect {self.letter}: {self.claim}\n{numbers}\n\n{self.source}".rstrip()

    def _repr_html_(self) -> str:
        cells = [(f"<th>{name}</th>", f"<td>{value:.1f}</td>") for name, value in self.numbers.items()]
        heads, values = ("".join(parts) for parts in zip(*cells))
        return (
            f"<p><b>Suspect {self.letter}.</b> {html.escape(self.claim)}</p>"
            f"<table><tr>{heads}</tr><tr>{values}</tr></table>"
            f'<pre style="{_CODE}">{html.escape(self.source)}</pre>'
        )
