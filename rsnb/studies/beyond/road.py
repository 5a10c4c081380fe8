"""The hypotheses, written before the runs: what each part should be worth, and the recipes that test it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rsnb.beyond.recipe import Recipe

#: The paper's method at the length of the screening: HMMC, dropout 0.5, Adam in steps, images as they lie.
PAPER = Recipe(loss="hmmc", learned=False, equal=False, turns=False, schedule="steps", lr=3e-3)
#: One small module per block beside the MLP, and a low-rank change of the attention, within MRS-Adapter's 37,248.
SLIM = {"mrs.share_layers": False, "mrs.bottleneck": 8, "mrs.shared": 0, "mrs.dropout": 0.1, "lora.rank": 2}


@dataclass(frozen=True)
class Part:
    """One idea.

    added: what changes in the paper's method to try it there. left_out: what changes in the recipe to do without it;
    None where it never was in it. beside: a part without which it cannot be added; then it is compared with that part
    alone. why: the hypothesis.
    """

    name: str
    why: str
    added: Mapping[str, Any]
    left_out: Mapping[str, Any] | None = None
    beside: str | None = None

    def with_it(self, recipe: Recipe) -> Recipe:
        return recipe.replace(**self.added)

    def without_it(self, recipe: Recipe) -> Recipe:
        return recipe.replace(**self.left_out)


PARTS = (
    Part(
        "CLIP's loss",
        "Every negative teaches, not the hardest alone: better than HMMC, as notebook 6 found at other lengths.",
        {"loss": "clip"},
        {"loss": "hmmc"},
    ),
    Part(
        "a temperature that learns",
        "CLIP's temperature was fitted to other pictures; a lower one suits a set where all look alike.",
        {"loss": "contrast", "learned": True},
        {"learned": False},
        "CLIP's loss",
    ),
    Part(
        "equal captions share the target",
        "A caption of two images is no negative of either; few pairs of a batch have such a twin: little to gain.",
        {"loss": "contrast", "equal": True},
        {"equal": False},
        "CLIP's loss",
    ),
    Part(
        "soft targets",
        "What is similar should not be pushed away as hard as what is not.",
        {"loss": "contrast", "soft": 0.2},
        beside="CLIP's loss",
    ),
    Part(
        "eight turns",
        "From above there is no up: eight times the images for nothing.",
        {"turns": True},
        {"turns": False},
    ),
    Part(
        "less dropout",
        "0.5 of a narrow bottleneck is much; the module is too small to overfit.",
        {"options": {"dropout": 0.1}},
        {"options": {**SLIM, "mrs.dropout": 0.5}},
    ),
    Part(
        "warm-up and cosine",
        "A rate that ends at 0 lets the weights settle; the steps of 0.7 end too high.",
        {"schedule": "cosine"},
        {"schedule": "steps"},
    ),
    Part(
        "averaged weights",
        "The mean of the last weights is flatter; little to gain beside a cosine.",
        {"schedule": "cosine", "average": 0.99},
        beside="warm-up and cosine",
    ),
    Part(
        "one module per block",
        "Four narrow modules say more than one wide one that all blocks share.",
        {"options": {"share_layers": False, "bottleneck": 14, "shared": 0}},
        {"options": {**SLIM, "mrs.share_layers": True, "mrs.bottleneck": 33}},
    ),
    Part(
        "the attention too",
        "What to look at changes from above, not only what is made of it.",
        {"method": "mrs+lora", "options": {**SLIM, "mrs.dropout": 0.5}},
        {"method": "mrs", "options": {"share_layers": False, "bottleneck": 14, "shared": 0, "dropout": 0.1}},
        "one module per block",
    ),
    Part(
        "a higher rate",
        "No hypothesis: the search of rates found it, after all others had been written down.",
        {"lr": 1e-2},
        {"lr": 3e-3},
    ),
    Part("LayerNorms", "Gains are the cheapest numbers of all.", {"options": {"bottleneck": 53, "unfreeze": "ln_"}}),
    Part("batches of 256", "More negatives per step, but fewer steps.", {"batch_size": 256, "lr": 6e-3}),
)
