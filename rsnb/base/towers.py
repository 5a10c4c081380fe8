"""Where the parts of an open_clip model are, whichever of its classes it is, and whether rsnb.fast knows that kind."""

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


def why_not(model: nn.Module) -> str | None:
    """Why :mod:`rsnb.fast` cannot compute this open_clip model; None if it can."""
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual, text = getattr(model, "visual", None), getattr(model, "text", model)
    if not isinstance(visual, VisionTransformer):
        return f"its image tower is a {type(visual).__name__}"
    if visual.attn_pool is not None or visual.pool_type != "tok" or visual.final_ln_after_pool:
        return "its image tower pools otherwise than by CLS"
    if not isinstance(visual.patch_dropout, nn.Identity):
        return "its image tower drops patches"
    if getattr(text, "text_pool_type", getattr(text, "pool_type", None)) != "argmax":
        return "its text tower pools otherwise than by EOS"
    if getattr(text, "attn_mask", None) is None or getattr(text, "cls_emb", None) is not None:
        return "its text tower is not causal"
    for stack in (visual.transformer, text.transformer):
        for block in stack.resblocks:
            if type(block) is not ResidualAttentionBlock or block.attn.in_proj_weight is None:
                return f"its blocks are {type(block).__name__}"
            if not (isinstance(block.ls_1, nn.Identity) and isinstance(block.ls_2, nn.Identity)):
                return "its blocks scale their branches"
    return None
