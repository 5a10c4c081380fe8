"""The toy overhead world: drawn remote-sensing scenes of 22 classes with five captions each.

``rsnb toy --out DIR`` writes it, ``rsnb toy --check`` compares a folder with what the code draws.
Files: ``draw`` (canvas, noise), ``parts`` and ``places`` (what stands in a scene), ``scenes*`` (one function
per class), ``phrases``, ``words`` and ``captions`` (the sentences), ``build`` (files on disk).
"""

from __future__ import annotations

from rsnb.worlds.toy.build import build_toy, check_toy
from rsnb.worlds.toy.scenes import CLASSES

__all__ = ["CLASSES", "build_toy", "check_toy"]
