"""Recall with ties, ceilings, intervals and the published counting, held against enumeration and plain loops."""

from __future__ import annotations

import itertools
import math
import re
import warnings

import numpy as np
import pytest
import reference
import torch
import torch.nn.functional as F

from rsnb.base.recalls import RECALLS
from rsnb.data import load_dataset
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.evaluation import ranks, recalls
from rsnb.measures import ties
from rsnb.measures.bootstrap import intervals, recall_difference, resample
from rsnb.measures.ceiling import as_read, ceiling, shared_captions
from rsnb.measures.summary import summarise
from rsnb.measures.ties import chance_of_hit


def tied_case(images=4, captions=7, levels=3, seed=0, copies=True):
    """Embeddings of small whole numbers: similarities are exact, and many are equal."""
    rng = torch.Generator().manual_seed(seed)
    image = torch.randint(levels, (images, 2), generator=rng).float()
    text = torch.randint(levels, (captions, 2), generator=rng).float()
    owner = torch.cat([torch.arange(images), torch.randint(images, (captions - images,), generator=rng)])
    return image, text, owner[torch.randperm(captions, generator=rng)]


def untied_case(images=40, each=5, d=16, seed=0):
    rng = torch.Generator().manual_seed(seed)
    owner = torch.arange(images).repeat_interleave(each)
    image = F.normalize(torch.randn(images, d, generator=rng), dim=-1)
    text = F.normalize(image[owner] + 1.2 * torch.randn(len(owner), d, generator=rng), dim=-1)
    return image, text, owner


def repeated_case(images=60, texts=40, d=16, seed=0):
    """Unit embeddings; five captions an image out of few texts, so that most texts describe several images."""
    rng = torch.Generator().manual_seed(seed)
    image = F.normalize(torch.randn(images, d, generator=rng), dim=-1)
    meaning = F.normalize(torch.randn(texts, d, generator=rng), dim=-1)
    words = (image @ meaning.T).topk(8).indices.gather(1, torch.randint(8, (images, 5), generator=rng)).flatten()
    return image, meaning[words], torch.arange(images).repeat_interleave(5), [f"text {w}" for w in words.tolist()]


def every_order(s, right, ks):
    """Mean, best and worst hit of one query over all orders of the gallery that its similarities s allow."""
    hits = []
    for shuffled in itertools.permutations(range(len(s))):
        order = sorted(shuffled, key=lambda j: -s[j])  # a stable sort of a shuffled list: ties in random order
        hits.append([any(j in right for j in order[:k]) for k in ks])
    hits = np.array(hits, dtype=float)
    return hits.mean(axis=0), hits.max(axis=0), hits.min(axis=0)


# --- ties -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
def test_expected_and_bounds_equal_all_orders_of_the_ties(seed):
    image, text, owner = tied_case(seed=seed)
    s, ks = (image @ text.T).tolist(), (1, 2, 3, 5)
    per_image = [every_order(s[i], {j for j in range(7) if owner[j] == i}, ks) for i in range(4)]
    per_caption = [every_order([row[j] for row in s], {int(owner[j])}, ks) for j in range(7)]
    for at, counting in enumerate(("expected", "optimistic", "pessimistic")):
        found = ties.hits(image, text, owner, counting, ks=ks)
        assert found.text.numpy() == pytest.approx(np.array([q[at] for q in per_image]))
        assert found.image.numpy() == pytest.approx(np.array([q[at] for q in per_caption]))
    assert ties.recall(image, text, owner, "optimistic") != ties.recall(image, text, owner, "pessimistic")


def test_chance_is_hypergeometric():
    cases = [(r, g, o) for g in range(1, 30) for o in range(g + 1) for r in range(-2, g + 3)]
    r, g, o = torch.tensor(cases).T
    plain = [1 - math.comb(b - c, min(max(a, 0), b)) / math.comb(b, min(max(a, 0), b)) for a, b, c in cases]
    found = chance_of_hit(r, g, o)
    assert found.tolist() == pytest.approx(plain, abs=1e-12)
    assert ((found >= 0) & (found <= 1)).all()
    alone = o == 1
    assert found[alone].tolist() == pytest.approx((r / g).clamp(0, 1)[alone].tolist())


