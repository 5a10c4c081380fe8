"""The committed measurements, and their ratios as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.methods import METHODS


def speed_folder() -> Path:
    """Where the committed result files of ``rsnb bench`` lie."""
    return paths.results_dir() / "speed"


def load_measurement(name: str) -> dict[str, Any] | None:
    """A committed result file of ``rsnb bench``; None where there is none."""
    path = speed_folder() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def ratios() -> list[dict[str, Any]]:
    """The committed results as lines: what, how many times the plain version's (least, median, most), and the aim."""
    names = ("step-cpu", "evaluation-cpu", "memory-cpu", "data-cpu", "epochs-cpu")
    if not all(map(load_measurement, names)):
        raise RsnbError(f"{speed_folder()} lacks one of {', '.join(names)}; rsnb bench --out FILE writes them")
    found, more, memory, data, epochs = map(load_measurement, names)
    lines = []

    def line(what: str, ratio: dict[str, float], aim: str) -> None:
        row = {"against the plain version": what, "median": ratio["median"], "least": ratio["min"]}
        lines.append({**row, "most": ratio["max"], "aim": aim})

    line("training step, bf16: times as fast", found["step"]["bf16"]["ratio"], "3.0")
    line("training step, fp32: times as fast", found["step"]["fp32"]["ratio"], "1.7")
    line("evaluation, bf16: times as fast", more["evaluation"]["bf16"]["ratio"], "20")
    line("evaluation, fp32: times as fast", more["evaluation"]["fp32"]["ratio"], "")
    line("images from the cache: times as fast as decoding", data["data"]["ratio"], "10")
    for method, aim in (("linear_probe", "20"), ("clip_adapter", "20"), ("coop", "2"), ("vpt", "1")):
        of = epochs["epochs"][method]
        said = f"an epoch of {METHODS[method].title}, {of['left alone']} encoded once, against each time: times as fast"
        line(said, of["ratio"], aim)
    for precision, aim in (("bf16", "0.22 at most"), ("fp32", "")):
        share = memory["memory"][f"ours-{precision}_share"]
        line(f"peak memory of a step of 64, {precision}: share", dict.fromkeys(("min", "median", "max"), share), aim)
    return lines


def speed_table() -> str:
    """:func:`ratios` as Markdown."""
    rows = ratios()
    return markdown_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows])
