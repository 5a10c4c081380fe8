"""`load_dataset`: from a name or a folder to one split of captioned images."""

from __future__ import annotations

from pathlib import Path

from rsnb.base.fields import checked
from rsnb.data.dataset import CaptionDataset
from rsnb.data.listing import Listing, check_images, read_listing
from rsnb.data.splits import draw, members
from rsnb.errors import RsnbError


def load_dataset(
    name_or_path: str | Path = "toy",
    split: str = "train",
    root: str | Path | None = None,
    layout: str | None = None,
    images: bool | None = None,
    seed: int = 0,
    val_fraction: float | None = 0.2,
    skip_bad: bool = False,
    limit: int | None = None,
    bands: str | tuple[int, ...] | None = None,
    scale: str | tuple[float, float] | None = None,
) -> CaptionDataset:
    """Load one split of a captioned image set.

    Args:
        name_or_path: "toy" (ships with the project); "ucm", "rsicd", "rsitmd" with their folder as `root` or in
            RSNB_ROOT; or the path of a folder or caption file (then `root` may name the images' folder)
        split: train | val | trainval | test | all. Test is official; the official train and val parts together are
            divided into train and val by image (paper, section IV: 80/20)
        layout: precomp | karpathy | harma | parquet | csv | ucm_folders; None detects it
        images: True or None: every image must be there. False: captions only
        seed: of the train/val draw and of `limit`
        val_fraction: share of val; None takes the data set's own val part
        skip_bad: go on without what is wrong (counted in one warning) instead of raising
        limit: at most so many images, spread evenly over the classes
        bands: "4,3,2": which bands of images with several are red, green and blue, counted from 1; one for grey
        scale: "310,2790": what becomes black and white of numbers beyond 8 bits; None finds it in train and val

    Blank captions, and images without any caption left, are dropped with one counted RsnbWarning.

    Raises:
        RsnbError: anything missing, corrupt, contradictory or unknown, with up to ten offenders.
    """
    members([], split)  # an unknown split is said before anything is read
    if limit is not None:
        draw([], limit)
    seed = checked("seed", seed)
    listing = read_listing(name_or_path, root, layout, seed, val_fraction, skip_bad, bands, scale)
    place, faults = listing.place, listing.faults
    chosen = members(listing.parts, split)
    if images is not False and chosen:
        if not listing.has_any_image:
            faults.settle()  # what is wrong with the captions comes first
            raise RsnbError(_no_images(listing))
        chosen = check_images(listing, chosen, thorough=skip_bad)
    faults.settle()
    if not chosen and members(listing.parts, split):
        raise RsnbError(f"{place.name}: all images of {split!r} are missing or broken; repair them, for none is left")
    if not chosen:
        counts = {part: listing.parts.count(part) for part in ("train", "val", "test")}
        raise RsnbError(
            f"{place.name} has no image in {split!r}; it has "
            + ", ".join(f"{n} in {part}" for part, n in counts.items())
        )
    items = [listing.item(i, images is not False) for i in chosen]
    ds = CaptionDataset(items, place.name, split, place.layout, place.root, place.stamp)
    return ds.limited(limit, seed)


def _no_images(listing: Listing) -> str:
    index, example = listing.index, listing.records[0].name
    held = f"{len(index):,} image files, none with a listed name" if len(index) else "no image files"
    links = f" ({index.outside} links that lead elsewhere were not followed)" if index.outside else ""
    return (
        f"no images for {listing.place.name}: {index.root} holds {held}{links}; the captions name "
        f"{example!r} and {len(listing.records) - 1:,} more. Put the images anywhere beneath that folder, "
        f"or pass images=False for captions only"
    )
