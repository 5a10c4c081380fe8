"""Which caption files lie in a folder, and in which layout; and how text is read from them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsnb.errors import RsnbError

NAMES = ("filename", "filepath", "file_name", "image")  # columns, and keys, that name an image
CAPTIONS = ("title", "caption", "captions", "text")
#: The last one: images in UC Merced's class folders, captions beside them as precomp or karpathy.
LAYOUTS = ("precomp", "karpathy", "harma", "coco", "nwpu", "parquet", "tar", "csv", "jsonl", "ucm_folders")
SHARDED = ("parquet", "tar")  # layouts of which one folder holds one set
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
    files = sorted(p for p in inside(place) if p.is_file() and not p.name.startswith("."))
    found: list[Candidate] = []
    broken: list[tuple[Path, str]] = []  # (file, what is wrong)
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
                broken.append((file, str(error)))
                continue
            except (ValueError, RecursionError) as error:
                broken.append((file, f"{file.name} is not valid JSON ({str(error)[:80]})"))
                continue
            layout = _json_layout(payload)
            if layout is None:
                broken.append((file, f"{file.name} holds {_keys_of(payload)}, which is no known layout"))
        elif ending == ".jsonl":
            try:
                payload = json_lines(file)
            except RsnbError as error:
                broken.append((file, str(error)))
                continue
            first = payload[0] if payload else {}
            known = isinstance(first, dict) and set(NAMES) & first.keys() and set(CAPTIONS) & first.keys()
            layout = "jsonl" if known else None
            if layout is None:
                broken.append((file, f"{file.name} holds {_keys_of(payload)}; {NEEDED}"))
        elif ending in (".csv", ".tsv"):
            try:
                table = csv_table(file)
            except RsnbError as error:
                broken.append((file, str(error)))
                continue
            layout = "csv" if table.name and table.caption else None
            if layout is None:
                broken.append((file, f"{file.name} has the columns {_few(table.columns)}; {NEEDED}"))
        elif ending == ".tar":
            from rsnb.data.tars import holds_pairs

            try:
                layout = "tar" if holds_pairs(file) else None
            except RsnbError as error:
                broken.append((file, str(error)))
                continue
            if layout is None:
                broken.append((file, f"{file.name} holds no images with captions (key.jpg beside key.txt or key.json)"))
        else:
            layout = "parquet" if ending == ".parquet" else None
        if layout is None:
            continue
        title = file.stem if layout == "karpathy" else _without_split(file)
        if layout in SHARDED:  # shards and parts of one folder are one set, whatever they are called
            title = place.resolve().name
        group = groups.setdefault((layout, title), Candidate(layout, title, []))
        group.files.append(file)
        group.payloads.append(payload)
    for group in groups.values():
        group.broken = [note for file, note in broken if _belongs(file, group)]
    return found + list(groups.values()), [note for _, note in broken]


def _belongs(file: Path, group: Candidate) -> bool:
    """Whether a file that cannot be read looks like a part or a shard of a data set."""
    tables = (".csv", ".tsv")
    endings = {own.suffix.lower() for own in group.files}
    alike = file.suffix.lower() in (tables if endings & set(tables) else endings)
    return alike and (group.layout in SHARDED or _without_split(file) == group.title)


def inside(folder: Path) -> list[Path]:
    """What lies in a folder.

    Raises:
        RsnbError: it cannot be listed.
    """
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise RsnbError(f"{folder} cannot be read ({error.strerror or error}); is it the right folder?") from None


def _notes(notes: list[str], word: str = "") -> str:
    notes = [note for note in notes if word in note]
    return f" ({'; '.join(notes)})" if notes else ""


NEEDED = f"one of {', '.join(NAMES)} and one of {', '.join(CAPTIONS)} are needed"


def _few(names: list[Any], most: int = 8) -> str:
    shown = ", ".join(repr(str(name))[1:-1][:40] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _keys_of(payload: Any) -> str:
    """What a JSON file holds, in words."""
    if isinstance(payload, dict):
        return f"the keys {_few(list(payload))}" if payload else "an empty object"
    if isinstance(payload, list):
        inner = _keys_of(payload[0]) if payload else "nothing"
        return f"a list of {len(payload):,}, the first with {inner}"
    return f"a {type(payload).__name__}"


def _json_layout(payload: Any) -> str | None:
    if isinstance(payload, dict) and isinstance(payload.get("images"), list):
        entries = payload["images"]
        if isinstance(payload.get("annotations"), list) and {"id", "file_name"} <= _keys(entries):
            return "coco" if {"image_id", "caption"} <= _keys(payload["annotations"]) else None
        return "karpathy" if {"filename", "sentences"} <= _keys(entries) or not entries else None
    if isinstance(payload, dict) and payload and all(isinstance(v, list) and v for v in payload.values()):
        return "nwpu" if all({"filename", "raw"} <= _keys(v) for v in payload.values()) else None
    if isinstance(payload, list) and payload and isinstance(payload[0], dict):
        return "harma" if {"image", "caption"} <= payload[0].keys() else None
    return None


def _without_split(file: Path) -> str:
    """`rsitmd_train.json` -> `rsitmd`: the name that the parts of one data set share."""
    stem = re.sub(r"-\d{5}-of-\d{5}.*$", "", file.stem)
    words = re.split(r"[^A-Za-z0-9]+", stem)
    words = [w for w in words if w and w.lower().rstrip("0123456789") not in SPLIT_WORDS]
    return "_".join(words)


def split_of_file(file: Path) -> str | None:
    """The part that a file's name speaks of (`valid-00000-of-00001.parquet` -> `val`), or None."""
    words = [w for w in re.split(r"[^a-z]+", file.stem.lower()) if w in SPLIT_WORDS]
    return SPLIT_WORDS[words[-1]] if words else None


