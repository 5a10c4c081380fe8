"""What was measured, and the commands that measure it again: one folder per study."""

#: command -> its module, which has ``<command>_arguments(parser)`` and ``<command>_command(args)``
COMMANDS = {
    "ablate": "rsnb.studies.ablation.command",
    "audit": "rsnb.studies.audit.command",
    "bench": "rsnb.studies.speed.command",
    "benchmark": "rsnb.studies.benchmark.command",
    "beyond": "rsnb.studies.beyond.command",
    "composed": "rsnb.studies.composed.command",
    "precision": "rsnb.studies.precision.command",
    "reproduce": "rsnb.studies.reproduction.command",
}
