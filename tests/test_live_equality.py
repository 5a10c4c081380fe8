"""The text tower in the page equals Python's: tokens, embeddings, ranks. Expected values are made by rsnb here."""

from __future__ import annotations

import functools
import random

import pytest
import torch
import torch.nn.functional as F

import rsnb
from rsnb.mrs import MRSAdapter
from rsnb.publishing.live import gallery, weights
from rsnb.studies.runs import adapter_path
from tests.live_node import needs_node, run_node

pytestmark = needs_node

ODD = (
    "", "   ", "\t\n", "a", ".", "A", "word " * 200, "x" * 400, "été à la plage, façade, naïve, Ångström",
    "e\u0301te\u0301", "a plane ✈️ and 🚗🚗 cars", "飞机在机场", "Самолёт", "مطار", "it's we're they'd I'LL",
    "12 planes, 345 cars; 6.7 km²", "R&amp;D &lt;b&gt; &#233; &#x1F600; &amp;amp;", "two   planes\u00a0and\u2003a car",
    "“curly” ‘quotes’", "a/b-c_d…", "<start_of_text> planes <end_of_text>", "many\r\nlines\nof\ttext", "½ ٣ Ⅷ ²",
    "ΣΊΣΥΦΟΣ İstanbul", "\ufeffplane", "##",
)  # fmt: skip

#: What ftfy or the whole table of HTML's names would change first; the page reads it as it is written.
DIFFER = (
    "cafÃ© at the airport",  # text that was decoded wrongly
    "ＦＵＬＬ ｗｉｄｔｈ",  # wide letters of East Asian type
    "ﬁelds and ﬂowers",  # ligatures
    "&eacute;t&eacute;",  # a name beyond &amp; &lt; &gt; &quot; &apos; &nbsp;
    "planes &amp cars",  # a name without its semicolon
)


@functools.cache
def tower() -> dict:
    return weights.tower()


@functools.cache
def clip():
    return rsnb.load_clip("mini")


@functools.cache
def adapted():
    return rsnb.load_adapter(adapter_path("toy", "mini"))


@functools.cache
def toy_texts(split: str) -> list[str]:
    return list(dict.fromkeys(rsnb.load_dataset("toy", split, images=False).captions[0]))


def ids_of(texts: list[str]) -> list[list[int]]:
    """Python's ids of each text, without the zeros that fill its row."""
    return [row[: int((row != 0).nonzero().max()) + 1].tolist() for row in clip().tokenizer(texts)]


def encoded(texts: list[str]) -> list[dict]:
    """The page's reading of each text."""
    given = {"merges": tower()["merges"], "context": tower()["context"], "texts": texts}
    return run_node(
        "const vocabulary = rsnb.tokenizer.vocabulary(given.merges, given.context);"
        "return given.texts.map((text) => rsnb.tokenizer.encode(text, vocabulary));",
        given,
    )


def embedded(texts: list[str], scales: tuple[float, ...]) -> torch.Tensor:
    """The page's embeddings: (scales, texts, D)."""
    program = """
        const vocabulary = rsnb.tokenizer.vocabulary(given.tower.merges, given.tower.context);
        const tower = await rsnb.tower.unpack(given.tower);
        const rows = [];
        for (const scale of given.scales) {
          const found = [];
          for (const text of given.texts) {
            const { ids } = rsnb.tokenizer.encode(text, vocabulary);
            found.push(Array.from(await rsnb.tower.embed(ids, scale, tower)));
          }
          rows.push(found);
        }
        return rows;
    """
    return torch.tensor(run_node(program, {"tower": tower(), "texts": texts, "scales": scales}))


@torch.no_grad()
def expected(texts: list[str], scales: tuple[float, ...]) -> torch.Tensor:
    """Python's embeddings: (scales, texts, D)."""
    rows = []
    for scale in scales:
        with gallery.scaled(adapted(), scale):
            rows.append(adapted().encode_text(clip().tokenizer(texts)))
    return torch.stack(rows)


# ---- tokens


def web_texts(count: int) -> list[str]:
    from rsnb.worlds.web.world import held_out

    return [text for texts in held_out(count, workers=1, progress=False)[1] for text in texts]


def real_texts(shared_data) -> list[str]:
    path = shared_data / "rsitmd_precomp" / "test_caps.txt"
    if not path.is_file():
        pytest.skip("no rsitmd_precomp in the real data")
    return path.read_text("utf-8").splitlines()


def assert_same_tokens(texts: list[str]) -> None:
    texts = list(dict.fromkeys(texts))
    wrong = [
        (t, found["ids"], ids) for t, found, ids in zip(texts, encoded(texts), ids_of(texts)) if found["ids"] != ids
    ]
    print(f"{len(texts)} texts, {len(wrong)} with other tokens")
    assert wrong == []