def test_by_hand():
    """Image 0 is as near to its own caption as to the two of image 1; nothing else is near."""
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    to_text, to_image = ties.ties(image, text, torch.tensor([1, 0, 1, 1]))
    assert (to_text.ahead.tolist(), to_text.own.tolist(), to_text.foreign.tolist()) == ([0, 0], [1, 1], [2, 0])
    assert (to_image.ahead.tolist(), to_image.foreign.tolist()) == ([1, 0, 1, 0], [0, 0, 0, 0])
    assert to_text.hits(1).tolist() == pytest.approx([1 / 3, 1])
    assert to_text.hits(2).tolist() == pytest.approx([2 / 3, 1]) and to_text.hits(3).tolist() == [1, 1]
    assert to_text.hits(1, "optimistic").tolist() == [1, 1]
    assert to_text.hits(2, "pessimistic").tolist() == [0, 1] and to_text.hits(3, "pessimistic").tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(20))
def test_every_sort_lies_between_the_bounds(seed):
    image, text, owner = tied_case(30, 90, 4, seed)
    low, high = (ties.recall(image, text, owner, name) for name in ("pessimistic", "optimistic"))
    assert high["mr"] > low["mr"]
    for counting in ("sort", "authors", "expected"):
        found = ties.recall(image, text, owner, counting)
        assert all(low[name] - 1e-9 <= found[name] <= high[name] + 1e-9 for name in (*RECALLS, "mr")), counting


def test_the_sort_order_decides_and_expected_is_its_mean():
    """Shuffling the data set changes the sorted recall and leaves the expected one; they agree on average."""
    image, text, owner, _ = repeated_case()
    expected, rng, found = ties.recall(image, text, owner), torch.Generator().manual_seed(1), []
    for _ in range(400):
        a, b = torch.randperm(len(image), generator=rng), torch.randperm(len(text), generator=rng)
        again = image[a], text[b], a.argsort()[owner[b]]
        found.append(ties.recall(*again, "sort")["mr"])
        if len(found) <= 3:
            assert ties.recall(*again) == pytest.approx(expected)
    found = torch.tensor(found)
    assert found.max() - found.min() > 1
    assert abs(found.mean() - expected["mr"]) < 4 * found.std() / len(found) ** 0.5


def test_without_ties_all_countings_agree():
    for each in (1, 5):
        image, text, owner = untied_case(each=each)
        plain = reference.recalls_by_sorting(image @ text.T, owner.tolist())
        for counting in ties.COUNTINGS:
            found = ties.recall(image, text, owner, counting)
            assert found.pop("mr") == pytest.approx(sum(plain.values()) / 6)
            assert found == pytest.approx(plain), counting


def test_blocks_do_not_matter_and_bound_the_memory():
    from rsnb.measures.costs import LargestTensor

    image, text, owner = tied_case(40, 3_000, 50, seed=2)
    whole, parts = ties.ties(image, text, owner), ties.ties(image, text, owner, block=7)
    assert all(torch.equal(a, b) for x, y in zip(whole, parts) for a, b in zip(vars(x).values(), vars(y).values()))
    text = torch.randn(9_000, 4)
    with LargestTensor() as largest:
        ties.ties(image[:, :1].expand(-1, 4), text, torch.arange(9_000) % 40, block=50_000)
    assert largest.numbers <= 50_000, "no tensor beyond the block, whatever the number of captions"


def test_equal_captions_tie_whatever_the_shape_of_the_product():
    """Products of few rows may round equal columns differently; each distinct caption is multiplied once."""
    for n, m, d in ((1, 37, 512), (7, 23, 16), (3, 41, 100)):
        rng = torch.Generator().manual_seed(n)
        image, meaning = torch.randn(n, d, generator=rng), torch.randn(1, d, generator=rng)
        text, owner = meaning.expand(m, d), torch.arange(m) % n
        to_text, _ = ties.ties(image, text, owner)
        assert (to_text.ahead == 0).all() and (to_text.own + to_text.foreign == m).all()


def test_tolerance_joins_what_rounding_parted():
    """As if every repeat of a caption were encoded in another batch."""
    image, text, owner, _ = repeated_case()
    image, text = image.double(), text.double()
    noisy = text + 1e-8 * torch.randn(text.shape, generator=torch.Generator().manual_seed(0)).double()
    exact, parted = ties.ties(image, text, owner)[0], ties.ties(image, noisy, owner)[0]
    assert (exact.foreign > 0).any() and (parted.foreign == 0).all()
    joined = ties.ties(image, noisy, owner, tolerance=1e-6)[0]
    assert all(torch.equal(getattr(joined, name), getattr(exact, name)) for name in vars(exact))
    assert ties.recall(image, noisy, owner, tolerance=1e-6) == pytest.approx(ties.recall(image, text, owner))


