"""Caption files in the layouts that exist in the wild, read into one list of records.

Each reader takes the files of one data set and a `Faults` collector and returns `Record`s: image name,
official part, captions, label. Nothing here opens an image. The layouts are drawn in data/README.md.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsnb.data.detect import SPLIT_WORDS, Candidate, csv_columns, read_text, split_of_file
from rsnb.data.faults import Faults
from rsnb.data.images import clean_name, name_key
from rsnb.errors import RsnbError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Record:
    """One image as its caption file lists it; `cell` is (parquet file, row group, row) or None."""

    name: str
    split: str
    captions: tuple[str, ...]
    label: str | None = None
    cell: tuple[Path, int, int] | None = None


def _lines(file: Path) -> list[str]:
    lines = read_text(file).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _add(
    rows: list[Record],
    faults: Faults,
    where: str,
    name: Any,
    split: Any,
    captions: list[Any],
    label: Any = None,
    cell: tuple[Path, int, int] | None = None,
) -> None:
    """Check one entry and append it; what is wrong with it goes to `faults`."""
    part = SPLIT_WORDS.get(str(split).strip().lower())
    if part is None:
        faults.add("split", f"{where} ({name}: split {str(split)[:40]!r})")
        return
    if not isinstance(name, str) or not name.strip():
        faults.add("entry", f"{where} (no image name)")
        return
    try:
        name = clean_name(name)
    except RsnbError:
        faults.add("unsafe", f"{where} ({name[:80]!r})")
        return
    if not all(_is_text(text) for text in (name, *captions)):
        faults.add("entry", f"{where} ({name!a}: a caption or name that is not text)")
        return
    label = str(label).strip() or None if isinstance(label, str) else None
    rows.append(Record(name, part, tuple(captions), label, cell))


def _is_text(text: Any) -> bool:
    """Text that can be written as UTF-8: JSON can also hold numbers, and halves of a character."""
    return isinstance(text, str) and not any("\ud800" <= c <= "\udfff" for c in ([] if text.isascii() else text))


def read_precomp(source: Candidate, faults: Faults) -> list[Record]:
    """`<part>_filename.txt` beside `<part>_caps.txt`: as many lines in both, or k captions per name."""
    folder = source.files[0].parent
    rows: list[Record] = []
    for part in PARTS:
        files = folder / f"{part}_filename.txt", folder / f"{part}_caps.txt"
        there = [f in source.files for f in files]
        if not any(there):
            continue
        if not all(there):
            gone, present = files[there.index(False)].name, files[there.index(True)].name
            faults.add("entry", f"{gone} is not there beside {present}")
            continue
        names, captions = _lines(files[0]), _lines(files[1])
        while names and not names[-1].strip():
            names.pop()
        each, rest = divmod(len(captions), max(len(names), 1))
        while rest and captions and not captions[-1].strip():  # blank lines at the very end
            captions.pop()
            each, rest = divmod(len(captions), max(len(names), 1))
        if rest or (captions and not names) or not each:
            repeated = len(set(names)) < len(names)
            each = 1 if repeated else max(1, round(len(captions) / max(len(names), 1)))
            faults.add(
                "count",
                f"{files[0].name} has {len(names):,} names, {files[1].name} {len(captions):,} captions; "
                f"expected as many, or a multiple (with skip_bad the complete groups of {each} from the top "
                f"are taken)",
            )
        for n, name in enumerate(names):
            own = captions[n * each : (n + 1) * each]
            if len(own) == each:
                _add(rows, faults, f"{files[0].name} line {n + 1}", name, part, own)
    return rows


def read_karpathy(source: Candidate, faults: Faults) -> list[Record]:
    """One JSON: `images[].{filename, split, sentences[].raw}`; optional `filepath`, `class` or `label`."""
    rows: list[Record] = []
    for file, payload in zip(source.files, source.payloads):
        for n, entry in enumerate(payload["images"]):
            where = f"{file.name} images[{n}]"
            sentences = entry.get("sentences") if isinstance(entry, dict) else None
            if not isinstance(sentences, list):
                faults.add("entry", f"{where} (no list of sentences)")
                continue
            name = entry.get("filename")
            if isinstance(name, str) and isinstance(entry.get("filepath"), str) and entry["filepath"]:
                name = f"{entry['filepath']}/{name}"
            label = entry.get("class") or entry.get("label")
            _add(rows, faults, where, name, entry.get("split"), [_sentence(s) for s in sentences], label)
    return rows


def _sentence(sentence: Any) -> Any:
    if not isinstance(sentence, dict):
        return sentence
    raw, tokens = sentence.get("raw"), sentence.get("tokens")
    return " ".join(map(str, tokens)) if raw is None and isinstance(tokens, list) else raw


def read_harma(source: Candidate, faults: Faults) -> list[Record]:
    """JSON lists, a file per part: {image, caption: text or list, label_name}; names carry a part prefix."""
    rows: list[Record] = []
    for file, payload in zip(source.files, source.payloads):
        for n, entry in enumerate(payload):
            where = f"{file.name} [{n}]"
            if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
                faults.add("entry", f"{where} (no image name)")
                continue
            folder, _, _ = entry["image"].partition("/")
            part = split_of_file(file) or folder
            captions = entry.get("caption")
            captions = captions if isinstance(captions, list) else [captions]
            _add(rows, faults, where, entry["image"], part, captions, entry.get("label_name"))
    return rows


def read_csv(source: Candidate, faults: Faults) -> list[Record]:
    """Pairs, a row per caption; the part from a `split` column, else the file's name, else `train`."""
    rows: list[Record] = []
    for file in source.files:
        separator, name, caption = csv_columns(file)
        table = csv.reader(io.StringIO(read_text(file), newline=""), delimiter=separator)
        try:
            lines = list(table)
        except csv.Error as error:
            raise RsnbError(f"{file} line {table.line_num} is not valid CSV ({error}); repair it") from None
        columns = [c.strip().lower() for c in lines[0]]
        label = next((columns.index(c) for c in ("label", "class", "label_name") if c in columns), None)
        split = columns.index("split") if "split" in columns else None
        for n, line in enumerate(lines[1:], start=2):
            if not line:
                continue
            if len(line) != len(columns):
                faults.add("entry", f"{file.name} row {n} ({len(line)} fields, not {len(columns)})")
                continue
            part = line[split] if split is not None else split_of_file(file) or "train"
            _add(
                rows,
                faults,
                f"{file.name} row {n}",
                line[columns.index(name)],
                part,
                [line[columns.index(caption)]],
                None if label is None else line[label],
            )
    return rows


