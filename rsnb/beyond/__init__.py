"""Beyond the paper: a recipe within its budget, and later methods on the same mechanism."""
