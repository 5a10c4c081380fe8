"""``rsnb audit``: the printed numbers of the paper, read again with care.

Five questions to a table of recalls: do the means agree with their parts; do the counts give the percentage; which
recalls can a single run have on so many images; what could any model reach; and what is won by choosing the epoch on
the test part. The first three need the printed table alone (``paper.csv``), the fourth the caption files, the last a
few trainings on the toy world. :func:`findings` says what follows from an answer, and what does not. This file imports
torch only where it counts or trains.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.studies import paper

#: Test images and captions, as the paper states them.
SIZES = {"RSICD": (1093, 5465), "RSITMD": (452, 2260), "UCM": (210, 1050)}
KINDS = {
    "traditional": "traditional methods",
    "clip": "other CLIP methods",
    "prompt": "prompts and adapters",
    "adapter": "prompts and adapters",
}
WAYS = {"text": "image to text", "image": "text to image"}
NAMES = {f"{way}_r{k}": f"{short} R@{k}" for way, short in (("text", "i2t"), ("image", "t2i")) for k in (1, 5, 10)}
METHODS = ("mrs", "linear_probe", "adaptformer")  # whose best epoch is chosen twice
EPOCHS = 12
HALVES = 500  # random halves of the test part


# --- 1. the mean of six ------------------------------------------------------------------------------------------
# Printed values have two decimals: hundredths are whole numbers, and all sums of them are exact.
def hundredths(value: float) -> int:
    """16.02 -> 1602."""
    return round(100 * value)


def gap(recalls: Iterable[float], mr: float) -> int:
    """Printed mR minus the mean of the six printed recalls, in 1/600 of a point: 6 mR - sum, in hundredths."""
    return 6 * hundredths(mr) - sum(map(hundredths, recalls))


def means(rows: Sequence[paper.Row] | None = None) -> list[dict[str, Any]]:
    """Every printed mR beside the mean of its six recalls.

    Rounding moves each of six recalls, and so their mean, by at most 0.005, and mR by another 0.005: a sound row can be
    off by 0.01, which is 6 in units of :func:`gap`. Cutting instead of rounding gives the same bound. ``verdict``:
    "exact" (mR is the rounded mean of the printed recalls), "rounding" (within the bound), "beyond".
    """
    table = []
    for row in paper.all_rows() if rows is None else rows:
        off = gap(row.recalls.values(), row.mr)
        verdict = "exact" if abs(off) <= 3 else "rounding" if abs(off) <= 6 else "beyond"
        table.append(
            {
                "dataset": row.dataset,
                "method": row.title,
                "printed": row.mr,
                "computed": row.mean,
                "gap": off / 600,
                "verdict": verdict,
            }
        )
    return table


def one_digit(recalls: Mapping[str, float], mr: float) -> list[tuple[str, str, str]]:
    """The changes of one digit that would make a row sound: (which number, as printed, changed). The recalls of a
    direction must still rise from R@1 to R@10."""
    printed, found = {**recalls, "mr": mr}, []
    for name, value in printed.items():
        text = f"{value:.2f}"
        for place, digit in enumerate(text):
            for other in "0123456789" if digit != "." else "":
                new = text[:place] + other + text[place + 1 :]
                if other == digit or (new[0] == "0" and len(new) > 4):
                    continue
                row = {**printed, name: float(new)}
                mean = row.pop("mr")
                ways = [[v for n, v in row.items() if n.startswith(way)] for way in WAYS]
                if abs(gap(row.values(), mean)) <= 6 and all(own == sorted(own) for own in ways):
                    found.append((name, text, new))
    return found


def mendable(off: float) -> float:
    """Of the sound rows: the share (0 to 1) that one digit could still mend if their mR were printed ``off`` higher."""
    sound = [row for row, line in zip(paper.all_rows(), means()) if line["verdict"] != "beyond"]
    return sum(bool(one_digit(row.recalls, row.mr + off)) for row in sound) / len(sound)


# --- 2. how many parameters fewer --------------------------------------------------------------------------------
def parameters() -> dict[str, float]:
    """Trained parameters of the adapter and of full fine-tuning, counted on ViT-B/32, and how many per cent fewer:
    as printed (``claimed``), from the exact counts, and at least and at most from the printed, rounded 0.16 M.
    ``implied``: of how many parameters the claimed percentage would leave the adapter's."""
    from rsnb.methods import METHODS

    few, all_ = METHODS["mrs"].count_vit_b32, METHODS["full"].count_vit_b32
    fewer = [100 * (1 - part / all_) for part in (few, 1e6 * paper.MILLIONS + 5000, 1e6 * paper.MILLIONS - 5000)]
    return {
        "trained": few,
        "all": all_,
        "claimed": paper.FEWER,
        "fewer": fewer[0],
        "least": fewer[1],
        "most": fewer[2],
        "implied": few / (1 - paper.FEWER / 100),
    }


