"""Files as people have them, faults and attacks, tried through the command line and the public Python functions alone.

``make faults`` runs every case and prints how many of each kind are as they should be; ``python -m tests.faults --case
WORDS`` runs those whose name holds the words, and shows all that they print. A case is a row of a table (`captions.py`,
`images.py`, ...): its kind, its name, a function that makes the input, what is run, and what must come of it. What
holds for every case stands in `judge.py`.
"""
