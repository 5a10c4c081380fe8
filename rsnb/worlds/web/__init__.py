"""The drawn web world: pictures and alt-text-like captions for pre-training the mini CLIP."""

from __future__ import annotations
