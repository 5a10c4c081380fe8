"""The studies of the story: their cells, the search of learning rates, the controls, and making what is stale."""

from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import pytest
import torch

import rsnb
from rsnb.errors import RsnbError
from rsnb.publishing import making
from rsnb.publishing.kept import Kept
from rsnb.studies.ablation.lab import Lab
from rsnb.studies.ablation.paper_studies import base_spec, cells_of, read_studies
from rsnb.studies.ablation.spec import Spec
from rsnb.studies.ablation.story_studies import EPOCHS, EVERY, STEPS, STORY, specs_again
from rsnb.studies.benchmark.tables import duels, load_duels, load_results
from rsnb.studies.controls.result import read_controls
from rsnb.studies.controls.study import COSINES, OWN, SHARES, controls_table, crowding, of_dataset
from rsnb.studies.rates import LADDER, rungs, searched


# --- their cells --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(folder=tmp_path_factory.mktemp("lab"), also=())


@pytest.mark.parametrize("name", STORY)
def test_every_cell_of_a_study_can_be_made(name, lab):
    study = STORY[name]
    cells = cells_of(study, base_spec("toy", "mini", "mrs", 12, "bf16"))
    assert list(cells) == list(study.cells) and study.baseline in cells
    assert all(own in cells and other in cells for own, other in study.against.items())
    assert all(len(label) == len(study.axes) for label in cells)
    assert len({json.dumps(key, sort_keys=True) for key in lab.keys((spec, 0) for spec in cells.values())}) == len(
        cells
    )
    for method in {spec.config.method for spec in cells.values()}:
        lab.adapted(next(spec for spec in cells.values() if spec.config.method == method), 0)


def test_equal_steps_are_equal_and_equal_epochs_too(lab):
    cells = cells_of(STORY["batch"], base_spec("toy", "mini", "mrs", 12, "bf16"))
    steps = {label: spec.config.epochs * lab.steps(spec) for label, spec in cells.items()}
    whole = steps[EPOCHS, 64, "HMMC"]
    assert all(abs(n / whole - 1) < 0.02 for label, n in steps.items() if label[0] == STEPS)
    assert {spec.config.epochs for label, spec in cells.items() if label[0] == EPOCHS} == {12}


def test_a_committed_study_is_asked_again_with_the_rates_it_chose():
    for name, study in read_studies().items():
        again = specs_again(name, study, base_spec("toy", "mini", "mrs", study["epochs"], "bf16"))
        assert list(again) == list(EVERY[name].cells)
        for label, cells in study["done"].items():
            assert cells[0].spec.config.lr == again[label].config.lr, (name, label)


def test_stored_verdicts_are_those_of_the_cells():
    from rsnb.studies.ablation.differences import difference_rows

    for name, study in read_studies().items():
        rows = difference_rows(study["done"], study["baseline"], study["axes"], True, EVERY[name].against)
        assert [row["verdict"] for row in rows] == [row["verdict"] for row in study["rows"]], name
        for row, stored in zip(rows, study["rows"]):
            assert row["mR"] == pytest.approx(stored["mR"]) and row["part"] == "test"


# --- learning rates -----------------------------------------------------------------------------------------------
class Scored:
    """A lab whose cells have a validation mR by their rate; a rate above 0.02 cannot be trained."""

    def __init__(self, best):
        self.best, self.tried = best, []

    def cell(self, spec, seed):
        rate = spec.config.lr
        self.tried.append(rate)
        if rate > 0.02:
            raise RsnbError("nan")
        return SimpleNamespace(val_mr=50 - 10 * abs(LADDER.index(rate) - LADDER.index(self.best)))


@pytest.mark.parametrize(
    "best, tried",
    [
        (3e-3, [3e-3, 1e-3, 1e-2]),
        (1e-3, [3e-3, 1e-3, 1e-2, 3e-4]),
        (1e-2, [3e-3, 1e-3, 1e-2, 3e-2]),
        (1e-5, [3e-3, 1e-3, 1e-2, 3e-4, 1e-4, 3e-5, 1e-5]),
    ],
)
def test_the_search_climbs_until_the_best_rate_has_neighbours(best, tried):
    scored = Scored(best)
    chosen, found = searched(scored, {"a": Spec(rsnb.TrainConfig(lr=3e-3))})
    assert scored.tried == tried and chosen["a"].config.lr == best == max(found["a"], key=lambda pair: pair[1])[0]
    assert rungs(3e-3) == [3e-3, 1e-3, 1e-2] and rungs(0.2) == [1e-1, 3e-2]


def test_a_cell_that_no_rate_trains_is_named():
    def cell(*_):
        raise RsnbError("the loss is nan")

    with pytest.raises(RsnbError, match="mine cannot be trained at any of .* the loss is nan"):
        searched(SimpleNamespace(cell=cell), {"mine": Spec()})


