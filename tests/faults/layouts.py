"""Caption files in the layouts that people have: read as written, or refused with the columns or keys seen."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import make
from .box import Box, Case, Seen, fine, refused
from .captions import REPORT, read
from .make import Row

KNOWN, EXCEL = "layouts that people have are read as written", "tables as Excel writes them are read"
SEEN, PARQUET = "a refusal says which columns or keys were seen", "all parts and shards of parquet are one set"
LONG = "captions beyond the text tower's length are counted"


def complete(write: Callable[[Box, list[Row]], Any], pictures: str | None = "images") -> Callable[[Box], None]:
    """An ordinary set, written by a function."""

    def build(box: Box) -> None:
        rows = make.plain_rows(8, 3)
        if pictures is not None:
            make.pictures(box.data / pictures, [r.name for r in rows])
        write(box, rows)
        box.notes["rows"] = rows

    return build


def same_content(box: Box, seen: Seen) -> None:
    """Each picture with its captions and its part, whatever it is called."""
    assert seen.code == 0, f"it ended with {seen.code}"
    expected = sorted([r.part, list(r.captions), list(make.colour(n))] for n, r in enumerate(box.notes["rows"]))
    assert sorted(seen.value.values()) == expected, "other captions, pictures or parts than those written"


# --- JSON and tables --------------------------------------------------------------------------------------------
def coco(box: Box, rows: list[Row]) -> None:
    for part, year in (("train", "train2017"), ("test", "test2017")):
        own = [r for r in rows if r.part == part]
        images = [{"id": n, "file_name": r.name} for n, r in enumerate(own)]
        texts = [{"id": n, "image_id": n, "caption": r.captions[0]} for n, r in enumerate(own)]
        found = {"images": images, "annotations": texts}
        (box.data / f"captions_{year}.json").write_text(json.dumps(found), encoding="utf-8")


def folder_of(name: str, box: Box, rows: list[Row]) -> None:
    """imagefolder of the hub: a folder a part with its own metadata."""
    for n, row in enumerate(rows):
        make.pictures(box.data / row.part, [row.name], first=n)
    for part in ("train", "test"):
        own = [{"file_name": r.name, "text": r.captions[0]} for r in rows if r.part == part]
        text = io.StringIO()
        if name.endswith("csv"):
            writer = csv.DictWriter(text, ["file_name", "text"])
            writer.writeheader()
            writer.writerows(own)
        else:
            text.write("".join(json.dumps(entry) + "\n" for entry in own))
        (box.data / part / name).write_text(text.getvalue(), encoding="utf-8")


def nwpu(box: Box, rows: list[Row]) -> None:
    entries = [{"filename": r.name, "split": r.part, "raw": r.captions[0]} for r in rows]
    (box.data / "dataset_nwpu.json").write_text(json.dumps({"airport": entries}), encoding="utf-8")


def skyscript(box: Box, rows: list[Row]) -> None:
    for part in ("train", "test"):
        lines = [f"images/{r.name},{json.dumps(r.captions[0])},x" for r in rows if r.part == part]
        text = "\n".join(["filepath,title,title_multi_objects", *lines]) + "\n"
        (box.data / f"SkyScript_{part}.csv").write_text(text, encoding="utf-8")


def webdataset(box: Box, rows: list[Row]) -> None:
    for part in ("train", "test"):
        with tarfile.open(box.data / f"{part}-00000.tar", "w") as tar:
            for n, row in enumerate(rows):
                if row.part == part:
                    make.pictures(box.work, [row.name], first=n)
                    stem = Path(row.name).stem
                    (box.work / f"{stem}.txt").write_text(row.captions[0], encoding="utf-8")
                    tar.add(box.work / row.name, row.name)
                    tar.add(box.work / f"{stem}.txt", f"{stem}.txt")


def table(box: Box, rows: list[Row], **options: Any) -> None:
    make.table(box.data, rows, **options)


SHEETS: dict[str, dict[str, Any]] = {
    "UTF-16 with its mark": {"encoding": "utf-16"},
    "UTF-16, semicolons": {"encoding": "utf-16", "separator": ";"},
    "UTF-16, tabs": {"encoding": "utf-16", "separator": "\t"},
    "UTF-8 with a mark": {"encoding": "utf-8-sig"},
    "semicolons": {"separator": ";"},
    "tabs": {"separator": "\t"},
    "sep=;": {"separator": ";", "first": "sep=;\r\n"},
    "sep=,": {"first": "sep=,\r\n"},
    "sep=; and a mark": {"separator": ";", "first": "sep=;\r\n", "encoding": "utf-8-sig"},
    "a header in capitals": {"head": ("Filename", "Title", "Split")},
    "a header with blanks": {"head": (" filename ", " title", "split ")},
    "other names": {"head": ("filepath", "caption", "split")},
}
STRANGE: dict[str, tuple[str, str, str]] = {
    "a CSV of other columns": ("own.csv", "picture,words\na.png,a boat at sea\n", "picture"),
    "a CSV of one column": ("own.csv", "title\na boat at sea\n", "title"),
    "a header with a comma in quotes": ("own.csv", '"file, name","title, long"\na.png,x\n', "file, name|title, long"),
    "JSON of other keys": ("own.json", '{"pictures": [{"path": "a.png", "words": "x"}]}', "pictures|path"),
    "a JSON list of other keys": ("own_train.json", '[{"picture": "a.png", "words": "x y z"}]', "picture|words"),
    "JSON lines of other keys": ("metadata.jsonl", '{"picture": "a.png", "words": "x"}\n', "picture|words"),
}


# --- parquet ----------------------------------------------------------------------------------------------------
def parquet(where: Callable[[str, int], str], as_type: Callable[[tuple[str, ...]], Any] = list, **names: str) -> Any:
    """Two shards a part, at the places that ``where(part, n)`` gives."""

    def write(box: Box, rows: list[Row]) -> None:
        import pyarrow
        from pyarrow import parquet as files

        make.pictures(box.work, [r.name for r in rows])
        for part in ("train", "test"):
            own = [r for r in rows if r.part == part]
            for n, shard in enumerate((own[::2], own[1::2])):
                path = box.data / where(part, n)
                path.parent.mkdir(parents=True, exist_ok=True)
                columns = {
                    names.get("filename", "filename"): [r.name for r in shard],
                    names.get("captions", "captions"): [as_type(r.captions) for r in shard],
                    "image": [{"bytes": (box.work / r.name).read_bytes(), "path": r.name} for r in shard],
                }
                files.write_table(pyarrow.table(columns), path)

    return complete(write, None)


def escaping(box: Box, rows: list[Row]) -> None:
    """Rows whose image is a path, which lies elsewhere."""
    import pyarrow
    from pyarrow import parquet as files

    make.pictures(box.folder, ["secret.png"], first=200)
    for part in ("train", "test"):
        own = [r for r in rows if r.part == part]
        paths = [{"bytes": None, "path": str(box.folder / "secret.png")} for _ in own]
        columns = {"filename": [r.name for r in own], "captions": [list(r.captions) for r in own], "image": paths}
        files.write_table(pyarrow.table(columns), box.data / f"{part}.parquet")


PLACES = {
    "folders of the parts": lambda part, n: f"{part}/{n:04d}.parquet",
    "the hub's names": lambda part, n: f"data/{part}-{n:05d}-of-00002.parquet",
    "other names": lambda part, n: f"{part}_part{n}.parquet",
}
TYPES: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "lists": list,
    "texts": lambda captions: captions[0],
    "lists of raw": lambda captions: [{"raw": text} for text in captions],
}
NO_TEXT: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "whole numbers": lambda captions: 5,
    "lists of numbers": lambda captions: [1.5],
    "other fields": lambda captions: {"author": "someone", "year": 2020},
    "bytes": lambda captions: b"\xff\xfe",
}


# --- captions ---------------------------------------------------------------------------------------------------
def alike_at_first(box: Box, rows: list[Row]) -> None:
    """Captions that differ behind the length of the text tower."""
    start = " ".join(f"word{n}" for n in range(90))
    make.karpathy(box.data, [Row(r.name, r.part, (f"{start} {n}",)) for n, r in enumerate(rows)])


LAYOUTS: dict[str, Callable[[Box], None]] = {
    "COCO": complete(coco),
    "imagefolder, metadata.csv": complete(partial(folder_of, "metadata.csv"), None),
    "imagefolder, metadata.jsonl": complete(partial(folder_of, "metadata.jsonl"), None),
    "NWPU-Captions": complete(nwpu),
    "SkyScript": complete(skyscript),
    "WebDataset": complete(webdataset, None),
}
CASES = [
    *(Case(KNOWN, name, build, read, same_content) for name, build in LAYOUTS.items()),
    *(Case(EXCEL, name, complete(partial(table, **form)), read, same_content) for name, form in SHEETS.items()),
    *(
        Case(SEEN, name, lambda box, f=file, t=text: (box.data / f).write_text(t), REPORT, refused(word))
        for name, (file, text, word) in STRANGE.items()
    ),
    *(Case(PARQUET, name, parquet(where), read, same_content) for name, where in PLACES.items()),
    *(
        Case(PARQUET, f"captions as {name}", parquet(PLACES["other names"], kind), read, same_content)
        for name, kind in TYPES.items()
    ),
    *(
        Case(PARQUET, f"captions as {name}", parquet(PLACES["other names"], kind), REPORT, refused("captions"))
        for name, kind in NO_TEXT.items()
    ),
    Case(PARQUET, "no captions", parquet(PLACES["other names"], captions="words"), REPORT, refused("words|captions")),
    Case(PARQUET, "an image that is a path elsewhere", complete(escaping, None), REPORT, refused()),
    Case(LONG, "90 words alike", complete(alike_at_first), REPORT, fine(r"token|longer|cut off|text tower")),
]
