"""The digest of a function, class or object of a user's own: of all in it that can decide a number.

A function enters with its source, its closure, its defaults, and the globals and helpers that it refers to; a class
with its members and base classes; an object with its class and attributes (tensors, arrays and modules by content).
What belongs to a library (Python itself, torch, numpy, rsnb, whatever is installed) enters by its name alone. A name
that is put together at run time (``getattr(x, "n" + "ame")``) cannot be seen.
"""

from __future__ import annotations

import builtins
import contextlib
import copyreg
import dis
import enum
import functools
import hashlib
import importlib
import inspect
import linecache
import os
import random
import sys
import types
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from rsnb.base.sources import plain
from rsnb.errors import RsnbError

NUMBERS_AND_TEXTS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
#: what the interpreter knows of a class and no number depends on
ASIDE = {
    "__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__annotations__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__abstractmethods__",
    "_abc_impl", "__type_params__",
}  # fmt: skip
BY_NAME = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.ClassMethodDescriptorType,
)  # fmt: skip
ALWAYS_LIBRARIES = {"rsnb", "torch", "numpy", "builtins", *sys.stdlib_module_names} - {"__main__"}


_known: ContextVar[tuple[tuple[Any, str], ...]] = ContextVar("digests that are known", default=())


@contextlib.contextmanager
def digests_known(known: Iterable[tuple[Any, str]]) -> Iterator[None]:
    """Within the block, :func:`digest_of_own` believes these (thing, digest): of what was digested where its source
    could be read, and came from there into this process."""
    before = _known.set(tuple(known))
    try:
        yield
    finally:
        _known.reset(before)


def digest_of_own(thing: Any) -> str:
    """12 hex digits of a function, class or object with all that it refers to.

    Raises:
        RsnbError: something in it cannot be digested, such as an open file or a function without source.
    """
    for known, digest in _known.get():
        if known is thing:
            return digest
    reader = _Reader(thing)
    try:
        reader.value(thing, label_of(thing))
    except RecursionError:
        raise reader.refused(label_of(thing), thing, "is nested too deeply") from None
    return reader.sha.hexdigest()[:12]


def label_of(thing: Any) -> str:
    """How a function, a class or an object is called in a sentence."""
    return getattr(thing, "__qualname__", None) or type(thing).__qualname__


def is_installed(module: str | None) -> bool:
    """Whether a module is Python's own, one of what computes the numbers here, or lies where pip installs."""
    if isinstance(module, str) and module.split(".")[0] in ALWAYS_LIBRARIES:
        return True
    file = (getattr(sys.modules.get(module), "__file__", None) or "").replace("\\", "/")
    return "/site-packages/" in file or "/dist-packages/" in file


