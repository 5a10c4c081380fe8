"""The studies of the road: which recipes, against which, over how many seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rsnb.beyond.recipe import Recipe
from rsnb.studies.beyond.carried import SECOND, UCM
from rsnb.studies.beyond.road import PAPER, PARTS, SLIM

#: What the search on the validation part chose, with every part that was tried in it; see the study "search".
ALL_PARTS = Recipe("mrs+lora", SLIM, lr=1e-2)
FULL_ALL_PARTS = Recipe("full", {}, lr=1e-3)
#: Without the two parts that cannot be told from nothing there (see "left out"): CLIP's loss as it is.
RECIPE = ALL_PARTS.replace(loss="clip", learned=False, equal=False)
#: The same for full fine-tuning, and for the paper's module and loss.
FULL = FULL_ALL_PARTS.replace(loss="clip", learned=False, equal=False)
HMMC = Recipe("mrs", {"dropout": 0.1}, loss="hmmc", learned=False, equal=False, lr=1e-2)
#: As in the committed benchmark: 25 epochs of one caption per image, steps of the rate, images not turned. The paper
#: has 30 epochs of all captions in batches of 16.
BENCHMARK = {"pairs": "one", "epochs": 25, "turns": False, "schedule": "steps", "learned": False, "equal": False}
RATE_OF_FULL = 3e-4  # what the benchmark's own search chose; PAPER has the adapter's
OURS, EVERY, PAPERS, WHOLE = "the recipe", "every part", "MRS-Adapter + HMMC", "full fine-tuning"
IN_BENCHMARK, AS_RECIPE = "as in the benchmark", "with the recipe"
LOWER, LOWER_RATE = "lower rate", 3e-3
BESIDE = "MRS-Adapter + CLIP's loss"  # what the recipe's cost is measured against


@dataclass(frozen=True)
class Study:
    """``recipes`` by name, each with seeds 0 to ``seeds[name]`` - 1, each compared with ``baseline``. ``final``:
    whether its numbers are reported from the test part. ``data``: see :func:`rsnb.studies.beyond.carried.data_of`.
    ``against``: what a recipe is compared with where that is not the baseline."""

    question: str
    recipes: Mapping[str, Recipe]
    seeds: Mapping[str, int]
    baseline: str
    final: bool = False
    data: str = "toy"
    against: Mapping[str, str] = field(default_factory=dict)


def _one_seed(question: str, recipes: Mapping[str, Recipe], baseline: str) -> Study:
    return Study(question, recipes, dict.fromkeys(recipes, 1), baseline)


def with_clips_loss() -> Recipe:
    """The paper's module with CLIP's loss, at the recipe's length."""
    return PAPER.replace(loss="clip")


def _search() -> Study:
    changed = {
        "no dropout": {"options": {**SLIM, "mrs.dropout": 0.0}},
        "averaged weights": {"average": 0.99},
        "soft targets": {"soft": 0.2},
        "a wider module, rank 1": {"options": {**SLIM, "mrs.bottleneck": 11, "lora.rank": 1}},
        "a narrower module, rank 3": {"options": {**SLIM, "mrs.bottleneck": 5, "lora.rank": 3}},
        "rank 4 alone": {"method": "lora", "options": {"rank": 4}},
        "the module for images alone": {"options": {**SLIM, "mrs.towers": "image", "mrs.bottleneck": 13}},
        "LayerNorms": {"options": {**SLIM, "mrs.bottleneck": 5, "unfreeze": "ln_"}},
        "batches of 256": {"batch_size": 256, "lr": 2e-2},
        "batches of 128": {"batch_size": 128},
        "batches of 32": {"batch_size": 32},
        "twice the epochs": {"epochs": 40},
    }
    recipes = {EVERY: ALL_PARTS} | {name: ALL_PARTS.replace(**changes) for name, changes in changed.items()}
    return _one_seed("Which recipe within the budget?", recipes, EVERY)


def _rates() -> Study:
    """Three rates each: the same number of tries on every side."""
    sides = {
        EVERY: (ALL_PARTS, (3e-3, 1e-2, 3e-2)),
        WHOLE: (FULL_ALL_PARTS, (3e-4, 1e-3, 3e-3)),
        PAPERS: (HMMC, (1e-3, 3e-3, 1e-2)),
    }
    recipes = {f"{side}, rate {lr:g}": own.replace(lr=lr) for side, (own, rates) in sides.items() for lr in rates}
    return _one_seed("At which rate does each side learn best?", recipes, f"{EVERY}, rate {ALL_PARTS.lr:g}")


