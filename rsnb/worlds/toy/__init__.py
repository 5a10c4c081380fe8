"""The toy overhead world: drawn remote-sensing scenes of 22 classes with five captions each.

``python -m rsnb.worlds.toy --out DIR`` writes it, ``--check`` compares a folder with what the code draws.
Files: ``draw`` (canvas, noise), ``parts`` and ``places`` (what stands in a scene), ``scenes*`` (one function
per class), ``phrases``, ``words`` and ``captions`` (the sentences), ``build`` (files on disk).
"""

from __future__ import annotations

from rsnb.worlds.toy.build import build, check
from rsnb.worlds.toy.scenes import CLASSES

__all__ = ["CLASSES", "build", "check"]
