"""Methods on the mini CLIP and on ViT-B/32: what they add, what they leave alone, and equality with a reference."""

from __future__ import annotations

import copy
import json

import pytest
import reference
import torch
import torch.nn.functional as F

import rsnb
from rsnb import losses
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.methods import METHODS


@pytest.fixture(scope="module")
def vit_b32():
    torch.manual_seed(0)
    with pytest.warns(RsnbWarning, match="RANDOM weights"):
        return rsnb.load_clip("ViT-B-32-quickgelu")


@pytest.fixture(scope="module")
def mini():
    with pytest.warns(RsnbWarning, match="RANDOM"):
        return rsnb.load_clip("mini", "random")


@pytest.fixture(params=["mini", pytest.param("ViT-B-32-quickgelu", marks=pytest.mark.check)])
def clip(request):
    return request.getfixturevalue("mini" if request.param == "mini" else "vit_b32")


@pytest.fixture
def batch(clip):
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, 3, clip.image_size, clip.image_size, generator=rng)
    return pixels, clip.tokenizer(["two planes", "a green pond near a road", "storage tanks"])


@pytest.fixture
def attached(clip, request):
    made = []

    def attach(method, **options):
        made.append(rsnb.adapt(clip, method, seed=0, **options))
        return made[-1]

    yield attach
    for model in made:
        model.detach()


def perturb(model):
    """Move every trainable number, so that a zero-initialised adapter does something."""
    rng = torch.Generator().manual_seed(5)
    for p in model.trainable().values():
        p.data.add_(0.02 * torch.randn(p.shape, generator=rng))


def test_counts_on_vit_b32(vit_b32):
    for method, entry in METHODS.items():
        model = rsnb.adapt(vit_b32, method)
        assert rsnb.count_trainable(model) == entry.count_vit_b32, method
        model.detach()


def test_mrs_is_five_linear_layers(vit_b32):
    model = rsnb.adapt(vit_b32, "mrs")
    shapes = sorted(tuple(p.shape) for p in model.trainable().values() if p.ndim == 2)
    assert shapes == sorted([(64, 768), (64, 512), (704, 64), (448, 64), (64, 64)])
    model.detach()


def test_identity_at_step_0(clip, batch, attached):
    pixels, tokens = batch
    image, text = clip.encode_image(pixels), clip.encode_text(tokens)
    model = attached("mrs")
    torch.testing.assert_close(model.encode_image(pixels), image, atol=1e-6, rtol=0)  # torch takes another kernel
    torch.testing.assert_close(model.encode_text(tokens), text, atol=1e-6, rtol=0)  # for frozen weights: rounding
    for tower, width in clip.widths.items():
        x = torch.randn(2, 5, width)
        assert torch.equal(model.added.adapters[0](x, tower), torch.zeros_like(x)), "the adapter adds exactly zero"
    torch.testing.assert_close(image.norm(dim=-1), torch.ones(3))


@pytest.mark.parametrize("method", ["linear_probe", "mrs"])  # the others: test_method_table.py
def test_only_its_own_parameters_change_and_each_gets_a_gradient(clip, batch, attached, method):
    before = {name: p.clone() for name, p in clip.model.state_dict().items()}
    model = attached(method)
    if method == "mrs":
        perturb(model)  # zero ups give the downs no gradient at step 0
    model.train()
    pixels, tokens = batch
    image, image_2 = model.encode_twice("image", pixels)
    text, text_2 = model.encode_twice("text", tokens)
    loss = losses.hmmc(image, text, image_2, text_2, margin=2.0) + losses.clip_loss(image, text, model.clip.logit_scale)
    loss.backward()
    own = model.trainable()
    unused = {"token_embedding.weight"}  # rows of words that do not occur
    for name, p in own.items():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert name in unused or p.grad.abs().sum() > 0, name
    start = {name: p.detach().clone() for name, p in own.items()}
    torch.optim.Adam(own.values(), lr=1e-3).step()
    assert all(not torch.equal(start[name], p) for name, p in own.items())
    for name, value in clip.model.state_dict().items():
        assert torch.equal(before[name], value), f"{name} of the frozen CLIP changed"