def test_tokens_of_the_toy_world_equal_python():
    texts = toy_texts("train") + toy_texts("test")
    assert len(texts) > 1000
    assert_same_tokens(texts)


def test_tokens_of_the_web_world_equal_python():
    texts = web_texts(60)
    assert len(texts) > 100
    assert_same_tokens(texts)


@pytest.mark.check
def test_tokens_of_real_captions_equal_python(shared_data):
    texts = real_texts(shared_data)
    assert len(texts) > 2000
    assert_same_tokens(texts)


def test_tokens_of_random_text_equal_python():
    """Any letters, marks and spaces that ftfy leaves as they are."""
    letters = "abcdefghijklmnopqrstuvwxyz ABC 0123456789 .,;:!?'\"-_/()[]{}@#$%^*+=|~ éèüñçøåß ЖЩя αβγ 飞机 ✈ 🚗 \n\t"
    rng = random.Random(0)
    assert_same_tokens(["".join(rng.choices(letters, k=rng.randint(1, 90))) for _ in range(500)])


def test_tokens_of_odd_input_equal_python():
    assert_same_tokens(list(ODD))


@pytest.mark.parametrize("text", DIFFER)
def test_what_is_repaired_in_python_alone_is_listed(text):
    """These differ, and are read as any other text."""
    (found,) = encoded([text])
    assert found["ids"] != ids_of([text])[0]
    assert found["ids"][0] == 1912 and found["ids"][-1] == 1913


def test_the_page_says_what_it_did_not_read():
    empty, cyrillic, long, short = encoded(
        ["  ", "Самолёт", " ".join(["plane"] * 29 + ["near", "the", "sea"]), "a plane"]
    )
    assert empty["pieces"] == [] and empty["cut"] == ""
    assert not cyrillic["known"] and short["known"]
    assert len(long["pieces"]) == 30 and long["cut"] == "the sea"
    remarks = run_node("return given.map((one) => rsnb.retrieval.remark(one));", [empty, cyrillic, long, short])
    assert "empty" in remarks[0] and "no piece" in remarks[1] and "“the sea”" in remarks[2] and remarks[3] == ""


# ---- layers


def test_layers_equal_torch():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(7, 128), torch.randn(384, 128), torch.randn(384)
    gain, shift = torch.randn(128), torch.randn(128)
    program = """
        const float = (rows) => Float32Array.from(rows.flat());
        const x = float(given.x), { linear, layerNorm, gelu, attention } = rsnb.tower;
        const qkv = linear(x, float(given.weight), float(given.bias));
        return [qkv, layerNorm(x, float(given.gain), float(given.shift)), x.map((v) => gelu(4 * v)),
                attention(qkv.map((v) => v / 10), 128, 4)].map((values) => Array.from(values));
    """
    given = {name: value.tolist() for name, value in
             {"x": x, "weight": weight, "bias": bias, "gain": gain, "shift": shift}.items()}  # fmt: skip
    found = [torch.tensor(values) for values in run_node(program, given)]
    qkv = F.linear(x, weight, bias)
    q, k, v = (part.view(7, 4, 32).transpose(0, 1) for part in (qkv / 10).chunk(3, dim=1))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(0, 1)
    norm = F.layer_norm(x, (128,), gain, shift)
    for values, wanted in zip(found, (qkv, norm, F.gelu(4 * x), mixed)):
        assert torch.allclose(values, wanted.flatten(), atol=2e-5, rtol=1e-5)


def test_the_adapter_equals_its_module():
    torch.manual_seed(0)
    module = MRSAdapter({"image": 192, "text": 128}, bottleneck=16, shared=24).eval()
    for p in module.parameters():
        torch.nn.init.normal_(p)
    x = torch.randn(5, 128)
    parts = {"down": module.down["text"], "up": module.up["text"], "up_shared": module.up_shared}
    given = {name: [p.weight.flatten().tolist(), p.bias.tolist()] for name, p in parts.items()}
    program = """
        const layer = (name, x) => {
          const [weight, bias] = given.parts[name.replace("adapter.", "")].map((values) => Float32Array.from(values));
          return rsnb.tower.linear(x, weight, bias);
        };
        return Array.from(rsnb.tower.adapter(Float32Array.from(given.x.flat()), { layer, width: 128 }));
    """
    found = torch.tensor(run_node(program, {"x": x.tolist(), "parts": given}))
    assert torch.allclose(found, module(x, "text").flatten(), atol=1e-4, rtol=1e-5)


# ---- embeddings and ranks


def assert_same_embeddings(texts: list[str], scales: tuple[float, ...]) -> None:
    found, wanted = embedded(texts, scales), expected(texts, scales)
    away = 1 - (found.double() * wanted.double()).sum(dim=-1)  # (scales, texts)
    for scale, row in zip(scales, away):
        print(f"adapter times {scale}: {len(texts)} texts, 1 - cosine at most {row.max():.1e}")
    assert away.max() < 1e-5
    assert (found - wanted).abs().max() < 1e-3
    assert torch.allclose(found.norm(dim=-1), torch.ones(len(scales), len(texts)), atol=1e-5)


