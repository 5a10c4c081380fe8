"""Exercises of notebook 10: a probe for each broken invariant, and what to say of those that break none.

A probe is judged on small suspects built here: sound ones and broken ones, of other sizes and with other numbers than
those of the notebook, some with a high mR and some with a low one, so that no number tells which is which.
"""

from rsnb.classroom.exercises.lesson10.counts import PROBE_E, PROBE_J
from rsnb.classroom.exercises.lesson10.embeddings import PROBE_A, PROBE_D, PROBE_I
from rsnb.classroom.exercises.lesson10.training import PROBE_B, PROBE_F, PROBE_G
from rsnb.classroom.exercises.lesson10.verdicts import VERDICT_C, VERDICT_H

EXERCISES = [PROBE_A, PROBE_B, VERDICT_C, PROBE_D, PROBE_E, PROBE_F, PROBE_G, VERDICT_H, PROBE_I, PROBE_J]
