"""What was measured, and the commands that measure it again: one folder per study."""

#: command -> the module that brings its ``add_arguments`` and ``run``
COMMANDS = {
    "ablate": "rsnb.studies.ablation.command",
    "audit": "rsnb.studies.audit.printed",
    "bench": "rsnb.studies.speed.measurements",
    "benchmark": "rsnb.studies.benchmark.grid",
    "composed": "rsnb.studies.composed.study",
    "reproduce": "rsnb.studies.reproduction.cells",
}
