"""Exercises of notebook 2: intra-modal similarity."""

from rsnb.classroom.exercises.lesson2 import claims, repeats, similarity

EXERCISES = [*similarity.EXERCISES, *repeats.EXERCISES, *claims.EXERCISES]