def test_the_frozen_clip_stays_in_eval(clip, attached):
    model = attached("mrs").train()
    assert not any(m.training for m in model.clip.modules()) and model.added.training
    assert not any(p.requires_grad for p in model.clip.parameters())


def test_detach_gives_the_clip_back(clip, batch):
    hooks = lambda: sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in clip.modules())  # noqa: E731
    pixels, _ = batch
    before, grads = clip.encode_image(pixels), [p.requires_grad for p in clip.parameters()]
    model = rsnb.adapt(clip, "mrs")
    assert hooks() > 0
    perturb(model)
    assert not torch.allclose(model.encode_image(pixels), before, atol=1e-4)
    assert model.detach() is clip
    assert hooks() == 0 and clip.adapted_by is None
    assert [p.requires_grad for p in clip.parameters()] == grads
    torch.testing.assert_close(clip.encode_image(pixels), before, atol=1e-6, rtol=0)


def test_two_methods_on_one_clip_are_refused(clip, attached):
    attached("mrs")
    with pytest.raises(RsnbError, match="already carries the method 'mrs'"):
        rsnb.adapt(clip, "linear_probe")


def test_deepcopy_is_independent(mini, attached):
    model = rsnb.adapt(mini, "mrs")
    pixels = torch.randn(2, 3, mini.image_size, mini.image_size)
    twin = copy.deepcopy(model)
    before = model.encode_image(pixels)
    perturb(twin)
    assert torch.equal(model.encode_image(pixels), before)
    assert not torch.allclose(twin.encode_image(pixels), before, atol=1e-4)
    model.detach()


@pytest.mark.parametrize("method", list(METHODS))
def test_save_and_load(mini, tmp_path, method):
    model = rsnb.adapt(mini, method, seed=0)
    if model.trainable():
        perturb(model)
    pixels, tokens = torch.randn(2, 3, mini.image_size, mini.image_size), mini.tokenizer(["a pond", "a road"])
    image, text = model.encode_image(pixels), model.encode_text(tokens)
    path = rsnb.save_adapter(model, tmp_path / "a" / "adapter.safetensors")
    model.detach()
    again = rsnb.load_adapter(path, mini)
    assert again.method == method
    assert torch.equal(again.encode_image(pixels), image) and torch.equal(again.encode_text(tokens), text)
    again.detach()


def test_an_adapter_is_small_and_refused_on_another_backbone(vit_b32, mini, tmp_path):
    model = rsnb.adapt(vit_b32, "mrs")
    path = rsnb.save_adapter(model, tmp_path / "adapter.safetensors")
    model.detach()
    assert path.stat().st_size < 2**20
    with pytest.raises(RsnbError, match="trained on ViT-B-32-quickgelu"):
        rsnb.load_adapter(path, mini)


def test_adapter_file_faults(mini, tmp_path):
    with pytest.raises(RsnbError, match="no adapter at"):
        rsnb.load_adapter(tmp_path / "none.safetensors", mini)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a safetensors file")
    with pytest.raises(RsnbError, match="is no adapter file"):
        rsnb.load_adapter(broken, mini)


def test_bad_options_are_named(mini):
    for options, message in [
        ({"bottelneck": 3}, "no option called bottelneck; it has: bottleneck"),
        ({"shared": 128}, "less than the narrowest"),
        ({"towers": ("sound",)}, "towers is"),
        ({"layers": (9,)}, "blocks 0 to 3"),
        ({"bottleneck": 0}, "at least 1"),
    ]:
        with pytest.raises(RsnbError, match=message):
            rsnb.adapt(mini, "mrs", **options)
        assert mini.adapted_by is None
    with pytest.raises(RsnbError, match="choose one of zero_shot"):
        rsnb.adapt(mini, "magic")
    with pytest.raises(RsnbError, match="found Identity"):
        rsnb.adapt(torch.nn.Identity(), "mrs")


