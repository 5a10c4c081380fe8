"""Later methods: equal to a plain restatement, their counts, their losses, and the page and the study about them."""

from __future__ import annotations

import copy
import json
import math
import re
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from reference import attention, layer_norm
from test_method_table import a_batch, mini, perturb  # noqa: F401
from test_own_methods import both_ways, largest_differences

import rsnb
from rsnb import TrainConfig
from rsnb.base.recalls import RECALLS
from rsnb.beyond import published
from rsnb.beyond.alignment import HarMALoss, MPSLoss, adaptive_triplet, contrast
from rsnb.beyond.harma import GatedAdapter, HarMA, SharedAdapter
from rsnb.beyond.mps import MPSCLIP, G2Adapter
from rsnb.data.batches import Batch
from rsnb.errors import RsnbError
from rsnb.publishing.quotes import PART, fill
from rsnb.studies import keys, paper
from rsnb.studies.beyond import successors_study

SMALL = {"bottleneck": 32, "heads": 4}
BOTH = [HarMA, MPSCLIP]
each = pytest.mark.parametrize("method", BOTH)


# --- written out plainly: raw weights, matrix products and loops --------------------------------------------------
def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def linear(x, a, name):
    return x @ a[f"{name}.weight"].T + a.get(f"{name}.bias", 0)


def sigma(a, name):
    return 1 / (1 + torch.exp(-a[name]))


def self_attention(x, a, name, heads):
    """Each sequence, head and query by itself."""
    out = torch.zeros_like(x)
    width = x.shape[2] // heads
    for n, sequence in enumerate(x):
        q, k, v = (sequence @ a[f"{name}.in_proj_weight"].T + a[f"{name}.in_proj_bias"]).chunk(3, dim=1)
        for h in range(heads):
            own = slice(h * width, (h + 1) * width)
            for i in range(len(sequence)):
                weights = torch.exp(q[i, own] @ k[:, own].T / math.sqrt(width))
                out[n, i, own] = weights / weights.sum() @ v[:, own]
    return linear(out, a, f"{name}.out_proj")


def harma(x1, out, a, tower, layer):
    name, shared = f"adapters.{tower}.{layer}", f"shared.{layer}"
    z0 = gelu(linear(out, a, f"{name}.down"))
    z = self_attention(z0, a, f"{name}.attention", 4)
    y = linear(z, a, f"{shared}.down")
    gate = sigma(a, f"{shared}.gate")
    z = z + linear(gate * self_attention(y, a, f"{shared}.attention", 4) + (1 - gate) * y, a, f"{shared}.up")
    z = self_attention(z, a, f"{name}.attention", 4)
    gate, outer = sigma(a, f"{name}.gate"), sigma(a, f"{name}.outer_gate")
    adapted = out + linear(gate * z0 + (1 - gate) * z, a, f"{name}.up")
    return x1 + outer * adapted + (1 - outer) * out


def mps(x1, out, a, tower, layer):
    name = f"adapters.{tower}.{layer}"
    x = x1 + out
    z = self_attention(gelu(linear(x, a, f"{name}.down")), a, f"{name}.attention", 4)
    z = linear(z, a, f"{name}.linear")
    name += ".everywhere"
    length, width = z.shape[1:]
    wave = torch.zeros(length, width)
    for place in range(length):
        for i in range(0, width, 2):
            angle = place / 10000 ** (i / width)
            wave[place, i], wave[place, i + 1] = math.sin(angle), math.cos(angle)
    seen = self_attention(layer_norm(z, a, f"{name}.norm") + wave, a, f"{name}.attention", 4)
    z = z + layer_norm(z + seen, a, f"{name}.after")
    hidden = F.pad(linear(z, a, f"{name}.wide"), (0, 0, 2, 2))
    kernel = a[f"{name}.conv.weight"][:, 0]  # (channels, 5)
    rows = [(hidden[:, i : i + 5] * kernel.T).sum(dim=1) for i in range(length)]
    hidden = torch.relu(torch.stack(rows, dim=1) + a[f"{name}.conv.bias"])
    z = z + linear(hidden, a, f"{name}.narrow")
    name = f"adapters.{tower}.{layer}"
    return x + linear(sigma(a, f"{name}.gate") * z, a, f"{name}.up")


PLAIN = {HarMA: harma, MPSCLIP: mps}


