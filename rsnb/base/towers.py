"""Where the parts of an open_clip model are, whichever of its classes it is."""

from __future__ import annotations

from torch import nn

from rsnb.errors import RsnbError


def transformers(model: nn.Module) -> dict[str, nn.Module]:
    """The two stacks of residual blocks of an open_clip model, by tower."""
    text = getattr(model, "text", None)
    found = {
        "image": getattr(getattr(model, "visual", None), "transformer", None),
        "text": getattr(text if text is not None else model, "transformer", None),
    }
    for tower, stack in found.items():
        blocks = getattr(stack, "resblocks", None)
        if blocks is None or not all(hasattr(blocks[0], name) for name in ("ln_1", "ls_1", "ln_2", "ls_2")):
            raise RsnbError(
                f"the {tower} tower of this {type(model).__name__} is no stack of open_clip residual blocks "
                "(a timm, ResNet or Hugging Face tower?); take a ViT CLIP such as ViT-B-32-quickgelu"
            )
    return found


def token_embedding(model: nn.Module) -> nn.Module:
    """The text tower's embedding table: in the model itself, or in its ``text`` (CustomTextCLIP)."""
    return getattr(model, "text", model).token_embedding


def has_blocks(model: nn.Module) -> bool:
    """Whether both towers are stacks of open_clip residual blocks (heads need none, token dropout does)."""
    try:
        return bool(transformers(model))
    except RsnbError:
        return False