# --- 3. which recalls are possible -------------------------------------------------------------------------------
@functools.cache
def lattice(queries: int) -> frozenset[int]:
    """The values, in hundredths of a per cent, that a recall over so many queries can be printed as.

    k hits of N queries are 100 k / N per cent. Every value within 0.01 of one of these counts as possible, so that
    rounding, cutting, and rounding twice on the way to a mean are all allowed.
    """
    if queries >= 10_000:  # the steps are no wider than 0.01
        return frozenset(range(10_001))
    found: set[int] = set()
    for k in range(queries + 1):
        low, rest = divmod(10_000 * k, queries)
        found.update((low - 1, low, low + 1) if rest == 0 else (low, low + 1))
    return frozenset(found & set(range(10_001)))


def possible(value: float, queries: int) -> bool:
    """Whether a printed recall can be a share of so many queries; see :func:`lattice`."""
    return hundredths(value) in lattice(queries)


def chance(queries: int) -> float:
    """The share (0 to 1) of all values with two decimals that pass the test by luck."""
    return len(lattice(queries)) / 10_001


def tail(passed: int, total: int, luck: float) -> float:
    """Probability that at least so many of the values pass by luck alone."""
    return math.fsum(math.comb(total, k) * luck**k * (1 - luck) ** (total - k) for k in range(passed, total + 1))


def recalls_of(dataset: str, kind: str, way: str) -> list[float]:
    """All printed recalls of one data set, one of the ``KINDS`` of methods and one direction."""
    rows = [row for row in paper.all_rows(dataset) if KINDS[row.group] == kind]
    return [value for row in rows for name, value in row.recalls.items() if name.startswith(way)]


def granularity(dataset: str, kind: str, way: str = "text", runs: int = 1, images: int | None = None) -> dict[str, Any]:
    """How many of the printed recalls can be counts over the test split, as means of ``runs`` runs of equal weight.

    Args:
        images: count over so many images instead; captions five times as many.

    Returns:
        ``passed`` of ``total``; ``chance``, the share that passes by luck; ``luck``, the probability of so many
        passes by luck alone.
    """
    values = recalls_of(dataset, kind, way)
    queries = runs * (SIZES[dataset][way == "image"] if images is None else images * (5 if way == "image" else 1))
    passed, rate = sum(possible(value, queries) for value in values), chance(queries)
    return {
        "dataset": dataset,
        "methods": kind,
        "way": way,
        "runs": runs,
        "queries": queries,
        "passed": passed,
        "total": len(values),
        "share": passed / len(values),
        "chance": rate,
        "luck": tail(passed, len(values), rate),
    }


def who_counted(dataset: str, kind: str, spread: float = 0.12) -> list[dict[str, Any]]:
    """:func:`granularity` of image to text, had the test split another number of images: from ``spread`` fewer to as
    many more. A peak says over how many images the recalls were counted."""
    images = SIZES[dataset][0]
    width = round(spread * images)
    return [{"images": n, **granularity(dataset, kind, images=n)} for n in range(images - width, images + width + 1)]


