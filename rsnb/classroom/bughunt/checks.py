"""Invariants that a sound run never breaks, and the verdict on a suspect."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rsnb.base.recalls import KS, parts_of
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.errors import RsnbError
from rsnb.evaluation import ranks, recalls

ROUNDING = 1e-4  # embeddings of unit length that differ by less are the same
HEALTHY = "healthy"


# --- what a sound run never breaks ------------------------------------------------------------------------------
def moved(suspect: Suspect) -> tuple[bool, str]:
    """A weight that is said to be frozen is the same after training, to the last bit."""
    names = suspect.frozen
    if not names:
        return False, "it says openly that the base model is trained: no weight is claimed to be frozen"
    changes = {name: (suspect.after[name].float() - suspect.before[name].float()).abs().max().item() for name in names}
    other = [name for name in names if not torch.equal(suspect.before[name], suspect.after[name])]
    worst = max(changes, key=changes.get)
    found = f"{len(other)} of {len(names)} frozen tensors changed"
    return bool(other), found + (f"; largest change {changes[worst]:.0e}, in {worst}" if other else "")


def chosen_on_test(suspect: Suspect) -> tuple[bool, str]:
    """The reported epoch is the best by validation."""
    if not suspect.history:
        return False, "it chose no epoch: there is one model to report"
    by = {part: max(suspect.history, key=lambda row: row[f"{part}_mr"]) for part in ("val", "test")}
    own = next(row for row in suspect.history if row["epoch"] == suspect.epoch)
    said = f"epoch {own['epoch']} is reported (validation {own['val_mr']:.1f}, test {own['test_mr']:.1f})"
    if own["val_mr"] >= by["val"]["val_mr"]:
        return False, f"{said}, and validation chooses it too"
    best = " It is the best of all epochs on test" if own["test_mr"] >= by["test"]["test_mr"] else ""
    return True, (
        f"{said}, validation chooses epoch {by['val']['epoch']} (validation {by['val']['val_mr']:.1f}, test "
        f"{by['val']['test_mr']:.1f}).{best}"
    )


def leaks(suspect: Suspect) -> tuple[bool, str]:
    """No image is in training and in test."""
    train, test = ({name for name, _ in pairs} for pairs in (suspect.train_pairs, suspect.test_pairs))
    both = train & test
    return bool(both), f"{len(both)} of {len(test)} test images were trained on, with other captions" if both else (
        f"0 of {len(test)} test images were trained on"
    )


def not_unit(suspect: Suspect) -> tuple[bool, str]:
    """What is ranked by a dot product has length 1."""
    said, found = [], False
    for name in ("image", "text"):
        length = getattr(suspect, name).float().norm(dim=1)
        off = bool((length - 1).abs().max() > ROUNDING)
        found |= off
        said.append(
            f"{name} embeddings have "
            + (f"lengths from {length.min():.2f} to {length.max():.2f}" if off else "length 1, up to rounding")
        )
    return found, ", ".join(said)


def recount(suspect: Suspect) -> tuple[dict[str, float], int]:
    """The six recalls by the rule, from the suspect's own embeddings and pairs, and how many captions asked."""
    place = {name: i for i, name in enumerate(suspect.gallery)}
    owner = torch.tensor([place[name] for name, _ in suspect.test_pairs])
    if len(owner) != len(suspect.text):
        return {}, len(owner)
    return recalls(*ranks(suspect.image, suspect.text, owner)), len(owner)


def _gap(a: dict[str, float], b: dict[str, float]) -> float:
    return max((abs(a[name] - b[name]) for name in a), default=100.0)


def _exchanged(found: dict[str, float]) -> dict[str, float]:
    other = {"text": "image", "image": "text"}
    return {f"{way}_r{k}": found[f"{other[way]}_r{k}"] for way, k in map(parts_of, found)}


