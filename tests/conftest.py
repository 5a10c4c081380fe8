"""Every test runs without a network, here and in the kernels and programs that it starts."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from rsnb.base import offline, paths

os.environ[offline.SWITCH] = "1"  # inherited by kernels and by the rsnb command
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models: more threads wait for each other, not for work
for name in [n for n in os.environ if n.startswith("RSNB_") and n not in (offline.SWITCH, "RSNB_SHARED_DATA")]:
    del os.environ[name]  # the caller's own settings are not what the tests are about
os.environ["RSNB_CACHE"] = tempfile.mkdtemp(prefix="rsnb-cache-")  # not the user's own
atexit.register(shutil.rmtree, os.environ["RSNB_CACHE"], ignore_errors=True)
os.environ.pop("COLUMNS", None)  # nobody's window: lines come as they are
offline.block_network()

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the clone."""
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data: RSNB_SHARED_DATA, or ``../shared/data`` beside the clone. Skips if absent."""
    folder = Path(os.environ.get("RSNB_SHARED_DATA") or REPO.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data here: set RSNB_SHARED_DATA to a folder that holds ucm_precomp and the like")
    return folder


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 24 plain pictures in three classes, five captions each, in the Karpathy layout."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "images").mkdir()
    images = []
    colours = {"field": (60, 160, 60), "water": (40, 80, 200), "sand": (220, 200, 120)}
    for number in range(24):
        label = list(colours)[number % 3]
        name = f"{label}_{number:02d}.png"
        picture = Image.new("RGB", (64, 64), colours[label])
        picture.paste((250, 250, 250), (number * 2, 10, number * 2 + 10, 20))
        picture.save(folder / "images" / name)
        captions = [
            f"{word} {label} with a white square , number {number}" for word in ["a", "the", "one", "some", "this"]
        ]
        sentences = [{"raw": caption} for caption in captions]
        split = "test" if number % 4 == 0 else "train"
        images.append({"filename": name, "split": split, "sentences": sentences})
    listing = {"dataset": "tiny", "images": images}
    (folder / "dataset_tiny.json").write_text(json.dumps(listing), encoding="utf-8")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _toy_world_is_read_once():
    """Reading it takes a third of a second, each part and each time, and a data set does not change."""
    import rsnb.data

    read, kept = rsnb.data.load_dataset, {}

    def load_dataset(name_or_path="toy", *args, **options):
        if name_or_path != "toy" or options.get("root") is not None:
            return read(name_or_path, *args, **options)
        key = paths.toy_dir(), args, tuple(sorted(options.items()))
        if key not in kept:
            kept[key] = read(name_or_path, *args, **options)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsnb.data, "load_dataset", load_dataset)
        yield


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """No test sees another's."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """pytest -n: the tests of a file stay in one process, so that what they share is made once; of the notebooks, each
    has a process of its own."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            notebook = re.search(r"\[(\d\d_\w+)\]$", test)
            return notebook[1] if notebook and file.endswith("test_notebooks.py") else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    """The runs of the notebooks come last."""
    items.sort(key=lambda item: "quick_run" in item.fixturenames)


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory):
    """quick_run(flavour, name, more): the folder in which `rsnb run --quick` left a committed notebook, executed once.
    The flavour is the folder below notebooks/; ``more`` are options of the command."""
    from rsnb.commands import cli

    done: dict[tuple, Path] = {}

    def run(flavour: str, name: str, *more: str) -> Path:
        asked = flavour, name, *more
        if asked not in done:
            out, number = tmp_path_factory.mktemp(name), name.split("_")[0]
            options = ["--only", number, "--out", str(out), "--notebooks", str(REPO / "notebooks" / flavour), *more]
            assert cli.main(["run", "--quick", *options]) == 0, f"notebooks/{flavour}/{name}: rsnb run --quick failed"
            done[asked] = out
        return done[asked]

    return run