class _Reader:
    """Walks through a thing and feeds all it meets into one digest, everything once."""

    def __init__(self, root: Any):
        self.sha, self.label = hashlib.sha256(), label_of(root)
        self.seen: dict[int, tuple[int, Any]] = {}  # id -> (number, the thing: kept, so that its id stays its own)
        home = getattr(root, "__module__", None) or type(root).__module__
        self.own_package = home.split(".")[0]

    def add(self, *words: Any) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            self.sha.update(b"%d:" % len(data) + data)

    def refused(self, place: str, x: Any, why: str) -> RsnbError:
        return RsnbError(
            f"{self.label} cannot be told apart from another version of it: {place} ({type(x).__name__}) {why}. "
            "Results are kept under all that decides them; give it plain values, tensors or functions in its place"
        )

    def is_library(self, module: str | None) -> bool:
        """Whether a module is a library: Python's own, rsnb, or installed and not where the thing comes from."""
        top = module.split(".")[0] if isinstance(module, str) else "__main__" if module is None else "builtins"
        return top in ALWAYS_LIBRARIES or (top != self.own_package and is_installed(module))

    # --- values -------------------------------------------------------------------------------------------------
    def value(self, x: Any, place: str) -> None:
        """Anything. place: where it stands, for a sentence."""
        kind = type(x)
        if kind in NUMBERS_AND_TEXTS:
            return self.add(kind.__name__, repr(x))
        if kind not in (tuple, frozenset):  # these may be one object or two, as the interpreter likes
            if id(x) in self.seen:
                return self.add("again", self.seen[id(x)][0])
            self.seen[id(x)] = len(self.seen), x
        if isinstance(x, types.ModuleType):
            return self.module(x, place)
        if isinstance(x, type):
            return self.class_(x, place)
        if isinstance(x, types.FunctionType):
            return self.function(x, place)
        if isinstance(x, types.MethodType):
            return self.parts("method", place, function=x.__func__, of=x.__self__)
        if isinstance(x, BY_NAME):
            return self.named(x, place)
        if isinstance(x, (staticmethod, classmethod)):
            return self.parts(kind.__name__, place, function=x.__func__)
        if isinstance(x, property):
            return self.parts("property", place, get=x.fget, set=x.fset, delete=x.fdel)
        if isinstance(x, functools.cached_property):
            return self.parts("cached property", place, function=x.func)
        if isinstance(x, functools._lru_cache_wrapper):
            return self.parts("cached", place, function=x.__wrapped__)
        if isinstance(x, functools.partial):
            return self.parts("partial", place, function=x.func, arguments=x.args, keywords=x.keywords)
        if isinstance(x, enum.Enum):
            return self.parts("enum", place, of=kind, name=x.name)
        return self.collection(x, place) or self.numbers(x, place) or self.object(x, place)

    def parts(self, title: str, place: str, **parts: Any) -> None:
        self.add(title)
        for name, part in parts.items():
            self.add(name)
            self.value(part, place)

    def named(self, x: Any, place: str) -> None:
        """What is written in C has a name and, where it is bound, an owner."""
        owner = getattr(x, "__objclass__", None) or getattr(x, "__self__", None)
        self.add("named", getattr(x, "__module__", None), x.__name__)
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.value(owner, place)

    def collection(self, x: Any, place: str) -> bool:
        if isinstance(x, (dict, types.MappingProxyType)):
            self.add("mapping", len(x))
            for key, value in x.items():
                self.value(key, place)
                self.value(value, f"{place}[{key!r}]")
        elif isinstance(x, (list, tuple)):
            self.add("sequence", isinstance(x, list), len(x))
            for number, value in enumerate(x):
                self.value(value, f"{place}[{number}]")
        elif isinstance(x, (set, frozenset)):
            self.add("set", *sorted(digest_of_own(value) for value in x))
        elif isinstance(x, NUMBERS_AND_TEXTS):
            self.add(repr(x))
        else:
            return False
        if type(x) not in (dict, list, tuple, set, frozenset, types.MappingProxyType):
            self.attributes(x, place)
        return True

    def numbers(self, x: Any, place: str) -> bool:
        """Tensors and arrays, by shape, dtype and content."""
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
        if torch is not None and isinstance(x, torch.Tensor):
            if x.layout != torch.strided or x.device.type == "meta" or x.is_quantized:
                raise self.refused(place, x, "is a tensor without plain numbers in it")
            flat = x.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
            self.add(
                type(x).__name__, x.dtype, tuple(x.shape), x.requires_grad, flat.view(torch.uint8).numpy().tobytes()
            )
        elif torch is not None and isinstance(x, (torch.dtype, torch.device, torch.Size)):
            self.add("torch", repr(x))
        elif torch is not None and isinstance(x, torch.Generator):
            self.value(x.get_state(), place)
        elif numpy is not None and isinstance(x, numpy.ndarray) and not x.dtype.hasobject:
            self.add("array", x.dtype.str, x.shape, x.tobytes())
        else:
            return False
        return True

    def object(self, x: Any, place: str) -> None:
        """Any other object: its class and attributes; of a library's, what it would be pickled as."""
        kind = type(x)
        if kind.__module__.split(".")[0] == "rsnb" and callable(getattr(x, "fingerprint", None)):
            return self.add(kind.__qualname__, x.fingerprint())  # a data set, a CLIP
        if isinstance(x, random.Random):
            self.value(x.getstate(), place)
        elif not self.is_library(kind.__module__):
            return self.attributes(x, place)
        try:
            registered = copyreg.dispatch_table.get(kind)
            made = registered(x) if registered else x.__reduce_ex__(4)
        except Exception:  # locks, files, generators, handles of devices: each says so in its own way
            raise self.refused(place, x, "has no content that can be read") from None
        if isinstance(made, str):
            return self.add("named", kind.__module__, made)
        self.add("made by")
        for part in made:
            self.value(list(part) if isinstance(part, Iterator) else part, place)

    def attributes(self, x: Any, place: str) -> None:
        self.value(type(x), place)
        slots = {name for kind in type(x).__mro__ for name in _texts(vars(kind).get("__slots__", ()))}
        found = {name: getattr(x, name) for name in slots - {"__dict__", "__weakref__"} if hasattr(x, name)}
        for name, value in sorted({**found, **getattr(x, "__dict__", {})}.items()):
            self.add(name)
            self.value(value, f"{place}.{name}")

    # --- code ---------------------------------------------------------------------------------------------------
    def class_(self, kind: type, place: str) -> None:
        home = kind.__module__
        if self.is_library(home) and (
            not isinstance(home, str) or _found(sys.modules.get(home), kind.__qualname__) is kind
        ):
            return self.add("class of a library", home if isinstance(home, str) else "", kind.__qualname__)
        self.add("class", kind.__name__)
        for above in (type(kind), *kind.__bases__):
            self.value(above, place)
        members = {name: member for name, member in vars(kind).items() if name not in ASIDE}
        for name, member in sorted(members.items()):
            inner = inspect.unwrap(getattr(member, "__func__", member))
            made_of_text = isinstance(inner, types.FunctionType) and inner.__code__.co_filename.startswith("<string>")
            if made_of_text and ("__dataclass_fields__" in members or hasattr(kind, "_field_defaults")):
                continue  # written by dataclass or namedtuple, out of the fields
            self.add(name)
            self.value(member, f"{place}.{name}")

    def function(self, function: types.FunctionType, place: str) -> None:
        code, home = function.__code__, function.__globals__.get("__name__", "__main__")
        if self.is_library(home):
            self.add("function of a library", home, code.co_name)
            if _found(sys.modules.get(home), function.__qualname__) is function:
                return
        else:
            self.add("function", self.source(code, place))
        self.parts("defaults", place, defaults=function.__defaults__, keywords=function.__kwdefaults__)
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            self.add(name)
            try:
                content = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            self.value(content, f"{name} in {place}")
        self.value(vars(function), place)
        if not self.is_library(home):
            self.globals(function, place)

    def source(self, code: types.CodeType, place: str) -> str:
        try:
            text = inspect.getsource(code)  # of the code: a wrapped function would show what it wraps
        except (OSError, TypeError):
            raise RsnbError(
                f"the source of {self.label} cannot be read (at {place}), so its results could not be distinguished "
                "from another's; write it in a notebook cell or in a file"
            ) from None
        if _changed_since_start(code):
            raise RsnbError(
                f"{code.co_filename} has changed since {self.label} was loaded from it (at {place}), so what runs is "
                "not what stands there; restart the program (in a notebook: the kernel)"
            )
        if code.co_name == "<lambda>" and text.count("lambda") > 1:
            raise RsnbError(
                f"{self.label}: the line of {place} holds several lambdas, which cannot be told apart; write them as "
                "functions with def"
            )
        return plain(text)

    def globals(self, function: types.FunctionType, place: str) -> None:
        """What a function looks up by name; of a module, what it takes from it."""
        for chain in sorted(set(_looked_up(function.__code__))):
            first, *more = chain
            space = function.__globals__
            if first == "import":
                found = _imported(more[0], int(more[1]), space)
                more = more[2:]
            elif first in space:
                found = space[first]
            else:
                self.add(first, "of Python" if hasattr(builtins, first) else "not there")
                continue
            path = first if first != "import" else chain[1]
            while more and isinstance(found, types.ModuleType) and not self.is_library(found.__name__):
                path = f"{path}.{more[0]}"
                found = getattr(found, more.pop(0), None)
            self.add(path)
            self.value(found, path)

    def module(self, module: types.ModuleType, place: str) -> None:
        """A module that a function takes as a whole: a library's by name, another's with all that is in it."""
        if self.is_library(module.__name__):
            self.add("module", module.__name__)
        else:
            for name, value in sorted(vars(module).items()):
                if not (name.startswith("__") and name.endswith("__")):
                    self.add(name)
                    self.value(value, f"{place}.{name}")