def test_an_image_without_captions_is_never_a_hit():
    image, text, owner = untied_case(3, 2)
    for counting in ("expected", "optimistic", "pessimistic", "authors"):
        found = ties.hits(torch.cat([image, image[:1]]), text, owner, counting)
        assert found.text[3].tolist() == [0, 0, 0]
    whole = summarise(torch.cat([image, -image[:1]]), text, owner, [str(i) for i in range(6)])
    assert whole.ceiling["text_r10"] == 75


def test_bad_input_is_named():
    image, text, owner = untied_case(4, 1)
    with pytest.raises(RsnbError, match="do not belong together"):
        ties.ties(image[:2], text, owner)
    with pytest.raises(RsnbError, match="unknown counting 'best'; there are: expected, sort, authors"):
        ties.recall(image, text, owner, "best")
    with pytest.raises(RsnbError, match="not all finite"):
        ties.hits(image, text * torch.nan, owner)
    with pytest.raises(RsnbError, match="tolerance is -1"):
        ties.ties(image, text, owner, tolerance=-1)
    with pytest.raises(RsnbError, match="3 captions do not belong to 4"):
        summarise(image, text, owner, ["a", "b", "c"])
    with pytest.raises(RsnbError, match="captions of one text have different embeddings"):
        summarise(image, text, owner, ["a", "b", "c", "a"])
    with pytest.raises(RsnbError, match="unknown order 'worst'"):
        ceiling(["a"], [0], order="worst")
    with pytest.raises(RsnbError, match="level of an interval is 95"):
        intervals(ties.hits(image, text, owner), level=95)


