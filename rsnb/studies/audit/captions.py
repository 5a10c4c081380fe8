"""What captions alone decide: repeated sentences, sentences seen in training, recalls above the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.measures.ceiling import ceiling, shared_captions
from rsnb.studies import keys, paper
from rsnb.studies.audit.printed import SIZES


# --- 4. what could be reached ------------------------------------------------------------------------------------
def count(test, train, title: str) -> dict[str, Any]:
    """The captions of a test split: how many are distinct, describe several images, stand in train too, and the
    ceiling of every recall under random tie-breaking (:func:`rsnb.measures.ceiling.ceiling`), in percent.

    Args:
        test, train: from ``rsnb.load_dataset``, with or without images; train is all that may be learnt from.
    """

    captions, owner = test.captions
    seen = set(train.captions[0])
    best = ceiling(captions, owner)
    return {
        "dataset": title,
        "images": len(test),
        "captions": len(captions),
        "distinct": len(set(captions)),
        "shared": shared_captions(captions, owner),
        "in_train": sum(c in seen for c in captions),
        "distinct_in_train": len(set(captions) & seen),
        "ceiling": {name: round(value, 2) for name, value in best.items()},
    }


def count_all(root: str | Path) -> dict[str, Any]:
    """:func:`count` of the real caption files: ``root`` holds ucm_precomp, rsicd_precomp and rsitmd_precomp. No image
    is opened."""
    return {name: count(*parts, name) for name, parts in test_and_train(root).items()}


def captions_key(root: str | Path) -> dict[str, Any]:
    """All that decides what :func:`count_all` finds."""
    data = {f"{n} {part.split}": part.fingerprint() for n, parts in test_and_train(root).items() for part in parts}
    return keys.key_of({}, data, "", keys.CAPTIONS)


def test_and_train(root: str | Path) -> dict[str, tuple[Any, Any]]:
    """The test split of each set, and all that may be learnt from; captions alone.

    Raises:
        RsnbError: a folder is missing.
    """
    import rsnb

    folders = {name: paths.user_path(root) / f"{name.lower()}_precomp" for name in SIZES}
    missing = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if missing:
        raise RsnbError(
            f"there is no folder {', '.join(missing)}; --root is the folder that holds all of "
            f"{', '.join(folder.name for folder in folders.values())}"
        )
    return {
        name: tuple(rsnb.load_dataset(name.lower(), part, root=folder, images=False) for part in ("test", "trainval"))
        for name, folder in folders.items()
    }


def above_ceiling(ceilings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The printed recalls (and mR) that are above the ceiling of their test split."""
    rows = (row for row in paper.all_rows() if row.dataset in ceilings)
    return [
        {"dataset": row.dataset, "method": row.title, "recall": name, "printed": value, "ceiling": limit}
        for row in rows
        for name, value in {**row.recalls, "mr": row.mr}.items()
        if value > (limit := ceilings[row.dataset]["ceiling"][name]) + 0.01
    ]


def best_row(dataset: str) -> paper.Row:
    """The printed row with the highest mR."""
    return max(paper.all_rows(dataset), key=lambda row: row.mr)
