"""Studies of embeddings against hand-made values."""

from __future__ import annotations

import json
import math
from itertools import combinations

import pytest
import torch

from rsnb.base import paths
from rsnb.data.words import vocabulary
from rsnb.errors import RsnbError
from rsnb.measures.ceiling import image_retrieval_ceiling
from rsnb.measures.similarity import (
    alignment,
    by_class,
    chance_of_same_class,
    cosine,
    examples,
    expected_same_class,
    hardest_in_batch,
    neighbour_agreement,
    one_caption,
    pair_values,
    space_summary,
    tsne,
    uniformity,
    within_between,
)
from rsnb.studies.runs import average_runs, read_runs, recall_columns, recipe, run_name
from rsnb.worlds.natural import natural_pictures

LABELS = ["b", "a", "b", "a", None]


def unit(*rows):
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def test_cosine_normalises_and_pairs_leave_the_diagonal_out():
    x = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    s = cosine(x)
    half = math.sqrt(0.5)
    assert torch.allclose(s, torch.tensor([[1, 0, half], [0, 1, half], [half, half, 1]]))
    assert torch.allclose(pair_values(s), torch.tensor([0, half, half]))
    assert cosine(x, x[:2]).shape == (3, 2)
    with pytest.raises(RsnbError, match="square"):
        pair_values(s[:2])


def test_within_and_between_classes():
    s = torch.arange(25.0).reshape(5, 5)
    within, between = within_between(s, LABELS)
    assert within.tolist() == [2.0, 8.0]  # (0, 2) of class b, (1, 3) of class a; None is a class of its own
    assert len(between) == 8
    within, between = within_between(s, LABELS, cross=True)
    assert sorted(within.tolist()) == [2.0, 8.0, 10.0, 16.0] and len(between) == 16
    with pytest.raises(RsnbError, match="4 labels"):
        within_between(s, LABELS[:4])


def test_data_without_classes_is_one_group():
    within, between = within_between(torch.zeros(3, 3), [None] * 3)
    assert len(within) == 3 and len(between) == 0
    assert by_class([None] * 3) == ([0, 1, 2], [("unlabelled", 0, 3)])
    assert len(examples([None] * 40)) == 24


def test_order_by_class_keeps_blocks_together():
    order, blocks = by_class(LABELS)
    assert order == [1, 3, 0, 2, 4]
    assert blocks == [("a", 0, 2), ("b", 2, 4), ("unlabelled", 4, 5)]


def test_examples_are_seeded_and_ordered_by_class():
    labels = ["x", "y"] * 10
    chosen = examples(labels, per_class=3, seed=1)
    assert [labels[i] for i in chosen] == ["x"] * 3 + ["y"] * 3 and len(set(chosen)) == 6
    assert chosen == examples(labels, per_class=3, seed=1) != examples(labels, per_class=3, seed=2)


def test_one_caption_belongs_to_its_image():
    owner = [0, 0, 1, 2, 2, 2]
    for seed in range(5):
        assert [owner[c] for c in one_caption(owner, 3, seed)] == [0, 1, 2]
    assert len({tuple(one_caption(owner, 3, seed).tolist()) for seed in range(20)}) > 1
    with pytest.raises(RsnbError, match="1 of 4 images"):
        one_caption(owner, 4)


def test_same_class_numbers_equal_all_batches_counted():
    labels = ["a", "a", "a", "b", "b", "c"]
    batches = list(combinations(range(6), 3))
    others = [sum(labels[i] == labels[j] for j in b if j != i) for b in batches for i in b]
    assert expected_same_class(labels, 3) == pytest.approx(sum(others) / len(others))
    assert chance_of_same_class(labels, 3) == pytest.approx(sum(o > 0 for o in others) / len(others))
    for batch in (1, 7):
        with pytest.raises(RsnbError, match="batch"):
            expected_same_class(labels, batch)


