"""The real files, and the figures that are known of them (captions of UCM, RSICD, RSITMD; images of UCM)."""

from __future__ import annotations

import warnings

import pytest

from rsnb.data import load_dataset, report
from rsnb.errors import RsnbError, RsnbWarning


@pytest.fixture(scope="module")
def rsicd(shared_data):
    return report("rsicd", root=shared_data / "rsicd_precomp")


@pytest.fixture(scope="module")
def rsitmd(shared_data):
    return report("rsitmd", root=shared_data / "rsitmd_precomp")


@pytest.fixture(scope="module")
def ucm(shared_data):
    return report("ucm", root=shared_data / "ucm_precomp", progress=False)


def figures(found):
    overlap = found.overlap
    return overlap["distinct"], overlap["captions"], round(100 * overlap["distinct_share"], 1)


def test_known_figures(ucm, rsicd, rsitmd):
    assert figures(ucm) == (377, 1050, 46.2)
    assert figures(rsicd) == (3331, 5465, 7.1)
    assert figures(rsitmd) == (2119, 2260, 2.4)
    # the share among all captions, repeats counted, is another figure
    assert [round(100 * r.overlap["captions_share"], 1) for r in (ucm, rsicd, rsitmd)] == [61.1, 11.6, 2.4]


def test_known_sizes(ucm, rsicd, rsitmd):
    for found, trainval, test in ((ucm, 1890, 210), (rsicd, 9828, 1093), (rsitmd, 4287, 452)):
        assert found.splits["trainval"]["images"] == trainval and found.splits["test"]["images"] == test
        assert set(found.splits["all"]["captions_per_image"]) == {"5"}


def test_known_defects(rsicd, rsitmd):
    train = rsicd.splits["trainval"]
    assert train["identical_images"] == 4851 and round(train["identical_images"] / train["images"], 2) == 0.49
    assert {".", "1 ."} <= set(train["near_empty_examples"]) and train["near_empty"] == 12
    assert rsicd.splits["all"]["unlabelled"] == 921 and len(rsicd.splits["all"]["classes"]) == 30
    notes = {one.kind: one for one in rsitmd.findings if one.level == "note"}
    assert notes["blank"].count == 20 and notes["captionless"].names == [
        "mountain_2378.tif",
        "railwaystation_3254.tif",
        "storagetanks_4367.tif",
        "viaduct_4635.tif",
    ]


def test_ucm_images(ucm, shared_data):
    seen = ucm.images
    assert seen["decoded"] == 2100 and seen["missing"] == seen["undecodable"] == []
    assert seen["commonest_size"] == "256x256" and len(seen["other_sizes"]) == 44
    assert seen["duplicates"] == [["102.tif", "103.tif"]] and seen["duplicates_across"] == []
    assert set(ucm.splits["all"]["classes"].values()) == {100} and len(ucm.splits["all"]["classes"]) == 21
    ds = load_dataset("ucm", "test", root=shared_data / "ucm_precomp", limit=42)
    assert len(ds) == 42 and {ds.labels.count(c) for c in ds.classes} == {2} and len(ds.classes) == 21
    assert ds.image(0).mode == "RGB" and ds[0].path.suffix == ".jpg" and ds[0].name.endswith(".tif")


def test_all_files_load_by_their_folder(shared_data):
    expected = {
        "ucm_precomp": ("ucm", 210),
        "rsicd_precomp": ("rsicd", 1093),
        "rsitmd_precomp": ("rsitmd", 452),
        "harma_json": ("rsitmd", 452),
        "karpathy_json": ("ucm", 210),
    }
    for folder, (name, count) in expected.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RsnbWarning)
            test = load_dataset(shared_data / folder, "test", images=False)
            train, val = (load_dataset(shared_data / folder, s, images=False) for s in ("train", "val"))
        assert (test.name, len(test)) == (name, count)
        together = {item.name for item in train} | {item.name for item in val}
        assert len(together) == len(train) + len(val)
        assert abs(len(val) / (len(train) + len(val)) - 0.2) < 0.002


def test_karpathy_and_precomp_agree_on_ucm(shared_data):
    one = load_dataset("ucm", "test", root=shared_data / "ucm_precomp")
    file = shared_data / "karpathy_json" / "dataset_ucm_modified.json"
    two = load_dataset(file, "test", root=shared_data / "ucm_precomp")
    pairs = [(a, b) for x, y in zip(one, two) for a, b in zip(x.captions, y.captions) if a != b]
    assert len(pairs) == 1 and pairs[0][0].replace("atrovirensstorage", "atrovirens storage") == pairs[0][1]
    assert [i.name for i in one] == [i.name for i in two] and one.labels == two.labels
    assert {i.name: i.path for i in one} == {i.name: i.path for i in two}
    assert len(load_dataset(file, "val", images=False, val_fraction=None)) == 210


def test_harma_has_labels_and_filled_captions(shared_data):
    ds = load_dataset(shared_data / "harma_json", "trainval", images=False)
    assert len(ds) == 4291 and len(ds.classes) == 33 and None not in ds.labels
    filled = [item for item in ds if item.name.endswith("mountain_2378.tif")]
    assert len(filled) == 1 and len(set(filled[0].captions)) == 1  # one caption five times, blank elsewhere


def test_blank_captions_warn_once(shared_data):
    with pytest.warns(RsnbWarning, match="20 blank captions .* 4 images without any caption left") as caught:
        load_dataset("rsitmd", "trainval", root=shared_data / "rsitmd_precomp", images=False)
    assert len(caught) == 1


def test_captions_only_sets_say_so(shared_data):
    with pytest.raises(RsnbError, match="holds no image files.*images=False"):
        load_dataset("rsicd", "test", root=shared_data / "rsicd_precomp")
