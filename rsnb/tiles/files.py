"""The files of a source of tiles: a folder, one image, a tar file, a list of STAC items."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from rsnb.data import tars
from rsnb.data.endings import ENDINGS
from rsnb.errors import RsnbError
from rsnb.tiles.store import is_index

TIFF = (".tif", ".tiff")
VISUAL = (
    "visual",
    "image",
    "data",
    "rendered_preview",
)  # assets of a STAC item that are taken, the first that is there
LARGEST = 1 << 30  # bytes of a list of STAC items


@dataclass(frozen=True)
class File:
    """An image: its path below the root (behind a tar's, in one), the bytes and the time in ns since 1970 by which a
    change is noticed, and its first byte in a tar file; of a STAC item also when it was taken, and its bounds."""

    path: str
    bytes: int
    modified: int
    start: int | None = None
    taken: int | None = None
    box: tuple[float, float, float, float] | None = None

    @property
    def is_tiff(self) -> bool:
        return self.path.lower().endswith(TIFF)

    def place(self, root: Path) -> Path:
        """The file on the disk: the image, or the tar file that holds it."""
        if self.start is None:
            return root / self.path
        parts = Path(self.path).parts
        tars_there = (root.joinpath(*parts[:n]) for n, part in enumerate(parts, 1) if part.lower().endswith(".tar"))
        return next((path for path in tars_there if path.is_file()), root / self.path)

    def source(self, root: Path) -> Path | bytes:
        """What can be opened: the path, or the bytes of an image in a tar file."""
        if self.start is None:
            return root / self.path
        return tars.image_bytes((self.place(root), self.start, self.bytes))


def root_of(source: Path) -> Path:
    """The folder that the paths of a source begin at: itself, or that of a file."""
    return source if source.is_dir() else source.parent


def files_of(source: Path, asset: str | None = None) -> tuple[list[File], dict[str, str]]:
    """All images of a source, in the order of their paths, and {path: what is wrong} with those that cannot be taken.

    Args:
        source: a folder, searched to its depths, with tar files in it; one image; a .tar; a .json or .geojson of STAC
            items.
        asset: which asset of each STAC item.

    Raises:
        RsnbError: the source is not there, is of another kind, or holds no image.
    """
    wrong: dict[str, str] = {}
    if not source.exists():
        raise RsnbError(f"there is no {source}; give a folder of images, an image, a .tar or a list of STAC items")
    if is_index(source):
        raise RsnbError(f"{source} is an index; give the folder of its images, or ask it: rsnb search --index {source}")
    if source.is_dir():
        found = list(_of_folder(source, wrong))
    elif source.suffix.lower() == ".tar":
        found = list(_of_tar(source.parent, source, wrong))
    elif source.suffix.lower() in (".json", ".geojson"):
        found = list(_of_items(source, asset, wrong))
    elif source.suffix.lower() in ENDINGS:
        found = [_file(source.parent, source)]
    else:
        raise RsnbError(f"{source} is no folder, image, .tar or list of STAC items; images end in {', '.join(ENDINGS)}")
    if not found:
        more = (
            f"; {len(wrong)} cannot be read, such as {next(iter(wrong))} ({next(iter(wrong.values()))})"
            if wrong
            else ""
        )
        raise RsnbError(f"{source} holds no image that can be read{more}; images end in {', '.join(ENDINGS)}")
    return sorted(found, key=lambda file: file.path), wrong


def _file(root: Path, path: Path, **more: Any) -> File:
    state = path.stat()
    return File(path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns, **more)


def _name(root: Path, path: Path) -> str:
    """A path below the root, with "/"; bytes that are no UTF-8 as escapes."""
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _of_folder(root: Path, wrong: dict[str, str]) -> Iterator[File]:
    def unreadable(error: OSError) -> None:
        wrong[_name(root, Path(error.filename))] = error.strerror or "it cannot be read"

    for folder, below, names in os.walk(root, onerror=unreadable):
        if is_index(Path(folder)):
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__MACOSX")
        for path in (Path(folder, name) for name in below):
            if path.is_symlink():
                wrong[_name(root, path)] = "a link to a folder, which is not followed"
        for path in (Path(folder, name) for name in sorted(names)):
            ending = path.suffix.lower()
            if path.name.startswith(".") or ending not in (*ENDINGS, ".tar"):
                continue
            try:
                _refuse(root, path)
                if ending == ".tar":
                    yield from _of_tar(root, path, wrong)
                else:
                    yield _file(root, path)
            except (OSError, RsnbError) as error:
                wrong[_name(root, path)] = getattr(error, "strerror", None) or str(error)


def _refuse(root: Path, path: Path) -> None:
    if _name(root, path) != path.relative_to(root).as_posix():
        raise RsnbError("its name is not UTF-8; rename it")
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            raise RsnbError("a link to outside the folder")
    except RuntimeError as error:  # a link that leads to itself; since Python 3.13 no file
        raise RsnbError("a link that leads to itself") from error
    if not path.is_file():
        raise RsnbError("no ordinary file")


def _of_tar(root: Path, tar: Path, wrong: dict[str, str]) -> Iterator[File]:
    name, changed, seen = tar.relative_to(root).as_posix(), tar.stat().st_mtime_ns, set()
    for key, sample in tars.samples(tar):
        if not sample.images or sample.wrong.startswith(tuple(f"{m.name} is a link" for m in sample.images)):
            wrong[f"{name}/{key}"] = sample.wrong or "no image"
            continue
        for member in sample.images:
            path = f"{name}/{member.name}"
            if path in seen:
                wrong[path] = "it is there twice"
            elif member.isfile():
                seen.add(path)
                yield File(path, member.size, changed, member.offset_data)


# --- STAC -------------------------------------------------------------------------------------------------------
def _of_items(source: Path, asset: str | None, wrong: dict[str, str]) -> Iterator[File]:
    if source.stat().st_size > LARGEST:
        raise RsnbError(f"{source} has {source.stat().st_size:,} bytes, too many for a list of STAC items; cut it up")
    try:
        found = json.loads(source.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RsnbError(f"{source} is no valid JSON ({str(error)[:80]}); get it again") from None
    items = found.get("features", [found]) if isinstance(found, dict) else found
    if not isinstance(items, list) or not all(isinstance(item, dict) and "assets" in item for item in items):
        raise RsnbError(
            f"{source} is no list of STAC items: each needs assets; give an ItemCollection, or a list of items"
        )
    seen: set[str] = set()
    for number, item in enumerate(items):
        name = str(item.get("id", f"item {number + 1}"))
        try:
            path = _local(source.parent, _href(item, asset))
            if path.suffix.lower() not in ENDINGS:
                raise RsnbError(f"{path.name} is no image that is read here")
            file = _file(source.parent.resolve(), path, taken=_taken(item), box=_box(item))
        except (RsnbError, OSError) as error:
            wrong[name] = getattr(error, "strerror", None) or str(error)
            continue
        if file.path in seen:
            wrong[name] = f"{file.path} is there twice"
        else:
            seen.add(file.path)
            yield file


def _href(item: dict[str, Any], asset: str | None) -> str:
    assets = item["assets"]
    if not isinstance(assets, dict) or not all(isinstance(one, dict) for one in assets.values()):
        raise RsnbError("its assets are no object")
    names = [name for name, one in assets.items() if str(one.get("href", "")).lower().endswith(ENDINGS)]
    chosen = asset or next((name for name in VISUAL if name in names), names[0] if len(names) == 1 else None)
    if chosen not in assets or "href" not in assets[chosen]:
        raise RsnbError(f"which asset? It has {', '.join(assets) or 'none'}; give one with --asset")
    return str(assets[chosen]["href"])


def _local(root: Path, href: str) -> Path:
    """The file that an href names: below the folder of the list, and on this machine."""
    parts = urlparse(href)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise RsnbError(f"{href[:80]} is not on this machine, and nothing is downloaded; get it, and write its path")
    path = (root / unquote(parts.path if parts.scheme else href)).resolve()
    if not path.is_relative_to(root.resolve()):
        raise RsnbError(f"{href[:80]} lies outside the folder of the list")
    return path


def _taken(item: dict[str, Any]) -> int | None:
    properties = item.get("properties") or {}
    try:
        when = datetime.datetime.fromisoformat(str(properties.get("datetime")).replace("Z", "+00:00"))
        when = when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)
        return int(when.timestamp() * 1e9)
    except (ValueError, AttributeError, OverflowError, OSError):
        return None


def _box(item: dict[str, Any]) -> tuple[float, float, float, float] | None:
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) not in (4, 6):
        return None
    west, south, east, north = ends = box[:2] + box[len(box) // 2 : len(box) // 2 + 2]
    if not all(isinstance(value, (int, float)) for value in ends):
        return None
    right = -90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180
    return (float(west), float(south), float(east), float(north)) if right else None
