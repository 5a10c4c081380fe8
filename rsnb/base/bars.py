"""Progress bars, where somebody looks: in a terminal or a notebook, and never in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

#: Of a bar that counts epochs and moves with the steps.
EPOCHS = "{l_bar}{bar}| {n:.1f} of {total} epochs [{elapsed}, {remaining} left{postfix}]"


def watched() -> bool:
    """Whether anybody sees a bar: the error stream is a terminal, or this is a notebook."""
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if shell is not None and "IPKernelApp" in shell.config:
            return True
    return bool(getattr(sys.stderr, "isatty", lambda: False)())


def bar(iterable: Iterable | None = None, hidden: bool = False, **options: Any):
    """A tqdm bar; nothing is drawn if it is hidden or nobody watches."""
    from tqdm.auto import tqdm

    return tqdm(iterable, disable=hidden or not watched(), **options)
