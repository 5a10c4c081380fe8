"""Loading an adapter from a file, or a shipped one by its short name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rsnb import methods
from rsnb.adapted import Adapted
from rsnb.backbone import Clip
from rsnb.base.paths import adapter_file
from rsnb.surgery import Method


def load_adapter(
    path: str | Path, clip: Clip | None = None, method: type[Method] | Iterable[type[Method]] = ()
) -> Adapted:
    """Rebuild an adapted model from a file of :func:`rsnb.save_adapter`, or from a shipped one by its short name, such
    as "toy" (:data:`rsnb.base.paths.ADAPTERS`).

    Args:
        clip: the backbone it was trained on; None loads it by the name and weights in the header, if they are on this
            machine.
        method: the class, or the classes, if it was made with some of your own.

    Raises:
        RsnbError: as :func:`rsnb.methods.load_adapter`.
    """
    return methods.load_adapter(adapter_file(path), clip, method)
