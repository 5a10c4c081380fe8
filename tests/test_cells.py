"""A cell keeps all that it found and what was trained; a lab takes objects; cells run side by side; tables of them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import errno
import linecache
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import psutil
import pytest
import torch
from safetensors import safe_open

import rsnb
from rsnb.base import locks
from rsnb.base.locks import alone, is_free
from rsnb.base.own import digest_of_own, digests_known
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.studies.ablation.cell import Cell, read_cell, write_cell
from rsnb.studies.ablation.counting import mean_recall
from rsnb.studies.ablation.differences import confounded
from rsnb.studies.ablation.executors import FAILED, processes, train_cell
from rsnb.studies.ablation.lab import Lab, Stopped, run_cells
from rsnb.studies.ablation.paper_studies import read_studies
from rsnb.studies.ablation.spec import Spec, grid_of_specs, vary
from rsnb.studies.ablation.tables import escaped, frame, latex, summary, with_spread
from rsnb.surgery import Method

BASE = Spec(TrainConfig(epochs=1, batch_size=16, precision="fp32", options={"bottleneck": 4, "shared": 4}))
GRID = grid_of_specs(BASE, {"loss.margin": [0.2, 0.3]})


class Scale(Method):
    """One number a dimension, after the tower."""

    def __init__(self, clip, start: float = 1.0):
        super().__init__()
        self.by = torch.nn.Parameter(torch.full((clip.embed_dim,), start))

    def head(self, x, tower):
        return x * self.by


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(folder=tmp_path_factory.mktemp("lab"), also=(), limit=32, methods=[Scale])


def same(one: dict, two: dict) -> None:
    """Two grids have the same cells: hashes, numbers and weights, to the digit."""
    assert list(one) == list(two)
    for name in one:
        for a, b in zip(one[name], two[name], strict=True):
            for field in dataclasses.fields(Cell):
                if field.name not in ("seconds", "date", "history", "test", "val", "path", "lab"):
                    assert getattr(a, field.name) == getattr(b, field.name), (name, field.name)
            rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in cell.history] for cell in (a, b)]
            assert rows[0] == rows[1], name
            files = [safe_open(cell.path.with_suffix(".safetensors"), "pt") for cell in (a, b)]
            assert files[0].metadata() == files[1].metadata()
            assert set(files[0].keys()) == set(files[1].keys())
            for tensor in files[0].keys():  # noqa: SIM118 - it is no dict
                assert torch.equal(*(file.get_tensor(tensor) for file in files)), (name, tensor)


def children() -> list[psutil.Process]:
    """Processes that train: a spawned one, not what multiprocessing keeps beside them."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


# --- what a cell keeps ------------------------------------------------------------------------------------------
def test_a_cell_keeps_its_history_recalls_hits_and_adapter(lab):
    cell = lab.cell(BASE, 0)
    assert read_cell(cell.path) == cell
    assert [row["epoch"] for row in cell.history] == [1] and cell.spec == BASE
    assert pickle.loads(pickle.dumps(cell)) == cell and copy.deepcopy(cell).lab is None
    for kept in (cell.test, cell.val):
        assert {f"{way}_r{k}" for way in ("text", "image") for k in (1, 5, 10)} <= set(kept)
    assert len(cell.val_text) == len(cell.val_image) == len(lab.parts["val"])
    assert cell.val_captions == tuple(len(item.captions) for item in lab.parts["val"])
    for model in (cell.model(), read_cell(cell.path).model(), read_cell(cell.path).model(lab)):
        assert (model.method, rsnb.count_trainable(model)) == ("mrs", cell.trainable)
        report = rsnb.evaluate(model, lab.parts["val"])
        assert report.to_dict()["mr"] == cell.val["mr"] == pytest.approx(cell.val_mr, abs=0.01)
        assert mean_recall(cell.val_text, cell.val_image, cell.val_captions) == pytest.approx(report.mr, abs=1)