def test_options_of_mrs(mini):
    one = rsnb.adapt(mini, "mrs")
    shared = rsnb.count_trainable(one)
    one.detach()
    each = rsnb.adapt(mini, "mrs", share_layers=False)
    assert rsnb.count_trainable(each) == 4 * shared
    each.detach()
    image_only = rsnb.adapt(mini, "mrs", towers="image", layers=(2, 3), shared=0)
    perturb(image_only)
    tokens = mini.tokenizer(["a pond"])
    with_adapter = image_only.encode_text(tokens)
    image_only.detach()
    torch.testing.assert_close(mini.encode_text(tokens), with_adapter, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["ViT-B-16-quickgelu", "ViT-L-14-quickgelu"])
def test_any_clip_widths(name):
    """B/16 and L/14 with one block a tower instead of twelve and more: the widths are what matters here."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from rsnb.backbone import Clip

    config = copy.deepcopy(open_clip.get_model_config(name))
    config["vision_cfg"]["layers"] = config["text_cfg"]["layers"] = 1
    model = open_clip.CLIP(**config)
    model.visual.preprocess_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": (224, 224)}
    preprocess = image_transform_v2(PreprocessCfg(size=224), is_train=False)
    clip = Clip(model, open_clip.get_tokenizer(name), preprocess, name, None, name)
    adapted = rsnb.adapt(clip, "mrs")
    v, t = clip.widths["image"], clip.widths["text"]
    expected = (v * 64 + 64) + (t * 64 + 64) + 65 * (v - 64) + 65 * (t - 64) + 65 * 64
    assert rsnb.count_trainable(adapted) == expected
    pixels = torch.randn(1, 3, 224, 224)
    expected = F.normalize(model.encode_image(pixels), dim=-1)
    torch.testing.assert_close(adapted.encode_image(pixels), expected, atol=1e-6, rtol=0)


def test_a_custom_text_clip(tmp_path):
    """The text tower in a module of its own (CustomTextCLIP) takes the same adapter."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from rsnb.backbone import Clip, mini_tokenizer
    from rsnb.base import paths

    config = json.loads((paths.mini_dir() / "rsnb-mini.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**config)
    model.visual.preprocess_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": (60, 60)}
    clip = Clip(model, mini_tokenizer(), image_transform_v2(PreprocessCfg(size=60), is_train=False), "x", None, "x")
    before = clip.encode_text(clip.tokenizer(["a pond"]))
    adapted = rsnb.adapt(clip, "mrs")
    torch.testing.assert_close(adapted.encode_text(clip.tokenizer(["a pond"])), before, atol=1e-6, rtol=0)
    perturb(adapted)
    assert not torch.allclose(adapted.encode_text(clip.tokenizer(["a pond"])), before, atol=1e-4)


def test_a_resnet_is_refused_before_it_is_touched():
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from rsnb.backbone import Clip

    config = copy.deepcopy(open_clip.get_model_config("RN50-quickgelu"))
    config["vision_cfg"]["layers"] = [1, 1, 1, 1]
    config["text_cfg"]["layers"] = 1
    model = open_clip.CLIP(**config)
    model.visual.preprocess_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    clip = Clip(model, None, image_transform_v2(PreprocessCfg(size=224), is_train=False), "RN50", None, "RN50")
    with pytest.raises(RsnbError, match="image tower of this CLIP is no stack"):
        rsnb.adapt(clip, "mrs")
    assert clip.adapted_by is None and all(p.requires_grad for p in clip.parameters())
    with pytest.warns(RsnbWarning, match="own forward is used for RN50: its image tower is a ModifiedResNet"):
        rsnb.adapt(clip, "linear_probe")  # heads need no blocks


# --- the method against the plain version -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["fast", "hooks"])
def test_module_and_loss_equal_the_plain_version(clip, monkeypatch, way):
    """Embeddings of both views, the loss, and the gradient of every adapter weight, to 1e-5 in fp32; in `make check` at
    ViT-B/32 size."""
    depth, length, widths = clip.depths["image"], clip.context_length, clip.widths
    heads = {"image": 12, "text": 8} if depth == 12 else {"image": 4, "text": 4}
    quick = depth == 12  # QuickGELU, as OpenAI's
    model = rsnb.adapt(clip, "mrs", seed=0, dropout=0.0).fast(way == "fast")
    perturb(model)
    model.train()
    rng = torch.Generator().manual_seed(2)
    pixels = torch.randn(4, 3, clip.image_size, clip.image_size, generator=rng)
    tokens = clip.tokenizer(["many planes", "a pond and some trees", "a dense residential area", "tanks"])

    masks = {}  # remember the token dropout's masks, so that the plain version can use the same ones

    dropout = F.dropout

    def remembered(x, p=0.5, training=True, inplace=False):
        if p == 0:
            return dropout(x, p, training, inplace)
        keep = (torch.rand(x.shape, generator=rng) >= p).float() / (1 - p)
        masks[x.shape] = keep
        return x * keep

    monkeypatch.setattr("rsnb.adapted.F.dropout", remembered)
    image, image_2 = model.encode_twice("image", pixels, 0.2)
    text, text_2 = model.encode_twice("text", tokens, 0.2)
    monkeypatch.undo()
    loss = losses.hmmc(image, text, image_2, text_2)
    loss.backward()

    p = {name: value.detach() for name, value in clip.model.state_dict().items()}
    a = {n.removeprefix("adapters.0."): q.detach().clone().requires_grad_() for n, q in model.trainable().items()}
    image_mask, text_mask = ({x.shape[2]: x for x in masks.values()}[widths[tower]] for tower in ("image", "text"))
    assert (text_mask.shape[1] < length) == (way == "fast"), "captions are cut by the fast forward"
    text_mask = F.pad(text_mask, (0, 0, 0, length - text_mask.shape[1]), value=1.0)
    assert 0.75 < (image_mask > 0).float().mean() < 0.85
    plain = [
        reference.encode_image(pixels, p, a, depth, heads["image"], quick),
        reference.encode_text(tokens, p, a, depth, heads["text"], quick),
        reference.encode_image(pixels, p, a, depth, heads["image"], quick, image_mask),
        reference.encode_text(tokens, p, a, depth, heads["text"], quick, text_mask),
    ]
    plain_loss = reference.hmmc(*plain)
    plain_loss.backward()
    for ours, theirs in zip((image, text, image_2, text_2), plain):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, plain_loss, atol=1e-5, rtol=1e-5)
    for name, q in model.trainable().items():
        theirs = a[name.removeprefix("adapters.0.")].grad
        assert theirs.abs().max() > 0
        torch.testing.assert_close(q.grad, theirs, atol=1e-5, rtol=1e-4, msg=name)
    model.detach()


def test_the_first_half_is_clean_and_the_second_dropped(mini):
    model = rsnb.adapt(mini, "mrs", seed=0).train()
    pixels = torch.randn(4, 3, mini.image_size, mini.image_size)
    clean, dropped = model.encode_twice("image", pixels, 0.2)
    torch.testing.assert_close(clean, model.encode_image(pixels), atol=1e-5, rtol=1e-5)  # ups are zero: no dropout seen
    assert not torch.allclose(clean, dropped, atol=1e-3)
    same, too = model.encode_twice("image", pixels, 0.0)
    torch.testing.assert_close(same, too, atol=1e-5, rtol=1e-5)
    assert model.token_dropout.rate is None
    model.detach()


def test_adapter_dropout_is_one_half_in_training_and_off_in_evaluation(mini):
    model = rsnb.adapt(mini, "mrs", seed=0)
    adapter = model.added.adapters[0]
    perturb(model)
    assert adapter.dropout.p == 0.5
    x = torch.randn(2, 37, mini.widths["image"])
    a = {name: q.detach() for name, q in adapter.named_parameters()}
    torch.testing.assert_close(adapter(x, "image"), reference.mrs_adapter(x, a, "image"), atol=1e-5, rtol=1e-5)
    model.train()
    torch.manual_seed(0)
    out = adapter(x, "image")
    torch.manual_seed(0)
    keep = F.dropout(torch.ones(2, 37, 64), 0.5)
    torch.testing.assert_close(out, reference.mrs_adapter(x, a, "image", keep), atol=1e-5, rtol=1e-5)
    model.detach()
