from __future__ import annotations

import pytest
import reference
import torch
import torch.nn.functional as F

from rsnb.errors import RsnbError
from rsnb.evaluation import ranks, recalls


def random_case(n, counts, seed=0, d=16):
    rng = torch.Generator().manual_seed(seed)
    owner = torch.tensor([i for i, c in enumerate(counts) for _ in range(c)])
    image = F.normalize(torch.randn(n, d, generator=rng), dim=-1)
    text = F.normalize(image[owner] + 1.2 * torch.randn(len(owner), d, generator=rng), dim=-1)
    return image, text, owner


@pytest.mark.parametrize("counts", [[5] * 40, [1] * 40, [(i % 7) + 1 for i in range(40)]])
@pytest.mark.parametrize("block", [7, 1024])
def test_recalls_equal_sorting(counts, block):
    image, text, owner = random_case(40, counts)
    ours = recalls(*ranks(image, text, owner, block=block))
    plain = reference.recalls_by_sorting(image @ text.T, owner.tolist())
    assert ours == pytest.approx(plain)
    assert 0 < ours["text_r1"] < 100


def test_ties_rank_in_the_order_of_the_data():
    image = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    text_ranks, image_ranks = ranks(image, text, torch.arange(3))
    assert text_ranks.tolist() == [0, 1, 0] and image_ranks.tolist() == [0, 1, 0]
    plain = reference.recalls_by_sorting(image @ text.T, [0, 1, 2])
    assert recalls(text_ranks, image_ranks) == pytest.approx(plain)


def test_by_hand_any_of_the_captions_counts():
    """Image 0 has captions 0 and 1; caption 1 is nearest, caption 0 is far: a hit at 1 all the same."""
    image = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), dim=-1)
    text = F.normalize(torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]]), dim=-1)
    text_ranks, image_ranks = ranks(image, text, torch.tensor([0, 0, 1]))
    assert text_ranks.tolist() == [0, 1]  # for image 1, caption 0 (of image 0) is nearer than its own
    assert image_ranks.tolist() == [1, 0, 0]
    assert recalls(text_ranks, image_ranks, ks=(1,)) == pytest.approx({"text_r1": 50.0, "image_r1": 200 / 3})


def test_an_image_without_captions_is_never_a_hit():
    image, text, owner = random_case(3, [2, 0, 2])
    assert ranks(image, text, owner)[0][1] == 4


def test_mismatched_input_is_named():
    image, text, owner = random_case(4, [1] * 4)
    with pytest.raises(RsnbError, match="do not belong together"):
        ranks(image[:2], text, owner)


def test_memory_is_bounded_by_the_block():
    from rsnb.measures.costs import LargestTensor

    image, text = (F.normalize(torch.randn(n, 4), dim=1) for n in (40, 9_000))
    owner = torch.arange(9_000) % 40
    with LargestTensor() as largest:
        whole = ranks(image, text, owner)
    assert largest.numbers >= 40 * 9_000, "small enough for one block"
    with LargestTensor() as largest:
        parts = ranks(image, text, owner, block=50_000)
    assert largest.numbers <= 50_000, "no tensor beyond the block, whatever the number of captions"
    assert all(torch.equal(a, b) for a, b in zip(whole, parts))
