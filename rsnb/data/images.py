"""Image files opened as RGB, whatever their mode."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


def open_rgb(source: Path | bytes, name: str = "") -> Image:
    """Decode an image file (or its bytes) to a PIL image of mode RGB; see `to_rgb`.

    Raises: RsnbError with the name and the reason if it cannot be decoded.
    """
    image, _ = decode(source, name)
    return image


def decode(source: Path | bytes, name: str = "") -> tuple[Image, str]:
    """Like `open_rgb`; also returns the mode that the file had ("L", "RGBA", "I;16", ...)."""
    from PIL import Image

    label = name or (str(source) if isinstance(source, Path) else "an image")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.load()
            return to_rgb(image), image.mode
    except Exception as error:  # Pillow's decoders raise many types for broken files
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if "cannot identify" in reason:
            reason = "not an image, or an unknown format"
        raise RsnbError(f"{label} cannot be decoded ({reason}); get the file again") from None


def looks_sound(source: Path | bytes) -> str | None:
    """None if the file begins like an image; otherwise what is wrong. Reads the header only."""
    from PIL import Image

    try:
        if isinstance(source, Path) and source.stat().st_size == 0:
            return "empty file"
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source):
            return None
    except Exception as error:
        return "not an image" if "cannot identify" in str(error) else type(error).__name__


def to_rgb(image: Image) -> Image:
    """Any PIL mode to RGB (H and W stay).

    - grey, palette, CMYK, YCbCr, LAB, 1 bit: Pillow's own conversion;
    - transparency (RGBA, LA, palette): laid over black, as aerial products show places without data;
    - 16 bit and 32 bit integer: scaled from the smallest of 8, 10, 11, 12, 14, 16 bits (or the maximum
      itself) that holds the brightest pixel, because sensors rarely use all 16 bits;
    - float: 0..1 if it fits, else 0..255 if it fits, else stretched from minimum to maximum.

    An orientation tag (EXIF) is left alone, and of several frames the first is taken.
    """
    from PIL import Image

    if image.mode == "RGB":
        return image if "transparency" not in image.info else _over_black(image)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_black(image)
    return image.convert("RGB")


def _over_black(image: Image) -> Image:
    from PIL import Image

    if image.mode == "La":  # premultiplied grey: the only mode without a direct way to RGBA
        image = image.convert("LA")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _to_bytes(image: Image) -> np.ndarray:
    """Integer or float pixels (H, W) to uint8 (H, W)."""
    import numpy as np

    pixels = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0).clip(min=0)
    top = float(pixels.max(initial=0.0))
    if image.mode == "F":
        low, high = (0.0, 1.0) if top <= 1 else (0.0, 255.0) if top <= 255 else (float(pixels.min()), top)
    else:
        low, high = 0.0, next((2.0**b - 1 for b in (8, 10, 11, 12, 14, 16) if top < 2**b), top)
    return ((pixels - low) / max(high - low, 1e-12) * 255).round().clip(0, 255).astype(np.uint8)