def test_hardest_negative_of_a_batch_that_is_everything():
    a = unit([1, 0], [0, 1], [1, 1])
    found = hardest_in_batch(a, a, ["p", "q", "p"], batch_size=3, items=3)
    by_item = {
        int(i): (float(n), int(at), bool(same))
        for i, n, at, same in zip(found.item, found.negative, found.at, found.same_class)
    }
    half = math.sqrt(0.5)
    assert by_item[0] == (pytest.approx(half), 2, True)
    assert by_item[1] == (pytest.approx(half), 2, False)
    assert by_item[2][0] == pytest.approx(half) and by_item[2][1] in (0, 1)
    assert torch.allclose(found.gap, torch.full((3,), 1 - half), atol=1e-6)
    assert found.inside(0.2) == 0.0 and found.inside(0.3) == 1.0


def test_hardest_negative_is_what_hmmc_sees():
    """The hinge of rsnb.losses over one full batch, from the gaps of both directions."""
    from rsnb.losses import triplet

    rng = torch.Generator().manual_seed(0)
    a, b = (torch.nn.functional.normalize(torch.randn(6, 4, generator=rng), dim=-1) for _ in range(2))
    gaps = [hardest_in_batch(x, y, batch_size=6, items=6).gap for x, y in ((a, b), (b, a))]
    assert sum((0.2 - gap).clamp(min=0).sum() for gap in gaps).item() == pytest.approx(triplet(a, b).item(), abs=1e-5)


def test_alignment_and_uniformity():
    x, y = unit([1, 0], [0, 1]), unit([1, 0], [1, 0])
    assert alignment(x, y) == pytest.approx(1.0)  # squared distances 0 and 2
    assert uniformity(x) == pytest.approx(-4.0, abs=1e-5)  # one pair, squared distance 2, t = 2
    assert uniformity(y) == pytest.approx(0.0, abs=1e-6)
    with_three = unit([1, 0], [0, 1], [1, 0])
    assert uniformity(with_three) == pytest.approx(math.log((1 + 2 * math.exp(-4)) / 3), abs=1e-5)


def test_space_in_one_row():
    image, text = unit([1, 0], [0, 1]), unit([1, 0], [1, 0], [0, 1])
    row = space_summary(image, text, torch.tensor([0, 0, 1]), ["a", "a"])
    assert row["alignment"] == 0.0 and row["image mean"] == pytest.approx(0.0)
    assert row["image within"] == pytest.approx(0.0) and math.isnan(row["image between"])
    assert row["modality gap"] == pytest.approx(math.sqrt(2) / 6, abs=1e-5)


def test_neighbour_agreement():
    x = unit([1, 0], [1, 0.1], [0, 1], [0.1, 1])
    assert neighbour_agreement(x, ["a", "a", "b", "b"], k=1) == 1.0
    assert neighbour_agreement(x, ["a", "b", "a", "b"], k=1) == 0.0


def test_tsne_is_seeded_and_small_sets_are_refused():
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    first = tsne(x, seed=3)
    assert first.shape == (12, 2) and (first == tsne(x, seed=3)).all()
    with pytest.raises(RsnbError, match="at least 4"):
        tsne(x[:3])


def test_vocabulary_and_ceiling():
    assert vocabulary(["Two red planes .", "two planes, side-by-side"]) == {
        "two": 2,
        "red": 1,
        "planes": 2,
        "side-by-side": 1,
    }
    captions, owner = ["x", "x", "x", "y"], [0, 0, 1, 2]  # x belongs to two images, y to one
    assert image_retrieval_ceiling(captions, owner, 1) == pytest.approx(100 * (3 * 0.5 + 1) / 4)
    assert image_retrieval_ceiling(captions, owner, 2) == 100.0


