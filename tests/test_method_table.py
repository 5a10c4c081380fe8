"""One table that every method passes, on the mini CLIP, on ViT-B/32 and on a CustomTextCLIP."""

from __future__ import annotations

import copy
import json

import pytest
import reference_methods
import torch

import rsnb
from rsnb import losses
from rsnb.backbone import Clip, mini_tokenizer
from rsnb.base import paths
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.methods import METHODS

ALL = list(METHODS)
TRAINED = [name for name in ALL if name != "zero_shot"]
HOOKED = [name for name in TRAINED if name != "full"]
SHARING = ("adapter", "adaptformer", "convpass", "cross_modal", "uniadapter", "mrs", "vpt", "vl_prompt", "lora")
#: What trains but cannot get a gradient: token rows of words that do not occur keep a zero.
SPARSE = {"token_embedding.weight", "text.token_embedding.weight"}


@pytest.fixture(scope="module")
def mini():
    with pytest.warns(RsnbWarning, match="RANDOM"):
        return rsnb.load_clip("mini", "random")


@pytest.fixture(scope="module")
def vit_b32():
    torch.manual_seed(0)
    with pytest.warns(RsnbWarning, match="RANDOM"):
        return rsnb.load_clip("ViT-B-32-quickgelu")


@pytest.fixture(scope="module")
def custom_text():
    """The mini CLIP's shape with its text tower in a module of its own."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = json.loads((paths.mini_dir() / "rsnb-mini.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**config)
    model.visual.preprocess_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": (60, 60)}
    preprocess = image_transform_v2(PreprocessCfg(size=60), is_train=False)
    return Clip(model, mini_tokenizer(), preprocess, "custom", None, "custom, RANDOM weights")


@pytest.fixture(autouse=True)
def nothing_stays_attached(mini):
    yield
    assert mini.adapted_by is None, "the test left a method on the CLIP"


@pytest.fixture(params=["mini", "custom_text", pytest.param("vit_b32", marks=pytest.mark.check)])
def clip(request):
    return request.getfixturevalue(request.param)


def a_batch(clip, count: int = 3):
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randn(count, 3, clip.image_size, clip.image_size, generator=rng)
    captions = ["two planes", "a green pond near a road", "storage tanks", "many trees"][:count]
    return pixels, clip.tokenizer(captions)


def perturb(model, size: float = 0.02):
    """Move every trainable number, so that what begins as zero does something."""
    rng = torch.Generator().manual_seed(5)
    for p in model.trainable().values():
        p.data.add_(size * torch.randn(p.shape, generator=rng))
    return model


def a_loss(model, pixels, tokens):
    """Every term of every loss, so that whatever can move is moved."""
    image, image_2 = model.encode_twice("image", pixels)
    text, text_2 = model.encode_twice("text", tokens)
    contrast = losses.clip_loss(image, text, model.clip.logit_scale)
    return losses.hmmc(image, text, image_2, text_2, margin=2.0) + contrast


@pytest.mark.parametrize("method", ALL)
def test_one_step_and_away_again(clip, method):
    """Identity at step 0 where promised; only its own parameters change, each gets a gradient; detach."""
    pixels, tokens = a_batch(clip)
    before = {name: value.clone() for name, value in clip.model.state_dict().items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in clip.modules()]
    with torch.no_grad():
        image, text = clip.encode_image(pixels), clip.encode_text(tokens)
    model = rsnb.adapt(clip, method, seed=0)
    with torch.no_grad():
        first = model.encode_image(pixels), model.encode_text(tokens)
    same = all(a.shape == b.shape and torch.allclose(a, b, atol=1e-5) for a, b in zip(first, (image, text)))
    assert same == METHODS[method].identity or method == "adapter", "what the table says of step 0 is wrong"
    if method == "adapter":  # near zero, not zero
        assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(first, (image, text)))
    if method != "zero_shot":
        perturb(model).train()
        start = {name: p.detach().clone() for name, p in model.trainable().items()}
        a_loss(model, pixels, tokens).backward()
        for name, p in model.trainable().items():
            assert p.grad is not None and torch.isfinite(p.grad).all(), name
            assert name in SPARSE or p.grad.abs().sum() > 0, f"{name} gets no gradient"
        torch.optim.Adam(model.trainable().values(), lr=1e-3).step()
        assert all(not torch.equal(start[name], p) for name, p in model.trainable().items())
        assert all(torch.isfinite(e).all() for e in (model.eval().encode_image(pixels), model.encode_text(tokens)))
    assert model.detach() is clip
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in clip.modules()]
    for name, value in clip.model.state_dict().items():
        assert torch.equal(before[name], value), f"{name} of the frozen CLIP changed"


@pytest.mark.parametrize("method", ALL)
def test_save_load_and_deepcopy(mini, method, tmp_path):
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0))
    with torch.no_grad():
        image, text = model.encode_image(pixels), model.encode_text(tokens)
        path = rsnb.save_adapter(model, tmp_path / "adapter.safetensors")
        twin = copy.deepcopy(model)
        perturb(twin)
        assert torch.equal(model.encode_image(pixels), image) and torch.equal(model.encode_text(tokens), text)
        if method != "zero_shot":
            moved = twin.encode_image(pixels), twin.encode_text(tokens)
            assert not (torch.allclose(moved[0], image, atol=1e-5) and torch.allclose(moved[1], text, atol=1e-5))
        if method != "full":  # which works on a copy
            with pytest.raises(RsnbError, match="already carries"):
                rsnb.adapt(mini, "mrs")
        model.detach()
        again = rsnb.load_adapter(path, mini)
        assert again.method == method
        assert torch.equal(again.encode_image(pixels), image) and torch.equal(again.encode_text(tokens), text)
        again.detach()


@pytest.mark.parametrize("method", TRAINED)
def test_bf16(mini, method):
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0))
    exact = model.encode_image(pixels), model.encode_text(tokens)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        a_loss(model, pixels, tokens).backward()
        model.eval()
        rough = model.encode_image(pixels), model.encode_text(tokens)
    for a, b in zip(exact, rough):
        assert b.dtype == torch.float32 and (a * b).sum(dim=-1).min() > 0.99
    assert all(torch.isfinite(p.grad).all() for p in model.trainable().values())
    model.detach()


@pytest.mark.parametrize("method", TRAINED)
def test_gradient_checkpointing_gives_the_same_gradients(mini, method):
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0)).train()
    found = []
    for checkpointing in (False, True):
        model.clip.model.set_grad_checkpointing(checkpointing)
        torch.manual_seed(3)
        for p in model.trainable().values():
            p.grad = None
        a_loss(model, pixels, tokens).backward()
        found.append({name: p.grad.clone() for name, p in model.trainable().items()})
    model.clip.model.set_grad_checkpointing(False)
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-5, msg=name)
    model.detach()


@pytest.mark.parametrize("method", HOOKED)
def test_equals_the_plain_version(mini, method):
    """Outputs against the published formula written out, to 1e-5; captions short, long, and at the length limit."""
    model = perturb(rsnb.adapt(mini, method, seed=0), 0.05)
    rng = torch.Generator().manual_seed(7)
    pixels = torch.randn(3, 3, mini.image_size, mini.image_size, generator=rng)
    tokens = mini.tokenizer(["a pond", "two planes near a long road", "a tree and " * 20])
    end = tokens.argmax(dim=1)
    assert end[2] == mini.context_length - 1, "the last caption should fill the context"
    p = {name: value.detach() for name, value in mini.model.state_dict().items()}
    a = {name: value.detach() for name, value in model.trainable().items()}
    captions = [row[: e + 1].tolist() for row, e in zip(tokens, end)]
    with torch.no_grad():
        image, text = model.encode_image(pixels), model.encode_text(tokens)
    model.detach()
    if method == "mrs":  # has a reference of its own
        import reference

        a = {name.removeprefix("adapters.0."): value for name, value in a.items()}
        plain = reference.encode_image(pixels, p, a, 4, 4, False), reference.encode_text(tokens, p, a, 4, 4, False)
    else:
        gelu = reference_methods.gelu
        plain = (
            reference_methods.image(method, pixels, p, a, 4, 4, gelu),
            reference_methods.text(method, captions, p, a, 4, 4, gelu),
        )
    torch.testing.assert_close(image, plain[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(text, plain[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", SHARING)
def test_sharing_layers_costs_less(mini, method):
    counts = {}
    for share in (True, False):
        model = rsnb.adapt(mini, method, share_layers=share)
        counts[share] = rsnb.count_trainable(model)
        model.detach()
    assert counts[True] < counts[False]


def test_the_causal_mask_and_the_end_survive_prompts(mini):
    """What stands behind EOS changes nothing; a word before it does; EOS is found at the right place."""
    model = perturb(rsnb.adapt(mini, "vl_prompt", seed=0))
    tokens = mini.tokenizer(["a pond near a road"])
    longer = model.added.tokens(tokens)
    p = len(model.added.language.context)
    assert longer.argmax(dim=1) == tokens.argmax(dim=1) + p and longer.shape == tokens.shape
    with torch.no_grad():
        expected = model.encode_text(tokens)
        behind = tokens.clone()
        behind[0, tokens.argmax() + 1 :] = 5
        torch.testing.assert_close(model.encode_text(behind), expected, atol=1e-6, rtol=0)
        before = tokens.clone()
        before[0, 2] = 5
        assert not torch.allclose(model.encode_text(before), expected, atol=1e-4)
    model.detach()


def test_a_caption_at_the_length_limit_keeps_its_end(mini):
    model = rsnb.adapt(mini, "coop", seed=0)
    tokens = mini.tokenizer(["a tree and " * 20])
    longer = model.added.tokens(tokens)
    assert longer.argmax() == mini.context_length - 1 and longer.max() == tokens.max()
    model.detach()


def test_an_error_inside_attention_gives_the_weights_back(mini):
    model = perturb(rsnb.adapt(mini, "lora", seed=0))
    names = [name for name, _ in mini.model.named_parameters()]
    wrong = torch.zeros(2, 3, 5)  # of another width
    with pytest.raises((RuntimeError, AssertionError)):
        model.clip.model.visual.transformer.resblocks[0].attn(wrong, wrong, wrong)
    model.detach()
    assert names == [name for name, _ in mini.model.named_parameters()]
    assert all(isinstance(p, torch.nn.Parameter) for p in mini.model.parameters())


def test_uniadapter_shares_its_way_down_where_the_widths_allow(mini):
    with pytest.raises(RsnbError, match="towers of one width"):
        rsnb.adapt(mini, "uniadapter", share_down=True)
    assert mini.adapted_by is None


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("coop", {"tokens": 40}, "tokens is 40"),
        ("vpt", {"prompts": 0}, "prompts is 0"),
        ("lora", {"rank": 0}, "rank is 0"),
        ("adapter", {"bottleneck": 0}, "bottleneck is 0"),
        ("convpass", {"bottleneck": 0}, "bottleneck is 0"),
        ("cross_modal", {"shared": 128}, "shared width is 128"),
        ("clip_adapter", {"ratio": 2.0}, "ratio 2.0"),
    ],
)
def test_bad_options_are_named(mini, method, options, message):
    with pytest.raises(RsnbError, match=message):
        rsnb.adapt(mini, method, **options)
    assert mini.adapted_by is None
