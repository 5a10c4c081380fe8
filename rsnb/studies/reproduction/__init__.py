"""Rows of the paper's table with its settings."""
