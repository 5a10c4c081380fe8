"""An adapter as a folder for the Hugging Face hub: the file, and a model card made from its header."""

from __future__ import annotations

import json
from pathlib import Path, PureWindowsPath
from typing import Any

from safetensors import safe_open

from rsnb.base.files import write_bytes, write_text
from rsnb.base.recalls import COLUMNS, recall_label
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.methods import METHODS, read_header

FILE = "adapter.safetensors"  # its name in the folder
_CARD = """---
library_name: rsnb
tags: [remote-sensing, image-text-retrieval, clip, {method}]
---

# {title} for {backbone}

{count:,} numbers that adapt a frozen CLIP to overhead images. They are of use with that CLIP alone: loading refuses
another one, by the fingerprint of its weights.

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
    write_text(folder / "README.md", _card(adapter, header, found or result.get("test", {}), result))
    write_bytes(folder / FILE, adapter.read_bytes())
    return folder


def _result_beside(adapter: Path) -> dict[str, Any]:
    path = adapter.with_name("result.json")
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RsnbError(f"{path} cannot be read ({error}); give adapter_folder the report of rsnb.evaluate") from None


def _card(adapter: Path, header: dict[str, str], recalls: dict[str, Any], result: dict[str, Any]) -> str:
    method, pretrained = header["method"], json.loads(header["pretrained"])
    with safe_open(adapter, "pt") as file:
        count = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    own = method not in METHODS
    facts = {"method": method + " (a class of its own, to be given to `load_adapter`)" * own}
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
        said += "i2t: a caption is looked for; t2i: an image."
    more = ", method=YourClass" * own
    if _is_path(pretrained):  # of the machine where it was trained
        more += f', clip=rsnb.load_clip("{header["backbone"]}", "path/to/{_name_of(pretrained)}")'
    return _CARD.format(
        method=method, title=METHODS[method].title if not own else method, backbone=header["backbone"], count=count,
        facts=markdown_table(["", ""], [list(row) for row in facts.items()]), recalls=said, file=FILE, more=more,
    )  # fmt: skip


def _is_path(pretrained: str | None) -> bool:
    return pretrained is not None and (len(PureWindowsPath(pretrained).parts) > 1 or "." in pretrained)


def _name_of(pretrained: str | None) -> str:
    """A tag as it is; of a file its name, without the folders of the machine where it lay (with / or with \\)."""
    return "those that come with it" if pretrained is None else PureWindowsPath(pretrained).name
