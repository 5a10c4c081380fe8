"""``rsnb bench``: time and memory against the method as published."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsnb.base.files import write_json
from rsnb.base.options import Own, add_options
from rsnb.base.sources import digest
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.speed.measurements import DO, PARTS, measure_in_child
from rsnb.studies.speed.pair import Pair
from rsnb.studies.speed.timing import threads

SEARCH = "search"  # of tiles: no model, and FAISS beside it
IMAGES = 210  # of UCM's test part


def bench_arguments(parser: argparse.ArgumentParser) -> None:
    said = f"some of %(default)s (default); or {SEARCH}, of a million tiles beside FAISS, alone"
    parser.add_argument("--parts", default=",".join(PARTS), help=said)
    add_options(parser, backbone=Own("ViT-B-32-quickgelu", remark="with random weights"), batch_size=16, device="cpu")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU; several spin while they wait (default: 1)")
    parser.add_argument("--images", type=int, default=IMAGES, help="of the evaluation, five captions each")
    parser.add_argument("--captions", metavar="FILE", help="a text file, a caption per line; default: the toy world's")
    parser.add_argument("--out", type=Path, default=None, help="write the results there as JSON")
    parser.add_argument("--force", action="store_true", help="replace an existing --out")
    add_options(parser, "json")
    parser.add_argument("--child", help=argparse.SUPPRESS)


def default_bench_arguments(**changes) -> argparse.Namespace:
    """The arguments of :func:`bench_command`, some of them changed, for a notebook."""
    parser = argparse.ArgumentParser()
    bench_arguments(parser)
    args = parser.parse_args([])
    unknown = sorted(set(changes) - set(vars(args)))
    if unknown:
        raise RsnbError(f"rsnb bench has no argument called {', '.join(unknown)}")
    return argparse.Namespace(**{**vars(args), **changes})


def bench_command(args) -> dict[str, Any]:
    """Run the chosen parts; returns {part: figures}."""
    if args.child:
        return measure_in_child(args)
    chosen = [part.strip() for part in args.parts.split(",") if part.strip()]
    unknown = set(chosen) - (set(PARTS) if chosen != [SEARCH] else {SEARCH})
    if unknown or args.rounds < 1 or args.batch_size < 2:
        raise RsnbError(f"--parts {args.parts}: choose from {', '.join(PARTS)}; --rounds at least 1, --batch-size 2")
    if args.images < 10:
        raise RsnbError(f"--images {args.images}: at least 10 are needed for R@10")
    if args.out and args.out.exists() and not args.force:
        raise RsnbError(f"{args.out} exists; give another --out, or --force to replace it")
    if args.threads < 1:
        raise RsnbError(f"--threads {args.threads}: at least 1")
    with threads(args.threads):
        return _measured(args, chosen)


def _measured(args, chosen: list[str]) -> dict[str, Any]:
    import torch

    if chosen == [SEARCH]:
        return _search(args)
    pair = Pair(args) if set(chosen) - {"data", "start"} else None
    results: dict[str, Any] = {
        "machine": {
            "processor": platform.machine(),
            "threads": args.threads,
            "clock": "CPU seconds" if args.device.startswith("cpu") else "seconds on the wall",
            "torch": torch.__version__,
            "device": args.device,
            **({"card": torch.cuda.get_device_name()} if args.device.startswith("cuda") else {}),
        }
    }
    results |= {"backbone": f"{args.backbone}, RANDOM weights", "batch_size": args.batch_size, "rounds": args.rounds}
    source = f"{Path(args.captions).parent.name}/{Path(args.captions).name}" if args.captions else "the toy world"
    results |= {"date": datetime.date.today().isoformat()}
    results |= {
        "captions": f"from {source}",
        "command": f"rsnb bench --parts {','.join(chosen)} --backbone "
        f"{args.backbone} --batch-size {args.batch_size} --rounds {args.rounds} --device {args.device}"
        + (f" --threads {args.threads}" if args.threads > 1 else "")
        + (f" --images {args.images}" if args.images != IMAGES else "")
        + (f" --captions {source}" if args.captions else ""),
    }
    results |= {"key": bench_key(args, chosen, pair), "made_by": keys.made_by(keys.SPEED)}
    for part in chosen:
        results[part] = DO[part](args, pair)
        if not args.json:
            print(f"{part}: {json.dumps(results[part], indent=1)}", flush=True)
        if args.out:  # after each part: what is measured is kept
            write_json(args.out, results)
    if args.json:
        print(json.dumps(results, indent=1))
    return results


def _search(args) -> dict[str, Any]:
    import torch

    from rsnb.studies.speed.search import WIDTH, measure_search

    command = f"rsnb bench --parts {SEARCH} --rounds {args.rounds} --threads {args.threads}"
    clock = {"threads": args.threads, "clock": "seconds on the wall", "torch": torch.__version__}
    results = {
        "machine": {"processor": platform.machine(), **clock},
        "captions": f"random rows of {WIDTH} numbers",
        "backbone": "no model",
        "date": datetime.date.today().isoformat(),
        "command": command,
        "key": search_key(args),
        "made_by": keys.made_by(keys.SEARCH),
        SEARCH: measure_search(args.rounds),
    }
    if args.out:
        write_json(args.out, results)
    if args.json or not args.out:
        print(json.dumps(results if args.json else results[SEARCH], indent=1))
    return results


def search_key(args) -> dict[str, Any]:
    """All that decides the times of a search but the machine."""
    return keys.key_of({"rounds": args.rounds, "threads": args.threads}, {}, "", keys.SEARCH)


def bench_key(args, parts: Sequence[str], pair: Pair | None) -> dict[str, Any]:
    """All that decides a measurement but the machine. pair: None where no CLIP is measured."""
    settings = {name: getattr(args, name) for name in ("backbone", "batch_size", "rounds", "images", "threads")}
    settings |= {"parts": list(parts), "device": args.device.partition(":")[0]}
    data = {"captions": digest("\n".join(pair.sentences))} if pair else {}
    return keys.key_of(settings, data, pair.clip.fingerprint() if pair else "", keys.SPEED)
