"""Every test runs without a network, here and in the kernels and programs that it starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rsnb import offline

os.environ[offline.SWITCH] = "1"  # inherited by kernels and by the rsnb command
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))
for name in [
    n for n in os.environ if n.startswith("RSNB_") and n not in (offline.SWITCH, "RSNB_SHARED_DATA")
]:
    del os.environ[name]  # the caller's own settings are not what the tests are about
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
            f"{word} {label} with a white square , number {number}"
            for word in ["a", "the", "one", "some", "this"]
        ]
        sentences = [{"raw": caption} for caption in captions]
        split = "test" if number % 4 == 0 else "train"
        images.append({"filename": name, "split": split, "sentences": sentences})
    listing = {"dataset": "tiny", "images": images}
    (folder / "dataset_tiny.json").write_text(json.dumps(listing), encoding="utf-8")
    return folder
