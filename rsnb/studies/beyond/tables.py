"""The kept studies of the road as text: a table each, with the question, the part that was read and the command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rsnb.base.text import markdown_table
from rsnb.studies.benchmark.tables import benchmark_rows, load_results
from rsnb.studies.beyond.command import SUCCESSORS, compared, load_beyond, mean_mr, table_of
from rsnb.studies.beyond.studies import AS_RECIPE, BESIDE, IN_BENCHMARK, OURS, STUDIES, WHOLE


def study_table(name: str) -> str | None:
    """A study as Markdown, if it was run and kept: from the test part where it was opened, else from validation."""
    found = load_beyond(name)
    if found is None:
        return None
    study, runs = STUDIES[name], found["runs"]
    split = "test" if all("test" in run for own in runs.values() for run in own) else "val"
    made, planned = sum(map(len, runs.values())), sum(study.seeds.values())
    so_far = f" So far {made} of {planned} runs." if made < planned else ""
    parts = [f"**{study.question}** `{found['command']}`", table_of(study, runs, split), devices_line(runs) + so_far]
    if "pretraining" in found:
        parts += ["Seed 0 of each on held-out pictures of the pretraining world:", cost_table(found["pretraining"])]
    if "costs" in found:
        parts += ["What training takes, on one thread of a CPU and in bf16:", training_table(found["costs"])]
    return "\n\n".join(parts)


def devices_line(runs: Mapping[str, list[Mapping[str, Any]]]) -> str:
    """Where the runs were trained: "Trained in bf16: 3 on CPU, 24 on NVIDIA H200." A run without a name is of a CPU."""
    count = Counter(run.get("device", "CPU") for own in runs.values() for run in own)
    return "Trained in bf16: " + ", ".join(f"{n} on {device}" for device, n in sorted(count.items())) + "."


def training_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Steps, CPU minutes of all of them, a step beside that of :data:`BESIDE`, and memory; see
    :func:`rsnb.studies.beyond.costing.costs_of`."""
    one = costs[BESIDE]["seconds"]
    rows = [
        [
            name,
            f"{cost['steps']:,}",
            f"{cost['steps'] * cost['seconds'] / 60:.1f}",
            f"{cost['seconds'] / one:.2f}",
            f"{cost['memory']:.0f}",
        ]
        for name, cost in costs.items()
    ]
    return markdown_table(["recipe", "steps", "CPU minutes", f"a step, {BESIDE} = 1", "memory (MB)"], rows)


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


def recipe_sentence() -> str:
    """How far the recipe goes, beside full fine-tuning in both ways; "" before its test part is opened."""
    found = load_beyond("corners")
    runs = found["runs"] if found else {}
    if not runs or any("test" not in run for own in runs.values() for run in own):
        return ""
    benchmark, recipe = runs[f"{WHOLE}, {IN_BENCHMARK}"], runs[OURS]
    gap, turned = (compared(recipe, benchmark, "test", way) for way in ("plain", "turns"))
    second = load_beyond("carried to a second world")
    carried = ""
    if second and all("test" in run for own in second["runs"].values() for run in own):
        there = compared(second["runs"][OURS], second["runs"][f"{WHOLE}, {IN_BENCHMARK}"], "test")
        carried = (
            f"; on a second world {there.low:.1f} to {there.high:.1f}, {there.seeds} seed{'s' * (there.seeds > 1)}"
        )
    ours, full, both = (mean_mr(own, "test") for own in (recipe, benchmark, runs[f"{WHOLE}, {AS_RECIPE}"]))
    return (
        f"Notebook 13 goes beyond the paper: a recipe of that budget reaches {ours:.1f}, full fine-tuning as above "
        f"{full:.1f} ({gap.seeds} seeds each, difference {gap.low:.1f} to {gap.high:.1f}; with eight turns on both "
        f"sides {turned.low:.1f} to {turned.high:.1f}{carried}), with the recipe {both:.1f}."
    )


BENCHMARK_ROWS = ("MRS-Adapter + HMMC", "MRS-Adapter + CLIP loss", "AdaptFormer", "Full fine-tuning")


def later_methods_table() -> str:
    """The two later methods that were trained here, and rows of the benchmark whose protocol they follow."""
    found = load_beyond(SUCCESSORS)
    if found is None:
        return "Not trained yet."
    with_spread = lambda mr: f"{mr['mean']:.1f} ± {mr['sd']:.1f}"  # noqa: E731
    rows = [
        [row["title"], f"{row['trainable']:,}", f"{row['lr']:g}", f"{len(row['runs'])}", with_spread(row["test_mr"])]
        for row in found["rows"]
    ]
    for row in benchmark_rows(load_results("toy", "mini")):
        if row["title"] in BENCHMARK_ROWS:
            mr = with_spread({"mean": row["mr"], "sd": row["mr_sd"]})
            rows.append([row["title"], f"{row['trainable']:,}", f"{row['lr']:g}", f"{row['seeds']}", mr])
    table = markdown_table(["method", "trainable", "rate", "seeds", "mR, test"], rows)
    return f"{table}\n\n{found['stamp']} · `{found['command']}`; the other rows from the benchmark"
