"""An index of tiles: built, killed, brought up to date, damaged, asked; what is read from which sources."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import rsnb
from rsnb.commands import cli
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.tiles import building, files, store
from rsnb.tiles.foreign import FOREIGN, percentile
from rsnb.tiles.index import WEIGHT, Index
from rsnb.tiles.zero_labels import PROMPTS, class_vectors, near_equal, read_classes


@pytest.fixture(scope="module")
def clip():
    return rsnb.load_clip()


@pytest.fixture(scope="module")
def model(clip):
    return rsnb.adapt(clip, "zero_shot").eval()


@pytest.fixture(scope="module")
def toy():
    return rsnb.load_dataset("toy", "test")


def save(toy, i: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    toy.image(i).save(path)


@pytest.fixture
def folder(tmp_path, toy):
    """12 images, three of them in a folder below."""
    for i in range(12):
        save(toy, i, tmp_path / "tiles" / ("more" if i % 4 == 0 else ".") / f"{i:02d}.png")
    return tmp_path / "tiles"


@pytest.fixture
def index(folder, tmp_path, model):
    return Index.build(folder, tmp_path / "tiles.index", model)


def embedded(model, path: Path) -> np.ndarray:
    with torch.no_grad():
        return model.encode_image(model.clip.preprocess(Image.open(path).convert("RGB"))[None])[0].numpy()


def named(index: Index) -> dict[str, np.ndarray]:
    """{path: stored vector} as a reader without rsnb finds them."""
    table = pq.read_table(index.path / store.TABLE).to_pandas()
    rows = np.concatenate([load_file(p)["embeddings"] for p in sorted(index.path.glob("block-*.safetensors"))])
    assert len(rows) == len(table)
    return dict(zip(table["path"], rows))


def small_blocks(monkeypatch, rows: int = 5) -> None:
    monkeypatch.setattr(store, "BLOCK", rows)
    monkeypatch.setattr(store, "GROUP", 2 * rows)


def interrupt(monkeypatch, batch: int) -> None:
    """Ctrl-C while the batch with that number, from 1, is encoded."""
    count, real = [], building._embedded

    def interrupted(*args):
        count.append(1)
        if len(count) == batch:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(building, "_embedded", interrupted)


# --- what is in it ----------------------------------------------------------------------------------------------
def test_every_image_is_there_as_the_model_sees_it(index, folder, model):
    found = named(index)
    assert sorted(found) == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png")) and len(index) == 12
    for path, row in found.items():
        assert row.dtype == np.float16 and np.abs(row - embedded(model, folder / path)).max() < 2e-3
    assert index.table()["width"].eq(128).all() and index.table()["lon"].isna().all()
    state = (folder / "01.png").stat()
    row = index.table().set_index("path").loc["01.png"]
    assert (row["bytes"], row["modified"].value) == (state.st_size, state.st_mtime_ns)


def test_only_what_changed_is_encoded_again(index, folder, toy, model, monkeypatch):
    small_blocks(monkeypatch)
    before = named(index)
    (folder / "01.png").unlink()
    save(toy, 30, folder / "02.png")
    save(toy, 31, folder / "new.png")
    read, real = [], building._read
    read_one = lambda job, *more: (read.append(job[0].path), real(job, *more))[1]  # noqa: E731
    monkeypatch.setattr(building, "_read", read_one)
    built = building.build(folder, index.path, model)
    assert sorted(read) == ["02.png", "new.png"]
    assert (built.tiles, built.encoded, built.dropped) == (12, 2, 2)
    after = named(Index.open(index.path))
    assert sorted(after) == sorted({*before, "new.png"} - {"01.png"})
    assert all(np.array_equal(after[path], before[path]) for path in after if path not in ("02.png", "new.png"))
    assert np.abs(after["02.png"] - embedded(model, folder / "02.png")).max() < 2e-3
    again = building.build(folder, index.path, model)
    assert (again.encoded, again.dropped) == (0, 0) and named(Index.open(index.path)).keys() == after.keys()


def test_blocks_are_full_but_the_last(folder, tmp_path, model, monkeypatch):
    small_blocks(monkeypatch)
    index = Index.build(folder, tmp_path / "i", model, batch_size=4)
    assert [block["rows"] for block in index.about["blocks"]] == [5, 5, 2]
    for name in ("00.png", "03.png"):
        next(folder.rglob(name)).unlink()
    assert [b["rows"] for b in Index.build(folder, tmp_path / "i").about["blocks"]] == [5, 5]
    assert sorted(p.name for p in (tmp_path / "i").iterdir()) == sorted(
        [*(b["file"] for b in Index.open(tmp_path / "i").about["blocks"]), store.TABLE]
    )


@pytest.mark.parametrize("when", range(6))
def test_a_killed_indexing_goes_on(folder, tmp_path, model, monkeypatch, when):
    """Whichever write is the last, the index that is there is whole, and the next run ends as one without a kill."""
    small_blocks(monkeypatch)
    whole = named(Index.build(folder, tmp_path / "whole", model, batch_size=4))
    done, real = [], os.replace

    def killed(*paths):
        if len(done) == when:
            raise SystemExit
        done.append(paths)
        real(*paths)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(SystemExit):
        building.build(folder, tmp_path / "i", model, batch_size=4)
    monkeypatch.setattr(os, "replace", real)
    kept = 0
    if store.is_index(tmp_path / "i"):
        with pytest.warns(RsnbWarning, match="not finished"):
            part = Index.open(tmp_path / "i", model)
        kept = len(part)
        assert kept == len(part.table()) and all(np.array_equal(v, whole[k]) for k, v in named_of(part).items())
    built = building.build(folder, tmp_path / "i", model, batch_size=4)
    assert built.encoded == 12 - kept and built.tiles == 12
    after = named(Index.open(tmp_path / "i", model))
    assert after.keys() == whole.keys() and all(np.array_equal(after[k], whole[k]) for k in whole)


def named_of(index: Index) -> dict[str, np.ndarray]:
    return dict(zip(index.table(["path"])["path"], np.concatenate([np.array(b) for b in index.blocks])))


def test_a_full_disk_leaves_the_index_as_it_was(index, folder, toy, model, monkeypatch):
    before = {p.name: p.read_bytes() for p in index.path.iterdir()}
    save(toy, 40, folder / "new.png")
    real = Path.write_bytes

    def full(self, data):
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RsnbError, match="cannot be written.*No space left"):
        building.build(folder, index.path, model)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in index.path.iterdir() if p.name in before} == before
    assert len(Index.open(index.path)) == 12


def test_an_interrupted_indexing_keeps_what_it_has(folder, tmp_path, model, monkeypatch):
    interrupt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        building.build(folder, tmp_path / "i", model, batch_size=4)
    with pytest.warns(RsnbWarning, match="not finished"):
        assert len(Index.open(tmp_path / "i")) == 8


def test_two_at_once_are_refused(folder, tmp_path, model):
    from rsnb.base.locks import only

    with only(tmp_path / "i" / building.LOCK, "an indexing"), pytest.raises(RsnbError, match="in use"):
        building.build(folder, tmp_path / "i", model)


def test_memory_does_not_grow_with_the_source():
    """At most so many are read and not yet taken."""
    from concurrent.futures import ThreadPoolExecutor

    begun, most = [], 0
    with ThreadPoolExecutor(2) as pool:
        for taken, (job, result) in enumerate(building.ahead(pool, lambda n: begun.append(n) or n * n, range(100), 7)):
            most = max(most, len(begun) - taken)
            assert result == job * job == taken * taken
    assert len(begun) == 100 and most <= 7


def test_files_of_others_are_never_touched(folder, tmp_path, model):
    """A folder that holds anything else becomes no index, and in an index only blocks and scratch files go."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("block-model.safetensors", ".download.part", "note.md", "tiles.parquet"):
        (kept / name).write_bytes(b"mine")
        with pytest.raises(RsnbError, match="holds other files"):
            building.build(folder, kept, model)
        assert (kept / name).read_bytes() == b"mine"
    index = Index.build(folder, tmp_path / "i", model)
    for name in ("block-model.safetensors", ".download.part", "note.md"):
        (index.path / name).write_bytes(b"mine")
    (index.path / "block-000099.safetensors").write_bytes(b"left behind")
    building.build(folder, index.path, model)
    assert sorted(p.name for p in index.path.iterdir() if p.name not in ("block-000000.safetensors", store.TABLE)) == [
        ".download.part", "block-model.safetensors", "note.md",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_what_is_not_followed_is_said(folder, tmp_path, model, toy):
    save(toy, 60, tmp_path / "elsewhere" / "x.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "more" / "tiles.parquet").write_bytes(b"of another program")
    Index.build(tmp_path / "elsewhere", folder / "inner.index", model)
    found, wrong = files.files_of(folder)
    assert len(found) == 12 and list(wrong) == ["linked"]
    with pytest.raises(RsnbError, match="is an index"):
        files.files_of(folder / "inner.index")


def test_a_plain_clip_is_taken_again_and_again(folder, tmp_path, clip):
    fresh = rsnb.load_clip()
    one = Index.build(folder, tmp_path / "i", fresh)
    two = Index.build(folder / "more", tmp_path / "j", fresh)
    assert fresh.adapted_by is None and (len(one), len(two)) == (12, 3)
    carrying = rsnb.load_clip()
    model = rsnb.adapt(carrying, "mrs")
    with pytest.raises(RsnbError, match="carries the method"):
        Index.build(folder, tmp_path / "k", carrying)
    assert len(Index.build(folder, tmp_path / "k", model)) == 12


# --- sources ----------------------------------------------------------------------------------------------------
def test_one_bad_file_costs_that_file(folder, tmp_path, model):
    (folder / "broken.png").write_bytes((folder / "01.png").read_bytes()[:300])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.png").write_text("<html>")
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"x")
    built = building.build(folder, tmp_path / "i", model)
    assert built.tiles == 12 and sorted(built.bad) == ["broken.png", "empty.jpg", "page.png"]
    assert Index.open(tmp_path / "i").about["bad"] == built.bad


def test_a_file_that_changes_or_goes_while_it_is_read(folder, tmp_path, model, monkeypatch):
    def changing(self, window, real=building.Opened.read):
        found = real(self, window)
        if self.file.path == "01.png":
            (folder / "01.png").write_bytes(b"other")
        return found

    listed = files.files_of(folder)
    (folder / "02.png").unlink()
    monkeypatch.setattr(building, "files_of", lambda *_: listed)
    monkeypatch.setattr(building.Opened, "read", changing)
    built = building.build(folder, tmp_path / "i", model)
    assert built.tiles == 10 and "changed" in built.bad["01.png"] and "02.png" in built.bad


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_outside_is_not_followed(folder, tmp_path, toy):
    save(toy, 20, tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "inner.png").symlink_to(folder / "01.png")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    found, wrong = files.files_of(folder)
    assert len(found) == 13 and sorted(wrong) == ["link.png", "pipe.png", "round"]
    (folder / "self.png").symlink_to("self.png")
    with contextlib.suppress(OSError):  # a disk that takes no such name
        shutil.copy(folder / "01.png", os.fsencode(folder) + b"/bad\xff.png")
    found, wrong = files.files_of(folder)
    assert len(found) == 13 and set(wrong) - {"bad\\udcff.png"} == {"link.png", "pipe.png", "round", "self.png"}


def tarred(path: Path, folder: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            tar.add(folder / name, arcname=name)
            raw = b"a caption"
            member = tarfile.TarInfo(f"{Path(name).stem}.txt")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


def test_a_tar_file_is_read_in_place(folder, tmp_path, model):
    tar = tarred(tmp_path / "shard.tar", folder, ["01.png", "02.png", "03.png"])
    index = Index.build(tar, tmp_path / "i", model)
    found = named(index)
    assert sorted(found) == ["shard.tar/01.png", "shard.tar/02.png", "shard.tar/03.png"]
    assert np.abs(found["shard.tar/02.png"] - embedded(model, folder / "02.png")).max() < 2e-3
    hit = index.search(folder / "02.png", top=1).iloc[0]
    assert hit["path"] == "shard.tar/02.png" and index.picture(hit).size == (128, 128)
    assert building.build(tar, tmp_path / "i", model).encoded == 0
    (folder / "shards.tar").mkdir()
    shutil.copy(tar, folder / "shards.tar" / "b.tar")
    inner = next(f for f in files.files_of(folder)[0] if f.path == "shards.tar/b.tar/02.png")
    assert inner.source(folder) == (folder / "02.png").read_bytes()
    shutil.rmtree(folder / "shards.tar")
    (folder / "shards").mkdir()
    shutil.move(tar, folder / "shards" / "a.tar")
    assert len(files.files_of(folder)[0]) == 15


def test_a_list_of_stac_items(folder, tmp_path, model):
    def item(name, href, **more):
        properties = {"datetime": "2024-05-01T10:00:00Z"}
        return {"id": name, "assets": {"visual": {"href": href}}, "properties": properties, **more}

    items = [
        item("a", "./tiles/01.png", bbox=[8.0, 47.0, 8.1, 47.2]),
        item("b", (folder / "02.png").as_uri(), bbox=[179.9, 0, 0, -179.9, 1, 9]),
        item("far", "https://example.org/x.png"),
        item("out", "../x.png"),
        item("gone", "tiles/none.png"),
        {"id": "two", "assets": {"x": {"href": "tiles/03.png"}, "y": {"href": "tiles/05.png"}}},
    ]
    source = tmp_path / "items.json"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": items}), encoding="utf-8")
    found, wrong = files.files_of(source)
    assert [f.path for f in found] == ["tiles/01.png", "tiles/02.png"]
    assert sorted(wrong) == ["far", "gone", "out", "two"] and "not on this machine" in wrong["far"]
    index = Index.build(source, tmp_path / "i", model)
    table = index.table().set_index("path")
    assert table.loc["tiles/01.png", "lon"] == pytest.approx(8.05)
    assert table["taken"].dt.strftime("%Y-%m-%d").eq("2024-05-01").all()
    assert (table.loc["tiles/02.png", "west"], table.loc["tiles/02.png", "east"]) == (179.9, -179.9)
    assert index.search("a", bbox=(7.9, 46.9, 8.05, 47.05))["path"].tolist() == ["tiles/01.png"]
    assert index.search("a", near=(-180.0, 0.5, 50))["path"].tolist() == ["tiles/02.png"]
    items = [{"id": "two", "assets": {"x": {"href": "tiles/03.png"}, "y": {"href": "tiles/05.png"}}}]
    source.write_text(json.dumps(items), encoding="utf-8")
    Index.build(source, tmp_path / "j", model, asset="y")
    again = Index.build(source, tmp_path / "j")  # the asset is remembered
    assert again.table()["path"].tolist() == ["tiles/05.png"] and again.about["source"]["asset"] == "y"
    with pytest.raises(RsnbError, match="made with asset y, not x"):
        building.build(source, tmp_path / "j", model, asset="x")


@pytest.mark.parametrize(
    "content, said", [("[{}]", "no list of STAC items"), ("{", "no valid JSON"), ('{"features": 3}', "no list of STAC")]
)
def test_a_json_of_another_kind(tmp_path, content, said):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RsnbError, match=said):
        files.files_of(tmp_path / "a.json")


def test_nothing_to_index(tmp_path, model):
    with pytest.raises(RsnbError, match="there is no"):
        building.build(tmp_path / "none", tmp_path / "i", model)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RsnbError, match="holds no image"):
        building.build(tmp_path / "empty", tmp_path / "i", model)
    (tmp_path / "empty" / "a.png").write_bytes(b"no image")
    with pytest.raises(RsnbError, match=r"holds no image that can be read: a\.png"):
        building.build(tmp_path / "empty", tmp_path / "i", model)
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(RsnbError, match="no folder, image"):
        building.build(tmp_path / "a.docx", tmp_path / "i", model)


