"""What of the paper's printed numbers adds up."""
