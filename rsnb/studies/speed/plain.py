"""The method as published, written straight from the paper's description: what `rsnb bench` compares with.

Nothing is saved. Four tower passes per step, captions padded to the full context, fp32, the hinge on the cosine
matrix, Adam, CLIP frozen; in validation every image once for each of its captions, clean and with token dropout. It
shares no code with rsnb's forward, loss or evaluation.

As in the published code the blocks work on (L, N, width), position first, which is how torch's attention computes.
open_clip's own blocks hand it (N, L, width), and turn every input and output round: 4 % of the step that the method
does not ask for.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Adapter(nn.Module):
    """MRS-Adapter; its parameters are named as rsnb's, so that weights can be handed over."""

    def __init__(self, image_width: int, text_width: int, bottleneck: int = 64, shared: int = 64):
        super().__init__()
        widths = {"image": image_width, "text": text_width}
        self.down = nn.ModuleDict({m: nn.Linear(w, bottleneck) for m, w in widths.items()})
        self.up = nn.ModuleDict({m: nn.Linear(bottleneck, w - shared) for m, w in widths.items()})
        self.up_shared = nn.Linear(bottleneck, shared)

    def forward(self, x, modality, training):
        z = F.dropout(F.relu(self.down[modality](x)), 0.5, training)
        return torch.cat([self.up[modality](z), self.up_shared(z)], dim=-1)


def attention(block, x, mask=None):
    """Self-attention of a block by torch's own function, on (L, N, width): nothing is transposed on the way."""
    attn = block.attn
    packed, way_out = (attn.in_proj_weight, attn.in_proj_bias), (attn.out_proj.weight, attn.out_proj.bias)
    return F.multi_head_attention_forward(
        x, x, x, attn.embed_dim, attn.num_heads, *packed, None, None, False, 0.0, *way_out,
        need_weights=False, attn_mask=mask,
    )[0]  # fmt: skip


def blocks(stack, adapter, x, modality, training, mask=None):
    """(N, L, width) through all blocks, position first."""
    x = x.transpose(0, 1).contiguous()  # (L, N, width)
    for block in stack.resblocks:
        x = x + attention(block, block.ln_1(x), mask)
        x = x + block.mlp(block.ln_2(x)) + adapter(x, modality, training)
    return x.transpose(0, 1)


def encode_image(model, adapter, pixels, rate=0.0, training=False):
    visual = model.visual
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    cls = visual.class_embedding.expand(len(x), 1, -1)
    x = visual.ln_pre(torch.cat([cls, x], dim=1) + visual.positional_embedding)
    x = blocks(visual.transformer, adapter, F.dropout(x, rate, rate > 0), "image", training)
    return F.normalize(visual.ln_post(x[:, 0]) @ visual.proj, dim=-1)


def encode_text(model, adapter, tokens, rate=0.0, training=False):
    x = F.embedding(tokens, model.token_embedding.weight) + model.positional_embedding
    x = blocks(model.transformer, adapter, F.dropout(x, rate, rate > 0), "text", training, model.attn_mask)
    x = model.ln_final(x)
    return F.normalize(x[torch.arange(len(x)), tokens.argmax(dim=1)] @ model.text_projection, dim=-1)


def hinge(a, b, margin=0.2):
    s = a @ b.T
    own = s.diag()
    cost_a = (margin + s - own[:, None]).clamp(min=0)
    cost_b = (margin + s - own[None, :]).clamp(min=0)
    same = torch.eye(len(s), dtype=torch.bool, device=s.device)
    cost_a, cost_b = cost_a.masked_fill(same, 0), cost_b.masked_fill(same, 0)
    return cost_a.max(dim=1)[0].sum() + cost_b.max(dim=0)[0].sum()


def loss(model, adapter, pixels, tokens):
    """HMMC of a batch; four passes through the towers."""
    v = encode_image(model, adapter, pixels, 0.0, True)
    v_dropped = encode_image(model, adapter, pixels, 0.2, True)
    t = encode_text(model, adapter, tokens, 0.0, True)
    t_dropped = encode_text(model, adapter, tokens, 0.2, True)
    return hinge(v, t) + hinge(v, v_dropped) + hinge(t, t_dropped)


def step(model, adapter, optimizer, pixels, tokens):
    """One training step; returns the loss."""
    value = loss(model, adapter, pixels, tokens)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@torch.no_grad()
def validate(model, adapter, pixels, tokens, owner, batch=64):
    """The six recalls, in percent; each caption brings its image along, both go through their tower twice."""
    images, texts = [], []
    for start in range(0, len(tokens), batch):
        part = slice(start, start + batch)
        own = pixels[owner[part]]
        images.append(encode_image(model, adapter, own))
        encode_image(model, adapter, own, 0.2)
        texts.append(encode_text(model, adapter, tokens[part]))
        encode_text(model, adapter, tokens[part], 0.2)
    images, texts = torch.cat(images), torch.cat(texts)
    first = torch.tensor([int((owner == i).nonzero()[0]) for i in range(len(pixels))])
    s = (images[first] @ texts.T).cpu()
    found = {}
    order = s.argsort(dim=1, descending=True)
    hit = owner[order] == torch.arange(len(pixels))[:, None]
    rank = hit.float().argmax(dim=1)
    back = s.T.argsort(dim=1, descending=True)
    rank_back = (back == owner[:, None]).float().argmax(dim=1)
    for name, r in (("text", rank), ("image", rank_back)):
        for k in (1, 5, 10):
            found[f"{name}_r{k}"] = 100 * (r < k).float().mean().item()
    return found
