"""Ten pipelines with plausible numbers, some with a silent bug; checks that find it.

A ``Workbench`` runs the pipelines; ``workbench.case("A")`` is a ``Suspect``: what it claims, what it reports, its
source, and handles to examine it by. ``CHECKS`` has one check for each kind of bug; ``confirm`` says whether an
accusation holds, with evidence. Nothing here knows in advance what a check will find.
"""