def test_embeddings_equal_python():
    with torch.no_grad():
        zero_shot = clip().encode_text(clip().tokenizer(toy_texts("test")[:4]))
    assert torch.allclose(expected(toy_texts("test")[:4], (0.0,))[0], zero_shot, atol=1e-5)
    assert_same_embeddings([*toy_texts("test")[::60], *ODD], (0.0, 0.3, 1.0))


@pytest.mark.check
def test_embeddings_of_many_captions_equal_python(shared_data):
    texts = random.Random(0).sample(toy_texts("test"), 200) + web_texts(20) + real_texts(shared_data)[::25]
    assert_same_embeddings(list(dict.fromkeys(texts)), (0.0, 1.0))


@functools.cache
def data() -> dict:
    return gallery.gallery()


def page_ranks(texts: list[str]) -> list[list[list]]:
    """The page's [[image, cosine], ...] of each text, best first, for zero-shot CLIP and with the adapter."""
    program = """
        const vocabulary = rsnb.tokenizer.vocabulary(given.tower.merges, given.tower.context);
        const tower = await rsnb.tower.unpack(given.tower), numbers = await rsnb.halves(given.data.halves);
        const lists = [];
        for (const step of [0, given.data.scales - 1]) {
          const rows = rsnb.retrieval.rowsAt(numbers, step, given.data);
          for (const text of given.texts) {
            const { ids } = rsnb.tokenizer.encode(text, vocabulary);
            const query = await rsnb.tower.embed(ids, step / (given.data.scales - 1), tower);
            lists.push(rsnb.retrieval.rank(query, rows).map(({ image, cosine }) => [image, cosine]));
          }
        }
        return lists;
    """
    return run_node(program, {"tower": tower(), "data": data(), "texts": texts})


def assert_same_first_ten(texts: list[str]) -> None:
    """Equal wherever scores are more than 1e-4 apart: an image may only change places with one within 1e-4."""
    test = rsnb.load_dataset("toy", "test")
    scores = []
    for model in (clip(), adapted()):
        report = rsnb.evaluate(model, test)
        with torch.no_grad():
            scores.append(model.encode_text(clip().tokenizer(texts)) @ report.image_embeddings.T)
    swapped = 0
    for found, wanted in zip(page_ranks(texts), torch.cat(scores).double()):
        order = wanted.argsort(descending=True, stable=True)
        for place in range(10):
            image, score = found[place]
            assert abs(score - wanted[image]) < 1e-4
            assert abs(wanted[image] - wanted[order[place]]) < 1e-4, f"rank {place + 1} is another image"
            swapped += image != int(order[place])
    print(f"{2 * len(texts)} lists of ten: {swapped} images change places with one within 1e-4")


def test_the_first_ten_equal_python():
    assert_same_first_ten(random.Random(1).sample(toy_texts("test"), 15))


@pytest.mark.check
def test_the_first_ten_of_200_queries_equal_python():
    assert_same_first_ten(random.Random(2).sample(toy_texts("test"), 200))


def test_the_gallery_names_each_images_own_captions():
    test = rsnb.load_dataset("toy", "test", images=False)
    found = data()
    assert len(found["images"]) == len(test)
    for item, image in zip(test, found["images"]):
        assert image["label"] == item.label
        assert {found["captions"][k] for k in image["captions"]} == set(item.captions)
    text = max(found["captions"], key=lambda text: sum(text in item.captions for item in test))
    (owners, none), several = run_node(
        "return [given.texts.map((text) => rsnb.retrieval.ownersOf(text, given.data)),"
        " rsnb.retrieval.verdict([4, 7], [[3, 7, 4], [4, 7, 3]].map((list) => list.map((image) => ({ image }))))];",
        {"texts": [f" {text.upper()} ", "no caption at all"], "data": found},
    )
    assert owners == [k for k, item in enumerate(test) if text in item.captions] and len(owners) > 1 and none == []
    assert several == "2 images carry this sentence; the best is at rank 2 with zero-shot CLIP, 1 with the adapter."


def test_the_captions_kept_for_an_image_are_the_nearest():
    test, texts = rsnb.load_dataset("toy", "test"), data()["captions"]
    for scale, model in ((0, clip()), (1, adapted())):
        with torch.no_grad():
            pixels = torch.stack([clip().preprocess(test.image(k)) for k in range(5)])
            cosines = model.encode_image(pixels) @ model.encode_text(clip().tokenizer(texts)).T
        for row, kept in zip(cosines, data()["nearest"][scale]):
            assert torch.allclose(row.topk(len(kept)).values, torch.tensor([c for _, c in kept]), atol=2e-4)
            assert all(abs(row[k] - c) < 2e-4 for k, c in kept)
