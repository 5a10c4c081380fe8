"""The fast forward equals open_clip's own with hooks, for every method: outputs and gradients."""

from __future__ import annotations

import contextlib
import warnings

import pytest
import torch
import torch.nn.functional as F
from test_method_table import ALL, a_batch, custom_text, mini, perturb, vit_b32  # noqa: F401

import rsnb
from rsnb import fast, losses
from rsnb.errors import RsnbWarning


def both_ways(model, pixels, tokens, twice=False, precision=torch.float32):
    """[(embeddings, gradients) of hooks, of fast]; dropout inside the methods off, so that both see the same."""
    found = []
    for way in ("hooks", "fast"):
        model.fast(way == "fast").zero_grad(set_to_none=True)
        model.eval()
        torch.manual_seed(3)
        out = []
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            for tower, x in (("image", pixels), ("text", tokens)):
                encode = model.encode_image if tower == "image" else model.encode_text
                out.append(torch.cat(model.encode_twice(tower, x)) if twice else encode(x))
        loss = losses.clip_loss(*out, model.clip.logit_scale) + losses.triplet(*out, margin=2.0)
        if model.trainable():
            loss.backward()
        found.append((out, {k: p.grad.clone() for k, p in model.trainable().items() if p.grad is not None}))
    return found


def assert_close(found, atol=1e-5, rtol=1e-4):
    (hooks, slow), (quick, fast_grads) = found
    for a, b in zip(hooks, quick):
        torch.testing.assert_close(b, a, atol=atol, rtol=0)
    assert set(slow) == set(fast_grads)
    for name, grad in slow.items():
        gap = (fast_grads[name] - grad).norm()
        assert gap <= rtol * grad.norm() + 1e-7, f"{name}: {gap / grad.norm():.1e}"


CASES = [(name, method) for name in ("mini", "custom_text") for method in ALL]
CASES += [pytest.param("vit_b32", method, marks=pytest.mark.check) for method in ("mrs", "vl_prompt")]


@pytest.mark.parametrize("name, method", CASES)
def test_same_embeddings_and_gradients(request, name, method):
    clip = request.getfixturevalue(name)
    assert fast.why_not(clip.model) is None
    model = perturb(rsnb.adapt(clip, method, seed=0))
    try:
        assert_close(both_ways(model, *a_batch(clip)))
    finally:
        model.detach()


@pytest.mark.parametrize("method", ALL)
def test_the_two_views_of_hmmc(mini, method):  # noqa: F811
    """Captions as long as the context, so that both ways draw the same dropout."""
    pixels, _ = a_batch(mini)
    tokens = mini.tokenizer([f"{word} " + "a long road with trees " * 20 for word in ("red", "two", "the")])
    assert (tokens.argmax(dim=1) == mini.context_length - 1).all(), "a caption at the length limit"
    model = perturb(rsnb.adapt(mini, method, seed=0))
    try:
        assert_close(both_ways(model, pixels, tokens, twice=True))
    finally:
        model.detach()


@pytest.mark.parametrize("method", ["zero_shot", "mrs", "lora", "vl_prompt", "convpass", "full"])
def test_one_pair_bf16_and_checkpointing(mini, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0))
    with torch.no_grad():
        for tower, x in (("image", pixels), ("text", tokens)):
            alone = torch.cat([fast.embed_batch(model, tower, one[None]) for one in x])
            torch.testing.assert_close(alone, fast.embed_batch(model, tower, x), atol=1e-5, rtol=0)
    (exact, grads), _ = both_ways(model, pixels, tokens)
    _, (rounded, _) = both_ways(model, pixels, tokens, precision=torch.bfloat16)
    assert all((a * b).sum(dim=1).min() > 0.999 for a, b in zip(exact, rounded)), "bf16 is not near fp32"
    model.clip.model.set_grad_checkpointing(True)
    _, (_, again) = both_ways(model, pixels, tokens)
    model.clip.model.set_grad_checkpointing(False)
    model.detach()
    for name, grad in grads.items():
        assert (again[name] - grad).norm() <= 1e-4 * grad.norm() + 1e-7, name


