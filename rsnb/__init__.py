"""rsnb: parameter-efficient transfer learning for remote sensing image-text retrieval, as notebooks.

The public face is small and loaded lazily, so that ``import rsnb`` costs nothing::

    clip = rsnb.load_clip()                      # the mini CLIP that ships with the project
    model = rsnb.adapt(clip, "mrs")              # MRS-Adapter in every block, CLIP frozen
    train, val = rsnb.load_dataset("toy", "train"), rsnb.load_dataset("toy", "val")
    rsnb.train(model, train, val)
    print(rsnb.evaluate(model, rsnb.load_dataset("toy", "test")))
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOME = {
    "RsnbError": "rsnb.errors",
    "RsnbWarning": "rsnb.errors",
    "TrainConfig": "rsnb.config",
    "load_clip": "rsnb.backbone",
    "adapt": "rsnb.methods",
    "count_trainable": "rsnb.surgery",
    "save_adapter": "rsnb.methods",
    "load_adapter": "rsnb.methods",
    "METHODS": "rsnb.methods",
    "load_dataset": "rsnb.data",
    "evaluate": "rsnb.evaluation",
    "train": "rsnb.training",
}
_MODULES = (
    "losses",
    "data",
    "mrs",
    "adapters",
    "prompts",
    "heads",
    "surgery",
    "methods",
    "backbone",
    "analysis",
    "plots",
    "diagrams",
    "lesson",
    "benchmark",
    "fast",
    "paper",
    "method_plots",
    "costs",
    "honest",
    "ablate",
    "lab",
)

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"rsnb.{name}")
    raise AttributeError(f"module 'rsnb' has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__():
    return __all__