# --- controls -----------------------------------------------------------------------------------------------------
def test_crowding_is_what_loops_find():
    rng = torch.Generator().manual_seed(0)
    image, text = (torch.nn.functional.normalize(torch.randn(16, 8, generator=rng), dim=-1) for _ in range(2))
    captions = [f"caption {i // 2}" for i in range(16)]  # two images a caption
    own, labels = [{caption} for caption in captions], ["a"] * 8 + ["b"] * 8
    found = crowding(image, text, captions, own, labels)
    s = image @ text.T  # a batch of 16 is all of them
    hardest = [max((j for j in range(16) if j != i), key=lambda j: s[i, j].item()) for i in range(16)]
    assert found["negative wins"] == sum((s[i, i] < s[i, j]).item() for i, j in enumerate(hardest)) / 16
    assert found["below margin"] == sum((s[i, i] - s[i, j] < 0.2).item() for i, j in enumerate(hardest)) / 16
    assert found["literal"] == pytest.approx(sum(captions[j] == captions[i] for i, j in enumerate(hardest)) / 16)
    assert found["own class"] == pytest.approx(sum(labels[j] == labels[i] for i, j in enumerate(hardest)) / 16)
    assert found["by chance"] == pytest.approx(7 / 15)
    pairs = [(image[i] @ image[j]).item() for i in range(16) for j in range(i)]
    assert found["image cosine"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    nearest = [max((image[i] @ image[j]).item() for j in range(16) if j != i) for i in range(16)]
    assert found["nearest"] == pytest.approx(sum(nearest) / 16, abs=1e-6)
    assert set(crowding(image, None, None, None, None)) == {"images", "image cosine", "nearest"}


def test_committed_controls_are_whole_and_come_out_again():
    kept = read_controls()
    assert set(next(iter(kept["sets"].values()))) == {"zero-shot", "adapted"} and len(kept["sets"]) == 3
    now = of_dataset(rsnb.load_clip("mini"), rsnb.load_dataset("toy", "test"))
    for name in (*COSINES, *SHARES):
        assert now[name] == pytest.approx(kept["sets"][OWN]["zero-shot"][name], abs=0.01), name
    assert controls_table(kept["sets"]).count("\n") == 7


# --- verdicts of the benchmark ------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", ["toy", "ucm"])
def test_the_verdicts_beside_the_results_are_those_of_the_results(data):
    stored, now = load_duels(data), duels(load_results(data, "mini"))
    assert [(row["against"], row["verdict"]) for row in stored] == [(row["against"], row["verdict"]) for row in now]
    assert all(row["low"] <= row["difference"] <= row["high"] for row in now)


def test_duels_use_the_hits_of_images_where_there_are_any():
    def result(title, seed, shift, **more):
        mr = 50.0 + shift + seed
        hits = {"text": [0.5 + shift / 100] * 9, "image": [2.5] * 9, "captions": [5] * 9}
        return {"title": title, "seed": seed, "trainable": 1, "test": {"mr": mr}, "hits": hits, **more}

    results = [result("MRS-Adapter + HMMC", s, 2.0) for s in range(3)] + [result("other", s, 0.0) for s in range(3)]
    (row,) = duels(results)
    assert row["images"] and row["difference"] == pytest.approx(1.0) and row["verdict"] == "better"
    for one in results:
        del one["hits"]
    (row,) = duels(results)
    assert not row["images"] and row["difference"] == pytest.approx(2.0) and row["seeds"] == 3
    assert duels(results[:4]) == [], "one common seed is no comparison"


# --- making what is stale -----------------------------------------------------------------------------------------
@pytest.fixture
def three(monkeypatch, tmp_path):
    """Three results, of which one is fresh; a command notes that it ran, and makes its result fresh."""
    ran, fresh = [], {"ablations/loss"}

    def kept(name, command, seconds):
        return Kept(name, "", "", "", command, {}, again=None, pairs=lambda root: [], seconds=seconds)

    results = [
        kept("speed/step-cpu", "rsnb bench --captions real.txt", None),
        kept("ablations/loss", "rsnb ablate --study loss", 60.0),
        kept("ablations/batch", "rsnb ablate --study batch", 600.0),
        kept("toy-mini/mrs", "rsnb benchmark --methods mrs", 1200.0),
        kept("adapters/toy-mini-mrs-seed0", "rsnb evaluate", None),
    ]
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    monkeypatch.setattr(making, "kept", lambda: results)
    monkeypatch.setattr(making, "standing_of", lambda name, *_: SimpleNamespace(stale=name not in fresh))

    def make(result, command, args):
        if "batch" in command and not ran:
            raise RsnbError("the disk is full")
        ran.append(command)
        fresh.update(r.name for r in results if r.command == command)

    monkeypatch.setattr(making, "_make", make)
    return ran


def asked(**changes):
    return argparse.Namespace(**{"make": "all", "root": None, "dry_run": False, "out": None, **changes})


def test_what_is_stale_is_made_in_the_order_of_need(three, capsys):
    assert making.make(asked(dry_run=True)) == 0 and three == []
    said = capsys.readouterr().out
    assert "0.5 hours" in said and "needs --root DIR" in said and said.index("benchmark") < said.index("--study batch")
    assert making.make(asked()) == 1, "real data were not at hand"
    assert three == ["rsnb benchmark --methods mrs", "rsnb ablate --study batch"]
    assert set(making.clock()) == {"toy-mini/mrs", "ablations/batch"}
    assert "NOT MADE speed/step-cpu" in capsys.readouterr().out
    assert making.make(asked()) == 1 and len(three) == 2, "what is made is not made again"


def test_one_that_fails_leaves_the_others_alone_and_is_tried_again(three, capsys):
    assert (
        making.make(asked(make="ablations")) == 1
        and "NOT MADE ablations/batch: the disk is full" in capsys.readouterr().out
    )
    assert making.make(asked(make="toy-mini/mrs,ablations/batch")) == 0
    with pytest.raises(RsnbError, match="no result is called nonsense"):
        making.make(asked(make="nonsense"))
