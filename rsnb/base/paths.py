"""Where the things that ship with the project lie: the toy world, weights, results, adapters.

In a clone (or an editable install) they are in the ``data`` folder beside the package; in a wheel they
are packed into ``rsnb/_shipped``. ``RSNB_HOME`` names another folder of the same layout.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rsnb.errors import RsnbError

PACKAGE = Path(__file__).resolve().parent.parent

#: What the set-up cell of a notebook installs on Colab; set it to your own copy, then rebuild: rsnb run --inplace
REPOSITORY = "https://github.com/rsnb-notebooks/rsnb"


def data_dir() -> Path:
    """The ``data`` folder: ``toy/``, ``results/``, ``adapters/``."""
    chosen = os.environ.get("RSNB_HOME")
    candidates = [Path(chosen)] if chosen else [PACKAGE / "_shipped", PACKAGE.parent / "data"]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise RsnbError(
        f"the project's data folder was not found at {' or '.join(map(str, candidates))}; "
        "install rsnb from a full clone (pip install -e .) or set RSNB_HOME to the folder that holds toy/"
    )


def toy_dir() -> Path:
    """The toy world in the Karpathy layout: ``dataset_toy.json`` and ``images/``."""
    return data_dir() / "toy"


def results_dir() -> Path:
    """Committed result files, one JSON per run; ``RSNB_RESULTS`` names another folder, for results made again."""
    return Path(os.environ.get("RSNB_RESULTS") or data_dir() / "results")


def results_listing() -> Path:
    """The list of the committed results, see ``rsnb results``."""
    return results_dir() / "listing.json"


#: short name of a shipped adapter -> (its file, what it is)
ADAPTERS = {
    "toy": ("toy-mini-mrs-seed0.safetensors", "MRS-Adapter + HMMC trained on the toy world, as in the benchmark"),
    "ucm": (
        "ucm-mini-mrs-seed0.safetensors",
        "MRS-Adapter + HMMC trained on UCM-Captions (real images), as in the benchmark",
    ),
    "beyond": ("beyond-mini-recipe-seed0.safetensors", "the recipe of notebook 13, trained on the toy world"),
}


def adapters_dir() -> Path:
    """Shipped adapters (safetensors)."""
    return data_dir() / "adapters"


def adapter_file(name: str | Path) -> Path:
    """The file of a shipped adapter for its name in :data:`ADAPTERS`, unless a file of that name lies here; any other
    path with ``~`` resolved."""
    path = user_path(name)
    return adapters_dir() / ADAPTERS[str(name)][0] if str(name) in ADAPTERS and not path.is_file() else path


def cache_dir() -> Path:
    """Where decoded images are kept between runs: ``RSNB_CACHE``, or ``~/.cache/rsnb``. May be deleted at any time."""
    chosen = os.environ.get("RSNB_CACHE")
    return Path(chosen) if chosen else home() / ".cache" / "rsnb"


def home() -> Path:
    """The user's folder; where there is none, as in many containers, the one for temporary files."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())


def user_path(path: str | Path) -> Path:
    """A path with ``~`` resolved.

    Raises:
        RsnbError: ``~name`` of a user who is not there.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise RsnbError(f"{path} names the folder of an unknown user; write out the path") from None


def mini_dir() -> Path:
    """The mini CLIP: ``mini.json`` (open_clip config), ``bpe.txt.gz``, ``mini.safetensors``."""
    return PACKAGE / "mini"
