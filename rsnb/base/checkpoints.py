"""Weights out of a file that somebody else made: as tensors, never by running what is in it."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsnb.base.files import reason
from rsnb.base.torchscript import is_torchscript, read_torchscript
from rsnb.errors import RsnbError

#: Where a training program keeps a model's weights beside other things. An average over steps (EMA) is taken only
#: where it stands alone.
CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights", "params")
AVERAGES = ("state_dict_ema", "ema_state_dict", "model_ema", "ema")
EXPORT = "export the weights with torch.save(model.state_dict(), ...) or as safetensors in the program that made it"
AGAIN = "get the file again"
_FIRST_BYTES = (
    (rb"version https://git-lfs", "it is a pointer of git-lfs, not the file itself", "`git lfs pull` gets it"),
    (
        rb"(\.\./|\.git/|/)*annex/objects/",
        "it is a pointer of git-annex, not the file itself",
        "`git annex get` gets it",
    ),
    (rb"outs:\s", "it is a pointer of DVC, not the file itself", "`dvc pull` gets it"),
    (rb"\s*<", "it is a web page (HTML or XML)", "download the file itself, not the page that shows it"),
    (rb"\x1f\x8b", "it is packed (gzip)", "unpack it first"),
    (rb"BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!|.{257}ustar", "it is packed", "unpack it first"),
    (rb"\x93NUMPY", "it is an array of numpy", EXPORT),
    (rb"\x89HDF", "it is an HDF5 file (Keras or MATLAB)", EXPORT),
    (rb"GGUF", "it is a GGUF file", EXPORT),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|%PDF|II\*\x00|MM\x00\*", "it is a picture or a document", "name the file of weights"),
    (rb"\s*[\[{]", "it is a JSON text", "name the file of weights beside it"),
)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, whatever its ending: safetensors, a state dict or a training checkpoint of
    ``torch.save``, or OpenAI's TorchScript archive. Nothing in the file is run.

    Raises:
        RsnbError: it is none of these, damaged, or holds a tensor without plain numbers; the message says what it is.
    """
    head = regular_file(path, "checkpoint")
    try:
        if len(head) > 8 and head[8:9] == b"{":  # the length of a header of JSON, and the header
            from safetensors.torch import load_file

            found = load_file(path)
        elif head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            found = _read_zip(path)
        elif head[:1] == b"\x80":
            with path.open("rb") as file:
                found = state_dict_in(torch.load(file, map_location="cpu", weights_only=True))
        else:
            found = {}
            _refuse_by_first_bytes(head)
    except Exception as error:  # zipfile, torch and safetensors raise many kinds
        why, remedy = _why(error)
        raise RsnbError(f"{path} cannot be read as weights: {why}; {remedy}") from error
    odd = {name: kind for name, x in found.items() if (kind := oddity(x))}
    if odd:
        name, kind = next(iter(odd.items()))
        raise RsnbError(f"{path} cannot be read as weights: {name} is a {kind} tensor; {EXPORT}, with plain numbers")
    return found


def regular_file(path: Path, what: str) -> bytes:
    """The first bytes of a file. A folder, a named pipe or a device is refused, and never opened.

    Raises:
        RsnbError: there is no such file, it is no regular one, cannot be opened, or is empty.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            found = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
            raise RsnbError(f"no {what} at {path}: it is {found}; give the path of a file")
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise RsnbError(f"no {what} at {path} ({error.strerror or error}); check the path") from None
    if not head:
        raise RsnbError(f"{path} is empty, and no {what}; {AGAIN}")
    return head


def refuse_programs(folder: Path) -> None:
    """Raise if a file of weights in a folder is a TorchScript archive: others than :func:`read_checkpoint` run it."""
    for path in (path for ending in ("safetensors", "bin", "pth", "pt") for path in folder.glob(f"*.{ending}")):
        if regular_file(path, "checkpoint").startswith(b"PK") and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if is_torchscript(archive):
                    raise RsnbError(f"{path} is a TorchScript archive, a program; give it with --pretrained instead")


def oddity(x: Tensor) -> str | None:
    """What keeps a tensor from being plain numbers; None if nothing does."""
    if x.device.type == "meta":
        return "meta (without numbers)"
    if x.is_quantized:
        return "quantised"
    if x.is_nested or x.layout != torch.strided:
        return "sparse or nested"
    return None


def kind_of(x: Tensor) -> str:
    """'floating point', 'complex', 'bool' or 'integer': what is never cast into another."""
    if x.is_floating_point():
        return "floating point"
    return "complex" if x.is_complex() else "bool" if x.dtype == torch.bool else "integer"


def unlike(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, str]:
    """{name: how it differs} of what two sets of tensors do not both have, in one shape and one kind of numbers."""
    differs = {name: "missing" for name in wanted if name not in found}
    differs |= {name: "not known" for name in found if name not in wanted}
    for name in wanted:
        if name in found and not isinstance(found[name], Tensor):
            differs[name] = f"a {type(found[name]).__name__}"
        elif name in found and (odd := oddity(found[name])):
            differs[name] = odd
        elif name in found and (found[name].shape, kind_of(found[name])) != (wanted[name].shape, kind_of(wanted[name])):
            ours, theirs = (f"{tuple(x.shape)} {kind_of(x)}" for x in (wanted[name], found[name]))
            differs[name] = f"{theirs}, not {ours}"
    return differs


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold nan or infinity."""
    bad = []
    for name, x in tensors.items():
        if x.is_floating_point() or x.is_complex():
            x = x.float() if x.dtype.itemsize == 1 else x  # float8 cannot add
            if not torch.isfinite(x.sum()) and not torch.isfinite(x).all():  # a sum is cheap, and may overflow
                bad.append(name)
    return bad


