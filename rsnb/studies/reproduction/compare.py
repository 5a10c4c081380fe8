"""Our rows beside the paper's, and what may be said of the difference."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

from rsnb.base import paths
from rsnb.base.recalls import COLUMNS, KS
from rsnb.base.text import markdown_table

PAPER = {"ucm": "UCM", "rsitmd": "RSITMD", "rsicd": "RSICD"}


# --- ours beside the paper's ------------------------------------------------------------------------------------
def compare_with_paper(results: Sequence[dict[str, Any]], data: str) -> list[dict[str, Any]]:
    """One row per method: ours (mean over the seeds, expected over random orders of ties), the paper's, the difference
    and the spread (standard deviation over the seeds; None for one) of each recall and of mR; what orders of the ties
    could make of mR, and what guessing gives on as many images. Without a printed row, paper and difference: None."""
    from rsnb.studies import paper

    printed = {row.method: row for row in paper.rows(PAPER[data])} if data in PAPER else {}
    rows = []
    for method in dict.fromkeys(r["method"] for r in results):
        own = [r for r in results if r["method"] == method]
        found = [r["honest"]["expected"] for r in own]
        ties = [mr for r in own for mr in r["honest"]["ties_mr"]]
        row: dict[str, Any] = {
            "method": method,
            "title": own[0]["title"],
            "seeds": len(own),
            "trainable": own[0]["trainable"],
            "ours": {},
            "paper": None,
            "difference": None,
            "spread": None,
            "all_mr": [round(recalls["mr"], 2) for recalls in found],
            "ties_mr": [min(ties), max(ties)],
        }
        values = {name: [recalls[name] for recalls in found] for name in COLUMNS}
        row["ours"] = {name: round(statistics.fmean(found), 2) for name, found in values.items()}
        if len(own) > 1:
            row["spread"] = {name: round(statistics.stdev(found), 2) for name, found in values.items()}
        row["chance"] = chance_recall(own[0]["test"]["images"], own[0]["test"]["captions"])
        if method in printed:
            row["paper"] = {**printed[method].recalls, "mr": printed[method].mr}
            row["difference"] = {name: round(row["ours"][name] - row["paper"][name], 2) for name in COLUMNS}
        rows.append(row)
    return rows


def chance_recall(images: int, captions: int) -> dict[str, float]:
    """Recalls and mR, in percent, of a model that ranks at random, with the same number of captions for each image."""
    wrong, found = captions - captions // images, {}
    for k in KS:
        found[f"text_r{k}"] = 100 * (1 - math.comb(wrong, min(k, captions)) / math.comb(captions, min(k, captions)))
        found[f"image_r{k}"] = 100 * min(1.0, k / images)
    found["mr"] = statistics.fmean(found.values())
    return {name: round(value, 2) for name, value in found.items()}


def comparison_sentence(row: dict[str, Any], reasons: Sequence[str]) -> str:
    """One row in plain words."""
    ours, own = f"{row['ours']['mr']:.1f}", row["all_mr"]
    if reasons:
        beside = f", {row['paper']['mr']:.1f} printed" if row["paper"] else ""
        return (
            f"{row['title']}: {ours} mR here (guessing gives {row['chance']['mr']:.1f}){beside}. REHEARSAL "
            f"({'; '.join(reasons)}): nothing follows from the difference."
        )
    if row["spread"]:
        ours = f"{ours} ± {row['spread']['mr']:.1f} over {row['seeds']} seeds ({min(own):.1f} to {max(own):.1f})"
    if not row["paper"]:
        return f"{row['title']}: {ours} mR; the paper has no such row."
    printed = row["paper"]["mr"]
    low, high = row["ties_mr"]
    if high - low >= 0.1:
        ours = f"{ours} (orders of ties: {low:.1f} to {high:.1f})"
    text = f"{row['title']}: {ours} mR against {printed:.1f} printed, {row['difference']['mr']:+.1f}; "
    if not row["trainable"]:
        return text + "nothing is trained, so a difference lies in the data, the weights or the counting."
    if not row["spread"]:
        return text + "one seed, so no spread."
    where = "above" if printed > max(own) else "below" if printed < min(own) else "among"
    return text + f"the printed number lies {where} our seeds, and the paper prints no spread."


def report_text(summary: dict[str, Any]) -> str:
    """The table and the sentences, as Markdown."""
    head = ("", "text R@1", "R@5", "R@10", "image R@1", "R@5", "R@10", "mR")
    lines = []
    for row in summary["rows"]:
        seeds = f"{row['seeds']} seed{'s' * (row['seeds'] > 1)}"
        for name, label, form in (
            ("ours", f"{row['title']}, ours ({seeds})", "{:.2f}"),
            ("paper", "paper", "{:.2f}"),
            ("difference", "difference", "{:+.2f}"),
            ("spread", "spread", "± {:.2f}"),
        ):
            cells = [form.format(row[name][key]) if row[name] else "-" for key in COLUMNS]
            if row["paper"] or name == "ours":
                lines.append([label, *cells])
    said = [f"- {text}" for text in summary["sentences"]]
    return "\n".join([markdown_table(head, lines), "", summary["stamp"], "", *said])


def load_rehearsal(name: str = "rehearsal") -> dict[str, Any] | None:
    """A committed summary: "rehearsal", or "reproduction-ucm" and the like; None if there is none."""
    path = paths.results_dir() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