def blocks(x, p, a, method, tower, mask):
    prefix = "visual.transformer" if tower == "image" else "transformer"
    for i in range(4):
        block = f"{prefix}.resblocks.{i}"
        x = x + attention(layer_norm(x, p, f"{block}.ln_1"), p, f"{block}.attn", 4, mask)
        h = gelu(linear(layer_norm(x, p, f"{block}.ln_2"), p, f"{block}.mlp.c_fc"))
        x = PLAIN[method](x, linear(h, p, f"{block}.mlp.c_proj"), a, tower, i)
    return x


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def plain_image(pixels, p, a, method):
    x = F.conv2d(pixels, p["visual.conv1.weight"], stride=p["visual.conv1.weight"].shape[-1])
    side = x.shape[-1]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([p["visual.class_embedding"].expand(len(x), 1, -1), x], dim=1) + p["visual.positional_embedding"]
    x = blocks(layer_norm(x, p, "visual.ln_pre"), p, a, method, "image", None)
    project = lambda x: unit(layer_norm(x, p, "visual.ln_post") @ p["visual.proj"])  # noqa: E731
    if method is HarMA:
        return project(x[:, 0])
    half, regions = side // 2, []
    for top in (0, half):
        for left in (0, half):
            inside = [1 + row * side + column for row in range(top, top + half) for column in range(left, left + half)]
            regions.append(project(x[:, inside].mean(dim=1)))
    return torch.cat([project(x[:, 0]), unit(sum(regions) / 4)], dim=1) / math.sqrt(2)


def plain_text(tokens, p, a, method):
    x = p["token_embedding.weight"][tokens] + p["positional_embedding"]
    mask = torch.full((tokens.shape[1], tokens.shape[1]), -math.inf).triu(1)
    x = layer_norm(blocks(x, p, a, method, "text", mask), p, "ln_final")
    e = unit(torch.stack([x[i, int(ids.argmax())] for i, ids in enumerate(tokens)]) @ p["text_projection"])
    return e if method is HarMA else torch.cat([e, e], dim=1) / math.sqrt(2)


@each
def test_values_and_gradients_equal_the_plain_restatement_on_both_ways(mini, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0, **SMALL), 0.1)
    p = {name: value.detach() for name, value in mini.model.state_dict().items()}
    a = {name: value.detach().clone().requires_grad_() for name, value in model.trainable().items()}
    wanted = plain_image(pixels, p, a, method), plain_text(tokens, p, a, method)
    rsnb.losses.clip_loss(*wanted, 10.0).backward()
    try:
        for fast in (True, False):
            model.fast(fast).zero_grad(set_to_none=True)
            found = model.encode_image(pixels), model.encode_text(tokens)
            rsnb.losses.clip_loss(*found, 10.0).backward()
            for one, other in zip(found, wanted):
                assert torch.allclose(one, other, atol=2e-5, rtol=0), f"fast={fast}: {(one - other).abs().max():.1e}"
            for name, q in model.trainable().items():
                assert a[name].grad.norm() > 0, name
                assert (q.grad - a[name].grad).norm() < 1e-3 * a[name].grad.norm() + 1e-6, f"{name}, fast={fast}"
        alone = model.fast().encode_text(tokens[:1])
        torch.testing.assert_close(alone, wanted[1][:1], atol=2e-5, rtol=0)  # whatever the length of its neighbours
    finally:
        model.detach()


