"""Exercises of notebook 12: where tiles begin, how unusual a score is, and a threshold chosen on ten labels."""

from rsnb.classroom.exercises.lesson12 import cutting, scores

EXERCISES = [*cutting.EXERCISES, *scores.EXERCISES]
