"""Every test runs without a network, here and in the kernels and programs that it starts."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rsnb.base import offline

os.environ[offline.SWITCH] = "1"  # inherited by kernels and by the rsnb command
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models: more threads wait for each other, not for work
for name in [n for n in os.environ if n.startswith("RSNB_") and n not in (offline.SWITCH, "RSNB_SHARED_DATA")]:
    del os.environ[name]  # the caller's own settings are not what the tests are about
os.environ["RSNB_CACHE"] = tempfile.mkdtemp(prefix="rsnb-cache-")  # not the user's own
atexit.register(shutil.rmtree, os.environ["RSNB_CACHE"], ignore_errors=True)
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


def pytest_collection_modifyitems(items):
    """What waits for the notebooks comes last: they run in the background from the start."""
    items.sort(key=lambda item: "quick_runs" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _in_the_background(request):
    if any("quick_runs" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("quick_runs")


def run_quickly(name: str, out: Path, data: str, root: Path) -> dict:
    """Execute the committed notebook by `rsnb run` with the work reduced from outside its cells. On the toy world it
    is the solved one, which holds every cell of the lesson and the exercises with their checkers; "student" is the
    one with nothing filled in."""
    number, folder = int(re.match(r"\d+", name)[0]), REPO / "notebooks"
    below = folder / {"toy": "solutions", "student": "student"}.get(data, ".")
    folder = below if (below / f"{name}.ipynb").is_file() else folder
    more = ["--data", "ucm", "--root", str(root)] if data == "ucm" else []
    command = [sys.executable, "-m", "rsnb", "run", "--quick", "--only", str(number), "--out", str(out), *more]
    command += ["--notebooks", str(folder)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def quick_runs(tmp_path_factory):
    """(data, notebook) -> (folder, future): all quick runs, one after the other beside the other tests."""
    real = Path(os.environ.get("RSNB_SHARED_DATA") or REPO.parent / "shared" / "data") / "ucm_precomp"
    runs = {}
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        for data, below in (("toy", "."), ("student", "student"), ("ucm", ".")):
            if data != "ucm" or real.is_dir():
                for path in sorted((REPO / "notebooks" / below).glob("[0-9]*.ipynb")):
                    out = tmp_path_factory.mktemp(f"{data}-{path.stem}")
                    runs[data, path.stem] = out, pool.submit(run_quickly, path.stem, out, data, real)
        yield runs
        for _, run in runs.values():
            run.cancel()
