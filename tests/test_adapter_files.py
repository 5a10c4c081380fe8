"""A file holds all that was added or trained, and what it cannot stand for is refused. See also test_methods.py."""

from __future__ import annotations

import json
import linecache

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_method_table import a_batch, mini, perturb  # noqa: F401
from torch import nn

import rsnb
from rsnb.base.adapter_files import FORMAT
from rsnb.base.own import digest_of_own
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.methods import read_header
from rsnb.surgery import Method


class Everything(Method):
    """Trains a scale; has a frozen random map, a buffer that training moves, one that is not kept, a shared part."""

    def __init__(self, clip, by: float = 1.0):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))
        self.norm = nn.BatchNorm1d(clip.embed_dim)
        self.map = nn.Linear(clip.embed_dim, clip.embed_dim, bias=False).requires_grad_(False)
        self.again = self.map
        self.register_buffer("mask", torch.full((2,), -torch.inf), persistent=False)

    def head(self, x, tower):
        return x + self.by * self.map(self.norm(x))


def embeddings(model, clip):
    pixels, tokens = a_batch(clip)
    with torch.no_grad():
        return model.encode_image(pixels), model.encode_text(tokens)


@pytest.mark.parametrize(
    "method, unfreeze",
    [
        (Everything, None),
        (["mrs", Everything, ("lora", {"rank": 1})], None),
        ("zero_shot", "ln_"),
        (["coop", Everything], ["logit_scale", "visual.proj"]),
        (["full", Everything], None),
    ],
)
def test_the_model_comes_back_as_it_was(mini, tmp_path, method, unfreeze):  # noqa: F811
    model = perturb(rsnb.adapt(mini, method, unfreeze=unfreeze)).train()
    embeddings(model, mini)  # moves the running statistics
    model.eval()
    then, counted = embeddings(model, mini), rsnb.count_trainable(model)
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    assert set(load_file(path)) == set(model.state())
    model.detach()
    again = rsnb.load_adapter(path, mini, [Everything] if "Everything" in model.method else None).eval()
    assert (again.method, again.options, rsnb.count_trainable(again)) == (model.method, model.options, counted)
    assert all(torch.equal(a, b) for a, b in zip(embeddings(again, mini), then))
    assert {n for n, p in again.state().items() if p.requires_grad} == set(model.trainable())
    again.detach()


def test_what_a_file_holds(mini, tmp_path):  # noqa: F811
    model = rsnb.adapt(mini, Everything, by=2.0, unfreeze="visual.ln_post")
    held = load_file(rsnb.save_adapter(model, tmp_path / "a.safetensors"))
    model.detach()
    norm = {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert set(held) == {"by", "map.weight", *norm, "clip:visual.ln_post.weight", "clip:visual.ln_post.bias"}
    header = read_header(tmp_path / "a.safetensors")
    assert json.loads(header["options"]) == {"by": 2.0, "unfreeze": "visual.ln_post"}
    assert json.loads(header["sources"]) == {"Everything": digest_of_own(Everything)}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(mini, tmp_path, bad):  # noqa: F811
    model = rsnb.adapt(mini, "mrs")
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    name, p = next(iter(model.trainable().items()))
    with torch.no_grad():
        p.view(-1)[3] = bad
    before = path.read_bytes()
    with pytest.raises(RsnbError, match=f"{name}.*finite"):
        rsnb.save_adapter(model, path)
    assert path.read_bytes() == before
    model.detach()
    rewrite(path, lambda tensors: tensors[name].view(-1)[3:4].fill_(bad))
    with pytest.raises(RsnbError, match=f"{name}.*finite.*a.safetensors"):
        rsnb.load_adapter(path, mini)
    assert mini.adapted_by is None


def rewrite(path, change, **header):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {**read_header(path), **header})


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("adapters.0.up_shared.bias"),
        lambda t: t.update({"adapters.0.up_shared.bias": torch.zeros(3)}),
        lambda t: t.update({"adapters.0.up_shared.bias": torch.zeros(64, dtype=torch.long)}),
        lambda t: t.update({"adapters.1.up_shared.bias": torch.zeros(64)}),
        lambda t: t.update({"clip:logit_scale": torch.zeros(())}),
    ],
)
def test_loading_is_strict(mini, tmp_path, change):  # noqa: F811
    model = rsnb.adapt(mini, "mrs")
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    rewrite(path, change)
    with pytest.raises(RsnbError, match="do not fit 'mrs'"):
        rsnb.load_adapter(path, mini)
    assert mini.adapted_by is None


