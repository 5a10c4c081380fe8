"""One more input for each exercise of lessons 1 to 5, another one at each call: what a tame example never shows.

Shapes and counts vary and are unequal, orders are shuffled, texts repeat, values are negative or large, one row is
damaged late, names say nothing. What a task rules out (equal similarities, a batch of one) does not come.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

WORDS = ("a", "pond", "park", "the", "two", "boats", "near", "road", "grey", "of", "roof", "trees")


def normal(rng: random.Random, *shape: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    """Normal numbers of a shape, seeded by ``rng``."""
    return shift + scale * torch.randn(*shape, generator=torch.Generator().manual_seed(rng.getrandbits(40)))


def lengths(rng: random.Random, n: int) -> Tensor:
    """(n, 1): lengths of rows, one of them far from the others, anywhere in the batch."""
    x = torch.tensor([[rng.uniform(0.3, 4.0)] for _ in range(n)])
    x[rng.randrange(n)] *= rng.choice((0.01, 1.0, 50.0))
    return x


def unequal(rng: random.Random, *shape: int) -> Tensor:
    """Numbers of a shape without two that are equal or near, from all negative to all positive."""
    count = 1
    for size in shape:
        count *= size
    values = [i / count for i in range(count)]
    rng.shuffle(values)
    low = rng.choice((-0.95, -0.9, -0.4, 0.0, 0.05))
    return (low + (0.9 if low > -0.9 else 0.8) * torch.tensor(values)).view(shape)


def owners(rng: random.Random, images: int, most: int = 5) -> list[int]:
    """Which image each caption belongs to: at least one each, in any number and order."""
    found = [image for image in range(images) for _ in range(rng.randint(1, most))]
    rng.shuffle(found)
    return found


def texts(rng: random.Random, count: int, pool: int) -> list[str]:
    """Captions, of which many repeat."""
    known = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 5))) for _ in range(pool)]
    return [rng.choice(known) for _ in range(count)]


# --- lesson 1 -----------------------------------------------------------------------------------------------------
def leak_share(rng: random.Random) -> tuple:
    def dressed(text: str) -> str:
        text = rng.choice((text, text.upper(), text.title()))
        return rng.choice(("", " ", "  ")) + text + rng.choice(("", " .", " ", "\t"))

    pool = texts(rng, 12, 6)
    train, test = ([dressed(rng.choice(pool)) for _ in range(rng.randint(1, 9))] for _ in range(2))
    return train, test


def split_by_image(rng: random.Random) -> tuple:
    images = rng.randint(2, 8)
    return owners(rng, images), set(rng.sample(range(images), rng.randint(1, images - 1)))


def chance_recall(rng: random.Random) -> tuple:
    captions = rng.randint(2, 60)
    return captions, rng.randint(1, captions), rng.randint(1, captions)


def usable_captions(rng: random.Random) -> tuple:
    parts = ("a", "B", "ab", "Xy", "1", "12", ".", "a1b", "-", "a-b", "(is)", "A B C", "re-do", "", " ", "i'm")
    return ([rng.choice((" ", "")).join(rng.choice(parts) for _ in range(rng.randint(1, 3))) for _ in range(8)],)


# --- lesson 2 -----------------------------------------------------------------------------------------------------
def mean_cosine(rng: random.Random) -> tuple:
    n, d, shift = rng.randint(2, 9), rng.randint(2, 7), rng.choice((-0.6, 0.0, 0.6))
    return (lengths(rng, n) * F.normalize(normal(rng, n, d, shift=shift), dim=1),)


def same_and_different(rng: random.Random) -> tuple:
    """At least two items of a class, and two classes."""
    labels = [name for name in rng.sample(WORDS, rng.randint(2, 4)) for _ in range(rng.randint(2, 5))]
    rng.shuffle(labels)
    n = len(labels)
    return lengths(rng, n) * F.normalize(normal(rng, n, rng.randint(3, 6), shift=0.3), dim=1), labels


def hardest_negative(rng: random.Random) -> tuple:
    n = rng.randint(2, 7)
    return (unequal(rng, n, n),)


def retrieval_ceiling(rng: random.Random) -> tuple:
    owner = owners(rng, rng.randint(2, 7))
    return texts(rng, len(owner), rng.randint(2, 8)), owner, rng.randint(1, 6)


def batch_clash(rng: random.Random) -> tuple:
    batch = rng.randint(1, 20)
    return batch, rng.choice((batch, batch + 1, rng.randint(1, 60)))


# --- lesson 3 -----------------------------------------------------------------------------------------------------
def adapter_parameters(rng: random.Random) -> tuple:
    image, text = rng.randint(8, 90), rng.randint(8, 90)
    return image, text, rng.randint(1, 24), rng.randint(1, min(image, text) - 1)


def way_up(rng: random.Random) -> tuple:
    r, own, shared = rng.randint(1, 6), rng.randint(1, 7), rng.randint(1, 7)
    z = normal(rng, rng.randint(1, 3), rng.randint(1, 5), r)
    return z, *(normal(rng, *shape) for shape in ((own, r), (own,), (shared, r), (shared,)))


def may_change(rng: random.Random) -> tuple:
    part = rng.choice(("down.image", "down.text", "up.image", "up.text", "up_shared"))
    block = rng.choice(("", "visual.")) + f"transformer.resblocks.{rng.randint(0, 11)}"
    inner = rng.choice(("ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"))
    kind = rng.choice(("weight", "bias"))
    names = (f"added.adapters.{rng.randint(0, 3)}.{part}.{kind}", f"clip.model.{block}.{inner}.{kind}")
    return (rng.choice((*names, f"clip.model.visual.{rng.choice(('proj', 'ln_post.bias', 'positional_embedding'))}")),)


def token_dropout(rng: random.Random) -> tuple:
    shape = rng.randint(1, 3), rng.randint(1, 5), rng.randint(1, 6)
    rate = rng.choice((0.05, 0.25, 0.5, 0.75, 0.9))
    keep = (normal(rng, *shape) > rng.uniform(-1, 1)).float()  # any share of it may have been drawn
    return normal(rng, *shape, shift=rng.choice((-2.0, 0.0, 2.0))), keep, rate


def hinge(rng: random.Random) -> tuple:
    """Rows that are near, far, or repeated: equal captions, whose cosine with an image is the positive's."""
    n, d = rng.randint(2, 8), rng.randint(3, 7)
    a = normal(rng, n, d, shift=rng.choice((-0.5, 0.0, 1.0)))
    b = a + rng.choice((0.3, 1.0, 3.0)) * normal(rng, n, d)
    if rng.random() < 0.4:
        b[rng.randrange(n)] = b[rng.randrange(n)].clone()
    return F.normalize(a, dim=1), F.normalize(b, dim=1), rng.choice((0.05, 0.2, 0.5, 1.5))


