"""Caption files in the layouts that exist in the wild, read into one list of records.

Each reader takes the files of one data set and a ``Faults`` collector and returns ``Record`` objects: image name,
official part, captions, label. Nothing here opens an image. The layouts are drawn in data/README.md.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsnb.data.detect import CAPTIONS, NAMES, SPLIT_WORDS, Candidate, csv_fields, csv_table, read_text, split_of_file
from rsnb.data.faults import Faults
from rsnb.data.index import clean_name, name_key
from rsnb.errors import RsnbError

PARTS = ("train", "val", "test")
LABELS = ("label", "class", "label_name")


@dataclass(frozen=True)
class Record:
    """One image as its caption file lists it; `cell` is its place inside a parquet or tar file, or None.

    digest: of the image's bytes, where such a file names several images alike; else "".
    """

    name: str
    split: str
    captions: tuple[str, ...]
    label: str | None = None
    cell: tuple[Path, int, int] | None = None
    digest: str = ""


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
        name = clean_name(name, faults.root)
    except RsnbError:
        faults.add("unsafe", f"{where} ({name[:80]!r})")
        return
    if not all(_is_text(text) for text in (name, *captions)):
        faults.add("entry", f"{where} ({name!a}: a caption or name that is not text)")
        return
    if any(_LIST.fullmatch(text.strip()) for text in captions):
        faults.add("entry", f"{where} (a list written as text; write each caption by itself)")
        return
    label = str(label).strip() or None if isinstance(label, str) else None
    rows.append(Record(name, part, tuple(captions), label, cell))


_LIST = re.compile(
    r"\[\s*(['\"{]).*['\"}]\s*\]|\{\s*['\"]\w+['\"]\s*:.*\}", re.DOTALL
)  # ['one', 'two'], {"raw": "one"}


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
            faults.add(
                "count",
                f"{files[0].name} has {len(names):,} names, {files[1].name} {len(captions):,} captions; "
                "expected as many, or a multiple",
            )
            continue
        for n, name in enumerate(names):
            own = captions[n * each : (n + 1) * each]
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
            captions = _many(captions)
            _add(rows, faults, where, entry["image"], part, captions, entry.get("label_name"))
    return rows


def read_csv(source: Candidate, faults: Faults) -> list[Record]:
    """Pairs, a row per caption; the part from a `split` column, else the file's or its folder's name, else `train`.

    A row is a line: a quotation mark that does not close on its line is a fault, for it would swallow the next rows.
    """
    rows: list[Record] = []
    for file in source.files:
        table = csv_table(file)
        columns = [c.strip().lower() for c in table.columns]
        name, caption = columns.index(table.name), columns.index(table.caption)
        label = next((columns.index(c) for c in LABELS if c in columns), None)
        split = columns.index("split") if "split" in columns else None
        for n, line in enumerate(table.lines, start=table.first):
            if not line.strip():
                continue
            where = f"{file.name} line {n}"
            fields = csv_fields(line, table.separator)
            if fields is None:
                faults.add("entry", f"{where} (a quotation mark opens here and does not close on this line)")
            elif len(fields) != len(columns):
                faults.add("entry", f"{where} ({len(fields)} fields, not {len(columns)})")
            else:
                part = fields[split] if split is not None else part_of(file)
                image = _beside(file, fields[name], faults)
                _add(rows, faults, where, image, part, [fields[caption]], None if label is None else fields[label])
    return rows


def part_of(file: Path) -> str:
    """The part that a file's name, or else its folder's, speaks of; `train` where neither does."""
    return split_of_file(file) or split_of_file(file.parent) or "train"


def read_parquet(source: Candidate, faults: Faults) -> list[Record]:
    """Hugging Face parquet: `filename`, `captions` (list or text), `image` {bytes, path}, `label_name`."""
    from rsnb.data.parquet import cells

    rows: list[Record] = []
    for file in source.files:
        for n, (name, split, captions, label, cell) in enumerate(cells(file)):
            where = f"row {n} of {file.name}"
            _add(rows, faults, where, name or where, split or part_of(file), captions, label, cell)
    return _told_apart(rows)


def read_tar(source: Candidate, faults: Faults) -> list[Record]:
    """WebDataset: members `key.jpg` beside `key.txt` (a caption per line) or `key.json` (as an entry of JSON lines)."""
    from rsnb.data.tars import captions_of, samples

    rows: list[Record] = []
    for file in source.files:
        for key, sample in samples(file):
            where = f"{key} in {file.name}"
            try:
                captions, entry = captions_of(sample)
            except RsnbError as error:
                sample.wrong = str(error)
            if sample.wrong:
                faults.add("entry", f"{where} ({sample.wrong})")
                continue
            image = sample.images[0]
            captions = captions or _many(_first(entry, CAPTIONS))
            cell = (file, image.offset_data, image.size)
            split, label = entry.get("split", part_of(file)), _first(entry, LABELS)
            _add(rows, faults, where, image.name, split, captions, label, cell)
    return _told_apart(rows)


def _told_apart(rows: list[Record]) -> list[Record]:
    """Rows of one name are one image only if their bytes say so."""
    from rsnb.data.cells import image_bytes

    times = Counter(row.name for row in rows)
    for i, row in enumerate(rows):
        if row.cell and times[row.name] > 1:
            rows[i] = replace(row, digest=hashlib.sha256(image_bytes(row.cell)).hexdigest()[:16])
    return rows


def read_jsonl(source: Candidate, faults: Faults) -> list[Record]:
    """JSON lines with the keys of a table of pairs; captions as text or a list of texts."""
    rows: list[Record] = []
    for file, entries in zip(source.files, source.payloads):
        for n, entry in enumerate(entries, start=1):
            where = f"{file.name} entry {n}"
            if not isinstance(entry, dict):
                faults.add("entry", f"{where} (no object)")
                continue
            name, captions, label = (_first(entry, keys) for keys in (NAMES, CAPTIONS, LABELS))
            captions = _many(captions)
            _add(rows, faults, where, _beside(file, name, faults), entry.get("split", part_of(file)), captions, label)
    return rows


def _many(captions: Any) -> list[Any]:
    """Captions as a list of texts: text, a list of texts, or of objects as Karpathy's; [] for none."""
    if captions is None:
        return []
    return [_sentence(one) for one in captions] if isinstance(captions, list) else [captions]


