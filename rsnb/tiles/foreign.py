"""How unusual a score is: against sentences about things that no picture from above shows.

An adapted model gives high cosines to everything, so a score alone does not say whether anything was found. Beside
each score stands the share of a fixed set of foreign sentences whose best hit in the same index scores lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from rsnb.evaluation import encode_captions
from rsnb.tiles.exact import nearest
from rsnb.tiles.identity import Encoder

#: 25 things x 8 sentences. The words are everyday ones, which a small vocabulary has too.
THINGS = (
    "a cat", "a dog", "a horse with a rider", "a bird on a branch", "a fish in a bowl", "an elephant",
    "a smiling child", "an old man with a hat", "a woman with an umbrella", "a guitar", "a violin", "a cup of tea",
    "a bottle of wine", "a plate of food", "a birthday cake", "a red apple", "a wooden chair", "a bed with pillows",
    "a clock on a wall", "a pair of shoes", "a castle in the snow", "a rainbow", "the moon at night",
    "a portrait of a king", "a cartoon mouse",
)  # fmt: skip
SENTENCES = (
    "{}", "a photo of {}", "a close view of {}", "{} in a kitchen", "{} under a lamp", "a drawing of {}",
    "{} seen from the front", "two friends and {}",
)  # fmt: skip
FOREIGN = tuple(sentence.format(thing) for thing, sentence in product(THINGS, SENTENCES))


@torch.no_grad()
def best_of_foreign(model: Encoder, blocks: Sequence[np.ndarray]) -> list[float]:
    """The score of the best hit of each foreign sentence, ascending."""
    tokens = model.clip.tokenizer(list(FOREIGN)).to(model.clip.device)
    scores, _ = nearest(blocks, encode_captions(model, tokens).float().cpu().numpy(), 1)
    return sorted(round(float(score), 6) for score in scores[:, 0])


def percentile(scores: Sequence[float], foreign: Sequence[float]) -> np.ndarray:
    """For each score the share, in percent, of the foreign sentences whose best hit scores lower."""
    return 100 * np.searchsorted(np.asarray(foreign), np.asarray(scores), side="left") / max(1, len(foreign))
