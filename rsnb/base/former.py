"""Modules of version 0.1 under their old names, for notebooks that were handed out before their contents moved."""

from __future__ import annotations

import importlib
from types import ModuleType

#: old module -> the modules that hold its definitions now
MODULES = {
    "ablate": ("studies.ablation.command", "studies.ablation.paper_studies"),
    "analysis": ("measures.similarity", "measures.ceiling", "data.words", "studies.runs", "worlds.natural"),
    "audit": ("studies.audit.printed", "studies.audit.captions", "studies.audit.epochs", "studies.audit.findings"),
    "audit_plots": ("studies.audit.figures",),
    "bench": ("studies.speed.command", "studies.speed.measurements", "studies.speed.pair", "studies.speed.tables"),
    "benchmark": ("studies.benchmark.tables", "studies.benchmark.grid", "base.recalls"),
    "bug_plots": ("classroom.bughunt.figures",),
    "bugs": ("classroom.bughunt.checks", "classroom.bughunt.pipelines", "classroom.bughunt.workbench"),
    "composed": ("studies.composed.study", "studies.composed.queries", "studies.composed.scores", "measures.mixing"),
    "composed_plots": ("studies.composed.figures",),
    "costs": ("measures.costs",),
    "effects": ("studies.ablation.differences",),
    "fetch": ("data.fetch",),
    "honest": ("measures.ties", "measures.ceiling", "measures.bootstrap", "measures.summary"),
    "lab": ("studies.ablation.lab", "studies.ablation.spec"),
    "lab_plots": ("studies.ablation.figures",),
    "lesson": ("classroom.lesson", "settings", "base.files", "figures.png"),
    "method_plots": ("studies.benchmark.figures",),
    "offline": ("base.offline",),
    "plots": ("figures.plots", "figures.style", "studies.benchmark.figures"),
    "reproduce": ("studies.reproduction.cells", "studies.reproduction.compare", "studies.reproduction.figures"),
    "speed_plots": ("studies.speed.figures",),
}
#: old module and name -> name now, where it is another one
NAMES = {
    ("analysis", "natural"): "natural_pictures",
    ("analysis", "space"): "space_summary",
    ("bench", "Lab"): "Pair",
    ("bench", "load"): "load_measurement",
    ("benchmark", "table"): "benchmark_rows",
    ("bugs", "Lab"): "Workbench",
    ("composed", "space"): "composed_space",
    ("composed", "table"): "composed_table",
    ("effects", "difference"): "paired_difference",
    ("effects", "rows"): "difference_rows",
    ("effects", "sentences"): "difference_sentences",
    ("honest", "chance"): "chance_of_hit",
    ("honest", "of"): "summary_of",
    ("lab", "grid"): "grid_of_specs",
    ("lab", "run"): "run_cells",
    ("lab_plots", "picture"): "difference_figure",
}


class FormerModule(ModuleType):
    """Finds what an old module held, wherever it is now."""

    def __getattr__(self, name: str):
        wanted = NAMES.get((self.__name__, name), name)
        for place in MODULES[self.__name__]:
            held = vars(importlib.import_module(f"rsnb.{place}"))
            if wanted in held:
                return held[wanted]
        places = ", ".join(f"rsnb.{place}" for place in MODULES[self.__name__])
        raise AttributeError(
            f"rsnb.{self.__name__} has no {name}: since version 0.1 its contents are in {places}. "
            "Copy the notebooks again: rsnb notebooks DIR"
        )