def _first(entry: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)


def _beside(file: Path, name: Any, faults: Faults) -> Any:
    """A name as seen from the images' folder: those in a `metadata` file (imagefolder) are seen from its own folder."""
    own = file.parent.resolve()
    if file.stem != "metadata" or not isinstance(name, str) or not faults.root or own == faults.root.resolve():
        return name
    inside = own.is_relative_to(faults.root.resolve())
    return (
        f"{own.relative_to(faults.root.resolve()).as_posix()}/{name}" if inside and not name.startswith("/") else name
    )


def read_coco(source: Candidate, faults: Faults) -> list[Record]:
    """COCO's captions: `images[].{id, file_name}`, `annotations[].{image_id, caption}`; the part from `images[].split`,
    else from the file's name."""
    rows: list[Record] = []
    for file, payload in zip(source.files, source.payloads):
        captions: dict[Any, list[Any]] = {}
        for n, entry in enumerate(payload["annotations"]):
            if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), (int, str)):
                faults.add("entry", f"{file.name} annotations[{n}] (no image_id)")
                continue
            captions.setdefault(entry["image_id"], []).append(entry.get("caption"))
        for n, entry in enumerate(payload["images"]):
            where, found = f"{file.name} images[{n}]", None
            if isinstance(entry, dict) and isinstance(entry.get("id"), (int, str)):
                found = captions.pop(entry["id"], [])
            if found is None:
                faults.add("entry", f"{where} (no id, or one that an image before it has)")
                continue
            _add(rows, faults, where, entry.get("file_name"), entry.get("split", part_of(file)), found)
        if captions:
            faults.add(
                "entry", f"{file.name} ({len(captions):,} image_id without an image, such as {[*captions][0]!r})"
            )
    return rows


def read_nwpu(source: Candidate, faults: Faults) -> list[Record]:
    """NWPU-Captions: class -> list of {filename, split, raw, raw_1, ...}."""
    rows: list[Record] = []
    for file, payload in zip(source.files, source.payloads):
        for label, entries in payload.items():
            for n, entry in enumerate(entries):
                where = f"{file.name} {label}[{n}]"
                if not isinstance(entry, dict):
                    faults.add("entry", f"{where} (no object)")
                    continue
                captions = [entry[key] for key in entry if re.fullmatch(r"raw(_\d+)?", key)]
                _add(rows, faults, where, entry.get("filename"), entry.get("split"), captions, label)
    return rows


READERS = {
    "coco": read_coco,
    "nwpu": read_nwpu,
    "jsonl": read_jsonl,
    "precomp": read_precomp,
    "karpathy": read_karpathy,
    "harma": read_harma,
    "parquet": read_parquet,
    "tar": read_tar,
    "csv": read_csv,
}


def read_records(source: Candidate, faults: Faults) -> list[Record]:
    """All records of a data set, one per image and part: captions of a repeated name are joined, in order.

    Blank captions and images without any caption left are dropped (counted by `faults`).
    """
    merged: dict[tuple[str, str, str], Record] = {}
    for note in source.broken:
        faults.add("entry", note)
    for row in READERS[source.layout](source, faults):
        first = merged.get((row.name, row.digest, row.split))
        together = row.captions if first is None else first.captions + row.captions
        merged[row.name, row.digest, row.split] = replace(first or row, captions=together)
    rows = []
    for row in merged.values():
        kept = tuple(caption.strip() for caption in row.captions if caption.strip())
        for _ in range(len(row.captions) - len(kept)):
            faults.drop("blank", row.name)
        if not kept:
            faults.drop("captionless", row.name)
            continue
        rows.append(replace(row, captions=kept))
    return rows


def record_key(name: str, layout: str) -> str:
    """What orders the images for the draw of the val part; HarMA's part prefix does not count."""
    key = name_key(name)
    head, _, tail = key.partition("/")
    return tail if layout == "harma" and tail and head in SPLIT_WORDS else key
