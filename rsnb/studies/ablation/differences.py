"""What an ablation says: paired differences with intervals, plain sentences, and warnings of what else changed.

Numbers are mean recalls (mR) in percent on the test part, ties broken at random, over seeds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsnb.base.text import markdown_table

if TYPE_CHECKING:
    from rsnb.studies.ablation.cell import Cell


@dataclass(frozen=True)
class Difference:
    """mR of a cell minus mR of the baseline: mean over ``seeds`` common seeds, and a 95 % interval."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def told(self) -> str:
        """ "better", "worse", or "" where the interval holds zero, or one seed says nothing about seeds."""
        if self.seeds < 2 or self.low <= 0 <= self.high:
            return ""
        return "better" if self.mean > 0 else "worse"

    def __str__(self) -> str:
        said = f"{self.mean:+.1f} mR, interval {self.low:.1f} to {self.high:.1f}"
        if self.seeds < 2:
            return f"{said} over images alone: one seed cannot tell a difference from the luck of the seed"
        with_seeds = f"with {self.seeds} seeds"
        return f"{said}: {self.told} {with_seeds}" if self.told else f"{said}: cannot be told from noise {with_seeds}"


def paired_difference(cells: Sequence[Cell], baseline: Sequence[Cell], draws: int = 2000, seed: int = 0) -> Difference:
    """Paired difference of two cells of the lab, by a bootstrap over seeds and test images together.

    Each draw takes the S common seeds and the N test images with replacement, the same images for both cells and for
    all seeds; see :func:`rsnb.measures.bootstrap.with_seeds`. The gallery stays whole.

    Raises:
        ValueError: no common seed, or cells of two test parts.
    """
    import numpy as np

    from rsnb.measures.bootstrap import drawn_counts, percentile_ends, with_seeds

    ours, theirs = ({c.seed: c for c in own} for own in (cells, baseline))
    common = sorted(set(ours) & set(theirs))
    if not common or any(ours[s].captions != theirs[s].captions for s in common):
        raise ValueError("these cells have no seed in common, or other test images")
    rng = np.random.default_rng(seed)
    captions = np.array(ours[common[0]].captions, dtype=float)
    n = len(captions)
    times, gaps = drawn_counts(n, draws, rng), []
    for key in common:
        text = np.subtract(ours[key].text, theirs[key].text)
        image = np.subtract(ours[key].image, theirs[key].image)
        gaps.append(50 * (times @ text / n + (times @ image) / (times @ captions)))  # (draws,)
    low, high = percentile_ends(with_seeds(np.array(gaps), rng))
    whole = [ours[key].mr - theirs[key].mr for key in common]
    return Difference(statistics.fmean(whole), low.item(), high.item(), len(common))


def confounded(cells: Sequence[Cell], baseline: Sequence[Cell], studied: Sequence[str] = ()) -> list[str]:
    """What changed along with the thing studied: parameters, learning rate, steps. studied: the axes, which may be
    the very thing."""
    own, base, said = cells[0], baseline[0], []
    if own.trainable != base.trainable:
        said.append(f"trains {own.trainable:,} parameters, the baseline {base.trainable:,}")
    rates = [cell.spec.config.lr if cell.key else None for cell in (own, base)]
    if rates[0] != rates[1] and not set(studied) & {"train.lr", "lr"}:
        said.append(f"learns at rate {rates[0]:g}, the baseline at {rates[1]:g}")
    if own.steps != base.steps and not set(studied) & {"train.epochs", "epochs"}:
        said.append(f"takes {own.steps:,} training steps, the baseline {base.steps:,}")
    return said


def difference_rows(
    done: Mapping[Any, Sequence[Cell]], baseline: Any, axes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """A tidy table, one row a cell: its values, mR with its spread over seeds, the difference from the baseline.

    Args:
        done: {name: cells}, from ``lab.run``. A name is a tuple of the axes' values (or the one value), or a label.
        axes: the names of the axes; none, if the names are labels.
    """
    table = []
    if axes and not isinstance(baseline, tuple) and (baseline,) in done:
        baseline = (baseline,)
    for name, cells in done.items():
        values = [cell.mr for cell in cells]
        values_of = name if isinstance(name, tuple) else (name,)
        row: dict[str, Any] = dict(zip(axes, values_of)) if axes else {"cell": cell_label(name)}
        row |= {"seeds": len(cells), "mR": statistics.fmean(values)}
        row |= {"sd": statistics.stdev(values) if len(values) > 1 else math.nan}
        if baseline in done and name != baseline:
            found = paired_difference(cells, done[baseline])
            row |= {"difference": found.mean, "low": found.low, "high": found.high, "verdict": found.told or "noise"}
            row |= {"sentence": str(found), "beside": "; ".join(confounded(cells, done[baseline], axes))}
        else:
            none = {"difference": math.nan, "low": math.nan, "high": math.nan}
            row |= {**none, "verdict": "baseline" if name == baseline else "", "sentence": "", "beside": ""}
        row |= {"trainable": cells[0].trainable, "steps": cells[0].steps}
        row |= {"seconds": statistics.fmean(cell.seconds for cell in cells)}
        table.append(row)
    return table


def cell_label(name: Any) -> str:
    """The name of a cell as a table shows it."""
    return ", ".join(map(cell_label, name)) if isinstance(name, tuple) else str(name)


def difference_sentences(table: Sequence[Mapping[str, Any]], axes: Sequence[str] = ()) -> list[str]:
    """One plain sentence a row that was compared with the baseline."""
    said = []
    for row in table:
        if row["sentence"]:
            name = cell_label(tuple(row[axis] for axis in axes)) if axes and axes[0] in row else row["cell"]
            said.append(f"{name}: {row['sentence']}." + (f" Not alone: {row['beside']}." if row["beside"] else ""))
    compared = len(said)
    if compared >= 5:
        said.append(
            f"{compared} comparisons at 95 %: about {compared / 20:.2g} of them would be called better or "
            "worse even if nothing mattered."
        )
    return said


def difference_table(table: Sequence[Mapping[str, Any]], axes: Sequence[str] = ()) -> str:
    """The rows as Markdown."""
    names = [a for a in axes if table and a in table[0]] or ["cell"]
    head = [*names, "seeds", "mR", "difference", "interval", "verdict", "trained", "steps"]
    lines = []
    for row in table:
        mr = f"{row['mR']:.1f}" + ("" if math.isnan(row["sd"]) else f" ± {row['sd']:.1f}")
        known = not math.isnan(row["difference"])
        gap = [f"{row['difference']:+.1f}", f"{row['low']:.1f} to {row['high']:.1f}"] if known else ["", ""]
        cells = [*(cell_label(row[n]) for n in names), str(row["seeds"]), mr, *gap, row["verdict"]]
        lines.append([*cells, f"{row['trainable']:,}", f"{row['steps']:,}"])
    return markdown_table(head, lines)
