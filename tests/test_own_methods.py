"""Methods of one's own, odd ones too: the fast forward and open_clip's own with hooks give equal values and gradients.

None of them knows a flag. Tolerances: in fp32 1e-5 for an embedding's components and 1e-4 for a gradient's length,
relative; in bf16, where the two ways round elsewhere (the hooks' residual stream is fp32 after a LayerNorm), a cosine
of 0.999 between embeddings and 0.995 between gradients. The loss sums over all negatives: which one is the hardest may
hang on the rounding.
"""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
import torch.nn.functional as F
from test_method_table import a_batch, mini, vit_b32  # noqa: F401
from torch import nn

import rsnb
from rsnb import losses
from rsnb.mrs import MRS
from rsnb.surgery import TOWERS, Method


class Own(Method):
    """A square matrix for each tower, and whether a block is the first or the last one."""

    def __init__(self, clip):
        super().__init__()
        self.depths = clip.depths
        self.maps = nn.ModuleDict({tower: nn.Linear(clip.widths[tower], clip.widths[tower]) for tower in TOWERS})


class MeanOfTokens(Own):
    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.maps[tower](stream.mean(dim=1, keepdim=True))


class OwnAttention(Own):
    def after_attention(self, out, normed, stream, tower, layer):
        q = self.maps[tower](normed)
        return out + F.scaled_dot_product_attention(q, normed, stream)


class Convolution(Method):
    """Along the tokens, as long as they are: what lies behind EOS is seen too."""

    def __init__(self, clip):
        super().__init__()
        width = clip.widths
        self.conv = nn.ModuleDict({t: nn.Conv1d(width[t], width[t], 3, padding=1, groups=width[t]) for t in TOWERS})

    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.conv[tower](stream.transpose(1, 2)).transpose(1, 2)


class BeforeEveryBlock(Own):
    def before_block(self, x, layer):
        return x + self.maps["image"](x) / (layer + 1)


class InPlace(Own):
    def after_attention(self, out, normed, stream, tower, layer):
        stream.mul_(2)
        normed.zero_()
        return out.add_(self.maps[tower](stream))

    def after_mlp(self, out, normed, stream, tower, layer):
        return out.mul_(normed.sigmoid_()).sub_(self.maps[tower](stream))


class FirstAndLast(Own):
    def after_mlp(self, out, normed, stream, tower, layer):
        if layer not in (0, self.depths[tower] - 1):
            return out
        return self.maps[tower](out.flip(1)) + stream.cumsum(dim=1)


class ScaledProjection(Own):
    """Changes the frozen weight that it is given, which must be a copy."""

    def in_proj(self, weight, tower, layer):
        return weight.mul_(1 + self.maps[tower].bias.mean())


class OtherWords(Own):
    def tokens(self, ids):
        ids[:, 1] = ids[:, 2]
        return ids

    def embed(self, x):
        return x + self.maps["text"](x.mean(dim=1, keepdim=True))


class OneMoreToken(Own):
    """CLS takes in what the last block made of all tokens."""

    def enter(self, x):
        return torch.cat([x, self.maps["image"].bias.expand(len(x), 1, -1)], dim=1)

    def leave(self, x):
        return self.maps["image"](x.mean(dim=1, keepdim=True)) + x[:, :-1]


class AgainstTheBatch(Method):
    """The head sees the other embeddings of the batch."""

    def __init__(self, clip):
        super().__init__()
        self.norms = nn.ModuleDict({tower: nn.BatchNorm1d(clip.embed_dim) for tower in TOWERS})

    def head(self, x, tower):
        return x + self.norms[tower](x)


class Gate(Own):
    """How much of each way, by the data: of each sequence, against the whole batch."""

    def after_attention(self, out, normed, stream, tower, layer):
        mean = stream.mean(dim=(1, 2), keepdim=True)
        return torch.lerp(out, self.maps[tower](normed), ((mean - mean.mean()) / mean.std()).sigmoid())


class Inherited(MRS):
    """MRS promises that it is tokenwise; this one is not. Its matrix is shared by both towers."""

    def __init__(self, clip):
        super().__init__(clip, bottleneck=8, shared=8, dropout=0.0)
        self.both = nn.Linear(min(clip.widths.values()), min(clip.widths.values()), bias=False)

    def after_mlp(self, out, normed, stream, tower, layer):
        n = self.both.in_features
        out = super().after_mlp(out, normed, stream, tower, layer)
        return out + F.pad(self.both(stream[..., :n].amax(dim=1, keepdim=True)), (0, stream.shape[-1] - n))


class AllPlaces(Own):
    after_attention, after_mlp = OwnAttention.after_attention, MeanOfTokens.after_mlp
    before_block, in_proj = BeforeEveryBlock.before_block, ScaledProjection.in_proj
    tokens, embed = OtherWords.tokens, OtherWords.embed
    enter, leave = OneMoreToken.enter, OneMoreToken.leave

    def head(self, x, tower):
        return x.mul_(2) + x.roll(1, dims=0)


ODD = [MeanOfTokens, OwnAttention, Convolution, BeforeEveryBlock, InPlace, FirstAndLast, ScaledProjection, OtherWords,
       OneMoreToken, AgainstTheBatch, Gate, Inherited, AllPlaces]  # fmt: skip
