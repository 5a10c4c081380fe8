"""Checkpoints and adapters that somebody else made."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import make
from .box import Box, Case, Seen, fine, refused

RUN, NAMED = "no code of a file is run", "a checkpoint that does not fit is named as what it is"
PREFIX, FINITE = "prefixes that all names share are taken off", "weights that are not plain finite numbers are refused"
HEADER, TENSORS = "an adapter's header is checked", "an adapter's tensors are exactly those of its method"
DOWNLOAD = "a file starts no download"
FILE = "weights.pt"


def load(box: Box) -> Seen:
    """Load the mini CLIP with the file's weights; gives its fingerprint."""

    def fingerprint() -> str:
        import rsnb

        return rsnb.load_clip("mini", str(box.data / box.notes.get("file", FILE))).fingerprint()

    return box.call(fingerprint)


def search(box: Box) -> Seen:
    return box.command("search", "a boat", "--limit", "24", "--pretrained", f"{{data}}/{box.notes.get('file', FILE)}")


def weights() -> dict[str, Any]:
    """Those of the mini CLIP."""
    import rsnb

    return {name: value.clone() for name, value in rsnb.load_clip("mini").model.state_dict().items()}


def saved(change: Callable[[Box, dict], Any], name: str = FILE) -> Callable[[Box], None]:
    """``torch.save`` of what ``change`` makes of the mini CLIP's weights."""

    def build(box: Box) -> None:
        import torch

        box.notes["file"] = name
        torch.save(change(box, weights()), box.data / name)

    return build


def bytes_of(make_bytes: Callable[[Box], bytes], name: str = FILE) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        box.notes["file"] = name
        (box.data / name).write_bytes(make_bytes(box))

    return build


