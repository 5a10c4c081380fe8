"""What a report finds in a data set: faults, which stop a training or make a number wrong, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsnb.data.faults import DROPS, KINDS, UNSKIPPABLE

if TYPE_CHECKING:
    from rsnb.data.listing import Listing

#: faults that cannot be skipped
LASTING = {"no images", "empty", *UNSKIPPABLE}
FAULT, NOTE = "fault", "note"
#: kind: (level, what it is called, what to do about it); those of the caption files stand in `rsnb.data.faults.KINDS`
FINDINGS = {
    **{kind: (FAULT, *words) for kind, words in KINDS.items()},
    "no images": (FAULT, "images, and no file of one", "put the images beneath the data folder"),
    "empty": (FAULT, "parts without any usable image", "list at least two images to train on, and one to test on"),
    **{kind: (NOTE, title, "they are left out") for kind, title in DROPS.items()},
    "near-empty": (NOTE, "captions of fewer than 3 words", "see whether they say enough to be found by"),
    "copies": (NOTE, "groups of identical image files", "none needed: no draw divides them into train and val"),
    "copies across": (NOTE, "groups of identical image files across parts", "mind it when you read test numbers"),
    "dangling": (NOTE, "links that lead nowhere", "fetch what they stand for (git annex get, dvc pull)"),
    "outside": (NOTE, "links that lead out of the folder and were not followed", "copy what they lead to into it"),
}


@dataclass(frozen=True)
class Finding:
    """One kind of finding: its level (FAULT or NOTE), what it is called, how many, of what names, and the remedy."""

    kind: str
    level: str
    title: str
    count: int
    names: list[str]
    remedy: str


def findings_of(
    listing: Listing, splits: dict[str, dict[str, Any]], images: dict[str, Any] | None, wanted: bool
) -> list[Finding]:
    """All findings, the faults first. splits, images: the report's figures; wanted: whether images should be there."""
    found: dict[str, list[str]] = {**listing.faults.found, **listing.faults.dropped}
    if wanted and not listing.has_any_image and listing.records:
        found["no images"] = [record.name for record in listing.records]
    train, test = (splits[split]["images"] for split in ("trainval", "test"))
    if images:
        train, test = images["usable"]["train"] + images["usable"]["val"], images["usable"]["test"]
    empty = [f"train ({train} in all)"] * (train < 2) + ["test"] * (not test)
    if empty:
        found["empty"] = empty
    found["near-empty"] = splits["all"]["near_empty_examples"]
    for kind, key in (("missing", "missing"), ("ambiguous", "ambiguous"), ("corrupt", "undecodable")):
        found[kind] = (images or {}).get(key, [])
    for kind, key in (("copies", "duplicates"), ("copies across", "duplicates_across")):
        found[kind] = [" = ".join(group) for group in (images or {}).get(key, [])]
    counts = {"near-empty": splits["all"]["near_empty"]}
    counts |= {"dangling": listing.index.dangling, "outside": listing.index.outside}
    findings = [
        Finding(kind, level, title, counts.get(kind, len(found.get(kind, []))), found.get(kind, []), remedy)
        for kind, (level, title, remedy) in FINDINGS.items()
    ]
    return sorted((one for one in findings if one.count), key=lambda one: one.level != FAULT)
