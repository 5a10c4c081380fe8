"""Design an adapter: move its widths and its places, see its shapes and count its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
import matplotlib.colors
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from rsnb.classroom.widgets.panel import Panel
from rsnb.figures.style import GREY, HIT, IMAGE, SHARED, TEXT, heading, styled

VIT_B32 = {"widths": {"image": 768, "text": 512}, "depths": {"image": 12, "text": 12}, "total": 151_277_313}
TOWERS = {"both towers": ("image", "text"), "image tower only": ("image",), "text tower only": ("text",)}
SHARING = {"one adapter for all blocks": True, "one adapter for each depth": False}
BLOCKS = ("all blocks", "last half", "first half", "last block")
COLOURS, PLACES = {"image": IMAGE, "text": TEXT}, {"image": -3.3, "text": 3.3}
STEP, WIDEST = 8, 3.0  # of the sliders; of a drawn stream
LABEL = {"ha": "center", "va": "center", "fontsize": 11,
         "bbox": {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "boxstyle": "round,pad=0.1"}}  # fmt: skip


def adapter_designer(
    widths: Mapping[str, int], depths: Mapping[str, int], total: int, name: str = "this backbone"
) -> Panel:
    """A panel that draws an MRS-Adapter of chosen shape to scale and counts it, as ``rsnb.adapt`` would build it.

    Args:
        widths, depths: of the towers, ``clip.widths`` and ``clip.depths``.
        total: number of the backbone's parameters.
        name: what to call the backbone, such as ``clip.stamp``.
    """
    backbones = {name: {"widths": dict(widths), "depths": dict(depths), "total": total}, "ViT-B/32": VIT_B32}
    controls = {
        "backbone": ipywidgets.Dropdown(description="backbone", options=list(backbones)),
        "bottleneck": ipywidgets.IntSlider(description="bottleneck r", value=64, min=STEP, max=256, step=STEP),
        "shared": ipywidgets.IntSlider(description="shared width d", value=64, min=0, max=64, step=STEP),
        "towers": ipywidgets.Dropdown(description="in", options=TOWERS),
        "blocks": ipywidgets.Dropdown(description="beside", options=BLOCKS),
        "share_layers": ipywidgets.Dropdown(description="as", options=SHARING),
    }

    def settle(change: Any) -> None:
        """The shared part must be narrower than the narrowest tower, and a bottleneck no wider than it."""
        least = min(backbones[controls["backbone"].value]["widths"][tower] for tower in controls["towers"].value)
        controls["bottleneck"].max = min(256, least)
        controls["shared"].max = (least - 1) // STEP * STEP

    def draw(backbone: str, bottleneck: int, shared: int, towers: tuple[str, ...], blocks: str, share_layers: bool):
        chosen = backbones[backbone]
        own = {tower: chosen["widths"][tower] for tower in towers}
        depths = {tower: chosen["depths"][tower] for tower in towers}
        layers = layers_of(blocks, max(depths.values()))
        sizes = sizes_of(own, bottleneck, shared)
        adapters = 1 if share_layers else len(layers)
        calls = sum(layer < depth for depth in depths.values() for layer in layers)
        count = sum(sizes.values()) * adapters
        share = f"{100 * count / chosen['total']:.2f} %"
        title = f"What does this adapter add to {backbone}? {count:,} parameters, {share}"
        figure = _picture(own, depths, layers, share_layers, bottleneck, shared, sizes, title)
        saved = adapters * sum(sizes_of(own, bottleneck, 0).values()) - count
        text = f"{count:,} parameters, {share} of {backbone}: {_counted(sizes, adapters, calls)}"
        text += f"\nThe shared part saves {saved:,}." if saved else "\nNothing is shared between two modalities here."
        text += f" Full fine-tuning trains {chosen['total']:,}."
        return figure, f"{text}\n{call_of(bottleneck, shared, towers, layers, share_layers)}"

    alt = (
        "Left: the blocks of both towers and the adapters beside them. Right: the layers of one adapter, drawn as "
        "wide as their inputs and outputs, with shapes and parameter counts."
    )
    return Panel("designer", controls, draw, alt, "counted, nothing trained", settle)


def layers_of(blocks: str, depth: int) -> range:
    """The 0-based numbers of the blocks that a choice of BLOCKS means in a stack of that depth."""
    start = {"last half": depth // 2, "last block": depth - 1}.get(blocks, 0)
    return range(start, max(1, depth // 2) if blocks == "first half" else depth)


def sizes_of(widths: Mapping[str, int], bottleneck: int, shared: int) -> dict[str, int]:
    """Parameters of each linear layer of one adapter: from a to b with bias there are ab + b."""
    sizes = {f"down {tower}": width * bottleneck + bottleneck for tower, width in widths.items()}
    sizes |= {f"up {tower}": (bottleneck + 1) * (width - shared) for tower, width in widths.items()}
    return sizes | {"shared": (bottleneck + 1) * shared}


def _counted(sizes: Mapping[str, int], adapters: int, calls: int) -> str:
    """The parameters of an adapter by kind of layer, and how many adapters there are, called by so many blocks."""
    down, up = (sum(size for name, size in sizes.items() if name.startswith(way)) for way in ("down ", "up "))
    in_words = f"down {down:,}, up {up:,}, shared up {sizes['shared']:,}"
    if adapters > 1:
        return f"{adapters} adapters of {sum(sizes.values()):,} ({in_words})."
    called = f"called by {calls} blocks: the count does not grow with them" if calls > 1 else "in one block"
    return f"{in_words}. One adapter, {called}."


def call_of(bottleneck: int, shared: int, towers: tuple[str, ...], layers: range, share_layers: bool) -> str:
    """The line of Python that builds it."""
    return (
        f'rsnb.adapt(clip, "mrs", bottleneck={bottleneck}, shared={shared}, share_layers={share_layers}, '
        f"towers={towers!r}, layers={layers!r})"
    )


@styled
def _picture(widths, depths, layers, share_layers, r, d, sizes, title) -> Figure:
    figure, (stack, inside) = plt.subplots(1, 2, figsize=(12, 5.6), width_ratios=(1, 2.6))
    for axis in (stack, inside):
        axis.set_axis_off()
    _draw_stack(stack, depths, layers, share_layers)
    _draw_layers(inside, widths, r, d, sizes)
    heading(figure, title)
    return figure


def _draw_stack(axis, depths: Mapping[str, int], layers: range, share_layers: bool) -> None:
    """The blocks of the towers, bottom up, and what stands beside them."""
    depth = max(depths.values())
    axis.set(xlim=(-2.1, 2.1), ylim=(-0.9, depth + 0.1))
    for tower, blocks in depths.items():
        x = -1.4 if tower == "image" else 1.4
        axis.text(x, -0.2, tower, ha="center", va="top", color=COLOURS[tower], fontweight="bold")
        for layer in range(blocks):
            axis.add_patch(
                _shape(
                    [(x - 0.5, layer + 0.1), (x + 0.5, layer + 0.1), (x + 0.5, layer + 0.9), (x - 0.5, layer + 0.9)],
                    GREY,
                )
            )
            if layer in (0, blocks - 1):
                axis.text(x, layer + 0.5, f"block {layer}", ha="center", va="center", fontsize=11)
            if layer in layers:
                axis.plot([x - 0.5 * x / 1.4, 0], [layer + 0.5] * 2, color=HIT, linewidth=1.5, zorder=0)
    for low, high in [(layers[0], layers[-1])] if share_layers else [(layer, layer) for layer in layers]:
        axis.add_patch(
            Rectangle((-0.42, low + 0.14), 0.84, high - low + 0.72, facecolor="white", edgecolor=HIT, linewidth=2)
        )
        axis.add_patch(Rectangle((-0.42, low + 0.14), 0.84, high - low + 0.72, facecolor=HIT, alpha=0.25))
    number = 1 if share_layers else len(layers)
    axis.set_title(f"{number} adapter{'s' * (number > 1)} (green)", fontsize=12)


def _draw_layers(axis, widths: Mapping[str, int], r: int, d: int, sizes: Mapping[str, int]) -> None:
    """One adapter to scale: a layer is a funnel as wide as its input below and as its output above."""
    axis.set(xlim=(-5.0, 5.0), ylim=(-0.6, 5.0))
    scale = WIDEST / max(widths.values())
    for tower, width in widths.items():
        x, colour, inner = PLACES[tower], COLOURS[tower], -1 if tower == "text" else 1
        w, z, own, part = (scale * n / 2 for n in (width, r, width - d, d))  # half widths
        up, mine = x - inner * part, x + inner * own  # centres of the own and of the shared outputs
        _bar(axis, x, 0.0, w, colour)
        axis.text(x, -0.15, f"{tower} stream: {width}", ha="center", va="top", color=colour, fontweight="bold")
        axis.add_patch(_shape([(x - w, 0.3), (x + w, 0.3), (x + z, 1.7), (x - z, 1.7)], colour))
        axis.text(x, 0.75, f"down: {width} → {r}\n{sizes[f'down {tower}']:,}", **LABEL)
        _bar(axis, x, 1.8, z, GREY)
        axis.text(x - inner * (z + 0.1), 1.95, f"z: {r}", ha="right" if inner > 0 else "left", va="center", fontsize=11)
        axis.add_patch(_shape([(x - z, 2.2), (x + z, 2.2), (up + own, 3.9), (up - own, 3.9)], colour))
        axis.text(up, 3.4, f"up: {r} → {width - d}\n{sizes[f'up {tower}']:,}", **LABEL)
        _bar(axis, up, 4.0, own, colour)
        axis.text(
            x,
            4.42,
            f"added to the stream: {width - d} + {d}",
            ha="center",
            va="bottom",
            color=colour,
            fontweight="bold",
        )
        if d:
            _bar(axis, mine, 4.0, part, SHARED)
            axis.plot([x + inner * z, 0, 0], [1.95, 1.95, 2.4], color=SHARED, linewidth=1.5, zorder=0)
            axis.plot([0, 0, mine, mine], [3.5, 3.75, 3.75, 4.0], color=SHARED, linewidth=1.5, zorder=0)
    if d:
        low, high = scale * r / 2, scale * d / 2
        axis.add_patch(_shape([(-low, 2.4), (low, 2.4), (high, 3.5), (-high, 3.5)], SHARED))
        beside = max(low, high) + 0.65 if max(low, high) < 0.55 else 0  # a narrow box has its words at its right
        axis.text(beside, 2.95, f"shared up:\n{r} → {d}\n{sizes['shared']:,}", **LABEL)
    else:
        axis.text(0, 2.95, "no shared\npart", **LABEL, color="0.4")
    axis.set_title("Inside one adapter, from below upwards, widths to scale", fontsize=12)


def _shape(points: list[tuple[float, float]], colour: str) -> Polygon:
    fill = matplotlib.colors.to_rgba(colour, 0.22)
    return Polygon(points, closed=True, facecolor=fill, edgecolor=colour, linewidth=1.6)


def _bar(axis, x: float, y: float, half: float, colour: str) -> None:
    """A row of features, from x - half to x + half."""
    axis.add_patch(Rectangle((x - half, y), 2 * half, 0.3, facecolor=colour, edgecolor="white", linewidth=0.5))