# --- the method --------------------------------------------------------------------------------------------------
@each
def test_step_0_is_zero_shot_clip_where_it_is_promised(mini, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    zero_shot = mini.encode_image(pixels), mini.encode_text(tokens)
    model = rsnb.adapt(mini, method, seed=0, **SMALL)
    try:
        with torch.no_grad():
            image, text = model.encode_image(pixels), model.encode_text(tokens)
    finally:
        model.detach()
    if method is MPSCLIP:
        (image, regions), (text, again) = image.chunk(2, dim=1), text.chunk(2, dim=1)
        image, regions, text = (F.normalize(x, dim=1) for x in (image, regions, text))
        assert F.cosine_similarity(regions, image).max() < 0.999 and torch.equal(text, F.normalize(again, dim=1))
    assert torch.allclose(image, zero_shot[0], atol=1e-5) and torch.allclose(text, zero_shot[1], atol=1e-5)


def test_counts_at_vit_b32_are_the_published_ones():
    """HarMA: its authors write 0.5 M for a layer, their code counts 5.9 M (issue 10 of their repository). MPS-CLIP: the
    layers of its public code, one by one, as no count is in print."""
    clip = rsnb.backbone.clip_of_a_plan("ViT-B-32-quickgelu")
    model = rsnb.adapt(clip, HarMA)
    assert rsnb.count_trainable(model) == 12 * 494_533 and f"{rsnb.count_trainable(model) / 1e6:.1f}" == "5.9"
    assert round(rsnb.count_trainable(model) / 12 / 1e6, 1) == 0.5
    model = rsnb.adapt(model.detach(), MPSCLIP)
    attention = 4 * (128 * 128 + 128)
    everywhere = 2 * (2 * 128) + attention + 2 * (128 * 256) + 256 * 5 + 256
    inner = attention + (128 * 128 + 128) + everywhere + 1
    ends = {"image": 768, "text": 512}
    count = sum(12 * (width * 128 + 128 + 128 * width + width + inner) for width in ends.values())
    assert rsnb.count_trainable(model) == count == 9_139_224
    assert sum(p.numel() for p in MPSLoss().parameters()) == 4 * 2 * (512 * 512 + 512) == 2_101_248
    model.detach()


@each
def test_both_ways_are_equal_in_training_and_near_in_bf16(mini, monkeypatch, method):  # noqa: F811
    def dropout(x, rate, training, inplace=False):  # the same for both ways: it scales the features
        return x * torch.linspace(1 - rate, 1, x.shape[-1]).to(x.dtype)

    monkeypatch.setattr("rsnb.adapted.F.dropout", dropout)
    options = {**SMALL, "dropout": 0.0} if method is MPSCLIP else SMALL
    value, gradient = largest_differences(both_ways(mini, [(method, options)], torch.float32))
    assert value <= 1e-5 and gradient <= 1e-4, f"values differ by {value:.1e}, gradients by {gradient:.1e}"
    found = both_ways(mini, [(method, options)], torch.bfloat16)
    (slow, slow_grads), (quick, quick_grads) = found["hooks"], found["fast"]
    for tower in slow:
        assert F.cosine_similarity(slow[tower], quick[tower]).min() > 0.999
    flat = [torch.cat([grads[n].flatten() for n in slow_grads]) for grads in (slow_grads, quick_grads)]
    assert F.cosine_similarity(*flat, dim=0) > 0.995


def test_dropout_acts_in_training_alone(mini):  # noqa: F811
    pixels, _ = a_batch(mini)
    model = perturb(rsnb.adapt(mini, MPSCLIP, seed=0, **SMALL), 0.1)
    try:
        with torch.no_grad():
            assert torch.equal(model.encode_image(pixels), model.encode_image(pixels))
            model.train()
            assert not torch.allclose(model.encode_image(pixels), model.encode_image(pixels), atol=1e-4)
    finally:
        model.detach()


@each
def test_saved_and_loaded(mini, tmp_path, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0, **SMALL), 0.1)
    with torch.no_grad():
        before = model.encode_image(pixels), model.encode_text(tokens)
        twin = copy.deepcopy(model)
        assert torch.equal(twin.encode_image(pixels), before[0])
    path = rsnb.save_adapter(model, tmp_path / "mine.safetensors")
    model.detach()
    with pytest.raises(RsnbError, match=f"made with {method.__name__}.*give the class"):
        rsnb.load_adapter(path, mini)
    loaded = rsnb.load_adapter(path, mini, method=method)
    try:
        with torch.no_grad():
            assert torch.equal(loaded.encode_image(pixels), before[0])
            assert torch.equal(loaded.encode_text(tokens), before[1])
    finally:
        loaded.detach()
    with pytest.raises(RsnbError, match="was trained on"):
        rsnb.load_adapter(path, rsnb.load_clip("mini"), method=method)


@pytest.mark.parametrize(
    "method, options, said",
    [
        (HarMA, {"bottleneck": 24, "heads": 8}, "half of it must be a multiple of heads, 8"),
        (HarMA, {"heads": 0}, "multiple of heads, 0"),
        (MPSCLIP, {"bottleneck": 36, "heads": 8}, "even and a multiple of heads, 8"),
        (MPSCLIP, {"regions": 7}, "regions is 7.* has 1 to 6"),
        (MPSCLIP, {"regions": 0}, "regions is 0"),
    ],
)
def test_options_that_do_not_fit_are_named(mini, method, options, said):  # noqa: F811
    with pytest.raises(RsnbError, match=said):
        rsnb.adapt(mini, method, **options)


