"""Figures of the notebooks: one style, plots, diagrams."""
