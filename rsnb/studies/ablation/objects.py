"""What a lab takes as objects, in place of names: data sets, and a CLIP."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rsnb.errors import RsnbError

SPLITS = ("train", "val", "test")


def checked_parts(data: Mapping[str, Any], root: Any = None) -> dict[str, Any]:
    """The three parts, as data sets.

    Raises:
        RsnbError: one is missing, or is no data set of rsnb; or a root is given with them.
    """
    from rsnb.data import CaptionDataset

    kinds = {split: type(part).__name__ for split, part in data.items() if not isinstance(part, CaptionDataset)}
    if set(data) != set(SPLITS) or kinds or root is not None:
        found = kinds or f"{', '.join(map(str, data)) or 'nothing'}{' with a root' if root is not None else ''}"
        raise RsnbError(
            f"data is {found}; it must be a name or a path, or {{'train': ..., 'val': ..., 'test': ...}} with three "
            "data sets from rsnb.load_dataset and no root"
        )
    return {split: data[split] for split in SPLITS}


def copy_of(clip: Any, pretrained: Any = None):
    """A copy of a CLIP on the CPU, so that what happens to the one given happens to no cell.

    Raises:
        RsnbError: it is no CLIP, carries a method, or ``pretrained`` is given with it.
    """
    from rsnb.backbone import Clip

    if not isinstance(clip, Clip):
        raise RsnbError(
            f"backbone is a {type(clip).__name__}; give the name of a CLIP, or one from rsnb.load_clip(...)"
        )
    if pretrained is not None:
        raise RsnbError(f"the CLIP {clip.stamp} has its weights; give no pretrained={str(pretrained)!r} with it")
    if clip.adapted_by:
        raise RsnbError(f"this CLIP carries the method {clip.adapted_by!r}; call .detach() on that model first")
    return copy.deepcopy(clip).cpu()


def readers_of(clip) -> dict[str, str]:
    """Digests of a CLIP's ``preprocess`` and ``tokenizer`` where they are not those that :func:`rsnb.load_clip` gives
    with its name: its weights do not tell.

    Raises:
        RsnbError: one of them cannot be digested.
    """
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from rsnb.backbone import mini_tokenizer
    from rsnb.base.own import digest_of_own

    usual = image_transform_v2(PreprocessCfg(**clip.model.visual.preprocess_cfg), is_train=False)
    found = {"preprocess": digest_of_own(clip.preprocess), "tokenizer": digest_of_own(clip.tokenizer)}
    if found["preprocess"] == digest_of_own(usual):
        del found["preprocess"]
    try:
        words = mini_tokenizer() if clip.name == "mini" else open_clip.get_tokenizer(clip.name)
    except Exception:  # of the hub, and not here: open_clip raises many kinds
        return found
    if found["tokenizer"] == digest_of_own(words):
        del found["tokenizer"]
    return found
