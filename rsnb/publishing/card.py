"""An adapter as a folder for the Hugging Face hub: the file, and a model card made from its header."""

from __future__ import annotations

import json
import math
from pathlib import Path, PureWindowsPath
from typing import Any

from rsnb.base.adapter_files import AND, read_header, read_shapes
from rsnb.base.files import reason, write_bytes, write_text
from rsnb.base.recalls import COLUMNS, recall_label
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.methods import METHODS

FILE = "adapter.safetensors"  # its name in the folder
_CARD = """---
library_name: rsnb
tags: [remote-sensing, image-text-retrieval, clip, {method}]
---

# {title} for {backbone}

{count:,} numbers that adapt a frozen CLIP to overhead images. They are useful only with that CLIP: loading refuses
any other, by the fingerprint of its weights.

{facts}

## Recalls

{recalls}

## Use

```python
import rsnb
from huggingface_hub import hf_hub_download

path = hf_hub_download("REPOSITORY", "{file}")  # the name of this repository
model = rsnb.load_adapter(path{more})
embeddings = model.encode_text(model.clip.tokenizer(["two planes beside a terminal"]))
```
"""


def adapter_folder(adapter: str | Path, folder: str | Path, report: Any = None) -> Path:
    """Write ``adapter.safetensors`` and ``README.md``, the model card, into ``folder``, each in place of what is there.

    Args:
        adapter: a file of :func:`rsnb.save_adapter`.
        report: what :func:`rsnb.evaluate` gave for it: the card's recalls, and the stamp of their data. None takes
            those of ``result.json`` beside the adapter, where ``rsnb train`` wrote one.

    Returns:
        ``folder``.

    Raises:
        RsnbError: ``adapter`` is no adapter, or the result beside it cannot be read.
    """
    adapter, folder = Path(adapter), Path(folder)
    header, found = read_header(adapter), {} if report is None else report.to_dict()
    result = _result_beside(adapter) if report is None else {}
    try:
        card = _card(adapter, header, found or result.get("test", {}), result)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # of a result of another form
        raise RsnbError(
            f"{adapter.with_name('result.json')} is not a result of `rsnb train` ({reason(error)}); give "
            "adapter_folder the report of rsnb.evaluate"
        ) from None
    write_text(folder / "README.md", card)
    write_bytes(folder / FILE, adapter.read_bytes())
    return folder


def _result_beside(adapter: Path) -> dict[str, Any]:
    path = adapter.with_name("result.json")
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, OSError, RecursionError) as error:
        raise RsnbError(f"{path} cannot be read ({error}); give adapter_folder the report of rsnb.evaluate") from None


def _card(adapter: Path, header: dict[str, str], recalls: dict[str, Any], result: dict[str, Any]) -> str:
    method, pretrained = header["method"], json.loads(header["pretrained"])
    count = sum(math.prod(shape) for shape in read_shapes(adapter).values())
    names = method.split(AND)
    own = any(name not in METHODS for name in names)
    facts = {"method": method + " (with a class of its own, to be passed to `load_adapter`)" * own}
    facts |= {"options": header["options"].strip("{}").replace('"', "") or "the method's own"}
    facts |= {"backbone": header["backbone"], "its weights": _name_of(pretrained)}
    facts |= {key: value for key, value in header.items() if key not in (*facts, "format", "pretrained")}
    if result.get("stamp"):
        facts |= {"trained on": result["stamp"]}
    if result.get("best_epoch"):
        facts |= {"epoch": f"{result['best_epoch']}, the best on validation: mR {result['best_val_mr']:.1f}"}
    said = "Not measured."
    if recalls:
        said = markdown_table([recall_label(name) for name in COLUMNS], [[f"{recalls[name]:.1f}" for name in COLUMNS]])
        said += f"\n\n{recalls['stamp']}; {recalls['images']:,} images, {recalls['captions']:,} captions. "
        said += "i2t: captions are looked for; t2i: images."
    more = ", method=YourClass" * own
    if pretrained is not None:  # a tag, or a path of the machine where it was trained; no file starts a download
        weights = f"path/to/{_name_of(pretrained)}" if _is_path(pretrained) else pretrained
        more += f", clip=rsnb.load_clip({header['backbone']!r}, {weights!r})"
    return _CARD.format(
        method=method, title=" + ".join(METHODS[name].title if name in METHODS else name for name in names),
        backbone=_plain(header["backbone"]), count=count, recalls=said, file=FILE, more=more,
        facts=markdown_table(["", ""], [[name, _plain(fact)] for name, fact in facts.items()]),
    )  # fmt: skip


def _plain(text: str) -> str:
    """A text out of a file, so that Markdown shows it and does nothing else with it."""
    return "".join(f"\\{c}" if c in "\\|<>[]*#" else c if c.isprintable() else " " for c in text)


def _is_path(pretrained: str | None) -> bool:
    return pretrained is not None and (len(PureWindowsPath(pretrained).parts) > 1 or "." in pretrained)


def _name_of(pretrained: str | None) -> str:
    """A tag as it is; of a file its name, without the folders of the machine where it lay (with / or with \\)."""
    return "those that come with it" if pretrained is None else PureWindowsPath(pretrained).name