def state_dict_in(x: Any) -> dict[str, Tensor]:
    """The state dict in what ``torch.load`` gave: itself, inside a known container, or dicts in dicts.

    Raises:
        RsnbError: there is none; the message says what there is.
    """
    for _ in range(5):
        if not isinstance(x, Mapping):
            raise RsnbError(f"it holds {_said(x)}, no state dict of tensors")
        if x and all(isinstance(value, Tensor) for value in x.values()):
            break
        inner = [key for key in (*CONTAINERS, *AVERAGES) if isinstance(x.get(key), Mapping) and x[key]]
        if not inner:
            x = _flat(x)
            break
        x = x[inner[0]]
    if not x:
        raise RsnbError("it holds an empty state dict")
    odd = [f"{key!r} is {_said(value)}" for key, value in x.items() if not isinstance(value, Tensor)]
    odd += [f"{key!r} is no name" for key in x if not isinstance(key, str)]
    if odd:
        raise RsnbError(f"it holds no state dict of tensors: {odd[0][:200]}")
    return dict(x)


def _flat(x: Mapping, before: str = "", depth: int = 0) -> dict:
    """{"visual": {"proj": w}} as {"visual.proj": w}."""
    flat: dict = {}
    for key, value in x.items():
        name = f"{before}{key}" if before or isinstance(key, str) else key
        inner = _flat(value, f"{name}.", depth + 1) if isinstance(value, Mapping) and value and depth < 8 else None
        flat |= {name: value} if inner is None else inner
    return flat


def _said(x: Any) -> str:
    if isinstance(x, Tensor):
        return "a single tensor"
    return "nothing" if x is None else f"a {type(x).__name__}"


def _read_zip(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        if is_torchscript(archive):
            return read_torchscript(path)
        inside = archive.infolist()
        if not any(entry.filename.endswith("/data.pkl") for entry in inside):
            names = ", ".join(repr(entry.filename) for entry in inside[:3]) or "nothing"
            raise _Refused(f"it is a zip file with other things in it ({names})", "unpack it, and name the file in it")
        packed = [e.filename for e in inside if e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size]
        if packed:
            raise _Refused(f"{packed[0]!r} in it is compressed, which torch.save never does", EXPORT)
    if path.suffix == ".safetensors":  # a path of this ending torch.load would give to safetensors
        with path.open("rb") as file:
            return state_dict_in(torch.load(file, map_location="cpu", weights_only=True))
    return state_dict_in(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


class _Refused(RsnbError):
    """What a file is, and what to do about it."""


def _refuse_by_first_bytes(head: bytes) -> None:
    for pattern, what, remedy in _FIRST_BYTES:
        if re.match(pattern, head, re.DOTALL):
            raise _Refused(what, remedy)
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head[:64]):
        raise _Refused(f"it is a text that begins with {head[:24].decode()!r}", "name the file of weights")
    raise _Refused(f"it begins with the bytes {head[:8].hex(' ')}, as no known kind of weights does", AGAIN)


def _why(error: Exception) -> tuple[str, str]:
    """What is wrong with a file, and the remedy."""
    if isinstance(error, _Refused):
        return error.args
    if isinstance(error, RsnbError):
        return str(error), EXPORT
    if isinstance(error, zipfile.BadZipFile):
        return f"the zip file is cut off or damaged ({error})", AGAIN
    name = re.search(r"(?:GLOBAL|[Uu]nsupported (?:global|class)):? +(?:GLOBAL )?([A-Za-z_][\w.]*)", str(error))
    if name and "numpy" in name[1]:
        return f"it holds numbers of numpy ({name[1]}) beside the tensors, which only unpickling could read", EXPORT
    if name:
        return f"it holds an object of {name[1]}, which only unpickling could make", EXPORT
    if "operand" in str(error) or "pickle protocol" in str(error):
        return "it is a pickle of Python, and not one of torch.save", EXPORT
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "://" not in line]
    return (lines[-1] if lines else reason(error)).rstrip("."), AGAIN