class Evil:
    """What a hostile pickle holds: writes a file when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def torchscript(evil: bool) -> Callable[[Box], None]:
    """A scripted module: as OpenAI's files are. The hostile one writes a file when it is loaded."""

    def build(box: Box) -> None:
        import torch

        class Plain(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = torch.nn.Parameter(torch.zeros(3))

            def forward(self, x):
                return x + self.weight

        class Hostile(torch.nn.Module):
            def __init__(self, mark: str):
                super().__init__()
                self.mark, self.weight = mark, torch.zeros(3)

            def forward(self, x):
                return x + self.weight

            @torch.jit.export
            def __getstate__(self) -> tuple[str, torch.Tensor, bool]:
                return self.mark, self.weight, self.training

            @torch.jit.export
            def __setstate__(self, state: tuple[str, torch.Tensor, bool]) -> None:
                torch.from_file(state[0], shared=True, size=4)
                self.mark, self.weight, self.training = state

        module = torch.jit.script(Hostile(str(box.folder / "mark")) if evil else Plain())
        torch.jit.save(module, str(box.data / FILE))

    return build


def no_mark(*words: str) -> Callable[[Box, Seen], None]:
    def want(box: Box, seen: Seen) -> None:
        assert not (box.folder / "mark").exists(), "code of the file was run"
        refused(*words)(box, seen)

    return want


def same_as_mini(box: Box, seen: Seen) -> None:
    import rsnb

    assert seen.code == 0, f"it ended with {seen.code}"
    assert seen.value == rsnb.load_clip("mini").fingerprint(), "other weights than those in the file"


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as sink:
        for name in names:
            sink.writestr(name, b"text")
    return file.getvalue()


def safetensors_of(tensors: dict[str, Any]) -> bytes:
    from safetensors.torch import save

    return save({name: value.contiguous().clone() for name, value in tensors.items()})


HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>You need to log in</body></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 605143316\n"
SIZE = (1 << 62).to_bytes(8, "little")
STRANGE: dict[str, tuple[Callable[[Box], None], str]] = {
    "a page of HTML": (bytes_of(lambda box: HTML), "html|web page"),
    "a pointer of git-lfs": (bytes_of(lambda box: LFS), "lfs"),
    "gzip": (bytes_of(lambda box: gzip.compress(bytes(1000))), "gzip|packed"),
    "a zip of texts": (bytes_of(lambda box: packed("a.txt")), "zip|archive|checkpoint"),
    "an empty file": (bytes_of(lambda box: b""), "empty"),
    "noise": (bytes_of(lambda box: box.rng.randbytes(5000)), "weights.pt"),
    "safetensors whose header would have 4 EB": (
        bytes_of(lambda box: SIZE + b"{}", "weights.safetensors"),
        "header|weights",
    ),
    "safetensors of nothing": (bytes_of(lambda box: safetensors_of({}), "weights.safetensors"), "weights"),
    "a list": (saved(lambda box, w: [1, 2, 3]), "list|tensor|state"),
    "a number of numpy": (saved(lambda box, w: {**w, "epoch": __import__("numpy").float64(3)}), "numpy|weights.pt"),
    "a whole model": (
        saved(lambda box, w: __import__("rsnb").load_clip("mini").model),
        "model|state_dict|weights_only",
    ),
    "half of the names": (saved(lambda box, w: dict(list(w.items())[::2])), "missing"),
    "another width": (saved(lambda box, w: {n: v[..., :-1] if v.ndim else v for n, v in w.items()}), "shape|size|fit"),
    "other names": (saved(lambda box, w: {f"x{i}": v for i, v in enumerate(w.values())}), "missing|unknown|name"),
}


def a_folder(box: Box) -> None:
    (box.data / FILE).mkdir()


def a_pipe(box: Box) -> None:
    os.mkfifo(box.data / FILE)


def damaged(damage: Callable[[Box, Path], None], name: str = FILE) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        (saved(lambda box, w: w) if name == FILE else bytes_of(lambda box: safetensors_of(weights()), name))(box)
        damage(box, box.data / name)

    return build


def loaded_or_refused(box: Box, seen: Seen) -> None:
    """A flipped bit may stand in a number and show nowhere."""
    (fine() if seen.code == 0 else refused())(box, seen)


# --- prefixes ---------------------------------------------------------------------------------------------------
PREFIXES = ("module.", "_orig_mod.", "model.", "clip.", "clip_model.", "PE_RSITR.model.", "student.", "net.backbone.")


def prefixed(box: Box, w: dict[str, Any], count: int = 1) -> dict[str, Any]:
    prefix = "".join(box.rng.choice(PREFIXES) for _ in range(count))
    return {prefix + name: value for name, value in w.items()}


def of_each(box: Box, w: dict[str, Any]) -> dict[str, Any]:
    """A prefix a tower."""
    return {("image_backbone." if name.startswith("visual.") else "text_backbone.") + name: v for name, v in w.items()}


def with_buffers(box: Box, w: dict[str, Any]) -> dict[str, Any]:
    import torch

    return {**w, "attn_mask": torch.zeros(32, 32), "text.position_ids": torch.arange(32)[None]}


FITTING: dict[str, Callable[[Box, dict], Any]] = {
    **{prefix: (lambda box, w, p=prefix: {p + n: v for n, v in w.items()}) for prefix in PREFIXES},
    "two of them, by chance": lambda box, w: prefixed(box, w, 2),
    "three of them, by chance": lambda box, w: prefixed(box, w, 3),
    "in state_dict, of Lightning": lambda box, w: {"state_dict": {f"model.{n}": v for n, v in w.items()}, "epoch": 3},
    "in model, with an optimizer": lambda box, w: {"model": w, "optimizer": {"state": {}, "param_groups": []}},
    "known buffers too many": with_buffers,
    "nothing changed": lambda box, w: w,
}


# --- numbers ----------------------------------------------------------------------------------------------------
def with_first(change: Callable[[Any], Any]) -> Callable[[Box, dict], dict]:
    """Another first matrix."""

    def build(box: Box, w: dict[str, Any]) -> dict[str, Any]:
        name = next(n for n, v in w.items() if v.ndim == 2 and v.is_floating_point())
        return {**w, name: change(w[name])}

    return build


def one_is(value: float) -> Callable[[Any], Any]:
    def change(x: Any) -> Any:
        x = x.clone()
        x[0, 0] = value
        return x

    return change


KINDS: dict[str, Callable[[Any], Any]] = {
    "nan": one_is(float("nan")),
    "inf": one_is(float("inf")),
    "whole numbers": lambda x: x.long(),
    "true and false": lambda x: x > 0,
    "complex": lambda x: x + 0j,
    "sparse": lambda x: x.to_sparse(),
    "no memory (meta)": lambda x: x.to("meta"),
    "quantised": lambda x: __import__("torch").quantize_per_tensor(x, 0.1, 0, __import__("torch").qint8),
    "one number": lambda x: x[:1, :1],
    "transposed": lambda x: x[:, :-1].T,
}


# --- adapters ---------------------------------------------------------------------------------------------------
def adapter(change_header: Callable = lambda h: h, change: Callable = lambda t: t) -> Callable[[Box], None]:
    """An adapter of MRS for the mini CLIP, with another header or other tensors."""

    def build(box: Box) -> None:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        import rsnb

        path = box.data / "adapter.safetensors"
        rsnb.save_adapter(rsnb.adapt(rsnb.load_clip("mini"), "mrs"), path)
        with safe_open(path, "pt") as file:
            header = dict(file.metadata())
        tensors = change(load_file(path))
        save_file({n: v.contiguous() for n, v in tensors.items()}, path, metadata=change_header(header))

    return build


def adapter_bytes(make_bytes: Callable[[Box, bytes], bytes]) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        adapter()(box)
        path = box.data / "adapter.safetensors"
        path.write_bytes(make_bytes(box, path.read_bytes()))

    return build


def without(name: str) -> Callable[[dict], dict]:
    return lambda header: {n: v for n, v in header.items() if n != name}


def put(name: str, value: str) -> Callable[[dict], dict]:
    return lambda header: {**header, name: value}


def first_as(change: Callable[[Any], Any]) -> Callable[[dict], dict]:
    def build(tensors: dict[str, Any]) -> dict[str, Any]:
        name = next(n for n, v in tensors.items() if v.ndim == 2)
        return {**tensors, name: change(tensors[name])}

    return build


def own_header(text: bytes) -> Callable[[Box, bytes], bytes]:
    return lambda box, raw: struct.pack("<Q", len(text)) + text + bytes(64)


USE = ("evaluate", "--adapter", "{data}/adapter.safetensors", "--limit", "8")
FIELDS = ("format", "method", "options", "backbone", "pretrained", "fingerprint")
MALFORMED = {
    "format": ("", "other"),
    "method": ("", "unknown", "mrs+", "../../x", "\x1b[2J"),
    "options": ("", "{", "[]", "null", '{"bottleneck": -1}', '{"bottleneck": 1e99}', '{"x": 1}', "[" * 5000),
    "sources": ("{", "[]"),
    "backbone": ("", "ViT-X", "\x1b[2J"),
    "pretrained": ("", "{", "5", "[]"),
    "fingerprint": ("", "zzz"),
}
ADAPTER_TENSORS: dict[str, Callable[[dict], dict]] = {
    "one is missing": lambda t: dict(list(t.items())[1:]),
    "one too many": lambda t: {**t, "more": next(iter(t.values())).clone()},
    "none": lambda t: {},
    **{
        name: first_as(KINDS[name])
        for name in ("nan", "inf", "whole numbers", "true and false", "complex", "one number")
    },
}
ADAPTER_FILES: dict[str, Callable[[Box, bytes], bytes]] = {
    "cut off": lambda box, raw: raw[: box.rng.randrange(9, len(raw) - 1)],
    "noise": lambda box, raw: box.rng.randbytes(2000),
    "a page of HTML": lambda box, raw: HTML,
    "a pointer of git-lfs": lambda box, raw: LFS,
    "an empty file": lambda box, raw: b"",
    "a header of 4 EB": lambda box, raw: SIZE + raw[8:],
    "a header that is a list": own_header(b"[]"),
    "a header of 10,000 lists": own_header(b"[" * 10_000),
    "offsets beyond the file": own_header(
        json.dumps({"x": {"dtype": "F32", "shape": [99], "data_offsets": [0, 396]}}).encode()
    ),
    "a shape of 4 EB": own_header(
        json.dumps({"x": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}}).encode()
    ),
}
ADDRESSES = {
    "a hub address": "hf-hub:stranger/model",
    "ViT-B-32 of OpenAI": "ViT-B-32",
    "a folder": "local-dir:stranger",
}