def _added() -> Study:
    recipes = {PAPERS: PAPER} | {f"+ {part.name}": part.with_it(PAPER) for part in PARTS}
    question = "What does each part add to the paper's method?"
    against = {f"+ {part.name}": f"+ {part.beside}" for part in PARTS if part.beside}
    return Study(question, recipes, dict.fromkeys(recipes, 1), PAPERS, against=against)


def _left_out() -> Study:
    left = {f"- {part.name}": part.without_it(ALL_PARTS) for part in PARTS if part.left_out is not None}
    recipes = {EVERY: ALL_PARTS, **left}
    return Study("What is lost without each part?", recipes, dict.fromkeys(recipes, 3), EVERY)


def _corners() -> Study:
    recipes = {
        f"{PAPERS}, {IN_BENCHMARK}": PAPER.replace(**BENCHMARK),
        f"{WHOLE}, {IN_BENCHMARK}": FULL.replace(loss="clip", lr=RATE_OF_FULL, **BENCHMARK),
        f"{PAPERS}, {AS_RECIPE}": HMMC,
        f"{WHOLE}, {AS_RECIPE}": FULL,
        OURS: RECIPE,
    }
    seeds = dict.fromkeys(recipes, 3) | {OURS: 10, f"{WHOLE}, {IN_BENCHMARK}": 10}
    question = "How far does the recipe carry an adapter, and how far full fine-tuning?"
    return Study(question, recipes, seeds, f"{WHOLE}, {IN_BENCHMARK}", final=True)


def _steps() -> Study:
    """From the paper's method as in the benchmark to the recipe, one change after the other."""
    changes = {
        "every caption, 20 epochs": {"epochs": PAPER.epochs, "pairs": PAPER.pairs},
        "CLIP's loss": {"loss": "clip"},
        "warm-up and cosine": {"schedule": "cosine"},
        "eight turns": {"turns": True},
        "less dropout": {"options": {"dropout": 0.1}},
        "a module per block, and the attention": {"method": RECIPE.method, "options": RECIPE.options},
        "its own rate": {"lr": RECIPE.lr},
    }
    now = PAPER.replace(**BENCHMARK)
    recipes = {f"{PAPERS}, {IN_BENCHMARK}": now}
    for name, change in changes.items():
        now = now.replace(**change)
        recipes[f"+ {name}"] = now
    question = "Where does the gain come from? Each row holds all changes above it; differences are from the first row."
    return Study(question, recipes, dict.fromkeys(recipes, 3), next(iter(recipes)), final=True)


def _budget() -> Study:
    """Bottleneck and rank in the recipe's proportion, at its rate; from its size on at the next lower one too, for what
    is larger may want a lower rate."""
    sizes = {"1/4": (2, None), "1/2": (4, 1), "1": (8, 2), "2": (16, 4), "4": (32, 8), "8": (64, 16)}
    recipes = {}
    for name, (bottleneck, rank) in sizes.items():
        options = {**SLIM, "mrs.bottleneck": bottleneck, "lora.rank": rank}
        own = RECIPE.replace(options=options)
        if rank is None:  # a rank below 1 is none: a quarter of the budget is the module alone
            own = RECIPE.replace(
                method="mrs", options={"share_layers": False, "bottleneck": 3, "shared": 0, "dropout": 0.1}
            )
        recipes[name] = own
        if bottleneck >= RECIPE.options["mrs.bottleneck"]:
            recipes[f"{name}, {LOWER}"] = own.replace(lr=LOWER_RATE)
    return _one_seed("Does the budget limit it?", recipes, "1")


def _carried(data: str, epochs: int) -> Study:
    """The recipe as it is, with no rate searched anew. epochs: of the benchmark on this data."""
    benchmark = {**BENCHMARK, "epochs": epochs}
    recipes = {
        f"{PAPERS}, {IN_BENCHMARK}": PAPER.replace(**benchmark),
        f"{WHOLE}, {IN_BENCHMARK}": FULL.replace(loss="clip", lr=RATE_OF_FULL, **benchmark),
        f"{WHOLE}, {AS_RECIPE}": FULL,
        OURS: RECIPE,
    }
    question = f"Does it carry over to {data}?"
    return Study(question, recipes, dict.fromkeys(recipes, 3), f"{WHOLE}, {IN_BENCHMARK}", True, data)


STUDIES = {
    "search": _search(),
    "rates": _rates(),
    "added": _added(),
    "left out": _left_out(),
    "corners": _corners(),
    "steps": _steps(),
    "budget": _budget(),
    "carried to UCM": _carried(UCM, 12),
    "carried to a second world": _carried(SECOND, 25),
}