def _keys(entries: list[Any]) -> set[str]:
    """The keys of the first entries."""
    return set().union(*(e.keys() for e in entries[:20] if isinstance(e, dict)))


def json_lines(file: Path) -> list[Any]:
    """The entries of a JSON-lines file.

    Raises:
        RsnbError: a line is no JSON; the message names it.
    """
    found = []
    for n, line in enumerate(read_text(file).split("\n"), start=1):
        try:
            found += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise RsnbError(f"{file.name} line {n} is not valid JSON ({str(error)[:80]})") from None
    return found


def read_text(file: Path) -> str:
    """A text file in UTF-8, or in UTF-16 with its byte-order mark (Excel's "Unicode text"); the mark and Windows line
    ends are taken away.

    Raises:
        RsnbError: the bytes are neither; the message names the line.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise RsnbError(f"{file} cannot be read ({error.strerror or error}); get it again, or its rights") from None
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RsnbError(
            f"{file} is not {'UTF-16, as it begins' if wide else 'UTF-8'} (line {line}, byte {raw[error.start]:#04x}); "
            "save it again as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass
class CsvTable:
    """A file of pairs: its columns, which of them (in lower case) hold names and captions, and its lines below the
    header, the first of which is line `first` of the file."""

    separator: str
    columns: list[str]
    name: str | None
    caption: str | None
    lines: list[str]
    first: int


def csv_table(file: Path) -> CsvTable:
    """Separator and columns come from the header; a first line `sep=;`, as Excel writes it, is heeded.

    Raises:
        RsnbError: the file is no text in UTF-8 or UTF-16.
    """
    lines = read_text(file).split("\n")
    stated = re.fullmatch(r'"?sep=(.)"?', lines[0].rstrip(" ,;"), re.IGNORECASE) or re.fullmatch(r"sep=(.)", lines[0])
    first = 1 if stated else 0
    header = lines[first] if len(lines) > first else ""
    tables = []
    for separator in [stated[1]] if stated else ["\t", ";", ",", "|"]:
        columns = csv_fields(header, separator) or [header]
        plain = [column.strip().lower() for column in columns]
        name = next((c for c in NAMES if c in plain), None)
        caption = next((c for c in CAPTIONS if c in plain), None)
        tables.append(CsvTable(separator, columns, name, caption, lines[first + 1 :], first + 2))
    return max(tables, key=lambda t: ((t.name is not None) + (t.caption is not None), len(t.columns)))


def csv_fields(line: str, separator: str) -> list[str] | None:
    """The fields of one line; None if a quotation mark does not close, or text follows where one closed."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None
