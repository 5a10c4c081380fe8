"""Exercises of notebook 1: inspecting a captioned data set."""

from rsnb.classroom.exercises.lesson1 import counts, splits

EXERCISES = [*splits.EXERCISES, *counts.EXERCISES]
