"""What a bug is worth in mR, and how far other test images could move that."""

from __future__ import annotations

from collections import Counter

from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.measures.difference import Hits, difference, gaps_of_images
from rsnb.measures.ties import hits
from rsnb.studies.ablation.counting import hits_of_images, mean_recall

NEAR = 0.5  # mR: what ties may move


def damage(shown: Suspect, honest: Suspect) -> str:
    """The mR that a suspect shows minus that of its repaired run, in a sentence.

    With a 95 % interval over test images (the two trained models as they are), where both rank the same images and
    count as their embeddings say; where the bug is in the counting or in the list of images, no images can be paired.
    """
    said = f"mR shown {shown.mr:.1f}, honest {honest.mr:.1f}: the bug is worth {shown.mr - honest.mr:+.1f}"
    one, other = _hits(shown), _hits(honest)
    if shown.gallery != honest.gallery or one is None or other is None:
        return f"{said} (no interval: the two do not count the same things)"
    gap = difference([gaps_of_images(one, other)])
    if gap.low == gap.high == 0:
        return f"{said}, and no image's rank changes"
    settled = "either sign is possible" if gap.low < 0 < gap.high else "the sign stays"
    return f"{said}, {gap.low:+.1f} to {gap.high:+.1f} with other test images: {settled}"


def _hits(suspect: Suspect) -> Hits | None:
    """Of each image, as its embeddings say; None where the reported mR is another."""
    owners = Counter(suspect.owner.tolist())
    captions = tuple(owners[image] for image in range(len(suspect.image)))
    found = hits_of_images(hits(suspect.image, suspect.text, suspect.owner), captions)
    return (*found, captions) if abs(mean_recall(*found, captions) - suspect.mr) < NEAR else None
