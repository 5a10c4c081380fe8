"""The other methods of the paper's table, each as its own paper has it."""
