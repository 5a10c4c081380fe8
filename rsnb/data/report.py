"""What is in a captioned image set, and what is wrong with it: counted, not guessed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsnb.data.faults import DROPS, KINDS, some
from rsnb.data.images import decode
from rsnb.data.listing import Listing, read_listing
from rsnb.data.listing import check_images as find_faults
from rsnb.data.pixels import map_threads
from rsnb.data.splits import SPLITS, members
from rsnb.data.words import words_of
from rsnb.errors import RsnbError

NEAR_EMPTY = 3  # captions with fewer words than this say next to nothing


@dataclass(frozen=True)
class DatasetReport:
    """Counts and defects of a data set; `to_dict()` for scripts, `text()` (or print) for people.

    splits:  per split (train, val, trainval, test, all) the figures of `split_figures`
    overlap: how many test captions stand word for word in train + val
    images:  what decoding every file showed, or None if images were not checked
    dropped: blank captions and images without captions, by name; faults: what else is wrong, by name
    """

    name: str
    stamp: str
    layout: str
    root: str
    seed: int
    splits: dict[str, dict[str, Any]]
    overlap: dict[str, Any]
    images: dict[str, Any] | None
    dropped: dict[str, list[str]]
    faults: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and texts, ready for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Two tables and a list of defects, as plain text."""
        return report_text(self)

    __str__ = text

    def __repr__(self) -> str:
        everything = self.splits["all"]
        images, captions = everything["images"], everything["captions"]
        return f"DatasetReport({self.stamp}: {images:,} images, {captions:,} captions)"


def split_figures(groups: list[tuple[str, ...]], labels: list[str | None]) -> dict[str, Any]:
    """Figures of one split from the captions of each image and its label.

    shared_captions counts captions whose exact text also belongs to another image; identical_images counts
    images with two or more captions that are all the same.
    """
    captions = [caption for group in groups for caption in group]
    owners: Counter = Counter(caption for group in groups for caption in set(group))
    lengths = [len(words_of(caption)) for caption in captions]
    near_empty = [caption for caption, length in zip(captions, lengths) if length < NEAR_EMPTY]
    return {
        "images": len(groups),
        "captions": len(captions),
        "distinct_captions": len(owners),
        "shared_captions": sum(owners[caption] > 1 for caption in captions),
        "identical_images": sum(len(group) > 1 and len(set(group)) == 1 for group in groups),
        "captions_per_image": _histogram(len(group) for group in groups),
        "words_min": min(lengths, default=0),
        "words_mean": sum(lengths) / max(len(lengths), 1),
        "words_max": max(lengths, default=0),
        "words_histogram": _histogram(lengths),
        "vocabulary": len({word for caption in owners for word in words_of(caption)}),
        "near_empty": len(near_empty),
        "near_empty_examples": list(dict.fromkeys(near_empty))[:10],
        "classes": dict(sorted(Counter(label for label in labels if label is not None).items())),
        "unlabelled": sum(label is None for label in labels),
    }


def _histogram(values: Any) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def overlap_figures(train: list[tuple[str, ...]], test: list[tuple[str, ...]]) -> dict[str, Any]:
    """Test captions that stand word for word in train: of all test captions, and of the distinct ones."""
    known = {caption for group in train for caption in group}
    captions = [caption for group in test for caption in group]
    distinct = set(captions)
    both, all_of_them = len(distinct & known), sum(caption in known for caption in captions)
    return {
        "captions": len(captions),
        "captions_in_train": all_of_them,
        "captions_share": all_of_them / max(len(captions), 1),
        "distinct": len(distinct),
        "distinct_in_train": both,
        "distinct_share": both / max(len(distinct), 1),
    }


def image_figures(listing: Listing, progress: bool = True) -> dict[str, Any]:
    """Decode every image once: sizes, modes, files that are missing, broken or the same as another."""

    def look(i: int) -> tuple[str, str, str, str]:
        """(size, mode, digest, "") or ("", "", "", reason)."""
        item = listing.item(i)
        try:
            source = item.source
            raw = source if isinstance(source, bytes) else source.read_bytes()
            image, mode = decode(raw, item.name)
        except (RsnbError, OSError) as error:
            return "", "", "", str(error).split(";")[0]
        return f"{image.width}x{image.height}", mode, hashlib.sha256(raw).hexdigest(), ""

    there = [i for i, record in enumerate(listing.records) if record.cell or listing.found[i].path]
    looks = dict(zip(there, map_threads(look, there, "check images" if progress else None)))
    good = {i: look for i, look in looks.items() if not look[3]}
    sizes = Counter(size for size, _, _, _ in good.values())
    common = sizes.most_common(1)[0][0] if sizes else ""
    names = [record.name for record in listing.records]
    same: dict[str, list[int]] = {}
    for i, (_, _, digest, _) in good.items():
        same.setdefault(digest, []).append(i)
    twins = [group for group in same.values() if len(group) > 1]
    return {
        "listed": len(names),
        "files": len(listing.index),
        "decoded": len(good),
        "missing": [names[i] for i in range(len(names)) if i not in looks and not listing.found[i].several],
        "ambiguous": [names[i] for i in range(len(names)) if listing.found[i].several],
        "ways": dict(Counter("in parquet" if r.cell else own.way for r, own in zip(listing.records, listing.found))),
        "undecodable": [f"{names[i]} ({look[3]})" for i, look in looks.items() if look[3]],
        "sizes": dict(sizes.most_common()),
        "modes": dict(Counter(mode for _, mode, _, _ in good.values()).most_common()),
        "commonest_size": common,
        "other_sizes": {names[i]: look[0] for i, look in good.items() if look[0] != common},
        "duplicates": [[names[i] for i in group] for group in twins],
        "duplicates_across": [
            [f"{names[i]} ({listing.parts[i]})" for i in group]
            for group in twins
            if len({listing.parts[i] for i in group}) > 1
        ],
    }


