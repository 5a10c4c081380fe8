"""The search command: in a data set, or in an index of tiles of one's own."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.base.fields import Checked
from rsnb.base.options import add_options
from rsnb.base.paths import user_path
from rsnb.base.text import markdown_table, on_one_line
from rsnb.commands.model import model_arguments, model_of, warn_of_another_view
from rsnb.commands.tiles import opened_index
from rsnb.data.endings import ENDINGS
from rsnb.errors import RsnbError
from rsnb.settings import settings_of, what_arguments

if TYPE_CHECKING:
    import pandas

    from rsnb.tiles.index import Index


def search_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", help="a sentence in quotes")
    parser.add_argument(
        "--image",
        type=user_path,
        metavar="FILE",
        help="search captions for this image instead; in an index, tiles like it",
    )
    parser.add_argument(
        "--k", "--top", action=Checked, default=5, metavar="N", help="how many to show (default: %(default)s)"
    )
    what_arguments(parser)
    model_arguments(parser)
    tile_arguments(parser)
    add_options(parser, "json")


def search_command(args: argparse.Namespace) -> int:
    """The nearest images of a sentence, or captions of an image, with cosine similarities; or tiles of an index."""
    if args.index is not None:
        return search_tiles(args)
    asked = [
        name for name in ("queries", "weight", "near", "bbox", "min_score", "out") if getattr(args, name) is not None
    ]
    if asked or args.calibrate:
        raise RsnbError(
            f"--{(asked or ['calibrate'])[0].replace('_', '-')} goes with --index: tiles indexed with rsnb index"
        )
    if bool(args.query and args.query.strip()) == bool(args.image):
        raise RsnbError('give a sentence, such as rsnb search "a harbor with boats", or --image FILE (not both)')
    given = settings_of(args)

    import torch

    from rsnb.data.images import open_rgb
    from rsnb.evaluation import embed

    if args.image and not args.image.is_file():
        raise RsnbError(f"no image at {args.image}")
    model = model_of(args, given)
    dataset = given.dataset(args.split)
    warn_of_another_view(args.adapter, dataset)
    images, texts, owner = embed(model, dataset, given.batch_size, progress=True)
    captions = dataset.captions[0]
    with torch.no_grad():
        if args.image:
            pixels = model.clip.preprocess(open_rgb(args.image))[None]
            query = model.encode_image(pixels.to(model.clip.device)).float().cpu()
        else:
            query = model.encode_text(model.clip.tokenizer([args.query]).to(model.clip.device)).float().cpu()
    scores = ((texts if args.image else images) @ query[0]).tolist()
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for at in sorted(range(len(scores)), key=lambda i: -scores[i]):
        item = dataset[int(owner[at]) if args.image else at]
        found = [captions[at]] if args.image else list(item.captions)
        if args.image and found[0] in seen:
            continue  # one line for a caption that several images share
        seen.add(found[0])
        rows.append(
            {
                "score": round(scores[at], 4),
                "file": item.name,
                "path": _place(item),
                "label": item.label,
                "captions": found,
            }
        )
        if len(rows) == args.k:
            break
    if args.json:
        stamp = f"{dataset.stamp} · {model.stamp}"
        print(json.dumps({"stamp": stamp, "split": args.split, "found": rows}, indent=1, ensure_ascii=False))
    else:
        print(f"{len(dataset):,} images of {dataset.stamp}, {args.split}; {model.method}, {model.stamp}")
        for rank, row in enumerate(rows, start=1):
            print(f"{rank:3d}  {row['score']:6.3f}  {row['path']}  {row['captions'][0]}")
    return 0


def _place(item) -> str:
    """Where an image lies; of one within a tar or parquet file, or without a file, its name."""
    return item.name if item.path is None else str(item.path)


# --- an index of one's own tiles ----------------------------------------------------------------------------------
def tile_arguments(parser: argparse.ArgumentParser) -> None:
    """What `rsnb search` takes beside a sentence and an image where an index is searched."""
    group = parser.add_argument_group("an index of your own tiles (rsnb index)")
    group.add_argument("--index", type=Path, metavar="INDEX", help="search these tiles instead of a data set")
    group.add_argument("--queries", type=user_path, metavar="FILE", help="a text file with a sentence in each line")
    group.add_argument("--weight", type=float, metavar="W", help="of the words beside an image, 0 to 1 (default: 0.2)")
    group.add_argument("--near", type=_numbers(3), metavar="LON,LAT,KM", help="tiles at most so far away")
    group.add_argument("--bbox", type=_numbers(4), metavar="W,S,E,N", help="tiles that reach into it, in degrees")
    group.add_argument(
        "--min-score", type=float, metavar="S", help="the least score: a cosine, of an image with words 0 to 1"
    )
    group.add_argument("--calibrate", action="store_true", help="show what foreign sentences score in this index")
    group.add_argument(
        "--out", type=user_path, metavar="FILE", help="write the hits: .csv, .json, .geojson, .parquet, .html"
    )


REGIONS = {3: "--near=8.54,47.37,5", 4: "--bbox=8.4,47.3,8.6,47.5"}


def _numbers(count: int):
    def read(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count:
            raise argparse.ArgumentTypeError(
                f"{text!r}: give {count} numbers with commas, as in {REGIONS[count]} (with = before a negative one)"
            )
        return found

    return read


def search_tiles(args: argparse.Namespace) -> int:
    """The nearest tiles of an index for sentences, an image, or an image with words."""
    from rsnb.tiles.hits import ending_of, records, write_hits
    from rsnb.tiles.index import WEIGHT

    if args.out is not None:
        ending_of(args.out)
    _refuse_of_data(args)
    sentences = _sentences(args)
    if not sentences and not args.image and not args.calibrate:
        raise RsnbError(
            'give a sentence, such as rsnb search --index INDEX "a harbor with boats", --queries, or --image'
        )
    if args.weight is not None and not (args.image and sentences):
        raise RsnbError("--weight is of the words beside an image: give a sentence and --image FILE")
    if args.calibrate and args.out is not None and not (sentences or args.image):
        raise RsnbError("--out writes hits: give a sentence or --image beside --calibrate")
    index = opened_index(args)
    levels = _levels(index) if args.calibrate else None
    if levels is not None and not args.json:
        _print_levels(levels)
    if not (sentences or args.image):
        if args.json:
            print(json.dumps({"foreign": levels}, indent=1))
        return 0
    region = {"near": args.near, "bbox": args.bbox, "min_score": args.min_score}
    if args.image:
        if len(sentences) > 1:
            raise RsnbError("beside an image one sentence is taken; give --image without --queries")
        words = {"words": sentences[0], "weight": WEIGHT if args.weight is None else args.weight} if sentences else {}
        hits = index.search(args.image, args.k, **words, **region)
    else:
        hits = index.search(sentences, args.k, **region)
    about = _about(index, sentences if not args.image else []) | {k: v for k, v in region.items() if v is not None}
    if levels is not None:
        about["foreign"] = levels
    if args.out is not None:
        lost: list[str] = []
        written = write_hits(hits, args.out, about, lambda row: _thumbnail(index, hits.iloc[row], lost))
        if lost:
            written += f"; {len(lost)} pictures could not be read again: {lost[0]}"
    if args.json:
        print(json.dumps({"about": about, "hits": records(hits)}, indent=1, ensure_ascii=False))
    else:
        print(f"{about['tiles']:,} tiles of {index.path}; {about['model']}")
        _print_hits(hits)
        if hits.empty:
            print(_why_none(index, args))
        if args.out is not None:
            print(written)
    return 0


def _refuse_of_data(args: argparse.Namespace) -> None:
    """What says how a data set is read says nothing of an index, which knows how its tiles were."""
    for name in ("data", "root", "layout", "bands", "scale", "limit"):
        if getattr(args, name) is not None:
            raise RsnbError(f"--{name} is of a data set, and --index names no data set; leave it out")


def _sentences(args: argparse.Namespace) -> list[str]:
    found = [args.query] if args.query is not None else []
    if found and found[0].lower().endswith(ENDINGS) and user_path(found[0]).is_file():
        raise RsnbError(f"{found[0]} is an image; to search tiles like it give --image {found[0]}")
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


def _about(index: Index, queries: list[str]) -> dict[str, Any]:
    from datetime import date

    from rsnb.tiles.identity import in_words

    return {
        "index": index.path.name,
        "tiles": len(index),
        "model": in_words(index.about["model"]),
        "made": date.today().isoformat(),
        "extent": index.about.get("extent"),
        "queries": queries,
    }


def _thumbnail(index: Index, hit: Any, lost: list[str]):
    try:
        return index.picture(hit)
    except RsnbError as error:
        lost.append(str(error))
        return None


def _print_hits(hits: pandas.DataFrame) -> None:
    places = bool(hits["lon"].notna().any())
    for query, found in hits.groupby("query", sort=False):
        print(f"\n{query}")
        rows = []
        for _, hit in found.iterrows():
            part = f" [{hit['x']}, {hit['y']}]" if (hit["x"], hit["y"]) != (0, 0) else ""
            unusual = "-" if hit["percentile"] != hit["percentile"] else f"{math.floor(hit['percentile'])} %"
            row = [str(hit["rank"]), f"{hit['score']:.3f}", unusual, f"{on_one_line(hit['path'])}{part}"]
            if places:
                row.append("-" if hit["lon"] != hit["lon"] else f"{hit['lon']:.5f}, {hit['lat']:.5f}")
            rows.append(row)
        print(markdown_table(["", "score", "above foreign", "tile", *["lon, lat"] * places], rows))


def _why_none(index: Index, args: argparse.Namespace) -> str:
    reasons = []
    if (args.near or args.bbox) and (extent := index.about.get("extent")):
        reasons.append(f"the tiles lie between west, south, east, north {', '.join(f'{x:g}' for x in extent)}")
    if args.min_score is not None:
        reasons.append("--min-score may be too high")
    return "no tile fits: " + "; ".join(reasons or ["the index has no other"])


def _levels(index: Index) -> dict[str, float]:
    """{share of the foreign sentences: what the best hits of so many score at most}."""
    import numpy as np

    foreign = index.about.get("foreign") or []
    if not foreign:
        raise RsnbError(f"{index.path} was not finished; run the same rsnb index command again")
    return {f"{share} %": round(float(np.percentile(foreign, share)), 3) for share in (50, 80, 90, 95, 99)}


def _print_levels(levels: dict[str, float]) -> None:
    from rsnb.tiles.foreign import FOREIGN

    print(f"{len(FOREIGN)} sentences about what no picture from above shows, such as {FOREIGN[0]!r}, were asked here.")
    print("So high is the best hit of so many of them:\n")
    row = ["score at most", *(f"{level:.3f}" for level in levels.values())]
    print(markdown_table(["of the foreign sentences", *levels], [row]))
    print("\nA sentence whose best hit scores no higher than most of these has found nothing.\n")