def test_a_cell_of_a_class_of_your_own_gives_its_model(lab):
    spec = Spec(TrainConfig(method="Scale", epochs=1, batch_size=16, precision="fp32", loss="clip", lr=0.1))
    cell = lab.cell(spec, 0)
    assert not torch.equal(cell.model().added.by, torch.ones(lab.clip().embed_dim))
    with pytest.raises(RsnbError, match="Scale"):
        read_cell(cell.path).model()
    assert isinstance(read_cell(cell.path).model(lab).added, Scale)


def test_a_method_that_trains_nothing_is_a_cell_too(lab):
    cell = lab.cell(Spec(TrainConfig(method="zero_shot")), 0)
    assert cell.trainable == 0 and cell.model().method == "zero_shot" and cell.val["mr"] > 0


class Masked(Scale):
    """With infinite numbers, which are refused in a file of weights."""

    def __init__(self, clip):
        super().__init__(clip)
        self.register_buffer("mask", torch.tensor(-torch.inf))


def test_a_cell_whose_adapter_cannot_be_saved_has_its_numbers(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=16, methods=[Masked])
    with pytest.warns(RsnbWarning, match="mask"):
        cell = lab.cell(Spec(TrainConfig(method="Masked", epochs=1, batch_size=8, precision="fp32", loss="clip")), 0)
    assert cell.mr > 0 and lab.kept(cell.hash) == cell
    with pytest.raises(RsnbError, match="there is no adapter beside"):
        cell.model()


def test_earlier_cells_are_read_and_say_how_to_get_their_model(tmp_path):
    cells = [cell for own in read_studies()["margin"]["done"].values() for cell in own]
    cell = next(cell for cell in cells if not cell.val_captions)
    assert cell.val == {} and cell.val_text == () and cell.spec.config.epochs == 12
    with pytest.raises(RsnbError, match=r"there is no adapter beside .*Train it again: Lab\("):
        cell.model()
    write_cell(cell, tmp_path / "again.json")
    assert read_cell(tmp_path / "again.json") == cell
    assert "val_text" not in (tmp_path / "again.json").read_text(encoding="utf-8")


# --- objects ----------------------------------------------------------------------------------------------------
def objects(limit: int | None = 32) -> dict:
    return {split: rsnb.load_dataset("toy", split, limit=limit) for split in ("train", "val", "test")}


def test_a_lab_of_objects_has_the_cells_of_their_names(lab, tmp_path):
    clip = rsnb.load_clip("mini")
    other = Lab(objects(None), backbone=clip, folder=tmp_path, also=[lab.folder / "cells"], limit=32)
    assert other.key(BASE, 0) == lab.key(BASE, 0) and other.stamp == lab.stamp
    with torch.no_grad():
        clip.model.logit_scale += 1  # after the lab took its copy
    assert other.weights == lab.weights != clip.fingerprint()
    assert Lab(objects(), backbone=clip, folder=tmp_path, also=()).key(BASE, 0) != lab.key(BASE, 0)
    fewer = {**objects(), "val": objects()["val"].subset(range(8))}
    assert Lab(fewer, backbone="mini", folder=tmp_path, also=()).key(BASE, 0) != lab.key(BASE, 0)


def test_a_lab_of_objects_trains_and_gives_its_models_back(tmp_path):
    clip = rsnb.load_clip("mini")
    with torch.no_grad():
        clip.model.logit_scale += 0.5
    lab = Lab(objects(), backbone=clip, folder=tmp_path, also=())
    cell = lab.cell(BASE, 0)
    assert cell.key["weights"] == clip.fingerprint() == lab.clip().fingerprint()
    assert rsnb.evaluate(cell.model(), lab.parts["test"]).to_dict()["mr"] == cell.test["mr"]
    with pytest.raises(RsnbError, match="weights"):
        read_cell(cell.path).model()  # the mini CLIP has others
    assert clip.adapted_by is None


