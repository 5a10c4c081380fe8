"""Files of weights as people have them: read as tensors, or refused with what they are; nothing in them is run."""

from __future__ import annotations

import gzip
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import rsnb
from rsnb.base.checkpoints import read_checkpoint
from rsnb.base.prefixes import names_in_file
from rsnb.base.torchscript import read_torchscript
from rsnb.errors import RsnbError

W = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.ones(2)}
RAN: list[str] = []


def leave_a_trace():
    RAN.append("ran")


class Evil:
    """Would leave a trace if it were unpickled."""

    def __reduce__(self):
        return (leave_a_trace, ())


class Odd(nn.Module):
    """What a TorchScript archive may hold: shared storages and modules, views, every kind of number."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 4)
        self.again = self.one
        self.view = nn.Parameter(self.one.weight.detach()[1:, ::2])
        self.halves = nn.Parameter(torch.randn(2, 2).half())
        self.blocks = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.plain = torch.ones(3)  # no buffer: not in a state dict
        kinds = (torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64)
        for number, kind in enumerate(kinds):
            self.register_buffer(f"buffer_{number}", torch.ones(2, 0 if number == 1 else 3).to(kind))

    def forward(self, x):
        return self.blocks(self.one(x))


# --- TorchScript ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("jit") / "ViT-X.pt"
    torch.jit.save(torch.jit.trace(Odd(), torch.zeros(1, 3)), str(path))
    return path


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("form", [torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(1, 3))])
def test_an_archive_is_what_torch_reads(tmp_path, form):
    path = tmp_path / "w.pt"
    torch.jit.save(form(Odd()), str(path))
    theirs, ours = torch.jit.load(str(path)).state_dict(), read_torchscript(path)
    assert set(ours) == set(theirs) and "plain" not in ours and "again.weight" in ours
    for name, x in theirs.items():
        assert ours[name].dtype == x.dtype and torch.equal(ours[name], x), name


def rewritten(path, out, change, packed=()):
    """The zip file once more, each file changed by change(name, content), which may give None: left out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = change(entry.filename.partition("/")[2], old.read(entry))
            if content is not None:
                kind = zipfile.ZIP_DEFLATED if entry.filename.partition("/")[2] in packed else zipfile.ZIP_STORED
                new.writestr(entry.filename, content, kind)
    return out


def in_pickle(old: bytes, new: bytes):
    def change(name, content):
        assert name != "data.pkl" or old in content
        return content.replace(old, new, 1) if name == "data.pkl" else content

    return change


CHANGES = {
    "calls os.system": in_pickle(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cposix\nsystem\n"),
    "makes an object of posix": in_pickle(b"c__torch__.", b"cposix__torch__."),
    "quantised, sparse": in_pickle(b"_rebuild_tensor_v2\n", b"_rebuild_sparse_tensor\n"),
    "not of plain numbers": in_pickle(b"HalfStorage", b"QInt8Storage"),
    "where": lambda name, content: content[:-1] if name == "data/0" else content,
    "no item named": lambda name, content: None if name == "data/0" else content,
    "files data.pkl": lambda name, content: None if name == "data.pkl" else content,
    "cannot be read": lambda name, content: content[:-40] if name == "data.pkl" else content,
    "byte order": lambda name, content: b"big" if name == "byteorder" else content,
}


@pytest.mark.parametrize("word", CHANGES)
def test_an_archive_that_does_more_or_is_damaged(archive, tmp_path, word):
    path = rewritten(archive, tmp_path / "w.pt", CHANGES[word])
    expected = word.replace("calls os.system", "calls posix system").replace("makes an object of posix", "posix")
    with pytest.raises(RsnbError, match=f"cannot be read as weights.*{expected}|{expected}"):
        read_checkpoint(path)


def test_numbers_that_are_packed_or_reach_too_far(archive, tmp_path):
    bomb = rewritten(archive, tmp_path / "bomb.pt", lambda name, content: content, packed=["data/0"])
    with pytest.raises(RsnbError, match="bytes, where"):
        read_checkpoint(bomb)
    half = b"K\x02K\x02t(K\x02K\x01t"  # the shape (2, 2) and the strides (2, 1)
    far = rewritten(archive, tmp_path / "far.pt", in_pickle(half, half.replace(b"K\x02K\x02", b"K\x09K\x02", 1)))
    with pytest.raises(RsnbError, match="reaches beyond"):
        read_checkpoint(far)


def test_any_byte_of_an_archive_may_be_wrong(archive, tmp_path):
    content, rng = archive.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(len(content), size=3):
            damaged[at] ^= int(rng.integers(1, 256))
        (tmp_path / "w.pt").write_bytes(damaged[: rng.integers(len(content))] if rng.random() < 0.3 else damaged)
        try:
            read_checkpoint(tmp_path / "w.pt")
        except RsnbError as error:
            assert "w.pt" in str(error) and "\n" not in str(error)


# --- what a file is ---------------------------------------------------------------------------------------------
def saved(x, **options):
    return lambda path: torch.save(x, path, **options)


def bytes_of(content: bytes):
    return lambda path: path.write_bytes(content)


def a_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "hello")


READ = {
    "state dict": saved(W),
    "before torch 1.6": saved(W, _use_new_zipfile_serialization=False),
    "checkpoint": saved({"epoch": 3, "state_dict": W}),
    "twice inside": saved({"model": {"state_dict": W}}),
    "average": saved({"epoch": 3, "ema": W}),
    "weights beside their average": saved({"model": W, "ema": {name: x + 1 for name, x in W.items()}}),
    "dicts in dicts": saved({"a": W["a"], "b": {"c": W["b.c"]}}),
    "safetensors": lambda path: save_file(W, path),
}