@pytest.mark.parametrize("kind", [torch.bool, torch.long, torch.complex64])
def test_no_kind_of_number_becomes_another(mini, tmp_path, kind):  # noqa: F811
    model = rsnb.adapt(mini, "mrs")
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    name = "adapters.0.up_shared.bias"
    rewrite(path, lambda tensors: tensors.update({name: tensors[name].to(kind)}))
    with pytest.raises(RsnbError, match=f"do not fit 'mrs': {name}"):
        rsnb.load_adapter(path, mini)


MALFORMED = {
    "method": ["", "mrs+", "../mrs", "mrs\n", "nosuch"],
    "options": ["", "[]", "{", "[" * 99_999, '{"nosuch": 1}', '{"bottleneck": "a"}', '{"clip": 1}', '{"seed": 1}',
        '{"bottleneck": 1000000000000}', '{"bottleneck": 20000000}', '{"layers": [99]}', '{"unfreeze": 5}'],
    "backbone": ["", "a\nb", "x" * 999, "\x1b[2J"],
    "pretrained": ["", "openai", "3", "{}", '["a"]'],
    "fingerprint": ["", "0", "0123456789ABCDEF", "0123456789abcdef"],
    "sources": ["", "[]", '{"Mine": 1}'],
    "format": ["", "rsnb adapter 3"],
}  # fmt: skip


@pytest.fixture(scope="module")
def an_adapter(tmp_path_factory):
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs")
    return rsnb.save_adapter(model, tmp_path_factory.mktemp("adapter") / "a.safetensors")


@pytest.mark.parametrize("field, value", [(field, value) for field in MALFORMED for value in [None, *MALFORMED[field]]])
def test_each_field_of_a_header_missing_or_malformed(an_adapter, mini, tmp_path, field, value):  # noqa: F811
    header = read_header(an_adapter) | {field: value}
    path = tmp_path / "other.safetensors"
    save_file(load_file(an_adapter), path, {name: text for name, text in header.items() if text is not None})
    with pytest.raises(RsnbError) as error:
        rsnb.load_adapter(path, mini)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and mini.adapted_by is None


@pytest.mark.parametrize(
    "backbone, pretrained",
    [("ViT-B-32-quickgelu", "openai"), ("hf-hub:somebody/clip", None), ("roberta-ViT-B-32", None), ("nosuch", None)],
)
def test_no_adapter_starts_a_download(an_adapter, tmp_path, backbone, pretrained):
    header = read_header(an_adapter) | {"backbone": backbone, "pretrained": json.dumps(pretrained)}
    save_file(load_file(an_adapter), tmp_path / "a.safetensors", header)
    with pytest.raises(RsnbError, match=f"wants the CLIP '{backbone}'.*--backbone"):
        rsnb.load_adapter(tmp_path / "a.safetensors")


def test_a_header_that_is_longer_than_the_file(tmp_path):
    (tmp_path / "a.safetensors").write_bytes((2**50).to_bytes(8, "little") + b"{}")
    with pytest.raises(RsnbError, match="a.safetensors"):
        rsnb.load_adapter(tmp_path / "a.safetensors")


def test_a_file_cut_short(mini, tmp_path):  # noqa: F811
    model = rsnb.adapt(mini, "mrs")
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RsnbError, match="a.safetensors"):
        rsnb.load_adapter(path, mini)


def own_class(number: int, factor: int) -> type[Method]:
    """A class as of a notebook: without a file, its functions know the text of their cell."""
    text = "class Mine(Method):\n    def __init__(self, clip):\n        super().__init__()\n"
    text += f"    def head(self, x, tower):\n        return x * {factor}\n"
    name, space = f"<ipython-input-{number}>", {"Method": Method, "__name__": "cell_without_file"}
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), space)
    return space["Mine"]


