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


# --- what is no embedding ---------------------------------------------------------------------------------------
GOOD = torch.eye(4)
SHAPES = {
    "numpy": GOOD.numpy(), "list": GOOD.tolist(), "one row": GOOD[0], "three axes": GOOD[None],
    "other width": GOOD[:, :3], "empty": GOOD[:0], "None": None,
}  # fmt: skip


@pytest.mark.parametrize("wrong", SHAPES)
def test_wrong_shapes_are_one_sentence(wrong):
    from rsnb import losses
    from rsnb.measures import similarity
    from rsnb.measures.ties import recall, ties

    x, owner = SHAPES[wrong], torch.arange(4)
    calls = [lambda: losses.triplet(GOOD, x), lambda: losses.clip_loss(x, GOOD), lambda: losses.hmmc(GOOD, x, x, GOOD)]
    calls += [lambda f=f: f(x, GOOD, owner) for f in (ranks, recall, ties)]
    calls += [lambda: similarity.alignment(x, GOOD), lambda: similarity.hardest_in_batch(GOOD, x, batch_size=2)]
    calls += [lambda: similarity.cosine(GOOD, x)] if wrong != "None" else [lambda: similarity.cosine(x)]
    for call in calls:
        with pytest.raises(RsnbError, match="needs tensors") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_have_no_rank(bad, tiny_world):
    import rsnb

    x = GOOD.clone()
    x[1, 2] = bad
    with pytest.raises(RsnbError, match="not all finite"):
        ranks(x, GOOD, torch.arange(4))
    with pytest.raises(RsnbError, match="finite numbers from 0"):
        recalls(torch.tensor([0.0, bad]), torch.tensor([0.0, 1.0]))
    clip = rsnb.load_clip("mini")
    with torch.no_grad():
        clip.model.text_projection[0, 0] = bad
    with pytest.raises(RsnbError, match="not all finite"):
        rsnb.evaluate(clip, rsnb.load_dataset(str(tiny_world), "test"))


@pytest.mark.parametrize(
    "owner", [torch.zeros(4, 1), torch.zeros(4), [0, 1, 2], ["a"] * 4, torch.zeros(4).bool(), None]
)
def test_an_owner_that_is_none(owner):
    with pytest.raises(RsnbError):
        ranks(GOOD, GOOD, owner)


@pytest.mark.parametrize("method", [None, "mrs"])
def test_towers_name_what_they_need(method):
    import rsnb

    clip = rsnb.load_clip("mini")
    model = clip if method is None else rsnb.adapt(clip, method)
    pixels, tokens = torch.zeros(2, 3, 60, 60), clip.tokenizer(["a pond", "a park"])
    assert model.encode_image(pixels).shape == model.encode_text(tokens).shape == (2, 128)
    for wrong in (pixels[0], pixels[:, :1], pixels[..., 1:], pixels.byte(), pixels.numpy(), [pixels], None):
        with pytest.raises(RsnbError, match=r"encode_image needs float pixels of shape \(N, 3, 60, 60\)"):
            model.encode_image(wrong)
    for wrong in (tokens[0], tokens[:, 1:], tokens.float(), tokens.bool(), tokens.numpy(), ["a pond"], None):
        with pytest.raises(RsnbError, match=r"encode_text needs whole numbers of shape \(N, 32\)"):
            model.encode_text(wrong)
