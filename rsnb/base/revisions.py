"""The files of another revision of this repository, beside those that are here."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsnb.base import paths
from rsnb.errors import RsnbError


@contextmanager
def tree_of(revision: str) -> Iterator[Path]:
    """A folder with the files of a revision, as git names it, for as long as the block lasts.

    Raises:
        RsnbError: this is no clone of the repository, or it has no such revision.
    """
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), f"{revision}^{{commit}}")
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def brought(revision: str, path: Path) -> bool:
    """Whether a file was added or changed in a revision, to the bytes that it has today."""
    name = path.relative_to(paths.PACKAGE.parent).as_posix()
    changed = _git(
        "show", "--first-parent", "--format=", "--name-only", "--relative", f"{revision}^{{commit}}", "--", f":/{name}"
    )
    then, now = _git("rev-parse", f"{revision}:{name}"), _git("hash-object", str(path))
    return bool(changed.strip()) and then == now


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=paths.PACKAGE, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RsnbError(
            "git is not installed; another revision's code is read from a clone of the repository"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise RsnbError(f"git {' '.join(arguments[:2])} failed: {said[0]}; name a commit of this clone")
    return done.stdout
