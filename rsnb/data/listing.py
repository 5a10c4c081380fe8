"""A data set read, divided and matched with its image files, before anything is dropped or raised."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from rsnb.data.dataset import Item
from rsnb.data.faults import Faults
from rsnb.data.headers import read_header
from rsnb.data.images import looks_sound, open_rgb
from rsnb.data.index import Found, ImageIndex
from rsnb.data.labels import UCM_CLASSES, are_classes, folder_label, labels_of, ucm_name
from rsnb.data.layouts import PARTS, Record, read_records, record_key
from rsnb.data.locate import Place, locate
from rsnb.data.pixels import map_threads
from rsnb.data.ranges import evenly, is_scaled, view_of
from rsnb.data.rasters import View, bands_of, scale_of
from rsnb.data.splits import assign, members
from rsnb.errors import RsnbError


@dataclass
class Listing:
    """A data set read and divided: what `load_dataset` and `report` both start from.

    records, parts, labels, found: one entry per image; `found` holds the image file that its name means.
    """

    place: Place
    records: list[Record]
    parts: list[str]
    labels: list[str | None]
    found: list[Found]
    index: ImageIndex
    faults: Faults
    view: View | None = None

    @property
    def has_any_image(self) -> bool:
        """Whether at least one image was found."""
        return any(own.path or own.several for own in self.found) or any(record.cell for record in self.records)

    def item(self, i: int, images: bool = True) -> Item:
        """Image i; its file only if exactly one fits."""
        record = self.records[i]
        path = self.found[i].path if images else None
        cell, view = (record.cell, self.view) if images else (None, None)
        return Item(record.name, path, record.captions, self.labels[i], cell, view)


def read_listing(
    name_or_path: str | Path = "toy",
    root: str | Path | None = None,
    layout: str | None = None,
    seed: int = 0,
    val_fraction: float | None = 0.2,
    skip_bad: bool = False,
    bands: str | tuple[int, ...] | None = None,
    scale: str | tuple[float, float] | None = None,
) -> Listing:
    """Find, read and divide a data set; faults are collected, not yet raised."""
    bands, scale = bands_of(bands), scale_of(scale)
    place = locate(name_or_path, root, layout)
    faults = Faults(f"{place.name} at {place.source.files[0].parent}", skip_bad, root=place.root)
    records = read_records(place.source, faults)
    index = ImageIndex(place.root)
    found, layout = _find_images(records, index, place)
    records, found = _one_part_each(records, found, faults)
    place = replace(place, layout=layout)
    is_ucm = place.name == "ucm" or layout == "ucm_folders"
    labels = labels_of(records, is_ucm)
    if not any(labels):
        labels = _folder_labels(found, index)
    official = [record.split for record in records]
    if val_fraction is None and "val" not in official:
        raise RsnbError(f"{place.name} has no val part of its own; use val_fraction=0.2 to make one")
    keys = [record_key(record.name, place.source.layout) for record in records]
    parts = assign(keys, official, seed, val_fraction, _twins(found, official))
    listing = Listing(place, records, parts, labels, found, index, faults)
    listing.view = view_of(_sources_of_training(listing), bands, scale)
    return listing


def _sources_of_training(listing: Listing, looked_at: int = 8, most: int = 50) -> list[Path | bytes]:
    """The images of train and val, official parts together, or else of test. Of those inside parquet or tar files, that
    have to be read to be looked at, a few, evenly chosen; more where one of these needs a range."""
    chosen = members(listing.parts, "trainval") or members(listing.parts, "test")
    inside = [i for i in chosen if listing.records[i].cell]
    files = [listing.found[i].path for i in chosen if listing.found[i].path]
    few = _read(listing, inside, looked_at)
    more = any((header := read_header(one)) and (is_scaled(header) or header.may_have_mask) for one in few)
    return [*files, *(_read(listing, inside, most) if more else few)]


def _read(listing: Listing, inside: list[int], most: int) -> list[bytes]:
    found = []
    for i in evenly(inside, most):
        with contextlib.suppress(RsnbError):  # a broken one is named where all are read
            found.append(listing.item(i).source)
    return found


def _find_images(records: list[Record], index: ImageIndex, place: Place) -> tuple[list[Found], str]:
    """The file of each record, and the layout (class folders are only seen now)."""
    forced = place.layout == "ucm_folders"
    official = [record.split for record in records]
    if not forced:
        found = _one_name_each(records, index.match([None if r.cell else r.name for r in records], official), index)
        if place.layout not in ("precomp", "karpathy") or _any(found):
            return found, place.layout
    found = _one_name_each(records, index.match([ucm_name(record.name) for record in records], official), index)
    if forced and not _any(found):
        raise RsnbError(
            f"{place.root} holds no UC Merced class folders (such as {UCM_CLASSES[0]}/{UCM_CLASSES[0]}00.tif)"
            f" that fit the captions; name the folder that holds them"
        )
    return found, "ucm_folders" if _any(found) else place.layout


def _one_name_each(records: list[Record], found: list[Found], index: ImageIndex) -> list[Found]:
    """The files that one listed name means. What several mean alike (`train/0.png`, `test/0.png`) is none's, and what
    lies in the folder of one part (`train/0.png`) is not what another part means by the same name (`0.png`)."""
    names: dict[Path | None, set[str]] = {}
    splits: dict[Path | None, set[str]] = {}
    for record, own in zip(records, found):
        names.setdefault(own.path, set()).add(record.name)
        splits.setdefault(own.path, set()).add(record.split)

    def has_it(record: Record, path: Path) -> bool:
        homes = index.parts_of(path) & splits[path] if len(splits[path]) > 1 else None
        return len(names[path]) == 1 and (not homes or record.split in homes)

    return [own if own.path is None or has_it(record, own.path) else Found() for record, own in zip(records, found)]


def _any(found: list[Found]) -> bool:
    return any(own.path or own.several for own in found)


def _one_part_each(records: list[Record], found: list[Found], faults: Faults) -> tuple[list[Record], list[Found]]:
    """The records without those whose image is listed in a later part too: test counts before val, val before train.

    Two records are one image if they mean one file; without a file, if their names are the same. That one is listed in
    two parts is a fault, each named once.
    """
    same = [own.path or (record.name, record.digest) for record, own in zip(records, found)]
    home: dict[object, str] = {}
    for image, record in zip(same, records):
        home[image] = max(record.split, home.get(image, "train"), key=PARTS.index)
    kept = []
    for i, (image, record) in enumerate(zip(same, records)):
        if record.split == home[image]:
            kept.append(i)
        else:
            faults.add("crossing", f"{record.name} ({record.split} and {home[image]})")
    return [records[i] for i in kept], [found[i] for i in kept]


def _folder_labels(found: list[Found], index: ImageIndex) -> list[str | None]:
    """Classes from the folders that the image files lie in, if there are at least two."""
    places = [own.path.relative_to(index.root).as_posix() if own.path else "" for own in found]
    folders = [folder_label(place) for place in places]
    return folders if are_classes(folders) else [None] * len(found)


def _twins(found: list[Found], official: list[str]) -> list[list[int]]:
    """Groups of train + val images whose files are byte for byte the same."""
    sizes: dict[int, list[int]] = {}
    groups: dict[bytes, list[int]] = {}
    for i, own in enumerate(found):
        if own.path and official[i] != "test":
            with contextlib.suppress(OSError):  # a file that went away, or may not be read, is a fault that comes later
                sizes.setdefault(own.path.stat().st_size, []).append(i)
    for alike in sizes.values():
        for i in alike if len(alike) > 1 else ():
            with contextlib.suppress(OSError):
                groups.setdefault(hashlib.sha256(found[i].path.read_bytes()).digest(), []).append(i)
    return [group for group in groups.values() if len(group) > 1]


def check_images(listing: Listing, chosen: list[int], thorough: bool = False) -> list[int]:
    """Those of the chosen images that are there and begin like an image; the rest becomes faults.

    thorough: decode each image fully (used with skip_bad, so that nothing fails later).
    """

    def check(i: int) -> tuple[str, str] | None:
        record, own = listing.records[i], listing.found[i]
        if record.cell is None and own.path is None:
            if not own.several:
                return "missing", record.name
            return "ambiguous", f"{record.name} ({', '.join(_short(p, listing.index.root) for p in own.several[:3])})"
        item = listing.item(i)
        try:
            source = item.source
            if thorough:
                open_rgb(source, item.name, item.view)
                return None
            reason = looks_sound(source)
        except RsnbError as error:
            reason = str(error).removeprefix(f"{item.name} cannot be decoded (").split(");")[0]
        return ("corrupt", f"{record.name} ({reason})") if reason else None

    kept = []
    for i, fault in zip(chosen, map_threads(check, chosen, "check images" if thorough else None)):
        if fault is None:
            kept.append(i)
        else:
            listing.faults.add(*fault)
    return kept


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