def test_regions_are_found_behind_prompts_that_have_left_and_refused_before(mini):  # noqa: F811
    pixels, _ = a_batch(mini)
    model = rsnb.adapt(mini, [MPSCLIP, "vpt"], seed=0, **{"MPSCLIP.bottleneck": 32})
    assert model.encode_image(pixels).shape == (3, 2 * mini.embed_dim)
    model = rsnb.adapt(model.detach(), ["vpt", MPSCLIP], seed=0, **{"MPSCLIP.bottleneck": 32})
    try:
        with pytest.raises(RsnbError, match="MPSCLIP finds .* does not go with prompts"):
            model.encode_image(pixels)
    finally:
        model.detach()


# --- the losses --------------------------------------------------------------------------------------------------
def some(count, width=8, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=rng, dtype=torch.float64), dim=1)


def plain_triplet(s, margin=0.2, gamma=2.0):
    total = 0.0
    for i in range(len(s)):
        for j in range(len(s)):
            for positive in (s[i][i], s[j][j]) if i != j else ():
                hinge = max(0.0, margin + s[i][j] - positive)
                total += (1 - math.exp(-hinge)) ** gamma * hinge
    return total / 2


def plain_contrast(s, owners, scale):
    total = 0.0
    for table in (s, [list(column) for column in zip(*s)]):
        for i, row in enumerate(table):
            own = [j for j in range(len(row)) if owners[j] == owners[i]]
            whole = math.log(sum(math.exp(scale * value) for value in row))
            total -= sum(scale * row[j] - whole for j in own) / len(own)
    return total / 2 / len(s)


class Pairs:
    """What a batch is told of its pairs."""

    def __init__(self, owner):
        self.owner, self.labels, self.captions = list(owner), [0] * len(owner), ["a field"] * len(owner)


def batch_of(image, text, owner, scale=100.0):
    return Batch({"image": image, "text": text}, scale, Pairs(owner), range(len(owner)))


@pytest.mark.parametrize("count, owner", [(2, [0, 1]), (5, [0, 1, 2, 3, 4]), (6, [0, 1, 0, 2, 1, 0])])
def test_harma_loss_equals_its_formula(count, owner):
    image, text = some(count), some(count, seed=1)
    s = (image @ text.T).tolist()
    loss, parts = HarMALoss()(batch_of(image, text, owner))
    wanted = {"contrast": count * plain_contrast(s, owner, 1 / 0.07), "triplet": count * plain_triplet(s)}
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(wanted, rel=1e-5)
    assert loss.item() == pytest.approx(sum(wanted.values()), rel=1e-5)
    assert adaptive_triplet(image @ text.T, 0.4, 1.5).item() == pytest.approx(plain_triplet(s, 0.4, 1.5), rel=1e-9)


@pytest.mark.parametrize("count, owner", [(2, [0, 1]), (6, [0, 1, 0, 2, 1, 0])])
def test_mps_loss_equals_its_formula(count, owner):
    torch.manual_seed(0)
    module = MPSLoss(width=8, perspectives=3).double()
    whole, regions, text = some(count), some(count, seed=1), some(count, seed=2)
    image = torch.cat([whole, regions], dim=1) / math.sqrt(2)
    loss, parts = module(batch_of(image, torch.cat([text, text], dim=1) / math.sqrt(2), owner, 20.0))
    s, views = (whole @ text.T).tolist(), [[-9.0] * count for _ in range(count)]
    for network in module.perspectives:
        a = {name: value.detach() for name, value in network.state_dict().items()}
        view = unit(linear(gelu(linear(regions, a, "0")), a, "2"))
        views = [[max(views[i][j], float(view[i] @ text[j])) for j in range(count)] for i in range(count)]
    wanted = {
        "contrast": plain_contrast(s, owner, 1 / 0.07),
        "triplet": plain_triplet(s),
        "contrast of views": 0.2 * plain_contrast(views, range(count), 20.0),
        "triplet of views": 0.2 * plain_triplet(views),
    }
    assert {name: part.item() / count for name, part in parts.items()} == pytest.approx(wanted, rel=1e-6)
    assert loss.item() == pytest.approx(count * sum(wanted.values()), rel=1e-6)


