"""An epoch of methods that leave a tower alone: what is encoded once for a run, against encoding it each time."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

from rsnb.studies.speed.pair import Pair, random_clip
from rsnb.studies.speed.timing import clock_of, compared

#: methods of which something is kept, and what each leaves alone
KEPT = {"linear_probe": "both towers", "clip_adapter": "both towers", "coop": "images", "vpt": "captions"}
EPOCHS = 3  # of a run; all but the first are timed


def epochs(args, pair: Pair) -> dict[str, Any]:
    """Seconds of a further epoch of every pair of a part of the toy world, training and validation together, with
    nothing kept and with all that may be; and how far apart the two runs end."""
    import rsnb
    from rsnb.methods import METHODS

    train, val = (rsnb.load_dataset("toy", split, limit=args.images) for split in ("train", "val"))
    clip = random_clip(args.backbone)
    found: dict[str, Any] = {"images": args.images, "captions": len(train.captions[0])}
    for method in KEPT:
        config = rsnb.TrainConfig(
            method=method, loss=METHODS[method].loss, epochs=EPOCHS, pairs="all", batch_size=args.batch_size,
            device=args.device,
        )  # fmt: skip
        times: dict[str, list[float]] = {"nothing": [], "kept": []}
        for _ in range(args.rounds):
            ends = {}
            for name, keep in (("nothing", {"keep_bytes": 0}), ("kept", {})):
                seconds, first, ends[name] = _run(clip, train, val, config, args.device, keep)
                times[name].append(statistics.median(seconds))
        rows = zip(ends["nothing"], ends["kept"])
        gap = max(abs(a[name] - b[name]) for a, b in rows for name in ("loss", "val_mr"))
        of = compared(times["nothing"], times["kept"])
        found[method] = {"left alone": KEPT[method], "ratio": of["ratio"], "seconds": of["plain_seconds"]}
        found[method] |= {"seconds_kept": of["our_seconds"], "first_epoch_kept": round(first, 4)}
        found[method] |= {"largest_difference": float(f"{gap:.1e}")}
    return found


def _run(clip, train, val, config, device: str, keep: dict[str, int]) -> tuple[list[float], float, list[dict]]:
    """Seconds of the further epochs and of the first one, and the history."""
    import rsnb

    clock = clock_of(device)
    model = rsnb.adapt(clip, config.method, seed=0)
    ticks = [clock()]
    done = rsnb.train(model, train, val, config, progress=False, on_epoch=lambda _: ticks.append(clock()), **keep)
    model.detach()
    first, *others = (after - before for before, after in itertools.pairwise(ticks))
    return others, first, done.history
