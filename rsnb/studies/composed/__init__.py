"""An image and a few words as the query."""
