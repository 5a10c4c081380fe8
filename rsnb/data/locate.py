"""From what a user names ("ucm", a folder, a file) to the one data set that is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from rsnb.base import paths
from rsnb.data.detect import LAYOUTS, Candidate, detect, inside, split_of_file
from rsnb.errors import RsnbError

STAMPS = {"toy": "toy world (drawn)", "ucm": "UCM-Captions (real)", "rsicd": "RSICD (real)", "rsitmd": "RSITMD (real)"}


@dataclass(frozen=True)
class Place:
    """The data set that is meant: its short name, its caption files, the folder that holds its images."""

    name: str
    source: Candidate
    root: Path
    layout: str

    @property
    def stamp(self) -> str:
        """What a figure says about its data."""
        return STAMPS.get(self.name, f"{self.name} (own data)")


def locate(name_or_path: str | Path = "toy", root: str | Path | None = None, layout: str | None = None) -> Place:
    """Find the caption files and the image folder.

    Args:
        name_or_path: "toy", "ucm", "rsicd", "rsitmd", or a folder or caption file
        root: for a name: the data set's folder (else RSNB_ROOT); for a path: where the images are
        layout: one of LAYOUTS, if the folder does not make it plain

    Raises:
        RsnbError: there is nothing there, nothing that is known, or more than one thing.
    """
    if layout is not None and layout not in LAYOUTS:
        raise RsnbError(f"unknown layout {layout!r}; use one of {', '.join(LAYOUTS)}, or None to detect it")
    known = _known(name_or_path)
    if known:
        folder = paths.toy_dir() if known == "toy" and root is None else _real_root(known, root)
    else:
        folder = paths.user_path(name_or_path)
        if not (os.path.isdir(folder) or os.path.isfile(folder)):  # which hold for impossible names too
            names, what = (
                ", ".join(STAMPS),
                "is neither file nor folder" if os.path.lexists(folder) else "does not exist",
            )
            raise RsnbError(f"{folder} {what}; name a folder, a caption file, or one of {names}")
    found, images = _candidates(folder, known)
    source = _only(found, folder, known, layout)
    if not known and root is not None:
        images = paths.user_path(root)
        if not os.path.isdir(images):
            raise RsnbError(f"root {images} is not a folder; beside a path, root names the images' folder")
    hinted = _hint(source, images)
    if known and hinted and hinted != known:
        raise RsnbError(
            f"{folder} holds {STAMPS[hinted]}, not {STAMPS[known]}; ask for {hinted!r}, or for the path itself"
        )
    name = known or hinted or source.title or folder.resolve().name
    return Place(name, source, images, layout or source.layout)


def _known(name: str | Path) -> str | None:
    if isinstance(name, Path):
        return None
    if not isinstance(name, str) or not name.strip():
        names = ", ".join(STAMPS)
        raise RsnbError(f"the data set is {name!r}; name a folder, a caption file, or one of {names}")
    plain = name.strip().lower().replace("_", "-").removesuffix("-captions")
    return plain if plain in STAMPS else None


def _real_root(name: str, root: str | Path | None) -> Path:
    chosen = root or os.environ.get("RSNB_ROOT")
    if not chosen:
        raise RsnbError(
            f"{STAMPS[name]} does not ship with the project. Get it as data/README.md says, then name its "
            f"folder: root=..., on the command line --root DIR, or the environment variable RSNB_ROOT"
        )
    folder = paths.user_path(chosen)
    if not os.path.exists(folder):
        raise RsnbError(f"{folder} does not exist; root (or RSNB_ROOT) names the folder of {STAMPS[name]}")
    return folder


def _candidates(folder: Path, known: str | None) -> tuple[list[Candidate], Path]:
    """Caption files in the folder itself, else in one of its sub-folders; and the image folder for them."""
    found, notes = detect(folder)
    images = folder if folder.is_dir() else folder.parent
    if found or folder.is_file():
        return found, images
    below = _below(folder, notes)
    parts = _parts_of_one(below)
    if not below:  # one more level: `default/train`, `default/test`, as the hub keeps parquet files
        deeper = [_parts_of_one(_below(sub, notes)) for sub in _folders(folder)]
        deeper = [candidate for candidate in deeper if candidate]
        parts = replace(deeper[0], title=folder.resolve().name) if len(deeper) == 1 else None
    if parts:
        return [parts], folder
    named = [(sub, inside) for sub, inside in below if known and known in sub.name.lower()]
    if len(below) == 1:
        return below[0][1], folder
    if len(named) == 1:
        return named[0][1], named[0][0]
    if below:
        raise RsnbError(
            f"{folder} holds several data sets: {', '.join(sub.name for sub, _ in below)}; "
            "name the folder of one of them; parts of one set are put together if their folders are called train, val "
            "and test and all are in one layout"
        )
    empty = "is empty" if not inside(folder) else "holds no caption files in a known layout"
    bare = ""
    if any(True for depth in ("", "*/", "*/*/") for _ in folder.glob(f"{depth}agricultural")):
        bare = " These are UC Merced's class folders: put UCM-Captions (dataset_ucm.json) into the folder too"
    raise RsnbError(
        f"{folder} {empty}{' (' + '; '.join(notes) + ')' if notes else ''}. Expected one of: "
        f"train_filename.txt with train_caps.txt (precomp), dataset_*.json (karpathy), *_train.json (harma), "
        f"*.parquet, *.tar, metadata.jsonl, or a CSV with columns filename,title; data/README.md draws them.{bare}"
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in inside(folder) if p.is_dir() and not p.name.startswith((".", "__")))


def _below(folder: Path, notes: list[str]) -> list[tuple[Path, list[Candidate]]]:
    """The sub-folders with caption files; what looks like captions and cannot be read is added to the notes."""
    found = []
    for sub in _folders(folder):
        candidates, more = detect(sub)
        notes += more
        found += [(sub, candidates)] if candidates else []
    return found


def _parts_of_one(below: list[tuple[Path, list[Candidate]]]) -> Candidate | None:
    """One candidate of sub-folders that are called like parts (`train`, `test`) and hold one layout; else None."""
    if len(below) < 2 or any(split_of_file(sub) is None for sub, _ in below):
        return None
    whole = [candidate for _, candidates in below for candidate in candidates]
    if len({candidate.layout for candidate in whole}) > 1 or len(whole) > len(below):
        return None
    first = whole[0]
    one = Candidate(first.layout, below[0][0].parent.resolve().name, [])
    for candidate in whole:
        one.files += candidate.files
        one.payloads += candidate.payloads
        one.broken += candidate.broken
    return one


def _only(found: list[Candidate], folder: Path, known: str | None, layout: str | None) -> Candidate:
    wanted = ("precomp", "karpathy") if layout == "ucm_folders" else (layout,) if layout else LAYOUTS
    fitting = [c for c in found if c.layout in wanted]
    if not fitting:
        raise RsnbError(
            f"{folder} holds no captions in the layout {layout!r}; found: {', '.join(c.layout for c in found)}"
        )
    if len(fitting) > 1 and known:
        fitting = [c for c in fitting if known in c.title.lower()] or fitting
    if len(fitting) > 1:
        kinds = "; ".join(f"{c.layout} ({', '.join(f.name for f in c.files[:3])})" for c in fitting)
        plain = len({c.layout for c in fitting}) == len(fitting)
        remedy = "layout=..." if plain else "the path of its caption file"
        raise RsnbError(f"{folder} can be read in several ways: {kinds}; name one with {remedy}")
    return fitting[0]


def _hint(source: Candidate, folder: Path) -> str | None:
    """The known data set that the files themselves speak of."""
    payload = source.payloads[0] if source.payloads else None
    named = payload.get("dataset") if isinstance(payload, dict) else None
    if str(named).lower() == "toy" or source.title == "dataset_toy":
        return "toy"
    for text in (str(named or ""), source.title, source.files[0].name, folder.name):
        for name in ("rsitmd", "rsicd", "ucm"):
            if name in text.lower():
                return name
    return None
