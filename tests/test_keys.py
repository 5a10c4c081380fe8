"""One key for every kept result: what changes it, what does not, what is refused, and what it costs to read."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import sys
import threading
import time

import numpy as np
import pytest
import torch

import rsnb
from rsnb.base.own import digest_of_own
from rsnb.config import TrainConfig
from rsnb.data import digests
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation import lab as laboratory
from rsnb.studies.ablation import rekey
from rsnb.studies.ablation.cell import Cell, read_cell, write_cell
from rsnb.studies.ablation.lab import Lab, run_cells
from rsnb.studies.ablation.spec import Spec, grid_of_specs, vary
from rsnb.surgery import Method

numbers = itertools.count()


def module_of(tmp_path, text, name=None):
    """A module of this text, as a user would write and import it."""
    name = name or f"mine_{next(numbers)}"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Text of a module -> the digest of its ``loss``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda text, name=None: digest_of_own(module_of(tmp_path, text, name).loss)


# --- your own: five traps and more ------------------------------------------------------------------------------
LOSS = "def loss(v, t, v2, t2):\n    return {}\n"
CLOSURE = (
    "def with_tau(tau):\n    def loss(v, t, v2, t2):\n        return v * tau\n    return loss\nloss = with_tau({})\n"
)
HELPER = "def scaled(x):\n    return x * {}\n" + LOSS.format("scaled(v).sum()")
DEEP = "def inner(x):\n    return x * {}\ndef scaled(x):\n    return inner(x)\n" + LOSS.format("scaled(v).sum()")
BASE = "class Base:\n    def scale(self, x):\n        return x * {}\nclass loss(Base):\n    def head(self, x, tower):\n"
BASE += "        return self.scale(x)\n"
OBJECT = "class Loss:\n    def __init__(self, tau):\n        self.tau = tau\n    def __call__(self, v, t, v2, t2):\n"
OBJECT += "        return v * self.tau\nloss = Loss({})\n"
TENSOR = "import torch\n" + OBJECT.replace("Loss({})", "Loss(torch.full((3,), {}.0))")
LAYER = "import torch\nclass Loss(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
LAYER += "        self.layer = torch.nn.Linear(2, 2)\n        self.layer.weight.data.fill_({})\n"
LAYER += "        self.layer.bias.data.zero_()\n    def forward(self, v, t, v2, t2):\n        return v\nloss = Loss()\n"
TRAPS = {
    "closure": CLOSURE,
    "module constant": "TAU = {}\n" + LOSS.format("v * TAU"),
    "helper": HELPER,
    "base class": BASE,
    "object attribute": OBJECT,
    "helper of a helper": DEEP,
    "default": "def loss(v, t, v2, t2, tau={}):\n    return v * tau\n",
    "keyword default": "def loss(v, t, v2, t2, *, tau={}):\n    return v * tau\n",
    "class attribute": "class loss:\n    tau = {}\n    def head(self, x, tower):\n        return x * self.tau\n",
    "constant of a class's method": "TAU = {}\nclass loss:\n    def head(self, x, tower):\n        return x * TAU\n",
    "tensor": TENSOR,
    "module of torch": LAYER,
    "decorated": "import torch\nTAU = {}\n@torch.no_grad()\n" + LOSS.format("v * TAU"),
    "cached helper": "import functools\nTAU = {}\n@functools.lru_cache\ndef scale():\n    return TAU\n"
    + LOSS.format("scale()"),
    "partial": "import functools\ndef f(v, t, v2, t2, tau):\n    return v * tau\nloss = functools.partial(f, tau={})\n",
    "comprehension": "TAU = {}\n" + LOSS.format("sum([x * TAU for x in v])"),
    "lambda": "TAU = {}\nloss = lambda v, t, v2, t2: v * TAU\n",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass Loss:\n    tau: int = {}\n"
    "    def __call__(self, v, t, v2, t2):\n        return v * self.tau\nloss = Loss()\n",
    "text with a hash": LOSS.format("v if 'a  # {}' else t"),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_what_decides_a_number_gives_another_key(trap, own):
    one, same, other = (own(TRAPS[trap].replace("{}", value)) for value in ("5", "5", "7"))
    assert one == same, "the name of the file is no part of it"
    assert one != other


@pytest.mark.parametrize("trap", ["closure", "helper", "base class", "object attribute"])
def test_a_comment_gives_no_other_key(trap, own):
    text = TRAPS[trap].replace("{}", "5")
    assert own("# before\n" + text.replace("\n", "  # why\n")) == own(text)
    assert own(HELPER.replace("{}", "5").replace("v2, t2):\n", 'v2, t2):\n    """What."""\n')) == own(
        HELPER.replace("{}", "5")
    )


def test_modules_of_ones_own_are_followed(own, tmp_path):
    def digest_with(tau, **more):
        (tmp_path / "my_helpers.py").write_text(f"TAU = {tau}\nOTHER = {more}\ndef f(x):\n    return x * TAU\n")
        sys.modules.pop("my_helpers", None)
        importlib.invalidate_caches()
        return (
            own(head + LOSS.format(call)) if "    import" not in call else own(head + LOSS.replace("return {}", call))
        )

    for head, call in (
        ("import my_helpers\n", "my_helpers.f(v)"),
        ("import my_helpers as h\n", "h.TAU * v"),
        ("from my_helpers import f\n", "f(v)"),
        ("", "from my_helpers import f\n    import torch\n    return f(v)"),
        ("", "import my_helpers\n    return my_helpers.f(v)"),
    ):
        if call.startswith(("from", "import")):
            call = "pass\n    " + call
        assert digest_with(55) == digest_with(55) != digest_with(66), (head, call)
    head, call = "import my_helpers\n", "my_helpers.f(v)"
    assert digest_with(55) == digest_with(55, unused=1), "what is not used decides nothing"


def test_what_changed_while_the_program_runs_counts(own, tmp_path):
    module = module_of(tmp_path, "TAU = 5\n" + LOSS.format("v * TAU"))
    before = digest_of_own(module.loss)
    module.TAU = 7
    changed = digest_of_own(module.loss)
    module.TAU = 5
    assert changed != before == digest_of_own(module.loss)


def test_a_file_that_changed_after_it_was_loaded_is_refused(own, tmp_path):
    """What runs is the old text, what stands in the file the new one."""
    module = module_of(tmp_path, LOSS.format("v * 5"), "edited")
    before = digest_of_own(module.loss)
    (tmp_path / "edited.py").write_text("# a line more\n" + LOSS.format("v * 7777"), encoding="utf-8")
    os.utime(tmp_path / "edited.py", (time.time() + 60,) * 2)
    with pytest.raises(RsnbError, match="edited.py has changed since loss was loaded"):
        digest_of_own(module.loss)
    assert digest_of_own(module_of(tmp_path, LOSS.format("v * 5"), "edited_again").loss) == before


def test_libraries_count_by_name():
    def of(function):
        def loss(v, t, v2, t2):
            return function(v)

        return digest_of_own(loss)

    assert of(torch.exp) == of(torch.exp) != of(torch.log)
    assert of(rsnb.losses.triplet) != of(rsnb.losses.clip_loss)
    assert of(np.mean) != of(np.median) and of(torch.nn.functional.relu) != of(torch.nn.functional.gelu)


def test_data_sets_and_clips_count_by_what_is_in_them():
    clip, data = rsnb.load_clip(), rsnb.load_dataset("toy", "val", limit=8)

    def of(held):
        return digest_of_own(functools.partial(test_libraries_count_by_name, held))

    assert of(clip) == of(rsnb.load_clip()) and of(data) == of(data.subset(range(8))) != of(data.subset(range(7)))


@pytest.mark.parametrize("kind", ["lock", "file", "generator", "typed", "two lambdas"])
def test_what_cannot_be_digested_is_refused_by_name(kind, tmp_path):
    made = {
        "lock": threading.Lock,
        "file": lambda: (tmp_path / "x").open("w"),
        "generator": lambda: (x for x in "ab"),
        "typed": lambda: eval("lambda v: v"),
        "two lambdas": lambda: {1: lambda v: v, 2: lambda v: v * 2}[1],
    }
    tricky = made[kind]()

    def my_loss(v, t, v2, t2):
        return tricky, v

    with pytest.raises(RsnbError, match="my_loss"):
        digest_of_own(my_loss)
    if kind == "file":
        tricky.close()


def test_functions_may_refer_to_each_other():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n > 0 and even(n - 1)

    assert digest_of_own(even) != digest_of_own(odd) and digest_of_own(even) == digest_of_own(even)


def test_two_of_one_name_are_an_error(tmp_path):
    def of(factor):
        def loss(v, t, v2, t2):
            return rsnb.losses.triplet(v, t) * factor

        return loss

    with pytest.raises(RsnbError, match="two losses are called loss"):
        Lab(folder=tmp_path, also=(), limit=8, losses=[of(1), of(2)])
    with pytest.raises(RsnbError, match="two methods are called Mine"):
        Lab(folder=tmp_path, also=(), limit=8, methods=[type("Mine", (Method,), {}) for _ in range(2)])


# --- the code ---------------------------------------------------------------------------------------------------
FORM = {
    "as it is": "import os\nA = 1\n\n\ndef f(x):\n    return x + 1\n",
    "comments": "import os\nA = 1  # one\n\n\n# why\ndef f(x):\n\n    return x + 1  # the sum\n",
    "docstrings": '"""A module."""\nimport os\nA = 1\ndef f(x):\n    """What,\n    at length."""\n    return x + 1\n',
    "order": "import os\ndef f(x):\n    return x + 1\nA = 1\n",
    "own imports": "import os\nfrom rsnb.x import y\nA = 1\ndef f(x):\n    from rsnb import z\n    return x + 1\n",
}
CHANGED = {
    "a value": FORM["as it is"].replace("A = 1", "A = 2"),
    "a statement": FORM["as it is"].replace("x + 1", "x + 2"),
    "a name": FORM["as it is"].replace("f(x)", "g(x)"),
    "an import": FORM["as it is"].replace("import os", "import sys as os"),
    "a hash in a text": FORM["as it is"].replace("A = 1", 'A = "1  # one"'),
}


@pytest.mark.parametrize("form", FORM)
def test_form_decides_nothing(form):
    assert keys.version_of([FORM[form]]) == keys.version_of([FORM["as it is"]])


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_statement_is_other_code(change):
    assert keys.version_of([CHANGED[change]]) != keys.version_of([FORM["as it is"]])
    assert keys.version_of(['A = "1  # one"']) != keys.version_of(['A = "1  # two"'])


def test_a_definition_may_stand_in_another_file():
    whole = "from os import path, sep\nA = 1\n\ndef f(x):\n    return path.join(sep, x)\n"
    parts = ["from os import path, sep\n\ndef f(x):\n    return path.join(sep, x)\n", "from os import path\nA = 1\n"]
    assert keys.version_of([whole]) == keys.version_of(parts) == keys.version_of(parts[::-1])


def test_the_code_of_a_run_is_all_that_it_imports():
    found = set(keys.code_of(keys.RUN).modules)
    assert {"losses", "training", "evaluation", "mrs", "data.images", "data.pixels", "measures.ties"} <= found
    assert {"base.recalls", "base.distributed", "baselines.heads", "studies.ablation.counting"} <= found
    assert not found & set(keys.NO_NUMBER) and not {"figures.plots", "commands.cli", "worlds.toy.draw"} & found
    assert "studies.composed.scores" in keys.code_of(keys.COMPOSED).modules
    assert keys.code_of(keys.COMPOSED).digest != keys.code_of(keys.RUN).digest


def test_what_decides_nothing_is_there_and_says_why():
    for name, why in keys.NO_NUMBER.items():
        assert keys._source(name) and why


def test_a_changed_module_is_named():
    code = keys.code_of(keys.RUN)
    key = keys.key_of({"config": TrainConfig().to_dict(), "share": 1.0}, {"train": "a", "test": "b"}, "w")
    modules = dict(code.modules)
    assert keys.parts_changed(key, key, modules, code) == []
    other = keys.Code("other", {**modules, "losses": "x", "new": "y"})
    assert keys.parts_changed(key, {**key, "code": "other"}, modules, other) == ["code (losses, new)"]
    changed = keys.key_of({"config": TrainConfig(lr=5.0).to_dict(), "share": 0.5}, {"train": "a", "test": "c"}, "u")
    assert keys.parts_changed(key, changed, modules, code) == ["settings (lr, share)", "data (test)", "weights"]
    assert keys.parts_changed(key, {**key, "data": None}, modules, code) == [], "what is not at hand is not compared"
    assert keys.parts_changed(None, key, None, code) == ["no key: made before results held one"]


def test_a_key_of_version_0_1_is_read():
    config = {**TrainConfig().to_dict(), "compile": False}
    flat = {"config": config, "backbone": "w", "train": "a", "val": "b", "test": "c"}
    now = keys.key_of({"config": TrainConfig().to_dict(), "share": 1.0}, {"train": "a", "val": "b", "test": "c"}, "w")
    found = keys.parts_changed(flat, now, None, keys.code_of(keys.RUN))
    assert found == ["data (the key holds no images)", "code (the key holds none)"]
    found = keys.parts_changed({**flat, "backbone": "u", "config": {**config, "lr": 3.0}}, now, None, keys.code_of())
    assert {"settings (lr)", "weights"} <= set(found)


def test_versions_are_written_down_and_no_part_of_the_key(monkeypatch):
    assert {"torch", "open_clip", "python", "rsnb"} == set(keys.versions())
    before = keys.key_of({}, {}, "w")
    monkeypatch.setattr(keys, "versions", lambda: {"torch": "9.9", "open_clip": "1"})
    assert keys.key_of({}, {}, "w") == before and keys.made_by()["versions"]["torch"] == "9.9"
    assert keys.other_versions({"torch": "2.0", "open_clip": "1", "python": "2"}) == ["torch 2.0, here 9.9"]


# --- the data ---------------------------------------------------------------------------------------------------
@pytest.fixture
def world(tiny_world, tmp_path):
    import shutil

    return shutil.copytree(tiny_world, tmp_path / "world")


def test_pixels_under_old_names_are_other_data(world):
    from PIL import Image

    before = rsnb.load_dataset(world, "train").fingerprint()
    file = rsnb.load_dataset(world, "train")[0].path
    Image.new("RGB", (64, 64), (1, 2, 3)).save(file)
    after = rsnb.load_dataset(world, "train").fingerprint()
    assert before != after


def test_a_place_and_a_time_are_not_data(world, tmp_path):
    before = rsnb.load_dataset(world, "train").fingerprint()
    file = rsnb.load_dataset(world, "train")[0].path
    file.write_bytes(file.read_bytes())
    assert rsnb.load_dataset(world, "train").fingerprint() == before
    moved = world.rename(tmp_path / "elsewhere")
    assert rsnb.load_dataset(moved, "train").fingerprint() == before


def test_a_file_is_read_once(world, monkeypatch, tmp_path):
    read = []
    real = digests._read
    monkeypatch.setattr(digests, "_read", lambda item: read.append(item.name) or real(item))
    monkeypatch.setattr(digests, "SLOW", 0.0)
    monkeypatch.setattr(digests, "_known", {})
    monkeypatch.setenv("RSNB_CACHE", str(tmp_path / "cache"))
    data = rsnb.load_dataset(world, "train")
    before = data.fingerprint()
    assert len(read) == len(data) and data.fingerprint() == before and len(read) == len(data)
    monkeypatch.setattr(digests, "_known", {})  # another process
    assert data.fingerprint() == before and len(read) == len(data), "the cache on disk was not used"
    for file in (tmp_path / "cache").glob("digests-*.json"):
        file.write_text("damaged")
    monkeypatch.setattr(digests, "_known", {})
    assert data.fingerprint() == before and len(read) == 2 * len(data)


def test_an_image_that_is_gone_is_named(world):
    data = rsnb.load_dataset(world, "train")
    data[3].path.unlink()
    with pytest.raises(RsnbError, match=data[3].name):
        data.fingerprint()


# --- what it costs ----------------------------------------------------------------------------------------------
class Mine(Method):
    def head(self, x, tower):
        return x


def test_a_hundred_cells_are_read_in_a_second_and_each_once(tmp_path, monkeypatch):
    """What they share (the code, the data, the weights, an own method) is digested once."""
    lab = Lab(folder=tmp_path, also=(), methods=[Mine])
    grid = grid_of_specs(
        vary(Spec(TrainConfig(epochs=2)), "method", "Mine"), {"train.lr": [1e-5 * n for n in range(1, 51)]}
    )
    images = len(lab.parts["test"])
    for spec in grid.values():
        for seed in range(2):
            key = lab.key(spec, seed)
            kept = {"text": (0.33333,) * images, "image": (1.66667,) * images, "captions": (5,) * images}
            about = {
                "mr": 1.0,
                "sorted_mr": 1.0,
                "val_mr": 1.0,
                "trainable": 1,
                "steps": 1,
                "seconds": 1.0,
                "stamp": "made",
            }
            name = laboratory.digest(key)
            history = [{"epoch": n, "loss": 0.12345, "val_mr": 50.12345} for n in range(12)]
            cell = Cell(hash=name, seed=seed, key=key, history=history, made_by=keys.made_by(), **kept, **about)
            write_cell(cell, tmp_path / "cells" / f"{name}.json")
    read, digested, stated = [], [], []
    monkeypatch.setattr(laboratory, "read_cell", lambda path: read.append(path.stem) or read_cell(path))
    monkeypatch.setattr(laboratory, "digest_of_own", lambda own: digested.append(own) or digest_of_own(own))
    monkeypatch.setattr(digests, "_state", lambda item: stated.append(item))
    monkeypatch.setattr(Lab, "_run", lambda *args: pytest.fail("trained again"))
    started = time.process_time()
    done, failed = run_cells(lab, grid, 2, progress=False, on_cell=lambda *_: None)
    seconds = time.process_time() - started
    assert sum(map(len, done.values())) == 100 and not failed
    assert len(read) == len(set(read)) == 100 and digested == [Mine] and not stated
    assert seconds < 1, f"{seconds:.2f} s"


# --- cells of the code before -----------------------------------------------------------------------------------
def flat_cell(lab, folder, spec, code="0123456789ab", **more):
    """A finished cell as version 0.1 kept it."""
    config = {k: v for k, v in spec.config.to_dict().items() if k != "device"}
    texts = {split: rekey.text_fingerprint(part) for split, part in lab.parts.items()}
    key = {"config": config, "share": spec.share, "backbone": lab.weights, **texts, "code": code, **more}
    about = {"mr": 1.0, "sorted_mr": 1.0, "val_mr": 1.0, "trainable": 1, "steps": 1, "seconds": 1.0, "stamp": "made"}
    name = laboratory.digest(key)
    cell = Cell(hash=name, seed=config["seed"], key=key, text=(1.0,), image=(1.0,), captions=(1,), **about)
    write_cell(cell, folder / f"{name}.json")
    return name


def test_kept_cells_get_the_keys_of_today(tmp_path):
    lab, specs = Lab(folder=tmp_path, also=[tmp_path / "kept"], limit=8), [Spec(), Spec(share=0.5)]
    names = [flat_cell(lab, tmp_path / "kept", spec) for spec in specs]
    (tmp_path / "kept" / "studies.json").write_text(str(names).replace("'", '"'), encoding="utf-8")
    assert lab.found(specs[0], 0) is None
    assert rekey.rekey(tmp_path / "kept", "0123456789ab", lab) == 2
    for spec in specs:
        cell = lab.found(spec, 0)
        assert cell is not None and cell.mr == 1.0 and cell.made_by["modules"] == keys.code_of().modules
        assert cell.hash in (tmp_path / "kept" / "studies.json").read_text(encoding="utf-8")
    assert len(list((tmp_path / "kept").glob("*.json"))) == 3
    assert rekey.rekey(tmp_path / "kept", keys.code_of().digest, lab) == 2, "cells of today's form are read, too"


@pytest.mark.parametrize("wrong", [{"code": "other"}, {"backbone": "other"}, {"test": "other"}, "method"])
def test_a_cell_that_nothing_proves_is_not_renamed(wrong, tmp_path):
    lab = Lab(folder=tmp_path, also=(), limit=8)
    flat_cell(lab, tmp_path / "kept", Spec())
    flat_cell(lab, tmp_path / "kept", Spec(share=0.5), **(wrong if isinstance(wrong, dict) else {}))
    before = sorted(path.name for path in (tmp_path / "kept").iterdir())
    with pytest.raises(SystemExit, match="nothing is renamed"):
        rekey.rekey(tmp_path / "kept", "0123456789ab", lab, ["mrs"] if wrong == "method" else [])
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == before