def _texts(slots: str | tuple[str, ...]) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _found(module: types.ModuleType | None, qualname: str) -> Any:
    """What a module holds under "A.b"; None if nothing."""
    found: Any = module
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _changed_since_start(code: types.CodeType) -> bool:
    """Whether the file of a function was written after this program began, and holds another function now."""
    import psutil

    try:
        begun, written = psutil.Process().create_time(), os.stat(code.co_filename).st_mtime
        if written < begun + 10:  # the clock of the processes is not that of the files
            return False
        there = compile("".join(linecache.getlines(code.co_filename)), code.co_filename, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):  # a cell of a notebook has no file, and its text is the one that ran
        return False
    todo = [there]
    while todo:
        one = todo.pop()
        if (one.co_name, one.co_firstlineno) == (code.co_name, code.co_firstlineno) and _steps(one) == _steps(code):
            return False
        todo += [constant for constant in one.co_consts if isinstance(constant, types.CodeType)]
    return True


def _steps(code: types.CodeType) -> tuple:
    """What a code object does, with all that is in it."""
    inner = tuple(_steps(c) if isinstance(c, types.CodeType) else (type(c), repr(c)) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, inner


def _looked_up(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Chains of names that code reads from its globals: ("TAU",), ("helpers", "f"); and ("import", module, level,
    name). Functions and comprehensions inside of it count."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "PUSH_NULL", "EXTENDED_ARG")]
    for number, step in enumerate(steps):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            chain = [step.argval]
            for after in steps[number + 1 :]:
                if after.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                chain.append(after.argval)
            yield tuple(chain)
        elif step.opname == "IMPORT_NAME":
            level = str(steps[number - 2].argval)
            if steps[number + 1].opname != "IMPORT_FROM":
                yield "import", step.argval, level
                continue
            for after in steps[number + 1 :]:
                if after.opname == "IMPORT_FROM":
                    yield "import", step.argval, level, after.argval
                elif not after.opname.startswith("STORE"):
                    break
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _looked_up(constant)


def _imported(name: str, level: int, space: dict[str, Any]) -> Any:
    """The module that an import statement inside of a function gives; None if there is none."""
    try:
        return importlib.import_module("." * level + name, space.get("__package__"))
    except (ImportError, TypeError):
        return None
