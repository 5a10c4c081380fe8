"""Hand-ins judged: notebooks in, a table of verdicts out; a student's code runs apart from truth and verdict."""
