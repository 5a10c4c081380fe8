"""What a notebook or a command is about: data, backbone, seed; options of the command line and ``RSNB_*`` variables."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.fields import checked, read
from rsnb.base.options import READING, Own, add_options
from rsnb.errors import RsnbError

DATA_STAMPS = {
    "toy": "toy world (drawn)",
    "ucm": "UCM-Captions (real)",
    "rsicd": "RSICD (real)",
    "rsitmd": "RSITMD (real)",
}
QUICK_LIMIT, QUICK_EPOCHS, QUICK_BATCH = 48, 1, 16
SCREEN_DPI = 100  # dots per inch of a figure on the page; RSNB_DPI (`rsnb figures`) makes the saved file larger
_TEXTS = ("data", "root", "layout", "bands", "scale", "backbone", "pretrained")
_OPTIONS = (*_TEXTS, "seed", "epochs", "limit", "batch_size")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """What this run of a notebook is about. Frozen: change it by calling ``setup`` again.

    ``epochs`` is None where the notebook decides; ``limit`` (images per split) is None for all images;
    ``out`` is the folder for figures and results, or None when nothing is to be saved; ``dpi`` are the dots per
    inch of the figures in that folder.
    """

    data: str = "toy"
    root: str | None = None
    layout: str | None = None
    skip_bad: bool = False
    bands: str | None = None
    scale: str | None = None
    backbone: str = "mini"
    pretrained: str | None = None
    seed: int = 0
    epochs: int | None = None
    batch_size: int = 64
    quick: bool = False
    limit: int | None = None
    out: Path | None = None
    dpi: int = SCREEN_DPI

    @property
    def stamp(self) -> str:
        """One line that says what a figure or a number was made from."""
        data = DATA_STAMPS.get(self.data, f"{Path(self.data).name} (own data)")
        parts = [data, backbone_stamp(self.backbone, self.pretrained), f"seed {self.seed}"]
        if self.quick:
            parts.append("quick check, numbers mean nothing")
        return " · ".join(parts)

    @property
    def is_toy(self) -> bool:
        """True on the drawn toy world."""
        return self.data == "toy"

    def dataset(self, split: str = "test"):
        """A ``CaptionDataset`` of this run's data: split is train, val, trainval, test or all."""
        from rsnb.data import load_dataset

        return load_dataset(
            self.data,
            split=split,
            root=self.root,
            layout=self.layout,
            seed=self.seed,
            skip_bad=self.skip_bad,
            limit=self.limit,
            bands=self.bands,
            scale=self.scale,
        )

    def clip(self):
        """A fresh copy of this run's backbone; random weights, where there are no others, follow the seed."""
        import torch

        from rsnb.backbone import load_clip

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return load_clip(self.backbone, pretrained=self.pretrained)


def backbone_stamp(backbone: str, pretrained: str | None) -> str:
    """'mini CLIP', 'ViT-B-32-quickgelu, openai' or 'ViT-B-32-quickgelu, RANDOM weights'."""
    name = "mini CLIP" if backbone == "mini" else backbone
    if pretrained == "random" or (pretrained is None and backbone != "mini" and "hub:" not in backbone):
        return f"{name}, RANDOM weights"
    return name if pretrained is None else f"{name}, {Path(pretrained).name}"


def resolve(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Arguments, overridden by ``RSNB_*`` variables, checked. Prints nothing.

    Raises:
        RsnbError: an unknown data set, a missing root folder, a number that is none.
    """
    env = os.environ if environment is None else environment
    values = {**Settings().__dict__, **{k: v for k, v in given.items() if v is not None}}
    for key in _TEXTS:
        values[key] = env.get(f"RSNB_{key.upper()}") or values[key]
    for key in ("seed", "epochs", "batch_size", "limit", "dpi"):
        if env.get(f"RSNB_{key.upper()}"):
            values[key] = read(key, env[f"RSNB_{key.upper()}"], f"RSNB_{key.upper()}")
        elif values[key] is not None:
            values[key] = checked(key, values[key])
    for key in ("quick", "skip_bad"):
        values[key] = _switch(env.get(f"RSNB_{key.upper()}"), f"RSNB_{key.upper()}", values[key])
    if values["quick"]:
        values["limit"], values["epochs"], values["batch_size"] = QUICK_LIMIT, QUICK_EPOCHS, QUICK_BATCH
    if env.get("RSNB_OUTPUT"):
        values["out"] = Path(env["RSNB_OUTPUT"])
    values["data"] = known_name(values["data"]) or values["data"]
    if values["data"] == "toy" and given.get("root") is None:
        values["root"] = None  # RSNB_ROOT names the real images
    _check_data(values["data"], values["root"])
    return Settings(**values)


def versions() -> str:
    """'rsnb 0.1.0, torch 2.14.1'."""
    from importlib import metadata

    from rsnb import __version__

    return f"rsnb {__version__}, torch {metadata.version('torch').split('+')[0]}"


def known_name(data: str) -> str | None:
    """'ucm' for 'UCM-Captions' and the like; None for a path."""
    plain = str(data).strip().lower().replace("_", "-").removesuffix("-captions")
    return plain if plain in DATA_STAMPS else None


def _switch(text: str | None, name: str, default: bool) -> bool:
    if text is None:
        return default
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise RsnbError(f"{name} must be 1 or 0, not {text!r}")


def _check_data(data: str, root: str | None) -> None:
    known = ", ".join(DATA_STAMPS)
    if root is not None and not os.path.isdir(paths.user_path(root)):
        raise RsnbError(f"the data folder {root} does not exist; give --root (or RSNB_ROOT) an existing folder")
    if data in DATA_STAMPS:
        if data != "toy" and root is None:
            raise RsnbError(
                f"{DATA_STAMPS[data]} does not ship with rsnb; say where it is: --root DIR (or RSNB_ROOT=DIR). "
                "data/README.md says where to get it"
            )
    elif not os.path.exists(paths.user_path(data)):
        raise RsnbError(f"no data set and no file or folder is named {data!r}; known: {known}, or a path")


def what_arguments(parser: argparse.ArgumentParser, model: bool = True) -> None:
    """Options that say on what data and what backbone a command works."""
    group = parser.add_argument_group("data" + (" and backbone" if model else ""))
    if model:
        add_options(group, data=Own(said="toy"))
    add_options(group, "root", *READING, seed=Own(said="0"))
    if model:
        add_options(group, "pretrained", backbone=Own(said="mini"))


def variables(args: argparse.Namespace) -> dict[str, str]:
    """The options that were given, as ``RSNB_*`` variables; paths are made absolute."""
    found = {}
    for name in _OPTIONS:
        value = getattr(args, name, None)
        if value is not None:
            found[f"RSNB_{name.upper()}"] = str(value)
    for name in ("skip_bad", "quick"):
        if getattr(args, name, False):
            found[f"RSNB_{name.upper()}"] = "1"
    data = found.get("RSNB_DATA") or os.environ.get("RSNB_DATA") or "toy"
    if "RSNB_ROOT" in found and known_name(data) == "toy":
        raise RsnbError("--root names the folder of real data; say which data it holds, such as --data ucm")
    for name in ("RSNB_ROOT", "RSNB_DATA", "RSNB_PRETRAINED"):  # a notebook runs in another folder
        value = found.get(name) or os.environ.get(name)
        if value and known_name(value) is None and os.path.exists(paths.user_path(value)):
            found[name] = str(paths.user_path(value).resolve())
    return found


def settings_of(args: argparse.Namespace) -> Settings:
    """Options and environment as checked settings."""
    return resolve({**os.environ, **variables(args)})
