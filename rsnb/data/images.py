"""Image files: found by name inside one folder, opened as RGB whatever their mode."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2")


def clean_name(name: str) -> str:
    """A listed image name as a relative path with forward slashes.

    Raises: RsnbError if the name is empty, absolute or contains '..': no name may lead out of the folder.
    """
    path = str(name).strip().replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        raise RsnbError(f"image name {name!r} is empty")
    if path.startswith("/") or re.match(r"^[A-Za-z]:", path) or ".." in parts or "\0" in path:
        raise RsnbError(f"image name {name!r} leads out of the data folder; use a relative name without '..'")
    return "/".join(parts)


def name_key(name: str) -> str:
    """A name without its image ending, in lower case: `Images/A.TIF` and `images/a.jpg` have one key."""
    path = unicodedata.normalize("NFC", name).lower()
    ending = PurePosixPath(path).suffix
    return path[: -len(ending)] if ending in ENDINGS else path


class ImageIndex:
    """All image files beneath `root`, searched once.

    Links are not followed out of the folder; hidden files and folders are left out. `len(index)` is the
    number of image files, `index.outside` how many links were left out because they lead elsewhere.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.outside = 0
        self.files: list[Path] = []
        self._by_stem: dict[str, list[Path]] = {}
        top = self.root.resolve()
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
            for link in [f for f in folders if Path(folder, f).is_symlink()]:
                self.outside += not Path(folder, link).resolve().is_relative_to(top)
            for file in sorted(files):
                path = Path(folder, file)
                if file.startswith(".") or path.suffix.lower() not in ENDINGS:
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(top):
                    self.outside += 1
                    continue
                self.files.append(path)
                self._by_stem.setdefault(PurePosixPath(name_key(file)).name, []).append(path)

    def __len__(self) -> int:
        return len(self.files)

    def find(self, name: str) -> list[Path]:
        """Files that fit a listed name: [] missing, [one] found, several: ambiguous.

        The stem must agree (any ending, any case). Of several, those win that share most folders with the
        listed name, then those with the listed ending, then those with the listed spelling.
        """
        wanted = PurePosixPath(name)
        found = self._by_stem.get(PurePosixPath(name_key(name)).name, [])
        if len(found) < 2:
            return found
        folders = [part.lower() for part in wanted.parts[:-1]][::-1]

        def fit(path: Path) -> tuple[int, bool, bool]:
            own = [part.lower() for part in path.relative_to(self.root).parts[:-1]][::-1]
            shared = 0
            while shared < min(len(own), len(folders)) and own[shared] == folders[shared]:
                shared += 1
            return shared, path.suffix.lower() == wanted.suffix.lower(), path.name == wanted.name

        best = max(fit(path) for path in found)
        return [path for path in found if fit(path) == best]


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
