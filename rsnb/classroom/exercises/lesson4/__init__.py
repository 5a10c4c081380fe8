"""Exercises of notebook 4: recalls both ways, nearest images, the modality gap, and what t-SNE shows."""

from rsnb.classroom.exercises.lesson4 import claims, recalls, space

EXERCISES = [*recalls.EXERCISES, *space.EXERCISES, *claims.EXERCISES]
