"""What the exercises of notebook 10 share: small suspects, the frame of a probe, and the mistakes of every probe."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.judging import Exercise, Mistake
from rsnb.evaluation import ranks, recalls

HIGH, LOW = 0.9, 6.0  # noise of the captions: mR above 90, mR below 45


def name_of(number: int) -> str:
    """The name of an image, as data sets have them: it tells nothing of the part."""
    return f"{('airport', 'pond', 'park')[number % 3]}_{number}.jpg"


def sound(seed: int, noise: float = HIGH, images: int = 40, each: int | None = 5, dim: int = 16) -> Suspect:
    """A sound suspect with random embeddings; ``each``: captions of an image, None for 2 to 6."""
    rng = torch.Generator().manual_seed(seed)
    counts = torch.randint(2, 7, (images,), generator=rng) if each is None else torch.full((images,), each)
    owner = torch.arange(images).repeat_interleave(counts)
    image = F.normalize(torch.randn(images, dim, generator=rng), dim=-1)
    spread = torch.randn(len(owner), dim, generator=rng) / dim**0.5
    text = F.normalize(image[owner] + noise * spread, dim=-1)
    weights = {
        f"{tower}.{layer}.weight": torch.randn(3, 4, generator=rng)
        for tower in ("visual", "text")
        for layer in range(3)
    }
    adapter = {"adapter.down": torch.randn(3, generator=rng), "adapter.up": torch.randn(3, generator=rng)}
    first = image[:4].clone(), text[:6].clone()
    plain = tuple(F.normalize(torch.randn(n, dim, generator=rng), dim=-1) for n in (4, 6))
    return Suspect(
        letter="x",
        claim="",
        recalls=recalls(*ranks(image, text, owner)),
        image=image,
        text=text,
        owner=owner,
        gallery=[name_of(i) for i in range(images)],
        test_pairs=[(name_of(i), f"caption {j}") for j, i in enumerate(owner.tolist())],
        train_pairs=[(name_of(images + j // 5), f"caption {j + 1000}") for j in range(40)],
        frozen=tuple(weights),
        before={**weights, **adapter},
        after={**copy.deepcopy(weights), **{name: value + 0.1 for name, value in adapter.items()}},
        again=lambda: first,
        bare=plain,
        published=tuple(x.clone() for x in plain),
    )


def turned(suspect: Suspect) -> Suspect:
    """The gallery and the captions in reverse order, with all that belongs to them."""
    n = len(suspect.image)
    return replace(
        suspect,
        image=suspect.image.flip(0),
        text=suspect.text.flip(0),
        owner=n - 1 - suspect.owner.flip(0),
        gallery=suspect.gallery[::-1],
        test_pairs=suspect.test_pairs[::-1],
    )


def _outline(suspect: Suspect) -> str:
    return f"a suspect with {len(suspect.image)} images, {len(suspect.text)} captions and mR {suspect.mr:.1f}"


def different(s: Suspect, names, same) -> bool:
    """Whether one of these weights is not the same after training as before."""
    return any(not same(s.before[name], s.after[name]) for name in names)


def when(asked: Callable[[Suspect], object], says: str) -> Mistake:
    """A mistake: the probe calls a suspect broken when ``asked`` of it is true."""
    return Mistake(lambda suspect: float(bool(asked(suspect))), says)


ALWAYS = when(
    lambda s: True,
    "it calls every run broken, even the sound ones. A probe is worth something only if it can come out both ways: "
    "compute what must hold, and return whether it does not",
)


TOO_GOOD = when(
    lambda s: s.mr > 60,
    "it goes by the numbers: whatever has a high mR is called broken. Sound runs may be good and broken ones poor, and "
    "here half of each are. Look at what the numbers were made from",
)


TOO_POOR = when(
    lambda s: s.mr < 60,
    "it goes by the numbers: whatever has a low mR is called broken. Sound runs may be poor and broken ones good, and "
    "here half of each are. Look at what the numbers were made from",
)


def _task(name: str, question: str, handles: str) -> str:
    return (
        f"{question}\n\nWrite `{name}(suspect)`: `True` if the suspect violates this, `False` if not. It gets any "
        f"suspect, sound or broken, of any size. Useful here: {handles}."
    )


ERRORS = {
    "has no attribute": "a suspect has the handles listed in section 1, such as suspect.image or suspect.recalls",
    "not subscriptable": "a handle that is not a list or dict is used as one; print it once for lab.case(...)",
}


def probe(
    key: str,
    check: Callable[[Suspect], tuple[bool, str]],
    suspects: Callable[[], list[Suspect]],
    *,
    question: str,
    handles: str,
    never: str,
    title: str,
    mistakes: dict[str, Mistake],
    errors: dict[str, str],
    draw: Callable[[random.Random], Suspect],
    importance: int = 3,
    **rest: Any,
) -> Exercise:
    """The exercise to write ``probe_<key>``: a test of one invariant, for any suspect.

    Args:
        key, title: of the invariant.
        check: gives (is it broken, why), for any suspect.
        suspects: sound and broken ones; each is a case. draw: one more, sound or broken.
        question: the task's first sentences. handles: what of a suspect is useful.
        never: what to say to a probe that calls every run sound.
        mistakes, errors: besides those of every probe.
        rest: the other fields of an Exercise.
    """
    name = f"probe_{key}"
    every = {
        "always": ALWAYS,
        "never": when(lambda s: False, f"it calls every run sound. {never}"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
    }
    return Exercise(
        key=name,
        lesson=10,
        title=f"A probe: {title}",
        aim="Turn an invariant into a test that any run can take.",
        importance=importance,
        task=_task(name, question, handles),
        name=name,
        stub=f"def {name}(suspect):\n    raise NotImplementedError  # your code: True if it is violated\n",
        cases=lambda: [(suspect,) for suspect in suspects()],
        draw=lambda rng: (draw(rng),),
        described=lambda suspect: f"{_outline(suspect)}: {check(suspect)[1]}",
        truth=lambda suspect: float(check(suspect)[0]),  # a bool, a numpy bool and a tensor all compare with it
        mistakes={**every, **mistakes},
        errors={**errors, **ERRORS},
        **rest,
    )