def test_a_scene_is_cut_and_a_killed_cut_goes_on(tmp_path, model, monkeypatch):
    rasterio = pytest.importorskip("rasterio", reason="needs the extra geo")
    pixels = np.random.default_rng(0).integers(0, 255, (3, 100, 130), dtype=np.uint8)
    said = {"driver": "GTiff", "count": 3, "height": 100, "width": 130, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(tmp_path / "scene.tif", "w", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **said) as file:
        file.write(pixels)
    small_blocks(monkeypatch)
    interrupt(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        building.build(tmp_path / "scene.tif", tmp_path / "i", model, batch_size=4, tile=32, overlap=8)
    built = building.build(tmp_path / "scene.tif", tmp_path / "i", model, batch_size=4)
    assert (built.tiles, built.encoded) == (6 * 4, 12)
    index = Index.open(tmp_path / "i", model)
    table = index.table()
    assert len(table) == len(set(zip(table["x"], table["y"]))) == 6 * 4
    hit = index.search(Image.fromarray(pixels[:, 24:56, 48:80].transpose(1, 2, 0)), top=1).iloc[0]
    assert (hit["x"], hit["y"], hit["width"]) == (48, 24, 32)
    assert np.array_equal(np.asarray(index.picture(hit)), pixels[:, 24:56, 48:80].transpose(1, 2, 0))
    with pytest.raises(RsnbError, match="made with tile 32, not 64"):
        building.build(tmp_path / "scene.tif", tmp_path / "i", model, tile=64)
    assert building.build(tmp_path / "scene.tif", tmp_path / "i", model, tile=32, overlap=8).encoded == 0


# --- whose it is ------------------------------------------------------------------------------------------------
def test_another_model_is_refused(index, folder):
    with pytest.warns(RsnbWarning, match="RANDOM"):
        other = rsnb.adapt(rsnb.load_clip("mini", "random"), "zero_shot")
    with pytest.raises(RsnbError, match="other weights of the CLIP"):
        Index.open(index.path, other)
    adapted = rsnb.adapt(rsnb.load_clip(), "mrs")
    for act in (lambda: Index.open(index.path, adapted), lambda: building.build(folder, index.path, adapted)):
        with pytest.raises(RsnbError, match="another adapter"):
            act()


def test_all_files_may_have_changed(index, folder, model):
    for path in folder.rglob("*.png"):
        Image.open(path).rotate(180).save(path)
    assert building.build(folder, index.path, model).sentence().startswith("12 tiles; 12 encoded")


def test_other_files_are_refused(index, tmp_path, toy, model):
    save(toy, 50, tmp_path / "others" / "x.png")
    with pytest.raises(RsnbError, match="other files"):
        building.build(tmp_path / "others", index.path, model)
    assert len(Index.open(index.path)) == 12


def test_a_folder_that_moved_is_the_same(index, folder, model, tmp_path):
    folder.rename(tmp_path / "moved")
    built = building.build(tmp_path / "moved", index.path, model)
    assert (built.encoded, built.dropped) == (0, 0)
    moved = Index.open(index.path)
    assert moved.picture(moved.search("a boat", top=1).iloc[0]).size == (128, 128)


def test_the_adapter_is_found_again_or_said_to_be_gone(folder, tmp_path, clip):
    model = rsnb.adapt(rsnb.load_clip(), "mrs", seed=3)
    file = rsnb.save_adapter(model, tmp_path / "mine.safetensors")
    index = Index.build(folder, tmp_path / "i", adapter=file)
    assert Index.open(index.path).search("boats", top=1)["path"].iloc[0] == index.search("boats", top=1)["path"].iloc[0]
    assert building.build(folder, index.path, model).encoded == 0
    file.unlink()
    with pytest.raises(RsnbError, match="gone"):
        Index.open(index.path).search("boats")
    rsnb.save_adapter(rsnb.adapt(rsnb.load_clip(), "mrs", seed=4), file)
    with pytest.raises(RsnbError, match="another adapter"):
        Index.open(index.path).search("boats")


DAMAGES = {
    "a block cut off": lambda folder: _change(next(folder.glob("block-*")), lambda raw: raw[:-7]),
    "a block made longer": lambda folder: _change(next(folder.glob("block-*")), lambda raw: raw + b"x"),
    "a number changed": lambda folder: _change(next(folder.glob("block-*")), lambda raw: raw[:-9] + b"\x11" + raw[-8:]),
    "a header changed": lambda folder: _change(next(folder.glob("block-*")), lambda raw: raw.replace(b"F16", b"F32")),
    "a block gone": lambda folder: next(folder.glob("block-*")).unlink(),
    "the table cut off": lambda folder: _change(folder / store.TABLE, lambda raw: raw[: len(raw) // 2]),
    "the table empty": lambda folder: _change(folder / store.TABLE, lambda raw: b""),
    "the table changed": lambda folder: _change(folder / store.TABLE, lambda raw: raw[:40] + b"\0\0\0\0" + raw[44:]),
    "another table": lambda folder: pandas.DataFrame({"a": [1]}).to_parquet(folder / store.TABLE),
    "no table": lambda folder: (folder / store.TABLE).unlink(),
}


def _change(path: Path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_one_line(index, damage, capsys):
    DAMAGES[damage](index.path)
    with pytest.raises(RsnbError, match="damaged|no index") as caught:
        Index.open(index.path).search("boats")
    assert "\n" not in str(caught.value)
    assert cli.main(["search", "--index", str(index.path), "boats"]) == 2
    assert capsys.readouterr().err.count("rsnb:") == 1


@pytest.mark.parametrize(
    "key, value",
    [
        ("width", "x"),
        ("blocks", [{"file": "../../x", "rows": 12, "sum": 0}]),
        ("model", 3),
        ("model", {}),
        ("source", {}),
        ("foreign", [{}]),
        ("source", {"root": "/", "name": "x", "asset": None, "tile": "many", "overlap": 0, "view": None}),
    ],
)
def test_what_the_table_says_is_not_trusted(index, key, value):
    table = pq.read_table(index.path / store.TABLE)
    about = {**json.loads(table.schema.metadata[store.KEY]), key: value}
    pq.write_table(table.replace_schema_metadata({store.KEY: json.dumps(about)}), index.path / store.TABLE)
    with pytest.raises(RsnbError, match="damaged"):
        Index.open(index.path).search("boats")


def test_an_index_that_changed_is_not_mixed_with_what_was_opened(folder, tmp_path, model, monkeypatch):
    """Rows of the former state would name other tiles."""
    small_blocks(monkeypatch)
    index = Index.build(folder, tmp_path / "i", model)
    late = Index.open(index.path, model)
    index.search("boats")
    (folder / "01.png").unlink()
    building.build(folder, index.path, model)
    for one in (index, late):
        with pytest.raises(RsnbError, match="has changed since it was opened"):
            one.search("boats")
    assert "01.png" not in set(Index.open(index.path, model).search("boats", top=20)["path"])


def test_no_picture_outside_the_folder_is_shown(index, toy, tmp_path):
    save(toy, 70, tmp_path / "secret.png")
    hit = index.search("boats", top=1).iloc[0].copy()
    hit["path"] = "../secret.png"
    with pytest.raises(RsnbError, match="outside"):
        index.picture(hit)


# --- asking -----------------------------------------------------------------------------------------------------
def test_hits_are_those_of_a_plain_product(index, model):
    stored, text = named_of(index), "two white boats in a harbour"
    with torch.no_grad():
        query = model.encode_text(model.clip.tokenizer([text]))[0].numpy().astype(np.float64)
    scores = {path: float(row.astype(np.float64) @ query) for path, row in stored.items()}
    found = index.search(text, top=5)
    assert found["path"].tolist() == sorted(scores, key=lambda path: -scores[path])[:5]
    assert found["score"].tolist() == pytest.approx([scores[path] for path in found["path"]], abs=1e-6)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5] and found["query"].eq(text).all()
    assert len(index.search(text, top=100)) == 12
    every, table = index.scores(text)[0], index.table()
    assert every[found["row"]].tolist() == pytest.approx(found["score"].tolist(), abs=1e-6)
    assert table["path"].iloc[found["row"]].tolist() == found["path"].tolist() and len(every) == 12
    only = index.search(text, top=5, keep=(every < every.max()))
    assert only["path"].tolist() == index.search(text, top=6)["path"].tolist()[1:]
    with pytest.raises(RsnbError, match="keep has"):
        index.search(text, keep=every)
    high = index.search(text, top=100, min_score=found["score"][2])
    assert high["path"].tolist() == found["path"][:3].tolist()


def test_kinds_of_queries(index, folder, model):
    vector = embedded(model, folder / "02.png")
    for query in (folder / "02.png", Image.open(folder / "02.png"), vector, torch.tensor(3 * vector)):
        assert index.search(query, top=1)["path"].tolist() == ["02.png"]
    both = index.search(["boats", "a forest"], top=2)
    assert both["query"].tolist() == ["boats"] * 2 + ["a forest"] * 2
    assert both["path"].tolist() == [*index.search("boats", 2)["path"], *index.search("a forest", 2)["path"]]
    assert index.search(folder / "02.png", top=1)["percentile"].isna().all()


@pytest.mark.parametrize(
    "query, said",
    [
        ("  ", "empty"),
        ("many words " * 40, "tokens"),
        (np.ones(7), "does not fit|do not belong"),
        (np.full(128, np.nan), "not finite"),
        (np.zeros(128), "zero"),
        (object(), "found a object"),
        (Path("none.png"), "no image"),
    ],
)
def test_a_query_that_cannot_be_asked(index, query, said):
    if isinstance(query, np.ndarray) and len(query) == 128:
        query = np.full(index.about["width"], query[0])
    with pytest.raises(RsnbError, match=said):
        index.search(query)


def test_regions_need_places_and_sense(index):
    with pytest.raises(RsnbError, match="no tile of .* has a place"):
        index.search("boats", near=(8, 47, 1))
    with pytest.raises(RsnbError, match="top"):
        index.search("boats", top=0)


def test_a_percentile_is_the_share_of_foreign_sentences(index, model):
    stored = np.stack(list(named_of(index).values())).astype(np.float64)
    with torch.no_grad():
        foreign = model.encode_text(model.clip.tokenizer(list(FOREIGN))).numpy().astype(np.float64)
    best = (foreign @ stored.T).max(axis=1)
    assert index.about["foreign"] == pytest.approx(sorted(best), abs=2e-6) and len(set(FOREIGN)) == 200
    hit = index.search("boats", top=1).iloc[0]
    assert hit["percentile"] == pytest.approx(100 * (best < hit["score"]).mean(), abs=0.51)
    assert percentile([0.0, 2.0], [1.0, 3.0]).tolist() == [0, 50]


def test_an_image_with_words_is_mixed_as_in_lesson_8(index, folder):
    from rsnb.measures.mixing import mixed

    stored = torch.from_numpy(np.stack(list(named_of(index).values())).astype(np.float32))
    picture, words = index._vectors(folder / "02.png")[1], index._vectors("with a road")[1]
    scores = mixed(torch.from_numpy(picture) @ stored.T, torch.from_numpy(words) @ stored.T, WEIGHT)[0]
    found = index.search(folder / "02.png", top=12, words="with a road")
    paths = np.array(list(named_of(index)))[scores.argsort(descending=True, stable=True).numpy()]
    assert found["path"].tolist() == paths.tolist()
    alone = index.search(folder / "02.png", top=12, words="with a road", weight=0)
    assert alone["path"].tolist() == index.search(folder / "02.png", top=12)["path"].tolist()
    with pytest.raises(RsnbError, match="weight between 0"):
        index.search(folder / "02.png", words="with a road", weight=2)


def test_the_weight_is_the_one_that_lesson_8_found(repo):
    run = json.loads((repo / "data" / "results" / "composed.json").read_text(encoding="utf-8"))["runs"]["toy-mini"]
    assert run["models"]["with adapter"]["ways"]["cdf"]["lambda"] == WEIGHT


# --- labels and doubles -----------------------------------------------------------------------------------------
def test_labels_are_the_nearest_class(index, tmp_path):
    (tmp_path / "classes.txt").write_text("forest\nharbour: boats in a harbour | ships\n\nairport\n", encoding="utf-8")
    classes = read_classes(tmp_path / "classes.txt")
    assert list(classes) == ["forest", "harbour", "airport"] and classes["harbour"] == ("boats in a harbour", "ships")
    assert classes["forest"] == tuple(prompt.format("forest") for prompt in PROMPTS)
    from rsnb.tiles.zero_labels import label

    vectors, stored = class_vectors(index, classes).astype(np.float64), np.stack(list(named_of(index).values()))
    odds = np.exp(float(index.model.clip.logit_scale) * (stored.astype(np.float64) @ vectors.T))
    odds /= odds.sum(axis=1, keepdims=True)
    found = label(index, classes)
    assert found["class"].tolist() == [list(classes)[n] for n in odds.argmax(axis=1)]
    assert found["probability"].to_numpy() == pytest.approx(odds.max(axis=1), abs=1e-4)
    top = np.sort(odds, axis=1)
    assert found["margin"].to_numpy() == pytest.approx(top[:, -1] - top[:, -2], abs=1e-4)


@pytest.mark.parametrize(
    "content, said", [(b"one", "fewer than two"), (b"a\na\n", "twice"), (b"\xff\xfe\x00a", "UTF-8")]
)
def test_classes_that_cannot_be_read(tmp_path, content, said):
    (tmp_path / "c.txt").write_bytes(content)
    with pytest.raises(RsnbError, match=said):
        read_classes(tmp_path / "c.txt")


def test_doubles_are_found_across_blocks(folder, tmp_path, model, monkeypatch):
    small_blocks(monkeypatch)
    shutil.copy(folder / "01.png", folder / "zz.png")
    Image.open(folder / "02.png").save(folder / "z.webp", lossless=True)
    index = Index.build(folder, tmp_path / "i", model)
    found = near_equal(index, 0.9999)
    assert {frozenset(pair) for pair in zip(found["path_1"], found["path_2"])} == {
        frozenset(("01.png", "zz.png")), frozenset(("02.png", "z.webp")),
    }  # fmt: skip
    with pytest.raises(RsnbError, match="more than 1 pairs"):
        near_equal(index, 0.1, most=1)
    with pytest.raises(RsnbError, match="least cosine"):
        near_equal(index, 2.0)


# --- the commands -----------------------------------------------------------------------------------------------
def test_the_commands_from_folder_to_hits(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder / "bad.png").write_bytes(b"x")
    assert cli.main(["index", "tiles"]) == 1
    said = capsys.readouterr().out
    assert "12 tiles" in said and "bad.png" in said
    assert cli.main(["search", "--index", "tiles.index", "boats in a harbour", "--top", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["hits"]) == 3 and found["about"]["tiles"] == 12
    for name in ("hits.csv", "hits.json", "hits.geojson", "hits.parquet", "hits.html"):
        assert cli.main(["search", "--index", "tiles.index", "boats", "--out", name]) == 0
        assert Path(name).stat().st_size > 100
    assert cli.main(["search", "--index", "tiles.index", "boats", "--calibrate", "--json"]) == 0
    capsys.readouterr(), cli.main(["search", "--index", "tiles.index", "boats", "--calibrate", "--json"])
    assert len(json.loads(capsys.readouterr().out)["about"]["foreign"]) == 5
    assert cli.main(["search", "--index", "tiles.index", "boats", "--min-score", "1.5"]) == 0
    assert "too high" in capsys.readouterr().out
    Path("q.txt").write_text("boats\n\na road\n", encoding="utf-8")
    assert cli.main(["search", "--index", "tiles.index", "--queries", "q.txt", "--calibrate"]) == 0
    said = capsys.readouterr().out
    assert "foreign sentences" in said and "a road" in said
    assert (
        cli.main(["search", "--index", "tiles.index", "--image", "tiles/02.png", "with a road", "--weight", "0.5"]) == 0
    )
    Path("classes.txt").write_text("forest\nharbour\n", encoding="utf-8")
    assert cli.main(["label", "--index", "tiles.index", "--classes", "classes.txt"]) == 0
    assert len(pandas.read_csv("labels.csv")) == 12
    assert cli.main(["dedupe", "--index", "tiles.index", "--least", "0.999"]) == 0
    assert list(pandas.read_csv("pairs.csv")["score"]) == []
    capsys.readouterr()
    for wrong in (
        ["search", "boats", "--near", "8,47,1"],
        ["search", "--index", "tiles.index", "boats", "--limit", "3"],
        ["search", "--index", "tiles.index", "tiles/02.png"],
        ["search", "--index", "tiles.index", "--calibrate", "--out", "x.csv"],
        ["index", "tiles", "--out", "tiles"],
        ["index", "tiles", "--out", "tiles/more"],
        ["index", "tiles.index"],
        ["search", "--index", "tiles.index"],
        ["search", "--index", "tiles.index", "boats", "--out", "hits.docx"],
        ["search", "--index", "tiles", "boats"],
        ["search", "--index", "tiles.index", "boats", "--weight", "0.5"],
        ["search", "--index", "tiles.index", "boats", "--queries", "q.txt"],
        ["index", "none"],
        ["label", "--index", "tiles.index", "--classes", "none.txt"],
    ):
        assert cli.main(wrong) == 2, wrong
        assert capsys.readouterr().err.count("\n") == 1, wrong


def test_a_home_folder_is_found(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert cli.main(["index", "~/tiles", "--out", "~/i"]) == 0
    assert cli.main(["search", "--index", "~/i", "--image", "~/tiles/02.png", "--out", "~/hits.csv"]) == 0
    assert (tmp_path / "hits.csv").is_file() and not list((tmp_path / "here").iterdir())


def test_folders_side_by_side(folder, tmp_path):
    """The executor of the lab, or any other, indexes one folder in each process."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(_built, folder, tmp_path / "i").result() == 12


@pytest.mark.check
def test_a_dask_cluster_indexes_folders(folder, tmp_path):
    import distributed

    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    with cluster, distributed.Client(cluster) as client:
        jobs = [client.submit(rsnb.Index.build, at, tmp_path / f"{at.name}.index") for at in (folder, folder / "more")]
        there = [job.result() for job in jobs]
    assert [len(index) for index in there] == [12, 3]
    for index, at in zip(there, (folder, folder / "more")):
        here = rsnb.Index.build(at, tmp_path / f"{at.name}.here")
        assert np.array_equal(np.concatenate(index.blocks), np.concatenate(here.blocks))
        assert index.table()["path"].tolist() == here.table()["path"].tolist()


def _built(folder: Path, out: Path) -> int:
    return len(rsnb.Index.build(folder, out))
