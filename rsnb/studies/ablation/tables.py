"""The cells of a grid as a data frame, and as a table for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rsnb.base.recalls import COLUMNS, RECALLS, recall_label
from rsnb.studies.ablation.differences import cell_label, mr_of
from rsnb.studies.ablation.spec import values_of

if TYPE_CHECKING:
    import pandas

    from rsnb.studies.ablation.cell import Cell

AFTER = ("seed", *COLUMNS, "val_mr", "trainable", "steps", "seconds", "hash")  # the columns after the settings
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"}


def frame(done: Mapping[Any, Sequence[Cell]], final: bool = False) -> pandas.DataFrame:
    """One row per cell and seed: "cell" (its label), each setting that is not the same in all of them, under the name
    of its axis, then ``AFTER``.

    The six recalls and ``mr`` are in percent: of the validation part, or of the test part where it is ``final``. Those
    of test are expected over ties, ``mr`` is so in both (cells of version 0.1 have ``mr`` alone, the recalls are NaN);
    ``val_mr`` is what the best epoch was chosen by.

    Args:
        done: {name: cells}, as :func:`rsnb.studies.ablation.lab.run_cells` gives it.
        final: the test part, for what is reported.
    """
    import pandas

    rows = [(name, cell) for name, cells in done.items() for cell in cells]
    settings = [values_of(cell.spec, getattr(cell.lab, "methods", {})) if cell.key else {} for _, cell in rows]
    names = list(dict.fromkeys(axis for own in settings for axis in own))
    varied = []
    for axis in names:  # that another method has no such option is no variation of it
        values = {repr(own.get(axis)) for own in settings if axis in own or not axis.startswith("adapter.")}
        varied += [axis] * (len(values) > 1)
    found = []
    for (name, cell), own in zip(rows, settings):
        recalls = cell.honest.get("expected", {}) if final else cell.val
        row = {"cell": cell_label(name), **{axis: own.get(axis) for axis in varied}, "seed": cell.seed}
        row |= {recall: recalls.get(recall, float("nan")) for recall in RECALLS} | {"mr": mr_of(cell, final)}
        found.append({**row, **{column: getattr(cell, column) for column in AFTER[AFTER.index("val_mr") :]}})
    table = pandas.DataFrame(found, columns=["cell", *varied, *AFTER])
    for axis in varied:  # an option that another method does not have is None, and 2 beside it stays 2
        if any(own.get(axis) is None for own in settings):
            table[axis] = pandas.Series([own.get(axis) for own in settings], dtype=object)
    return table


def summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """Of a :func:`frame`, one row per cell: its settings, the number of seeds, and for each recall, mR and
    ``trainable`` the mean, and as "<name>_sd" the standard deviation over seeds (NaN of one seed, none of
    ``trainable``)."""
    settings = list(table.columns[1 : table.columns.get_loc("seed")])
    groups = table.groupby("cell", sort=False)
    found = table.drop_duplicates("cell").set_index("cell")[settings]
    found["seeds"] = groups["seed"].nunique()
    for name in COLUMNS:
        found[name], found[f"{name}_sd"] = groups[name].mean(), groups[name].std()
    found["trainable"] = groups["trainable"].first()
    return found.reset_index()


def latex(table: pandas.DataFrame, digits: int = 1) -> str:
    r"""A LaTeX table (booktabs) of a :func:`frame`: one row per cell, recalls and mR as mean $\pm$ spread over seeds.

    The rows are named by the settings where there are any that differ, else by the labels of the cells; a recall that
    no cell has is left out.
    """
    import pandas

    rows = summary(table)
    settings = list(rows.columns[1 : rows.columns.get_loc("seeds")]) or ["cell"]
    shown: dict[str, list[str]] = {}
    for name in settings:
        shown[name] = ["" if value is None else escaped(cell_label(value)) for value in rows[name]]
    for name in COLUMNS:
        if rows[name].notna().any():
            shown[recall_label(name)] = [with_spread(*both, digits) for both in zip(rows[name], rows[f"{name}_sd"])]
    shown["trained"] = [f"{int(count):,}" for count in rows["trainable"]]
    shown["seeds"] = [str(count) for count in rows["seeds"]]
    heads = [escaped(name) for name in shown]
    columns = "l" * len(settings) + "r" * (len(heads) - len(settings))
    whole = pandas.DataFrame(dict(zip(heads, shown.values())))
    return whole.to_latex(index=False, escape=False, column_format=columns)


def with_spread(mean: float, spread: float, digits: int = 1) -> str:
    r"""'$81.2 \pm 0.4$'; the mean alone where the spread is not known, and a dash where nothing is."""
    if mean != mean:
        return "--"
    return f"{mean:.{digits}f}" if spread != spread else f"${mean:.{digits}f} \\pm {spread:.{digits}f}$"


def escaped(text: str) -> str:
    """A text as LaTeX prints it."""
    return "".join(LATEX.get(sign, sign) for sign in text)
