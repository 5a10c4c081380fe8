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


def ratios(device: str = "cpu") -> list[dict[str, Any]]:
    """The committed results as lines: what, how many times the plain version's (least, median, most), and the aim,
    which is one of a CPU. Another device may lack the parts that it was not measured for."""
    parts = ("step", "evaluation", "memory", "data", "epochs")
    files = {part: load_measurement(f"{part}-{device}") for part in parts}
    missing = [part for part in parts if not files[part]]
    if len(missing) == len(parts) or (missing and device == "cpu"):
        raise RsnbError(f"{speed_folder()} lacks {missing[0]}-{device}.json; rsnb bench --out FILE writes it")
    found = {part: file[part] for part, file in files.items() if file}
    lines = []

    def line(what: str, ratio: dict[str, float], aim: str = "") -> None:
        row = {"against the plain version": what, "median": ratio["median"], "least": ratio["min"]}
        lines.append({**row, "most": ratio["max"], "aim": aim if device == "cpu" else ""})

    for part, title, aims in (("step", "training step", ("3.0", "1.7")), ("evaluation", "evaluation", ("20", ""))):
        for precision, aim in zip(("bf16", "fp32"), aims):
            if precision in found.get(part, {}):
                line(f"{title}, {precision}: times as fast", found[part][precision]["ratio"], aim)
    if "data" in found:
        line("images from the cache: times as fast as decoding", found["data"]["ratio"], "10")
    for method, aim in (("linear_probe", "20"), ("clip_adapter", "20"), ("coop", "2"), ("vpt", "1")):
        if of := found.get("epochs", {}).get(method):
            said = f"an epoch of {METHODS[method].title}, {of['left alone']} encoded once, against each time"
            line(f"{said}: times as fast", of["ratio"], aim)
    for precision, aim in (("bf16", "0.22 at most"), ("fp32", "")):
        if share := found.get("memory", {}).get(f"ours-{precision}_share"):
            line(
                f"peak memory of a step of 64, {precision}: share", dict.fromkeys(("min", "median", "max"), share), aim
            )
    return lines


def speed_table(device: str = "cpu") -> str:
    """:func:`ratios` as Markdown; without the aims, where there are none."""
    rows = ratios(device)
    columns = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    return markdown_table(columns, [[str(row[name]) for name in columns] for row in rows])