def test_what_reads_the_pictures_and_words_of_a_clip_is_in_the_key(lab, tmp_path):
    clip = rsnb.load_clip("mini")
    clip.preprocess = copy.deepcopy(clip.preprocess)
    clip.preprocess.transforms[-1].mean = (0.0, 0.0, 0.0)
    own = Lab(objects(), backbone=clip, folder=tmp_path, also=()).key(BASE, 0)
    assert set(own.pop("own")) == {"preprocess"} and own == lab.key(BASE, 0)
    clip = rsnb.load_clip("mini")
    clip.tokenizer = copy.deepcopy(clip.tokenizer)
    clip.tokenizer.context_length -= 1
    assert set(Lab(objects(), backbone=clip, folder=tmp_path, also=()).key(BASE, 0)["own"]) == {"tokenizer"}


def test_wrong_objects_are_named(tmp_path):
    parts = objects()
    for data, root, said in (
        ({"train": parts["train"]}, None, "train"),
        ({**parts, "test": "toy"}, None, "'test': 'str'"),
        (parts, tmp_path, "with a root"),
    ):
        with pytest.raises(RsnbError, match=said):
            Lab(data, root, folder=tmp_path)
    clip = rsnb.load_clip("mini")
    with pytest.raises(RsnbError, match="no pretrained"):
        Lab(backbone=clip, pretrained="random", folder=tmp_path)
    with pytest.raises(RsnbError, match="is a Linear"):
        Lab(backbone=torch.nn.Linear(1, 1), folder=tmp_path)
    rsnb.adapt(clip, "lora")
    with pytest.raises(RsnbError, match=r"lora.*detach"):
        Lab(backbone=clip, folder=tmp_path)


# --- tables -----------------------------------------------------------------------------------------------------
def made(seed: int, mr: float, spec: Spec = BASE, trainable: int = 1234) -> Cell:
    """A cell with given numbers: recalls mr - 2, mr - 1, mr, mr, mr + 1, mr + 2."""
    config = {k: v for k, v in spec.config.replace(seed=seed).to_dict().items() if k != "device"}
    names = ("text_r1", "text_r5", "text_r10", "image_r1", "image_r5", "image_r10")
    recalls = dict(zip(names, (mr - 2, mr - 1, mr, mr, mr + 1, mr + 2)))
    return Cell(
        hash=f"x{seed}",
        seed=seed,
        mr=mr,
        sorted_mr=mr,
        val_mr=mr + 3,
        trainable=trainable,
        steps=20,
        seconds=1.5,
        text=(),
        image=(),
        captions=(),
        key={"settings": {"config": config, "share": spec.share}, "data": {}, "weights": "", "code": ""},
        stamp="made",
        honest={"expected": {**recalls, "mr": mr}},
    )


def test_a_frame_has_a_row_a_cell_and_seed_with_what_varies():
    wide = vary(vary(BASE, "adapter.bottleneck", 8), "loss.cross", 0.5)
    table = frame({(4, 1.0): [made(0, 50.0), made(1, 53.0)], (8, 0.5): [made(0, 60.0, wide, 5678)]}, final=True)
    assert list(table.columns) == [
        "cell", "adapter.bottleneck", "loss.cross", "seed", "text_r1", "text_r5", "text_r10", "image_r1", "image_r5",
        "image_r10", "mr", "val_mr", "trainable", "steps", "seconds", "hash",
    ]  # fmt: skip
    assert table.values.tolist() == [
        ["4, 1.0", 4, 1.0, 0, 48.0, 49.0, 50.0, 50.0, 51.0, 52.0, 50.0, 53.0, 1234, 20, 1.5, "x0"],
        ["4, 1.0", 4, 1.0, 1, 51.0, 52.0, 53.0, 53.0, 54.0, 55.0, 53.0, 56.0, 1234, 20, 1.5, "x1"],
        ["8, 0.5", 8, 0.5, 0, 58.0, 59.0, 60.0, 60.0, 61.0, 62.0, 60.0, 63.0, 5678, 20, 1.5, "x0"],
    ]