def test_bf16_copies_follow_their_weights(mini):  # noqa: F811
    pixels, _ = a_batch(mini)
    weight = mini.model.visual.ln_post.weight
    kept = weight.detach().clone()
    for p in mini.parameters():
        p.requires_grad_(False)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first = fast.encode(mini.model, "image", pixels)
        weight.mul_(2)
        second = fast.encode(mini.model, "image", pixels)
        weight.copy_(kept)
    torch.testing.assert_close(fast.encode(mini.model, "image", pixels), mini.model.encode_image(pixels))
    assert not torch.allclose(first, second), "an old copy of a changed weight was used"
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        weight.data = 2 * kept  # as Module.to() does
        third = fast.encode(mini.model, "image", pixels)
        weight.data = kept
    torch.testing.assert_close(third, second)
    assert fast._copies[mini.model.visual.proj][1].dtype == torch.bfloat16


def test_unknown_models_are_named(mini, monkeypatch):  # noqa: F811
    import open_clip

    assert "ModifiedResNet" in fast.why_not(open_clip.create_model("RN50"))
    monkeypatch.setattr(mini.model, "text_pool_type", "last")
    assert "otherwise than by EOS" in fast.why_not(mini.model)
    monkeypatch.undo()
    block = mini.model.transformer.resblocks[0]
    kept, block.ls_1 = block.ls_1, torch.nn.Linear(1, 1)
    reason, block.ls_1 = fast.why_not(mini.model), kept
    assert "scale their branches" in reason and fast.why_not(mini.model) is None


def test_the_way_is_chosen_and_said(mini, monkeypatch):  # noqa: F811
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, "mrs", seed=0)).eval()
    calls = []
    monkeypatch.setattr(fast, "encode", lambda *given, real=fast.encode: calls.append(given[1]) or real(*given))
    quick = model.encode_image(pixels)
    torch.testing.assert_close(F.normalize(model.encode_text(tokens), dim=-1), model.encode_text(tokens))
    model.encode_twice("text", tokens)
    assert calls == ["image", "text", "text", "text"], "the fast forward is the default"
    torch.testing.assert_close(model.fast(False).encode_image(pixels), quick, atol=1e-5, rtol=0)
    assert len(calls) == 4
    monkeypatch.setattr("rsnb.adapted.why_not", lambda clip_model: "its moon is full")
    with pytest.warns(RsnbWarning, match="its moon is full"):
        model.fast()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fast()  # said once
    model.encode_image(pixels)
    assert len(calls) == 4
    model.detach()


@pytest.mark.parametrize("left_out", [*[(name,) for name in fast.SAVINGS], fast.SAVINGS])
def test_every_saving_can_be_left_out(mini, left_out):  # noqa: F811
    """The same embeddings and gradients without it, in fp32 and near enough in bf16."""
    pixels, _ = a_batch(mini)
    tokens = mini.tokenizer([f"{word} " + "a long road with trees " * 20 for word in ("red", "two", "the")])
    torch.manual_seed(1)
    model = perturb(rsnb.adapt(mini, "mrs", seed=0))
    found = {}
    for precision in (torch.float32, torch.bfloat16):
        for names in ((), left_out):
            torch.manual_seed(3)
            model.zero_grad(set_to_none=True)
            with fast.without(*names), torch.autocast("cpu", precision, enabled=precision != torch.float32):
                # "views" draws the image's dropout after a pass of its own: same draws, as the clean one has none
                views = [*model.encode_twice("image", pixels), *model.encode_twice("text", tokens)]
                loss = losses.clip_loss(views[0], views[2], 10.0) + losses.clip_loss(views[1], views[3], 10.0)
            loss.backward()
            found[precision, names] = loss.detach(), torch.cat([p.grad.flatten() for p in model.trainable().values()])
    model.detach()
    (loss, grad), (same, too) = (found[torch.float32, names] for names in ((), left_out))
    torch.testing.assert_close(same, loss, atol=1e-5, rtol=1e-5)
    assert (too - grad).norm() <= 1e-4 * grad.norm()
    low = found[torch.bfloat16, left_out][1]
    assert F.cosine_similarity(low, grad, dim=0) > 0.98
    with pytest.raises(rsnb.RsnbError, match="no saving is called haste"), fast.without("haste"):
        pass


