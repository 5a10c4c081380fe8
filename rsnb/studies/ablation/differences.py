"""What an ablation says: paired differences with intervals, plain sentences, and warnings of what else changed.

Numbers are mean recalls (mR) in percent, ties broken at random, over seeds: on the validation part, on which one
explores and chooses; on the test part where ``final`` says so, for what is reported.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsnb.base.text import markdown_table
from rsnb.measures.difference import COLLAPSED, Difference, adjusted, difference, gaps_of_images, verdicts
from rsnb.studies.ablation.counting import mean_recall

if TYPE_CHECKING:
    import numpy as np

    from rsnb.studies.ablation.cell import Cell

NAN = math.nan


def paired_difference(cells: Sequence[Cell], baseline: Sequence[Cell], final: bool = False) -> Difference:
    """mR of a cell minus mR of the baseline over their common seeds, the same images for both.

    The gallery stays whole; see :func:`rsnb.measures.difference.difference`. Cells of version 0.1 keep no hits of
    single validation images: of these the interval is Student's, and one seed has none (nan).

    Args:
        final: on the test part instead of the validation part.

    Raises:
        ValueError: no common seed, or cells of two data sets.
    """
    ours, theirs = ({c.seed: c for c in own} for own in (cells, baseline))
    common = sorted(set(ours) & set(theirs))
    if not common or any(ours[s].captions != theirs[s].captions for s in common):
        raise ValueError("these cells have no seed in common, or other test images")
    both = [(ours[seed], theirs[seed]) for seed in common]
    if not final and not all(cell.val_captions for pair in both for cell in pair):
        gaps = [mr_of(one) - mr_of(other) for one, other in both]
        return difference(gaps) if len(gaps) > 1 else Difference(gaps[0], NAN, NAN, NAN, 1, images=False)
    return difference([image_gaps(one, other, final) for one, other in both])


def mr_of(cell: Cell, final: bool = False) -> float:
    """mR of the validation part (of the test part, if ``final``), expected over ties where the cell has its hits."""
    if final:
        return cell.mr
    return mean_recall(*cell.hits(final)) if cell.val_captions else cell.val_mr


def image_gaps(cell: Cell, other: Cell, final: bool = False) -> np.ndarray:
    """(N,): what each image adds to the difference of two cells' mR; their mean is the difference."""
    return gaps_of_images(cell.hits(final), other.hits(final))


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
    done: Mapping[Any, Sequence[Cell]],
    baseline: Any,
    axes: Sequence[str] = (),
    final: bool = False,
    against: Mapping[Any, Any] | None = None,
) -> list[dict[str, Any]]:
    """A tidy table, one row per cell: its values, mR with its spread over seeds, the difference from the baseline.

    The rows are one family of comparisons: ``low`` and ``high`` are the 95 % interval of a difference looked at alone,
    ``verdict`` and the p value ``p`` are adjusted for all of them (:func:`rsnb.measures.difference.verdicts`). A cell
    of which a seed collapsed (:attr:`rsnb.studies.ablation.cell.Cell.collapsed`) has no difference, nor has a cell
    whose baseline did. ``image cosine`` and ``text cosine``: mean over two images, two captions of the validation part.

    Args:
        done: {name: cells}, from ``lab.run``. A name is a tuple of the axes' values (or the one value), or a label.
        axes: the names of the axes; none, if the names are labels.
        final: numbers of the test part, for cells that are reported; else of the validation part.
        against: {name: the name it is compared with}, where that is not ``baseline``; a name that is not in it is.
    """
    part, table = "test" if final else "validation", []
    if axes and not isinstance(baseline, tuple) and (baseline,) in done:
        baseline = (baseline,)
    others = {name: (against or {}).get(name, baseline) for name in done}
    compared = [name for name in done if name != others[name] and others[name] in done]
    dead = {name for name, cells in done.items() if any(cell.collapsed for cell in cells)}
    compared = [name for name in compared if name in dead or others[name] not in dead]
    family = [None if n in dead else paired_difference(done[n], done[others[n]], final) for n in compared]
    words, p = dict(zip(compared, verdicts(family))), dict(zip(compared, adjusted([f.p if f else NAN for f in family])))
    alive = sum(one is not None for one in family)
    for name, cells in done.items():
        values = [mr_of(cell, final) for cell in cells]
        values_of = name if isinstance(name, tuple) else (name,)
        row: dict[str, Any] = dict(zip(axes, values_of)) if axes else {"cell": cell_label(name)}
        row |= {"part": part, "seeds": len(cells), "mR": statistics.fmean(values)}
        row |= {"sd": statistics.stdev(values) if len(values) > 1 else NAN}
        row |= dict.fromkeys(("difference", "low", "high", "p"), NAN) | {"sentence": "", "beside": ""}
        row |= {"verdict": words.get(name, "baseline" if name == others[name] else "")}
        row |= {"against": cell_label(others[name]) if name in compared and others[name] != baseline else ""}
        gap = dict(zip(compared, family)).get(name)
        if gap is not None:
            row |= {"difference": gap.mean, "low": gap.low, "high": gap.high, "p": p[name]}
            row |= {"sentence": gap.sentence(words[name], alive)}
            row |= {"beside": "; ".join(confounded(cells, done[others[name]], axes))}
        elif name in dead:
            row |= {"verdict": COLLAPSED, "sentence": collapse_sentence(cells)}
        for kind in ("image", "text"):
            known = [cell.cosines[kind] for cell in cells if cell.cosines]
            row |= {f"{kind} cosine": statistics.fmean(known) if known else NAN}
        row |= {"lr": cells[0].spec.config.lr if cells[0].key else NAN}
        row |= {"trainable": cells[0].trainable, "steps": cells[0].steps}
        row |= {"seconds": statistics.fmean(cell.seconds for cell in cells)}
        table.append(row)
    return table