def test_a_class_of_your_own_that_has_changed(mini, tmp_path):  # noqa: F811
    model = rsnb.adapt(mini, ["mrs", own_class(91, 2)])
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    rsnb.load_adapter(path, mini, own_class(92, 2)).detach()
    with pytest.warns(RsnbWarning, match="the class Mine has changed"):
        rsnb.load_adapter(path, mini, own_class(93, 3)).detach()
    with pytest.raises(RsnbError, match="made with Mine.* give the class"):
        rsnb.load_adapter(path, mini)
    with pytest.raises(RsnbError, match="holds a mrs.Mine, not a Everything"):
        rsnb.load_adapter(path, mini, [own_class(94, 2), Everything])
    assert mini.adapted_by is None


def test_a_base_class_of_your_own_is_part_of_the_digest():
    class Base(Method):
        factor = 1

    class Same(Base):
        pass

    first = digest_of_own(Same)
    assert first and len(first) == 12 and digest_of_own(Base) != first
    with pytest.raises(rsnb.RsnbError, match="source of Typed"):
        digest_of_own(type("Typed", (Method,), {"head": eval("lambda self, x, tower: x")}))


def test_options_that_cannot_be_written(mini, tmp_path):  # noqa: F811
    model = rsnb.adapt(mini, Everything, by=np.float32(2.0))
    with pytest.raises(RsnbError, match="options .* cannot be saved"):
        rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["mrs", "full", Everything])
def test_files_of_the_former_format(mini, tmp_path, method):  # noqa: F811
    """They held what trained alone, and the names of a CLIP's own parameters as they are."""
    model = perturb(rsnb.adapt(mini, method)).eval()
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    header = {k: v for k, v in read_header(path).items() if k != "sources"}
    former = {n.removeprefix("clip:"): p.detach().clone() for n, p in model.trainable().items()}
    save_file(former, path, {**header, "format": "rsnb adapter 1"})
    then, state = embeddings(model, mini), {n: x.clone() for n, x in model.state().items()}
    model.detach()
    if method is Everything:
        with pytest.warns(RsnbWarning, match="did not save map.weight, norm"):
            again = rsnb.load_adapter(path, mini, Everything)
        assert torch.equal(again.state()["by"], state["by"])
    else:
        again = rsnb.load_adapter(path, mini)
        assert all(torch.equal(a, b) for a, b in zip(embeddings(again, mini), then))
    again.detach()


def test_the_shipped_files_are_of_the_format_of_today():
    from rsnb.base import paths

    shipped = sorted(paths.adapters_dir().glob("*.safetensors"))
    assert len(shipped) == len(paths.ADAPTERS)
    for path in shipped:
        with safe_open(path, "pt") as file:
            assert file.metadata()["format"] == FORMAT
        assert rsnb.load_adapter(path).method in ("mrs", "mrs+lora")


# --- fingerprints -----------------------------------------------------------------------------------------------
def test_the_fingerprint_follows_the_weights():
    clip, other = rsnb.load_clip("mini"), None
    first = clip.fingerprint()
    read = {"times": 0}
    whole = torch.Tensor.numpy

    def counting(self, *args, **more):
        read["times"] += 1
        return whole(self, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "numpy", counting)
        assert clip.fingerprint() == first and read["times"] == 0, "unchanged weights are not read again"
    with torch.no_grad():
        clip.model.visual.proj.add_(1)
    second = clip.fingerprint()
    with pytest.warns(RsnbWarning):
        other = rsnb.load_clip("mini", "random")
    clip.model.load_state_dict(other.model.state_dict())
    assert len({first, second, clip.fingerprint()}) == 3 and clip.fingerprint() == other.fingerprint()
    clip.model.visual.proj.data = other.model.visual.proj.detach() * 2
    assert clip.fingerprint() != other.fingerprint()
    with torch.inference_mode():
        made = rsnb.load_clip("mini")
    assert made.fingerprint() == first


def test_the_fingerprint_of_a_trained_copy(mini):  # noqa: F811
    train, val = (rsnb.load_dataset("toy", split, limit=8) for split in ("train", "val"))
    mini.fingerprint()
    model = rsnb.adapt(mini, "full")
    assert model.clip.fingerprint() == mini.fingerprint()
    config = rsnb.TrainConfig("full", loss="clip", epochs=1, batch_size=4, precision="fp32", lr=0.01)
    rsnb.train(model, train, val, config, progress=False)
    assert model.clip.fingerprint() != mini.fingerprint() == model.original[0].fingerprint()