def test_ceiling_on_real_captions(shared_data):
    """The UCM test part: 38.0 and 84.6 % at most, whatever the model."""
    from rsnb.data import load_dataset

    captions, owner = load_dataset("ucm", "test", root=shared_data / "ucm_precomp", images=False).captions
    assert round(image_retrieval_ceiling(captions, owner, 1), 1) == 38.0
    assert round(image_retrieval_ceiling(captions, owner, 5), 1) == 84.6


RUN = {
    "data": "toy", "backbone": "mini", "method": "mrs", "title": "MRS-Adapter", "seed": 0, "trainable": 10,
    "config": {"method": "mrs", "epochs": 3, "lr": 0.002}, "history": [{"epoch": 1, "val_mr": 40.0}],
    "test": {f"{way}_r{k}": 10.0 * k for way in ("text", "image") for k in (1, 5, 10)} | {"mr": 53.3},
    "seconds": 2.0, "stamp": "toy", "command": "rsnb benchmark", "val_mr": 41.0, "best_epoch": 1,
}  # fmt: skip


def write_runs(folder, *changes):
    place = folder / "toy-mini"
    place.mkdir()
    for change in changes:
        run = {**RUN, **change}
        (place / f"{run['method']}-seed{run['seed']}.json").write_text(json.dumps(run), encoding="utf-8")


def test_runs_are_read_in_the_order_of_the_methods_and_averaged(tmp_path):
    mr = {"test": {**RUN["test"], "mr": 55.3}}
    write_runs(tmp_path, {}, {"seed": 1, **mr}, {"method": "zero_shot", "title": "Zero-shot CLIP", "trainable": 0})
    runs = read_runs("toy", "mini", tmp_path)
    assert [(r.method, r.seed) for r in runs] == [("zero_shot", 0), ("mrs", 0), ("mrs", 1)]
    zero, mrs = average_runs(runs)
    assert zero.spread == 0.0 and mrs.seeds == 2
    assert mrs.mr == pytest.approx(54.3) and mrs.spread == pytest.approx(math.sqrt(2))
    columns = recall_columns(mrs)
    assert list(columns) == ["i2t R@1", "i2t R@5", "i2t R@10", "t2i R@1", "t2i R@5", "t2i R@10", "mR"]
    assert columns["i2t R@5"] == 50.0 and columns["mR"] == mrs.mr
    assert read_runs("ucm", "mini", tmp_path) == []


def test_recipe_takes_the_committed_settings(tmp_path, monkeypatch):
    write_runs(tmp_path, {})
    monkeypatch.setattr(paths, "results_dir", lambda: tmp_path)
    assert recipe("toy", "mini", epochs=5).lr == 0.002
    assert recipe("toy", "mini", epochs=5).epochs == 5
    assert recipe("ucm", "mini").method == "mrs"


def test_a_damaged_result_file_is_named(tmp_path):
    write_runs(tmp_path, {"test": {}})
    with pytest.raises(RsnbError, match="mrs-seed0.json"):
        read_runs("toy", "mini", tmp_path)


def test_names_of_runs():
    assert run_name("some/folder/own", "hf-hub:a/b") == "own-hf-hub_a_b"


class FakeClip:
    name, image_size, device = "other", 8, torch.device("cpu")

    def preprocess(self, picture):
        return torch.full((3, 8, 8), picture.size[0] / 100)

    def encode_image(self, pixels):
        return torch.nn.functional.normalize(pixels.flatten(1)[:, :4] + torch.eye(4)[: len(pixels)], dim=-1)


def test_natural_pictures(tmp_path):
    from PIL import Image

    assert natural_pictures(FakeClip(), 3) is None
    with pytest.raises(RsnbError, match="0 images"):
        natural_pictures(FakeClip(), 3, folder=tmp_path)
    for i in range(4):
        Image.new("L", (10 + i, 10)).save(tmp_path / f"{i}.png")
    found = natural_pictures(FakeClip(), 3, folder=tmp_path)
    assert found.image.shape == (3, 4) and found.text is None and len(found.pictures) == 3
