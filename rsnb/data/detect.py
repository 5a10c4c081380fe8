"""Which caption files lie in a folder, and in which layout; and how text is read from them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsnb.errors import RsnbError

#: The last one: images in UC Merced's class folders, captions beside them as precomp or karpathy.
LAYOUTS = ("precomp", "karpathy", "harma", "parquet", "csv", "ucm_folders")
SPLIT_WORDS = {
    "train": "train", "training": "train", "restval": "train", "trainval": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip


@dataclass
class Candidate:
    """Files that together look like one data set in one layout."""

    layout: str
    title: str
    files: list[Path]
    payloads: list[Any] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # files of the same name pattern that cannot be read


def detect(place: Path) -> tuple[list[Candidate], list[str]]:
    """What a folder (its own files only), or one named file, looks like.

    Returns the candidates, and notes on files that look like captions but cannot be read.
    """
    if place.is_file():
        candidates, notes = detect(place.parent)
        holders = [c for c in candidates if place in c.files]
        if not holders:
            raise RsnbError(
                f"{place} is not a caption file in a known layout"
                + _notes(notes, place.name)
                + "; known: "
                + ", ".join(LAYOUTS)
            )
        return holders, notes
    files = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith("."))
    found: list[Candidate] = []
    broken: list[tuple[str, str]] = []  # (title, what is wrong)
    precomp = [f for f in files if re.fullmatch(r"(train|val|test)_(filename|caps)\.txt", f.name)]
    if precomp:
        found.append(Candidate("precomp", place.resolve().name, precomp))
    groups: dict[tuple[str, str], Candidate] = {}
    for file in files:
        ending = file.suffix.lower()
        payload = None
        if ending == ".json":
            try:
                payload = json.loads(read_text(file))
            except RsnbError as error:  # itself a ValueError, so it comes first
                broken.append((_without_split(file), str(error)))
                continue
            except (ValueError, RecursionError) as error:
                broken.append((_without_split(file), f"{file.name} is not valid JSON ({str(error)[:80]})"))
                continue
            layout = _json_layout(payload)
        elif ending in (".csv", ".tsv"):
            layout = "csv" if csv_columns(file) else None
        else:
            layout = "parquet" if ending == ".parquet" else None
        if layout is None:
            continue
        title = file.stem if layout == "karpathy" else _without_split(file)
        group = groups.setdefault((layout, title), Candidate(layout, title, []))
        group.files.append(file)
        group.payloads.append(payload)
    for group in groups.values():
        group.broken = [note for title, note in broken if group.layout == "harma" and title == group.title]
    return found + list(groups.values()), [note for _, note in broken]


def _notes(notes: list[str], word: str = "") -> str:
    notes = [note for note in notes if word in note]
    return f" ({'; '.join(notes)})" if notes else ""


def _json_layout(payload: Any) -> str | None:
    if isinstance(payload, dict) and isinstance(payload.get("images"), list):
        entries = payload["images"]
        keys: set = set().union(*(e.keys() for e in entries[:20] if isinstance(e, dict)))
        return "karpathy" if {"filename", "sentences"} <= keys or not entries else None
    if isinstance(payload, list) and payload and isinstance(payload[0], dict):
        return "harma" if {"image", "caption"} <= payload[0].keys() else None
    return None


def _without_split(file: Path) -> str:
    """`rsitmd_train.json` -> `rsitmd`: the name that the parts of one data set share."""
    stem = re.sub(r"-\d{5}-of-\d{5}.*$", "", file.stem)
    words = [w for w in re.split(r"[^A-Za-z0-9]+", stem) if w and w.lower() not in SPLIT_WORDS]
    return "_".join(words)


def split_of_file(file: Path) -> str | None:
    """The part that a file's name speaks of (`valid-00000-of-00001.parquet` -> `val`), or None."""
    words = [w for w in re.split(r"[^a-z]+", file.stem.lower()) if w in SPLIT_WORDS]
    return SPLIT_WORDS[words[-1]] if words else None


def read_text(file: Path) -> str:
    """A UTF-8 text file; a byte-order mark and Windows line ends are taken away.

    Raises: RsnbError with the line if the bytes are not UTF-8.
    """
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RsnbError(
            f"{file} is not UTF-8 (line {line}, byte {raw[error.start]:#04x}); save it again as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def csv_columns(file: Path) -> tuple[str, str, str] | None:
    """(separator, name column, caption column) of a pairs file, or None if it is something else."""
    with file.open("rb") as handle:
        head = handle.readline(10_000).decode("utf-8-sig", errors="replace").strip()
    separator = "\t" if "\t" in head else ";" if ";" in head and "," not in head else ","
    columns = [c.strip().strip('"').lower() for c in head.split(separator)]
    name = next((c for c in ("filename", "filepath", "image") if c in columns), None)
    caption = next((c for c in ("title", "caption") if c in columns), None)
    return (separator, name, caption) if name and caption else None
