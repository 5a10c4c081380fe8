"""``rsnb data`` and ``rsnb toy``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from rsnb.base import paths
from rsnb.base.fields import Checked
from rsnb.base.options import Own, add_options, help_of
from rsnb.errors import RsnbError
from rsnb.settings import Settings, settings_of, what_arguments


def data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="?", metavar="NAME", help=help_of("data", "toy"))
    what_arguments(parser, model=False)
    parser.add_argument("--no-images", action="store_true", help="captions only: do not look for or open images")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write a picture of what the model will see")
    parser.add_argument("--force", action="store_true", help="replace the picture")
    add_options(parser, "json")


def data_command(args: argparse.Namespace) -> int:
    """Report on a data set; 1 if it has faults that would stop a training, unless they are to be skipped."""
    from rsnb.backbone import mini_tokenizer
    from rsnb.data import report
    from rsnb.data.findings import LASTING

    given = settings_of(args)
    if args.sheet and args.sheet.exists() and not args.force:
        raise RsnbError(f"{args.sheet} already exists; choose another name, or --force")
    found = report(
        given.data,
        root=given.root,
        layout=given.layout,
        check_images=not args.no_images,
        seed=given.seed,
        tokenizer=mini_tokenizer(),
        bands=given.bands,
        scale=given.scale,
    )
    print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) if args.json else found.text())
    if args.sheet and found.images:
        write_sheet(args.sheet, given)
        print(f"written: {args.sheet}", file=sys.stderr)
    lasting = [one for one in found.faults if one.kind in LASTING]  # with nothing to go on without
    if lasting or (found.faults and not args.skip_bad):
        print("rsnb: training would stop at these faults; repair them, or go on with --skip-bad", file=sys.stderr)
        return 1
    return 0


def write_sheet(path: Path, given: Settings, count: int = 24) -> None:
    """A contact sheet: up to ``count`` images, evenly chosen, resized and cropped as the mini CLIP sees them, each with
    its name and what its file holds.

    Raises:
        RsnbError: no image can be decoded, or the picture cannot be written.
    """
    import warnings

    import torch

    from rsnb.backbone import load_clip
    from rsnb.base.files import write_bytes
    from rsnb.data.images import decode
    from rsnb.data.ranges import evenly
    from rsnb.errors import RsnbWarning
    from rsnb.figures import plots, png

    clip = load_clip("mini")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsnbWarning)  # the report has said what is left out
        every = replace(given, skip_bad=True, limit=None).dataset("all")
    mean, std = (torch.tensor(of)[:, None, None] for of in (clip.mean, clip.std))
    pictures, titles = [], []
    for item in evenly(every.items, count):
        image, mode = decode(item.source, item.name, item.view)
        pictures.append((clip.preprocess(image) * std + mean).clamp(0, 1).permute(1, 2, 0).numpy())
        name = item.name if len(item.name) <= 20 else f"…{item.name[-18:]}"
        titles.append(f"{name}\n{mode.replace(' of ', chr(10))}\n{image.width} x {image.height}")
    sheet = plots.contact_sheet(pictures, titles, f"{every.name}: what the model sees")
    write_bytes(path, png.picture(sheet, alt="a contact sheet", stamp=f"{every.stamp} · as {clip.stamp} sees them"))


def toy_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, out=Own(said="where the shipped copy is"))
    parser.add_argument("--check", action="store_true", help="write nothing; compare pixels and captions")
    parser.add_argument("--count", action=Checked, metavar="N", help="train pictures of each class")
    parser.add_argument("--test-count", action=Checked, metavar="N", help="test pictures of each class")
    parser.add_argument("--force", action="store_true", help="overwrite what is in the folder")
    add_options(parser, seed=Own(said="that of the shipped copy"))
    parser.add_argument("--workers", action=Checked, default=1, metavar="N", help="processes (default: 1)")


def toy_command(args: argparse.Namespace) -> int:
    """Draw the toy world; with --check, 1 if a folder differs from what the code draws."""
    from rsnb.worlds.toy import build_toy, check_toy

    out = args.out or paths.toy_dir()
    if args.out and (out / "dataset_toy.json").exists() and not (args.check or args.force):
        raise RsnbError(f"{out} holds a dataset_toy.json, which would be replaced; take another --out, or --force")
    options = {name: getattr(args, name) for name in ("count", "test_count", "seed")}
    options = {name: value for name, value in options.items() if value is not None}
    if not args.check:
        print(f"written: {build_toy(out, **options, workers=args.workers)}")
        return 0
    differences = check_toy(out, **options, workers=args.workers)
    for line in differences[:10]:
        print(line)
    print(f"{len(differences)} differences" if differences else f"{out} is what the code draws, pixel for pixel")
    return 1 if differences else 0