def miscounted(suspect: Suspect) -> tuple[bool, str]:
    """Every caption asks once; the recalls follow from the embeddings and the pairs by the rule."""
    honest, asked = recount(suspect)
    if not honest:
        return True, f"{asked} captions belong to test, {len(suspect.text)} were ranked"
    gap, swapped = _gap(honest, suspect.recalls), _gap(_exchanged(honest), suspect.recalls)
    if gap < 0.05:
        return False, f"counted again, {asked} captions and {len(suspect.gallery)} images give the reported recalls"
    if swapped < 0.05:
        return True, "counted again, the recalls are those reported, each under the name of the other direction"
    worst = max(honest, key=lambda name: abs(honest[name] - suspect.recalls[name]))
    way = "image to text" if worst.startswith("text") else "text to image"
    return True, (
        f"counted again, {asked} captions and {len(suspect.gallery)} images give {way} "
        f"R@{parts_of(worst)[1]} {honest[worst]:.1f}, not {suspect.recalls[worst]:.1f}"
    )


def exchanged(suspect: Suspect) -> tuple[bool, str]:
    """A recall is a count: R@K of N images times N / 100 is a whole number."""
    n, whole = len(suspect.gallery), lambda x: abs(x - round(x)) < 1e-3
    counts = [suspect.recalls[f"text_r{k}"] * n / 100 for k in KS]
    shown = ", ".join(f"{x:.4g}" for x in counts)
    honest, _ = recount(suspect)
    swapped = bool(honest) and _gap(_exchanged(honest), suspect.recalls) < 0.05 <= _gap(honest, suspect.recalls)
    if swapped:
        part = "" if all(map(whole, counts)) else f"image to text would be {shown} of {n} images; "
        return True, f"{part}counted again, image to text gives what is printed under text to image"
    return False, f"image to text is {shown} of {n} images, and stands where it belongs"


def other_activation(suspect: Suspect) -> tuple[bool, str]:
    """With CLIP's weights and no adapter, the model gives CLIP's embeddings."""
    gap = max((a - b).abs().max().item() for a, b in zip(suspect.bare, suspect.published))
    found = f"with CLIP's own weights and no adapter, embeddings differ from CLIP's by up to {gap:.0e}"
    return gap > ROUNDING, found + (": another function with the same weights" if gap > ROUNDING else ", by rounding")


def changes_its_mind(suspect: Suspect) -> tuple[bool, str]:
    """The same input gives the same embedding."""
    gap = max((a - b).abs().max().item() for a, b in zip(suspect.again(), suspect.again()))
    if gap <= ROUNDING:
        return False, "the same inputs, embedded twice, give the same embeddings"
    return True, f"the same inputs, embedded twice, differ by up to {gap:.2f}"


#: The names to accuse with, and what each breaks.
CHECKS: dict[str, Callable[[Suspect], tuple[bool, str]]] = {
    "base model trained": moved,
    "best epoch chosen on test": chosen_on_test,
    "captions of one image in both parts": leaks,
    "embeddings not normalised": not_unit,
    "captions miscounted": miscounted,
    "wrong activation": other_activation,
    "dropout left on": changes_its_mind,
    "directions swapped": exchanged,
}
NAMES = (HEALTHY, *CHECKS)


@dataclass(frozen=True, repr=False)
class Verdict:
    """What an examination says: whether the accusation holds, and the evidence."""

    ok: bool
    letter: str
    name: str
    evidence: tuple[str, ...]

    def __repr__(self) -> str:
        said = "confirmed" if self.ok else "not confirmed"
        return "\n".join((f"{'✓' if self.ok else '✗'} Suspect {self.letter}, {self.name}: {said}", *self.evidence))

    def _repr_html_(self) -> str:
        colour = "#029e73" if self.ok else "#d55e00"
        head, *rest = map(html.escape, repr(self).split("\n"))
        body = "<br>".join([f"<b>{head}</b>", *rest])
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em">{body}</div>'


def confirm(suspect: Suspect, name: str) -> Verdict:
    """Examine an accusation, one of NAMES: does the evidence bear it out?"""
    if name not in NAMES:
        raise RsnbError(f"no bug is called {name!r}; choose one of: {', '.join(NAMES)}")
    if name == HEALTHY:
        found = {bug: check(suspect) for bug, check in CHECKS.items()}
        broken = [f"{check.__doc__} Not here: {found[bug][1]}" for bug, check in CHECKS.items() if found[bug][0]]
        passed = f"it passes all {len(CHECKS)} checks"
        return Verdict(not broken, suspect.letter, name, tuple(broken) or (passed,))
    violated, evidence = CHECKS[name](suspect)
    return Verdict(violated, suspect.letter, name, (evidence,))
