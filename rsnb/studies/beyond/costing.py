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
    calls, found = {}, {}
    with threads(1):
        for name, recipe in recipes.items():
            model = rsnb.adapt(clip(), recipe.method, seed=0, **recipe.options)
            batch = costs.first_batch(model, train, recipe.batch_size)
            config = recipe.replace(loss="hmmc" if recipe.loss == "hmmc" else "clip").config(0, "bf16")
            memory = costs.training_memory(model, *batch, config)
            found[name] = {"steps": steps_of(recipe, train), "memory": memory["total"]}
            calls[name] = _step(model, *batch, config, recipe.turns)
        for name, seconds in in_turn(calls, rounds, "cpu").items():
            found[name]["seconds"] = round(statistics.median(seconds), 4)
    return found


def _step(model, pixels, tokens, config, turned: bool) -> Callable[[], None]:
    """One training step as a call; the rate is 0, so that all rounds do the same."""
    optimizer = torch.optim.AdamW(model.trainable().values(), lr=0.0)
    generator = torch.Generator().manual_seed(0)
    model.train()

    def step() -> None:
        seen = turns(pixels, generator) if turned else pixels
        loss = costs.loss_of_batch(model, seen, tokens, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step
