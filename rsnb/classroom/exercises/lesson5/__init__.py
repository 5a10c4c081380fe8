"""Exercises of notebook 5: methods in a few lines, and what a difference between two of them is worth."""

from rsnb.classroom.exercises.lesson5 import claims, methods

EXERCISES = [*methods.EXERCISES, *claims.EXERCISES]