def test_attention_and_its_derivative():
    torch.manual_seed(0)
    qkv = torch.randn(
        fast.SEQUENCES_AT_A_TIME + 2, 5, 3, 2, 4, dtype=torch.float64, requires_grad=True
    )  # more than one part
    for causal in (False, True):
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        whole = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
        ours = fast.LightAttention.apply(qkv, causal)
        torch.testing.assert_close(ours, whole, atol=1e-6, rtol=0)
        weight = torch.randn_like(whole)
        (want,), (got,) = (torch.autograd.grad((x * weight).sum(), qkv) for x in (whole, ours))
        torch.testing.assert_close(got, want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["mrs", "adapter", "convpass", "uniadapter"])
def test_bf16_keeps_no_fp32_copy_of_the_stream(mini, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0))
    kept, own = [], {p.untyped_storage().data_ptr() for p in model.parameters()}

    def watch(x):
        kept.append((x.dtype, tuple(x.shape), x.untyped_storage().data_ptr() in own))

    with fast.watching(watch), torch.autocast("cpu", torch.bfloat16):
        loss = losses.clip_loss(model.encode_image(pixels), model.encode_text(tokens))
    wide = set(mini.widths.values())
    streams = [dtype for dtype, shape, weight in kept if shape[-1] in wide and not weight]
    assert torch.bfloat16 in streams
    if method != "uniadapter":  # its layer norm's output is its own
        assert torch.float32 not in streams
    loss.backward()
    model.detach()


def test_quick_gelu_and_its_derivative():
    x = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(fast.LightQuickGELU.apply(x), x * torch.sigmoid(1.702 * x))
    assert torch.autograd.gradcheck(fast.LightQuickGELU.apply, x)


#: Each method with one loss, each loss with one method; the rest in `make check`.
STEPS = [
    pytest.param(method, loss, marks=() if loss == "hmmc" or method == "mrs" else pytest.mark.check)
    for method in ALL
    for loss in ("hmmc", "clip", "triplet")
]


@pytest.mark.parametrize("method, loss", STEPS)
def test_a_step_never_waits_for_the_device(method, loss, monkeypatch):
    """On the "meta" device there are no values: whatever reads one back (item, int, if) raises. The ids stay here."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # which does not know "meta"
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    from rsnb.config import TrainConfig
    from rsnb.training import batch_loss

    model = rsnb.adapt(rsnb.load_clip("mini"), method, seed=0).to("meta").train()
    if not model.trainable():
        return
    optimizer = torch.optim.Adam(model.trainable().values())
    tokens = model.clip.tokenizer(["two boats", "a harbor with many boats", "a park"])
    pixels = torch.empty(3, 3, model.clip.image_size, model.clip.image_size, device="meta")
    for _ in range(2):
        value = batch_loss(model, pixels, tokens, TrainConfig(method=method, loss=loss))[0]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert value.device.type == "meta" and all(p.grad is not None for p in model.trainable().values() if p.ndim)
    with pytest.raises(RuntimeError):
        value.item()


def test_evaluated_in_inference_mode_it_trains_afterwards(mini):  # noqa: F811
    """The bf16 copies of the weights are made at first use, which may be there."""
    pixels, tokens = a_batch(mini)
    for p in mini.parameters():
        fast._copies.pop(p, None)
    model = perturb(rsnb.adapt(mini, "mrs", seed=0))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        first = model.encode_image(pixels), model.encode_text(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        again = model.encode_image(pixels), model.encode_text(tokens)
    losses.clip_loss(*again).backward()
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.trainable().values())
    model.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quick_gelu_in_place_is_the_same_to_the_bit(dtype):
    made = {}
    for in_place in (False, True):
        leaf = torch.linspace(-4, 4, 4096).to(dtype).requires_grad_()
        x = 1 * leaf  # of which nobody needs the value
        out = fast.LightQuickGELU.apply(x, in_place)
        out.sin().sum().backward()
        made[in_place] = out.detach(), leaf.grad
        assert torch.equal(x.detach(), leaf.detach()) != in_place
    assert all(torch.equal(a, b) for a, b in zip(made[False], made[True]))
