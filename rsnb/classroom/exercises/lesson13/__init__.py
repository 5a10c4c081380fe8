"""Exercises of notebook 13: eight turns, a shared target, a rate that warms up, a budget, and the best of k tries."""

from rsnb.classroom.exercises.lesson13 import budget, luck, rates, targets, turning

EXERCISES = [
    *turning.EXERCISES, *targets.EXERCISES, *rates.EXERCISES, *budget.EXERCISES, *luck.EXERCISES
]  # fmt: skip
