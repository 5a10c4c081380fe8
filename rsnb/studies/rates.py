"""A learning rate for each cell of a study, chosen on validation with one seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    from rsnb.studies.ablation.lab import Lab
    from rsnb.studies.ablation.spec import Spec

LADDER = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FAILED = -1.0  # in the place of a validation mR: a rate too high ends in nan, which is a result of the search


def next_rung(tried: list[tuple[float, float]], start: float) -> float | None:
    """The learning rate to try next: the rung nearest to ``start`` and its neighbours, then outwards while the best
    score is the outermost rate's; None when the best one has a neighbour on both sides (or the ladder ends)."""
    done = {i for i, rate in enumerate(LADDER) if any(abs(rate / lr - 1) < 1e-9 for lr, _ in tried)}
    for rate in rungs(start):
        if LADDER.index(rate) not in done:
            return rate
    best = LADDER.index(min(LADDER, key=lambda rate: abs(rate / max(tried, key=lambda t: t[1])[0] - 1)))
    for i in (best - 1, best + 1):
        if 0 <= i < len(LADDER) and i not in done:
            return LADDER[i]
    return None


def rungs(start: float) -> list[float]:
    """The rung of :data:`LADDER` nearest to a rate, and its neighbours."""
    middle = min(range(len(LADDER)), key=lambda i: abs(LADDER[i] / start - 1) + abs(start / LADDER[i] - 1))
    return [LADDER[i] for i in (middle, middle - 1, middle + 1) if 0 <= i < len(LADDER)]


def searched(
    lab: Lab, cells: Mapping[Any, Spec], say: Callable[[str], None] = lambda line: None
) -> tuple[dict[Any, Spec], dict[Any, list[tuple[float, float]]]]:
    """The cells, each with the rate of the best validation mR of seed 0; and what was tried: [(rate, validation mR)].

    The cell's own rate and its neighbours on :data:`LADDER`, and further along it while the best one is the outermost;
    each try is a whole run of the lab.

    Raises:
        RsnbError: a cell of which no rate could be trained.
    """
    from rsnb.studies.ablation.spec import vary

    chosen, tried = {}, {}
    for name, spec in cells.items():
        own: list[tuple[float, float]] = []
        while (lr := next_rung(own, spec.config.lr)) is not None:
            try:
                own.append((lr, lab.cell(vary(spec, "train.lr", lr), 0).val_mr))
            except RsnbError as error:
                own.append((lr, FAILED))
                problem = error
            say(f"{name}: rate {lr:g}, validation mR {own[-1][1]:.1f}")
        best, score = max(own, key=lambda pair: pair[1])
        if score == FAILED:
            raise RsnbError(f"{name} cannot be trained at any of {len(own)} rates: {problem}")
        chosen[name], tried[name] = vary(spec, "train.lr", best), own
    return chosen, tried