def hmmc(rng: random.Random) -> tuple:
    n, d = rng.randint(3, 7), rng.randint(4, 7)
    v = normal(rng, n, d, shift=1.0)
    t, v2 = v + 1.2 * normal(rng, n, d), v + 0.9 * normal(rng, n, d)
    t2 = t + 1.1 * normal(rng, n, d)
    return (*(F.normalize(x, dim=1) for x in (v, t, v2, t2)), rng.choice((0.3, 0.6, 1.2)))


def best_epoch(rng: random.Random) -> tuple:
    n = rng.randint(1, 8)
    val = tuple(float(rng.randint(0, 6)) - rng.choice((0, 3)) for _ in range(n))  # ties, and values below 0
    return val, tuple(round(rng.uniform(0, 90), 1) for _ in range(n))


# --- lesson 4 -----------------------------------------------------------------------------------------------------
def recalls(rng: random.Random) -> tuple:
    images = rng.randint(2, 8)
    owner = owners(rng, images)
    return unequal(rng, images, len(owner)), torch.tensor(owner), rng.randint(1, images)


def mean_recall(rng: random.Random) -> tuple:
    names = [f"{way}_r{k}" for way in ("text", "image") for k in (1, 5, 10)]
    rng.shuffle(names)
    return ({name: rng.choice((0.0, 100.0, round(rng.uniform(0, 100), 2))) for name in names},)


def top_k(rng: random.Random) -> tuple:
    """Cosines without two that are near."""
    n, d = rng.randint(2, 9), rng.randint(2, 6)
    while True:
        image = lengths(rng, n) * F.normalize(normal(rng, n, d), dim=1)
        query = rng.choice((0.1, 1.0, 20.0)) * normal(rng, d)
        cosines = (F.normalize(image, dim=1) @ F.normalize(query, dim=0)).sort().values
        if n == 1 or cosines.diff().min() > 1e-3:
            return image, query, rng.randint(1, n)


def modality_gap(rng: random.Random) -> tuple:
    n, m, d = rng.randint(1, 9), rng.randint(1, 9), rng.randint(2, 6)
    return lengths(rng, n) * normal(rng, n, d, shift=0.7), lengths(rng, m) * normal(rng, m, d, shift=-0.7)


# --- lesson 5 -----------------------------------------------------------------------------------------------------
def adaptformer(rng: random.Random) -> tuple:
    w, r = rng.randint(2, 9), rng.randint(1, 5)
    shapes = (rng.randint(1, 3), rng.randint(1, 5), w), (r, w), (r,), (w, r), (w,)
    return (*(normal(rng, *shape) for shape in shapes), rng.choice((-1.0, 0.1, 0.7, 4.0)))


def merge_lora(rng: random.Random) -> tuple:
    w, r = rng.randint(2, 8), rng.randint(1, 5)
    return (*(normal(rng, *shape) for shape in ((w, w), (r, w), (w, r))), rng.choice((-2.0, 0.5, 3.0, 16.0)))


def gap_and_se(rng: random.Random) -> tuple:
    return tuple([round(rng.gauss(rng.choice((5, 60)), 3), 2) for _ in range(rng.randint(2, 7))] for _ in range(2))


def share_of_way(rng: random.Random) -> tuple:
    """Full fine-tuning may end below zero-shot; the way is never of no length."""
    zero = rng.uniform(0, 60)
    return rng.uniform(0, 90), zero, zero + rng.choice((-1, 1)) * rng.uniform(3, 40)
