"""What is in a captioned image set, and what is wrong with it: counted, not guessed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsnb.data.findings import FAULT, Finding, findings_of
from rsnb.data.images import decode
from rsnb.data.listing import Listing, read_listing
from rsnb.data.listing import check_images as find_faults
from rsnb.data.pixels import map_threads
from rsnb.data.splits import SPLITS, members
from rsnb.data.words import length_of, words_of
from rsnb.errors import RsnbError

NEAR_EMPTY = 3  # captions with fewer words than this say next to nothing


@dataclass(frozen=True)
class DatasetReport:
    """Counts and defects of a data set; `to_dict()` for scripts, `text()` (or print) for people.

    Fields:
        splits: per split (train, val, trainval, test, all) the figures of `split_figures`
        overlap: how many test captions stand word for word in train + val
        images: what decoding every file showed, or None if images were not checked
        reading: per split how many captions a text tower cuts off (see `reading_figures`), or None without a tokenizer
        findings: what is wrong or worth knowing, the faults first; see :class:`rsnb.data.findings.Finding`
    """

    name: str
    stamp: str
    layout: str
    root: str
    seed: int
    splits: dict[str, dict[str, Any]]
    overlap: dict[str, Any]
    images: dict[str, Any] | None
    reading: dict[str, dict[str, int]] | None
    findings: list[Finding]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and texts, ready for JSON."""
        return asdict(self)

    @property
    def faults(self) -> list[Finding]:
        """The findings with which nothing can be trained, or a number would be wrong."""
        return [finding for finding in self.findings if finding.level == FAULT]

    def text(self) -> str:
        """Two tables and a list of defects, as plain text."""
        from rsnb.data.report_text import report_text

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
    lengths = [length_of(caption) for caption in captions]
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


def captions_of(listing: Listing, split: str) -> list[tuple[str, ...]]:
    """The captions of each image of a split."""
    return [listing.records[i].captions for i in members(listing.parts, split)]


def reading_figures(groups: list[tuple[str, ...]], tokenizer: Any) -> dict[str, int]:
    """What a text tower reads of captions: `context`, its length in tokens; `cut`, how many captions are longer, begin
    and end tokens counted; `alike`, how many distinct ones become the same tokens as another distinct one."""
    captions = [caption for group in groups for caption in group]
    distinct, context = list(dict.fromkeys(captions)), tokenizer.context_length
    lengths = {caption: len(tokenizer.encode(caption)) + 2 for caption in distinct}
    long = [caption for caption in distinct if lengths[caption] > context]
    read = Counter(tuple(row) for row in tokenizer(long).tolist()) if long else Counter()
    return {
        "context": context,
        "cut": sum(lengths[caption] > context for caption in captions),
        "alike": sum(count for count in read.values() if count > 1),
    }


def image_figures(listing: Listing, progress: bool = True) -> dict[str, Any]:
    """Decode every image once: sizes, modes, files that are missing, broken or the same as another."""

    def look(i: int) -> tuple[str, str, str, str]:
        """(size, mode, digest, "") or ("", "", "", reason)."""
        item = listing.item(i)
        try:
            source = item.source
            raw = source if isinstance(source, bytes) else source.read_bytes()
            image, mode = decode(raw, item.name, item.view)
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
        "usable": {part: sum(listing.parts[i] == part for i in good) for part in ("train", "val", "test")},
        "missing": [names[i] for i in range(len(names)) if i not in looks and not listing.found[i].several],
        "ambiguous": [names[i] for i in range(len(names)) if listing.found[i].several],
        "ways": dict(
            Counter(
                f"in {r.cell[0].suffix[1:]}" if r.cell else own.way for r, own in zip(listing.records, listing.found)
            )
        ),
        "undecodable": [f"{names[i]} ({look[3]})" for i, look in looks.items() if look[3]],
        "sizes": dict(sizes.most_common()),
        "modes": dict(Counter(mode for _, mode, _, _ in good.values()).most_common()),
        "view": None if listing.view is None else asdict(listing.view),
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
    tokenizer: Any = None,
    bands: str | tuple[int, ...] | None = None,
    scale: str | tuple[float, float] | None = None,
) -> DatasetReport:
    """Count a data set and list its defects (arguments as in `load_dataset`).

    Args:
        check_images: decode every image, with a progress bar; False, or a set without any image, leaves it out
        skip_bad: True lists what is wrong; False raises as `load_dataset` would
        tokenizer: of open_clip: also count the captions that its text tower would cut off

    Raises:
        RsnbError: no data set is found; with skip_bad=False for any fault.
    """
    listing = read_listing(name_or_path, root, layout, seed, val_fraction, skip_bad, bands, scale)
    if not skip_bad:
        _raise_faults(listing, check_images)
    splits = {}
    for split in SPLITS:
        chosen = members(listing.parts, split)
        splits[split] = split_figures(captions_of(listing, split), [listing.labels[i] for i in chosen])
    train, test = (captions_of(listing, split) for split in ("trainval", "test"))
    place = listing.place
    images = image_figures(listing, progress) if check_images and listing.has_any_image else None
    return DatasetReport(
        name=place.name,
        stamp=place.stamp,
        layout=place.layout,
        root=str(place.root),
        seed=seed,
        splits=splits,
        overlap=overlap_figures(train, test),
        images=images,
        reading=tokenizer and {split: reading_figures(captions_of(listing, split), tokenizer) for split in SPLITS},
        findings=findings_of(listing, splits, images, check_images),
    )


def _raise_faults(listing: Listing, with_images: bool) -> None:
    if with_images and listing.has_any_image:
        find_faults(listing, list(range(len(listing.records))), thorough=True)
    if listing.faults.found:
        raise RsnbError(listing.faults.message())