# --- 4. what could be reached ------------------------------------------------------------------------------------
def count(test, train, title: str) -> dict[str, Any]:
    """The captions of a test split: how many are distinct, describe several images, stand in train too, and the
    ceiling of every recall under random tie-breaking (:func:`rsnb.measures.ties.ceiling`), in percent.

    Args:
        test, train: from ``rsnb.load_dataset``, with or without images; train is all that may be learnt from.
    """
    from rsnb.measures import ties as honest

    captions, owner = test.captions
    seen = set(train.captions[0])
    ceiling = honest.ceiling(captions, owner)
    return {
        "dataset": title,
        "images": len(test),
        "captions": len(captions),
        "distinct": len(set(captions)),
        "shared": honest.shared_captions(captions, owner),
        "in_train": sum(c in seen for c in captions),
        "distinct_in_train": len(set(captions) & seen),
        "ceiling": {name: round(value, 2) for name, value in ceiling.items()},
    }


def count_all(root: str | Path) -> dict[str, Any]:
    """:func:`count` of the real caption files: ``root`` holds ucm_precomp, rsicd_precomp and rsitmd_precomp. No image
    is opened."""
    import rsnb

    folders = {name: Path(root).expanduser() / f"{name.lower()}_precomp" for name in SIZES}
    missing = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if missing:
        raise RsnbError(
            f"there is no folder {', '.join(missing)}; --root is the folder that holds all of "
            f"{', '.join(folder.name for folder in folders.values())}"
        )
    found = {}
    for name, folder in folders.items():
        parts = (rsnb.load_dataset(name.lower(), part, root=folder, images=False) for part in ("test", "trainval"))
        found[name] = count(*parts, name)
    return found


