"""The method written out plainly a second time, from the paper's description, to hold the package against.

Nothing here is imported from rsnb: raw weights, matrix products and loops.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F


def layer_norm(x, p, name):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(x, p, name, heads, mask):
    n, length, width = x.shape
    qkv = x @ p[f"{name}.in_proj_weight"].T + p[f"{name}.in_proj_bias"]
    q, k, v = (t.reshape(n, length, heads, width // heads).transpose(1, 2) for t in qkv.split(width, dim=-1))
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
    if mask is not None:
        scores = scores + mask
    out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
    return out @ p[f"{name}.out_proj.weight"].T + p[f"{name}.out_proj.bias"]


def mrs_adapter(x, a, modality, keep=None):
    """concat(up_m(z), up_shared(z)) with z = dropout(relu(down_m(x))); ``keep`` is the dropout's scaled mask."""
    z = torch.relu(x @ a[f"down.{modality}.weight"].T + a[f"down.{modality}.bias"])
    if keep is not None:
        z = z * keep
    own = z @ a[f"up.{modality}.weight"].T + a[f"up.{modality}.bias"]
    return torch.cat([own, z @ a["up_shared.weight"].T + a["up_shared.bias"]], dim=-1)


def tower(x, p, prefix, layers, heads, mask, a, modality, quick):
    for i in range(layers):
        block = f"{prefix}.resblocks.{i}"
        x = x + attention(layer_norm(x, p, f"{block}.ln_1"), p, f"{block}.attn", heads, mask)
        h = layer_norm(x, p, f"{block}.ln_2")
        h = h @ p[f"{block}.mlp.c_fc.weight"].T + p[f"{block}.mlp.c_fc.bias"]
        h = h * torch.sigmoid(1.702 * h) if quick else 0.5 * h * (1 + torch.erf(h / math.sqrt(2)))
        h = h @ p[f"{block}.mlp.c_proj.weight"].T + p[f"{block}.mlp.c_proj.bias"]
        x = x + h + (mrs_adapter(x, a, modality) if a is not None else 0)
    return x


def encode_image(pixels, p, a, layers, heads, quick, keep=None):
    """Embeddings (N, D), normalised. ``keep``: scaled mask of the token dropout, or None for the clean view."""
    x = F.conv2d(pixels, p["visual.conv1.weight"], stride=p["visual.conv1.weight"].shape[-1])
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([p["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + p["visual.positional_embedding"]
    x = layer_norm(x, p, "visual.ln_pre")
    x = x if keep is None else x * keep
    x = tower(x, p, "visual.transformer", layers, heads, None, a, "image", quick)
    x = layer_norm(x[:, 0], p, "visual.ln_post") @ p["visual.proj"]
    return x / x.norm(dim=-1, keepdim=True)


def encode_text(tokens, p, a, layers, heads, quick, keep=None):
    x = p["token_embedding.weight"][tokens] + p["positional_embedding"]
    x = x if keep is None else x * keep
    length = tokens.shape[1]
    mask = torch.full((length, length), -math.inf).triu(1)
    x = tower(x, p, "transformer", layers, heads, mask, a, "text", quick)
    x = layer_norm(x, p, "ln_final")[torch.arange(len(x)), tokens.argmax(-1)] @ p["text_projection"]
    return x / x.norm(dim=-1, keepdim=True)


def hinge(a, b, margin=0.2):
    """T(a, b) with loops: sum over the hardest negative of each row and of each column."""
    a = a / a.norm(dim=-1, keepdim=True)
    b = b / b.norm(dim=-1, keepdim=True)
    total = torch.zeros(())
    for i in range(len(a)):
        row = [margin + a[i] @ b[j] - a[i] @ b[i] for j in range(len(b)) if j != i]
        column = [margin + a[j] @ b[i] - a[i] @ b[i] for j in range(len(a)) if j != i]
        for side in (row, column):
            if side:
                total = total + torch.relu(torch.stack(side)).max()
    return total


def hmmc(v, t, v_augmented, t_augmented, margin=0.2):
    return hinge(v, t, margin) + hinge(v, v_augmented, margin) + hinge(t, t_augmented, margin)


def recalls_by_sorting(s, owner, ks=(1, 5, 10)):
    """The six recalls from a full similarity matrix s (images x captions), by sorting every row and column."""
    n, m = s.shape
    hits = {f"{way}_r{k}": 0 for way in ("text", "image") for k in ks}
    for i in range(n):
        order = sorted(range(m), key=lambda j: (-float(s[i, j]), j))
        for k in ks:
            hits[f"text_r{k}"] += any(owner[j] == i for j in order[:k])
    for j in range(m):
        order = sorted(range(n), key=lambda i: (-float(s[i, j]), i))
        for k in ks:
            hits[f"image_r{k}"] += owner[j] in order[:k]
    return {name: 100 * h / (n if name.startswith("text") else m) for name, h in hits.items()}
