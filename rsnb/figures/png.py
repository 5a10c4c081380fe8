"""Figures as PNG files: their stamp, few colours, texts inside."""

from __future__ import annotations

import datetime
import io

from rsnb.settings import SCREEN_DPI, versions

MANY_COLOURS = 20_000  # a figure has more only if there are pictures in it


def picture(figure, alt: str, stamp: str) -> bytes:
    """The PNG of a matplotlib Figure with its stamp under it; closes the figure."""
    return pictures(figure, alt, stamp, SCREEN_DPI)[0]


def pictures(figure, alt: str, stamp: str, *resolutions: int) -> list[bytes]:
    """The same in several resolutions (dots per inch). Above that of the page all colours are kept."""
    import matplotlib.pyplot as plt

    # Below the figure's own area, so that it can cover nothing; the tight box takes it in.
    figure.text(0.99, -0.01, stamp, ha="right", va="top", fontsize=9, color="0.4", parse_math=False)
    if figure.legends:  # the tight box would move a legend at the edge onto the stamp: lay out, then let it stay
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for legend in figure.legends:
            legend.set_bbox_to_anchor((0, 0, 1, 1), transform=figure.transFigure)
    source = f"{versions()}, {datetime.date.today().isoformat()}"
    about = {"Software": None, "Description": alt, "Comment": stamp, "Source": source}
    found = []
    for dpi in resolutions:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata=about)
        found.append(buffer.getvalue() if dpi > SCREEN_DPI else _light(buffer.getvalue()))
    plt.close(figure)
    return found


def sharp(figure, dpi: int) -> tuple[str, bytes, tuple[int, int]]:
    """A matplotlib Figure as a control moved draws it: fast, in so many dots per inch; closes the figure.

    Returns (MIME type, the file, (width, height) in pixels): a JPEG where there are photographs in it, else a PNG.
    """
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    plt.close(figure)  # pyplot knows it by the canvas that it had
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    whole = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    if whole.getcolors(MANY_COLOURS):
        whole.save(buffer, "PNG", compress_level=1)
        return "image/png", buffer.getvalue(), whole.size
    whole.save(buffer, "JPEG", quality=90)
    return "image/jpeg", buffer.getvalue(), whole.size


def _light(png: bytes) -> bytes:
    """A PNG in 256 colours, those of marks among them: a third of the size, for small saved notebooks."""
    from PIL import Image, PngImagePlugin

    picture = Image.open(io.BytesIO(png), formats=("PNG",))
    text = PngImagePlugin.PngInfo()
    for key, value in picture.text.items():
        text.add_text(key, value)
    buffer = io.BytesIO()
    whole = picture.convert("RGB")
    # Pictures in a figure have colours by the ten thousand: seconds for all, and a ninth of the pixels tells as much.
    size = whole.size if whole.getcolors(MANY_COLOURS) else (whole.width // 3, whole.height // 3)
    few = whole.resize(size, Image.Resampling.NEAREST).quantize(256, method=Image.Quantize.MAXCOVERAGE)
    if few.size != whole.size:
        few = whole.quantize(palette=few, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True, pnginfo=text)
    return min(png, buffer.getvalue(), key=len)


def lighter(png: bytes, most: int = 150_000) -> tuple[str, bytes]:
    """What the notebook keeps of a figure, with its MIME type: JPEG where there are many pictures in it."""
    if len(png) <= most:
        return "image/png", png
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png), formats=("PNG",)).convert("RGB").save(buffer, "JPEG", quality=85, optimize=True)
    return "image/jpeg", buffer.getvalue()
