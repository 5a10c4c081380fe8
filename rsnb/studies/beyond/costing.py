"""What a recipe costs: seconds and memory of its training steps, beside each other in one process."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch

import rsnb
from rsnb.beyond.parts import turns
from rsnb.beyond.recipe import Recipe
from rsnb.measures import costs
from rsnb.studies.speed.timing import in_turn, threads


def steps_of(recipe: Recipe, train) -> int:
    """Training steps in all, whatever the schedule: those over which a cosine would fall."""
    return recipe.replace(schedule="cosine").doors(train)["optimizer"].steps


def costs_of(
    recipes: Mapping[str, Recipe], clip: Callable[[], Any], train, rounds: int = 9
) -> dict[str, dict[str, float]]:
    """{recipe: steps, CPU seconds of a step, megabytes to train}, one thread, bf16, the recipes' steps in turn.

    A step turns the images where the recipe does, and computes the loss, its gradient and Adam's change; decoding the
    images and validating are left out. Megabytes: see :func:`rsnb.measures.costs.training_memory`.

    Args:
        clip: makes a fresh backbone. rounds: at least 1; the median is kept.
    """
    with threads(1):
        prepared = {name: PreparedStep(recipe, clip(), train, "bf16") for name, recipe in recipes.items()}
        times = in_turn(prepared, rounds, "cpu")
    return {
        name: {
            "steps": steps_of(recipes[name], train),
            "memory": step.memory,
            "seconds": round(statistics.median(times[name]), 4),
        }
        for name, step in prepared.items()
    }


class PreparedStep:
    """One training step of a recipe, again and again on one batch, at rate 0 so that every call does the same.

    Attributes:
        trainable: how many numbers train. memory: megabytes to train them with this batch.
    """

    def __init__(self, recipe: Recipe, clip, train, precision: str):
        self.model = rsnb.adapt(clip, recipe.method, seed=0, **recipe.options)
        self.batch = costs.first_batch(self.model, train, recipe.batch_size)
        self.config = recipe.replace(loss="hmmc" if recipe.loss == "hmmc" else "clip").config(0, precision)
        self.trainable = rsnb.count_trainable(self.model)
        self.memory = costs.training_memory(self.model, *self.batch, self.config)["total"]
        self.turned = recipe.turns
        self.optimizer = torch.optim.AdamW(self.model.trainable().values(), lr=0.0)
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self) -> None:
        self.model.train()
        pixels, tokens = self.batch
        pixels = turns(pixels, self.generator) if self.turned else pixels
        loss = costs.loss_of_batch(self.model, pixels, tokens, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
