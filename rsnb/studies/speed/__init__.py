"""Seconds and memory of the training step, against a plain version of the published method."""