def test_gradients_are_those_of_finite_differences():
    s = (some(4) @ some(4, seed=1).T).requires_grad_()
    same = torch.eye(4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    assert torch.autograd.gradcheck(lambda s: adaptive_triplet(s), s)
    assert torch.autograd.gradcheck(lambda s: contrast(10 * s, same), s)
    torch.manual_seed(0)
    shared, adapter = SharedAdapter(4, 2).double(), GatedAdapter(6, 4, 2).double()
    other = G2Adapter(6, 4, 2, 0.0).double()
    for module in (shared, adapter, other):
        for p in module.parameters():
            p.data.normal_(std=0.5)
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: adapter(x, shared), (x, *shared.parameters(), *adapter.parameters()))
    assert torch.autograd.gradcheck(lambda x, *_: other(x), (x, *other.parameters()))


@pytest.mark.parametrize("build", [HarMALoss, lambda: MPSLoss(width=4)])
def test_two_pairs_and_equal_captions_give_finite_gradients(build):
    text = F.normalize(torch.tensor([[1.0, 2, 3, 4, 1, 2, 3, 4]] * 2), dim=1)  # the same caption twice
    for image in (F.normalize(torch.randn(2, 8), dim=1), text):  # the second: the images are alike as well
        image, words = image.clone().requires_grad_(), text.clone().requires_grad_()
        loss, _ = build()(batch_of(image, words, [0, 1]))
        loss.backward()
        assert torch.isfinite(loss) and image.grad.isfinite().all() and words.grad.isfinite().all()
    same = torch.zeros(2, 2)  # no pair can be told apart: chance, and two hinges of the margin for each order
    assert contrast(same, torch.eye(2, dtype=torch.bool)).item() == pytest.approx(math.log(2))
    assert adaptive_triplet(same).item() == pytest.approx(2 * (1 - math.exp(-0.2)) ** 2 * 0.2)


def test_the_learned_temperature_stays_within_clips_bound():
    module = HarMALoss()
    module.log_scale.data.fill_(50.0)
    loss, _ = module(batch_of(some(3).float(), some(3, seed=1).float(), [0, 1, 2]))
    assert torch.isfinite(loss)
    with pytest.raises(RsnbError, match="gamma is 0.5"):
        HarMALoss(gamma=0.5)
    with pytest.raises(RsnbError, match="temperature 0"):
        MPSLoss(temperature=0.0)


@each
def test_trains_through_the_doors_and_learns(method, tmp_path):
    train, val = (rsnb.load_dataset("toy", part, limit=44) for part in ("train", "val"))
    loss, options = (HarMALoss, {}) if method is HarMA else (MPSLoss, {"width": 128})
    config = TrainConfig(
        method.__name__, SMALL, loss=f"own:{loss.__name__}", loss_options=options, epochs=4, batch_size=11, lr=3e-3
    )
    model = rsnb.adapt(rsnb.load_clip("mini"), method, seed=0, **SMALL)
    start = {name: p.detach().clone() for name, p in model.trainable().items()}
    history = rsnb.train(model, train, val, config.replace(device="cpu"), progress=False, loss=loss).history
    assert history[-1]["loss"] < history[0]["loss"] and all(math.isfinite(row["val_mr"]) for row in history)
    assert {"loss_contrast", "loss_triplet"} <= set(history[0])
    still = [name for name, p in model.trainable().items() if torch.equal(p, start[name])]
    assert len(still) < len(start) / 10, f"these never moved: {still}"
    if method is HarMA:
        assert history[-1]["loss.log_scale"] != pytest.approx(-math.log(0.07), abs=1e-6)


def test_a_loss_for_halves_refuses_whole_embeddings():
    train, val = (rsnb.load_dataset("toy", part, limit=22) for part in ("train", "val"))
    config = TrainConfig("mrs", loss="own:MPSLoss", loss_options={"width": 128}, epochs=1, batch_size=11)
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
    with pytest.raises(RsnbError, match="width 128; .* needs 256: train MPSCLIP"):
        rsnb.train(model, train, val, config, progress=False, loss=MPSLoss)


