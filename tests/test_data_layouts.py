"""Every layout, written as a tiny data set, reads to the same captions; every fault is one clear error."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import tarfile

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
    with pytest.raises(RsnbError, match="has columns a; needed are image"):
        load_dataset(tmp_path)
    broken = {"bytes": b"not an image", "path": "x_1.png"}
    pd.DataFrame({"filename": ["x_1.png"], "captions": [["one"]], "image": [broken]}).to_parquet(
        tmp_path / "train.parquet"
    )
    with pytest.raises(
        RsnbError, match=r"1 images that cannot be decoded: x_1.png \(not an image, or an unknown format\)"
    ):
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
    assert "line 6 (4 fields, not 3)" in str(caught.value) and "split 'tset'" in str(caught.value)
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
    with pytest.raises(RsnbError, match="counts do not match"):  # which caption is missing, nothing tells
        load_dataset(root, "trainval", images=False, skip_bad=True)


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
    root = write_precomp(tmp_path, test=dict(TEST) | {"airport_3.tif": ["x"] * 5})
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
    with pytest.raises(RsnbError, match="unknown layout 'cocoa'; use one of precomp"):
        load_dataset(tmp_path, layout="cocoa")
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


# --- more layouts that people have ---------------------------------------------------------------------------------
def write_imagefolder(root, lines_of_json):
    for part, own in (("train", TRAIN), ("test", TEST)):
        images(root / part, own)
        if lines_of_json:
            rows = [
                json.dumps({"file_name": n.replace("tif", "jpg"), "text": c}) for n, own_ in own.items() for c in own_
            ]
            lines(root / part / "metadata.jsonl", rows)
        else:
            rows = [f'{n.replace("tif", "jpg")},"{c}"' for n, own_ in own.items() for c in own_]
            lines(root / part / "metadata.csv", ["file_name,text", *rows])
    return root


def write_coco(root):
    root.mkdir(parents=True)
    for part, own in (("train", TRAIN), ("test", TEST)):
        payload = {
            "info": {},
            "images": [{"id": n, "file_name": name} for n, name in enumerate(own)],
            "annotations": [{"id": 0, "image_id": n, "caption": c} for n, name in enumerate(own) for c in own[name]],
        }
        (root / f"captions_{part}2017.json").write_text(json.dumps(payload), encoding="utf-8")
    return root


def write_nwpu(root):
    root.mkdir(parents=True)
    payload = {}
    for part, own in (("train", TRAIN), ("test", TEST)):
        for name, captions in own.items():
            entry = {"filename": name, "imgid": 0, "sentids": [0], "split": part, "raw": captions[0]}
            entry |= {f"raw_{n}": c for n, c in enumerate(captions[1:], start=1)}
            payload.setdefault(name.split("_")[0], []).append(entry)
    (root / "dataset_nwpu.json").write_text(json.dumps(payload), encoding="utf-8")
    return root


def write_excel(root, separator=";", encoding="utf-16", stated=True):
    root.mkdir(parents=True)
    rows = [[part, name, c] for part, own in (("train", TRAIN), ("test", TEST)) for name in own for c in own[name]]
    first = [f"sep={separator}"] if stated else []
    body = [separator.join(f'"{field}"' for field in row) for row in [["split", "filename", "caption"], *rows]]
    lines(root / "table.csv", [*first, *body], end="\r\n", encoding=encoding)
    return root


@pytest.mark.parametrize(
    "write, layout",
    [
        (lambda root: write_imagefolder(root, False), "csv"),
        (lambda root: write_imagefolder(root, True), "jsonl"),
        (write_coco, "coco"),
        (write_nwpu, "nwpu"),
        (write_excel, "csv"),
        (lambda root: write_excel(root, "\t", "utf-8-sig", False), "csv"),
        (lambda root: write_excel(root, ",", "utf-16", False), "csv"),
        (lambda root: write_excel(root, "|", "utf-8", True), "csv"),
    ],
)
def test_further_layouts_read_the_same(tmp_path, write, layout):
    root = write(tmp_path / "set")
    assert load_dataset(root, "test", images=False).layout == layout

    def plain(own):
        return {name.rsplit(".", 1)[0]: captions for name, captions in own.items()}

    for split, own in (("trainval", TRAIN), ("test", TEST)):
        assert plain(contents(load_dataset(root, split, images=False))) == plain(own)


def test_parts_of_an_imagefolder_may_number_alike(tmp_path):
    """train/0.png and test/0.png are two images."""
    for part in ("train", "test"):
        images(tmp_path / part, [str(n) for n in range(6)], ".png")
        lines(
            tmp_path / part / "metadata.csv", ["file_name,text", *(f"{n}.png,{part} {n} from above" for n in range(6))]
        )
    test, train = (load_dataset(tmp_path, split) for split in ("test", "trainval"))
    assert [item.path.parent.name for item in test] == ["test"] * 6 and len(train) == 6
    assert [item.captions for item in test] == [(f"test {n} from above",) for n in range(6)]


def test_absolute_names_inside_the_folder_are_taken(tmp_path):
    images(tmp_path / "pics", ["a", "b", "c"], ".png")
    rows = [
        f"{(tmp_path / 'pics' / f'{n}.png')},a picture of {n},{part}"
        for n, part in zip("abc", ("train", "train", "test"))
    ]
    lines(tmp_path / "pairs.csv", ["filepath,title,split", *rows])
    assert [item.name for item in load_dataset(tmp_path, "all")] == ["pics/a.png", "pics/b.png", "pics/c.png"]


# --- what would be wrong data without a word ------------------------------------------------------------------------
@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("text", ['"the harbour', '"two" boats', '"a","b'])
def test_a_quotation_mark_swallows_no_rows(tmp_path, separator, text):
    rows = [f"{n}.png{separator}caption {n} of the sea" for n in range(300)]
    rows[10] = f"10.png{separator}{text}"
    lines(tmp_path / "mine_train.csv", [f"filename{separator}title", *rows])
    with pytest.raises(RsnbError, match="line 12 "):
        load_dataset(tmp_path, images=False)
    with pytest.warns(RsnbWarning):
        assert len(load_dataset(tmp_path, "all", images=False, skip_bad=True)) == 299


def test_marks_that_close_are_read_as_they_are_written(tmp_path):
    rows = ['a.png,"one, two"', 'b.png,"say ""two"""', "c.png,5'' wide"]
    lines(tmp_path / "mine_train.csv", ["filename,title", *rows])
    assert list(contents(load_dataset(tmp_path, "all", images=False)).values()) == [
        ["one, two"],
        ['say "two"'],
        ["5'' wide"],
    ]


