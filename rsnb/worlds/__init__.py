"""Everything drawn: the toy world, the web world, and the mini CLIP pre-trained on the latter."""
