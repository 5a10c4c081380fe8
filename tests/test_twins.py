"""Batches with a chosen share of twins."""

from __future__ import annotations

from collections import Counter

import pytest

import rsnb
from rsnb.data.twins import TwinBatches
from rsnb.errors import RsnbError
from rsnb.studies.ablation.lab import Lab
from rsnb.studies.ablation.spec import Spec, vary

SIZE = 16


@pytest.fixture(scope="module")
def train():
    return rsnb.load_dataset("toy", "train")


def labels_of(train, batch, alike):
    (captions, owner), classes = train.captions, train.labels
    return [captions[c] if alike == "caption" else classes[owner[c]] for c in batch]


@pytest.mark.parametrize("alike", ["caption", "class"])
@pytest.mark.parametrize("share, twins", [(0, 0), (0.25, 4), (0.5, 8), (0.45, 8), (1, 16)])
def test_a_batch_has_as_many_twins_as_asked_and_no_other_two_alike(train, alike, share, twins):
    batches, owner = TwinBatches(share, alike, SIZE)(train, 1), train.captions[1]
    assert len(batches) == len(train) // SIZE
    for batch in batches:
        counts = Counter(labels_of(train, batch, alike)).values()
        assert len(batch) == SIZE and sum(n for n in counts if n > 1) == twins and max(counts) <= 2
        assert len({owner[c] for c in batch}) == SIZE, "an image stands in a batch once"


def test_images_come_once_as_long_as_they_suffice(train):
    batches = TwinBatches(0, "caption", SIZE)(train, 1)
    owner = train.captions[1]
    images = [owner[c] for batch in batches for c in batch]
    assert len(set(images)) == len(images) == len(train) // SIZE * SIZE


def test_seed_and_epoch_alone_decide(train):
    draw = TwinBatches(0.5, "class", SIZE, seed=1)
    assert draw(train, 1) == draw(train, 1) != draw(train, 2)
    assert TwinBatches(0.5, "class", SIZE, seed=2)(train, 1) != draw(train, 1)


def test_what_cannot_be_dealt_is_said(train):
    with pytest.raises(
        RsnbError, match="no batch of 64 pairs with 0 twins and otherwise classes that differ.*22 classes"
    ):
        TwinBatches(0, "class", 64)(train, 1)


def test_twins_are_an_axis_of_the_lab(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=64)
    plain = Spec(rsnb.TrainConfig(epochs=1, batch_size=8, precision="fp32", loss="clip"))
    some = vary(vary(plain, "data.twins", 0.5), "data.alike", "class")
    assert lab.key(plain, 0)["settings"].keys() == {"config", "share"}, "the key of other cells is as it was"
    cell = lab.cell(some, 0)
    assert cell.steps == lab.steps(some) == 64 // 8 and cell.spec == some and cell.hash != lab.cell(plain, 0).hash
    with pytest.raises(RsnbError, match=r"data\.twins is 1\.5"):
        vary(plain, "data.twins", 1.5)
    with pytest.raises(RsnbError, match=r"data\.alike is 'colour'"):
        vary(plain, "data.alike", "colour")
