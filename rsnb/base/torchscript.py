"""The tensors of a TorchScript archive, read without running it.

An archive is a zip file: ``data.pkl`` says in pickle's language which tensor stands under which name, ``data/0`` and so
on hold the numbers, ``code/`` holds a program. ``torch.jit.load`` runs parts of it, and a stranger's may do what it
likes. Here the program is never compiled, and ``data.pkl`` is not unpickled but read by a machine that knows lists,
dicts, texts, numbers and tensors: there is nothing in it that could be called.
"""

from __future__ import annotations

import math
import pickletools
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsnb.errors import RsnbError

MOST_TEXT = 64 * 2**20  # bytes of data.pkl and of all code that is looked at; OpenAI's have less than 1 MB
MOST_PARTS = 1_000_000  # objects below the model; OpenAI's largest has some thousands
DTYPES = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexDouble": torch.complex128, "ComplexFloat": torch.complex64,
    "ComplexHalf": torch.complex32, "Float8_e4m3fn": torch.float8_e4m3fn, "Float8_e5m2": torch.float8_e5m2,
    "UInt16": torch.uint16, "UInt32": torch.uint32, "UInt64": torch.uint64,
}  # fmt: skip
_LISTS = {f"torch.jit._pickle build_{kind}list" for kind in ("int", "double", "bool", "tensor")}
_NAMES_IN_CODE = r"^class {}\(Module\):\n  __parameters__ = \[(.*)\]\n  __buffers__ = \[(.*)\]\n"


@dataclass
class Part:
    """An object of a class of the archive, of which nothing but the state is known."""

    kind: str
    state: Any = None


@dataclass(frozen=True)
class Numbers:
    """Where a tensor lies: in a storage of ``count`` numbers, from ``offset`` on."""

    dtype: torch.dtype
    storage: str
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def is_torchscript(archive: zipfile.ZipFile) -> bool:
    """Whether a zip file is a TorchScript archive (and not what ``torch.save`` writes)."""
    return any(name.endswith("constants.pkl") or "/code/" in name for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers of a TorchScript archive by name: what ``torch.jit.load(path).state_dict()`` has.

    Raises:
        RsnbError: the archive does more than hold tensors, or holds tensors without plain numbers. Of a damaged one
            other exceptions may come, from zipfile, pickletools and torch.
    """
    with zipfile.ZipFile(path) as file:
        archive = _Archive(file, path.stat().st_size)
        found = _tensors_below(unpickled(archive.text("data.pkl")), archive.names_of)
        if archive.has("byteorder") and archive.text("byteorder") != sys.byteorder.encode():
            raise RsnbError("its numbers are in the byte order of another kind of machine")
        return {name: archive.tensor(name, numbers) for name, numbers in found.items()}


def unpickled(data: bytes) -> Any:
    """What the pickle of an archive says: plain values, :class:`Part` and :class:`Numbers`."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = marks.pop()
        taken = stack[at:]
        del stack[at:]
        return taken

    for opcode, value, _ in pickletools.genops(data):
        match opcode.name:
            case "PROTO":
                pass
            case "MARK":
                marks.append(len(stack))
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                stack.append(value)
            case "GLOBAL":  # "module name", which is looked up nowhere
                stack.append(Part("name", value))
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPEND":
                last = stack.pop()
                _list(stack[-1]).append(last)
            case "APPENDS":
                taken = since_mark()
                _list(stack[-1]).extend(taken)
            case "SETITEM" | "SETITEMS":
                taken = since_mark() if opcode.name == "SETITEMS" else [stack.pop(-2), stack.pop()]
                for key, item in zip(taken[::2], taken[1::2], strict=True):
                    if not isinstance(key, (str, int, float, bool)):
                        raise RsnbError(f"a dict in it has a {type(key).__name__} for a key")
                    _dict(stack[-1])[key] = item
            case "BINPERSID":
                stack.append(("storage", *_storage(stack.pop())))
            case "NEWOBJ":
                arguments, kind = stack.pop(), _name(stack.pop())
                if not kind.startswith("__torch__") or arguments != ():
                    raise RsnbError(f"it makes an object of {kind}")
                stack.append(Part(kind))
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Part) or stack[-1].kind == "name":
                    raise RsnbError("it gives a state to something that is no object")
                stack[-1].state = state
            case "REDUCE":
                arguments, name = stack.pop(), _name(stack.pop())
                stack.append(_made(name, arguments))
            case "STOP":
                return stack.pop()
            case other:
                raise RsnbError(f"it uses {other}, which no archive of torch does")
    raise RsnbError("data.pkl in it is cut off")


def _made(name: str, arguments: tuple) -> Any:
    if name == "torch._utils _rebuild_tensor_v2":
        (_, dtype, key, count), offset, shape, stride, *_ = arguments
        return Numbers(dtype, key, count, offset, tuple(shape), tuple(stride))
    if name == "collections OrderedDict" and arguments == ():
        return {}
    if name in _LISTS or name == "torch.jit._pickle restore_type_tag":
        return arguments[0]
    if name.startswith("torch._utils _rebuild_"):
        kind = name.removeprefix("torch._utils _rebuild_")
        raise RsnbError(f"a tensor in it is no plain one ({kind}: quantised, sparse or without numbers)")
    raise RsnbError(f"it calls {name}")


