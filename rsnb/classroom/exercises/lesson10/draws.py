"""One more suspect for each probe, sound or broken, another one at each call.

Any number of images and captions, in any order, texts that repeat, names that tell nothing; what is broken may be
broken in one row alone, late in the data, by little or by much. What lies between sound and broken, by rounding, does
not come.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rsnb.base.recalls import KS
from rsnb.classroom.bughunt import checks
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.draws import normal, texts
from rsnb.classroom.exercises.lesson10 import breaking
from rsnb.classroom.exercises.lesson10.frame import HIGH, LOW, sound
from rsnb.evaluation import ranks, recalls

ROUNDING = (0.0, 1e-7)  # of a sound run
GOOD, POOR = 72, 42  # mR: no suspect lies between


def plain(rng: random.Random) -> Suspect:
    """A sound suspect, its gallery and its captions shuffled."""
    each = rng.choice((5, None))
    found = sound(rng.getrandbits(30), rng.choice((HIGH, LOW)), rng.randint(24, 44), each, rng.randint(12, 20))
    gallery, order = (torch.tensor(rng.sample(range(n), n)) for n in (len(found.image), len(found.text)))
    said = texts(rng, len(order), 30)
    return replace(
        found,
        image=found.image[gallery],
        text=found.text[order],
        owner=gallery.argsort()[found.owner][order],
        gallery=[found.gallery[i] for i in gallery],
        test_pairs=[(found.test_pairs[j][0], said[j]) for j in order],
        train_pairs=[(name, rng.choice(said)) for name, _ in found.train_pairs],
    )


def _clear(make: Callable[[random.Random], Suspect]) -> Callable[[random.Random], Suspect]:
    """Draw again what has an mR between good and poor: a probe that goes by the number makes a known mistake."""

    def draw(rng: random.Random) -> Suspect:
        while POOR <= (found := make(rng)).mr <= GOOD:
            pass
        return found

    return draw


def _ranked(suspect: Suspect, image: Tensor, text: Tensor) -> Suspect:
    return replace(suspect, image=image, text=text, recalls=recalls(*ranks(image, text, suspect.owner)))


def _one_row(rng: random.Random, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """A copy with one row changed, anywhere in it."""
    x, row = x.clone(), rng.randrange(len(x))
    x[row] = change(x[row])
    return x


@_clear
def length(rng: random.Random) -> Suspect:
    suspect, factor = plain(rng), rng.choice((0.3, 0.8, 1.2, 2.5))
    which = rng.choice(("none", "rounding", "image", "text", "both", "all"))
    if which == "all":
        return breaking.stretched(suspect, rng.getrandbits(30), low=rng.choice((0.2, 1.5)), high=4.0)
    image, text = suspect.image * (1 + rng.choice(ROUNDING)), suspect.text
    if which in ("image", "both"):
        image = _one_row(rng, image, lambda row: row * factor)
    if which in ("text", "both"):
        text = _one_row(rng, text, lambda row: row / factor)
    return _ranked(suspect, image, text)


@_clear
def split(rng: random.Random) -> Suspect:
    """Broken by one image, or by some, with a caption of test or another."""
    suspect = plain(rng)
    shared = rng.choice((0, 0, 1, 1, 3, len(suspect.gallery)))
    images = set(rng.sample(suspect.gallery, shared))
    own = [pair for pair in suspect.test_pairs if pair[0] in images]
    other = [(name, rng.choice(suspect.train_pairs)[1]) for name in sorted(images)]
    train = [*suspect.train_pairs, *rng.choice((own, other))]
    return replace(suspect, train_pairs=rng.sample(train, len(train)) if shared or rng.random() < 0.8 else [])


@_clear
def repeat(rng: random.Random) -> Suspect:
    suspect = plain(rng)
    first = suspect.image[:4].clone(), suspect.text[:6].clone()
    rounding, by = rng.choice(ROUNDING), rng.choice((0.02, 0.3))
    moved = [rng.choice(("no", "no", "one row", "all")) for _ in first]
    rows = [rng.randrange(len(x)) for x in first]

    def again():
        found = []
        for x, how, row in zip(first, moved, rows):
            noise = torch.full((len(x), 1), by if how == "all" else rounding)
            noise[row] = rounding if how == "no" else by
            found.append(x + noise * torch.randn_like(x))
        return tuple(found)

    return replace(suspect, again=again)


@_clear
def function(rng: random.Random) -> Suspect:
    suspect, bare = plain(rng), []
    for x in suspect.published:
        how, by = rng.choice(("no", "no", "one row", "all")), rng.choice((0.05, 0.4))
        near = x + rng.choice(ROUNDING) * normal(rng, *x.shape)
        far = F.normalize(x + by * normal(rng, *x.shape), dim=-1)
        bare.append(far if how == "all" else near)
        if how == "one row":
            row = rng.randrange(len(x))
            bare[-1][row] = far[row]
    if rng.random() < 0.3:  # an open fine-tuning: the weights say nothing
        suspect.frozen, suspect.after = (), {name: value + 0.1 for name, value in suspect.before.items()}
    if rng.random() < 0.3:  # what was ranked is CLIP itself
        suspect.image[:4], suspect.text[:6] = suspect.published
        suspect = _ranked(suspect, suspect.image, suspect.text)
    return replace(suspect, bare=tuple(bare))


@_clear
def frozen(rng: random.Random) -> Suspect:
    """Weights and biases; broken by all of them, by one, by one number of one, by little, or in balance."""
    suspect = plain(rng)
    names = [*suspect.before, *(f"{tower}.{layer}.bias" for tower in ("visual", "text") for layer in range(2))]
    rng.shuffle(names)
    base = [name for name in names if not name.startswith("adapter")]
    before = {name: suspect.before.get(name, normal(rng, 3)) for name in names}
    how = rng.choice(("no", "no", "all", "one", "one number", "little", "balance"))
    said = tuple(rng.sample(base, rng.randint(1, len(base))))
    after = {name: value.clone() + 0.1 * (name not in said) for name, value in before.items()}
    hit = rng.choice(said)
    if how == "all":
        after = {name: value + 0.01 for name, value in before.items()}
    elif how == "one":
        after[hit] = after[hit] - 0.05
    elif how == "one number":
        after[hit].view(-1)[-1] += rng.choice((-0.5, 0.5))
    elif how == "little":
        after[hit] = after[hit] * (1 + 4e-6)
    elif how == "balance":
        before[hit] = torch.arange(before[hit].numel() * 1.0).view_as(before[hit])
        after[hit] = before[hit].flip(0)
    return replace(suspect, before=before, after=after, frozen=said if rng.random() < 0.9 else ())


@_clear
def choice(rng: random.Random) -> Suspect:
    """Ties on validation, values below 0, histories that begin anywhere or count in steps; or none."""
    suspect = plain(rng)
    if rng.random() < 0.15:
        return suspect
    first, step = rng.choice((0, 1, 1, 11)), rng.choice((1, 1, 5))
    history = [
        {"epoch": first + step * i, "val_mr": rng.randint(30, 36) - 40.0 * (rng.random() < 0.1),
         "test_mr": rng.randint(28, 40) + rng.random()}
        for i in range(rng.randint(1, 8))
    ]  # fmt: skip
    by = rng.choice(("val_mr", "val_mr", "test_mr", "last"))
    rows = sorted(history, key=lambda row: row.get(by, row["epoch"]))
    best = [row for row in rows if row.get(by, row["epoch"]) == rows[-1].get(by, rows[-1]["epoch"])]
    return replace(suspect, history=history, epoch=rng.choice(best)["epoch"])


@_clear
def counts(rng: random.Random) -> Suspect:
    """Broken: the directions are exchanged, and the number of images shows it, by more than the two differ anyway."""
    suspect = plain(rng)
    if rng.random() < 0.5:
        return suspect
    other = breaking.swapped(suspect)
    whole = [other.recalls[f"text_r{k}"] * len(other.image) / 100 for k in KS]
    shows = any(abs(x - round(x)) > 1e-2 for x in whole)
    return other if shows and checks.exchanged(other)[0] else suspect


@_clear
def recount(rng: random.Random) -> Suspect:
    suspect = plain(rng)
    makes = (breaking.any_caption, breaking.first_caption, breaking.by_fives, breaking.one_each, breaking.swapped)
    other = rng.choice((*makes, lambda same: same, lambda same: same))(suspect)
    return other if checks.miscounted(other)[0] else suspect