# --- the table ---------------------------------------------------------------------------------------------------
def test_every_row_of_the_table_is_whole_and_has_its_source():
    rows = published.printed()
    named = ["HarMA", "MPS-CLIP", "RDB", "CMER", "PriorCLIP", "RRSITR", "RemoteCLIP", "GeoRSCLIP"]
    assert set(named) <= {row.method for row in rows}
    assert len({(row.method, row.dataset) for row in rows}) == len(rows)
    for row in rows:
        assert row.dataset in published.DATASETS and 2023 <= row.year <= 2026 and row.note, row
        assert row.trained in ("frozen", "full", "") and row.epoch_chosen_on in ("validation", "test", "unknown"), row
        assert (row.count_by in ("authors", "code")) == (row.trainable_millions is not None), row
        assert (row.read_in in ("source", "copy")) == bool(row.mean_recall), f"{row}: where was it read?"
        for address in row.sources:
            assert re.fullmatch(r"https://[\w.-]+/\S+", address) and address.split("/")[2] in published.HOSTS, row
        if row.recalls:
            assert row.mean == pytest.approx(float(row.mean_recall), abs=0.011), f"{row.method} on {row.dataset}"
            assert all(row.recalls[f"{way}_r{a}"] < row.recalls[f"{way}_r{b}"] for way in ("text", "image")
                       for a, b in ((1, 5), (5, 10))), row  # fmt: skip
    for method in named:  # what is said of a method is said in each of its rows
        own = [row for row in rows if row.method == method]
        about = {(row.year, row.backbone, row.trained, row.trainable_millions, row.epoch_chosen_on) for row in own}
        assert len(about) == 1, about


def test_the_papers_own_rows_are_those_of_its_tables():
    titles = {"MRS-Adapter + HMMC (the paper)": "mrs", "Full fine-tuning (the paper)": "full"}
    own = {(row.dataset, titles[row.method]): row for row in published.printed() if row.method in titles}
    theirs = {(row.dataset, row.method): row for row in paper.rows() if row.method in titles.values()}
    assert set(own) == set(theirs) and len(own) == 6
    for name, row in own.items():
        assert (row.recalls, float(row.mean_recall)) == (theirs[name].recalls, theirs[name].mr)
        assert row.trainable_millions == theirs[name].millions


def test_the_counts_that_we_made_are_those_of_our_classes():
    counted = {row.method: row.trainable_millions for row in published.printed() if row.count_by == "code"}
    assert counted["HarMA"] == counted["HarMA on GeoRSCLIP"] == round(5_934_396 / 1e6, 1)  # see the test of counts
    assert counted["MPS-CLIP"] == round((9_139_224 + 2_101_248) / 1e6, 2)
    whole = rsnb.METHODS["full"].count_vit_b32
    full = [row for row in published.printed() if row.trained == "full" and row.count_by == "code"]
    assert full and all(row.trainable_millions == round(whole / 1e6) and row.backbone == "ViT-B/32" for row in full)


def test_the_page_shows_the_table_and_its_code_runs(repo, tmp_path, monkeypatch):
    text = (repo / "notebooks" / "successors.md").read_text(encoding="utf-8")
    parts = {match["name"] for match in PART.finditer(text)}
    assert (
        parts == {"successors", "successors-recalls", "successors-sources", "successors-measured"}
        and fill(text) == text
    )
    for row in published.printed():
        assert row.method in text and (not row.mean_recall or f"| {row.mean_recall}" in text)
    for number in (5_934_396, 9_139_224, 2_101_248):
        assert f"{number:,}" in text
    first, second = re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(first, "successors.md", "exec"), names)
    assert names["model"].method == "HarMA"
    monkeypatch.setattr(successors_study.costs, "seconds_per_step", lambda *_: 1.0)
    exec(compile(second, "successors.md", "exec"), {})
    assert not list(tmp_path.glob("outputs/*.json"))


# --- the study ---------------------------------------------------------------------------------------------------
def test_the_study_says_what_it_takes_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(successors_study.costs, "seconds_per_step", lambda *_: 0.5)
    lines = []
    plan = successors_study.run(tmp_path, seeds=3, dry_run=True, say=lines.append)
    steps = math.ceil(len(rsnb.load_dataset("toy", "train")) / 64)
    assert [row["epochs"] for row in plan["rows"]] == [3 * 5 + 3 * 25] * 2
    assert plan["hours"] == pytest.approx(2 * 90 * steps * 0.5 / 3600) and len(lines) == 3
    assert not list(tmp_path.rglob("*.json"))
    with pytest.raises(RsnbError, match="seeds"):
        successors_study.run(tmp_path, seeds=0, dry_run=True)


