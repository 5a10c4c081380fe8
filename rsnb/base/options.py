"""The options that commands share: one name, type and help text each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsnb.base.fields import Checked
from rsnb.base.paths import ADAPTERS, adapter_file

#: name -> what argparse is told; a switch has an action, and a default stands here where all commands have the same
OPTIONS: dict[str, dict[str, Any]] = {
    "data": {"metavar": "NAME", "help": "toy, ucm, rsicd, rsitmd, or a path"},
    "root": {"type": Path, "metavar": "DIR", "help": "folder of the real images and captions"},
    "layout": {"help": "layout of the caption files, if it is not detected"},
    "bands": {"metavar": "4,3,2", "help": "bands of the images that are red, green and blue, counted from 1"},
    "scale": {"metavar": "LOW,HIGH", "help": "numbers beyond 8 bits that become black and white"},
    "skip_bad": {"action": "store_true", "help": "go on without missing or broken images"},
    "seed": {"action": Checked, "metavar": "N", "help": "for everything random"},
    "backbone": {"metavar": "NAME", "help": "mini, or an open_clip name"},
    "pretrained": {"metavar": "TAG", "help": "open_clip's tag of the backbone's weights, or a checkpoint file"},
    "adapter": {
        "type": adapter_file,
        "metavar": "FILE",
        "help": f"trained adapter, or a shipped one: {', '.join(ADAPTERS)}",
    },
    "methods": {"metavar": "NAMES", "help": "comma-separated names, or all"},
    "seeds": {"action": Checked, "metavar": "N", "help": "seeds 0 to N-1"},
    "epochs": {"action": Checked, "metavar": "N", "help": "of a training"},
    "batch_size": {"action": Checked, "metavar": "N", "help": "pairs, or images, at a time"},
    "limit": {"action": Checked, "metavar": "N", "help": "at most N images of each split"},
    "precision": {"action": Checked, "default": "auto", "metavar": "{auto,fp32,bf16}",
                  "help": "of the training; auto uses bf16 where the machine computes in it"},
    "device": {"action": Checked, "default": "auto", "help": "auto, cpu, cuda, cuda:1 or mps"},
    "only": {"default": "", "metavar": "1,3", "help": "notebooks by number (default: all)"},
    "quick": {"action": "store_true", "help": "a quick check with little data; numbers mean nothing"},
    "out": {"type": Path, "metavar": "DIR", "help": "folder for what is written"},
    "install": {"action": "store_true", "help": "keep the result with those that ship with rsnb"},
    "dry_run": {"action": "store_true", "help": "print the plan, and run nothing"},
    "json": {"action": "store_true", "help": "print JSON"},
}  # fmt: skip


#: options that say how a data set is read; they go to `rsnb.load_dataset` as they are
READING = ("layout", "bands", "scale", "skip_bad")


@dataclass(frozen=True)
class Own:
    """What a command has of its own in a shared option: the default; ``said``, the default in words, where the command
    finds it later; other choices; a further remark."""

    default: Any = None
    said: str = ""
    choices: Sequence[str] | None = None
    remark: str = ""


def add_options(parser: argparse._ActionsContainer, *names: str, **own: Any) -> None:
    """Add shared options to a command or a group of its arguments: ``names`` as they are, then those with a default of
    the command's own, or an :class:`Own`.

    >>> add_options(parser, "root", "json", data="toy", out=Own(said="where the shipped copy is"))
    """
    for name in (*names, *own):
        told = {**OPTIONS[name]}
        if name in own:
            mine = own[name] if isinstance(own[name], Own) else Own(own[name])
            kind = told.get("type", lambda given: given)
            told["default"] = None if mine.default is None else kind(mine.default)
            if mine.choices:
                told |= {"choices": mine.choices, "metavar": None}
            told["help"] = help_of(name, mine.said or ("" if mine.default is None else "%(default)s"), mine.remark)
        elif told.get("default"):
            told["help"] = help_of(name, "%(default)s")
        parser.add_argument(f"--{name.replace('_', '-')}", **told)


def help_of(name: str, default: str = "", remark: str = "") -> str:
    """The help text of a shared option, with a remark and the default behind it."""
    return OPTIONS[name]["help"] + (f"; {remark}" if remark else "") + (f" (default: {default})" if default else "")


def reading_of(args: argparse.Namespace) -> dict[str, Any]:
    """Those of :data:`READING` that were given."""
    return {name: getattr(args, name) for name in READING if getattr(args, name, None)}