def collapse_sentence(cells: Sequence[Cell]) -> str:
    """What a collapse looks like, in words."""
    dead = [cell for cell in cells if cell.collapsed]
    said = f"{len(dead)} of {len(cells)} seeds" if len(cells) > 1 else "the seed"
    val, start = statistics.fmean(cell.val_mr for cell in dead), dead[0].start_val_mr
    words = f"collapsed in {said}: best validation mR {val:.1f}, zero-shot {start:.1f}"
    if all(cell.cosines for cell in dead):
        image, text = (statistics.fmean(cell.cosines[kind] for cell in dead) for kind in ("image", "text"))
        words += f"; mean cosine of two images {image:.2f}, of two captions {text:.2f}"
    return words


def row_name(row: Mapping[str, Any], axes: Sequence[str] = ()) -> str:
    """The name of the cell that a row of :func:`difference_rows` belongs to."""
    return cell_label(tuple(row[axis] for axis in axes)) if axes and axes[0] in row else row["cell"]


def cell_label(name: Any) -> str:
    """The name of a cell as a table shows it."""
    return ", ".join(map(cell_label, name)) if isinstance(name, tuple) else str(name)


def difference_sentences(table: Sequence[Mapping[str, Any]], axes: Sequence[str] = ()) -> list[str]:
    """One plain sentence a row that was compared with the baseline."""
    said = []
    for row in table:
        if row["sentence"]:
            name = row_name(row, axes) + (f", against {row['against']}" if row.get("against") else "")
            said.append(f"{name}: {row['sentence']}." + (f" Not alone: {row['beside']}." if row["beside"] else ""))
    return said


def difference_table(table: Sequence[Mapping[str, Any]], axes: Sequence[str] = ()) -> str:
    """The rows as Markdown; the learning rate is among them where it differs, and the mean cosine of two images where a
    cell collapsed."""
    names = [a for a in axes if table and a in table[0]] or ["cell"]
    beside = [name for name in ("against", "lr") if len({row[name] for row in table}) > 1]
    beside += ["image cosine"] if any(row["verdict"] == COLLAPSED for row in table) else []
    part = table[0]["part"] if table else ""
    head = [*names, "seeds", f"{part} mR ± sd", "difference", "95 % interval", "verdict", *beside, "trained", "steps"]
    shown = {"lr": "{:g}", "image cosine": "{:.2f}", "against": "{}"}
    lines = []
    for row in table:
        mr = f"{row['mR']:.1f}" + ("" if math.isnan(row["sd"]) else f" ± {row['sd']:.1f}")
        gap = ["" if math.isnan(row["difference"]) else f"{row['difference']:+.1f}"]
        gap += ["" if math.isnan(row["low"]) else f"{row['low']:.1f} to {row['high']:.1f}"]
        cells = [*(cell_label(row[n]) for n in names), str(row["seeds"]), mr, *gap, row["verdict"]]
        cells += [shown[name].format(row[name]) for name in beside]
        lines.append([*cells, f"{row['trainable']:,}", f"{row['steps']:,}"])
    return markdown_table(head, lines)
