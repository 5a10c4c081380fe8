"""Exercises of notebook 10: a probe for each invariant, then a verdict on each suspect.

A probe is judged on small suspects built here: sound ones and broken ones, of other sizes and with other numbers than
those of the notebook, some with a high mR and some with a low one, so that no number tells which is which.
"""

from rsnb.classroom.exercises.lesson10.counts import PROBE_COUNTS, PROBE_RECOUNT
from rsnb.classroom.exercises.lesson10.embeddings import PROBE_FUNCTION, PROBE_LENGTH, PROBE_REPEAT
from rsnb.classroom.exercises.lesson10.training import PROBE_CHOICE, PROBE_FROZEN, PROBE_SPLIT
from rsnb.classroom.exercises.lesson10.verdicts import VERDICTS

PROBES = [PROBE_LENGTH, PROBE_SPLIT, PROBE_REPEAT, PROBE_COUNTS, PROBE_FROZEN, PROBE_CHOICE, PROBE_FUNCTION,
          PROBE_RECOUNT]  # fmt: skip
EXERCISES = [*PROBES, *VERDICTS]