def address(name: str) -> Callable[[dict], dict]:
    return lambda header: {**header, "backbone": name, "pretrained": json.dumps("openai")}


CASES = [
    *(
        Case(
            RUN,
            f"TorchScript, {'hostile' if evil else 'of another model'}, {run.__name__}",
            torchscript(evil),
            run,
            no_mark(),
        )
        for evil in (True, False)
        for run in (load, search)
    ),
    Case(RUN, "a hostile pickle", bytes_of(lambda box: pickle.dumps(Evil(box.folder / "mark"))), load, no_mark()),
    Case(
        RUN,
        "a hostile entry of torch.save",
        saved(lambda box, w: {**w, "x": Evil(box.folder / "mark")}),
        load,
        no_mark(),
    ),
    Case(
        RUN,
        "a hostile pickle called .safetensors",
        bytes_of(lambda box: pickle.dumps(Evil(box.folder / "mark")), "w.safetensors"),
        load,
        no_mark(),
    ),
    Case(
        RUN,
        "a hostile pickle called adapter",
        adapter_bytes(lambda box, raw: pickle.dumps(Evil(box.folder / "mark"))),
        USE,
        no_mark(),
    ),
    *(Case(NAMED, name, build, load, refused(word)) for name, (build, word) in STRANGE.items()),
    *(
        Case(NAMED, f"{name}, rsnb search", STRANGE[name][0], search, refused(STRANGE[name][1]))
        for name in ("noise", "a page of HTML")
    ),
    Case(NAMED, "a folder", a_folder, load, refused("folder|directory")),
    Case(NAMED, "a named pipe", a_pipe, load, refused(), seconds=20),
    Case(
        NAMED, "safetensors called .bin", bytes_of(lambda box: safetensors_of(weights()), "w.bin"), load, same_as_mini
    ),
    Case(NAMED, "torch.save called .safetensors", saved(lambda box, w: w, "w.safetensors"), load, same_as_mini),
    Case(NAMED, "openai in the path", saved(lambda box, w: w, "openai-finetuned.pt"), load, same_as_mini),
    *(Case(NAMED, f"cut off, {n}", damaged(make.cut), load, refused()) for n in range(2)),
    *(Case(NAMED, f"safetensors cut off, {n}", damaged(make.cut, "w.safetensors"), load, refused()) for n in range(2)),
    *(Case(NAMED, f"other bits, {n}", damaged(make.flip), load, loaded_or_refused) for n in range(2)),
    *(Case(PREFIX, name, saved(change), load, same_as_mini) for name, change in FITTING.items()),
    Case(PREFIX, "one a tower", saved(of_each), load, same_as_mini),
    *(Case(FINITE, name, saved(with_first(change)), load, refused()) for name, change in KINDS.items()),
    *(Case(HEADER, f"no {name}", adapter(without(name)), USE, refused("adapter")) for name in FIELDS),
    *(
        Case(HEADER, f"{name} is {value[:30]!r}", adapter(put(name, value)), USE, refused("adapter"))
        for name, values in MALFORMED.items()
        for value in values
    ),
    *(Case(TENSORS, name, adapter(change=change), USE, refused("adapter")) for name, change in ADAPTER_TENSORS.items()),
    *(Case(HEADER, name, adapter_bytes(change), USE, refused("adapter")) for name, change in ADAPTER_FILES.items()),
    Case(HEADER, "nothing changed", adapter(), USE, fine("mrs")),
    *(
        Case(DOWNLOAD, name, adapter(address(where)), USE, refused("backbone|open_clip_config"), seconds=20)
        for name, where in ADDRESSES.items()
    ),
]