def test_the_study_rehearsed(tmp_path, monkeypatch):
    """Few images, one epoch, two rates: what is written, that the better rate is taken, and that nothing runs twice."""
    rates = iter([3e-3, 1e-2, None] * 2)
    monkeypatch.setattr("rsnb.studies.rates.next_rung", lambda tried, start: next(rates))
    lines = []
    rehearsal = {"seeds": 2, "say": lines.append, "limit": 22, "epochs": 1, "search_epochs": 1}
    result = successors_study.run(tmp_path, **rehearsal)
    assert json.loads((tmp_path / "successors.json").read_text(encoding="utf-8")) == result
    assert {"what", "command", "date", "stamp", "versions", "key", "made_by", "rows"} == set(result)
    assert "mini CLIP" in result["stamp"] and "at most 22 images" in result["stamp"]
    assert result["key"]["code"] == keys.code_of(successors_study.CODE).digest
    assert {"beyond.alignment", "beyond.harma", "beyond.mps"} <= set(result["made_by"]["modules"])
    assert [row["method"] for row in result["rows"]] == ["HarMA", "MPSCLIP"]
    for row in result["rows"]:
        best = max(row["search"], key=lambda tried: tried["val_mr"])
        assert row["lr"] == best["lr"] and [tried["lr"] for tried in row["search"]] == [3e-3, 1e-2]
        assert row["runs"][0]["val_mr"] == best["val_mr"], "with as many epochs the search is seed 0's run"
        for part in ("val", "test"):
            found = [run[f"{part}_mr"] for run in row["runs"]]
            mean = sum(found) / 2
            assert row[f"{part}_mr"]["mean"] == pytest.approx(mean, abs=0.006)
            assert row[f"{part}_mr"]["sd"] == pytest.approx(abs(found[0] - found[1]) / math.sqrt(2), abs=0.006)
            for run in row["runs"]:
                assert set(run[part]) == set(RECALLS)
                assert sum(run[part].values()) / 6 == pytest.approx(run[f"{part}_mr"], abs=0.6)  # bf16, and rounding
    assert [row["trainable"] for row in result["rows"]] == [125_908, 196_360]
    assert [row["trainable_in_loss"] for row in result["rows"]] == [1, 4 * 2 * (128 * 128 + 128)]
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cells/*.json")}
    assert len(cells) == 2 * (2 + 1)
    rates = iter([3e-3, 1e-2, None] * 2)
    monkeypatch.setattr("rsnb.studies.rates.next_rung", lambda tried, start: next(rates))
    assert successors_study.run(tmp_path, **rehearsal) == result
    assert cells == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cells/*.json")}, "a cell ran again"


def test_a_rate_that_ends_in_nan_is_left_for_the_next_best(monkeypatch):
    """Whatever seed it happens to; and where no rate is left, the reason is said."""
    tried = [(1e-3, 30.0), (1e-2, 50.0), (3e-3, 40.0), (3e-2, successors_study.FAILED)]

    class Diverging:
        bad = {(1e-2, 1)}
        seen: list = []

        def cell(self, spec, seed, progress):
            self.seen.append((spec.config.lr, seed))
            if (spec.config.lr, seed) in self.bad:
                raise RsnbError("the loss became nan in epoch 18")
            return SimpleNamespace(val_mr=1.0, mr=2.0, lr=spec.config.lr)

    spec, lines = successors_study.specs(128)["HarMA"], []
    cells, diverged = successors_study._trained(Diverging(), "HarMA", spec, tried, 2, lines.append)
    assert [cell.lr for cell in cells] == [3e-3, 3e-3] and diverged == [1e-2]
    assert Diverging.seen == [(1e-2, 0), (1e-2, 1), (3e-3, 0), (3e-3, 1)] and "nan" in lines[1]
    Diverging.bad = {(rate, 0) for rate, _ in tried}
    with pytest.raises(RsnbError, match="at any rate of its search: the loss became nan"):
        successors_study._trained(Diverging(), "HarMA", spec, tried, 2, lines.append)
    assert (3e-2, 0) not in Diverging.seen, "what failed in the search is not tried again"
