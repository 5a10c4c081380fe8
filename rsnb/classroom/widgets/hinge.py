"""Play with the hinge: four pairs whose similarities can be dragged, and what the loss pushes."""

from __future__ import annotations

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rsnb.classroom.widgets.panel import Panel
from rsnb.figures.style import GREY, HIT, MISS, heading, styled

PAIRS, LOW, HIGH = 4, -0.4, 1.0
START, OWN = "one hard negative", "your own"
BATCHES = {  # cosine of image i (row) and caption j (column)
    "easy batch": [[0.80, 0.22, 0.10, 0.31], [0.15, 0.76, 0.28, 0.05], [0.33, 0.12, 0.82, 0.24],
                   [0.08, 0.30, 0.19, 0.78]],
    "one hard negative": [[0.80, 0.22, 0.10, 0.31], [0.15, 0.66, 0.72, 0.05], [0.33, 0.12, 0.82, 0.24],
                          [0.08, 0.30, 0.19, 0.78]],
    "look-alikes (one class)": [[0.80, 0.76, 0.71, 0.78], [0.74, 0.79, 0.81, 0.69], [0.77, 0.72, 0.82, 0.75],
                                [0.70, 0.73, 0.68, 0.77]],
}  # fmt: skip
MINING = {"hardest negative": "hardest", "sum of all": "sum"}
TINY = 1e-9  # below it a hinge is zero: 0.2 + 0.6 - 0.8 is 5e-17 on a computer


def hinges(s: np.ndarray, margin: float, mining: str) -> tuple[np.ndarray, np.ndarray]:
    """The hinges that the loss adds up, (B, B) for the images (rows) and (B, B) for the captions (columns).

    s: (B, B) cosines of image i and caption j. The sum is ``rsnb.losses.triplet``. An entry above zero pushes its
    pair apart and pulls the positive of its row, or column, together, each with a gradient of one.
    """
    own = np.diagonal(s)
    negatives = ~np.eye(len(s), dtype=bool)
    rows = np.clip(margin + s - own[:, None], 0, None) * negatives
    columns = np.clip(margin + s - own[None, :], 0, None) * negatives
    if mining == "hardest":
        rows = rows * (np.arange(len(s))[None, :] == rows.argmax(axis=1)[:, None])
        columns = columns * (np.arange(len(s))[:, None] == columns.argmax(axis=0)[None, :])
    return np.where(rows > TINY, rows, 0), np.where(columns > TINY, columns, 0)


class Playground(Panel):
    """The panel with its batch: ``similarities`` is (4, 4), of which the sliders show the row of one image."""

    def __init__(self) -> None:
        self.batch = ipywidgets.Dropdown(description="batch", options=[*BATCHES, OWN], value=START)
        self.similarities = np.array(BATCHES[START])
        self.image = ipywidgets.ToggleButtons(options=[(f"image {n}", n) for n in range(1, PAIRS + 1)], value=2)
        self.image.style.button_width = "auto"
        self.sliders = [ipywidgets.FloatSlider(min=LOW, max=HIGH, step=0.01) for _ in range(PAIRS)]
        controls = {
            "batch": self.batch,
            "margin": ipywidgets.FloatSlider(description="margin m", value=0.2, min=0.0, max=0.6, step=0.01),
            "mining": ipywidgets.Dropdown(description="each row and column takes", options=MINING),
            "image": self.image,
            **{f"caption_{j}": slider for j, slider in enumerate(self.sliders, start=1)},
        }
        alt = (
            "Left: similarities of four images and four captions, positives framed, pushed negatives hatched. "
            "Right: the four similarities of one image, with its margin as a line."
        )
        super().__init__("hinge", controls, self.paint, alt, "invented similarities, nothing trained", self.follow)

    def follow(self, change: dict | None) -> None:
        """A dragged similarity goes into the batch; a chosen batch or image comes onto the sliders."""
        moved = change and change["owner"]
        if moved in self.sliders:
            place = self.image.value - 1, self.sliders.index(moved)
            if abs(self.similarities[place] - moved.value) > TINY:  # a browser sends back what it rounded, too
                self.similarities[place] = moved.value
                self.batch.value = OWN
        elif moved is self.batch and self.batch.value != OWN:
            self.similarities = np.array(BATCHES[self.batch.value])
        for j, slider in enumerate(self.sliders, start=1):
            slider.description = f"caption {j}" + (" (its own)" if j == self.image.value else "")
            slider.value = self.similarities[self.image.value - 1, j - 1]

    def paint(self, batch: str, margin: float, mining: str, image: int, **_: float) -> tuple[Figure, str]:
        s, i = self.similarities, image - 1
        rows, columns = hinges(s, margin, mining)
        total = rows.sum() + columns.sum()
        pushed, pushing = np.flatnonzero(rows[i]) + 1, np.flatnonzero(columns[i]) + 1
        if len(pushed):
            text = f"pushes {_listed('caption', pushed)} away, pulls its own caption {image} closer."
        else:
            text = "no negative comes within the margin. It pushes and pulls nothing, its gradient is zero."
        back = f"pushed away by {_listed('caption', pushing)}" if len(pushing) else "not pushed by any caption"
        count = np.count_nonzero(rows) + np.count_nonzero(columns)
        taken = next(name for name, value in MINING.items() if value == mining)
        lines = [
            f"Image {image}, loss {rows[i].sum():.2f}: {text}",
            f"In turn, image {image} is {back}.",
            f"Batch, {batch}, {taken}: loss {total:.2f} = images (rows) {rows.sum():.2f} + captions (columns) "
            f"{columns.sum():.2f}; {count} of {2 * PAIRS * (PAIRS - 1)} hinges push.",
        ]
        return _picture(s, rows, columns, i, margin, total), "\n".join(lines)


