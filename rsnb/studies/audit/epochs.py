"""What choosing the best epoch on test instead of validation gains."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsnb.base.files import write_text
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation.spec import Spec
from rsnb.studies.runs import recipe

METHODS = ("mrs", "linear_probe", "adaptformer")  # whose best epoch is chosen twice
EPOCHS = 12
HALVES = 500  # random halves of the test part


# --- 5. the best epoch, chosen on validation and on test -----------------------------------------------------------
def watch(lab, method: str, seed: int, epochs: int = EPOCHS, folder: Path | None = None) -> dict[str, Any]:
    """Train one run and judge every epoch on validation and on test: from its file in ``folder``, or now.

    Returns:
        ``epochs``: for each one ``val_mr``, ``test_mr`` (percent), and for each of the N test images ``text``: the
        share of K = 1, 5, 10 at which it is a hit, and ``image``: the sum of the like over its captions (the lab's
        cells have the same two). The choice is made afterwards, so one training serves both.
    """
    import rsnb
    from rsnb.base.recalls import KS

    test = lab.parts["test"]
    spec = Spec(recipe(test.name, lab.backbone, method, epochs=epochs))
    key = {**lab.key(spec, seed), "code": keys.code_of(keys.BEST_EPOCH).digest}
    path = folder / f"{method}-seed{seed}.json" if folder else None
    if path and path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] == key:
            return found
    model, rows, started = lab.adapted(spec, seed), [], time.perf_counter()
    store = rsnb.data.PixelStore(test, model.clip)
    count = [len(item.captions) for item in test]

    def judge(row: dict[str, Any]) -> None:
        report = rsnb.evaluate(model, test, store=store, precision=spec.config.precision)
        hit = sum((report.image_ranks < k).double() for k in KS) / len(KS)
        image = hit.new_zeros(len(test)).index_add_(0, report.owner, hit)
        text = sum((report.text_ranks < k).double() for k in KS) / len(KS)
        rows.append(
            {
                "val_mr": row["val_mr"],
                "test_mr": report.mr,
                "text": [round(x, 4) for x in text.tolist()],
                "image": [round(x, 4) for x in image.tolist()],
            }
        )

    config = spec.config.replace(seed=seed)
    rsnb.train(model, lab.parts["train"], lab.parts["val"], config, progress=False, on_epoch=judge)
    found = {
        "method": method,
        "seed": seed,
        "captions": count,
        "epochs": rows,
        "key": key,
        "made_by": keys.made_by(keys.BEST_EPOCH),
        "stamp": lab.stamp,
        "seconds": round(time.perf_counter() - started, 1),
    }
    if path:
        write_text(path, json.dumps(found) + "\n")
    return found


def choice(run: dict[str, Any], halves: int = HALVES, seed: int = 0) -> dict[str, Any]:
    """What choosing the epoch on test gains in one run of :func:`watch`, and how much of that is luck; mR points.

    ``gain``: test mR of the epoch that test likes best, minus that of the epoch that validation likes best. Never
    negative. For the luck, the test images are parted in two halves at random, ``halves`` times: the epoch that half
    A chooses is compared with validation's choice on half A, where it was chosen (``own_half``, flattered), and on
    half B, which had no say (``other_half``, honest). The gallery stays whole.
    """
    import numpy as np

    val, test = ([row[name] for row in run["epochs"]] for name in ("val_mr", "test_mr"))
    by_val, by_test = val.index(max(val)), test.index(max(test))  # the first of equals, as in train
    text, image = (np.array([row[name] for row in run["epochs"]]) for name in ("text", "image"))  # (epochs, N)
    captions, rng = np.array(run["captions"], dtype=float), np.random.default_rng(seed)
    own, other = [], []
    for _ in range(halves):
        parts = np.array_split(rng.permutation(len(captions)), 2)
        a, b = (50 * (text[:, p].mean(axis=1) + image[:, p].sum(axis=1) / captions[p].sum()) for p in parts)
        chosen = a.argmax()
        own.append(a[chosen] - a[by_val])
        other.append(b[chosen] - b[by_val])
    return {
        "method": run["method"],
        "seed": run["seed"],
        "by_val": by_val + 1,
        "by_test": by_test + 1,
        "gain": test[by_test] - test[by_val],
        "own_half": float(np.mean(own)),
        "other_half": float(np.mean(other)),
        "val_mr": [round(x, 3) for x in val],
        "test_mr": [round(x, 3) for x in test],
    }


def best_epochs(
    methods: Sequence[str] = METHODS,
    seeds: int = 3,
    epochs: int = EPOCHS,
    data: str = "toy",
    root: str | Path | None = None,
    out: Path = Path("outputs/audit"),
    limit: int | None = None,
) -> dict[str, Any]:
    """:func:`choice` of every method and seed. Finished runs are kept in ``out``, and found there again."""
    from rsnb.methods import METHODS as known
    from rsnb.studies.ablation import lab as laboratory

    wrong = [method for method in methods if method not in known or method == "zero_shot"]
    if wrong or seeds < 1 or epochs < 2:
        raise RsnbError(
            f"methods {', '.join(methods)}, {seeds} seeds, {epochs} epochs: take methods that train "
            f"({', '.join(m for m in known if m != 'zero_shot')}), 1 seed or more, 2 epochs or more"
        )
    lab, runs = laboratory.Lab(data, root, folder=out, limit=limit), []
    for seed in range(seeds):
        for method in methods:
            run = watch(lab, method, seed, epochs, out / "best-epoch")
            runs.append(choice(run))
            print(f"{method}, seed {seed}: gain {runs[-1]['gain']:.2f} mR ({run['seconds']:.0f} s)", flush=True)
    runs.sort(key=lambda run: (methods.index(run["method"]), run["seed"]))
    return {
        "key": best_epochs_key(lab, methods, seeds, epochs),
        "made_by": keys.made_by(keys.BEST_EPOCH),
        "epochs": epochs,
        "seeds": seeds,
        "halves": HALVES,
        "images": len(lab.parts["test"]),
        "val_images": len(lab.parts["val"]),
        "made_from": lab.stamp,
        "trainings": runs,
    }


def best_epochs_key(lab, methods: Sequence[str], seeds: int, epochs: int) -> dict[str, Any]:
    """All that decides what :func:`best_epochs` finds."""
    specs = {m: Spec(recipe(lab.parts["test"].name, lab.backbone, m, epochs=epochs)) for m in methods}
    each = dict(zip(specs, lab.keys((spec, 0) for spec in specs.values())))
    settings = {"configs": {method: key["settings"]["config"] for method, key in each.items()}, "seeds": seeds}
    one = next(iter(each.values()))
    return keys.key_of({**settings, "halves": HALVES}, one["data"], one["weights"], keys.BEST_EPOCH)


def gains(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per method, and one for all runs: mean gain of choosing on test in mR points, its spread over the seeds
    (sample standard deviation), and what it was worth on the half that chose and on the other half."""
    groups = {run["method"]: [] for run in found["trainings"]}
    for run in found["trainings"]:
        groups[run["method"]].append(run)
    groups = {**groups, "all runs": list(found["trainings"])} if len(groups) > 1 else groups
    return [
        {
            "method": name,
            "runs": len(own),
            "gain": statistics.fmean(run["gain"] for run in own),
            "sd": statistics.stdev(run["gain"] for run in own) if len(own) > 1 else math.nan,
            "largest": max(run["gain"] for run in own),
            "other epoch": sum(run["by_val"] != run["by_test"] for run in own),
            "half that chose": statistics.fmean(run["own_half"] for run in own),
            "other half": statistics.fmean(run["other_half"] for run in own),
        }
        for name, own in groups.items()
    ]
