"""The drawn web world: pictures, captions, vocabulary and building with several processes."""

from __future__ import annotations

import gzip
from collections import Counter
from random import Random

import numpy as np
import pytest

from rsnb.errors import RsnbError
from rsnb.worlds.web import bpe, world
from rsnb.worlds.web.captions import SYNONYMS, captions, plural
from rsnb.worlds.web.draw import KINDS, draw, picture, seeded
from rsnb.worlds.web.world import build_web

COUNT = 600


@pytest.fixture(scope="module")
def drawn():
    """Tags and three captions of the first pictures."""
    out = []
    for k in range(COUNT):
        _, tags = picture(3, k)
        out.append((tags, captions(tags, Random(k), 3)))
    return out


@pytest.fixture(scope="module")
def merges(drawn):
    return bpe.train_bpe([c for _, texts in drawn for c in texts], merges=700)


@pytest.fixture(scope="module")
def tokenizer(merges, tmp_path_factory):
    from open_clip.tokenizer import SimpleTokenizer

    path = tmp_path_factory.mktemp("bpe") / "bpe.txt.gz"
    bpe.write_bpe(path, merges)
    return SimpleTokenizer(bpe_path=str(path), context_length=32)


def test_same_seed_and_index_same_picture():
    for index in (0, 7, 31):
        a, b = draw(1, index), draw(1, index)
        assert a[0].shape == (96, 96, 3) and a[0].dtype == np.uint8
        assert np.array_equal(a[0], b[0]) and a[1] == b[1] and a[2] == b[2]
    assert not np.array_equal(draw(1, 0)[0], draw(2, 0)[0])
    assert not np.array_equal(draw(1, 0)[0], draw(1, 1)[0])


def test_order_of_drawing_does_not_matter():
    first = draw(4, 5)[0]
    for k in range(5):
        draw(4, k)
    assert np.array_equal(first, draw(4, 5)[0])


def test_shares_of_kinds(drawn):
    share = Counter(tags["kind"] for tags, _ in drawn)
    assert set(share) == set(KINDS)
    for kind, wanted in zip(KINDS, (0.36, 0.14, 0.50)):
        assert abs(share[kind] / COUNT - wanted) < 0.08


def test_many_kinds_of_things(drawn):
    for kind, least in (("natural", 48), ("abstract", 25), ("overhead", 35)):
        assert len({t["items"][0]["name"] for t, _ in drawn if t["kind"] == kind}) >= least
    from rsnb.worlds.web.scenes import OBJECTS

    assert len(OBJECTS) >= 60


def test_pictures_are_not_blank():
    blank = sum(draw(2, k)[0].reshape(-1, 3).std(0).max() < 2 for k in range(200))
    assert blank <= 4


def test_captions_name_what_is_drawn(drawn):
    for tags, texts in drawn:
        group = tags["items"][0]
        nouns = SYNONYMS.get(group["name"], (group["name"],))
        for text in texts:
            low = text.lower()
            assert any(n in low or plural(n) in low for n in nouns), (tags, text)


def test_captions_vary(drawn):
    texts = [t for _, three in drawn for t in three]
    assert all(2 <= len(three) <= 3 for _, three in drawn)
    assert len(set(texts)) > 0.9 * len(texts)
    lengths = [len(t.split()) for t in texts]
    assert min(lengths) >= 1 and np.percentile(lengths, 99) <= 21 and 5 <= np.mean(lengths) <= 11


def test_gray_pictures_have_no_colour_words(drawn):
    for tags, _ in drawn:
        if tags["style"] in ("gray", "sepia", "blueprint"):
            assert all(g["colour"] is None for g in tags["items"])


def test_bpe_round_trip(drawn, tokenizer):
    for _, texts in drawn[:300]:
        for text in texts:
            ids = tokenizer.encode(text)
            assert max(ids) < tokenizer.sot_token_id
            # open_clip puts a space after each word and mark, so spaces are compared only between plain words
            assert tokenizer.decode(ids).replace(" ", "") == text.lower().replace(" ", "")
    plain = "three red cars beside a large house"
    assert tokenizer.decode(tokenizer.encode(plain)).strip() == plain


