"""The other methods written out plainly: raw weights, matrix products and loops. Nothing is imported from rsnb.

``image(method, ...)`` and ``text(method, ...)`` give what ``encode_image`` and ``encode_text`` should, from the
weights p of the CLIP and a of the method.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from reference import layer_norm


def linear(x, a, name):
    return x @ a[f"{name}.weight"].T + a[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def quick(x):
    return x * torch.sigmoid(1.702 * x)


def convolve(z, weight, bias, rows, columns):
    """A 3 x 3 convolution with zero padding, written as nine shifted products. z: (N, rows * columns, channels)."""
    n, _, channels = z.shape
    grid = torch.zeros(n, rows + 2, columns + 2, channels)
    grid[:, 1:-1, 1:-1] = z.reshape(n, rows, columns, channels)
    out = bias.expand(n, rows, columns, len(bias)).clone()
    for i in range(3):
        for j in range(3):
            out = out + grid[:, i : i + rows, j : j + columns] @ weight[:, :, i, j].T
    return out.reshape(n, rows * columns, len(bias))


def convpass(normed, a, name, side):
    z = quick(linear(normed, a, f"{name}.down"))
    weight, bias = a[f"{name}.conv.weight"], a[f"{name}.conv.bias"]
    cls = convolve(z[:, :1], weight, bias, 1, 1)
    patches = convolve(z[:, 1:], weight, bias, side, side)
    return linear(quick(torch.cat([cls, patches], dim=1)), a, f"{name}.up")


def added(method, place, tower, a, out, normed, stream, layer, side):
    """What a method makes of a branch's output (place 0: attention, 1: MLP); default options, shared layers."""
    name = f"adapters.{tower}.0"
    if method == "adapter":
        return out + linear(gelu(linear(out, a, f"{name}.down")), a, f"{name}.up")
    if method == "adaptformer" and place == 1:
        return out + 0.1 * linear(torch.relu(linear(stream, a, f"{name}.down")), a, f"{name}.up")
    if method == "convpass" and tower == "image":
        return out + convpass(normed, a, name, side)
    if method == "cross_modal":
        z = quick(linear(out, a, f"adapters.0.down.{tower}"))
        return out + torch.cat([linear(z, a, f"adapters.0.up.{tower}"), linear(z, a, "adapters.0.up_shared")], dim=-1)
    if method == "uniadapter" and place == 1:
        name = f"adapters.{tower}.{layer}"
        z = torch.relu(linear(layer_norm(stream, a, f"{name}.norm"), a, f"{name}.down"))
        return out + 0.1 * linear(z, a, f"{name}.up")
    return out


def attention(x, weight, p, name, heads, mask):
    n, length, width = x.shape
    q, k, v = (x @ weight.T + p[f"{name}.in_proj_bias"]).split(width, dim=-1)
    q, k, v = (t.reshape(n, length, heads, width // heads).transpose(1, 2) for t in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads) + (mask if mask is not None else 0)
    out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
    return out @ p[f"{name}.out_proj.weight"].T + p[f"{name}.out_proj.bias"]


def blocks(method, x, p, a, prefix, layers, heads, mask, tower, act, side):
    prompts = a.get("prompts", a.get("vision.prompts")) if tower == "image" else None
    for i in range(layers):
        block = f"{prefix}.resblocks.{i}"
        if prompts is not None:  # deep: this block's own, behind CLS
            patches = x[:, 1:] if i == 0 else x[:, 1 + prompts.shape[1] :]
            x = torch.cat([x[:, :1], prompts[i].expand(len(x), -1, -1), patches], dim=1)
        weight = p[f"{block}.attn.in_proj_weight"]
        if method == "lora":
            changes = [a[f"B.{tower}"][i, m] @ a[f"A.{tower}"][i, m] for m in range(3)]
            weight = weight + torch.cat(changes)
        normed = layer_norm(x, p, f"{block}.ln_1")
        out = attention(normed, weight, p, f"{block}.attn", heads, mask)
        x = x + added(method, 0, tower, a, out, normed, x, i, side)
        normed = layer_norm(x, p, f"{block}.ln_2")
        h = act(normed @ p[f"{block}.mlp.c_fc.weight"].T + p[f"{block}.mlp.c_fc.bias"])
        out = h @ p[f"{block}.mlp.c_proj.weight"].T + p[f"{block}.mlp.c_proj.bias"]
        x = x + added(method, 1, tower, a, out, normed, x, i, side)
    return x


def head(method, e, a, tower):
    if method == "linear_probe":
        e = e @ a[f"maps.{tower}.weight"].T
    if method == "clip_adapter":
        e = 0.2 * torch.relu(torch.relu(e @ a[f"down.{tower}.weight"].T) @ a[f"up.{tower}.weight"].T) + 0.8 * e
    return e / e.norm(dim=-1, keepdim=True)


def image(method, pixels, p, a, layers, heads, act):
    x = F.conv2d(pixels, p["visual.conv1.weight"], stride=p["visual.conv1.weight"].shape[-1])
    side = x.shape[-1]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([p["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + p["visual.positional_embedding"]
    x = layer_norm(x, p, "visual.ln_pre")
    x = blocks(method, x, p, a, "visual.transformer", layers, heads, None, "image", act, side)
    return head(method, layer_norm(x[:, 0], p, "visual.ln_post") @ p["visual.proj"], a, "image")


def text(method, captions, p, a, layers, heads, act):
    """captions: lists of ids between and with SOS and EOS, of any length up to the context."""
    length = len(p["positional_embedding"])
    context = a.get("context", a.get("language.context"))
    rows, ends = [], []
    for ids in captions:
        row = [p["token_embedding.weight"][i] for i in ids]
        if context is not None:
            row = [row[0], *context, *row[1:]]
            if len(row) > length:
                row = [*row[: length - 1], row[-1]]  # too long: cut before EOS
        ends.append(len(row) - 1)
        rows.append(torch.stack(row + [torch.zeros_like(row[0])] * (length - len(row))))
    x = torch.stack(rows) + p["positional_embedding"]
    mask = torch.full((length, length), -math.inf).triu(1)
    x = blocks(method, x, p, a, "transformer", layers, heads, mask, "text", act, None)
    x = layer_norm(x, p, "ln_final")
    e = torch.stack([x[i, end] for i, end in enumerate(ends)]) @ p["text_projection"]
    return head(method, e, a, "text")