def test_another_rate_is_named_beside_a_difference():
    faster = [made(seed, 50.0, vary(BASE, "train.lr", 0.01)) for seed in range(2)]
    base = [made(seed, 50.0) for seed in range(2)]
    assert confounded(faster, base) == ["learns at rate 0.01, the baseline at 0.001"]
    assert confounded(faster, base, ["train.lr"]) == []


def test_latex_has_the_mean_and_the_spread():
    wide = vary(BASE, "adapter.bottleneck", 8)
    table = frame({(4,): [made(0, 50.0), made(1, 53.0)], (8,): [made(0, 60.0, wide, 5678)]}, final=True)
    rows = summary(table)
    assert rows["mr"].tolist() == [51.5, 60.0] and rows["seeds"].tolist() == [2, 1]
    assert rows["mr_sd"][0] == pytest.approx(4.5**0.5) and rows["mr_sd"].isna().tolist() == [False, True]
    assert latex(table) == textwrap.dedent(
        r"""
        \begin{tabular}{lrrrrrrrrr}
        \toprule
        adapter.bottleneck & i2t R@1 & i2t R@5 & i2t R@10 & t2i R@1 & t2i R@5 & t2i R@10 & mR & trained & seeds \\
        \midrule
        4 & $49.5 \pm 2.1$ & $50.5 \pm 2.1$ & $51.5 \pm 2.1$ & $51.5 \pm 2.1$ & $52.5 \pm 2.1$ & $53.5 \pm 2.1$ """
        r"""& $51.5 \pm 2.1$ & 1,234 & 2 \\
        8 & 58.0 & 59.0 & 60.0 & 60.0 & 61.0 & 62.0 & 60.0 & 5,678 & 1 \\
        \bottomrule
        \end{tabular}
        """
    ).lstrip("\n")
    assert with_spread(float("nan"), float("nan")) == "--" and with_spread(1.25, 0.5, 2) == r"$1.25 \pm 0.50$"
    assert escaped("a_b & 5 %") == r"a\_b \& 5 \%"


def test_a_frame_of_several_methods_has_no_option_that_one_alone_has():
    lora = Spec(TrainConfig(method="lora", options={"rank": 2}))
    more = vary(lora, "adapter.rank", 4)
    table = frame({"mrs": [made(0, 50.0)], "lora": [made(0, 51.0, lora)], "more": [made(0, 52.0, more)]}, final=True)
    assert table["adapter.rank"].tolist() == [None, 2, 4] and "adapter.bottleneck" not in table
    assert "None" not in latex(table) and summary(table)["adapter.rank"].tolist() == [None, 2, 4]


def test_the_committed_studies_are_frames_too():
    for study in read_studies().values():
        table = frame(study["done"], final=True)
        assert len(table) == sum(map(len, study["done"].values())) and table["mr"].notna().all()
        assert r"\pm" in latex(table) and ("R@1" in latex(table)) == table["text_r1"].notna().any()


def test_a_frame_explores_on_validation():
    cell = dataclasses.replace(made(0, 50.0), val={"text_r1": 7.0, "mr": 9.0})
    explored, reported = (frame({"a": [cell]}, final=final).iloc[0] for final in (False, True))
    assert (explored["text_r1"], explored["mr"]) == (7.0, 53.0) and (reported["text_r1"], reported["mr"]) == (
        48.0,
        50.0,
    )