def report(
    name_or_path: str | Path = "toy",
    root: str | Path | None = None,
    layout: str | None = None,
    check_images: bool = True,
    seed: int = 0,
    val_fraction: float | None = 0.2,
    skip_bad: bool = True,
    progress: bool = True,
) -> DatasetReport:
    """Count a data set and list its defects (arguments as in `load_dataset`).

    check_images: decode every image, with a progress bar; False, or a set without any image, leaves it out
    skip_bad:     True lists what is wrong; False raises as `load_dataset` would

    Raises: RsnbError if no data set is found; with skip_bad=False for any fault.
    """
    listing = read_listing(name_or_path, root, layout, seed, val_fraction, skip_bad)
    if not skip_bad:
        _raise_faults(listing, check_images)
    records = listing.records
    splits = {}
    for split in SPLITS:
        chosen = members(listing.parts, split)
        captions = [records[i].captions for i in chosen]
        splits[split] = split_figures(captions, [listing.labels[i] for i in chosen])
    train, test = ([records[i].captions for i in members(listing.parts, s)] for s in ("trainval", "test"))
    place = listing.place
    return DatasetReport(
        name=place.name,
        stamp=place.stamp,
        layout=place.layout,
        root=str(place.root),
        seed=seed,
        splits=splits,
        overlap=overlap_figures(train, test),
        images=image_figures(listing, progress) if check_images and listing.has_any_image else None,
        dropped=listing.faults.dropped,
        faults={KINDS[kind][0]: offenders for kind, offenders in listing.faults.found.items()},
    )


def _raise_faults(listing: Listing, with_images: bool) -> None:
    if with_images and listing.has_any_image:
        find_faults(listing, list(range(len(listing.records))), thorough=True)
    if listing.faults.found:
        raise RsnbError(listing.faults.message())


# --- as text ----------------------------------------------------------------------------------------------------
WIDTH = 34

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


def report_text(report: DatasetReport) -> str:
    """The text of a report: head, table per split, captions per image, lengths, classes, defects."""
    used = [split for split in SPLITS if report.splits[split]["images"]]
    everything = report.splits["all"]
    lines = [f"{report.stamp}, layout {report.layout}, {report.root}", ""]
    lines.append(" " * WIDTH + "".join(f"{split:>11}" for split in used))
    for title, key in ROWS.items():
        lines.append(f"{title:<{WIDTH}}" + "".join(f"{_number(report.splits[s][key]):>11}" for s in used))
    classes = [f"{len(report.splits[split]['classes'])}" for split in used]
    lines.append(f"{'classes':<{WIDTH}}" + "".join(f"{count:>11}" for count in classes))
    lines += ["", "captions per image: " + _counts(everything["captions_per_image"])]
    lines += ["", "words per caption:", *_bars(everything["words_histogram"])]
    if everything["classes"]:
        lines += ["", "images per class:", *_columns(everything["classes"])]
    lines += ["", "train and test:", *(f"  {line}" for line in _overlap(report.overlap))]
    lines += ["", "images:", *(f"  {line}" for line in _images(report.images))]
    lines += ["", "defects:", *(f"  {line}" for line in _defects(report))]
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


def _columns(counts: dict[str, int], across: int = 4) -> list[str]:
    cells = [f"{label[:18]:<18}{count:>5,}" for label, count in counts.items()]
    return ["  " + "   ".join(cells[i : i + across]) for i in range(0, len(cells), across)]


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
        f"modes: {_counts(images['modes'])}",
        f"other than {images['commonest_size']}: {some(other, 5) if other else 'none'}",
    ]


def _defects(report: DatasetReport) -> list[str]:
    lines = [f"{len(names):,} {DROPS[kind]}: {some(names)}" for kind, names in report.dropped.items()]
    lines += [f"{len(names):,} {title}: {some(names)}" for title, names in report.faults.items()]
    examples = report.splits["all"]["near_empty_examples"]
    if examples:
        count = report.splits["all"]["near_empty"]
        lines.append(f"{count:,} near-empty captions, such as {some([repr(e) for e in examples], 5)}")
    if report.images:
        for key, title in (
            ("missing", "images missing"),
            ("ambiguous", "image names that fit several files"),
            ("undecodable", "images that cannot be decoded"),
        ):
            if report.images[key]:
                lines.append(f"{len(report.images[key]):,} {title}: {some(report.images[key])}")
        for key, title in (
            ("duplicates", "groups of identical image files"),
            ("duplicates_across", "of them across splits"),
        ):
            groups = [" = ".join(group) for group in report.images[key]]
            if groups:
                lines.append(f"{len(groups):,} {title}: {some(groups, 5)}")
    return lines or ["none found"]
