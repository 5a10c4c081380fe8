"""The ablation lab: axes, the cache, interrupted runs, paired differences, own methods and losses, the panel."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import rsnb
from rsnb.base.own import digest_of_own
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.measures import ties
from rsnb.publishing import results
from rsnb.studies import keys
from rsnb.studies.ablation import differences
from rsnb.studies.ablation import lab as laboratory
from rsnb.studies.ablation.cell import Cell, read_cell
from rsnb.studies.ablation.command import ablate_command
from rsnb.studies.ablation.counting import mean_recall
from rsnb.studies.ablation.differences import difference_rows, difference_sentences, difference_table, paired_difference
from rsnb.studies.ablation.figures import difference_figure
from rsnb.studies.ablation.lab import Lab, Stopped, run_cells
from rsnb.studies.ablation.paper_studies import EPOCHS, STUDIES, Study, base_spec, cells_of, read_studies
from rsnb.studies.ablation.spec import Spec, grid_of_specs, parse_axis, vary
from rsnb.studies.ablation.story_studies import EVERY, STORY
from rsnb.surgery import Method

BASE = Spec(TrainConfig(epochs=2, batch_size=16, precision="fp32", options={"bottleneck": 4, "shared": 4}))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(folder=tmp_path_factory.mktemp("lab"), also=(), limit=48)


def made(seed=0, shift=0.0, n=200, noise=0.0, **changes):
    """A cell of n images with five captions each, all recalls near one half plus shift."""
    rng = np.random.default_rng(1000 + seed)
    text = np.clip(rng.random(n) * 0.9 + shift + noise * np.random.default_rng(seed).normal(size=n), 0, 1)
    image = 5 * np.clip(rng.random(n) * 0.9 + shift, 0, 1)
    mr = mean_recall(text, image, [5] * n)
    values = {
        "hash": "x",
        "sorted_mr": mr,
        "val_mr": mr,
        "trainable": 10,
        "steps": 20,
        "seconds": 1.0,
        "text": tuple(text),
        "image": tuple(image),
        "captions": (5,) * n,
        "val_text": tuple(text),
        "val_image": tuple(image),
        "val_captions": (5,) * n,
        "key": {},
        "stamp": "made",
    }
    return Cell(seed=seed, mr=mr, **{**values, **changes})


# --- axes -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name, value, read",
    [
        ("adapter.bottleneck", 8, lambda s: s.config.options["bottleneck"]),
        ("loss.margin", 0.1, lambda s: s.config.margin),
        ("loss.name", "clip", lambda s: s.config.loss),
        ("loss.mining", "sum", lambda s: s.config.mining),
        ("train.lr", 1e-2, lambda s: s.config.lr),
        ("batch_size", 8, lambda s: s.config.batch_size),
        ("method", "lora", lambda s: s.config.method),
        ("data.share", 0.5, lambda s: s.share),
    ],
)
def test_an_axis_changes_one_field(name, value, read):
    changed = vary(BASE, name, value)
    assert read(changed) == value != read(BASE) and vary(changed, "train.epochs", 2) == changed


def test_the_weights_of_the_loss_are_axes():
    assert vary(BASE, "loss.intra_image", 0).config.weights == (1, 0, 1)
    assert vary(vary(BASE, "loss.cross", 2), "loss.intra_text", 0).config.weights == (2, 1, 0)


@pytest.mark.parametrize(
    "name, value",
    [
        ("loss.margn", 1),
        ("nothing", 1),
        ("seed", 1),
        ("device", "cpu"),
        ("loss.margin", -1),
        ("data.share", 0),
        ("data.share", 2),
    ],
)
def test_a_wrong_axis_is_named(name, value):
    with pytest.raises(RsnbError, match=name.split(".")[-1]):
        vary(BASE, name, value)


def test_axes_are_read_from_text():
    assert parse_axis("adapter.bottleneck=8, 16") == ("adapter.bottleneck", [8, 16])
    assert parse_axis("adapter.layers=[0,1],[2,3]") == ("adapter.layers", [[0, 1], [2, 3]])
    assert parse_axis("adapter.share_layers=true,False") == ("adapter.share_layers", [True, False])
    assert parse_axis("loss.mining=hardest,sum") == ("loss.mining", ["hardest", "sum"])
    assert parse_axis('a=true,True,null,None,1e-3,"1"') == ("a", [True, True, None, None, 0.001, "1"])
    for text in ("loss.margin", "=3", "loss.margin=", "loss.margin=1,,2"):
        with pytest.raises(RsnbError, match="axis|empty"):
            parse_axis(text)


def test_a_grid_is_every_combination():
    cells = grid_of_specs(BASE, {"adapter.bottleneck": [2, 4], "loss.margin": [0.1, 0.2, 0.3]})
    assert len(cells) == 6 and cells[4, 0.3].config.margin == 0.3 and cells[4, 0.3].config.options["bottleneck"] == 4


def test_every_study_is_a_valid_set_of_runs_with_its_baseline():
    base = base_spec("toy", "mini", "mrs", 1, "fp32")
    clip = rsnb.load_clip("mini")
    for name, study in STUDIES.items():
        cells = cells_of(study, base)
        assert cells[study.baseline] == base, name
        assert len({repr(spec) for spec in cells.values()}) == len(cells) > 1, name
        for spec in cells.values():
            clip = rsnb.adapt(clip, spec.config.method, **spec.config.options).detach()


# --- cells ------------------------------------------------------------------------------------------------------
def test_a_cell_is_run_once_and_read_back(lab, monkeypatch):
    first = lab.cell(BASE, 0)
    assert first.trainable == 4 * (192 + 128) + 2 * 4 + 4 * (188 + 124 + 4) + 188 + 124 + 4 and first.steps == 2 * 3
    assert first.mr == pytest.approx(mean_recall(first.text, first.image, first.captions), abs=1e-3)
    monkeypatch.setattr(rsnb, "train", lambda *a, **k: pytest.fail("trained again"))
    assert lab.cell(BASE, 0) == first
    assert not list((lab.folder / "state").glob("*"))


def test_all_that_decides_a_cell_is_in_its_key(lab, monkeypatch):
    found = {
        json.dumps(lab.key(spec, seed), sort_keys=True)
        for spec, seed in (
            (BASE, 0),
            (BASE, 1),
            (vary(BASE, "loss.margin", 0.1), 0),
            (vary(BASE, "adapter.bottleneck", 2), 0),
            (vary(BASE, "data.share", 0.5), 0),
        )
    }
    monkeypatch.setattr(lab, "weights", "other weights")
    found.add(json.dumps(lab.key(BASE, 0), sort_keys=True))
    monkeypatch.setattr(lab, "fingerprints", {"train": "other images"})
    found.add(json.dumps(lab.key(BASE, 0), sort_keys=True))
    monkeypatch.setattr(keys, "code_of", lambda roots: keys.Code("other code", {}))
    found.add(json.dumps(lab.key(BASE, 0), sort_keys=True))
    assert len(found) == 8


@pytest.mark.check
def test_a_stopped_run_goes_on_and_ends_the_same(lab, tmp_path):
    whole = lab.cell(vary(BASE, "loss.margin", 0.3), 0)
    other = Lab(folder=tmp_path, also=(), limit=48)
    seen = []

    def once(row):
        seen.append(row["epoch"])
        if len(seen) == 1:
            raise Stopped

    spec = vary(BASE, "loss.margin", 0.3)
    with pytest.raises(Stopped):
        other.cell(spec, 0, once)
    assert other.found(spec, 0) is None
    cell = other.cell(spec, 0, once)
    assert seen == [1, 2] and (cell.mr, cell.text, cell.image) == (whole.mr, whole.text, whole.image)


@pytest.mark.check
def test_a_widened_grid_runs_what_is_missing(lab):
    run = []
    run_cells(lab, grid_of_specs(BASE, {"loss.margin": [0.2, 0.3]}), 1, on_epoch=lambda row: run.append(row["epoch"]))
    before, seen = len(run), []
    done, failed = run_cells(
        lab,
        grid_of_specs(BASE, {"loss.margin": [0.2, 0.3, 0.5]}),
        1,
        on_cell=lambda *a: seen.append(a[2:4]),
        on_epoch=lambda row: run.append(row["epoch"]),
    )
    assert len(run) - before == 2 and list(done) == [(0.2,), (0.3,), (0.5,)] and not failed
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.check
def test_a_kept_cell_is_read_once(lab, monkeypatch):
    grid, read = grid_of_specs(BASE, {"loss.margin": [0.2, 0.3]}), []
    run_cells(lab, grid, 2)
    monkeypatch.setattr(laboratory, "read_cell", lambda path: read.append(path.stem) or read_cell(path))
    done, _ = run_cells(lab, grid, 2, progress=False, on_cell=lambda *_: None)
    assert sorted(read) == sorted(cell.hash for cells in done.values() for cell in cells) and len(read) == 4


def test_a_cell_that_fails_leaves_the_others_alone(lab):
    cells = {"bad": vary(BASE, "adapter.bottleneck", 0), "good": BASE}
    done, failed = run_cells(lab, cells, 2)
    assert list(done) == ["good"] and len(done["good"]) == 2 and "bottleneck is 0" in failed["bad"]


def test_cells_have_as_many_seeds_as_their_names_say(lab):
    study = Study("?", {"short": {}, "long": {"train.epochs": 2}}, "short", once=("long",))
    cells = cells_of(study, BASE)
    done, failed = run_cells(lab, cells, {name: study.seeds(name, 2) for name in cells})
    assert {name: [cell.seed for cell in own] for name, own in done.items()} == {"short": [0, 1], "long": [0]}
    assert not failed
    rows = {row["cell"]: row for row in difference_rows(done, study.baseline, study.axes)}
    assert rows["long"]["verdict"] == "cannot be told" and "one seed cannot tell" in rows["long"]["sentence"]


def test_a_smaller_share_lies_within_a_larger_one(lab):
    names = [{item.name for item in lab.train_part(vary(BASE, "data.share", share), 0)} for share in (0.25, 0.5, 1.0)]
    assert [len(n) for n in names] == [12, 24, 48] and names[0] < names[1] < names[2]
    assert lab.steps(vary(BASE, "data.share", 0.5)) == 2 and lab.steps(BASE) == 3


def test_the_kept_hits_give_the_expected_recall(lab):
    cell, model = lab.cell(BASE, 0), lab.adapted(BASE, 0)
    with torch.no_grad():
        report = rsnb.evaluate(model, lab.parts["test"])
    hits = ties.hits(report.image_embeddings, report.text_embeddings, report.owner)
    text, image = hits.text.mean(dim=1), hits.image.mean(dim=1)
    sums = torch.zeros(len(text), dtype=image.dtype).index_add_(0, hits.owner, image)
    counts = torch.bincount(hits.owner)
    assert mean_recall(text.tolist(), sums.tolist(), counts.tolist()) == pytest.approx(hits.recalls["mr"])
    assert cell.captions == tuple(counts.tolist()) and len(cell.text) == len(cell.image) == len(text)


def test_a_damaged_cell_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(RsnbError, match=r"x\.json is not a cell"):
        read_cell(tmp_path / "x.json")


# --- what it says -----------------------------------------------------------------------------------------------
def test_equal_cells_differ_by_nothing():
    cells = [made(s) for s in range(3)]
    found = paired_difference(cells, cells)
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, "cannot be told")


def test_a_large_gap_is_told_and_one_seed_never_is():
    better, base = [made(s, 0.1, noise=0.1) for s in range(3)], [made(s) for s in range(3)]
    found = paired_difference(better, base)
    assert found.verdict == "better" and found.low < found.mean < found.high
    assert found.mean == pytest.approx(sum(b.mr - a.mr for a, b in zip(base, better)) / 3)
    assert paired_difference(base, better).verdict == "worse"
    one = paired_difference(better[:1], base)
    assert one.verdict == "cannot be told" and one.seeds == 1 and "one seed cannot tell" in str(one)


def test_one_explores_on_validation_and_reports_on_test():
    base = [made(s) for s in range(3)]
    worse = made(0, -0.1)  # on test alone
    cells = [replace(made(s, 0.1), text=worse.text, image=worse.image, mr=worse.mr) for s in range(3)]
    assert paired_difference(cells, base).mean > 0 > paired_difference(cells, base, final=True).mean
    explored, reported = (difference_rows({"a": base, "b": cells}, "a", final=final) for final in (False, True))
    assert [rows[1]["verdict"] for rows in (explored, reported)] == ["better", "worse"]
    assert [rows[1]["part"] for rows in (explored, reported)] == ["validation", "test"]
    assert reported[1]["mR"] == pytest.approx(worse.mr) and explored[1]["mR"] == pytest.approx(made(0, 0.1).mr, abs=3)


def test_cells_without_validation_hits_are_compared_by_their_means():
    bare = {"val_text": (), "val_image": (), "val_captions": ()}
    base, other = [made(s, **bare) for s in range(3)], [made(s, val_mr=s + 60.0, **bare) for s in range(3)]
    found = paired_difference(other, base)
    assert not found.images and found.mean == pytest.approx(61 - sum(c.val_mr for c in base) / 3)


def test_one_seed_without_validation_hits_has_a_difference_and_no_interval():
    bare = {"val_text": (), "val_image": (), "val_captions": ()}
    rows = difference_rows({"a": [made(0, **bare)], "b": [made(0, 0.1, **bare)]}, "a")
    assert rows[1]["verdict"] == "cannot be told" and rows[1]["difference"] > 0 and np.isnan(rows[1]["low"])
    assert "no interval" in difference_sentences(rows)[0] and "nan" not in difference_table(rows)
    assert difference_figure(rows, [], "?")


def test_what_collapsed_is_no_difference_and_no_member_of_the_family():
    base = [made(s, start_val_mr=20.0) for s in range(3)]
    dead = [made(s, val_mr=19.0, start_val_mr=20.0, cosines={"image": 0.9, "text": 0.8}) for s in range(3)]
    some = [*dead[:1], *[made(s, start_val_mr=20.0) for s in (1, 2)]]
    near = [made(s, 0.02, noise=0.05) for s in range(3)]
    rows = difference_rows({"a": base, "dead": dead, "some": some, "near": near}, "a")
    assert [row["verdict"] for row in rows] == ["baseline", "collapsed", "collapsed", rows[3]["verdict"]]
    assert np.isnan(rows[1]["difference"]) and rows[1]["image cosine"] == pytest.approx(0.9)
    alone = difference_rows({"a": base, "near": near}, "a")
    assert rows[3]["p"] == alone[1]["p"], "the collapsed ones are not counted among the comparisons"
    said = difference_sentences(rows)
    assert "collapsed in 3 of 3 seeds: best validation mR 19.0, zero-shot 20.0" in said[0] and "0.90" in said[0]
    assert "collapsed in 1 of 3 seeds" in said[1]
    assert {row["verdict"] for row in difference_rows({"dead": dead, "b": base}, "dead")} == {"collapsed", ""}


def test_each_cell_can_have_a_baseline_of_its_own():
    done = {"a": [made(s) for s in range(3)], "a2": [made(s, 0.1) for s in range(3)]}
    done |= {"b": [made(s, 0.2) for s in range(3)], "b2": [made(s, 0.1) for s in range(3)]}
    rows = difference_rows(done, "a", against={"b": "b", "b2": "b"})
    assert [row["verdict"] for row in rows] == ["baseline", "better", "baseline", "worse"]
    assert [row["against"] for row in rows] == ["", "", "", "b"]
    assert difference_sentences(rows)[1].startswith("b2, against b: ")


def test_what_changed_beside_the_thing_studied_is_named():
    base, bigger = [made(s) for s in range(2)], [made(s, trainable=99, steps=7) for s in range(2)]
    assert differences.confounded(bigger, base) == [
        "trains 99 parameters, the baseline 10",
        "takes 7 training steps, the baseline 20",
    ]
    assert differences.confounded(bigger, base, ["train.epochs"]) == ["trains 99 parameters, the baseline 10"]
    table = difference_rows({"a": base, "b": bigger}, "a")
    assert table[1]["beside"] and "Not alone" in difference_sentences(table)[0]


def test_figures_fit_the_number_of_axes():
    cells = {(v,): [made(s, v / 10) for s in range(3)] for v in (0, 1, 2)}
    table = difference_rows(cells, (0,), ["x"])
    assert difference_figure(table, ["x"], "?").axes[0].get_xlabel() == "x"
    two = {(v, w): [made(0, v / 10)] for v in (0, 1) for w in (0, 1)}
    assert len(difference_figure(difference_rows(two, (0, 0), ["x", "y"]), ["x", "y"], "?").axes) == 2  # and a bar
    words = difference_rows({k: [made(0, v)] for k, v in (("a", 0), ("b", 0.1))}, "a")
    assert "difference" in difference_figure(words, [], "?").axes[0].get_xlabel()


# --- your own ---------------------------------------------------------------------------------------------------
class Scale(Method):
    """One number a dimension, after the tower."""

    def __init__(self, clip, start: float = 1.0):
        super().__init__()
        self.by = torch.nn.Parameter(torch.full((clip.embed_dim,), start))

    def head(self, x, tower):
        return x * self.by


def half_hinge(v, t, v2, t2):
    return rsnb.losses.triplet(v, t) / 2


@pytest.mark.check
def test_a_method_and_a_loss_of_your_own_enter_the_same_lab(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=32, methods=[Scale], losses=[half_hinge])
    plain = Spec(TrainConfig(epochs=1, batch_size=16, precision="fp32"))
    mine = vary(vary(plain, "method", "Scale"), "loss.name", "own:half_hinge")
    cell = lab.cell(mine, 0)
    assert cell.trainable == lab.clip().embed_dim and set(cell.key["own"]) == {"Scale", "own:half_hinge"}
    done, failed = run_cells(lab, {"a": mine, "b": vary(mine, "adapter.start", 2.0)}, 1)
    assert len(done) == 2 and not failed
    with pytest.raises(RsnbError, match="own:half_hinge"):
        rsnb.train(lab.adapted(mine, 0), lab.parts["train"], lab.parts["val"], mine.config, progress=False)


@pytest.mark.check
def test_methods_together_and_unfrozen_parts_are_cells_of_their_own(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=16, methods=[Scale])
    plain = Spec(TrainConfig(epochs=1, batch_size=8, precision="fp32"))
    both = vary(vary(plain, "method", "lora+Scale"), "adapter.lora.rank", 1)
    assert set(lab.key(both, 0)["own"]) == {"Scale"}
    assert lab.key(vary(both, "adapter.Scale.start", lab.defaults("Scale")["start"]), 0) == lab.key(both, 0)
    unfrozen = vary(both, "adapter.unfreeze", "ln_post")
    done, failed = run_cells(lab, {"both": both, "unfrozen": unfrozen, "wrong": vary(both, "adapter.rank", 1)}, 1)
    assert done["unfrozen"][0].trainable == done["both"][0].trainable + 2 * lab.clip().widths["image"]
    assert done["unfrozen"][0].hash != done["both"][0].hash and "no option 'rank'" in failed["wrong"]


def test_a_loss_of_your_own_equals_the_built_in_one():
    def mine(v, t, v2, t2):
        return rsnb.losses.hmmc(v, t, v2, t2)

    train, val = (rsnb.load_dataset("toy", split, limit=32) for split in ("train", "val"))
    config = TrainConfig(epochs=1, batch_size=16, precision="fp32")
    built_in, own = (rsnb.adapt(rsnb.load_clip("mini"), seed=0) for _ in range(2))
    a = rsnb.train(built_in, train, val, config, progress=False)
    b = rsnb.train(own, train, val, config.replace(loss="own:mine"), progress=False, loss=mine)
    assert a.history[0]["loss"] == pytest.approx(b.history[0]["loss"], rel=1e-6)
    assert all(torch.equal(p, q) for p, q in zip(built_in.trainable().values(), own.trainable().values()))


def test_an_option_set_to_its_default_is_the_same_cell(lab):
    plain = Spec(TrainConfig(epochs=1))
    usual = lab.defaults("mrs")
    assert usual["bottleneck"] == 64 and usual["shared"] == 64
    assert lab.key(vary(plain, "adapter.bottleneck", 64), 0) == lab.key(plain, 0)
    assert lab.key(vary(plain, "adapter.bottleneck", 32), 0) != lab.key(plain, 0)


def test_the_source_of_a_class_of_a_notebook_is_part_of_its_cells():
    """IPython keeps the text of a cell where the functions in it look; the class has no file."""
    import linecache

    def in_a_cell(number, factor):
        text = "class Mine(Method):\n    tokenwise = True\n    def head(self, x, tower):\n"
        text += f"        return x * {factor}\n"
        name, space = f"<ipython-input-{number}>", {"Method": Method, "__name__": "cell_without_file"}
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), space)
        return digest_of_own(space["Mine"])

    one, same, other = in_a_cell(1, 2), in_a_cell(2, 2), in_a_cell(3, 3)
    assert one == same and one != other
    with pytest.raises(RsnbError, match="the source of Typed cannot be read"):
        digest_of_own(type("Typed", (Method,), {"head": eval("lambda self, x, tower: x")}))


def test_an_adapter_of_your_own_is_saved_and_loaded(tmp_path):
    model = rsnb.adapt(rsnb.load_clip("mini"), Scale, start=3.0)
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    again = rsnb.load_adapter(path, rsnb.load_clip("mini"), method=Scale)
    assert again.method == "Scale" and torch.equal(again.added.by, model.added.by)
    with pytest.raises(RsnbError, match="Scale"):
        rsnb.load_adapter(path, rsnb.load_clip("mini"))


# --- the panel --------------------------------------------------------------------------------------------------
def counts(panel) -> list[int]:
    """What the panel says of its grid: cells, seeds, runs to do, runs in all."""
    return [int(number) for number in re.findall(r"\d+", re.sub("<[^>]*>", "", panel.text.value))[:4]]


@pytest.mark.check
def test_the_panel_takes_a_second_axis(tmp_path):
    from rsnb.classroom.widgets.grid import NONE, lab_panel

    panel = lab_panel(Lab(folder=tmp_path, also=(), limit=32), vary(BASE, "train.epochs", 1))
    panel.set(axis="loss.margin", values="0.1, 0.4", second="loss.intra_image")
    assert panel.controls["more"].value == "0, 1"
    assert counts(panel) == [4, 1, 4, 4]
    panel.start()
    panel.wait(120)
    assert counts(panel) == [4, 1, 0, 4] and panel.table.value.count("<tr>") == 5
    panel.set(second="loss.margin")  # the first axis
    with pytest.raises(RsnbError, match=r"loss\.margin"):
        panel.axes(**panel.values)
    assert "loss.margin" in panel.text.value and counts(panel) != [4, 1, 0, 4]
    panel.set(second=NONE)
    assert counts(panel)[:2] == [2, 1] and panel.controls["more"].value == ""
    panel.set(more="1, 2")
    with pytest.raises(RsnbError, match="'1, 2'"):
        panel.axes(**panel.values)
    assert "1, 2" in panel.text.value and counts(panel)[:2] != [2, 1]


def test_the_panel_estimates_runs_stops_and_goes_on(tmp_path):
    from rsnb.classroom.widgets.grid import lab_panel

    panel = lab_panel(Lab(folder=tmp_path, also=(), limit=48), BASE)
    panel.set(axis="loss.margin", values="0.1, 0.4")
    assert counts(panel) == [2, 1, 2, 2] and panel.minutes(panel.cells(**panel.values), 2) > 0
    empty = panel.picture.value
    panel.start()
    panel.stop()
    panel.wait(120)
    assert 0 < panel.bar.value < 1 and panel.halt.disabled and not panel.go.disabled
    assert sum(panel.lab.found(spec, 0) is not None for spec in panel.cells(**panel.values).values()) < 2
    panel.start()
    panel.wait(120)
    assert counts(panel) == [2, 1, 0, 2] and panel.bar.value == 1 and panel.picture.value != empty
    assert panel.table.value.count("<tr>") == 3 and "baseline" in panel.table.value
    panel.set(values="0.1, oops")
    panel.start()
    assert "oops" in panel.text.value and panel.go.disabled is False


# --- the command ------------------------------------------------------------------------------------------------
def test_the_command_runs_a_grid_and_writes_it(tmp_path, monkeypatch, capsys):
    from rsnb.commands.cli import main

    monkeypatch.chdir(tmp_path)
    asked = ["ablate", "--vary", "adapter.bottleneck=4,8", "--seeds", "1", "--epochs", "3", "--limit", "32"]
    assert main([*asked, "--dry-run"]) == 0 and "| 1 of 1 |" in capsys.readouterr().out
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "one seed cannot tell" in said and "Not alone: trains" in said
    found = sorted((tmp_path / "outputs/ablate").glob("adapter.bottleneck-*.*"))
    assert [p.suffix for p in found] == [".csv", ".md", ".png"]
    assert f"written: {found[0].relative_to(tmp_path).with_suffix('')}" in said
    assert "at most 32 images a split" in found[1].read_text(encoding="utf-8"), "the stamp hides the limit"
    assert main(asked) == 0 and "was there" in capsys.readouterr().out
    wider = [word.replace("4,8", "4,8,2") for word in asked]
    assert main(wider) == 0 and len(list((tmp_path / "outputs/ablate").glob("*.md"))) == 2, "one grid replaced another"
    assert main(["ablate", "--seeds", "1"]) == 2 and main([*asked, "--install"]) == 2
    assert main(["ablate", "--study", "nothing"]) == 2
    for more in (["--data", "ucm"], ["--set", "train.lr=0.1"], ["--backbone", "ViT-B-32"]):
        assert main(["ablate", "--study", "loss", "--install", *more]) == 2, "it would replace the committed study"


def test_a_plan_fetches_no_weights(monkeypatch, tmp_path, capsys):
    from rsnb.backbone import clip_of_a_plan
    from rsnb.commands.cli import main

    monkeypatch.setattr("rsnb.backbone.clip_of_a_plan", lambda name, pretrained: clip_of_a_plan("mini", pretrained))
    asked = ["ablate", "--vary", "adapter.bottleneck=8,16", "--limit", "8", "--seeds", "1", "--epochs", "1"]
    asked += ["--backbone", "ViT-B-32-quickgelu", "--pretrained", "openai", "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "cannot be looked up" in said and said.count("| 1 of 1 |") == 2 and not (tmp_path / "out").exists()


def test_another_method_comes_with_its_own_rate_and_loss():
    base = base_spec("toy", "mini", "mrs", 1, "fp32")
    cells = cells_of(Study("?", {m: {"method": m} for m in ("mrs", "adaptformer", "full")}), base)
    chosen = {m: (spec.config.lr, spec.config.loss) for m, spec in cells.items()}
    assert chosen["mrs"] == (base.config.lr, "hmmc") and chosen["adaptformer"][1] == chosen["full"][1] == "clip"
    assert len({rate for rate, _ in chosen.values()}) == 3
    own = cells_of(Study("?", {"x": {"method": "full", "train.lr": 0.5}}), base)
    assert own["x"].config.lr == 0.5, "a rate that is asked for is kept"


def test_one_axis_may_name_its_baseline_plainly():
    done = {(8,): [made(0), made(1)], (16,): [made(0, 0.1), made(1, 0.1)]}
    assert [r["verdict"] for r in difference_rows(done, 8, ["x"])] == ["baseline", "better"]


@pytest.mark.parametrize(
    "more, code, said",
    [
        (["--vary", "loss.intra_image=x"], 2, "loss.intra_image is 'x'"),
        (["--vary", "loss.margin=0.1", "--vary", "loss.margin=0.2"], 2, "given twice"),
        (["--vary", "loss.margin=0.1", "--set", "loss.cross=1,2"], 2, "several are an axis"),
        (["--vary", "loss.margin=0.1", "--seeds", "0"], 2, "at least 1"),
        (["--vary", "nonsense=1"], 2, "no axis is called 'nonsense'; there are adapter."),
        (["--vary", "loss.margin=0.1", "--out", "a/file"], 2, "cannot be made"),
        (["--vary", "adapter.bottleneck=abc", "--dry-run"], 2, "mrs does not take bottleneck = 'abc'"),
        (["--vary", "adapter.bottleneck=4,abc"], 1, ", abc: mrs does not take"),
        (["--vary", "adapter.layers=0,[0]"], 1, ", 0: mrs does not take"),
    ],
)
def test_bad_input_is_named_and_costs_no_other_cell(more, code, said, tmp_path, monkeypatch, capsys):
    from rsnb.commands.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("a file")
    assert main(["ablate", "--seeds", "1", "--epochs", "1", "--limit", "32", *more]) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    if code == 1:
        assert len(list((tmp_path / "outputs/ablate/cells").glob("*.json"))) == 1  # the good one is there


def test_a_loss_of_your_own_that_breaks_is_named(tmp_path):
    def broken(v, t, v2, t2):
        return v @ t  # shapes that do not fit

    lab = Lab(folder=tmp_path, also=(), limit=32, losses=[broken])
    done, failed = run_cells(lab, {"mine": vary(BASE, "loss.name", "own:broken"), "base": BASE}, 1)
    assert list(done) == ["base"] and failed["mine"].startswith("RuntimeError")


def test_committed_ablations_are_whole():
    studies = read_studies()
    assert set(studies) >= set(STUDIES) and list(studies) == [name for name in EVERY if name in studies]
    for name, study in studies.items():
        assert list(study["done"]) == list(EVERY[name].cells) and study["epochs"] == EPOCHS, name
        for label, cells in study["done"].items():
            assert [cell.seed for cell in cells] == list(range(EVERY[name].seeds(label, 3)))
            for cell in cells:
                assert cell.mr == pytest.approx(mean_recall(cell.text, cell.image, cell.captions), abs=1e-3)
    for name in set(studies) & set(STORY):
        for cells in studies[name]["done"].values():
            assert all(cell.cosines and cell.start_val_mr and cell.val_captions for cell in cells), name


def chosen(study, cells):
    """The cells with the learning rates that were found then; the cells of the other rates are not kept."""
    return {name: vary(spec, "train.lr", study["done"][name][0].spec.config.lr) for name, spec in cells.items()}


@pytest.mark.parametrize("name", list(read_studies()))
def test_a_committed_study_is_found_again_and_drawn(name, tmp_path, capsys, monkeypatch):
    """No cell is trained: settings, data, weights and code are those of the committed files."""
    study = read_studies()[name]

    def never(*args, **kwargs):
        raise AssertionError("a committed cell was run again: is the code that decides it another one?")

    monkeypatch.setattr(Lab, "_run", never)
    monkeypatch.setattr("rsnb.studies.ablation.command.searched", lambda lab, cells, say: (chosen(study, cells), {}))
    assert ablate_command(results.parsed(study["command"], install=False, out=tmp_path)) == 0
    said = capsys.readouterr().out
    compared = [row for row in study["rows"] if row["sentence"] and row["seeds"] == 3]
    assert study["question"] in said and said.count("3 seeds") >= len(compared) > 0
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} >= {f"{name}.{end}" for end in ("md", "csv", "png")}
