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
    "load_adapter": "rsnb.methods",
    "METHODS": "rsnb.methods",
    "load_dataset": "rsnb.data",
    "evaluate": "rsnb.evaluation",
    "train": "rsnb.training",
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
#: modules of version 0.1, for notebooks that were handed out: where their contents are now
_FORMER = {
    "ablate": "rsnb.studies.ablation.command",
    "analysis": "rsnb.measures.similarity",
    "audit": "rsnb.studies.audit.printed",
    "audit_plots": "rsnb.studies.audit.figures",
    "bench": "rsnb.studies.speed.measurements",
    "benchmark": "rsnb.studies.benchmark.tables",
    "bug_plots": "rsnb.classroom.bughunt.figures",
    "bugs": "rsnb.classroom.bughunt.checks",
    "composed": "rsnb.studies.composed.study",
    "composed_plots": "rsnb.studies.composed.figures",
    "costs": "rsnb.measures.costs",
    "effects": "rsnb.studies.ablation.differences",
    "fetch": "rsnb.data.fetch",
    "honest": "rsnb.measures.ties",
    "lab": "rsnb.studies.ablation.lab",
    "lab_plots": "rsnb.studies.ablation.figures",
    "method_plots": "rsnb.studies.benchmark.figures",
    "offline": "rsnb.base.offline",
    "reproduce": "rsnb.studies.reproduction.cells",
    "speed_plots": "rsnb.studies.speed.figures",
}

__all__ = ["__version__", *_NAMES, *_MODULES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES or name in _FORMER:
        return importlib.import_module(_MODULES.get(name) or _FORMER[name])
    raise AttributeError(f"module 'rsnb' has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__():
    return __all__
