"""A scene searched by words: type a sentence, and its tiles light up on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rsnb.classroom.widgets.gallery import printable
from rsnb.classroom.widgets.panel import Panel
from rsnb.errors import RsnbError
from rsnb.figures.scene import draw_scores, explain
from rsnb.figures.style import heading, styled
from rsnb.tiles.asking import of_texts
from rsnb.tiles.foreign import percentile
from rsnb.tiles.index import Index
from rsnb.worlds.scene import Scene, corners

NOTHING = "(no class)"


def scene_search(scene: Scene, indexes: Mapping[str, Index], query: str, top: int = 10, least: float = 0.3) -> Panel:
    """Which tiles of the scene answer a sentence, under one or several models?

    Args:
        indexes: name of a model -> the index that it made of the scene's tiles, cut at the cells.
        query: the first sentence. top: tiles that are outlined and numbered. least: the first threshold, a cosine.

    Raises:
        RsnbError: there is no index, or one is of other tiles.
    """
    if not indexes:
        raise RsnbError("a panel needs the index of at least one model; give {name: rsnb.Index.build(...)}")
    explorer = _Explorer(scene, indexes)
    slider = {"continuous_update": False}
    controls = {
        "query": ipywidgets.Text(query, description="sentence", placeholder="a sentence", **slider),
        "method": ipywidgets.Dropdown(options=list(indexes), value=list(indexes)[-1], description="model"),
        "top": ipywidgets.IntSlider(top, 1, 20, description="numbered", **slider),
        "least": ipywidgets.FloatSlider(least, min=-0.2, max=0.9, step=0.01, description="threshold", **slider),
        "framed": ipywidgets.Dropdown(options=[NOTHING, *sorted(set(scene.labels))], description="frame the class"),
    }
    return Panel(
        "scene-search",
        controls,
        explorer.draw,
        "A scene in tiles. Those that score at least the threshold are shaded by their cosine with a sentence, which "
        "is written in each; the best ones are outlined and numbered.",
    )


class _Explorer:
    """The tiles of each index, where they are, and what they score."""

    def __init__(self, scene: Scene, indexes: Mapping[str, Index]):
        self.scene, self.indexes = scene, indexes
        self.rows: dict[str, np.ndarray] = {}
        self.corners: dict[str, np.ndarray] = {}
        for name, index in indexes.items():
            at = corners(index.table(["path", "x", "y"]))
            if len(at) != len(scene.labels) or (at % scene.side).any():
                raise RsnbError(
                    f"the index of {name!r} has {len(at):,} tiles, the scene has {len(scene.labels):,} cells of "
                    f"{scene.side} pixels; build it of this scene with tile={scene.side}"
                )
            self.corners[name] = at
            self.rows[name] = np.concatenate([block.astype(np.float32) for block in index.blocks])
        self.labels = np.array(scene.labels, dtype=object)

    def draw(self, query: str, method: str, top: int, least: float, framed: str) -> tuple[Figure, str]:
        query = " ".join(query.split())
        if not query:
            raise RsnbError("Nothing is asked yet: type a sentence and press Enter.")
        index, at = self.indexes[method], self.corners[method]
        scores = self.rows[method] @ of_texts(index.model, [query])[0]  # (n,)
        best = np.argsort(-scores, kind="stable")[:top]
        of_class = self.labels[self.scene.cells(*at.T)] == framed
        true = framed if of_class.any() else ""
        figure = _picture(self.scene, at, scores, best, np.flatnonzero(of_class), least, f"{method}: “{query}”", true)
        return figure, self.said(method, scores, of_class, least, framed)

    def said(self, method: str, scores: np.ndarray, of_class: np.ndarray, least: float, framed: str) -> str:
        """How many tiles are lit, how unusual the best score is, and how many of the class are among them."""
        lit, foreign = scores >= least, self.indexes[method].about.get("foreign") or []
        text = f"{method}: {lit.sum()} of {len(scores)} tiles reach {least:.2f}; the best has {scores.max():.2f}"
        if foreign:
            text += f", more than the best tile of {percentile([scores.max()], foreign)[0]:.0f} % of foreign sentences"
        if framed == NOTHING:
            return f"{text}."
        found = int((lit & of_class).sum())
        return f"{text}.\nOf the {of_class.sum()} tiles of {framed}, {found} are lit; {lit.sum() - found} others are."


@styled
def _picture(
    scene: Scene,
    at: np.ndarray,
    scores: np.ndarray,
    best: Sequence[int],
    true: Sequence[int],
    least: float,
    title: str,
    framed: str,
) -> Figure:
    height, width = scene.pixels.shape[:2]
    figure, axis = plt.subplots(figsize=(11, 10 * height / width + 1.2))
    shades = draw_scores(axis, scene.pixels, at, scene.side, scores, best, true, least)
    figure.colorbar(shades, ax=axis, fraction=0.03, pad=0.01, label="cosine")
    explain(figure, f"the {len(best)} best tiles, numbered", framed)
    heading(figure, printable(title, 90))
    return figure
