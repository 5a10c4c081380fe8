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

#: public name -> the module that defines it
_NAMES = {
    "RsnbError": "rsnb.errors",
    "RsnbWarning": "rsnb.errors",
    "TrainConfig": "rsnb.config",
    "load_clip": "rsnb.backbone",
    "adapt": "rsnb.methods",
    "count_trainable": "rsnb.adapted",
    "save_adapter": "rsnb.methods",
    "load_adapter": "rsnb.beyond.shipped",
    "METHODS": "rsnb.methods",
    "load_dataset": "rsnb.data",
    "evaluate": "rsnb.evaluation",
    "train": "rsnb.training",
    "Index": "rsnb.tiles.index",
}
#: public module -> where it lies
_MODULES = {
    **{name: f"rsnb.{name}" for name in ("backbone", "data", "fast", "losses", "methods", "mrs", "surgery")},
    **{name: f"rsnb.baselines.{name}" for name in ("adapters", "heads", "prompts")},
    "diagrams": "rsnb.figures.diagrams",
    "exercises": "rsnb.classroom.exercises",
    "lesson": "rsnb.classroom.lesson",
    "paper": "rsnb.studies.paper",
    "paths": "rsnb.base.paths",
    "plots": "rsnb.figures.plots",
    "similarity": "rsnb.measures.similarity",
}
__all__ = ["__version__", *_NAMES, *_MODULES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    from rsnb.base import former  # for notebooks handed out with version 0.1

    if name in _MODULES:
        module = importlib.import_module(_MODULES[name])
        if name in former.MODULES:  # what the module held once is still found in it
            module.__dict__.setdefault("__getattr__", former.FormerModule(name).__getattr__)
        return module
    if name in former.MODULES:
        return former.FormerModule(name)
    raise AttributeError(f"module 'rsnb' has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__():
    return __all__
