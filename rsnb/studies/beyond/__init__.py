"""The road beyond the paper: what each part of a recipe is worth, and where it ends."""