#: Several at once: (methods, what is unfrozen of the CLIP beside them).
TOGETHER = [
    (["mrs", ("lora", {"rank": 2}), MeanOfTokens], None),
    (["coop", "adapter", AgainstTheBatch], "visual.proj"),
    ([OneMoreToken, "vl_prompt", "adaptformer"], None),
    ([BeforeEveryBlock, InPlace, "convpass"], "ln_"),
    (["lora", ScaledProjection, "linear_probe"], ("resblocks.1", "token_embedding", "conv1")),
    ([OtherWords, Convolution, Inherited], None),
    (["full", "mrs"], None),
    ("mrs", "attn"),
    (AllPlaces, ("ln_", "text_projection", "positional_embedding", "class_embedding")),
]


def both_ways(clip, build, precision):
    """{"hooks", "fast": (embeddings, with their token-dropped twins, by tower; gradients)} in train mode."""
    build, unfreeze = build if isinstance(build, tuple) else (build, None)
    model, found = rsnb.adapt(clip, build, seed=0, unfreeze=unfreeze), {}
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.trainable().items():
            p.mul_(float(name.startswith("clip:"))).add_(torch.randn(p.shape), alpha=0.02)
    try:
        for way in ("hooks", "fast"):
            model.fast(way == "fast").zero_grad(set_to_none=True)
            model.train()
            pixels, tokens = a_batch(clip)
            given = pixels.clone(), tokens.clone()
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                image, image2 = model.encode_twice("image", pixels)
                text, text2 = model.encode_twice("text", tokens)
                alone = model.encode_image(pixels), model.encode_text(tokens)
            loss = losses.hmmc(image, text, image2, text2, margin=2.0, mining="sum") + losses.clip_loss(*alone, 10.0)
            loss.backward()
            found[way] = {
                t: torch.cat(x).detach()
                for t, x in (("image", (image, image2, alone[0])), ("text", (text, text2, alone[1])))
            }
            found[way] = found[way], {n: p.grad.clone() for n, p in model.trainable().items() if p.grad is not None}
            assert torch.equal(given[0], pixels) and torch.equal(given[1], tokens), "the caller's tensors are changed"
    finally:
        model.detach()
    return found


@pytest.fixture(autouse=True)
def one_token_dropout(monkeypatch):
    """The same for both ways, whatever the length of a sequence: it scales the features."""

    def dropout(x, rate, training, inplace=False):
        return x * torch.linspace(1 - rate, 1, x.shape[-1], device=x.device).to(x.dtype) if rate else x

    monkeypatch.setattr(F, "dropout", dropout)


def largest_differences(found) -> tuple[float, float]:
    """Of a component of an embedding, and of a gradient relative to its length."""
    (slow, slow_grads), (quick, quick_grads) = found["hooks"], found["fast"]
    assert set(slow_grads) == set(quick_grads) and slow_grads, "other parameters have gradients"
    value = max(float((quick[t] - slow[t]).abs().max()) for t in TOWERS)
    whole = torch.cat([g.flatten() for g in slow_grads.values()]).norm()
    return value, max(float((quick_grads[n] - g).norm() / (g.norm() + 1e-3 * whole)) for n, g in slow_grads.items())


def cases():
    for number, build in enumerate([*ODD, *TOGETHER]):
        name = build.__name__ if isinstance(build, type) else f"together{number - len(ODD)}"
        yield pytest.param("mini", build, id=f"mini-{name}")
        yield pytest.param("vit_b32", build, id=f"vit_b32-{name}", marks=pytest.mark.check)


CASES = list(cases())


@pytest.mark.parametrize("name, build", CASES)
def test_both_ways_are_equal(request, name, build):
    clip = request.getfixturevalue(name)
    weights = clip.model.visual.transformer.resblocks[0].attn.in_proj_weight.detach().clone()
    value, gradient = largest_differences(both_ways(clip, build, torch.float32))
    assert value <= 1e-5 and gradient <= 1e-4, f"values differ by {value:.1e}, gradients by {gradient:.1e}"
    assert torch.equal(weights, clip.model.visual.transformer.resblocks[0].attn.in_proj_weight), "the CLIP is changed"


@pytest.mark.parametrize("name, build", CASES)
def test_both_ways_are_near_in_bf16(request, name, build):
    found = both_ways(request.getfixturevalue(name), build, torch.bfloat16)
    (slow, slow_grads), (quick, quick_grads) = found["hooks"], found["fast"]
    for tower in TOWERS:
        assert F.cosine_similarity(slow[tower], quick[tower]).min() > 0.999
    flat = [torch.cat([grads[n].flatten() for n in slow_grads]) for grads in (slow_grads, quick_grads)]
    assert F.cosine_similarity(*flat, dim=0) > 0.995


def test_a_broken_promise_is_found(mini):  # noqa: F811
    class Hasty(Own):
        promises = {"reads only"}

        def after_mlp(self, out, normed, stream, tower, layer):
            return out.add_(self.maps[tower](stream))

    model = rsnb.adapt(mini, Hasty)
    try:
        for way in (True, False):
            with pytest.raises(rsnb.RsnbError, match="Hasty promises 'reads only'.* after_mlp"):
                model.fast(way).encode_image(a_batch(mini)[0])
    finally:
        model.detach()


def test_pixels_are_moved_to_the_model(mini, monkeypatch):  # noqa: F811
    """Onto "meta", a device that every machine has and that autocast does not know."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    clip = copy.deepcopy(mini)
    clip.model.to("meta")
    assert clip.encode_image(a_batch(mini)[0]).device.type == "meta"
    model = rsnb.adapt(clip, "mrs")
    for way in (True, False):
        assert model.fast(way).encode_image(a_batch(mini)[0]).device.type == "meta"
