"""Untrained weights for a rehearsal, and how weights are recognised."""

from __future__ import annotations

import math
from pathlib import Path

from rsnb.base.files import replacing

UNTRAINED = "untrained"


# --- the weights ------------------------------------------------------------------------------------------------
def untrained_checkpoint(backbone: str, path: str | Path, seed: int = 0) -> Path:
    """A checkpoint file of a backbone's random weights, to rehearse with; made once, loaded like any other file."""
    import torch
    from safetensors.torch import save_file

    from rsnb import backbone as clips

    path = Path(path)
    if path.is_file():
        return path
    if backbone != "mini" and backbone not in clips.open_clip.list_models():
        clips.load_clip(backbone)  # says what is wrong with the name
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = clips.new_mini() if backbone == "mini" else clips._quietly(clips.open_clip.create_model, backbone)
    with replacing(path) as scratch:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, scratch)
    return path


def is_untrained(clip) -> bool:
    """Whether these are initial weights: every layer norm still multiplies by 1 and adds 0; no training leaves that."""
    import torch

    norms = [m for m in clip.modules() if isinstance(m, torch.nn.LayerNorm)]
    return bool(norms) and all(bool((m.weight == 1).all()) and bool((m.bias == 0).all()) for m in norms)


def looks_like_openai(clip) -> bool:
    """OpenAI's weights end at a temperature of 0.01, and are half precision numbers, also where a file holds floats."""
    weight = getattr(getattr(clip.model.visual, "conv1", None), "weight", None)
    hot = abs(clip.model.logit_scale.item() - math.log(100)) < 1e-3
    return hot and weight is not None and bool((weight.float() == weight.half().float()).all())
