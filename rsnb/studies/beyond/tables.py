"""The kept studies of the road as text: a table each, with the question, the part that was read and the command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsnb.base.text import markdown_table
from rsnb.studies.beyond.command import load_beyond, table_of
from rsnb.studies.beyond.studies import STUDIES


def study_table(name: str) -> str | None:
    """A study as Markdown, if it was run and kept: from the test part where it was opened, else from validation."""
    found = load_beyond(name)
    if found is None:
        return None
    study, runs = STUDIES[name], found["runs"]
    split = "test" if all("test" in run for own in runs.values() for run in own) else "val"
    parts = [f"**{study.question}** `{found['command']}`", table_of(study, runs, split)]
    if "pretraining" in found:
        parts += ["Seed 0 of each on held-out pictures of the pretraining world:", cost_table(found["pretraining"])]
    return "\n\n".join(parts)


def cost_table(kept: Mapping[str, Mapping[str, float]]) -> str:
    """mR on each kind of picture that the CLIP was pre-trained for, a row per model.

    Args:
        kept: as :func:`rsnb.studies.beyond.carried.kept_of_pretraining` gives it.
    """
    models = next(iter(kept.values()))
    rows = [[model, *(f"{scores[model]:.1f}" for scores in kept.values())] for model in models]
    return markdown_table(["model", *kept], rows)


def study_tables() -> str:
    """All kept studies."""
    found: list[Any] = [study_table(name) for name in STUDIES]
    return "\n\n".join(text for text in found if text)