@pytest.mark.parametrize("ending", [".pt", ".bin", ".safetensors", ""])
@pytest.mark.parametrize("form", READ)
def test_what_is_read_whatever_it_is_called(tmp_path, form, ending):
    path = tmp_path / f"w{ending}"
    READ[form](path)
    found = read_checkpoint(path)
    assert set(found) == set(W) and all(torch.equal(found[name], W[name]) for name in W)


REFUSED = {
    "object of .*leave_a_trace": saved({"state_dict": W, "args": Evil()}),
    "object of.*Linear": saved(nn.Linear(2, 2)),
    "numpy": saved({"state_dict": W, "best": np.float64(3)}),
    "pickle of Python": bytes_of(pickle.dumps({"a": Evil()})),
    "web page": bytes_of(b"\n<!DOCTYPE html><html></html>"),
    "git-lfs": bytes_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "gzip": bytes_of(gzip.compress(b"weights" * 99)),
    "JSON": bytes_of(b'{"a": 1}'),
    "a text": bytes_of(b"hello\n" * 99),
    "zip file with other things": a_zip,
    "is empty": bytes_of(b""),
    "folder": lambda path: path.mkdir(),
    "bytes c8 c9": bytes_of(bytes(range(200, 256))),
    "single tensor": saved(torch.ones(3)),
    "a list": saved([1, 2]),
    "empty state dict": saved({}),
    "'epoch' is a int": saved({**W, "epoch": 3}),
    "optimizer": saved({"optimizer": {"lr": 1.0}, "epoch": 1}),
    "sparse": saved({"a": torch.eye(3).to_sparse()}),
    "meta": saved({"a": torch.ones(2, device="meta")}),
    "header too large": bytes_of((2**40).to_bytes(8, "little") + b"{}"),
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_is_refused_with_its_reason(tmp_path, word):
    path = tmp_path / "w.pt"
    REFUSED[word](path)
    with pytest.raises(RsnbError, match=word) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and not RAN


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "w.pt")
    for load in (lambda p: rsnb.load_clip("mini", p), rsnb.load_adapter):
        with pytest.raises(RsnbError, match="pipe"):
            load(tmp_path / "w.pt")


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.01])
@pytest.mark.parametrize("form", ["state dict", "before torch 1.6", "safetensors"])
def test_a_file_cut_off(tmp_path, form, keep):
    path = tmp_path / "w.pt"
    READ[form](path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(RsnbError, match=re.escape(str(path))):
        read_checkpoint(path)


# --- names ------------------------------------------------------------------------------------------------------
OWN = ["visual.conv1.weight", "visual.proj", "transformer.ln_1.weight", "token_embedding.weight", "logit_scale"]


def below(image="", text="", scale="", bare=False):
    renamed = {n: f"{image}{n.removeprefix('visual.') if bare else n}" for n in OWN if n.startswith("visual.")}
    renamed |= {n: f"{text}{n}" for n in OWN[2:4]}
    return {**renamed, "logit_scale": f"{scale}logit_scale"}


@pytest.mark.parametrize(
    "names",
    [
        *(
            below(p, p, p)
            for p in ("", "module.", "model.", "clip.", "_orig_mod.", "PE_RSITR.model.", "module.clip_model.")
        ),
        below("model._orig_mod.module.", "model._orig_mod.module.", "model._orig_mod.module."),
        below("image_backbone.", "text_backbone.", bare=True),
        below("module.image_backbone.", "module.text_backbone.", "module.", bare=True),
        below("visual.module.", "text.", bare=True),
    ],
)
def test_prefixes_are_taken_off(names):
    found = [*names.values(), f"{names['logit_scale'].removesuffix('logit_scale')}attn_mask", "a.position_ids"]
    assert names_in_file(OWN, found) == names


@pytest.mark.parametrize(
    "change", [["other.weight"], ["ema.model." + name for name in OWN], ["module.model.logit_scale"]]
)
def test_what_is_left_over_or_fits_twice_is_not_guessed(change):
    assert names_in_file(OWN, ["model." + name for name in OWN] + change) is None
    assert names_in_file(OWN, ["model." + name for name in OWN[1:]]) is None


@pytest.mark.parametrize(
    "word, change",
    [
        ("finite", lambda x: x.fill_(torch.nan)),
        ("finite", lambda x: x.double() * 1e300),
        ("integer", lambda x: x.long()),
        ("bool", lambda x: x.bool()),
        ("complex", lambda x: x.to(torch.complex64)),
        ("shape", lambda x: x[None]),
    ],
)
def test_weights_that_are_no_weights_of_the_model(tmp_path, word, change):
    state = rsnb.load_clip("mini").model.state_dict()
    name = "visual.ln_post.weight"
    torch.save({**state, name: change(state[name].clone())}, tmp_path / "w.pt")
    with pytest.raises(RsnbError, match=f"{name}.*{word}|{word}.*{name}"):
        rsnb.load_clip("mini", tmp_path / "w.pt")


def test_a_checkpoint_of_a_wrapped_model(tmp_path):
    clip = rsnb.load_clip("mini")
    state = {f"module.clip_model.{name}": x for name, x in clip.model.state_dict().items()}
    torch.save({"state_dict": {**state, "module.clip_model.text.position_ids": torch.arange(3)}}, tmp_path / "w.pt")
    assert rsnb.load_clip("mini", tmp_path / "w.pt").fingerprint() == clip.fingerprint()
