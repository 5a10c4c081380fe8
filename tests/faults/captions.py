"""Caption files: which image a listed name gets, what a row is, and what a folder without a layout is told."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import make
from .box import Box, Case, Seen, fine, gives, orderly, refused
from .make import LAYOUTS, Row, as_listed, pictures, plain_rows, read_back, rows_of, small_set

REPORT = ("data", "{data}")
NOTHING = r"(defects|faults):\s*none found"  # what a report says where there is nothing to mend
GOOD_FILES_STAY = ("keep one copy", "identical image files")


def read(box: Box) -> Seen:
    """What `load_dataset` reads from the folder."""
    return box.call(read_back, box.data)


def skipping(box: Box) -> Seen:
    return box.call(partial(read_back, box.data, skip_bad=True))


def written(
    make_rows: Callable[[], list[Row]], layout: str = "karpathy", where: str = "images"
) -> Callable[[Box], None]:
    """Build a complete set of these rows."""

    def build(box: Box) -> None:
        rows = make_rows()
        LAYOUTS[layout](box.data, rows)
        pictures(box.data / where, [r.name for r in rows])
        box.notes["rows"] = rows

    return build


def listed(box: Box) -> dict[str, list]:
    return as_listed(box.notes["rows"])


def listed_in_parts(box: Box) -> dict[str, list]:
    """As harma has it: the part stands before the name."""
    return {f"{value[0]}/{name}": value for name, value in listed(box).items()}


# --- one file serves one listed name ----------------------------------------------------------------------------
ONE = "a listed image is given its own file or none"


def folder_gone(layout: str, twice: bool = False) -> Callable[[Box], None]:
    """The test images lie in south/, which was never unpacked; the training images have the same names in north/."""

    def build(box: Box) -> None:
        north, south = ([f"{folder}/tile_{n}.png" for n in range(5)] for folder in ("north", "south"))
        LAYOUTS[layout](box.data, rows_of({"train": north, "test": south}))
        pictures(box.data / "images", north)
        if twice:
            pictures(box.data / "more", [f"west/tile_{n}.png" for n in range(5)], first=50)

    return build


def one_of_two(first: str, second: str, test: bool = True) -> Callable[[Box], None]:
    """Two names that differ a little are listed; the file of the first alone is there."""

    def build(box: Box) -> None:
        rows = plain_rows(6, 2)
        rows += rows_of(
            {"train": [first], "test" if test else "train": [second]} if test else {"train": [first, second]}
        )
        make.karpathy(box.data, rows)
        pictures(box.data / "images", [r.name for r in rows[:-1]])

    return build


def nested(box: Box) -> None:
    """The set lies some folders further down than it is listed."""
    deep = "/".join(f"{box.rng.choice('abcdef')}{n}" for n in range(box.rng.randrange(1, 5)))
    written(lambda: plain_rows(folder="south/") + rows_of({"test": ["north/tile_00.png"]}), where=deep)(box)


def flat(layout: str) -> Callable[[Box], None]:
    """Names with folders are listed, and the images lie side by side."""

    def build(box: Box) -> None:
        rows = plain_rows(folder="some/where/")
        LAYOUTS[layout](box.data, rows)
        pictures(box.data, [Path(r.name).name for r in rows])
        box.notes["rows"] = rows

    return build


def others_images_stay(box: Box, seen: Seen) -> None:
    """With skip_bad nothing of the other folder stands in test: there is then no test image, or it is refused."""
    fits = seen.code == 2 or not any(value[0] == "test" for value in seen.value.values())
    assert fits, f"test has {[name for name, value in seen.value.items() if value[0] == 'test']}"


MISSING = refused("missing", never=(*GOOD_FILES_STAY, r"\bmR\b"))
NFC, NFD = (unicodedata.normalize(form, "fluß_é_1.png") for form in ("NFC", "NFD"))
one = [
    *(Case(ONE, f"{x}: the test folder was never unpacked", folder_gone(x), REPORT, MISSING) for x in LAYOUTS),
    *(Case(ONE, f"{x}: two other folders hold the names", folder_gone(x, True), REPORT, MISSING) for x in LAYOUTS),
    *(Case(ONE, f"{x}: never unpacked, skip_bad", folder_gone(x), skipping, others_images_stay) for x in LAYOUTS),
    Case(ONE, "a.jpg and a.png are listed, a.jpg is there", one_of_two("a.jpg", "a.png"), REPORT, MISSING),
    Case(ONE, "a.tif and a.png are listed in train", one_of_two("a.tif", "a.png", False), REPORT, MISSING),
    Case(ONE, "Site_A.png and site_a.png, one is there", one_of_two("Site_A.png", "site_a.png"), REPORT, MISSING),
    Case(ONE, "two forms of one accent, one is there", one_of_two(NFC, NFD), REPORT, refused(never=GOOD_FILES_STAY)),
    *(Case(ONE, f"some folders further down, {n}", nested, read, gives(listed)) for n in range(4)),
    *(Case(ONE, f"{x}: listed with folders, lying flat", flat(x), read, gives(listed)) for x in ("karpathy", "csv")),
    *(
        Case(ONE, f"{x}: an ordinary set", written(plain_rows, x), read, gives(listed))
        for x in ("karpathy", "precomp", "csv")
    ),
    Case(ONE, "harma: an ordinary set", written(plain_rows, "harma"), read, gives(listed_in_parts)),
]

# --- two files are two images -----------------------------------------------------------------------------------
TWO = "two different files are two images"


def numbered_anew() -> list[Row]:
    """Each part counts from 0."""
    return rows_of({"train": [f"train/{n}.png" for n in range(6)], "test": [f"test/{n}.png" for n in range(3)]})


def by_case() -> list[Row]:
    return rows_of({"train": ["Site_A.png", *(f"t{n}.png" for n in range(5))], "test": ["site_a.png", "u.png"]})


def bare_in_harma(box: Box) -> None:
    """harma writes the part before a bare name."""
    rows = rows_of({part: [f"{n}.png" for n in range(4)] for part in ("train", "test")})
    make.harma(box.data, rows)
    pictures(box.data / "images", [f"{r.part}/{r.name}" for r in rows])
    box.notes["harma"] = {
        f"{r.part}/{r.name}": [r.part, list(r.captions), list(make.colour(n))] for n, r in enumerate(rows)
    }


CLEAN = fine(never=("listed in two parts",))
two = [
    *(
        Case(TWO, f"{x}: each part counts from 0", written(numbered_anew, x), read, gives(listed))
        for x in ("karpathy", "precomp", "csv")
    ),
    *(Case(TWO, f"{x}: the same, report", written(numbered_anew, x), REPORT, CLEAN) for x in ("karpathy", "csv")),
    *(
        Case(TWO, f"{x}: the same, skip_bad", written(numbered_anew, x), skipping, gives(listed))
        for x in ("karpathy", "csv")
    ),
    Case(TWO, "harma: each part counts from 0", bare_in_harma, read, gives(lambda box: box.notes["harma"])),
    Case(TWO, "Site_A.png and site_a.png", written(by_case), read, gives(listed)),
    Case(TWO, "Site_A.png and site_a.png, skip_bad", written(by_case), skipping, gives(listed)),
]

# --- quotation marks --------------------------------------------------------------------------------------------
MARK = "rows behind an open quotation mark are not swallowed"


def open_mark(
    separator: str, at: float, closes: float | None = None, count: int = 300, split: bool = False
) -> Callable[[Box], None]:
    """One caption begins with a quotation mark that never closes, or much later; the caption is the last field of a
    row, or the part stands behind it."""

    def build(box: Box) -> None:
        rows = plain_rows(count, 0 if not split else 12)
        marked = min(int(at * len(rows)) + box.rng.randrange(5), len(rows) - 1)
        lines = [separator.join(("filename", "title", "split")[: 2 + split])]
        for n, row in enumerate(rows):
            text = row.captions[0].replace(",", "").replace(";", "")
            ends = closes is not None and n == int(closes * len(rows))
            text = f'"{text}' if n == marked else f'{text}"' if ends else text
            lines.append(separator.join((row.name, text, row.part)[: 2 + split]))
        (box.data / ("own.csv" if split else "own_train.csv")).write_text("\n".join(lines) + "\n", encoding="utf-8")
        pictures(box.data / "images", [r.name for r in rows])
        if not split:
            rest = separator.join(("filename", "title")) + f"\nlast.png{separator}one more image is here\n"
            (box.data / "own_test.csv").write_text(rest, encoding="utf-8")
            pictures(box.data / "images", ["last.png"], first=900)
        box.notes["line"] = marked + 2

    return build


def names_the_line(box: Box, seen: Seen) -> None:
    refused(rf"\b{box.notes['line']:,}\b|\b{box.notes['line']}\b", never=(NOTHING,))(box, seen)


def quoted(separator: str) -> Callable[[Box], None]:
    """Marks as they should be: around the separator, and doubled inside."""

    def build(box: Box) -> None:
        rows = plain_rows(6, 2)
        texts = [f'a "{box.rng.randrange(99)}"{separator} wide road', "plain words are here", f"x{separator}y and z"]
        rows = [Row(r.name, r.part, (f"{texts[n % 3]} {n}",)) for n, r in enumerate(rows)]
        make.table(box.data, rows, separator)
        pictures(box.data / "images", [r.name for r in rows])
        box.notes["rows"] = rows

    return build


NAMED = {"\t": "tab", ",": "comma", ";": "semicolon"}
PLACES = {"the first rows": 0.0, "the middle": 0.5, "the last rows": 0.99}
mark = [
    *(
        Case(MARK, f"{NAMED[s]}: opened in {where}", open_mark(s, at), REPORT, names_the_line)
        for s in NAMED
        for where, at in PLACES.items()
    ),
    *(
        Case(MARK, f"{NAMED[s]}: opened, a field follows", open_mark(s, 0.5, split=True), REPORT, names_the_line)
        for s in NAMED
    ),
    *(Case(MARK, f"{NAMED[s]}: closed 100 rows later", open_mark(s, 0.2, 0.55), REPORT, names_the_line) for s in NAMED),
    Case(
        MARK,
        "opened in one row of 4,000",
        open_mark("\t", 0.3, count=4000),
        ("data", "{data}", "--no-images"),
        names_the_line,
    ),
    *(Case(MARK, f"{NAMED[s]}: right marks", quoted(s), read, gives(listed)) for s in NAMED),
]

# --- nothing can be trained -------------------------------------------------------------------------------------
NONE = "a set that cannot be trained is refused before the first step"
TRAIN = ("train", "--data", "{data}", "--epochs", "1", "--out", "{out}")


def no_pictures(layout: str) -> Callable[[Box], None]:
    return lambda box: LAYOUTS[layout](box.data, plain_rows())


def only_train(layout: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        rows = plain_rows(9, 0)
        LAYOUTS[layout](box.data, rows)
        pictures(box.data / "images", [r.name for r in rows])

    return build


def file_of(name: str, text: str) -> Callable[[Box], None]:
    return lambda box: (box.data / name).write_text(text, encoding="utf-8")


EMPTY = {
    **{f"{x}: no image file at all": no_pictures(x) for x in LAYOUTS},
    "images: []": file_of("dataset_own.json", '{"images": []}'),
    "a CSV of a header alone": file_of("own.csv", "filename,title,split\n"),
    "a tab file of a header alone": file_of("own.tsv", "filename\ttitle\n"),
    "an empty folder": lambda box: None,
    **{f"{x}: no test part": only_train(x) for x in ("karpathy", "csv")},
}
none = [
    *(Case(NONE, f"{name}, rsnb data", build, REPORT, refused(never=(NOTHING,))) for name, build in EMPTY.items()),
    *(
        Case(NONE, f"{name}, rsnb train", build, TRAIN, refused(never=("epoch 1", "mR")))
        for name, build in EMPTY.items()
    ),
    *(
        Case(NONE, f"karpathy: no image file at all, rsnb {words[0]}", no_pictures("karpathy"), words, refused())
        for words in (
            ("evaluate", "--data", "{data}"),
            ("search", "a boat", "--data", "{data}"),
            ("ablate", "--study", "loss", "--data", "{data}", "--seeds", "1", "--out", "{out}"),
            ("benchmark", "--data", "{data}", "--methods", "mrs", "--seeds", "1", "--epochs", "1", "--out", "{out}"),
        )
    ),
]

# --- words and classes ------------------------------------------------------------------------------------------
WORDS, CLASSES = "text of any script", "no class where nothing tells it"
SCRIPTS = {
    "Chinese": "机场上停着许多飞机旁边有一条跑道",
    "Arabic": "طائرات كثيرة في المطار بجانب المدرج",
    "Thai": "เครื่องบินหลายลำจอดอยู่ที่สนามบิน",
    "Russian": "много самолётов стоит рядом с полосой",
    "Hindi": "हवाई अड्डे पर बहुत से विमान खड़े हैं",
    "Japanese": "空港にたくさんの飛行機が並んでいます",
}


def in_script(text: str) -> Callable[[Box], None]:
    return written(lambda: [Row(r.name, r.part, (f"{text} {n}",)) for n, r in enumerate(plain_rows())])


def classes_of(box: Box) -> Seen:
    return box.command("data", "{data}", "--json")


def no_class(box: Box, seen: Seen) -> None:
    assert seen.code == 0, f"it ended with {seen.code}"
    assert not seen.value["splits"]["all"]["classes"], f"classes: {seen.value['splits']['all']['classes']}"


def numbered(pattern: str) -> Callable[[Box], None]:
    names = [pattern.format(8454739999 + 17 * n, "US" if n % 2 else "FR", n) for n in range(11)]
    return written(lambda: rows_of({"train": names[:8], "test": names[8:]}), "csv")


words = [
    *(Case(WORDS, name, in_script(text), REPORT, fine(never=("near-empty",))) for name, text in SCRIPTS.items()),
    *(
        Case(CLASSES, pattern.format(8454739999, "US", 21), numbered(pattern), classes_of, no_class)
        for pattern in ("n{}_{}_{}.png", "w{}_{}_{}.png", "{}_{}_{}.png", "tile{}.png")
    ),
]

# --- names that lead elsewhere, links, folders ------------------------------------------------------------------
OUT, ABSOLUTE = "no name and no link leads out of the data folder", "absolute paths inside the folder are taken"
LINKS, FOLDER = "links that lead nowhere are named", "a folder or a pipe where a file should be"


def leading_out(layout: str, name: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        pictures(box.folder, ["secret.png"], first=200)
        rows = small_set(box)
        (box.data / "dataset_own.json").unlink()
        LAYOUTS[layout](box.data, [*rows, Row(name.format(box.folder), "train", ("an image that lies elsewhere",))])

    return build


def absolute(layout: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        rows = plain_rows()
        pictures(box.data / "images", [r.name for r in rows])
        LAYOUTS[layout](box.data, [Row(f"{box.data}/images/{r.name}", r.part, r.captions) for r in rows])
        box.notes["colours"] = sorted(list(make.colour(n)) for n in range(len(rows)))

    return build


def same_pictures(box: Box, seen: Seen) -> None:
    assert seen.code == 0, f"it ended with {seen.code}"
    assert sorted(value[2] for value in seen.value.values()) == box.notes["colours"], "other pictures than those listed"


def linked(target: str, name: str = "tile_00.png", folder: str = "images") -> Callable[[Box], None]:
    """An image is a link."""

    def build(box: Box) -> None:
        pictures(box.folder, ["secret.png"], first=200)
        small_set(box)
        link = box.data / folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.format(out=box.folder))

    return build


def a_folder(name: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        small_set(box)
        path = box.data / name
        path.unlink(missing_ok=True)
        path.mkdir()

    return build


def a_pipe(name: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        small_set(box)
        (box.data / name).unlink(missing_ok=True)
        os.mkfifo(box.data / name)

    return build


ANNEX = "../.git/annex/objects/x1/G7/SHA256E-s3014--0f1e.png/SHA256E-s3014--0f1e.png"
TARGETS = {"a loop": "tile_00.png", "git-annex, not fetched": ANNEX, "out of the folder": "{out}/secret.png"}
places = [
    *(
        Case(OUT, f"{layout}: {name.format('')}", leading_out(layout, name), REPORT, refused(never=(NOTHING,)))
        for layout in LAYOUTS
        for name in ("../secret.png", "{}/secret.png")
        if (layout, name) != ("harma", "{}/secret.png")
    ),
    *(Case(ABSOLUTE, x, absolute(x), read, same_pictures) for x in ("karpathy", "precomp", "csv")),
    *(Case(LINKS, name, linked(target), REPORT, refused("tile_00")) for name, target in TARGETS.items()),
    *(Case(LINKS, f"{name}, skip_bad", linked(target), skipping, fine()) for name, target in TARGETS.items()),
    Case(LINKS, "a folder that is a loop", linked(".", "loop", "images"), REPORT, fine()),
    Case(LINKS, "the caption file is a loop", linked("dataset_own.json", "dataset_own.json", "."), REPORT, refused()),
    Case(FOLDER, "the caption file is a folder", a_folder("dataset_own.json"), REPORT, refused()),
    Case(FOLDER, "an image is a folder", a_folder("images/tile_00.png"), REPORT, refused("tile_00")),
    Case(FOLDER, "an image is a named pipe", a_pipe("images/tile_00.png"), REPORT, refused("tile_00"), seconds=20),
    Case(FOLDER, "an image is a named pipe, skip_bad", a_pipe("images/tile_00.png"), skipping, fine(), seconds=20),
    Case(FOLDER, "the caption file is a named pipe", a_pipe("dataset_own.json"), REPORT, refused(), seconds=20),
    Case(FOLDER, "another caption file is a named pipe", a_pipe("other.csv"), read, orderly, seconds=20),
    Case(FOLDER, "an image is /dev/zero", linked("/dev/zero"), REPORT, refused("tile_00"), seconds=20),
]

# --- damage -----------------------------------------------------------------------------------------------------
DAMAGED, SCREEN = "a damaged caption file ends in one error", "many faults fit on one screen"
FILES = {"karpathy": "dataset_own.json", "harma": "own_train.json", "csv": "own.csv", "precomp": "train_caps.txt"}


def damaged(layout: str, damage: Callable[[Box, Path], None]) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        small_set(box, layout, captions=2)
        damage(box, box.data / FILES[layout])

    return build


def noise(box: Box, path: Path) -> None:
    path.write_bytes(box.rng.randbytes(3000))


def many_missing(layout: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        LAYOUTS[layout](box.data, plain_rows(3000, 300))
        pictures(box.data, ["tile_00.png"])

    return build


def one_screen(box: Box, seen: Seen) -> None:
    refused("missing")(box, seen)
    assert len(seen.text.splitlines()) <= 60, f"{len(seen.text.splitlines())} lines"
    assert len(seen.err) < 4000, f"{len(seen.err)} characters of errors"


def one_entry(name: str = '"a.png"', part: str = '"train"', raw: str = '"x y z"') -> str:
    return f'{{"images": [{{"filename": {name}, "split": {part}, "sentences": [{{"raw": {raw}}}]}}]}}'


ODD = {
    "10,000 lists in one another": '{"images": ' + "[" * 10_000,
    "a number of 10,000 digits": one_entry(name="9" * 10_000),
    "half a character": one_entry(raw='"\\ud800 x y z"'),
    "a NUL in a name": one_entry(name='"a\\u0000.png"'),
    "NaN for a caption": one_entry(raw="NaN"),
    "a split of another type": one_entry(part='["train"]'),
    "a name of 5,000 characters": one_entry(name=json.dumps("a" * 5000 + ".png")),
}
damage = [
    *(
        Case(DAMAGED, f"{x}: cut off, {n}", damaged(x, make.cut), REPORT, refused())
        for x in ("karpathy", "harma")
        for n in range(3)
    ),
    *(
        Case(DAMAGED, f"{x}: cut off, {n}", damaged(x, make.cut), REPORT, orderly)
        for x in ("csv", "precomp")
        for n in range(3)
    ),
    *(
        Case(DAMAGED, f"{x}: other bits, {n}", damaged(x, make.flip), REPORT, orderly)
        for x in LAYOUTS
        for n in range(2)
    ),
    *(Case(DAMAGED, f"{x}: noise", damaged(x, noise), REPORT, refused()) for x in LAYOUTS),
    *(Case(DAMAGED, name, file_of("dataset_own.json", text), REPORT, refused()) for name, text in ODD.items()),
    *(Case(SCREEN, f"{x}: 3,299 images are missing", many_missing(x), REPORT, one_screen) for x in ("karpathy", "csv")),
]

CASES = [*one, *two, *mark, *none, *words, *places, *damage]
