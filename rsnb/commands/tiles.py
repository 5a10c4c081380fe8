"""Commands for tiles of one's own: index, label, dedupe."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.base.files import replacing
from rsnb.base.options import Own, add_options
from rsnb.base.paths import user_path
from rsnb.base.text import markdown_table, on_one_line
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import pandas

    from rsnb.tiles.index import Index

SHOWN = 10  # files left out that are printed


def index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=user_path, metavar="DIR", help="folder of images; or one image, a .tar, a .json of STAC items"
    )
    add_options(parser, out=Own(said="DIR.index, beside it"))
    group = parser.add_argument_group("tiles")
    group.add_argument("--tile", type=_pixels, metavar="N", help="cut every GeoTIFF into squares of so many pixels")
    group.add_argument("--overlap", type=_pixels, metavar="N", help="of neighbouring squares, in pixels")
    group.add_argument("--asset", metavar="NAME", help="which asset of STAC items")
    add_options(group, "bands", "scale")
    group = parser.add_argument_group("model")
    _model_arguments(group)
    add_options(group, batch_size=Own(said="64"))
    add_options(parser, "json")


def _pixels(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of pixels")
    return int(text)


def _model_arguments(group: argparse._ActionsContainer) -> None:
    add_options(group, "backbone", "pretrained", "device", adapter=Own(said="CLIP as it is"))


def index_command(args: argparse.Namespace) -> int:
    """Encode what is new or has changed in a folder of tiles. 1, if files were left out."""
    from rsnb.data.rasters import bands_of, scale_of
    from rsnb.tiles.store import is_index, need_folder

    out = user_path(args.out) if args.out else args.source.with_name(f"{args.source.absolute().name}.index")
    reading = {"tile": args.tile, "overlap": args.overlap, "bands": bands_of(args.bands), "scale": scale_of(args.scale)}
    if not args.source.exists():
        raise RsnbError(f"there is no {args.source}; give a folder of images, an image, a .tar or a list of STAC items")
    need_folder(out, args.source)

    from rsnb.tiles.building import build

    model = _model(args, out if is_index(out) else None)
    said = None if args.json else lambda line: print(line, flush=True)
    size = args.batch_size or 64
    found = build(args.source, out, model, args.adapter, args.asset, size, not args.json, said, **reading)
    if args.json:
        print(json.dumps({"index": str(out), **vars(found)}, indent=1, ensure_ascii=False))
        return 1 if found.bad else 0
    print(f"{out}: {found.sentence()}")
    for path, why in list(found.bad.items())[:SHOWN]:
        print(f"- {on_one_line(path)}: {on_one_line(why.removeprefix(path).strip())}")
    if len(found.bad) > SHOWN:
        print(f"- and {len(found.bad) - SHOWN:,} more; --json lists them all")
    for line in found.remarks:
        print(line)
    print(f'now: rsnb search --index {shlex.quote(str(out))} "a long runway"')
    return 1 if found.bad else 0


def _model(args: argparse.Namespace, index: Path | None):
    """The model that is named; of an index that is there, else its own."""
    from rsnb.base.devices import pick_device
    from rsnb.commands.model import model_of
    from rsnb.settings import resolve
    from rsnb.tiles.identity import adapted, load
    from rsnb.tiles.store import read_about

    if index is not None and not (args.adapter or args.backbone or args.pretrained):
        return load(read_about(index)["model"], index).to(pick_device(args.device))
    return adapted(model_of(args, resolve(backbone=args.backbone, pretrained=args.pretrained)))


# --- label, dedupe ----------------------------------------------------------------------------------------------
def label_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="INDEX", required=True, help="tiles indexed with rsnb index")
    parser.add_argument(
        "--classes",
        type=user_path,
        metavar="FILE",
        required=True,
        help="a class in each line: its name, or name: sentence | sentence",
    )
    _file_and_model(parser, "labels.csv")


def _file_and_model(parser: argparse.ArgumentParser, name: str) -> None:
    _csv_argument(parser, name)
    _model_arguments(parser.add_argument_group("model"))
    add_options(parser, "json")


def _csv_argument(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--out", type=_csv, metavar="FILE", default=Path(name), help="CSV file (default: %(default)s)")


def _csv(text: str) -> Path:
    if not text.lower().endswith(".csv"):
        raise argparse.ArgumentTypeError(f"{text!r}: a CSV file is written; end its name in .csv")
    return user_path(text)


def label_command(args: argparse.Namespace) -> int:
    """The most probable of some classes for every tile, by words alone."""
    from rsnb.tiles.zero_labels import FORCED, label, read_classes

    classes = read_classes(args.classes)
    index = opened_index(args)
    found = label(index, classes)
    _write(found, args.out)
    counts = found["class"].value_counts()
    margin = found.groupby("class", sort=False)["margin"].median()
    if args.json:
        rows = {name: {"tiles": int(count), "margin": round(float(margin[name]), 3)} for name, count in counts.items()}
        print(json.dumps({"out": str(args.out), "classes": rows, "note": FORCED}, indent=1, ensure_ascii=False))
        return 0
    rows = [[name, f"{counts.get(name, 0):,}", f"{margin[name]:.2f}" if name in margin else "-"] for name in classes]
    print(markdown_table(["class", "tiles", "median margin"], rows))
    print(f"\n{FORCED}\n{len(found):,} tiles written to {args.out}")
    return 0


def dedupe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="INDEX", required=True, help="tiles indexed with rsnb index")
    parser.add_argument("--least", type=float, default=0.98, metavar="S", help="least cosine (default: %(default)s)")
    _csv_argument(parser, "pairs.csv")
    add_options(parser, "json")


def dedupe_command(args: argparse.Namespace) -> int:
    """Pairs of tiles that are nearly equal for the model."""
    from rsnb.tiles.index import Index
    from rsnb.tiles.zero_labels import ALIKE, near_equal

    found = near_equal(Index.open(args.index), args.least)
    _write(found, args.out)
    if args.json:
        print(json.dumps({"out": str(args.out), "pairs": len(found), "note": ALIKE}, indent=1, ensure_ascii=False))
        return 0
    print(f"{len(found):,} pairs with a cosine of at least {args.least}, written to {args.out}\n{ALIKE}")
    return 0


def _write(table: pandas.DataFrame, path: Path) -> None:
    from rsnb.tiles.hits import safe_path

    table = table.drop(columns=["corners"], errors="ignore")
    for name in ("path", "path_1", "path_2"):
        if name in table:
            table = table.assign(**{name: table[name].map(safe_path)})
    with replacing(path) as scratch:
        table.to_csv(scratch, index=False, float_format="%.7g")


def opened_index(args: argparse.Namespace) -> Index:
    """The index of --index, with the model that is named, or its own."""
    from rsnb.base.devices import pick_device
    from rsnb.tiles.index import Index

    named = args.adapter or args.backbone or args.pretrained
    index = Index.open(args.index, _model(args, None) if named else None)
    if not named:
        index.model.to(pick_device(args.device))
    return index