def above_ceiling(ceilings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The printed recalls (and mR) that are above the ceiling of their test split."""
    rows = (row for row in paper.all_rows() if row.dataset in ceilings)
    return [
        {"dataset": row.dataset, "method": row.title, "recall": name, "printed": value, "ceiling": limit}
        for row in rows
        for name, value in {**row.recalls, "mr": row.mr}.items()
        if value > (limit := ceilings[row.dataset]["ceiling"][name]) + 0.01
    ]


def best_row(dataset: str) -> paper.Row:
    """The printed row with the highest mR."""
    return max(paper.all_rows(dataset), key=lambda row: row.mr)


# --- 5. the best epoch, chosen on validation and on test -----------------------------------------------------------
def watch(lab, method: str, seed: int, epochs: int = EPOCHS, folder: Path | None = None) -> dict[str, Any]:
    """Train one run and judge every epoch on validation and on test: from its file in ``folder``, or now.

    Returns:
        ``epochs``: for each one ``val_mr``, ``test_mr`` (percent), and for each of the N test images ``text``: the
        share of K = 1, 5, 10 at which it is a hit, and ``image``: the sum of the like over its captions (the lab's
        cells have the same two). The choice is made afterwards, so one training serves both.
    """
    import rsnb
    from rsnb.evaluation import KS
    from rsnb.measures import similarity as analysis
    from rsnb.studies.ablation import lab as laboratory

    test = lab.parts["test"]
    spec = laboratory.Spec(analysis.recipe(test.name, lab.backbone, method, epochs=epochs))
    key = json.loads(json.dumps(lab.key(spec, seed) | {"test": test.fingerprint()}))
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
        "stamp": lab.stamp,
        "seconds": round(time.perf_counter() - started, 1),
    }
    if path:
        from rsnb.classroom import lesson

        lesson.write_bytes(path, (json.dumps(found) + "\n").encode())
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
        "epochs": epochs,
        "seeds": seeds,
        "halves": HALVES,
        "images": len(lab.parts["test"]),
        "val_images": len(lab.parts["val"]),
        "made_from": lab.stamp,
        "trainings": runs,
    }


def gains(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a method, and one for all runs: mean gain of choosing on test in mR points, its spread over the seeds
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


# --- what follows ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Finding:
    """What was found, in a sentence or two, and what may innocently explain it or does not follow from it."""

    topic: str
    found: str
    but: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.found}\n    But: {self.but}"


def findings(captions: Mapping[str, Any] | None = None, epochs: Mapping[str, Any] | None = None) -> list[Finding]:
    """Plain sentences, composed from what is computed now. Without arguments the result files are read; what has none
    is left out."""
    captions = read("audit") if captions is None else captions
    epochs = read("best-epoch") if epochs is None else epochs
    said = [_said_of_means(), _said_of_parameters(), *_said_of_granularity()]
    if captions:
        said.append(_said_of_ceilings(captions["sets"]))
    if epochs:
        said.append(_said_of_epochs(epochs))
    return said


def _said_of_means() -> Finding:
    table, rows = means(), paper.all_rows()
    beyond = [(line, one_digit(row.recalls, row.mr)) for line, row in zip(table, rows) if line["verdict"] == "beyond"]
    each = [
        f"{line['dataset']} {line['method']} {line['printed']:.2f} printed, {line['computed']:.2f} computed "
        f"({line['gap']:+.2f})"
        for line, _ in beyond
    ]
    rounding = sum(line["verdict"] == "rounding" for line in table)
    alone = [f"{line['dataset']} {line['method']}" for line, changes in beyond if not changes]
    digits = [f"No single digit would mend {_listed(alone)}."] if alone else []
    for line, changes in beyond:
        if changes:
            ways = ", ".join(f"{NAMES.get(n, 'mR')} {new} for {old}" for n, old, new in changes[:3])
            digits.append(
                f"{_several(len(changes), 'change')} of one digit would mend {line['dataset']} {line['method']} "
                f"({ways}); of sound rows with the same gap put in, {mendable(line['gap']):.0%} could be mended too: "
                "a digit that fits is weak evidence."
            )
    order = "is the same" if _order_stands() else "changes"
    return Finding(
        "The mean of six",
        f"In {len(table) - len(beyond)} of {len(table)} rows the printed mR is the mean of the six printed recalls, "
        f"within the 0.01 that rounding explains ({rounding} of them use more than half of it). "
        f"{_several(len(beyond), 'row')} are off by more: {'; '.join(each)}.",
        f"{' '.join(digits)} A row may also have been taken over as it stood in its source, or its recalls renewed and "
        f"its mean not. The order of the methods by mR {order} with either number.",
    )


def _order_stands() -> bool:
    """Whether the methods of each data set rank alike by the printed and by the computed mean."""
    for name in paper.DATASETS:
        rows = paper.all_rows(name)
        if sorted(rows, key=lambda r: hundredths(r.mr)) != sorted(rows, key=lambda r: hundredths(r.mean)):
            return False
    return True


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _several(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _said_of_parameters() -> Finding:
    p = parameters()
    return Finding(
        "Fewer parameters",
        f"{p['trained']:,} of {p['all']:,} parameters are {p['fewer']:.2f} % fewer, where {p['claimed']:.1f} % is "
        f"printed; any count that rounds to {paper.MILLIONS} M gives {p['least']:.2f} to {p['most']:.2f} %.",
        f"{p['claimed']:.1f} and {p['fewer']:.1f} differ in one digit, and the printed number is the more modest one. "
        f"It would be right for a model of {p['implied'] / 1e6:.1f} M parameters.",
    )


def _said_of_granularity() -> list[Finding]:
    said = []
    cited, own = KINDS["traditional"], KINDS["adapter"]
    a, b = (granularity("UCM", kind) for kind in (cited, own))
    several = [granularity("UCM", own, runs=n) for n in range(2, 11)]
    best = min(several, key=lambda line: line["luck"])
    whole = [line["runs"] for line in several if line["passed"] == line["total"]]
    images = SIZES["UCM"][0]
    wide = granularity("RSICD", own, "image")
    single = "more than luck gives" if b["luck"] < 0.01 else f"so these are not counts of one run on {images} images"
    means_of = (
        f"Equal means of {_listed(list(map(str, whole)))} runs would allow all of them."
        if whole
        else f"Equal means of 2 to {several[-1]['runs']} runs do not allow all of them either: {best['runs']} runs fit "
        f"best, with {best['passed']} of {best['total']}, where luck gives {best['chance']:.0%}."
    )
    said.append(
        Finding(
            "Possible recalls",
            f"An image-to-text recall of one run on {images} images is a multiple of 1/{images}. On UCM {a['passed']} "
            f"of {a['total']} values of the {cited} are, where luck gives {a['chance']:.0%}; of the {own} "
            f"{b['passed']} of {b['total']}, where luck gives {b['chance']:.0%}: {single}. {means_of}",
            "A mean over more runs or folds, or a weighted one, is good practice and gives such values. So does "
            "another list of test images, or another way to count the captions. The test cannot tell these apart. Nor "
            f"does a value that passes prove anything where luck is likely: over RSICD's {SIZES['RSICD'][1]:,} "
            f"captions {wide['chance']:.0%} of all values with two decimals are possible.",
        )
    )
    scan, here, stated = who_counted("RSICD", cited), granularity("RSICD", cited), SIZES["RSICD"][0]
    top = max(scan, key=lambda line: line["passed"])
    if top["images"] != stated and top["luck"] * len(scan) < 0.001:
        clip = max(who_counted("RSICD", KINDS["clip"]), key=lambda line: line["passed"])
        said.append(
            Finding(
                "How many images",
                f"Of the {here['total']} image-to-text recalls of {cited} on RSICD, {here['passed']} can be counts "
                f"over the stated {stated:,} images and {top['passed']} over {top['images']:,}, which fits better than "
                f"any other number near it. For the {KINDS['clip']} {clip['images']:,} fits best, with "
                f"{clip['passed']} of {clip['total']}.",
                f"A list that differs by {_several(abs(top['images'] - stated), 'image')} is enough, and so small a "
                "difference hardly moves a recall. A table that takes rows over from other papers takes their test "
                "lists with them; which list it was, only those papers can say.",
            )
        )
    return said


def _said_of_ceilings(sets: Mapping[str, Any]) -> Finding:
    above = above_ceiling(sets)
    name, low = min(sets.items(), key=lambda item: item[1]["ceiling"]["mr"])
    others = [f"{other} {s['ceiling']['mr']:.1f}" for other, s in sets.items() if other != name]
    shares = [f"{best_row(other).mr / s['ceiling']['mr']:.0%} of it on {other}" for other, s in sets.items()]
    number = _several(len(above), "printed number") if above else "No printed number"
    return Finding(
        "What could be reached",
        f"{name} has {low['distinct']:,} distinct texts among {low['captions']:,} test captions, and "
        f"{low['in_train'] / low['captions']:.0%} of the captions also stand in train. No model can expect more than "
        f"{low['ceiling']['text_r1']:.1f} i2t R@1, {low['ceiling']['image_r1']:.1f} t2i R@1 and "
        f"{low['ceiling']['mr']:.1f} mR there ({_listed(others)} mR). The best printed rows reach {_listed(shares)}. "
        f"{number} {'stand' if len(above) > 1 else 'stands'} above a ceiling.",
        "The ceiling is an expectation over random orders of equal captions. A sort that happens to favour the right "
        "one, another split, or corrected captions could lie above it without any fault.",
    )


def _said_of_epochs(found: Mapping[str, Any]) -> Finding:
    *methods, whole = gains(found)
    each = ", ".join(
        f"{line['method']} {line['gain']:.2f} with a spread of {line['sd']:.2f} over its seeds"
        if line["runs"] > 1
        else f"{line['method']} {line['gain']:.2f}"
        for line in methods
    )
    luck = whole["half that chose"] - whole["other half"]
    return Finding(
        "The best epoch",
        f"In {whole['runs']} of our own runs of {found['epochs']} epochs ({found['made_from']}), choosing the epoch on "
        f"test instead of validation adds {whole['gain']:.2f} mR on average and at most {whole['largest']:.2f}"
        + (f" ({each})" if each else "")
        + f"; in {whole['runs'] - whole['other epoch']} of them both parts choose the "
        f"same epoch. Chosen by one random half of the test images, the epoch is worth "
        f"{whole['half that chose']:+.2f} on that half and {whole['other half']:+.2f} on the other: the two "
        f"differ by {luck:.2f} mR, which is what a choice adds to the images that it is made on.",
        "This says nothing about the paper, whose protocol chooses on validation. It is one list of epochs of one run "
        f"on {found['images']} drawn images: who also chooses among settings and seeds on test gains more; on a larger "
        "test part the gain is smaller.",
    )


# --- result files and the command --------------------------------------------------------------------------------
def read(name: str) -> dict[str, Any] | None:
    """A committed result file, "audit" or "best-epoch"; None where there is none."""
    path = paths.results_dir() / f"{name}.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["sets" if name == "audit" else "trainings"]
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is no result file of rsnb audit ({error!r}); remove or renew it") from None


def install(name: str, what: str, command: str, stamp: str, numbers: Mapping[str, Any]) -> Path:
    """Write a result file with all that says where it comes from."""
    from rsnb.classroom import lesson

    path = paths.results_dir() / f"{name}.json"
    lesson.write_bytes(path, _compact({**lesson.result_head(what, command, stamp), **numbers}).encode())
    return path


def _compact(found: Mapping[str, Any]) -> str:
    """JSON with one line a field, and one a run."""
    lines = []
    for key, value in found.items():
        body = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            body = "[\n  " + ",\n  ".join(json.dumps(_short(item), ensure_ascii=False) for item in value) + "\n ]"
        lines.append(f" {json.dumps(key)}: {body}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        default=None,
        help="count the real captions again: the folder that holds "
        "ucm_precomp, rsicd_precomp and rsitmd_precomp (no images needed)",
    )
    parser.add_argument(
        "--part",
        default=None,
        choices=("best-epoch",),
        help="train the runs that choose their epoch on validation and on test; finished ones are kept in --out",
    )
    parser.add_argument("--methods", default=",".join(METHODS), help="of --part best-epoch (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of --part best-epoch (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of --part best-epoch (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=None, help="at most N images of each split (for a try)")
    parser.add_argument("--out", type=Path, default=Path("outputs/audit"), help="folder of the runs of --part")
    parser.add_argument("--install", action="store_true", help="keep what was counted with the committed results")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Count or train what was asked for; print the findings."""
    if args.install and not (args.root or args.part):
        raise RsnbError("--install keeps what was counted or trained; give it with --root DIR or --part best-epoch")
    if args.install and args.limit:
        raise RsnbError("--install keeps results that others rely on; leave out --limit")
    captions = epochs = None
    if args.root:
        captions = {"sets": count_all(args.root)}
        if args.install:
            install(
                "audit",
                "captions of the three test splits, and the ceilings they set",
                "rsnb audit --root DIR --install",
                "UCM-Captions, RSICD, RSITMD (real) · captions alone",
                captions,
            )
    if args.part:
        methods = [name.strip() for name in args.methods.split(",") if name.strip()]
        epochs = best_epochs(methods, args.seeds, args.epochs, out=args.out, limit=args.limit)
        if args.install:
            install(
                "best-epoch",
                "test mR of the epoch that validation chooses, and of the one that test chooses",
                f"rsnb audit --part best-epoch --methods {','.join(methods)} --seeds {args.seeds} --epochs "
                f"{args.epochs} --install",
                f"{epochs['made_from']} · {args.epochs} epochs · {args.seeds} seeds",
                epochs,
            )
    said = findings(captions, epochs)
    print(json.dumps([asdict(line) for line in said], indent=1) if args.json else "\n".join(map(str, said)))
    return 0
