"""Exercises of notebook 3: the adapter and its training."""

from rsnb.classroom.exercises.lesson3 import adapter, epoch, loss

EXERCISES = [*adapter.EXERCISES, *loss.EXERCISES, *epoch.EXERCISES]
