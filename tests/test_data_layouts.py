"""Every layout, written as a tiny data set, reads to the same captions; every fault is one clear error."""

from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

from rsnb.data import load_dataset
from rsnb.errors import RsnbError, RsnbWarning

TRAIN = {f"airport_{n}.tif": [f"airport {n} has {k} planes ." for k in range(5)] for n in range(6)}
TRAIN |= {f"beach_{n}.tif": [f"beach {n} has {k} waves ." for k in range(5)] for n in range(4)}
TEST = {f"airport_{n}.tif": [f"test airport {n} , view {k} ." for k in range(5)] for n in range(90, 93)}


def images(folder, names, ending=".jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        stem = name.rsplit(".", 1)[0]
        (folder / stem).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (n * 9 % 256, 50, 90)).save(folder / f"{stem}{ending}")


def lines(file, rows, end="\n", encoding="utf-8"):
    file.write_bytes("".join(f"{row}{end}" for row in rows).encode(encoding))


def write_precomp(root, train=None, test=None, **kw):
    train, test = TRAIN if train is None else train, TEST if test is None else test
    root.mkdir(parents=True, exist_ok=True)
    lines(root / "train_filename.txt", train, **kw)
    lines(root / "train_caps.txt", [c for own in train.values() for c in own], **kw)
    lines(root / "test_filename.txt", [name for name, own in test.items() for _ in own], **kw)
    lines(root / "test_caps.txt", [c for own in test.values() for c in own], **kw)
    return root


def write_karpathy(root, name="dataset_mine.json", train=None, test=None):
    entries = [
        {"filename": image, "split": split, "sentences": [{"raw": c, "tokens": c.split()} for c in own]}
        for split, part in (("train", train or TRAIN), ("test", test or TEST))
        for image, own in part.items()
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps({"images": entries}), encoding="utf-8")
    return root


def write_harma(root):
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        {"caption": c, "image": f"train/{name}", "image_id": n, "label_name": name.split("_")[0], "label": 3}
        for n, (name, own) in enumerate(TRAIN.items())
        for c in own
    ]
    (root / "mine_train.json").write_text(json.dumps(rows), encoding="utf-8")
    rows = [{"image": f"test/{name}", "caption": own} for name, own in TEST.items()]
    (root / "mine_test.json").write_text(json.dumps(rows), encoding="utf-8")
    return root


