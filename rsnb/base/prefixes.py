"""Which tensor of a checkpoint is which of a model, where the names in the file stand below other names."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

#: Names that torch puts between a model and its parts: DataParallel and DDP, torch.compile, FSDP, checkpointing.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
#: What some programs save beside the weights and others make anew; ``n_averaged`` is AveragedModel's count of steps.
BESIDE = {"attn_mask", "position_ids", "input_resolution", "context_length", "vocab_size", "n_averaged"}
SCALES = {"logit_scale", "logit_bias"}  # of neither tower


def names_in_file(own: Collection[str], found: Collection[str]) -> dict[str, str] | None:
    """{name in the model: name in the file}, if the names of a file are those of a model below prefixes.

    A prefix is shared by all names (``model.``), or one per tower (``image_backbone.`` and ``text_backbone.``, with or
    without the ``visual.`` and ``text.`` of open_clip); wrappers such as ``module.`` may stand anywhere. Nothing may be
    left over but what is in :data:`BESIDE`. None: they do not fit, or fit in two ways.
    """
    plain = _plain_names(own, found)
    if plain is None or not own:
        return None
    ways = [list(_ways(group, plain)) for group in _groups(own)]
    fitting: list[dict[str, str]] = []
    for parts in itertools.islice(itertools.product(*ways), 1000):
        whole = {name: place for part in parts for name, place in part.items()}
        if set(whole.values()) == set(plain) and len(set(whole.values())) == len(own) and whole not in fitting:
            fitting.append(whole)
    return {name: plain[place] for name, place in fitting[0].items()} if len(fitting) == 1 else None


def _plain_names(own: Collection[str], found: Collection[str]) -> dict[str, str] | None:
    """{name without wrappers: name in the file}, without what is beside the weights; None if two become one."""
    wrappers = WRAPPERS - {part for name in own for part in name.split(".")}
    beside = BESIDE - {name.split(".")[-1] for name in own}
    kept = [name for name in found if name.split(".")[-1] not in beside]
    plain = {".".join(part for part in name.split(".") if part not in wrappers): name for name in kept}
    return plain if len(plain) == len(kept) else None


def _groups(own: Collection[str]) -> list[list[str]]:
    """The names of the image tower, of the text tower, and of what belongs to neither."""
    image = [name for name in own if name.startswith("visual.")]
    scales = [name for name in own if name in SCALES]
    text = [name for name in own if name not in {*image, *scales}]
    return [group for group in (image, text, scales) if group]


def _ways(group: list[str], plain: Collection[str]) -> Iterator[dict[str, str]]:
    """Each {name in the model: plain name} of a group below one prefix."""
    for tower in ("", "visual.", "text."):
        if tower and not all(name.startswith(tower) for name in group):
            continue
        base = {name: name.removeprefix(tower) for name in group}
        longest = max(base.values(), key=len)
        for place in plain:
            if place == longest or place.endswith("." + longest):
                prefix = place.removesuffix(longest)
                if all(prefix + name in plain for name in base.values()):
                    yield {name: prefix + short for name, short in base.items()}
