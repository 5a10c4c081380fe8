"""An adapter file as anybody may have made it: its header and its tensors, checked before anything is built of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from rsnb.base.checkpoints import regular_file
from rsnb.base.files import reason
from rsnb.errors import RsnbError

FORMAT, FORMER_FORMAT = "rsnb adapter 2", "rsnb adapter 1"
AND = "+"  # between the names of several methods on one CLIP


def _is_method(text: str) -> bool:
    return all(name.isidentifier() for name in text.split(AND))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 500 and text.isprintable()


def _is_fingerprint(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{16}", text) is not None


def _is_pretrained(text: str) -> bool:
    value = json.loads(text)
    return value is None or (isinstance(value, str) and _is_name(value))


def _is_options(text: str) -> bool:
    return isinstance(json.loads(text), dict)


def _is_sources(text: str) -> bool:
    value = json.loads(text)
    return isinstance(value, dict) and all(isinstance(own, str) for own in value.values())


#: What each field of a header is, in words, and whether a text is one.
FIELDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "method": ("names of methods, such as mrs or mrs+lora", _is_method),
    "options": ("the method's options as a JSON object", _is_options),
    "backbone": ("the name of a CLIP", _is_name),
    "pretrained": ("the CLIP's weights as a JSON text, or null", _is_pretrained),
    "fingerprint": ("16 hexadecimal digits", _is_fingerprint),
    "sources": ("a JSON object of digests of classes", _is_sources),
}


def read_header(path: str | Path) -> dict[str, str]:
    """The fields of an adapter file's header, every one of its kind; what else stands there is left out.

    Raises:
        RsnbError: there is no file, it is no adapter, or a field is missing or malformed.
    """
    path = Path(path)
    if not path.exists():
        raise RsnbError(f"no adapter at {path}; `rsnb train --out DIR` writes DIR/adapter.safetensors")
    regular_file(path, "adapter")
    header = _opened(path, lambda file: file.metadata() or {})
    if header.get("format") not in (FORMAT, FORMER_FORMAT):
        raise RsnbError(f"{path} is a safetensors file, but not one made by rsnb.save_adapter")
    if header["format"] == FORMER_FORMAT:
        header.setdefault("sources", "{}")
    for name, (wanted, fits) in FIELDS.items():
        if name not in header:
            raise RsnbError(f"the header of {path} has no {name!r}; save the adapter again, or get the file again")
        try:
            sound = fits(header[name])
        except (ValueError, RecursionError):
            sound = False
        if not sound:
            raise RsnbError(
                f"the header of {path} has {header[name][:60]!r} for {name!r}; it must be {wanted}. Save the adapter "
                "again, or get the file again"
            )
    return {name: header[name] for name in ("format", *FIELDS)}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the tensors in a file, none of which is read."""
    return _opened(path, lambda file: {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    return _opened(path, lambda file: {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def _opened(path: Path, look: Callable[[Any], Any]) -> Any:
    try:
        with safe_open(path, "pt") as file:
            return look(file)
    except Exception as error:  # of safetensors, of the system, and of torch for a dtype that it does not know
        raise RsnbError(
            f"{path} is no adapter file, or a damaged one ({reason(error)}); adapters are made by rsnb.save_adapter"
        ) from error
