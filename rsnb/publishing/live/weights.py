"""The mini CLIP's text tower and its adapter, for the page."""

from __future__ import annotations

import gzip
from base64 import b64encode

import torch
from torch import Tensor

import rsnb
from rsnb.base import paths
from rsnb.studies.runs import adapter_path

NOT_OF_THE_TEXT = ("visual.", "logit_scale", "attn_mask")


def tower() -> dict:
    """{"merges": the tokenizer's merges, one a line; "context": most tokens; "heads": of attention; "shapes": {name of
    a tensor: its shape}; "halves": all tensors, in this order, as little-endian 16-bit floats in base64}.

    The text tower's weights are 16-bit floats in their own file, so they are exact; those of the adapter are rounded.
    """
    clip = rsnb.load_clip("mini")
    tensors = {n: x for n, x in clip.model.state_dict().items() if not n.startswith(NOT_OF_THE_TEXT)}
    heads = clip.model.transformer.resblocks[0].attn.num_heads
    model = rsnb.load_adapter(adapter_path("toy", "mini"), clip)
    parts = {"down": "down.text", "up": "up.text", "up_shared": "up_shared"}
    own = {n: x.detach() for n, x in model.added.named_parameters()}
    for name, found in parts.items():
        for kind in ("weight", "bias"):
            tensors[f"adapter.{name}.{kind}"] = own[f"adapters.0.{found}.{kind}"]
    merges = gzip.decompress((paths.mini_dir() / "bpe.txt.gz").read_bytes()).decode("utf-8").strip().split("\n")[1:]
    return {
        "merges": "\n".join(merges),
        "context": clip.context_length,
        "heads": heads,
        "shapes": {name: list(x.shape) for name, x in tensors.items()},
        "halves": halves(torch.cat([x.flatten() for x in tensors.values()])),
    }


def halves(numbers: Tensor) -> str:
    """Numbers as little-endian 16-bit floats in base64."""
    return b64encode(numbers.half().cpu().numpy().astype("<f2").tobytes()).decode("ascii")
