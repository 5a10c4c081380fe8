"""The report of a data set for people: tables, bars, and what was found wrong."""

from __future__ import annotations

from typing import Any

from rsnb.data.faults import some
from rsnb.data.findings import FAULT, NOTE, Finding
from rsnb.data.splits import SPLITS

WIDTH, CELL = 32, 9  # with five parts 77 columns

ROWS = {
    "images": "images",
    "captions": "captions",
    "distinct captions": "distinct_captions",
    "captions shared between images": "shared_captions",
    "images with identical captions": "identical_images",
    "captions of fewer than 3 words": "near_empty",
    "words per caption, least": "words_min",
    "words per caption, mean": "words_mean",
    "words per caption, most": "words_max",
    "vocabulary (words)": "vocabulary",
    "images without a class": "unlabelled",
}


def report_text(report: Any) -> str:
    """The text of a :class:`rsnb.data.report.DatasetReport`: head, table per split, lengths, classes, faults, notes."""
    used = [split for split in SPLITS if report.splits[split]["images"]]
    everything = report.splits["all"]
    lines = [f"{report.stamp}, layout {report.layout}, {report.root}", ""]
    lines.append(" " * WIDTH + "".join(f"{split:>{CELL}}" for split in used))
    for title, key in ROWS.items():
        lines.append(f"{title:<{WIDTH}}" + "".join(f"{_number(report.splits[s][key]):>{CELL}}" for s in used))
    lines += _reading(report, used)
    classes = [f"{len(report.splits[split]['classes'])}" for split in used]
    lines.append(f"{'classes':<{WIDTH}}" + "".join(f"{count:>{CELL}}" for count in classes))
    lines += ["", "captions per image: " + _counts(everything["captions_per_image"])]
    lines += ["", "words per caption:", *_bars(everything["words_histogram"])]
    if everything["classes"]:
        lines += ["", "images per class:", *_columns(everything["classes"])]
    lines += ["", "train and test:", *(f"  {line}" for line in _overlap(report.overlap))]
    lines += ["", "images:", *(f"  {line}" for line in _images(report.images))]
    for level, title in ((FAULT, "faults"), (NOTE, "notes")):
        found = [one for one in report.findings if one.level == level]
        lines += ["", f"{title}:", *(f"  {line}" for line in _findings(found))]
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _counts(histogram: dict[str, int], most: int = 8) -> str:
    pairs = sorted(histogram.items(), key=lambda pair: -pair[1])
    shown = ", ".join(f"{value} ({count:,})" for value, count in pairs[:most])
    return shown + (f" and {len(pairs) - most} more kinds" if len(pairs) > most else "")


def _bars(histogram: dict[str, int], step: int = 5, wide: int = 40) -> list[str]:
    """Caption lengths in bins of five words; everything from 40 words on is one bin."""
    bins: dict[int, int] = {}
    for value, count in histogram.items():
        start = min(int(value) // step * step, 40)
        bins[start] = bins.get(start, 0) + count
    top = max(bins.values(), default=1)
    return [
        f"  {f'{start}-{start + step - 1}' if start < 40 else '40+':>6} {bins[start]:>8,}  "
        f"{'#' * max(round(wide * bins[start] / top), 1)}"
        for start in sorted(bins)
    ]


def _columns(counts: dict[str, int], across: int = 3, most: int = 60) -> list[str]:
    cells = [f"{label[:18]:<18}{count:>5,}" for label, count in list(counts.items())[:most]]
    more = [f"  and {len(counts) - most:,} more"] if len(counts) > most else []
    return ["  " + "   ".join(cells[i : i + across]) for i in range(0, len(cells), across)] + more


def _overlap(overlap: dict[str, Any]) -> list[str]:
    if not overlap["captions"]:
        return ["there is no test part"]
    return [
        f"{overlap['distinct']:,} of {overlap['captions']:,} test captions are distinct",
        f"{overlap['distinct_in_train']:,} of {overlap['distinct']:,} distinct test captions "
        f"({overlap['distinct_share']:.1%}) stand word for word in train or val",
        f"{overlap['captions_in_train']:,} of {overlap['captions']:,} test captions, repeats counted "
        f"({overlap['captions_share']:.1%})",
    ]


def _images(images: dict[str, Any] | None) -> list[str]:
    if images is None:
        return ["not checked (captions only)"]
    other = [f"{name} {size}" for name, size in images["other_sizes"].items()]
    return [
        f"{images['decoded']:,} of {images['listed']:,} decoded",
        f"sizes: {_counts(images['sizes'])}",
        f"found: {_counts(images['ways'])}",
        f"modes: {_counts(images['modes'])}",
        *_view(images),
        f"other than {images['commonest_size']}: {some(other, 5) if other else 'none'}",
    ]


def _view(images: dict[str, Any]) -> list[str]:
    view = images["view"] or {"bands": None, "ranges": (), "mask": True}
    lines = [f"bands: {', '.join(map(str, view['bands']))}"] if view["bands"] else []
    for name, low, high in view["ranges"]:
        origin = "as asked for" if name == "any" else f"of {name}, percentiles 2 and 98 of train and val"
        lines.append(f"range: {low:g} becomes black, {high:g} white in all parts ({origin}; --scale {low:g},{high:g})")
    return lines + ["a fourth band: no mask, left out"] * (not view["mask"])


def _findings(found: list[Finding], shown: int = 5) -> list[str]:
    said = [(one, one.remedy[:1].upper() + one.remedy[1:]) for one in found]
    return [f"{one.count:,} {one.title}: {_named(one.names, shown)}. {remedy}." for one, remedy in said] or [
        "none found"
    ]


def _named(names: list[str], shown: int) -> str:
    return some([name if len(name) <= 80 else f"{name[:77]}..." for name in names], shown) if names else "not named"


def _reading(report: Any, used: list[str]) -> list[str]:
    """How many captions are longer than the text tower reads."""
    if not report.reading:
        return []
    of = report.reading
    rows = {f"longer than {of['all']['context']} tokens, cut off": "cut", "of them read like another": "alike"}
    return [
        f"{title:<{WIDTH}}" + "".join(f"{of[split][key]:>{CELL},}" for split in used) for title, key in rows.items()
    ]
