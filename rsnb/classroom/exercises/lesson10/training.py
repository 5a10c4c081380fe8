"""What training may see and move: no image of test, no frozen weight, no epoch chosen on test."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from rsnb.classroom.bughunt import checks
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.lesson10 import draws
from rsnb.classroom.exercises.lesson10.frame import HIGH, LOW, different, probe, sound, when


# --- images in both parts ------------------------------------------------------------------------------------
def _parts() -> list[Suspect]:
    """Sound: other images, though sentences repeat; broken: from a single image to all of them."""
    said = sound(11)
    said.train_pairs = [(image.replace("_", "_9"), caption) for image, caption in said.test_pairs]
    untrained = sound(12, LOW)
    untrained.train_pairs = []
    every, single, mixed, pair = sound(13), sound(14, LOW), sound(15), sound(16, LOW)
    every.train_pairs = [(image, f"another {caption}") for image, caption in every.test_pairs]
    single.train_pairs = [*single.train_pairs, (single.gallery[3], "another sentence")]
    mixed.train_pairs = [*mixed.train_pairs, *((image, "one more") for image, _ in mixed.test_pairs)]
    pair.train_pairs = [pair.test_pairs[7], *pair.train_pairs]
    return [said, untrained, every, single, mixed, pair, sound(17, LOW), sound(18, each=None)]


def _names(pairs) -> set[str]:
    return {image for image, _ in pairs}


PROBE_SPLIT = probe(
    "split",
    checks.leaks,
    _parts,
    title="two parts",
    draw=draws.split,
    difficulty=1,
    minutes=5,
    question=(
        "Notebook 1: what must never be in both training and test? A sentence may be: many images share short "
        "true sentences."
    ),
    handles="`suspect.train_pairs`, `suspect.test_pairs`, lists of (image name, caption)",
    solution=(
        "def probe_split(suspect):\n"
        "    trained = {image for image, caption in suspect.train_pairs}\n"
        "    return any(image in trained for image, caption in suspect.test_pairs)\n"
    ),
    never="The names of the images are in the pairs: make a set of each part's and intersect them",
    mistakes={
        "captions": when(
            lambda s: {c for _, c in s.train_pairs} & {c for _, c in s.test_pairs},
            "captions are compared. A sentence may describe many images; what must not be in both parts is an image",
        ),
        "pairs": when(
            lambda s: set(s.train_pairs) & set(s.test_pairs),
            "whole pairs are compared. When captions are dealt out one by one, no pair is in both parts, but the "
            "images are, with other captions: compare only the first entries",
        ),
        "all of them": when(
            lambda s: _names(s.test_pairs) <= _names(s.train_pairs),
            "it asks whether all test images were trained on; one is enough to break the invariant",
        ),
    },
    hint="make two sets of image names, one of each list, and intersect them",
    errors={"unhashable": "sets hold texts or tuples, not lists: take the image's name alone"},
    right=(
        "def probe_split(suspect):\n"
        "    train, test = (set(list(zip(*p))[0] if p else []) for p in (suspect.train_pairs, suspect.test_pairs))\n"
        "    return not train.isdisjoint(test)\n",
        "def probe_split(suspect):\n"
        "    for name in suspect.gallery:\n"
        "        for image, _ in suspect.train_pairs:\n"
        "            if image == name:\n"
        "                return True\n"
        "    return False\n",
    ),
    wrong={
        "always": "def probe_split(suspect):\n    return len(suspect.train_pairs) >= 0\n",
        "never": "def probe_split(suspect):\n    return any(name in suspect.train_pairs for name in suspect.gallery)\n",
        "too good": "def probe_split(suspect):\n    return suspect.mr > 60\n",
        "too poor": "def probe_split(suspect):\n    return not suspect.mr > 50\n",
        "captions": (
            "def probe_split(suspect):\n"
            "    known = [caption for image, caption in suspect.train_pairs]\n"
            "    return any(caption in known for image, caption in suspect.test_pairs)\n"
        ),
        "pairs": (
            "def probe_split(suspect):\n    return any(pair in suspect.train_pairs for pair in suspect.test_pairs)\n"
        ),
        "all of them": (
            "def probe_split(suspect):\n"
            "    seen = {pair[0] for pair in suspect.train_pairs}\n"
            "    return all(pair[0] in seen for pair in suspect.test_pairs)\n"
        ),
    },
)


# --- what must not move --------------------------------------------------------------------------------------
def _change(suspect: Suspect, **tensors: Tensor) -> Suspect:
    suspect.after.update({name.replace("__", "."): value for name, value in tensors.items()})
    return suspect


def _weights() -> list[Suspect]:
    """Sound: only the adapter moved, or what is said to train; broken: many tensors, one, by little or in balance."""
    open_, tower, still = sound(52), sound(56, LOW), sound(57)
    open_.frozen = ()
    open_.after = {name: value * 1.1 for name, value in open_.before.items()}
    tower.frozen = tuple(name for name in tower.frozen if name.startswith("visual"))
    tower.after = {name: value if name in tower.frozen else value + 1 for name, value in tower.before.items()}
    still.after = copy.deepcopy(still.before)
    many, little, even = sound(53, LOW), sound(54), sound(55, LOW)
    many.after = {name: value + 0.01 for name, value in many.before.items()}
    little.after["text.1.weight"] = little.before["text.1.weight"] * (1 + 5e-6)
    even.before["text.2.weight"] = torch.arange(12.0).view(3, 4) / 4
    even.after["text.2.weight"] = even.before["text.2.weight"].flip(0)
    return [sound(51, LOW), open_, many, little, even, tower, still]


PROBE_FROZEN = probe(
    "frozen",
    checks.moved,
    _weights,
    title="what must not move",
    draw=draws.frozen,
    difficulty=2,
    minutes=6,
    question=(
        "Notebook 3: of all weights, which must be the same after training as before, to the last bit? A run itself "
        "says which weights it froze, and one that openly trains all of them breaks nothing."
    ),
    handles="`suspect.frozen`, a tuple of names; `suspect.before` and `suspect.after`, {name: tensor} of all weights",
    solution=(
        "def probe_frozen(suspect):\n"
        "    before, after = suspect.before, suspect.after\n"
        "    return any(not torch.equal(before[name], after[name]) for name in suspect.frozen)\n"
    ),
    never=(
        "Names, shapes and the number of parameters stay the same whether a weight moves or not: compare the "
        "values, with torch.equal"
    ),
    mistakes={
        "all weights": when(
            lambda s: different(s, s.before, torch.equal),
            "all weights are compared, even those that are meant to learn: the adapter, or all of CLIP in an open "
            "full fine-tuning. Only the names in suspect.frozen must not move",
        ),
        "first tensor": when(
            lambda s: different(s, s.frozen[:1], torch.equal),
            "only the first of the frozen tensors is looked at; some runs moved another one. Go through all of them",
        ),
        "lenient": when(
            lambda s: different(s, s.frozen, torch.allclose),
            "torch.allclose lets small changes pass, and a few steps at a small learning rate are small changes. "
            "Frozen means equal: torch.equal",
        ),
        "sums": when(
            lambda s: different(s, s.frozen, lambda a, b: bool(a.sum() == b.sum())),
            "sums are compared; weights can move and leave their sum where it was. Compare every value: torch.equal",
        ),
    },
    hint="go through suspect.frozen and compare before[name] with after[name] by torch.equal",
    errors={
        "ambiguous": "== of two tensors is a tensor; torch.equal gives one True or False",
        "KeyError": "not every name of one dict must be in the other; the names to look at are in suspect.frozen",
    },
    right=(
        "def probe_frozen(suspect):\n"
        "    changes = [(suspect.before[n] - suspect.after[n]).abs().max().item() for n in suspect.frozen]\n"
        "    return max(changes, default=0.0) > 0\n",
        "def probe_frozen(suspect):\n"
        "    for name, value in suspect.before.items():\n"
        "        if name in suspect.frozen and bool((value != suspect.after[name]).any()):\n"
        "            return True\n"
        "    return False\n",
    ),
    wrong={
        "always": "def probe_frozen(suspect):\n    return suspect.before is not suspect.after\n",
        "never": (
            "def probe_frozen(suspect):\n"
            "    count = lambda weights: sum(w.numel() for w in weights.values())\n"
            "    return count(suspect.before) != count(suspect.after)\n"
        ),
        "all weights": (
            "def probe_frozen(suspect):\n"
            "    return not all(torch.equal(w, suspect.after[name]) for name, w in suspect.before.items())\n"
        ),
        "first tensor": (
            "def probe_frozen(suspect):\n"
            "    for name in suspect.frozen:\n"
            "        return not torch.equal(suspect.before[name], suspect.after[name])\n"
            "    return False\n"
        ),
        "lenient": (
            "def probe_frozen(suspect):\n"
            "    return not all(torch.allclose(suspect.before[n], suspect.after[n]) for n in suspect.frozen)\n"
        ),
        "sums": (
            "def probe_frozen(suspect):\n"
            "    return any(suspect.before[n].sum().item() != suspect.after[n].sum().item() for n in suspect.frozen)\n"
        ),
        "too good": "def probe_frozen(suspect):\n    return suspect.mr > 65\n",
    },
)


# --- the reported epoch --------------------------------------------------------------------------------------
def _told(seed: int, val: list[float], test: list[float], epoch: int, noise: float = HIGH, first: int = 1) -> Suspect:
    rows = [{"epoch": first + i, "val_mr": v, "test_mr": t} for i, (v, t) in enumerate(zip(val, test))]
    return replace(sound(seed, noise), history=rows, epoch=epoch)


def _histories() -> list[Suspect]:
    return [
        _told(61, [30, 45, 44, 41], [31, 42, 47, 40], 2),  # sound, although test has a better one
        _told(62, [30, 41, 46, 44], [31, 40, 48, 45], 3, LOW),  # sound: both agree
        _told(63, [30, 45, 44, 41], [31, 42, 47, 40], 3),  # the best on test
        _told(64, [30, 45, 44, 41], [31, 46, 43, 42], 4, LOW),  # the last one
        _told(65, [30, 45, 41, 45, 39], [31, 42, 47, 44, 40], 4, LOW),  # sound: the later of two equal ones
        sound(66, LOW),  # sound: none was chosen
        _told(67, [30, 33, 47, 41], [31, 45, 44, 40], 12, first=11),  # the best on test; a resumed run
        _told(68, [30, 33, 47, 41], [31, 45, 44, 40], 13, LOW, 11),  # sound: a resumed run
    ]


def _at(s: Suspect, part: str) -> dict | None:
    return max(s.history, key=lambda row: row[f"{part}_mr"], default=None)


def _told_test(s: Suspect) -> float:
    return next((row["test_mr"] for row in s.history if row["epoch"] == s.epoch), 0.0)


PROBE_CHOICE = probe(
    "choice",
    checks.chosen_on_test,
    _histories,
    title="the reported epoch",
    draw=draws.choice,
    difficulty=2,
    minutes=7,
    question=(
        "Notebook 3: which part of the data may choose the epoch that is reported? (If two epochs are equally good "
        "there, either may be reported. A run may also have chosen none: then its history is empty.)"
    ),
    handles=(
        "`suspect.history`, a list of {epoch, val_mr, test_mr}; `suspect.epoch`, the reported one (the numbers in the "
        "history; None where none was chosen)"
    ),
    solution=(
        "def probe_choice(suspect):\n"
        '    val = {row["epoch"]: row["val_mr"] for row in suspect.history}\n'
        "    return bool(val) and val[suspect.epoch] < max(val.values())\n"
    ),
    never="Find the row of the reported epoch, and ask whether another has a higher val_mr",
    mistakes={
        "best on test": when(
            lambda s: s.history and _at(s, "test")["epoch"] == s.epoch,
            "it calls a run broken where the reported epoch is the best on test. That may be chance, if validation "
            "chooses it too; and a run that reports the last epoch escapes. Ask what validation says",
        ),
        "gain": when(
            lambda s: s.history and _told_test(s) > _at(s, "val")["test_mr"],
            "it looks for a gain on test. A run that ignores validation and gains nothing has still broken the "
            "rule; leave test out of it and compare only val_mr",
        ),
        "counts from 0": when(
            lambda s: s.history and s.history.index(_at(s, "val")) != s.epoch,
            "the place in the list is compared with the number of the epoch. Epochs count from 1, a resumed run's "
            'from later on: compare with row["epoch"]',
        ),
        "place plus one": when(
            lambda s: s.history and s.history.index(_at(s, "val")) + 1 != s.epoch,
            "it assumes that the history starts with epoch 1. That of a resumed run does not: find the row "
            'whose row["epoch"] is suspect.epoch',
        ),
        "tie": when(
            lambda s: s.history and _at(s, "val")["epoch"] != s.epoch,
            "only the first of several equally good epochs is accepted. Compare the values: the reported epoch's "
            "val_mr with the largest",
        ),
    },
    hint="make a dict from epoch to val_mr, and compare that of the reported epoch with the largest; mind an empty one",
    errors={
        "empty": "a run that chose no epoch has an empty history: return False there before max() is taken",
        "KeyError: None": "a run that chose no epoch has the epoch None: return False there",
        "index out of range": 'places are not epochs: find the row whose row["epoch"] is suspect.epoch',
    },
    right=(
        "def probe_choice(suspect):\n"
        "    if suspect.epoch is None:\n"
        "        return False\n"
        '    own = [row for row in suspect.history if row["epoch"] == suspect.epoch][0]\n'
        '    return any(row["val_mr"] > own["val_mr"] for row in suspect.history)\n',
        "def probe_choice(suspect):\n"
        '    best = max((row["val_mr"] for row in suspect.history), default=0)\n'
        '    return suspect.epoch not in [row["epoch"] for row in suspect.history if row["val_mr"] == best] + [None]\n',
    ),
    wrong={
        "always": "def probe_choice(suspect):\n    return True\n",
        "never": "def probe_choice(suspect):\n    return suspect.epoch is None and len(suspect.history) > 0\n",
        "best on test": (
            "def probe_choice(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    test = [row["test_mr"] for row in suspect.history]\n'
            '    return suspect.history[test.index(max(test))]["epoch"] == suspect.epoch\n'
        ),
        "gain": (
            "def probe_choice(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    chosen = max(suspect.history, key=lambda row: row["val_mr"])\n'
            '    own = next(row for row in suspect.history if row["epoch"] == suspect.epoch)\n'
            '    return own["test_mr"] > chosen["test_mr"]\n'
        ),
        "counts from 0": (
            "def probe_choice(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    val = torch.tensor([row["val_mr"] for row in suspect.history])\n'
            "    return int(val.argmax()) != suspect.epoch\n"
        ),
        "place plus one": (
            "def probe_choice(suspect):\n"
            '    val = [row["val_mr"] for row in suspect.history]\n'
            "    return len(val) > 0 and val.index(max(val)) + 1 != suspect.epoch\n"
        ),
        "tie": (
            "def probe_choice(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    return max(suspect.history, key=lambda row: row["val_mr"])["epoch"] != suspect.epoch\n'
        ),
    },
)
