"""``rsnb completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse

from rsnb.errors import RsnbError

SHELLS = ("bash", "zsh", "tcsh")


def completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")


def completion_command(args: argparse.Namespace) -> None:
    """Print the script; to be sourced, or kept where the shell looks for such scripts."""
    try:
        import shtab
    except ImportError:
        raise RsnbError("shtab is needed to write the script; install it with: pip install shtab") from None
    from rsnb.commands.cli import EVERY, build_parser

    print(shtab.complete(build_parser(EVERY), args.shell))