def write_csv(root, header=("filename", "title"), separator=","):
    root.mkdir(parents=True, exist_ok=True)
    for part, own in (("train", TRAIN), ("test", TEST)):
        with (root / f"mine_{part}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, delimiter=separator)
            table.writerow(header)
            table.writerows([name, c] for name, captions in own.items() for c in captions)
    return root


def write_parquet(root):
    pytest.importorskip("pyarrow")
    import io

    import pandas as pd

    (root / "data").mkdir(parents=True)
    for part, own in (("train", TRAIN), ("test", TEST)):
        rows = []
        for name, captions in own.items():
            file = io.BytesIO()
            Image.new("L", (8, 6), len(rows) * 20).save(file, "PNG")
            image = {"bytes": file.getvalue(), "path": name}
            rows.append({"filename": f"mine_images/{name}", "captions": captions, "image": image})
        pd.DataFrame(rows).to_parquet(root / "data" / f"{part}-00000-of-00001-ab12.parquet", row_group_size=4)
    return root


def contents(ds):
    return {item.name.rsplit("/", 1)[-1]: list(item.captions) for item in ds}


@pytest.mark.parametrize(
    ("layout", "write"),
    [("precomp", write_precomp), ("karpathy", write_karpathy), ("harma", write_harma), ("csv", write_csv)],
)
def test_each_layout_reads_the_same(tmp_path, layout, write):
    root = write(tmp_path / "set")
    images(root / "some" / "pictures", [*TRAIN, *TEST])
    for chosen in (None, layout):
        trainval = load_dataset(root, "trainval", layout=chosen)
        test = load_dataset(root, "test", layout=chosen)
        assert trainval.layout == layout
        assert contents(trainval) == TRAIN and contents(test) == TEST
        assert trainval.classes == ["airport", "beach"] and set(test.labels) <= {"airport", None}
        assert test.image(0).mode == "RGB" and test.image(0).size == (9, 7)
        assert len(load_dataset(root, "all")) == 13 and len(load_dataset(root, "val")) == 2


def test_parquet_reads_the_same_and_decodes_lazily(tmp_path):
    root = write_parquet(tmp_path / "set")
    ds = load_dataset(root, "trainval")
    assert ds.layout == "parquet" and contents(ds) == TRAIN
    assert [ds.image(i).getpixel((0, 0))[0] for i in (9, 0, 5)] == [180, 0, 100]
    assert ds[0].path is None and ds.has_images and ds.classes == ["airport", "beach"]
    assert not load_dataset(root, "test", images=False).has_images


def test_parquet_faults(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(RsnbError, match="cannot be read as parquet"):
        load_dataset(tmp_path)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(RsnbError, match="has columns a; expected image, captions"):
        load_dataset(tmp_path)
    broken = {"bytes": b"not an image", "path": "x_1.png"}
    pd.DataFrame({"filename": ["x_1.png"], "captions": [["one"]], "image": [broken]}).to_parquet(
        tmp_path / "train.parquet"
    )
    with pytest.raises(RsnbError, match=r"1 images that cannot be decoded: x_1.png \(not an image\)"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("header", [("filepath", "title"), ("Filename", "Caption")])
def test_csv_headers_and_separators(tmp_path, header, separator):
    root = write_csv(tmp_path / "set", header, separator)
    assert contents(load_dataset(root, "test", images=False)) == TEST


def test_csv_split_column(tmp_path):
    rows = ["filename,title,split", 'a.png,"one, two",train', "b.png,three,val", "a.png,four,train", "c.png,x,test"]
    lines(tmp_path / "pairs.csv", rows)
    assert contents(load_dataset(tmp_path / "pairs.csv", "trainval", images=False)) == {
        "a.png": ["one, two", "four"],
        "b.png": ["three"],
    }
    lines(tmp_path / "pairs.csv", [*rows, "d.png,too,many,fields", "e.png,x,tset"])
    with pytest.raises(RsnbError) as caught:
        load_dataset(tmp_path, images=False)
    assert "row 6 (4 fields, not 3)" in str(caught.value) and "split 'tset'" in str(caught.value)
    with pytest.warns(RsnbWarning, match="left out 1 entries that cannot be read"):
        assert len(load_dataset(tmp_path, "all", images=False, skip_bad=True)) == 3


def test_karpathy_with_paths_classes_and_plain_sentences(tmp_path):
    entries = [
        {"filepath": "park", "filename": "1.png", "split": "restval", "class": "green", "sentences": ["a", "b"]},
        {"filename": "2.png", "split": "train", "sentences": [{"tokens": ["c", "d"]}]},
        {"filename": "3.png", "split": "val", "class": "blue", "sentences": [{"raw": "e"}] * 7},
    ]
    file = tmp_path / "dataset_odd.json"
    file.write_text(json.dumps({"images": entries}), encoding="utf-8-sig")
    ds = load_dataset(file, "trainval", images=False)
    assert [item.name for item in ds] == ["park/1.png", "2.png", "3.png"]
    assert [item.captions for item in ds] == [("a", "b"), ("c d",), ("e",) * 7]
    assert ds.labels == ["green", None, "blue"]
    assert [item.name for item in load_dataset(file, "val", images=False, val_fraction=None)] == ["3.png"]


@pytest.mark.parametrize("wrong", [None, 7, ["x"], "half \ud800 character"])
def test_captions_that_are_not_text(tmp_path, wrong):
    entries = [{"filename": "a.png", "split": "train", "sentences": [{"raw": wrong}, "fine"]}]
    (tmp_path / "d.json").write_text(json.dumps({"images": entries}), encoding="utf-8")
    with pytest.raises(RsnbError, match=r"images\[0\] \('a.png': a caption or name that is not text\)"):
        load_dataset(tmp_path, images=False)


def ucm_captions(numbers):
    return {f"{n}.tif": [f"scene {n} ."] for n in numbers}


@pytest.mark.parametrize("write", [write_precomp, write_karpathy])
def test_ucm_class_folders_are_joined_by_number(tmp_path, write):
    root = write(tmp_path / "UCMerced_LandUse", train=ucm_captions([1, 100, 101]), test=ucm_captions([2100]))
    names = [
        "agricultural/agricultural00",
        "agricultural/agricultural99",
        "airplane/airplane00",
        "tenniscourt/tenniscourt99",
    ]
    images(root / "Images", names, ".tif")
    for layout in (None, "ucm_folders"):
        ds = load_dataset(root, "all", layout=layout)
        assert ds.layout == "ucm_folders" and ds.name == "ucm"
        assert [item.path.stem for item in ds] == [name.split("/")[1] for name in names]
        assert ds.labels == ["agricultural", "agricultural", "airplane", "tenniscourt"]
    (root / "Images" / "airplane" / "airplane00.tif").unlink()
    with pytest.raises(RsnbError, match=r"1 images missing: 101\.tif"):
        load_dataset(root, "all")


def test_ucm_folders_need_captions_and_folders(tmp_path):
    images(tmp_path / "Images", ["agricultural/agricultural00"], ".tif")
    with pytest.raises(RsnbError, match="put UCM-Captions"):
        load_dataset(tmp_path)
    write_precomp(tmp_path, train=ucm_captions([205]), test=ucm_captions([206]))
    with pytest.raises(RsnbError, match="holds no UC Merced class folders"):
        load_dataset(tmp_path, layout="ucm_folders")


def test_windows_text_files(tmp_path):
    root = write_precomp(tmp_path / "set", end="\r\n", encoding="utf-8-sig")
    assert contents(load_dataset(root, "trainval", images=False)) == TRAIN
    assert contents(load_dataset(root, "test", images=False)) == TEST


def test_text_that_is_not_utf8(tmp_path):
    root = write_precomp(tmp_path)
    (root / "train_caps.txt").write_bytes(b"fine\nwater\x92s edge\n")
    with pytest.raises(RsnbError, match=r"not UTF-8 \(line 2, byte 0x92\); save it again as UTF-8"):
        load_dataset(root, images=False)


def test_captions_may_differ_in_number(tmp_path):
    uneven = {"a_1.png": ["one", "two"], "b_2.png": ["three"], "a_3.png": ["four"] * 4}
    root = write_precomp(tmp_path, test=uneven)
    ds = load_dataset(root, "test", images=False)
    assert contents(ds) == uneven
    captions, owner = ds.captions
    assert captions == ["one", "two", "three", *["four"] * 4] and owner == [0, 0, 1, 2, 2, 2, 2]


def test_names_once_with_any_number_of_captions(tmp_path):
    root = write_precomp(tmp_path)
    lines(root / "test_filename.txt", ["x_1.png", "y_2.png"])
    lines(root / "test_caps.txt", ["a", "b", "c", "d", "e", "f"])
    assert contents(load_dataset(root, "test", images=False)) == {"x_1.png": list("abc"), "y_2.png": list("def")}


def test_blank_captions_are_dropped_with_one_warning(tmp_path):
    train = dict(TRAIN) | {"airport_0.tif": [" ", "left", "", "over", ""], "beach_3.tif": [""] * 5}
    root = write_precomp(tmp_path, train=train)
    with pytest.warns(RsnbWarning) as caught:
        ds = load_dataset(root, "trainval", images=False)
    assert len(caught) == 1
    assert "8 blank captions (airport_0.tif, beach_3.tif); 1 images without any caption left (beach_3.tif)" in str(
        caught[0].message
    )
    assert contents(ds)["airport_0.tif"] == ["left", "over"] and "beach_3.tif" not in contents(ds)


def test_count_mismatch(tmp_path):
    root = write_precomp(tmp_path)
    lines(root / "train_caps.txt", [c for own in TRAIN.values() for c in own][:-2])
    with pytest.raises(RsnbError, match="train_filename.txt has 10 names, train_caps.txt 48 captions"):
        load_dataset(root, images=False)
    with pytest.warns(RsnbWarning, match="counts do not match"):
        ds = load_dataset(root, "trainval", images=False, skip_bad=True)
    assert contents(ds) == {name: TRAIN[name] for name in list(TRAIN)[:9]}


def test_caption_file_missing(tmp_path):
    root = write_precomp(tmp_path)
    (root / "test_caps.txt").unlink()
    with pytest.raises(RsnbError, match="test_caps.txt is not there beside test_filename.txt"):
        load_dataset(root, images=False)


def test_broken_json_of_a_set_is_not_passed_over(tmp_path):
    root = write_harma(tmp_path)
    (root / "mine_test.json").write_text('[{"image": "test/a_1', encoding="utf-8")
    with pytest.raises(RsnbError, match="mine_test.json is not valid JSON"):
        load_dataset(root, images=False)
    with pytest.raises(RsnbError, match="not a caption file in a known layout .*mine_test.json is not valid JSON"):
        load_dataset(root / "mine_test.json", images=False)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\secret.png", "a/../../b.png", "..\\b.png"])
def test_names_may_not_lead_out_of_the_folder(tmp_path, name):
    images(tmp_path, ["b.png"], ".png")
    root = write_precomp(tmp_path / "set", train=dict(TRAIN) | {name: ["x"] * 5})
    images(root, TRAIN)
    with pytest.raises(RsnbError, match="1 image names that lead out of the data folder"):
        load_dataset(root)
    with pytest.warns(RsnbWarning, match="lead out"):
        assert len(load_dataset(root, "trainval", skip_bad=True)) == 10


def test_unknown_splits(tmp_path):
    root = write_karpathy(tmp_path)
    payload = json.loads((root / "dataset_mine.json").read_text(encoding="utf-8"))
    for entry in payload["images"][:12]:
        entry["split"] = "trian"
    (root / "dataset_mine.json").write_text(json.dumps(payload), encoding="utf-8")
    with pytest.raises(RsnbError) as caught:
        load_dataset(root, images=False)
    message = str(caught.value)
    assert "12 entries with an unknown split" in message and ", and 2 more" in message and "skip_bad" in message
    assert message.count("trian") == 10
    with pytest.raises(RsnbError, match="unknown split 'tets'; use one of train, val, trainval, test, all"):
        load_dataset(root, "tets", images=False)


def test_same_image_in_train_and_test(tmp_path):
    root = write_precomp(tmp_path, test=dict(TEST) | {"AIRPORT_3.jpg": ["x"] * 5})
    with pytest.raises(RsnbError, match=r"listed in two parts: airport_3.tif \(train and test\)"):
        load_dataset(root, images=False)
    with pytest.warns(RsnbWarning, match="two parts"):
        assert "airport_3.tif" not in contents(load_dataset(root, "trainval", images=False, skip_bad=True))


def test_nothing_there(tmp_path):
    with pytest.raises(RsnbError, match="does not exist"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(RsnbError, match="is empty. Expected one of: train_filename.txt"):
        load_dataset(tmp_path)
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RsnbError, match="holds no caption files in a known layout"):
        load_dataset(tmp_path)
    with pytest.raises(RsnbError, match="unknown layout 'coco'; use one of precomp"):
        load_dataset(tmp_path, layout="coco")
    with pytest.raises(RsnbError, match="name a folder, a caption file, or one of toy"):
        load_dataset("")


def test_ambiguous_folder(tmp_path):
    root = write_karpathy(write_precomp(tmp_path / "set"))
    with pytest.raises(RsnbError, match="several ways: precomp .*; karpathy .*; name one with layout="):
        load_dataset(root, images=False)
    assert load_dataset(root, images=False, layout="karpathy").layout == "karpathy"
    assert load_dataset(root / "dataset_mine.json", images=False).layout == "karpathy"
    assert load_dataset(root / "train_caps.txt", images=False).layout == "precomp"
    with pytest.raises(RsnbError, match="no captions in the layout 'harma'; found: precomp, karpathy"):
        load_dataset(root, images=False, layout="harma")
    write_karpathy(root, "dataset_ucm.json")
    with pytest.raises(RsnbError, match="name one with the path of its caption file"):
        load_dataset(root, images=False)
    assert load_dataset("ucm", root=root, images=False, layout="karpathy").name == "ucm"


def test_captions_in_a_sub_folder(tmp_path):
    write_precomp(tmp_path / "captions")
    images(tmp_path / "pictures", [*TRAIN, *TEST], ".png")
    assert len(load_dataset(tmp_path, "test")) == 3
    write_precomp(tmp_path / "rsicd_precomp")
    with pytest.raises(RsnbError, match="holds several data sets: captions, rsicd_precomp"):
        load_dataset(tmp_path, "test")
    assert load_dataset("rsicd", "test", root=tmp_path, images=False).stamp == "RSICD (real)"


def test_named_sets_need_a_root(tmp_path, monkeypatch):
    monkeypatch.delenv("RSNB_ROOT", raising=False)
    with pytest.raises(RsnbError, match="UCM-Captions .* does not ship .* root=.*--root DIR.*RSNB_ROOT"):
        load_dataset("ucm")
    monkeypatch.setenv("RSNB_ROOT", str(tmp_path / "gone"))
    with pytest.raises(RsnbError, match="gone does not exist"):
        load_dataset("UCM-Captions")
    monkeypatch.setenv("RSNB_ROOT", str(write_precomp(tmp_path / "mine")))
    assert load_dataset("rsitmd", "test", images=False).stamp == "RSITMD (real)"
    write_precomp(tmp_path / "RSICD")
    with pytest.raises(RsnbError, match=r"holds RSICD \(real\), not UCM-Captions"):
        load_dataset("ucm", root=tmp_path / "RSICD")


def test_path_for_captions_and_root_for_images(tmp_path):
    file = write_karpathy(tmp_path / "captions") / "dataset_mine.json"
    images(tmp_path / "elsewhere", [*TRAIN, *TEST])
    assert load_dataset(file, "test", root=tmp_path / "elsewhere").image(2).size == (9, 7)
    with pytest.raises(RsnbError, match="root .*nothing is not a folder"):
        load_dataset(file, "test", root=tmp_path / "nothing")
