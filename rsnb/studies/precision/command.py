"""``rsnb precision``: its options, and the committed result file."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.files import replacing, write_json
from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.settings import resolve
from rsnb.studies import keys
from rsnb.studies.precision.study import DRAWS, PROMPT, PROMPTS, TOP, gallery, sentence_of
from rsnb.studies.precision.tables import class_table, precision_sentences, precision_table, wording_table
from rsnb.studies.runs import adapter_path, result_head

COMMAND = "rsnb precision --root DIR --install"
ZERO_SHOT, TOY, UCM = "zero-shot", "toy adapter", "UCM adapter"
ALL, TEST = "all 2,100 images", "210 test images"
#: gallery: (the part of UCM-Captions, the models). The UCM adapter was trained on all but the test images.
GALLERIES = {ALL: ("all", (ZERO_SHOT, TOY)), TEST: ("test", (ZERO_SHOT, TOY, UCM))}
ADAPTERS = {TOY: "toy", UCM: "ucm"}
STAMP = (
    "UCM-Captions (real) · mini CLIP, not a pretrained one · the toy adapter never saw a real image, the UCM adapter "
    "none of the 210 test images"
)


# --- the result file --------------------------------------------------------------------------------------------
def result_file() -> Path:
    return paths.results_dir() / "tiles.json"


def picture_file() -> Path:
    return result_file().with_suffix(".png")


def load_precision() -> dict[str, Any] | None:
    """The committed study, or None."""
    path = result_file()
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["galleries"].items(), found["sentences"].items()
        return found
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RsnbError(
            f"{path} is not a result file of rsnb precision ({error!r}); remove it, then run {COMMAND}"
        ) from None


def precision_key(root: Path) -> dict[str, Any]:
    """All that decides what :func:`measured` finds."""
    given = resolve({}, data="ucm", root=root)
    data = {split: given.dataset(split).fingerprint() for split in ("train", "val", "test")}
    return keys.key_of(precision_settings(), data, precision_weights(), keys.PRECISION)


def precision_settings() -> dict[str, Any]:
    return {"top": TOP, "prompts": [PROMPT, *PROMPTS], "draws": DRAWS}


def precision_weights() -> dict[str, str]:
    """Fingerprints of the mini CLIP and of the shipped adapters."""
    found = {"clip": resolve({}).clip().fingerprint()}
    for name, data in ADAPTERS.items():
        found[name] = hashlib.sha256(adapter_path(data, "mini").read_bytes()).hexdigest()[:16]
    return found


def measured(root: Path) -> dict[str, Any]:
    """Index and search the images of UCM-Captions with each model, as plain numbers."""
    import rsnb

    given = resolve({}, data="ucm", root=root)
    models = {ZERO_SHOT: rsnb.adapt(given.clip(), "zero_shot")}
    models |= {name: rsnb.load_adapter(adapter_path(data, "mini"), given.clip()) for name, data in ADAPTERS.items()}
    parts = {name: (given.dataset(split), chosen) for name, (split, chosen) in GALLERIES.items()}
    for name, (part, _) in parts.items():
        if not part.has_images:
            raise RsnbError(f"{root} holds the captions of UCM without the images; data/README.md says where they are")
        if f"{len(part):,}" not in name:
            raise RsnbError(f"{root} holds {len(part):,} images of UCM where {name} are to be searched")
    classes = next(iter(parts.values()))[0].classes
    return {
        "top": TOP,
        "sentences": {label: sentence_of(label) for label in classes},
        "galleries": {name: gallery({m: models[m] for m in chosen}, part) for name, (part, chosen) in parts.items()},
    }


# --- the command ------------------------------------------------------------------------------------------------
def precision_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, root=Own(remark="here of UCM-Captions; without it the kept result is shown"))
    add_options(parser, "install", "json")


def precision_command(args: argparse.Namespace) -> int:
    """Show the kept study; with --root measure it anew, and keep it with --install."""
    if args.install and not args.root:
        raise RsnbError("--install keeps what was measured; give it with --root DIR, the folder of UCM-Captions")
    if args.root:
        made = {"key": precision_key(args.root), "made_by": keys.made_by(keys.PRECISION)}
        what = "search in a folder of real images, by words and by images: precision at 10 of every class"
        found = {**result_head(what, COMMAND, STAMP), **made, **measured(args.root)}
    else:
        found = load_precision()
        if found is None:
            raise RsnbError(f"there is no {result_file()}; {COMMAND} writes it")
    if args.install:
        write_json(result_file(), found)
        _draw(found)
    print(json.dumps(found, indent=1) if args.json else in_text(found))
    return 0


def in_text(found: dict[str, Any]) -> str:
    """The tables and sentences of a study."""
    rule = f"precision at {found['top']} in percent, the mean over classes; intervals are over classes"
    tables = precision_table(found), wording_table(found), class_table(found, ALL)
    return "\n\n".join([f"{found['stamp']}\n{rule}", *tables, *precision_sentences(found)])


def _draw(found: dict[str, Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from rsnb.studies.precision.figures import by_class

    with replacing(picture_file()) as scratch:
        FigureCanvasAgg(by_class(found, ALL)).print_png(scratch)