# --- the published counting -------------------------------------------------------------------------------------
def authors_plainly(sims, images):
    """The published counting restated: five captions an image, ranks by a reversed argsort, recalls, their mean."""
    first_caption, own_image = [], []
    for i in range(images):
        order = list(np.argsort(sims[i])[::-1])
        first_caption.append(min(order.index(j) for j in range(5 * i, 5 * i + 5)))
    for j in range(5 * images):
        own_image.append(list(np.argsort(sims.T[j])[::-1]).index(j // 5))
    found = {f"text_r{k}": 100.0 * sum(r < k for r in first_caption) / images for k in (1, 5, 10)}
    found |= {f"image_r{k}": 100.0 * sum(r < k for r in own_image) / (5 * images) for k in (1, 5, 10)}
    return {**found, "mr": sum(found.values()) / 6}


@pytest.mark.parametrize("seed", range(3))
def test_authors_counting_equals_its_restatement(seed):
    image, text, owner = untied_case(seed=seed)
    plain = authors_plainly((image.double() @ text.double().T).numpy(), 40)
    assert ties.recall(image, text, owner, "authors") == pytest.approx(plain)
    ours = recalls(*ranks(image, text, owner))
    assert {name: plain[name] for name in ours} == pytest.approx(ours), "without ties it is what rsnb counts"

    rng = torch.Generator().manual_seed(seed)
    image, text = (torch.randint(3, (n, 3), generator=rng).float() for n in (40, 200))
    plain = authors_plainly((image.double() @ text.double().T).numpy(), 40)
    assert ties.recall(image, text, owner, "authors") == pytest.approx(plain)
    found = ties.authors_ranks(image, text, owner)
    assert recalls(*found) == pytest.approx({name: plain[name] for name in RECALLS})
    blocks = ties.authors_ranks(image, text, owner, block=50)
    assert all(torch.equal(a, b) for a, b in zip(blocks, found))


def test_a_reversed_stable_sort_is_the_data_set_backwards():
    image, text, owner = tied_case(30, 90, 3, seed=5)
    back = ranks(image.flip(0), text.flip(0), len(image) - 1 - owner.flip(0))
    to_text, to_image = ties.authors_ranks(image, text, owner, kind="stable")
    assert torch.equal(to_text, back[0].flip(0)) and torch.equal(to_image, back[1].flip(0))
    assert not torch.equal(to_text, ranks(image, text, owner)[0])


# --- ceilings ---------------------------------------------------------------------------------------------------
POOLS = (
    (["a", "a", "b", "b", "b", "c"], [0, 1, 0, 1, 1, 2]),
    (["a", "a", "a", "a", "b", "b"], [0, 0, 1, 2, 1, 2]),
    (["a", "b", "a", "c", "a", "b"], [0, 0, 1, 1, 2, 2]),
    (["a", "a", "a", "a", "a", "a"], [0, 0, 0, 1, 1, 2]),
)


@pytest.mark.parametrize("captions, owner", POOLS)
def test_text_ceiling_is_the_best_of_all_orders_of_the_texts(captions, owner):
    ks, found = (1, 2, 3, 4), []
    for image in range(3):
        right, per_order = {j for j, o in enumerate(owner) if o == image}, []
        for texts in itertools.permutations(sorted(set(captions))):
            s = [-texts.index(text) for text in captions]
            per_order.append(every_order(s, right, ks)[0])
        found.append(np.max(per_order, axis=0))
    ours = ceiling(captions, owner, ks)
    assert [ours[f"text_r{k}"] for k in ks] == pytest.approx(list(100 * np.mean(found, axis=0)))


@pytest.mark.parametrize("captions, owner", POOLS)
def test_image_ceilings_are_mean_and_best_of_all_orders_of_the_sharing_images(captions, owner):
    ks = (1, 2, 3)
    mean, best = np.zeros(3), np.zeros(3)
    for text in set(captions):
        asked = [o for o, c in zip(owner, captions) if c == text]  # one query each, all of one ranking
        orders = list(itertools.permutations(sorted(set(asked))))
        hits = np.array([[sum(o in order[:k] for o in asked) for k in ks] for order in orders])
        mean, best = mean + hits.mean(axis=0), best + hits.max(axis=0)
    for order, plain in (("chance", mean), ("best", best)):
        ours = ceiling(captions, owner, ks, order=order)
        assert [ours[f"image_r{k}"] for k in ks] == pytest.approx(list(100 * plain / len(captions)))
        assert ours["mr"] == pytest.approx(sum(v for name, v in ours.items() if name != "mr") / 6)


def test_captions_that_nobody_shares_leave_no_limit():
    captions, owner = [f"text {i}" for i in range(12)], [i // 3 for i in range(12)]
    for order in ("chance", "best"):
        assert set(ceiling(captions, owner, order=order).values()) == {100.0}
    assert shared_captions(captions, owner) == 0
    assert shared_captions(["a", "a", "b", "a"], torch.tensor([0, 0, 1, 2])) == 3


def test_no_model_passes_the_ceiling():
    """A model that is told the answer, and breaks ties at random, stays below; text to image reaches the best."""
    image, text, owner, captions = repeated_case(seed=3)
    top = ceiling(captions, owner, order="best")
    told = torch.zeros(60, 60)
    told[torch.arange(60), torch.arange(60)] = 1
    seen = torch.stack([sum(told[o] for o, c in zip(owner.tolist(), captions) if c == text) for text in captions])
    found = ties.recall(told, seen, owner)
    assert all(found[name] <= top[name] + 1e-9 for name in top)
    assert found["image_r5"] == pytest.approx(ties.recall(told, seen, owner, "sort")["image_r5"])
    assert all(ties.recall(image, text, owner)[name] < top[name] + 1e-9 for name in top)


# --- intervals --------------------------------------------------------------------------------------------------
def drawn_hits(rng, images=80, each=5):
    """Hits of images that are hard or easy for all of their captions: the recalls of the population are 50 %."""
    easy = torch.rand(images, 1, generator=rng)
    text = (torch.rand(images, 3, generator=rng) < easy).double()
    owner = torch.arange(images).repeat_interleave(each)
    image = (torch.rand(images * each, 3, generator=rng) < easy[owner]).double()
    return ties.Hits(text, image, owner)


def test_coverage_is_about_nominal_and_captions_are_not_independent():
    rng, inside, width = torch.Generator().manual_seed(0), torch.zeros(7), 0.0
    for trial in range(400):
        ends = intervals(drawn_hits(rng), draws=400, seed=trial)
        inside += torch.tensor([low <= 50 <= high for low, high in ends.values()])
        width += (ends["image_r1"][1] - ends["image_r1"][0]) / 400
    assert ((inside > 0.91 * 400) & (inside < 0.98 * 400)).all(), inside / 400
    single = 2 * 1.96 * 100 * (0.25 / 400) ** 0.5  # were the 400 captions independent
    assert width > 1.3 * single


def test_intervals_hold_the_recall_and_depend_on_the_seed_alone():
    found = drawn_hits(torch.Generator().manual_seed(4))
    ends = intervals(found)
    assert list(ends) == [*RECALLS, "mr"]
    assert all(low < found.recalls[name] < high for name, (low, high) in ends.items())
    assert ends == intervals(found) and ends != intervals(found, seed=1)
    narrow = intervals(found, level=0.5)
    assert all(ends[name][0] < narrow[name][0] < narrow[name][1] < ends[name][1] for name in ends)


def test_resampling_is_drawing_images_with_their_captions():
    """Two images, one found by everything and one by nothing: a sample is 0, 50 or 100 with 1 : 2 : 1."""
    captions = torch.tensor([0, 1, 1, 1])
    found = ties.Hits(torch.tensor([[1.0], [0.0]]).double(), (captions == 0).double()[:, None], captions, (1,))
    drawn = resample(found, draws=4000)
    assert drawn.shape == (4000, 3) and found.names == ["text_r1", "image_r1", "mr"]
    shares = [(drawn[:, 0] == value).double().mean().item() for value in (0, 50, 100)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    mixed = drawn[drawn[:, 0] == 50]
    assert mixed[0].tolist() == pytest.approx([50, 25, 37.5]), "of the mixed sample's four captions one is found"


def test_identical_models_differ_by_exactly_nothing():
    image, text, owner, _ = repeated_case()
    found = ties.hits(image, text, owner)
    for value in recall_difference(found, ties.hits(image, text, owner)).values():
        assert value == (0, 0, 0)


def test_a_paired_difference_of_equals_holds_zero_and_a_true_one_does_not():
    rng, holds = torch.Generator().manual_seed(9), 0
    for trial in range(100):
        easy = torch.rand(80, 1, generator=rng)
        owner = torch.arange(80)
        one, two = (ties.Hits(*((torch.rand(80, 3, generator=rng) < easy).double() for _ in "ab"), owner) for _ in "ab")
        found = recall_difference(one, two, draws=300, seed=trial)["mr"]
        assert found.low <= found.value <= found.high
        holds += found.low <= 0 <= found.high
    assert 88 <= holds <= 99
    image, text, owner = untied_case(images=100)
    good = ties.hits(image, text, owner)
    poor = ties.hits(image, text + 0.3 * torch.randn(text.shape, generator=rng), owner)
    found, back = recall_difference(good, poor)["mr"], recall_difference(poor, good)["mr"]
    assert found.low > 0 and found.value == pytest.approx(good.recalls["mr"] - poor.recalls["mr"])
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    alone = intervals(good)["mr"]
    assert found.high - found.low < 1.2 * (alone[1] - alone[0]), "what both find hard cancels"


def test_a_pair_must_be_of_one_split():
    a, b = (ties.hits(*untied_case(images=n)) for n in (10, 12))
    with pytest.raises(RsnbError, match="same split and the same K: found 10 images, 50 captions"):
        recall_difference(a, b)
    with pytest.raises(RsnbError, match="same split"):
        recall_difference(a, ties.Hits(a.text, a.image, a.owner.flip(0)))


# --- the report -------------------------------------------------------------------------------------------------
def test_report():
    image, text, owner, captions = repeated_case()
    found = summarise(image, text, owner, captions, draws=500)
    rows = found.table()
    assert [row["recall"] for row in rows] == ["i2t R@1", "i2t R@5", "i2t R@10", "t2i R@1", "t2i R@5", "t2i R@10", "mR"]
    assert rows[0].keys() == {
        "recall",
        "expected",
        "as sorted",
        "ties lowest",
        "ties highest",
        "interval low",
        "interval high",
        "ceiling",
        "share of ceiling",
    }
    for row in rows:
        assert row["ties lowest"] <= row["expected"] <= row["ties highest"] <= 100
        assert row["ties lowest"] <= row["as sorted"] <= row["ties highest"]
        assert row["interval low"] <= row["expected"] <= row["interval high"]
        assert row["share of ceiling"] == pytest.approx(100 * row["expected"] / row["ceiling"], abs=0.1)
    assert rows[0]["ties highest"] > rows[0]["ties lowest"]
    assert found.expected == ties.recall(image, text, owner)
    assert found.sort == ties.recall(image, text, owner, "sort")
    words = found.sentence()
    assert words.startswith("On 60 images and 300 captions, ") and "also describe another image" in words
    for number in (found.expected["mr"], found.low["mr"], found.high["mr"], found.ceiling["mr"]):
        assert f"{number:.1f}" in words
    assert "\n" not in words and "500 draws" in words

    bare = summarise(*untied_case(), draws=100)
    assert bare.ceiling is None and bare.share is None and "ceiling" not in bare.table()[0]
    assert bare.low["mr"] == pytest.approx(bare.high["mr"]), "there are no ties"
    assert re.findall(r"\d+\.\d", bare.sentence())[-2:] == [f"{end:.1f}" for end in bare.interval["mr"]], "and no more"


def read_to(length):
    """A tokenizer of words that reads so many of them, in lower case."""

    def tokenizer(texts):
        rows = [[hash(word) % 2**31 for word in text.lower().split()[:length]] for text in texts]
        return torch.tensor([row + [0] * (length - len(row)) for row in rows])

    return tokenizer


def test_the_ceiling_counts_as_one_text_what_is_read_alike():
    captions, owner = (
        ["a long view of boats", "a long view of birds", "A long view", "sand"],
        torch.tensor([0, 1, 2, 2]),
    )
    assert as_read(captions, read_to(9)) == captions and as_read([], read_to(9)) == []
    short = as_read(captions, read_to(3))
    assert short == [captions[0]] * 3 + ["sand"]
    assert ceiling(short, owner)["image_r1"] == ceiling(["x", "x", "x", "sand"], owner)["image_r1"] < 100
    assert ceiling(captions, owner)["image_r1"] == 100 and shared_captions(short, owner) == 3
    image = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    text = F.normalize(image[[0, 0, 0, 2]] + torch.tensor([[0.0], [1e-7], [0.0], [0.0]]), dim=-1)
    for length, shared in ((3, 3), (9, 0)):
        found = summarise(image, text, owner, captions, draws=10, tokenizer=read_to(length))
        assert found.shared == shared and found.expected["image_r1"] <= found.ceiling["image_r1"] + 1e-9
    with pytest.raises(RsnbError, match="different embeddings"):
        summarise(image, image[[0, 1, 2, 2]], owner, captions, draws=10, tokenizer=read_to(3))


# --- real captions ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name, shared, text, image, best",
    [
        ("ucm", 868, (48.5, 90.0, 100.0), (38.0, 84.6, 100.0), (38.3, 84.8, 100.0)),
        ("rsicd", 641, (99.7, 100.0, 100.0), (92.6, 99.2, 99.8), (93.1, 99.2, 99.8)),
        ("rsitmd", 6, (100.0, 100.0, 100.0), (99.9, 100.0, 100.0), (99.9, 100.0, 100.0)),
    ],
)
def test_ceilings_of_the_real_test_splits(shared_data, name, shared, text, image, best):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsnbWarning)
        data = load_dataset(name, "test", root=shared_data / f"{name}_precomp", images=False)
    captions, owner = data.captions
    assert shared_captions(captions, owner) == shared
    found, top = (ceiling(captions, owner, images=len(data), order=order) for order in ("chance", "best"))
    assert [round(found[f"text_r{k}"], 1) for k in (1, 5, 10)] == list(text)
    assert [round(found[f"image_r{k}"], 1) for k in (1, 5, 10)] == list(image)
    assert [round(top[f"image_r{k}"], 1) for k in (1, 5, 10)] == list(best)


def test_on_ucm_the_order_of_the_file_moves_the_score(shared_data):
    """Random embeddings on the real captions: equal texts, equal embeddings, as rsnb.evaluation.embed gives them."""
    captions, owner = load_dataset("ucm", "test", root=shared_data / "ucm_precomp", images=False).captions
    rng, texts = torch.Generator().manual_seed(0), list(dict.fromkeys(captions))
    place = torch.tensor([texts.index(caption) for caption in captions])
    image = F.normalize(torch.randn(210, 64, generator=rng), dim=-1)
    meaning = torch.zeros(len(texts), 64).index_add_(0, place, image[torch.tensor(owner)])
    found = summarise(image, F.normalize(meaning, dim=-1)[place], torch.tensor(owner), captions, draws=300)
    assert found.high["text_r1"] - found.low["text_r1"] > 20
    assert all(found.expected[name] <= found.ceiling[name] + 0.5 for name in found.expected)
    assert "868 of which also describe another image" in found.sentence()
