"""PixelStore gives what clip.preprocess gives, and decodes each image once."""

from __future__ import annotations

import os
import types

import numpy as np
import pytest
import torch
from PIL import Image
from test_data_layouts import TEST, TRAIN, write_precomp
from torchvision import transforms

from rsnb.backbone import load_clip
from rsnb.data import PixelStore, load_dataset
from rsnb.errors import RsnbError


@pytest.fixture
def ds(tmp_path):
    root = write_precomp(tmp_path)
    dice = np.random.default_rng(0)
    for n, name in enumerate([*TRAIN, *TEST]):
        size = (40 + 7 * n, 90 - 4 * n)
        Image.fromarray(dice.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / f"{name[:-4]}.png")
    Image.fromarray(dice.integers(0, 65535, (30, 50), dtype=np.uint16)).save(root / "airport_0.png")
    Image.fromarray(dice.integers(0, 256, (50, 30, 4), dtype=np.uint8)).save(root / "beach_0.png")
    return load_dataset(root, "trainval")


def stub(size=(64, 64), **options):
    import open_clip

    mean, std = (0.48, 0.45, 0.41), (0.27, 0.26, 0.28)
    steps = open_clip.image_transform(size, is_train=False, mean=mean, std=std, **options)
    return types.SimpleNamespace(preprocess=steps, image_size=size)


@pytest.mark.parametrize("options", [{}, {"resize_mode": "squash"}, {"resize_mode": "longest"}, {"size": (48, 64)}])
def test_equals_preprocess(ds, options):
    clip = stub(**options)
    truth = torch.stack([clip.preprocess(ds.image(i)) for i in range(len(ds))])
    for store in (PixelStore(ds, clip), PixelStore(ds, clip).fill(progress=False), PixelStore(ds, clip, max_bytes=9)):
        assert torch.equal(store[list(range(len(ds)))], truth) or (store[:] - truth).abs().max() < 1e-6
        assert torch.allclose(store[[3, 3, -1]], truth[[3, 3, -1]], atol=1e-6)
        assert torch.allclose(store[torch.tensor([5, 1])], truth[[5, 1]], atol=1e-6)
        assert torch.allclose(store[torch.arange(10) > 6], truth[7:], atol=1e-6)
        assert store[4].shape == truth[4].shape and store[2:4].dtype == torch.float32


def test_other_preprocessing_is_called_as_it_is(ds):
    clip = types.SimpleNamespace(preprocess=lambda image: torch.full((3, 2, 2), float(image.width)))
    assert PixelStore(ds, clip)[[1, 2]][:, 0, 0, 0].tolist() == [ds.image(i).width for i in (1, 2)]


def test_decodes_once_and_only_what_is_asked(ds, monkeypatch):
    store, clip = [], stub()
    calls = []
    whole = ds.image
    monkeypatch.setattr(ds, "image", lambda i: (calls.append(i), whole(i))[1])
    store = PixelStore(ds, clip)
    assert calls == [] and len(store) == 10
    store[[2, 5, 2]], store[[5]]
    assert sorted(set(calls)) == [0, 2, 5] and len(calls) <= 4  # image 0 tells the size
    store.fill(progress=False)
    seen = len(calls)
    store.fill(progress=False), store[:]
    assert len(calls) == seen


def test_batches_may_be_changed_without_changing_the_store(ds):
    store = PixelStore(ds, stub())
    first = store[[1]].clone()
    store[[1]].zero_()
    assert torch.equal(store[[1]], first)


def test_indices_are_checked(ds):
    store = PixelStore(ds, stub())
    for wrong in ([10], [-11], torch.tensor([3, 99])):
        with pytest.raises(RsnbError, match="out of range: the store has 10 images"):
            store[wrong]
    with pytest.raises(RsnbError, match="list of indices is empty"):
        store[[]]


def test_broken_images_are_listed_together(ds):
    for i in (0, 4, 8):
        data = ds[i].path.read_bytes()
        ds[i].path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RsnbError, match="airport_0.tif") as caught:
        PixelStore(ds, stub()).fill(progress=False)
    message = str(caught.value)
    assert "3 images" in message and "airport_4.tif" in message and "beach_2.tif" in message
    assert "skip_bad=True" in message


def test_captions_only_has_no_pixels(ds):
    captions = load_dataset(ds.root, "test", images=False)
    with pytest.raises(RsnbError, match="loaded without images"):
        PixelStore(captions, stub()).fill()


# --- the cache on disk --------------------------------------------------------------------------------------------


def cached(ds, folder):
    store = PixelStore(ds, stub(), cache=folder).fill(progress=False)
    store.keep()
    return store


def counted(monkeypatch, ds):
    calls, whole = [], ds.image
    monkeypatch.setattr(ds, "image", lambda i: (calls.append(i), whole(i))[1])
    return calls


