"""The figures of the road: step by step, what each part is worth, luck, corners, budget, and what adapting costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rsnb.figures.style import GREY, HIT, IMAGE, MISS, SHARED, TEXT, heading, styled
from rsnb.measures.difference import BETTER, WORSE, verdicts
from rsnb.studies.beyond.command import compared, mean_mr
from rsnb.studies.beyond.road import PARTS
from rsnb.studies.beyond.studies import LOWER

COLOUR = {BETTER: HIT, WORSE: MISS}
IN_RECIPE = {part.name for part in PARTS if part.left_out is not None}


@styled
def steps_figure(found: Mapping[str, Any], whole: float, split: str = "test") -> Figure:
    """mR after each step, from the paper's method to the recipe: a bar for what a step adds or takes, at its place on
    the way, the seeds as dots.

    Args:
        found: the study "steps". whole: mR of full fine-tuning as in the benchmark, to be reached.
    """
    runs = found["runs"]
    names, means = list(runs), [mean_mr(own, split) for own in runs.values()]
    figure, ax = plt.subplots(figsize=(9.5, 0.62 * len(names) + 1.8))
    for place, (own, mean) in enumerate(zip(runs.values(), means)):
        before = means[place - 1] if place else mean
        colour = (HIT if mean >= before else MISS) if place else IMAGE
        ax.barh(
            place, mean - before if place else 0.25, left=before if place else mean - 0.125, color=colour, height=0.55
        )
        scores = [run[split]["plain"]["mr"] for run in own]
        ax.plot(scores, [place] * len(scores), "o", color="black", markersize=4, zorder=3)
        gain = f"{mean:.1f}" + (f" ({mean - before:+.1f})" if place else "")
        ax.annotate(gain, (max(*scores, before, mean), place), (8, 0), textcoords="offset points", va="center")
    ax.axvline(whole, color=GREY, linestyle="--")
    said = f"full fine-tuning as in the benchmark: {whole:.1f}"
    ax.annotate(said, (whole, -0.75), (-6, 0), textcoords="offset points", ha="right", va="center", color="0.35")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=f"{split} mR (%)", ylim=(len(names) - 0.4, -1.1), xlim=(min(means) - 2, max(*means, whole) + 4))
    ax.grid(False, axis="y")
    title = f"Step by step from {means[0]:.1f} to {means[-1]:.1f}, with no more than {_most(runs):,} trained numbers"
    heading(figure, title)
    return figure


def _most(runs: Mapping[str, list[Mapping[str, Any]]]) -> int:
    return max(run["trainable"] for own in runs.values() for run in own)


@styled
def parts_figure(added: Mapping[str, Any] | None, left_out: Mapping[str, Any]) -> Figure:
    """Of each part what it adds to the paper's method (or to a part that it needs), and what the recipe loses without
    it: differences in mR with 95 % intervals over images (and seeds, where there are several). added: None where that
    study was not run; then one panel."""
    shown = {"added to the paper's method": (added, "+"), "left out of the recipe": (left_out, "-")}
    shown = {title: pair for title, pair in shown.items() if pair[0]}
    named = [(sign, label) for found, sign in shown.values() for label in found["runs"] if label != found["baseline"]]
    parts = list(dict.fromkeys(label.removeprefix(f"{sign} ") for sign, label in named))
    size = (5.5 * len(shown) + 2 * (len(shown) == 1), 0.42 * len(parts) + 2)
    figure, grid = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    panels = grid[0]
    for ax, (title, (found, sign)) in zip(panels, shown.items()):
        runs, gaps = found["runs"], {}
        for part in (part for part in parts if f"{sign} {part}" in runs):
            base = found["against"].get(f"{sign} {part}", found["baseline"])
            gaps[part] = compared(runs[f"{sign} {part}"], runs[base], "val")
        said = verdicts(list(gaps.values()))
        for (part, gap), verdict in zip(gaps.items(), said):
            place, colour = parts.index(part), COLOUR.get(verdict, "0.45")
            ax.errorbar(gap.mean, place, xerr=gap.half, fmt="o", color=colour, capsize=4, markersize=8)
            label = f"{gap.mean:+.1f}" + "*" * (f"{sign} {part}" in found["against"])
            ax.annotate(label, (gap.mean, place), (0, 7), textcoords="offset points", ha="center")
        for part in set(parts) - set(gaps):
            missing = "not run" if sign == "+" or part in IN_RECIPE else "not in the recipe"
            ax.text(0, parts.index(part), missing, color="0.45", ha="center", va="center", fontsize=11)
        ax.axvline(0, color=GREY)
        ax.set_title(f"{title} ({_seeds(runs)})")
        needing = "\n(* beside a part that it needs)" if found["against"] else ""
        ax.set(xlabel=f"difference in validation mR{needing}", ylim=(len(parts) - 0.4, -0.8))
        ax.grid(False, axis="y")
    panels[0].set_yticks(range(len(parts)), parts)
    return figure


def _seeds(runs: Mapping[str, list[Any]]) -> str:
    count = max(map(len, runs.values()))
    return f"{count} seeds" if count > 1 else "one seed"


@styled
def luck_figure(tried: Mapping[str, float], again: Mapping[str, list[float]], best_of: float, winner: str) -> Figure:
    """Validation mR of recipes tried with one seed, and of some trained again with other seeds.

    Args:
        tried: {recipe: mR of its one run}. again: {recipe: mR of each seed}. best_of: what the best of as many runs of
            one recipe would reach by luck alone. winner: of ``tried``, whose dot is named.
    """
    rows = {f"{len(tried)} recipes, one run each": list(tried.values()), **again}
    figure, ax = plt.subplots(figsize=(9.5, 0.75 * len(rows) + 2.3))
    for place, scores in enumerate(rows.values()):
        ax.plot(scores, [place] * len(scores), "o", color=IMAGE if place else GREY, markersize=9, alpha=0.7)
        if place:
            mean = sum(scores) / len(scores)
            ax.plot([mean] * 2, [place - 0.28, place + 0.28], color="black")
            ax.annotate(f"mean {mean:.1f}", (mean, place - 0.28), (0, 3), textcoords="offset points", ha="center")
    ax.plot(tried[winner], 0, "*", color=MISS, markersize=18)
    ax.annotate(f"{winner}: {tried[winner]:.1f}", (tried[winner], 0), (0, 12), textcoords="offset points", ha="center")
    ax.axvline(best_of, color=GREY, linestyle="--")
    said = f"best of {len(tried)} runs of one recipe,\nby luck alone: {best_of:.1f}"
    ax.annotate(said, (best_of, len(rows) - 0.2), (6, 0), textcoords="offset points", va="center", color="0.35")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="validation mR (%)", ylim=(len(rows) + 0.2, -0.75))
    ax.margins(x=0.1)
    ax.grid(False, axis="y")
    heading(figure, "The winner of many single runs: how good is it when it runs again?")
    return figure


@styled
def arms_figure(studies: Mapping[str, Mapping[str, Any]], split: str = "test") -> Figure:
    """The same arms on one data set or several, a panel each: a dot per seed, the mean in words.

    Args:
        studies: {data: a kept study}; the arms of the last one are the rows of all.
    """
    arms = list(list(studies.values())[-1]["runs"])
    size = (max(9.5, 4.2 * len(studies) + 2.5), 0.62 * len(arms) + 1.9)
    figure, grid = plt.subplots(1, len(studies), figsize=size, sharey=True, squeeze=False)
    for ax, (data, found) in zip(grid[0], studies.items()):
        means = [mean_mr(found["runs"][arm], split) for arm in arms]
        for place, (arm, mean) in enumerate(zip(arms, means)):
            scores = [run[split]["plain"]["mr"] for run in found["runs"][arm]]
            colour = TEXT if "full" in arm else IMAGE
            ax.plot(scores, [place] * len(scores), "o", color=colour, markersize=8, alpha=0.7)
            ax.annotate(f"{mean:.1f}", (mean, place), (0, 9), textcoords="offset points", ha="center")
        ax.axvline(means[arms.index(found["baseline"])], color=TEXT, linestyle="--", linewidth=1.2)
        ax.set_title(data)
        ax.set(xlabel=f"{split} mR (%)", ylim=(len(arms) - 0.4, -0.8))
        ax.margins(x=0.12)
        ax.grid(False, axis="y")
    grid[0][0].set_yticks(range(len(arms)), arms)
    return figure


@styled
def between_figure(shares: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Figure:
    """mR along the way from zero-shot weights (0) to adapted ones (1), a curve for each set of pictures."""
    figure, ax = plt.subplots(figsize=(8.5, 4.2))
    for (name, values), colour, marker in zip(curves.items(), (IMAGE, TEXT), "os"):
        ax.plot(shares, values, marker=marker, color=colour, label=name)
        for place in (0, len(shares) - 1):
            ax.annotate(f"{values[place]:.0f}", (shares[place], values[place]), (0, 8), textcoords="offset points",
                        ha="center")  # fmt: skip
    ax.set(xlabel="share of the way to the adapted weights", ylabel="mR (%)", ylim=(0, None))
    ax.margins(y=0.15)
    ax.legend()
    ax.set_title("Is there a middle that keeps both?")
    return figure


@styled
def budget_figure(found: Mapping[str, Any], whole: Mapping[str, float], split: str = "val") -> Figure:
    """mR against the number of trained parameters, a curve per rate, and full fine-tuning in both ways as lines.

    Args:
        whole: {how: mR}.
    """
    figure, ax = plt.subplots(figsize=(9.5, 4.8))
    lower = f", {LOWER}"
    for rate, colour, marker in (("", IMAGE, "o"), (lower, SHARED, "s")):
        runs = {
            name.removesuffix(lower): own for name, own in found["runs"].items() if name.endswith(lower) == bool(rate)
        }
        sizes = sorted((own[0]["trainable"], mean_mr(own, split), name) for name, own in runs.items())
        label = f"the recipe{rate or ', its rate'}"
        ax.plot([x for x, _, _ in sizes], [mr for _, mr, _ in sizes], color=colour, marker=marker, label=label)
        for size, mr, name in sizes:
            above = mr == max(mean_mr(own, split) for own in found["runs"].values() if own[0]["trainable"] == size)
            ax.annotate(f"{mr:.1f}", (size, mr), (0, 8 if above else -18), textcoords="offset points", ha="center")
            if not rate:
                ax.annotate(f"× {name}", (size, 0.02), xycoords=ax.get_xaxis_transform(), ha="center", color="0.35")
    for (how, mr), style in zip(whole.items(), ("--", ":")):
        ax.axhline(mr, color=TEXT, linestyle=style, label=f"full fine-tuning {how}: {mr:.1f}")
    ax.set_xscale("log")
    ax.margins(x=0.08, y=0.25)
    part = "validation mR (%)" if split == "val" else "mR (%)"
    ax.set(xlabel="trainable parameters (the paper's budget is × 1)", ylabel=part)
    ax.legend(loc="lower left", bbox_to_anchor=(0.1, 0.07))
    ax.set_title("Does more budget help? One run for each point")
    return figure
