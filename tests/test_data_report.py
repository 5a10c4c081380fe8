"""The report counts what was put in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from test_data_layouts import TEST, TRAIN, images, lines, write_parquet, write_precomp

from rsnb.backbone import mini_tokenizer
from rsnb.commands.cli import main
from rsnb.data import load_dataset, report
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
    found_of = {one["kind"]: one for one in data["findings"]}
    assert found_of["blank"]["count"] == 6 and found_of["captionless"]["names"] == ["beach_0.tif"]
    assert {one["kind"]: one["level"] for one in data["findings"]} == {
        "no images": "fault",
        "blank": "note",
        "captionless": "note",
        "near-empty": "note",
    }
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
    assert "1 images missing: airport_0.tif" in text and "1 groups of identical image files across parts" in text
    with pytest.raises(RsnbError, match="1 images missing: airport_0.tif"):
        report(root, skip_bad=False)
    assert report(root, check_images=False).images is None


def test_lists_faults_of_the_caption_files(tmp_path):
    root = write_precomp(tmp_path, train=dict(TRAIN) | {"../x_1.png": ["a"] * 5})
    found = report(root)
    assert [one.kind for one in found.faults] == ["unsafe", "no images"]
    assert "image names that lead out of the data folder: train_filename.txt line 11" in found.text()
    with pytest.raises(RsnbError, match="lead out"):
        report(root, skip_bad=False)


def test_reports_parquet(tmp_path):
    seen = report(write_parquet(tmp_path / "set"), progress=False)
    assert seen.images["decoded"] == 13 and seen.images["modes"] == {"L": 13}


def test_healthy_set(tmp_path):
    found = report(write_precomp(tmp_path), check_images=False)
    assert not found.findings and found.text().endswith("none found") and "14 images" not in repr(found)


# --- the gate -------------------------------------------------------------------------------------------------------
def pairs(folder, parts="train train test", captions="a view of it from above", files="abc"):
    images(folder, files, ".png")
    rows = [f"{name}.png,{captions} {name},{part}" for name, part in zip("abcdefgh", parts.split())]
    lines(folder / "pairs.csv", ["filename,title,split", *rows])


CASES = {
    "sound": (pairs, []),
    "no image": (lambda f: pairs(f, files=""), ["no images"]),
    "a header alone": (lambda f: pairs(f, parts=""), ["empty"]),
    "no test part": (lambda f: pairs(f, parts="train train val"), ["empty"]),
    "no train part": (lambda f: pairs(f, parts="test test test"), ["empty"]),
    "a missing image": (lambda f: pairs(f, parts="train train test test"), ["missing"]),
    "an unknown part": (lambda f: pairs(f, parts="train train test teest"), ["split"]),
    "no entry": (lambda f: (f.mkdir(), (f / "dataset_x.json").write_text('{"images": []}')), ["empty"]),
    "Chinese": (lambda f: pairs(f, captions="\u673a\u573a\u7684\u4fef\u89c6\u56fe"), []),
    "Hindi": (
        lambda f: pairs(f, captions="\u0939\u0935\u093e\u0908 \u0905\u0921\u094d\u0921\u093e \u090a\u092a\u0930"),
        [],
    ),
    "no test image": (lambda f: pairs(f, files="ab"), ["missing", "empty"]),
    "a shifted list": (
        lambda f: lines(write_precomp(f) / "test_caps.txt", ["one caption less than there are names"]),
        ["count", "no images", "empty"],
    ),
    "few words": (lambda f: pairs(f, captions="sea"), ["near-empty"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_report_is_a_gate(tmp_path, case, capsys):
    write, kinds = CASES[case]
    write(tmp_path / "set")
    found = report(tmp_path / "set", progress=False)
    assert [one.kind for one in found.findings] == kinds
    fault = bool(kinds) and kinds != ["near-empty"]
    assert main(["data", str(tmp_path / "set")]) == (1 if fault else 0)
    assert main(["data", str(tmp_path / "set"), "--json"]) == (1 if fault else 0)
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err and bool(told.err) == fault
    lasting = {"empty", "no images", "count"} & set(kinds)
    assert main(["data", str(tmp_path / "set"), "--skip-bad"]) == (1 if lasting else 0)


@pytest.mark.parametrize("case", ["no image", "a header alone", "no test part", "no entry"])
def test_training_says_so_before_the_first_step(tmp_path, case, capsys, monkeypatch):
    CASES[case][0](tmp_path / "set")
    monkeypatch.setattr("rsnb.training.train", lambda *a, **k: pytest.fail("trained"))
    out = tmp_path / "run"
    assert main(["train", "--data", str(tmp_path / "set"), "--epochs", "1", "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith("rsnb: ") and not (out / "result.json").exists()


def test_a_thousand_faults_fill_no_more_than_a_screen(tmp_path):
    lines(
        tmp_path / "pairs.csv",
        ["filename,title,split", *(f"{'x' * 200}{n}.png,view {n} of it,trian" for n in range(5000))],
    )
    text = report(tmp_path, progress=False).text()
    assert len(text.splitlines()) < 50 and "5,000 entries with an unknown split" in text
    with pytest.raises(RsnbError) as caught:
        load_dataset(tmp_path)
    assert len(str(caught.value)) < 4000


def test_captions_that_a_tower_cuts_off_are_counted(tmp_path):
    head = "a very long view of " + "the sea and " * 12
    images(tmp_path, "abcd", ".png")
    rows = [
        f"{name}.png,{head}{end},{part}"
        for name, end, part in zip("abcd", ("boats", "birds", "sand", "sun"), ("train", "train", "test", "test"))
    ]
    lines(tmp_path / "pairs.csv", ["filename,title,split", *rows, "a.png,a short one of it,train"])
    tokenizer = mini_tokenizer()
    found = report(tmp_path, progress=False, tokenizer=tokenizer).reading
    assert found["all"] == {"context": 32, "cut": 4, "alike": 4} and found["test"]["alike"] == 2
    read = {tuple(tokenizer([head + end])[0].tolist()) for end in ("boats", "birds", "sand", "sun")}
    assert len(read) == 1