@pytest.mark.check
def test_the_example_of_the_page_runs(repo, tmp_path, monkeypatch, capsys):
    text = (repo / "notebooks" / "in_python.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if "run_cells" in b]
    block = (
        block.replace("epochs=3", "epochs=1, batch_size=8")
        .replace("seeds=2", "seeds=1")
        .replace('("toy", split)', '("toy", split, limit=16)')
    )
    monkeypatch.chdir(tmp_path)
    space = {"rsnb": rsnb}
    exec(block, space)
    assert "adapter.bottleneck & i2t R@1" in capsys.readouterr().out and not space["failed"]
    assert space["model"].added is not None and len(space["done"]) == 2


# --- locks ------------------------------------------------------------------------------------------------------
def test_one_at_a_time_holds_a_lock(tmp_path):
    path, seen = tmp_path / "state" / "x.lock", []

    def hold(number: int) -> None:
        with alone(path, every=0.01):
            seen.append(number)
            time.sleep(0.02)
            seen.append(number)

    threads = [threading.Thread(target=hold, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16 and seen[::2] == seen[1::2] and not path.exists()


def test_the_lock_of_a_killed_process_keeps_nobody_out(tmp_path):
    path = tmp_path / "x.lock"
    code = "import sys, time; from pathlib import Path; from rsnb.base.locks import alone\n"
    code += "with alone(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n" and not is_free(path)
    other.kill()
    other.wait()
    other.stdout.close()
    assert path.exists() or os.name == "nt"
    with alone(path):
        assert not is_free(path)
    assert is_free(path) and not path.exists()


def test_the_same_cell_asked_for_twice_at_once_is_trained_once(tmp_path):
    lab, begun = Lab(folder=tmp_path, also=(), limit=16), []
    spec, found = vary(BASE, "train.batch_size", 8), []
    threads = [threading.Thread(target=lambda: found.append(lab.cell(spec, 0, begun.append))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1 and found[0] == found[1] and not list((tmp_path / "state").iterdir())


def test_a_disk_without_locks_is_warned_of(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks, "_take", refuse)
    with pytest.warns(RsnbWarning, match="knows no locks"), alone(tmp_path / "x.lock"):
        assert not is_free(tmp_path / "x.lock")


def test_a_known_digest_is_believed_within_its_block():
    def f():
        return 1

    own = digest_of_own(f)
    with digests_known([(f, "known")]):
        assert digest_of_own(f) == "known" and digest_of_own(Scale) == digest_of_own(Scale)
    assert digest_of_own(f) == own


# --- side by side -----------------------------------------------------------------------------------------------
@pytest.mark.check
def test_threads_give_what_one_after_the_other_gives(lab, tmp_path):
    """One process has one random state: its threads train one cell at a time."""
    other, seen = Lab(folder=tmp_path, also=(), limit=32), []
    with ThreadPoolExecutor(2) as pool:
        done, failed = run_cells(other, GRID, 1, False, lambda *a: seen.append((a[0], a[1].seed, *a[2:4])), None, pool)
    same(run_cells(lab, GRID, 1, False)[0], done)
    assert not failed and [row[2:] for row in seen] == [(1, 2), (2, 2)]
    assert all(cell.lab is other and cell.model() for cells in done.values() for cell in cells)
    assert sorted(p.name for p in (tmp_path / "cells").iterdir()) == sorted(
        f"{cell.hash}.{end}" for cells in done.values() for cell in cells for end in ("json", "safetensors")
    )
    assert not list((tmp_path / "state").iterdir())
    seen.clear()
    again, _ = run_cells(other, GRID, 1, False, lambda *a: seen.append(a[2:]), executor=lambda: pytest.fail("made"))
    assert again == done and seen == [(1, 2, 0.0), (2, 2, 0.0)]


@pytest.mark.check
def test_failures_are_reported_as_in_one_process(tmp_path):
    def broken(v, t, v2, t2):
        raise KeyError("no such thing")

    cells = {
        "bad": vary(BASE, "adapter.bottleneck", 0),
        "worse": vary(BASE, "loss.name", "own:broken"),
        "good": BASE,
        "the same": BASE,
    }
    found = []
    for name, executor in (("a", None), ("b", lambda: ThreadPoolExecutor(2))):
        lab = Lab(folder=tmp_path / name, also=(), limit=16, losses=[broken])
        found.append(run_cells(lab, cells, 2, False, executor=executor))
    same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] and set(found[0][1]) == {"bad", "worse"}
    assert "no such thing" in found[1][1]["worse"] and list(found[1][0]) == ["good", "the same"]


def test_a_run_may_be_stopped_from_within(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=16)

    def stop(state):
        raise Stopped

    with pytest.raises(Stopped):
        run_cells(
            lab, {"a": vary(BASE, "train.epochs", 2)}, 1, False, on_epoch=stop, executor=lambda: ThreadPoolExecutor(1)
        )
    (left,) = (tmp_path / "state").iterdir()
    assert (left / "state.pt").exists() and not (tmp_path / "cells").exists()


def test_what_cannot_run_side_by_side_is_named(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=16)
    for executor in (2, "dask", ThreadPoolExecutor):
        with pytest.raises((RsnbError, AttributeError), match="executor|submit"):
            run_cells(lab, {"a": BASE}, 1, False, executor=executor if executor != ThreadPoolExecutor else object())
    lock = threading.Lock()
    with pytest.raises(RsnbError, match="on_epoch"), ThreadPoolExecutor(1) as pool:
        run_cells(lab, {"a": BASE}, 1, False, on_epoch=lambda state: lock.locked(), executor=pool)
    with pytest.raises(RsnbError, match="at least 1"):
        processes(0)
    assert not list(tmp_path.rglob("grid-*"))


def test_a_process_that_would_give_other_numbers_trains_nothing(lab, tmp_path):
    """Another place, other code, other weights, other images."""
    there, key = Lab(folder=tmp_path, also=(), limit=32), lab.key(BASE, 5)
    assert train_cell(str(tmp_path / "nowhere"), BASE, 5, key, "1")[1].count("must see the lab's folder") == 1

    def answer(key: dict, **changes) -> str:
        sent = tmp_path / f"{len(list(tmp_path.iterdir()))}.pickle"
        changed = copy.copy(there)
        changed.__dict__.update(changes)
        sent.write_bytes(pickle.dumps((changed, None)))
        outcome, why = train_cell(str(sent), BASE, 5, key, "1")
        assert outcome == FAILED
        return why

    there.key(BASE, 5)
    assert "another version of rsnb" in answer({**key, "code": "x"})
    assert "weights of mini are not those" in answer(key, weights="x")
    assert "images of toy/val are not those" in answer(key, fingerprints={**there.fingerprints, "val": "x"})
    assert not (tmp_path / "cells").exists()


#: What a notebook's cell holds: no file, a class and a loss that are in __main__, with a helper and a constant.
TYPED = """
FACTOR = 2.0

def scaled(x):
    return x * FACTOR

class Typed(Method):
    def __init__(self, clip, start: float = 1.0):
        super().__init__()
        self.by = torch.nn.Parameter(torch.full((clip.embed_dim,), start))

    def head(self, x, tower):
        return scaled(x) * self.by

def typed(v, t, v2, t2):
    return rsnb.losses.triplet(v, t) / FACTOR
"""


@pytest.fixture
def typed():
    """A method and a loss as a notebook's cell makes them."""
    name, space = "<ipython-input-7-typed>", {"Method": Method, "torch": torch, "rsnb": rsnb, "__name__": "__main__"}
    linecache.cache[name] = (len(TYPED), None, TYPED.splitlines(True), name)
    exec(compile(TYPED, name, "exec"), space)
    yield space["Typed"], space["typed"]
    del linecache.cache[name]


def grid_with_own() -> dict:
    """Two built-in cells, and one of a method and a loss typed in a notebook."""
    own = Spec(TrainConfig(method="Typed", epochs=2, batch_size=16, precision="fp32", loss="own:typed"))
    return {**grid_of_specs(vary(BASE, "train.epochs", 2), {"loss.margin": [0.2, 0.3]}), "own": own}


def labs(tmp_path, typed, *names: str) -> list[Lab]:
    return [Lab(folder=tmp_path / n, also=(), limit=32, methods=typed[:1], losses=typed[1:]) for n in names]


@pytest.mark.check
def test_two_processes_give_what_one_gives(tmp_path, typed):
    one, two, three = labs(tmp_path, typed, "one", "two", "three")
    here, _ = run_cells(one, grid_with_own(), 2, False)
    there, failed = run_cells(two, grid_with_own(), 2, False, executor=processes(2))
    same(here, there)
    assert not failed and not children()
    assert set(there["own"][0].key["own"]) == {"Typed", "own:typed"} and there["own"][0].model().method == "Typed"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:  # the user's own
        same(here, run_cells(three, grid_with_own(), 2, False, executor=pool)[0])


def dask(**more):
    """A client of a cluster of two processes on this machine."""
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0", **more
    )
    return distributed.Client(cluster), cluster


@pytest.mark.check
def test_a_dask_cluster_gives_what_one_process_gives(tmp_path, typed):
    one, two = labs(tmp_path, typed, "one", "two")
    client, cluster = dask()
    with cluster, client:
        begun = time.perf_counter()
        there, failed = run_cells(two, grid_with_own(), 2, False, executor=client)
        print(
            f"Dask: 6 cells by {len(client.scheduler_info()['workers'])} workers, {time.perf_counter() - begun:.1f} s"
        )
        begun = time.perf_counter()
        here, _ = run_cells(one, grid_with_own(), 2, False)
        print(f"here: {time.perf_counter() - begun:.1f} s")
    same(here, there)
    print({name: [cell.hash for cell in cells] for name, cells in there.items()}, "are equal, numbers and weights too")
    assert not failed


def deadly(folder: str, deaths: int):
    """on_epoch: kills its process after the first epoch of the run with margin 0.3, this often."""

    def on_epoch(state):
        if state.cell.config.margin == 0.3 and state.seed == 0 and len(state.history) == 1:
            for number in range(deaths):
                try:
                    os.close(os.open(os.path.join(folder, f"death-{number}"), os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                if hasattr(signal, "SIGKILL"):
                    os.kill(os.getpid(), signal.SIGKILL)
                os._exit(1)

    return on_epoch


TWO_EPOCHS = grid_of_specs(vary(BASE, "train.epochs", 2), {"loss.margin": [0.2, 0.3, 0.4]})


@pytest.mark.check
@pytest.mark.parametrize("kind", ["pool", "Dask"])
def test_a_killed_process_costs_no_cell(kind, tmp_path, lab):
    other = Lab(folder=tmp_path, also=(), limit=32)
    deaths = 1
    with contextlib.ExitStack() as stack:
        if kind == "pool":
            context = get_context("spawn")
            executor = stack.enter_context(ProcessPoolExecutor(2, mp_context=context))
        else:
            executor, cluster = dask()
            stack.enter_context(cluster)
            stack.enter_context(executor)
        there, failed = run_cells(other, TWO_EPOCHS, 2, False, None, deadly(str(tmp_path), deaths), executor)
    assert not failed and len(list(tmp_path.glob("death-*"))) == deaths
    assert not list((tmp_path / "state").iterdir())
    same(run_cells(lab, TWO_EPOCHS, 2, False)[0], there)


@pytest.mark.check
def test_a_cell_that_kills_its_process_each_time_is_the_only_one_lost(tmp_path):
    def too_large(v, t, v2, t2):
        os._exit(1)

    lab = Lab(folder=tmp_path, also=(), limit=16, losses=[too_large])
    base = vary(BASE, "train.batch_size", 8)
    cells = {"a": base, "dies": vary(base, "loss.name", "own:too_large"), "b": vary(base, "loss.margin", 0.4)}
    done, failed = run_cells(lab, cells, 1, False, executor=processes(2))
    assert list(done) == ["a", "b"] and list(failed) == ["dies"] and "ended three times" in failed["dies"]
    assert not children()


@pytest.mark.check
@pytest.mark.parametrize("kind", [Stopped, KeyboardInterrupt])
def test_a_stopped_grid_leaves_no_process_behind(kind, tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=32)

    def on_cell(*_):
        assert children()
        raise kind

    with pytest.raises(kind):
        run_cells(lab, GRID, 4, False, on_cell, executor=processes(2))
    assert not children() and not list(tmp_path.rglob("grid-*"))
    assert 0 < len(list((tmp_path / "cells").glob("*.json"))) < 8


@pytest.mark.check
def test_a_users_own_pool_stops_after_the_epoch(tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=32)

    def on_cell(*_):
        raise KeyboardInterrupt

    cells = {"short": BASE, "long": vary(BASE, "train.epochs", 10_000)}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with pytest.raises(KeyboardInterrupt):
            run_cells(lab, cells, 1, False, on_cell, executor=pool)
        assert pool.submit(len, "abc").result() == 3  # it is the user's, and works
    (left,) = (tmp_path / "state").iterdir()  # the pool waited for it, and it goes on from here another time
    assert (left / "state.pt").exists()


@pytest.mark.check
def test_processes_end_with_the_program_that_made_them(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from rsnb.config import TrainConfig
            from rsnb.studies.ablation.executors import FAILED, processes, train_cell
            from rsnb.studies.ablation.lab import Lab, run_cells
            from rsnb.studies.ablation.spec import Spec

            def say(state):
                print("trains", flush=True)

            if __name__ == "__main__":
                spec = Spec(TrainConfig(epochs=10_000, batch_size=16))
                run_cells(Lab(folder=sys.argv[1], also=(), limit=32), {"a": spec}, 2, False, None, say, processes(2))
            """
        ),
        encoding="utf-8",
    )
    program = subprocess.Popen([sys.executable, script, tmp_path / "lab"], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "trains\n"
    theirs = psutil.Process(program.pid).children(recursive=True)
    assert len(theirs) >= 2
    program.kill()
    program.wait()
    program.stdout.close()
    gone, alive = psutil.wait_procs(theirs, timeout=30)
    assert not alive
    lab = Lab(folder=tmp_path / "lab", also=(), limit=32)
    assert len(list((tmp_path / "lab" / "state").glob("grid-*.pickle"))) == 1
    run_cells(lab, {"b": BASE}, 1, False, executor=lambda: ThreadPoolExecutor(1))
    assert not list((tmp_path / "lab" / "state").glob("grid-*"))


NOTEBOOK = """
import sys, torch, rsnb
from rsnb.config import TrainConfig
from rsnb.studies.ablation.executors import processes
from rsnb.studies.ablation.lab import Lab, run_cells
from rsnb.studies.ablation.spec import Spec, vary
from rsnb.surgery import Method
%%
FACTOR = 2.0

class Typed(Method):
    def __init__(self, clip):
        super().__init__()
        self.by = torch.nn.Parameter(torch.ones(clip.embed_dim))

    def head(self, x, tower):
        return x * self.by * FACTOR

class Loss(torch.nn.Module):
    def __init__(self, start=10.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(start))

    def forward(self, batch):
        return len(batch) * rsnb.losses.clip_loss(batch.image, batch.text, self.scale)
%%
spec = Spec(TrainConfig(method="Typed", loss="own:Loss", epochs=2, batch_size=16, precision="fp32", device="cpu"))
found = {}
for name, executor in (("here", None), ("there", processes(2))):
    lab = Lab(folder=name, also=(), limit=32, methods=[Typed], losses=[Loss])
    done, failed = run_cells(lab, {"a": spec, "b": vary(spec, "loss.start", 20.0)}, 1, False, executor=executor)
    assert not failed, failed
    found[name] = [(c.hash, c.mr, c.text, c.history[-1]["loss.scale"], c.model().added.by.tolist()) for c in
                   (done["a"][0], done["b"][0])]
assert found["here"] == found["there"] and found["here"][0] != found["here"][1]
print("equal")
"""


@pytest.mark.check
def test_what_is_typed_in_a_notebook_goes_along(tmp_path, repo):
    import nbformat
    from nbclient import NotebookClient

    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK.split("%%")]
    book = nbformat.v4.new_notebook(cells=cells)
    book.cells[0].source = f"import sys; sys.path.insert(0, {str(repo)!r})\n{book.cells[0].source}"
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert book.cells[-1].outputs[-1].text == "equal\n"
