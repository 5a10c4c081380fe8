"""What is measured on embeddings and models: recall under ties, ceilings, intervals, similarity, costs."""