def hinge_playground() -> Playground:
    """Four pairs: drag the similarities of one image, move the margin, and see which negatives the loss pushes.

    The four numbers of a row are moved freely, so a batch of your own need not be one that real embeddings can have.
    """
    return Playground()


def _listed(what: str, numbers: np.ndarray) -> str:
    """'caption 2', 'captions 1 and 3', 'captions 1, 2 and 4'."""
    *most, last = map(str, numbers)
    return f"{what}s {', '.join(most)} and {last}" if most else f"{what} {last}"


@styled
def _picture(s: np.ndarray, rows: np.ndarray, columns: np.ndarray, i: int, margin: float, total: float) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.0), width_ratios=(1, 1.35))
    _draw_matrix(left, s, rows, columns, i)
    _draw_row(right, s[i], rows[i], i, margin)
    heading(figure, f"Which negatives does the hinge push? Loss of the batch: {total:.2f}")
    return figure


def _draw_matrix(axis, s: np.ndarray, rows: np.ndarray, columns: np.ndarray, i: int) -> None:
    axis.imshow(s, cmap="Greys", vmin=LOW, vmax=3.0)  # light, so that marks and numbers stand out
    axis.grid(False)
    for y, x in np.ndindex(s.shape):
        pushed = bool(rows[y, x] or columns[y, x])
        if pushed:
            axis.add_patch(
                Rectangle(
                    (x - 0.44, y - 0.44),
                    0.88,
                    0.88,
                    fill=False,
                    edgecolor=MISS,
                    linewidth=2,
                    linestyle="--",
                    hatch="//",
                    alpha=0.55,
                )
            )
        if x == y:
            axis.add_patch(Rectangle((x - 0.44, y - 0.44), 0.88, 0.88, fill=False, edgecolor=HIT, linewidth=3.5))
        back = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.15"} if pushed else None
        axis.text(
            x + 0.06 * pushed,
            y + 0.03,
            f"{s[y, x]:.2f}",
            ha="center",
            va="center",
            fontsize=12,
            bbox=back,
            fontweight="bold" if pushed or x == y else "normal",
        )
        if rows[y, x]:
            axis.plot(x - 0.35, y, ">", markersize=9, color=MISS)
        if columns[y, x]:
            axis.plot(x, y - 0.32, "v", markersize=9, color=MISS)
    axis.add_patch(Rectangle((-0.5, i - 0.5), PAIRS, 1, fill=False, edgecolor="black", linewidth=2, clip_on=False))
    names = range(1, PAIRS + 1)
    axis.set_xticks(range(PAIRS), [f"caption {n}" for n in names])
    axis.set_yticks(range(PAIRS), [f"image {n}" for n in names])
    axis.tick_params(length=0)
    axis.set_xlabel("green frame: its own pair; hatched: pushed,\n▶ by the image of its row, ▼ by its column's caption")
    axis.set_title("Cosine similarities", fontsize=12)


def _draw_row(axis, s: np.ndarray, hinge: np.ndarray, i: int, margin: float) -> None:
    """One image: its own caption, the line a margin below, and the negatives."""
    edge, left, right = s[i] - margin, LOW - 0.25, HIGH + 0.45
    axis.axvspan(edge, right, color=MISS, alpha=0.08, linewidth=0)
    axis.axvline(s[i], color=HIT)
    axis.text(s[i], -0.75, f" own\n {s[i]:.2f}", va="center", fontsize=11)
    if edge > left + 0.2:
        axis.axvline(edge, color=MISS, linestyle="--")
        axis.text(edge, -0.75, f"own − m \n{edge:.2f} ", ha="right", va="center", fontsize=11)
    for j, value in enumerate(s):
        axis.plot([left, value], [j, j], color="0.85", linewidth=1.5, zorder=1)
        colour, note, way = GREY, "", 0
        if j == i:
            colour, way = HIT, int(hinge.any())
        elif hinge[j]:
            colour, note, way = MISS, f"hinge {hinge[j]:.2f}", -1
        elif value > edge + TINY:
            note = "not the hardest"
        axis.plot(
            value,
            j,
            "D" if j == i else "o",
            markersize=12,
            color="white" if colour == GREY else colour,
            markeredgecolor=colour,
            markeredgewidth=2,
        )
        axis.annotate(note, (value, j), (12, 0), textcoords="offset points", va="center", fontsize=11)
        if way:
            arrow = {"arrowstyle": "-|>", "linewidth": 2.5, "color": colour}
            axis.annotate("", (value + 0.22 * way, j), (value + 0.04 * way, j), arrowprops=arrow)
    axis.set_yticks(range(len(s)), [f"caption {j + 1}" + ("\n(its own)" if j == i else "") for j in range(len(s))])
    axis.set(xlim=(left, right), ylim=(len(s) - 0.4, -1.1))
    axis.set_xlabel("cosine similarity (shaded: within the margin of its own, or above)")
    axis.set_xticks(np.arange(LOW, 1.01, 0.2))
    axis.grid(axis="y", visible=False)
    axis.set_title(f"Image {i + 1}: its loss is {hinge.sum():.2f}", fontsize=12)
