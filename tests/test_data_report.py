"""The report counts what was put in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from test_data_layouts import TEST, TRAIN, images, write_parquet, write_precomp

from rsnb.data import report
from rsnb.data.words import words_of
from rsnb.errors import RsnbError


def test_words():
    assert words_of("Two side-by-side boats , at the water\u2019s edge .") == [
        "two",
        "side-by-side",
        "boats",
        "at",
        "the",
        "water\u2019s",
        "edge",
    ]
    assert words_of(" .") == [] and words_of("1 .") == ["1"]


def test_counts_captions_and_defects(tmp_path):
    train = dict(TRAIN)
    train["airport_0.tif"] = ["the same caption here ."] * 5
    train["airport_1.tif"] = ["the same caption here .", " .", "1 .", "", "one two three"]
    train["beach_0.tif"] = [""] * 5
    test = dict(TEST) | {"airport_90.tif": ["the same caption here ."] * 2 + ["new one here"] * 3}
    found = report(write_precomp(tmp_path, train, test))
    data = json.loads(json.dumps(found.to_dict()))
    trainval, tested = data["splits"]["trainval"], data["splits"]["test"]
    assert trainval["images"] == 9 and trainval["captions"] == 44 and trainval["identical_images"] == 1
    assert trainval["captions_per_image"] == {"4": 1, "5": 8}
    assert trainval["shared_captions"] == 6 and trainval["distinct_captions"] == 39
    assert trainval["near_empty"] == 2 and trainval["near_empty_examples"] == [".", "1 ."]
    assert trainval["words_min"] == 0 and trainval["words_max"] == 5 and trainval["words_histogram"]["3"] == 1
    assert trainval["classes"] == {"airport": 6, "beach": 3} and tested["classes"] == {"airport": 3}
    assert data["overlap"] == {
        "captions": 15,
        "captions_in_train": 2,
        "captions_share": 2 / 15,
        "distinct": 12,
        "distinct_in_train": 1,
        "distinct_share": 1 / 12,
    }
    assert data["splits"]["train"]["images"] + data["splits"]["val"]["images"] == 9
    assert data["splits"]["all"]["images"] == 12
    assert len(data["dropped"]["blank"]) == 6 and data["dropped"]["captionless"] == ["beach_0.tif"]
    assert data["images"] is None
    text = found.text()
    assert "6 blank captions: airport_1.tif, beach_0.tif" in text and "not checked (captions only)" in text
    assert "1 of 12 distinct test captions (8.3%)" in text and str(found) == text
    assert "images without any caption left: beach_0.tif" in text


def test_checks_images(tmp_path):
    root = write_precomp(tmp_path)
    names = [*TRAIN, *TEST]
    images(root, names[1:], ".png")
    Image.fromarray(np.zeros((5, 6), dtype=np.uint8)).save(root / "airport_1.png")
    (root / "airport_2.png").write_bytes(b"broken")
    (root / "airport_91.png").write_bytes((root / "airport_3.png").read_bytes())
    found = report(root, progress=False)
    seen = found.images
    assert seen["listed"] == 13 and seen["decoded"] == 11 and seen["files"] == 12
    assert seen["missing"] == ["airport_0.tif"]
    assert seen["undecodable"] == ["airport_2.tif cannot be decoded (not an image, or an unknown format)"] or (
        seen["undecodable"][0].startswith("airport_2.tif (")
    )
    assert seen["sizes"] == {"9x7": 10, "6x5": 1} and seen["modes"] == {"RGB": 10, "L": 1}
    assert seen["other_sizes"] == {"airport_1.tif": "6x5"}
    assert seen["duplicates"] == [["airport_3.tif", "airport_91.tif"]]
    assert len(seen["duplicates_across"]) == 1 and "airport_91.tif (test)" in seen["duplicates_across"][0]
    text = found.text()
    assert "1 images missing: airport_0.tif" in text and "1 of them across splits" in text
    with pytest.raises(RsnbError, match="1 images missing: airport_0.tif"):
        report(root, skip_bad=False)
    assert report(root, check_images=False).images is None


def test_lists_faults_of_the_caption_files(tmp_path):
    root = write_precomp(tmp_path, train=dict(TRAIN) | {"../x_1.png": ["a"] * 5})
    found = report(root)
    assert list(found.faults) == ["image names that lead out of the data folder"]
    assert "image names that lead out of the data folder: train_filename.txt line 11" in found.text()
    with pytest.raises(RsnbError, match="lead out"):
        report(root, skip_bad=False)


def test_reports_parquet(tmp_path):
    seen = report(write_parquet(tmp_path / "set"), progress=False)
    assert seen.images["decoded"] == 13 and seen.images["modes"] == {"L": 13}


def test_healthy_set(tmp_path):
    found = report(write_precomp(tmp_path))
    assert found.text().endswith("none found") and "14 images" not in repr(found)
