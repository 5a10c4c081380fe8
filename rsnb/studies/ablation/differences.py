"""What an ablation says: paired differences with intervals, plain sentences, and warnings of what else changed.

Numbers are mean recalls (mR) in percent on the test part, ties broken at random, over seeds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsnb.base.text import markdown_table
from rsnb.measures.difference import Difference, adjusted, difference, verdicts

if TYPE_CHECKING:
    import numpy as np

    from rsnb.studies.ablation.cell import Cell


def paired_difference(cells: Sequence[Cell], baseline: Sequence[Cell]) -> Difference:
    """mR of a cell minus mR of the baseline over their common seeds, the same test images for both.

    The gallery stays whole; see :func:`rsnb.measures.difference.difference`.

    Raises:
        ValueError: no common seed, or cells of two test parts.
    """
    ours, theirs = ({c.seed: c for c in own} for own in (cells, baseline))
    common = sorted(set(ours) & set(theirs))
    if not common or any(ours[s].captions != theirs[s].captions for s in common):
        raise ValueError("these cells have no seed in common, or other test images")
    return difference([image_gaps(ours[seed], theirs[seed]) for seed in common])


def image_gaps(cell: Cell, other: Cell) -> np.ndarray:
    """(N,): what each test image adds to the difference of two cells' mR; their mean is the difference."""
    import numpy as np

    captions = np.array(cell.captions, dtype=float)
    text, image = np.subtract(cell.text, other.text), np.subtract(cell.image, other.image)
    return 50 * (text + image * len(captions) / captions.sum())


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

    The rows are one family of comparisons: ``low`` and ``high`` are the 95 % interval of a difference looked at alone,
    ``verdict`` and the p value ``p`` are adjusted for all of them (:func:`rsnb.measures.difference.verdicts`).

    Args:
        done: {name: cells}, from ``lab.run``. A name is a tuple of the axes' values (or the one value), or a label.
        axes: the names of the axes; none, if the names are labels.
    """
    table = []
    if axes and not isinstance(baseline, tuple) and (baseline,) in done:
        baseline = (baseline,)
    against = done.get(baseline)
    found = {name: paired_difference(cells, against) for name, cells in done.items() if against and name != baseline}
    family = list(found.values())
    words, p = dict(zip(found, verdicts(family))), dict(zip(found, adjusted([one.p for one in family])))
    for name, cells in done.items():
        values = [cell.mr for cell in cells]
        values_of = name if isinstance(name, tuple) else (name,)
        row: dict[str, Any] = dict(zip(axes, values_of)) if axes else {"cell": cell_label(name)}
        row |= {"seeds": len(cells), "mR": statistics.fmean(values)}
        row |= {"sd": statistics.stdev(values) if len(values) > 1 else math.nan}
        if name in found:
            gap = found[name]
            row |= {"difference": gap.mean, "low": gap.low, "high": gap.high, "p": p[name], "verdict": words[name]}
            row |= {"sentence": gap.sentence(words[name], len(family))}
            row |= {"beside": "; ".join(confounded(cells, against, axes))}
        else:
            none = dict.fromkeys(("difference", "low", "high", "p"), math.nan)
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