def test_the_next_store_maps_the_file(ds, tmp_path, monkeypatch):
    first = cached(ds, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    assert file == first.cache_file and file.stat().st_size > 10 * 3 * 64 * 64
    calls = counted(monkeypatch, ds)
    again = PixelStore(ds, stub(), cache=tmp_path / "cache", max_bytes=9)  # a mapped file needs no memory
    assert torch.equal(again[:], first[:]) and len(calls) == 1, "one image is decoded, to compare"
    again[[1]].zero_()
    again._pixels[1] = 0  # a private copy of the page
    assert torch.equal(PixelStore(ds, stub(), cache=tmp_path / "cache")[:], first[:])


def test_only_slow_decoding_is_kept(ds, tmp_path, monkeypatch):
    PixelStore(ds, stub(), cache=tmp_path / "cache").fill(progress=False)
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr("rsnb.data.pixels.SLOW", 0.0)
    PixelStore(ds, stub(), cache=tmp_path / "cache")[[1, 2]]
    assert not (tmp_path / "cache").exists(), "some images only"
    PixelStore(ds, stub(), cache=tmp_path / "cache")[:]
    assert len(list((tmp_path / "cache").iterdir())) == 1
    PixelStore(ds, stub(), cache=False)[:]


def test_a_changed_image_or_size_is_never_served_from_it(ds, tmp_path):
    first = cached(ds, tmp_path / "cache")
    assert PixelStore(ds, stub((48, 48)), cache=tmp_path / "cache")[[0]].shape[-1] == 48
    before = ds[3].path.stat()
    Image.new("RGB", (50, 50), (9, 200, 9)).save(ds[3].path)
    changed = PixelStore(ds, stub(), cache=tmp_path / "cache")
    assert changed.cache_file != first.cache_file and not torch.equal(changed[[3]], first[[3]])
    assert before.st_mtime_ns != ds[3].path.stat().st_mtime_ns


@pytest.mark.parametrize("damage", ["half", "empty", "text", "other images", "pickle"])
def test_a_damaged_file_is_made_again(ds, tmp_path, damage):
    first = cached(ds, tmp_path / "cache")
    file, right = first.cache_file, first[:]
    data = file.read_bytes()
    if damage == "other images":
        np.save(file, np.zeros((10, 3, 64, 64), np.uint8))
    elif damage == "pickle":
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        file.write_bytes({"half": data[: len(data) // 2], "empty": b"", "text": b"hello" * 99}[damage])
    again = PixelStore(ds, stub(), cache=tmp_path / "cache")
    assert torch.equal(again[:], right)
    again.keep()
    assert file.read_bytes() == data


def test_two_processes_at_once(ds, tmp_path):
    """Eight threads stand for processes: each writes a file of its own and renames it."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: cached(ds, tmp_path / "cache"), range(8)))
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".npy"], "nothing half-written is left"
    assert torch.equal(PixelStore(ds, stub(), cache=tmp_path / "cache")[:], stores[0][:])


def test_a_cache_that_cannot_be_written_is_done_without(ds, tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = cached(ds, tmp_path / "file" / "cache")
    assert len(store[:]) == 10 and (tmp_path / "file").read_text() == "in the way"


def test_the_cache_does_not_grow_for_ever(ds, tmp_path, monkeypatch):
    first = cached(ds, tmp_path / "cache").cache_file
    old, left = (tmp_path / "cache" / name for name in ("other.npy", "killed.part"))
    for file in (old, left):
        file.write_bytes(b"x" * 1000)
        os.utime(file, (1, 1))
    monkeypatch.setattr("rsnb.data.pixels.LARGEST", 2 * first.stat().st_size + 500)
    second = PixelStore(ds, stub((32, 32)), cache=tmp_path / "cache").fill(progress=False)
    second.keep()
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {first.name, second.cache_file.name, old.name}
    monkeypatch.setattr("rsnb.data.pixels.LARGEST", first.stat().st_size + 500)
    PixelStore(ds, stub(), cache=tmp_path / "cache")[:]  # used now
    third = PixelStore(ds, stub((16, 16)), cache=tmp_path / "cache").fill(progress=False)
    third.keep()
    assert third.cache_file.exists() and not old.exists(), "the newest stays, the oldest goes"


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of change of a file's entry")
def test_a_file_of_the_same_size_and_time_is_another_file(ds, tmp_path):
    """Uncompressed pictures of one size: what an archive unpacked again, with its old times, looks like."""
    path = ds[3].path
    Image.new("RGB", (50, 50), (200, 9, 9)).save(path, format="BMP")
    first, before = cached(ds, tmp_path / "cache"), path.stat()
    Image.new("RGB", (50, 50), (9, 9, 200)).save(path, format="BMP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    again = PixelStore(ds, stub(), cache=tmp_path / "cache")
    assert not torch.equal(again[[3]], first[[3]])


@pytest.mark.parametrize("where", ["middle", "last", "sums"])
def test_a_wrong_byte_in_the_cache_is_found_and_that_image_decoded_anew(tmp_path, where):
    clip = load_clip("mini")
    ds = load_dataset("toy", "test").subset(range(12))
    right = PixelStore(ds, clip, cache=False)[:]
    PixelStore(ds, clip, cache=tmp_path).fill(progress=False).keep()
    (file,) = tmp_path.glob("*.npy")
    raw = bytearray(file.read_bytes())
    place = {"middle": len(raw) // 2, "last": len(raw) - 250, "sums": len(raw) - 3}[where]
    raw[place] ^= 255
    file.write_bytes(raw)
    store, decoded = PixelStore(ds, clip, cache=tmp_path), []
    original = store._bytes
    store._bytes = lambda i: (decoded.append(i), original(i))[1]
    assert torch.equal(store[[3]], right[[3]]) and torch.equal(store[:], right)
    assert len(set(decoded) - {0}) == 1  # the first is decoded to know the shape
    assert torch.equal(PixelStore(ds, clip, cache=tmp_path)[:], right)


def test_a_step_of_your_own_that_draws_is_refused(ds):
    """Nothing in its name says so."""
    steps = [transforms.Resize(16), transforms.CenterCrop(16), transforms.ToTensor()]
    noisy = types.SimpleNamespace(preprocess=transforms.Compose([*steps, lambda x: x + torch.rand(1)]))
    with pytest.raises(RsnbError, match="same picture"):
        PixelStore(ds, noisy)
    PixelStore(ds, types.SimpleNamespace(preprocess=transforms.Compose([*steps, lambda x: x + 1])))
