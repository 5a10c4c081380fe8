"""The command that a result states, as the program takes it."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Callable
from typing import Any

from rsnb import studies


def part_of_command(command: str, part: str) -> Callable:
    """Of ``rsnb ablate ...`` the function ``ablate_arguments`` or ``ablate_command``."""
    name = shlex.split(command)[1]
    module = {**studies.COMMANDS, "pretrain": "rsnb.worlds.pretrain"}[name]
    return getattr(importlib.import_module(module), f"{name}_{part}")


def parsed(command: str, install: bool = False, **changes: Any) -> argparse.Namespace:
    """The arguments of ``rsnb <name> ...``, some of them changed; DIR is ``root``."""
    parser = argparse.ArgumentParser()
    part_of_command(command, "arguments")(parser)
    given = parser.parse_args([word for word in shlex.split(command)[2:] if word not in ("--install", "--force")])
    known = {name: value for name, value in changes.items() if name in vars(given)}
    return argparse.Namespace(**{**vars(given), **known, "install": install})