def test_bpe_handles_words_never_seen(tokenizer):
    for text in ("zyzzyva quokka", "Größe 42 naïve", "a1b2-c3"):
        assert tokenizer.decode(tokenizer.encode(text)).replace(" ", "") == text.lower().replace(" ", "")


def test_end_of_text_is_the_largest_id(merges, tokenizer):
    assert tokenizer.vocab_size == len(merges) + 514
    assert tokenizer.eot_token_id == tokenizer.vocab_size - 1
    rows = tokenizer(["a red car", "two boats at a pier"])
    assert rows.shape == (2, 32)
    for row in rows:
        assert row[row.argmax()] == tokenizer.eot_token_id


def test_bpe_file_is_exact(merges, tmp_path):
    a, b = tmp_path / "a.txt.gz", tmp_path / "deep" / "b.txt.gz"
    bpe.write_bpe(a, merges)
    bpe.write_bpe(b, merges)
    assert a.read_bytes() == b.read_bytes()
    lines = gzip.decompress(a.read_bytes()).decode("utf-8").split("\n")
    assert lines[0].startswith("#version") and lines[1:] == merges and lines[-1] != ""
    assert all(len(line.split(" ")) == 2 for line in merges)
    assert len({line.replace(" ", "") for line in merges}) == len(merges)


def test_bpe_prefers_frequent_pairs():
    assert bpe.train_bpe(["aab aab aab xy"], merges=2) == ["a a", "aa b</w>"]
    assert bpe.train_bpe(["ab"] * 3, merges=10) == ["a b</w>"]
    with pytest.raises(RsnbError, match="no word"):
        bpe.train_bpe([])
    with pytest.raises(RsnbError, match="merges"):
        bpe.train_bpe(["a b"], merges=0)


def test_captions_fit_into_32_tokens(drawn, tokenizer):
    lengths = np.array([len(tokenizer.encode(t)) + 2 for _, three in drawn for t in three])
    assert (lengths <= 32).mean() >= 0.99


@pytest.mark.check
def test_build_does_not_depend_on_workers(tmp_path):
    a, texts = build_web(300, seed=1, size=32, workers=1, progress=False)
    b, others = build_web(300, seed=1, size=32, workers=2, cache=tmp_path / "web.npz", progress=False)
    assert a.shape == (300, 32, 32, 3) and a.dtype == np.uint8
    assert np.array_equal(a, b) and texts == others
    assert np.array_equal(build_web(40, seed=1, size=32, workers=1, progress=False)[0], a[:40])


def test_cache_is_read_and_a_foreign_or_damaged_one_is_not(tmp_path, monkeypatch):
    cache = tmp_path / "web.npz"
    a, texts = build_web(20, size=16, workers=1, cache=cache, progress=False)
    with monkeypatch.context() as m:
        m.setattr(world, "_build", None)
        b, others = build_web(20, size=16, workers=1, cache=cache, progress=False)
    assert np.array_equal(a, b) and texts == others
    assert build_web(10, size=16, workers=1, cache=cache, progress=False)[0].shape[0] == 10
    cache.write_bytes(cache.read_bytes()[:100])
    assert np.array_equal(build_web(20, size=16, workers=1, cache=cache, progress=False)[0], a)


def test_held_out_is_labelled_and_apart():
    images, texts, kinds = world.held_out(60, size=32, workers=1, progress=False)
    assert images.shape == (60, 32, 32, 3) and len(texts) == len(kinds) == 60 and set(kinds) <= set(KINDS)
    mine, _ = build_web(60, seed=0, size=32, workers=1, progress=False)
    assert not any(np.array_equal(x, y) for x, y in zip(images, mine))
    with pytest.raises(RsnbError, match="held-out"):
        build_web(10, seed=world.HELD_OUT_SEED)
    with pytest.raises(RsnbError, match="count"):
        build_web(0)


def test_seeds_do_not_collide():
    firsts = {seeded(s, k).random() for s in range(20) for k in range(50)}
    assert len(firsts) == 1000
