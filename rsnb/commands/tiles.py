"""Commands for tiles of one's own: index, search in an index, label, dedupe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.base.files import replacing
from rsnb.base.options import Own, add_options
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import pandas

    from rsnb.tiles.index import Index

SHOWN = 10  # files left out that are printed


def index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="DIR", help="folder of images; or one image, a .tar, a .json of STAC items"
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
    group.add_argument("--adapter", type=Path, metavar="FILE", help="trained adapter (default: CLIP as it is)")
    add_options(group, "backbone", "pretrained", "device")


def index_command(args: argparse.Namespace) -> int:
    """Encode what is new or has changed in a folder of tiles. 1, if files were left out."""
    from rsnb.data.rasters import bands_of, scale_of
    from rsnb.tiles.building import build
    from rsnb.tiles.store import is_index

    out = args.out or args.source.with_name(f"{args.source.absolute().name}.index")
    reading = {"tile": args.tile, "overlap": args.overlap, "bands": bands_of(args.bands), "scale": scale_of(args.scale)}
    if not args.source.exists():
        raise RsnbError(f"there is no {args.source}; give a folder of images, an image, a .tar or a list of STAC items")
    model = _model(args, out if is_index(out) else None)
    said = None if args.json else lambda line: print(line, flush=True)
    size = args.batch_size or 64
    found = build(args.source, out, model, args.adapter, args.asset, size, not args.json, said, **reading)
    if args.json:
        print(json.dumps({"index": str(out), **vars(found)}, indent=1, ensure_ascii=False))
        return 1 if found.bad else 0
    print(f"{out}: {found.sentence()}")
    for path, why in list(found.bad.items())[:SHOWN]:
        print(f"- {path}: {why.removeprefix(path).strip()}")
    if len(found.bad) > SHOWN:
        print(f"- and {len(found.bad) - SHOWN:,} more; --json lists them all")
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


# --- search -----------------------------------------------------------------------------------------------------
def tile_arguments(parser: argparse.ArgumentParser) -> None:
    """What `rsnb search` takes beside a sentence and an image where an index is searched."""
    group = parser.add_argument_group("an index of your own tiles (rsnb index)")
    group.add_argument("--index", type=Path, metavar="INDEX", help="search these tiles instead of a data set")
    group.add_argument("--queries", type=Path, metavar="FILE", help="a text file with a sentence in each line")
    group.add_argument("--weight", type=float, metavar="W", help="of the words beside an image, 0 to 1 (default: 0.2)")
    group.add_argument("--near", type=_numbers(3), metavar="LON,LAT,KM", help="tiles at most so far away")
    group.add_argument("--bbox", type=_numbers(4), metavar="W,S,E,N", help="tiles that reach into it, in degrees")
    group.add_argument("--min-score", type=float, metavar="S", help="the least cosine")
    group.add_argument("--calibrate", action="store_true", help="show what foreign sentences score in this index")
    group.add_argument(
        "--out", type=Path, metavar="FILE", help="write the hits: .csv, .json, .geojson, .parquet, .html"
    )


def _numbers(count: int):
    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count:
            raise argparse.ArgumentTypeError(
                f"{text!r}: give {count} numbers with commas, as in --bbox=-8.7,37,-8.6,37.1"
            )
        return found

    return read


def search_tiles(args: argparse.Namespace) -> int:
    """The nearest tiles of an index for sentences, an image, or an image with words."""
    from rsnb.tiles.hits import ending_of
    from rsnb.tiles.index import WEIGHT

    if args.out is not None:
        ending_of(args.out)
    sentences = _sentences(args)
    if not sentences and not args.image and not args.calibrate:
        raise RsnbError(
            'give a sentence, such as rsnb search --index INDEX "a harbor with boats", --queries, or --image'
        )
    if args.weight is not None and not (args.image and sentences):
        raise RsnbError("--weight is of the words beside an image: give a sentence and --image FILE")
    index = _opened(args)
    if args.calibrate:
        _print_calibration(index, as_json=args.json and not (sentences or args.image))
        if not (sentences or args.image):
            return 0
    region = {"near": args.near, "bbox": args.bbox, "min_score": args.min_score}
    if args.image:
        if len(sentences) > 1:
            raise RsnbError("beside an image one sentence is taken; give --image without --queries")
        words = {"words": sentences[0], "weight": WEIGHT if args.weight is None else args.weight} if sentences else {}
        hits = index.search(args.image, args.k, **words, **region)
    else:
        hits = index.search(sentences, args.k, **region)
    about = _about(index)
    if args.out is not None:
        from rsnb.tiles.hits import write_hits

        write_hits(hits, args.out, about, lambda row: _thumbnail(index, hits.iloc[row]))
    if args.json:
        from rsnb.tiles.hits import records

        print(json.dumps({"about": about, "hits": records(hits)}, indent=1, ensure_ascii=False))
    else:
        print(f"{about['tiles']:,} tiles of {index.path}; {about['model']}")
        _print_hits(hits)
        if args.out is not None:
            print(f"written to {args.out}")
    return 0


def _sentences(args: argparse.Namespace) -> list[str]:
    found = [args.query] if args.query is not None else []
    if args.queries is not None:
        if found:
            raise RsnbError("give a sentence, or --queries FILE, not both")
        try:
            lines = args.queries.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise RsnbError(f"{args.queries} is no text in UTF-8; save it as one") from None
        except OSError as error:
            raise RsnbError(f"{args.queries} cannot be read ({error.strerror or error})") from None
        found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not found:
            raise RsnbError(f"{args.queries} holds no sentence; write one in each line")
    return found


def _opened(args: argparse.Namespace) -> Index:
    from rsnb.base.devices import pick_device
    from rsnb.tiles.index import Index

    named = args.adapter or args.backbone or args.pretrained
    index = Index.open(args.index, _model(args, None) if named else None)
    if not named:
        index.model.to(pick_device(args.device))
    return index


def _about(index: Index) -> dict[str, Any]:
    from datetime import date

    from rsnb.tiles.identity import in_words

    note = "A high score is no proof: look at the percentile, and at the tiles."
    return {
        "index": str(index.path),
        "tiles": len(index),
        "model": in_words(index.about["model"]),
        "made": date.today().isoformat(),
        "note": note,
        "extent": index.about.get("extent"),
    }


def _thumbnail(index: Index, hit: Any):
    try:
        return index.picture(hit)
    except RsnbError:
        return None


def _print_hits(hits: pandas.DataFrame) -> None:
    places = bool(hits["lon"].notna().any())
    for query, found in hits.groupby("query", sort=False):
        print(f"\n{query}")
        rows = []
        for _, hit in found.iterrows():
            part = f" [{hit['x']}, {hit['y']}]" if (hit["x"], hit["y"]) != (0, 0) else ""
            unusual = "-" if hit["percentile"] != hit["percentile"] else f"{hit['percentile']:.0f} %"
            row = [str(hit["rank"]), f"{hit['score']:.3f}", unusual, f"{hit['path']}{part}"]
            if places:
                row.append("-" if hit["lon"] != hit["lon"] else f"{hit['lon']:.5f}, {hit['lat']:.5f}")
            rows.append(row)
        print(markdown_table(["", "score", "above foreign", "tile", *["lon, lat"] * places], rows))
    if hits.empty:
        print("no tile fits")


def _print_calibration(index: Index, as_json: bool) -> None:
    import numpy as np

    from rsnb.tiles.foreign import FOREIGN

    foreign = index.about.get("foreign") or []
    if not foreign:
        raise RsnbError(f"{index.path} was not finished; run the same rsnb index command again")
    shares = (50, 80, 90, 95, 99)
    levels = {f"{share} %": round(float(np.percentile(foreign, share)), 3) for share in shares}
    if as_json:
        print(json.dumps({"foreign": len(foreign), "levels": levels}, indent=1))
        return
    print(f"{len(FOREIGN)} sentences about what no picture from above shows, such as {FOREIGN[0]!r}, were asked here.")
    print("So high is the best hit of so many of them:\n")
    row = ["score at most", *(f"{level:.3f}" for level in levels.values())]
    print(markdown_table(["of the foreign sentences", *levels], [row]))
    print("\nA sentence whose best hit scores no higher than most of these has found nothing.\n")


# --- label, dedupe ----------------------------------------------------------------------------------------------
def label_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="INDEX", required=True, help="tiles indexed with rsnb index")
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        required=True,
        help="a class in each line: its name, or name: sentence | sentence",
    )
    _file_and_model(parser, "labels.csv")


def _file_and_model(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path(name), help="CSV file (default: %(default)s)")
    _model_arguments(parser.add_argument_group("model"))
    add_options(parser, "json")


def label_command(args: argparse.Namespace) -> int:
    """The most probable of some classes for every tile, by words alone."""
    from rsnb.tiles.zero_labels import FORCED, label, read_classes

    classes = read_classes(args.classes)
    index = _opened(args)
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
    parser.add_argument("--out", type=Path, metavar="FILE", default=Path("pairs.csv"), help="(default: %(default)s)")
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
    with replacing(path) as scratch:
        table.drop(columns=["corners"], errors="ignore").to_csv(scratch, index=False, float_format="%.7g")
