"""Untrained weights for a rehearsal, and how weights are recognised."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

from rsnb.base.files import replacing
from rsnb.errors import RsnbWarning

UNTRAINED = "untrained"


# --- the weights ------------------------------------------------------------------------------------------------
def untrained_checkpoint(backbone: str, path: str | Path, seed: int = 0) -> Path:
    """A checkpoint file of a backbone's random weights, to rehearse with; made once, loaded like any other file."""
    import torch
    from safetensors.torch import save_file

    from rsnb.backbone import load_clip

    path = Path(path)
    if path.is_file():
        return path
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", RsnbWarning)  # random weights are what is wanted
        torch.manual_seed(seed)
        model = load_clip(backbone, "random").model
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
    openais_temperature = abs(clip.model.logit_scale.item() - math.log(100)) < 1e-3
    return openais_temperature and weight is not None and bool((weight.float() == weight.half().float()).all())