def read_parquet(source: Candidate, faults: Faults) -> list[Record]:
    """Hugging Face parquet: `filename`, `captions` (list or text), `image` {bytes, path}, `label_name`."""
    from rsnb.data.parquet import cells

    rows: list[Record] = []
    for file in source.files:
        part = split_of_file(file) or split_of_file(file.parent) or "train"
        for name, captions, label, cell in cells(file):
            where = f"{file.name} row {cell[2]} of group {cell[1]}"
            _add(rows, faults, where, name, part, captions, label, cell)
    return rows


READERS = {
    "precomp": read_precomp,
    "karpathy": read_karpathy,
    "harma": read_harma,
    "parquet": read_parquet,
    "csv": read_csv,
}


def read_records(source: Candidate, faults: Faults) -> list[Record]:
    """All records of a data set, one per image and part: captions of a repeated name are joined, in order.

    Blank captions and images without any caption left are dropped (counted by `faults`); an image listed in
    two parts is a fault, and with skip_bad it stays in test (else in val) only.
    """
    merged: dict[tuple[str, str], Record] = {}
    home: dict[str, str] = {}
    for note in source.broken:
        faults.add("entry", note)
    for row in READERS[source.layout](source, faults):
        first = merged.get((row.name, row.split))
        together = row.captions if first is None else first.captions + row.captions
        merged[row.name, row.split] = replace(first or row, captions=together)
        key = record_key(row.name, source.layout)
        home[key] = max(row.split, home.get(key, "train"), key=PARTS.index)
    rows = []
    for row in merged.values():
        final = home[record_key(row.name, source.layout)]
        if row.split != final:
            faults.add("crossing", f"{row.name} ({row.split} and {final})")
            continue
        kept = tuple(caption.strip() for caption in row.captions if caption.strip())
        for _ in range(len(row.captions) - len(kept)):
            faults.drop("blank", row.name)
        if not kept:
            faults.drop("captionless", row.name)
            continue
        rows.append(replace(row, captions=kept))
    return rows


def record_key(name: str, layout: str) -> str:
    """What makes two listed names one image; HarMA's part prefix does not count."""
    key = name_key(name)
    head, _, tail = key.partition("/")
    return tail if layout == "harma" and tail and head in SPLIT_WORDS else key
