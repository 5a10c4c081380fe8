"""Methods that leave every weight alone and add learned tokens to the input: CoOp, VPT, and both."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rsnb.errors import RsnbError
from rsnb.surgery import Method


class CoOp(Method):
    """Zhou et al. 2022, *Learning to Prompt for Vision-Language Models*: learned words before each caption.

    The text tower reads ``SOS, c_1 ... c_p, caption, EOS``; the p context vectors are the same for all captions and
    begin as N(0, 0.02). Placeholders are inserted into the ids and their embeddings overwritten, so that length,
    causal mask, positions and the place of EOS are CLIP's own. Step 0 is NOT zero-shot CLIP.

    Departures: whole captions take the place of class names; a caption too long for what is left of the context is
    cut and keeps its EOS. 16 tokens are 8,192 parameters on ViT-B/32; the paper prints 0.10 M, which is either
    12 x 16 tokens (98,304) or a misprint of 0.01 M.

    Options:
        tokens: p; None is the paper's 16, or an eighth of a context shorter than 77 (4 on the mini CLIP).
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, tokens: int | None = None):
        super().__init__()
        length = clip.context_length
        count = tokens if tokens is not None else 16 if length >= 77 else length // 8
        if not 1 <= count <= length - 3:
            raise RsnbError(f"tokens is {count}; with a context of {length} take 1 to {length - 3}")
        self.context = nn.Parameter(torch.empty(count, clip.widths["text"]).normal_(std=0.02))

    def tokens(self, ids: Tensor) -> Tensor:
        """(N, L) ids -> (N, L) ids with p placeholders after the first; EOS, the largest id, is never cut off."""
        p = len(self.context)
        end, place = ids.max(dim=1).values, ids.argmax(dim=1)
        longer = torch.cat([ids[:, :1], ids.new_zeros(ids.shape[0], p), ids[:, 1:]], dim=1)[:, : ids.shape[1]]
        cut = place + p >= ids.shape[1]
        longer[:, -1] = torch.where(cut, end, longer[:, -1])
        return longer

    def embed(self, embeddings: Tensor) -> Tensor:
        """(N, L, width): positions 1 to p become the context."""
        n, p = embeddings.shape[0], len(self.context)
        context = self.context.to(embeddings.dtype).expand(n, -1, -1)
        return torch.cat([embeddings[:, :1], context, embeddings[:, 1 + p :]], dim=1)


class VPT(Method):
    """Jia et al. 2022, *Visual Prompt Tuning*, deep: learned tokens in the image tower, new ones for every block.

    The p prompts stand between CLS and the patches; what a block makes of them is thrown away and the next block
    gets its own. Uniform in +-sqrt(6 / (3 patch^2 + width)). Step 0 is NOT zero-shot CLIP. 50 prompts in 12 blocks
    are 460,800 parameters on ViT-B/32, the paper's 0.46 M.

    Departures: the prompts enter after CLIP's ``ln_pre``, which the original's backbone does not have; HMMC's token
    dropout leaves them alone.

    Options:
        prompts: p. share_layers: the same prompts for all blocks.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, prompts: int = 50, share_layers: bool = False):
        super().__init__()
        if prompts < 1:
            raise RsnbError(f"prompts is {prompts}; it must be at least 1")
        width, patch = clip.widths["image"], clip.image_size // clip.grid[0]
        bound = math.sqrt(6 / (3 * patch**2 + width))
        sets = 1 if share_layers else clip.depths["image"]
        self.prompts = nn.Parameter(torch.empty(sets, prompts, width).uniform_(-bound, bound))

    def _of(self, layer: int, x: Tensor) -> Tensor:
        return self.prompts[layer if len(self.prompts) > 1 else 0].to(x.dtype).expand(x.shape[0], -1, -1)

    def enter(self, x: Tensor) -> Tensor:
        """(N, 1 + patches, width) -> (N, 1 + p + patches, width)"""
        return torch.cat([x[:, :1], self._of(0, x), x[:, 1:]], dim=1)

    def before_block(self, x: Tensor, layer: int) -> Tensor:
        """From the second block on, this block's prompts in place of what the last one made of its own."""
        if layer == 0:
            return x
        p = self.prompts.shape[1]
        return torch.cat([x[:, :1], self._of(layer, x), x[:, 1 + p :]], dim=1)

    def leave(self, x: Tensor) -> Tensor:
        """(N, 1 + p + patches, width) -> (N, 1 + patches, width)"""
        return torch.cat([x[:, :1], x[:, 1 + self.prompts.shape[1] :]], dim=1)


class VLPrompt(Method):
    """Prompts on both towers, learned independently: VPT-deep for images, CoOp for captions.

    460,800 + 8,192 = 468,992 parameters on ViT-B/32, the paper's 0.47 M. Step 0 is NOT zero-shot CLIP.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, prompts: int = 50, tokens: int | None = None, share_layers: bool = False):
        super().__init__()
        self.vision, self.language = VPT(clip, prompts, share_layers), CoOp(clip, tokens)

    def tokens(self, ids: Tensor) -> Tensor:
        return self.language.tokens(ids)

    def embed(self, embeddings: Tensor) -> Tensor:
        return self.language.embed(embeddings)

    def enter(self, x: Tensor) -> Tensor:
        return self.vision.enter(x)

    def before_block(self, x: Tensor, layer: int) -> Tensor:
        return self.vision.before_block(x, layer)

    def leave(self, x: Tensor) -> Tensor:
        return self.vision.leave(x)