def _name(x: Any) -> str:
    if not (isinstance(x, Part) and x.kind == "name"):
        raise RsnbError("it calls something that has no name")
    return x.state


def _list(x: Any) -> list:
    if not isinstance(x, list):
        raise RsnbError("it appends to something that is no list")
    return x


def _dict(x: Any) -> dict:
    if not isinstance(x, dict):
        raise RsnbError("it puts entries into something that is no dict")
    return x


def _storage(said: Any) -> tuple[torch.dtype, str, int]:
    """dtype, name and count of numbers of ("storage", class, name, device, count)."""
    word, kind, key, _, count = said
    dtype = DTYPES.get(_name(kind).removeprefix("torch ").removesuffix("Storage"))
    if word != "storage" or dtype is None:
        raise RsnbError(f"a tensor in it is made of {_name(kind)}, not of plain numbers")
    if not isinstance(key, str) or not _whole(count):
        raise RsnbError("a storage in it has no name or no size")
    return dtype, key, count


def _whole(*numbers: Any) -> bool:
    return all(type(number) is int and 0 <= number < 2**63 for number in numbers)


def _tensors_below(model: Any, names_of) -> dict[str, Numbers]:
    """Tensors by their full names; a module that stands in two places gives each of its tensors two names."""
    found: dict[str, Numbers] = {}
    todo: list[tuple[str, Any, tuple[int, ...]]] = [("", model, ())]
    for _ in range(MOST_PARTS):
        if not todo:
            return found
        place, part, above = todo.pop()
        if not isinstance(part, Part) or not isinstance(part.state, dict):
            if not place:
                raise RsnbError("it holds no module")
            continue
        if id(part) in above:
            raise RsnbError("a module in it contains itself")
        kept = names_of(part.kind)
        for name, value in part.state.items():
            if isinstance(value, Numbers) and (kept is None or name in kept):
                found[f"{place}{name}"] = value
            elif isinstance(value, Part):
                todo.append((f"{place}{name}.", value, (*above, id(part))))
    raise RsnbError(f"it has more than {MOST_PARTS:,} parts")


class _Archive:
    """The files of an archive. Texts are bounded; each storage is read once, all together no more than the file has
    bytes."""

    def __init__(self, file: zipfile.ZipFile, size: int):
        names = [name for name in file.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(names) != 1:
            raise RsnbError(f"{len(names)} files data.pkl are in it, where one belongs")
        self.file, self.folder = file, names[0].removesuffix("data.pkl")
        self.text_left, self.numbers_left = MOST_TEXT, size
        self.kinds: dict[str, set[str] | None] = {}
        self.storages: dict[str, bytearray] = {}

    def has(self, name: str) -> bool:
        return self.folder + name in self.file.NameToInfo

    def text(self, name: str) -> bytes:
        with self.file.open(self.folder + name) as file:
            content = file.read(self.text_left + 1)
        self.text_left -= len(content)
        if self.text_left < 0:
            raise RsnbError(f"its texts have more than {MOST_TEXT >> 20} MB")
        return content

    def names_of(self, kind: str) -> set[str] | None:
        """Which attributes of a class are parameters or buffers, as its code lists them; None if it does not say."""
        if kind not in self.kinds:
            home, _, name = kind.partition(" ")
            file = f"code/{home.replace('.', '/')}.py"
            code = self.text(file).decode("utf-8", errors="replace") if self.has(file) else ""
            listed = re.search(_NAMES_IN_CODE.format(re.escape(name)), code, re.MULTILINE)
            self.kinds[kind] = listed and set(re.findall(r'"([^"]*)"', listed[1] + listed[2]))
        return self.kinds[kind]

    def tensor(self, name: str, x: Numbers) -> Tensor:
        if not _whole(x.offset, *x.shape, *x.stride) or len(x.shape) != len(x.stride) or len(x.shape) > 64:
            raise RsnbError(f"{name} in it has no sound shape")
        last = x.offset + sum((size - 1) * step for size, step in zip(x.shape, x.stride))
        if math.prod(x.shape) and last >= x.count:
            raise RsnbError(f"{name} in it reaches beyond its {x.count:,} numbers")
        numbers = self.storage(x.storage, x.count * x.dtype.itemsize)
        flat = torch.frombuffer(numbers, dtype=x.dtype) if numbers else torch.empty(0, dtype=x.dtype)
        return flat.as_strided(x.shape, x.stride, x.offset) if math.prod(x.shape) else flat.new_empty(x.shape)

    def storage(self, key: str, size: int) -> bytearray:
        if key not in self.storages:
            entry = self.file.getinfo(f"{self.folder}data/{key}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != size or size > self.numbers_left:
                raise RsnbError(f"{entry.filename} in it has {entry.file_size:,} bytes, where {size:,} belong")
            self.numbers_left -= size
            self.storages[key] = bytearray(self.file.read(entry))
        if len(self.storages[key]) != size:
            raise RsnbError(f"two tensors in it disagree about the size of {self.folder}data/{key}")
        return self.storages[key]