def test_an_image_is_never_given_another_file(tmp_path):
    """The test images lie in a folder that was not unpacked; others are called alike."""
    images(tmp_path / "north", [f"tile_{n}" for n in range(1, 5)], ".png")
    rows = [f"north/tile_{n}.png,north {n} from above,train" for n in range(1, 5)]
    rows += [f"south/tile_{n}.png,south {n} from above,test" for n in range(1, 5)]
    lines(tmp_path / "pairs.csv", ["filename,title,split", *rows])
    with pytest.raises(RsnbError, match="4 images missing"):
        load_dataset(tmp_path, "test")
    assert len(load_dataset(tmp_path, "trainval")) == 4


def test_names_that_differ_in_case_are_two_images(tmp_path):
    images(tmp_path, ["Site_A"], ".png")
    images(tmp_path, ["site_a"], ".png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("one file on this system")
    lines(
        tmp_path / "pairs.csv",
        ["filename,title,split", "Site_A.png,one from above,train", "site_a.png,two from above,test"],
    )
    assert [item.path.name for item in load_dataset(tmp_path, "all")] == ["Site_A.png", "site_a.png"]


@pytest.mark.parametrize(
    "names, classes",
    [
        ([f"n{8454739999 + 7 * n}_US_{n}.jpg" for n in range(40)], 0),
        ([f"{'airport' if n % 2 else 'beach'}_{n}.jpg" for n in range(40)], 2),
        ([f"scene_{n:04d}/rgb.png" for n in range(40)], 0),
        (["n8454739999_US_21.jpg", "n8454739998_US_7.jpg", "w12345_DE_1.jpg"], 0),
        (["scene_0001/rgb.png", "scene_0002/rgb.png"], 0),
        (["a1_US_1.jpg", "n84547399_US_2.jpg", "w9_FR_3.jpg", "r7_FR_4.jpg"], 0),
        (["12/345/1.png", "12/346/1.png"], 0),
        (["airport/1.png", "beach/1.png"], 2),
    ],
)
def test_names_that_carry_no_class_give_none(tmp_path, names, classes):
    lines(tmp_path / "mine_train.csv", ["filename,title", *(f"{name},view {n} of it" for n, name in enumerate(names))])
    assert len(load_dataset(tmp_path, "all", images=False).classes) == classes


def parquet(file, rows):
    pytest.importorskip("pyarrow")
    import pandas as pd

    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(file)


def png(grey):
    file = io.BytesIO()
    Image.new("L", (8, 6), grey).save(file, "PNG")
    return file.getvalue()


def test_parquet_parts_and_shards_of_one_folder_are_one_set(tmp_path):
    for part, shard, first in (("train", "0000", 0), ("train", "0001", 4), ("test", "0000", 8)):
        rows = [
            {"image": {"bytes": png(first + n), "path": None}, "text": f"view {first + n} from above"} for n in range(4)
        ]
        parquet(tmp_path / part / f"{shard}.parquet", rows)
    assert [len(load_dataset(tmp_path, split)) for split in ("trainval", "test")] == [8, 4]
    for name in ("alpha", "beta"):
        rows = [{"image": png(n), "filename": f"{name}{n}.png", "caption": f"{name} {n} from above"} for n in range(3)]
        parquet(tmp_path / "shards" / f"{name}.parquet", rows)
    assert len(load_dataset(tmp_path / "shards", "all")) == 6


def test_parquet_rows_of_one_name_are_one_image_only_if_their_bytes_are(tmp_path):
    rows = [{"image": {"bytes": png(n % 3), "path": "image.png"}, "text": f"view {n} from above"} for n in range(6)]
    parquet(tmp_path / "train.parquet", rows)
    assert [item.captions for item in load_dataset(tmp_path, "all")] == [
        (f"view {n} from above", f"view {n + 3} from above") for n in range(3)
    ]


@pytest.mark.parametrize("captions", [[{"id": 1, "n": 2}], {"en": "one"}, 7, [[1, 2]]])
def test_parquet_captions_of_another_type_are_an_error(tmp_path, captions):
    parquet(tmp_path / "train.parquet", [{"image": {"bytes": png(1), "path": "a.png"}, "captions": captions}])
    with pytest.raises(RsnbError, match="captions"):
        load_dataset(tmp_path, "all")


@pytest.mark.parametrize("start", [8, 40, 120])
def test_damaged_pages_of_parquet_are_one_sentence(tmp_path, start):
    parquet(tmp_path / "train.parquet", [{"image": png(n), "text": f"view {n} of it " * 9} for n in range(9)])
    raw = bytearray((tmp_path / "train.parquet").read_bytes())
    raw[start : start + 30] = b"x" * 30
    (tmp_path / "train.parquet").write_bytes(raw)
    with pytest.raises(RsnbError, match="train.parquet"):
        load_dataset(tmp_path, "all")


def test_a_parquet_column_of_text_is_a_name_and_no_path(tmp_path):
    secret = tmp_path / "secret.png"
    images(tmp_path, ["secret"], ".png")
    parquet(tmp_path / "set" / "train.parquet", [{"image": str(secret), "text": "what is outside the folder"}] * 2)
    with pytest.raises(RsnbError, match="out of the data folder"):
        load_dataset(tmp_path / "set", "all")
    images(tmp_path / "set", ["a"], ".png")
    parquet(tmp_path / "set" / "train.parquet", [{"image": "a.png", "text": "one that is inside of it"}])
    assert load_dataset(tmp_path / "set", "all")[0].path.name == "a.png"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("skip", [False, True])
def test_links_that_lead_nowhere_and_pipes_are_no_images(tmp_path, skip):
    images(tmp_path, ["a", "b"], ".png")
    (tmp_path / "gone.png").symlink_to(".git/annex/objects/nothing")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    rows = [f"{name}.png,the picture {name}" for name in ("a", "b", "gone", "loop", "pipe")]
    lines(tmp_path / "mine_train.csv", ["filename,title", *rows])
    if skip:
        with pytest.warns(RsnbWarning, match="3 images missing"):
            assert len(load_dataset(tmp_path, "all", skip_bad=True)) == 2
    else:
        with pytest.raises(RsnbError, match="3 images missing"):
            load_dataset(tmp_path, "all")


@pytest.mark.parametrize(
    "name, text, seen",
    [
        ("a.csv", "picture,words\n1.png,x", "picture, words"),
        ("a.json", '{"pictures": [], "texts": []}', "pictures, texts"),
        ("a.json", '[{"img": "1.png"}]', "img"),
        ("a.jsonl", '{"img": "1.png"}', "img"),
        ("a.jsonl", "{broken", "line 1"),
    ],
)
def test_an_unknown_layout_says_what_it_saw(tmp_path, name, text, seen):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(RsnbError, match=seen):
        load_dataset(tmp_path)


# --- images inside tar files -----------------------------------------------------------------------------------------
def tar(file, members):
    """Members (name, bytes); None instead of bytes is a link."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content or b"")
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member, io.BytesIO(content or b""))
    return file


def shard(count, first=0, word="view", as_json=False):
    members = []
    for n in range(count):
        texts = [f"{word} {first + n} from above", f"{word} {first + n} again"]
        text = json.dumps({"captions": texts, "class": word}) if as_json else "\n".join(texts)
        members += [(f"{n:04d}.png", png(first + n)), (f"{n:04d}.{'json' if as_json else 'txt'}", text.encode())]
    return members


@pytest.mark.parametrize("as_json", [False, True])
def test_tar_shards_that_number_alike_are_one_set(tmp_path, as_json):
    for name, first in (("train-0000", 0), ("train-0001", 4), ("test-0000", 8)):
        tar(tmp_path / f"{name}.tar", shard(4, first, as_json=as_json))
    before = sorted(tmp_path.iterdir())
    train, test = (load_dataset(tmp_path, split) for split in ("trainval", "test"))
    assert train.layout == "tar" and sorted(tmp_path.iterdir()) == before, "nothing is unpacked"
    for ds, numbers in ((train, range(8)), (test, range(8, 12))):
        assert [item.captions for item in ds] == [(f"view {n} from above", f"view {n} again") for n in numbers]
        assert [ds.image(i).getpixel((0, 0))[0] for i in range(len(ds))] == list(numbers)
    assert len(train.fingerprint()) == 16 and train.labels == ["view" if as_json else None] * 8
    (tmp_path / "test-0000.tar").unlink()
    with pytest.raises(RsnbError, match="test-0000.tar"):
        test.image(0)


ODD = {
    "leads out": [("../a.png", png(1)), ("../a.txt", b"one")],
    "a link": [("a.png", None), ("a.txt", b"one")],
    "a text alone": [("a.txt", b"one")],
    "two images": [("a.png", png(1)), ("a.jpg", png(2)), ("a.txt", b"one")],
    "one key twice": [("a.png", png(1)), ("a.txt", b"one"), ("a.png", png(2)), ("a.txt", b"two")],
    "no JSON": [("a.png", png(1)), ("a.json", b"{one")],
    "no object": [("a.png", png(1)), ("a.json", b"[1]")],
    "no UTF-8": [("a.png", png(1)), ("a.txt", b"\xff\xfa")],
    "a number": [("a.png", png(1)), ("a.json", b'{"caption": 7}')],
    "a long text": [("a.png", png(1)), ("a.txt", b"one " * 300_000)],
    "an unknown part": [("a.png", png(1)), ("a.json", b'{"caption": "one", "split": "tset"}')],
}


@pytest.mark.parametrize("case", ODD)
def test_odd_members_of_a_tar_are_named_and_skipped(tmp_path, case):
    tar(tmp_path / "train.tar", [*shard(3), *ODD[case]])
    with pytest.raises(RsnbError, match="train.tar|lead out"):
        load_dataset(tmp_path, "all")
    with pytest.warns(RsnbWarning, match="left out 1 "):
        assert len(load_dataset(tmp_path, "all", skip_bad=True)) == 3


DAMAGES = {
    "cut off": lambda raw: raw[:2100],
    "cut off in a header": lambda raw: raw[:1124],
    "overwritten": lambda raw: raw[:1024] + b"x" * 600 + raw[1624:],
    "two joined": lambda raw: raw + raw,
    "compressed": gzip.compress,
    "a page": lambda raw: b"<html>" * 300,
    "empty": lambda raw: b"",
    "zeros": lambda raw: bytes(10240),
}


@pytest.mark.parametrize("whole", [0, 1])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_not_passed_over(tmp_path, damage, whole):
    raw = tar(tmp_path / "train-0.tar", shard(4)).read_bytes()
    (tmp_path / "train-0.tar").write_bytes(DAMAGES[damage](raw))
    if whole:
        tar(tmp_path / "train-1.tar", shard(4, 4))
    with pytest.raises(RsnbError, match="train-0.tar"):
        load_dataset(tmp_path, "all")


def test_the_order_of_members_does_not_matter(tmp_path):
    members = shard(100)
    tar(tmp_path / "train.tar", [*members[::2], *members[1::2]])  # all images, then all texts
    ds = load_dataset(tmp_path, "all")
    assert [item.captions[0] for item in ds] == [f"view {n} from above" for n in range(100)]


def test_a_tar_of_images_beside_captions_is_no_set(tmp_path):
    images(write_karpathy(tmp_path) / "pictures", [*TRAIN, *TEST])
    tar(tmp_path / "pictures.tar", [("a.png", png(1)), ("b.png", png(2))])
    assert load_dataset(tmp_path, "test").layout == "karpathy"


# --- parts, shards and names that look alike -------------------------------------------------------------------------
BARE = {f"{n}.png": [f"a view {n} of it"] for n in range(3)}
IN_PARTS = {
    # (folders with 0.png, 1.png and 2.png), prefix of the listed names: what is missing with the folder `test` gone
    "bare names": ("", "3 images missing: 0.png, 1.png, 2.png"),
    "names with parts": ("{part}/", "3 images missing: test/0.png, test/1.png, test/2.png"),
    "names with more": ("data/{part}/", "3 images missing: data/test/0.png"),
}


@pytest.mark.parametrize("case", IN_PARTS)
def test_images_of_two_parts_may_number_alike(tmp_path, case):
    prefix, missing = IN_PARTS[case]
    for grey, part in enumerate(("train", "test")):
        images(tmp_path / part, BARE, ".png")
        Image.new("RGB", (9, 7), (99 + grey, 0, 0)).save(tmp_path / part / "0.png")
    train, test = ({prefix.format(part=part) + n: c for n, c in BARE.items()} for part in ("train", "test"))
    write_precomp(tmp_path, train, test)
    assert {item.path.parent.name for item in load_dataset(tmp_path, "trainval")} == {"train"}
    assert {item.path.parent.name for item in load_dataset(tmp_path, "test")} == {"test"}
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(RsnbError, match=missing):
        load_dataset(tmp_path, "all")
    with pytest.warns(RsnbWarning, match="left out 3 images missing"):
        assert len(load_dataset(tmp_path, "all", skip_bad=True)) == 3
        with pytest.raises(RsnbError, match="all images of 'test' are missing"):
            load_dataset(tmp_path, "test", skip_bad=True)


def test_one_file_is_not_the_image_of_two_parts(tmp_path):
    images(tmp_path, ["0", "1"], ".png")
    write_precomp(tmp_path, {"train/0.png": ["a"], "train/1.png": ["b"]}, {"test/0.png": ["c"]})
    with pytest.raises(RsnbError, match="2 images missing: train/0.png, test/0.png"):
        load_dataset(tmp_path, "all")


def test_two_numbers_of_ucm_are_two_images(tmp_path):
    images(tmp_path / "Images", ["agricultural/agricultural00", "agricultural/agricultural01"], ".tif")
    write_precomp(tmp_path, {"1.tif": ["a"], "2.tif": ["b"]}, {"1.jpg": ["c"]})
    with pytest.raises(RsnbError, match="2 images missing: 1.tif, 1.jpg"):
        load_dataset(tmp_path, "all")


@pytest.mark.parametrize("nest", ["", "default"])
def test_parquet_folders_of_parts_lie_one_level_down_too(tmp_path, nest):
    for part, first in (("train", 0), ("test", 3)):
        rows = [{"image": png(n), "filename": f"{n}.png", "text": f"view {n}"} for n in range(first, first + 3)]
        parquet(tmp_path / "hub" / nest / part / "0000.parquet", rows)
    assert (load_dataset(tmp_path / "hub", "test").name, len(load_dataset(tmp_path / "hub", "all"))) == ("hub", 6)


def test_parquet_may_state_the_part_of_each_row(tmp_path):
    rows = [{"image": png(n), "text": f"view {n} of it", "split": "test" if n < 2 else "train"} for n in range(6)]
    parquet(tmp_path / "everything.parquet", rows)
    assert [len(load_dataset(tmp_path, split)) for split in ("test", "trainval")] == [2, 4]


@pytest.mark.parametrize("name", ["mine_test.csv", "mine_test.tsv"])
@pytest.mark.parametrize("content", [b"filename,title\n1.png,caf\xe9", b"picture,words\n1.png,x", b""])
def test_a_part_that_cannot_be_read_is_not_passed_over(tmp_path, name, content):
    write_csv(tmp_path)
    (tmp_path / "mine_test.csv").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RsnbError, match=name):
        load_dataset(tmp_path, "train", images=False)


@pytest.mark.parametrize("text", ["['one', 'two']", '["one", "two"]', '[{"raw": "one"}]', "{'raw': 'one'}"])
def test_a_list_written_as_text_is_no_caption(tmp_path, text):
    with (tmp_path / "mine_train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["filename", "captions"], ["a.png", text], ["b.png", "[sic] a boat"]])
    with pytest.raises(RsnbError, match="line 2 .a list written as text"):
        load_dataset(tmp_path, "all", images=False)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_impossible_names_of_folders(tmp_path, name):
    with pytest.raises(RsnbError):
        load_dataset(name)
    with pytest.raises(RsnbError):
        load_dataset(write_csv(tmp_path), root=name)
