"""The loss, ties, the budget, the map, quizzes and predictions of the site's live parts, under Node, beside rsnb."""

from __future__ import annotations

import html
import json
import re
from types import SimpleNamespace

import nbformat
import pytest
import torch
import torch.nn.functional as F

import rsnb
from rsnb.classroom.widgets.designer import VIT_B32
from rsnb.losses import clip_loss, hmmc, triplet
from rsnb.measures.ceiling import ceiling
from rsnb.measures.ties import recall
from rsnb.mrs import MRS
from rsnb.publishing.live.coordinates import SIDE, coordinates, in_square
from rsnb.publishing.masters import PREDICT, answered_by
from rsnb.publishing.runner import notebooks_dir
from rsnb.publishing.staging import find_notebooks_for_site, stage
from tests.live_node import needs_node, run_node

pytestmark = needs_node
LESSONS = sorted(notebooks_dir().glob("[0-9]*.ipynb"))
MININGS = ("hardest", "semi-hard", "sum")


# ---- the loss


def batches(count: int = 50, kinds: int = 2) -> list[list[torch.Tensor]]:
    """Random batches of ``kinds`` tensors (B, D) that are in part alike: 2 to 9 pairs, four widths."""
    rng = torch.Generator().manual_seed(5)
    found = []
    for n in range(count):
        rows, width = 2 + n % 8, (2, 3, 16, 128)[n % 4]
        common = torch.randn(rows, width, generator=rng)
        found.append([common + 0.7 * torch.randn(rows, width, generator=rng) for _ in range(kinds)])
    return found


def with_gradients(loss, tensors: list[torch.Tensor]) -> dict:
    leaves = [x.clone().requires_grad_() for x in tensors]
    value = loss(*leaves)
    gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    return {"loss": value.item(), "gradients": [0 * x if g is None else g for x, g in zip(leaves, gradients)]}


def farthest(found: list[dict], wanted: list[dict]) -> float:
    """The largest difference in a loss or in any number of a gradient; relative where the number is above 1, since
    rsnb computes in fp32."""
    assert len(found) == len(wanted) > 0

    def apart(x, y: torch.Tensor) -> float:
        return ((torch.tensor(x, dtype=torch.float64) - y).abs() / y.abs().clamp(min=1)).max().item()

    losses = [apart(a["loss"], torch.tensor(b["loss"], dtype=torch.float64)) for a, b in zip(found, wanted)]
    slopes = [
        apart(x, y.detach()) for a, b in zip(found, wanted) for x, y in zip(a["gradients"], b["gradients"], strict=True)
    ]
    print(f"{len(found)} batches: losses differ by at most {max(losses):.1e}, gradients by {max(slopes):.1e}")
    return max(losses + slopes)


@pytest.mark.parametrize("mining", MININGS)
def test_the_hinge_and_its_gradient_are_those_of_rsnb(mining):
    given = batches()
    wanted = [with_gradients(lambda a, b: triplet(a, b, 0.2, mining), batch) for batch in given]
    program = "return given.batches.map(([a, b]) => rsnb.loss.triplet(a, b, 0.2, given.mining));"
    found = run_node(program, {"mining": mining, "batches": [[x.tolist() for x in batch] for batch in given]})
    assert farthest(found, wanted) < 1e-5
    assert any(one["loss"] > 0 for one in wanted)


def plain_clip_loss(image, text, scale):
    """Written out in fp64."""
    s = scale * F.normalize(image.double(), dim=1) @ F.normalize(text.double(), dim=1).T
    rows, columns = (s.diagonal() - s.logsumexp(dim=dim) for dim in (1, 0))
    return -(rows.mean() + columns.mean()) / 2


@pytest.mark.parametrize(("scale", "limit"), [(1.0, 1e-5), (10.0, 1e-5), (30.0, 1e-5), (100.0, 5e-5)])
def test_clips_loss_and_its_gradient_are_those_of_rsnb(scale, limit):
    """At a scale of 100 the logits of rsnb, in fp32, are themselves off by up to 1e-5; fp64 is met everywhere."""
    given = batches()
    program = "return given.batches.map(([a, b]) => rsnb.loss.clip(a, b, given.scale));"
    found = run_node(program, {"scale": scale, "batches": [[x.tolist() for x in batch] for batch in given]})
    assert farthest(found, [with_gradients(lambda a, b: clip_loss(a, b, scale), batch) for batch in given]) < limit
    exact = [[x.double() for x in batch] for batch in given]
    assert farthest(found, [with_gradients(lambda a, b: plain_clip_loss(a, b, scale), batch) for batch in exact]) < 1e-9


@pytest.mark.parametrize("mining", MININGS)
def test_hmmc_its_parts_and_its_gradient_are_those_of_rsnb(mining):
    given, weights = batches(kinds=4), (1.0, 0.5, 2.0)
    wanted = [with_gradients(lambda *x: hmmc(*x, 0.3, weights, mining), batch) for batch in given]
    parts = [list(hmmc(*batch, 0.3, weights, mining, parts=True)[1].values()) for batch in given]
    program = "return given.batches.map((batch) => rsnb.loss.hmmc(...batch, 0.3, given.weights, given.mining));"
    data = {"mining": mining, "weights": weights, "batches": [[x.tolist() for x in batch] for batch in given]}
    found = run_node(program, data)
    assert farthest(found, wanted) < 1e-5
    assert torch.allclose(torch.tensor([one["parts"] for one in found]), torch.tensor(parts), atol=1e-5, rtol=0)


def test_negatives_that_are_equally_hard_share_the_gradient():
    """As in PyTorch; embeddings along the axes, whose cosines are exact."""
    image, text = torch.eye(4)[[0, 0, 1, 2]], torch.eye(4)[[1, 1, 1, 0]]
    wanted = with_gradients(lambda a, b: triplet(a, b), [image, text])
    found = run_node("return rsnb.loss.triplet(...given);", [image.tolist(), text.tolist()])
    assert farthest([found], [wanted]) < 1e-6
    assert max(x.abs().max().item() for x in wanted["gradients"]) > 0


@pytest.mark.parametrize("mining", MININGS)
def test_the_gradients_of_the_angles_are_those_of_rsnb(mining):
    """Each term on the circle, with the second views as the page turns them."""
    angles = 6.28 * torch.rand(2, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    program = """return { terms: rsnb.loss.onCircle(given.angles, { margin: 0.25, mining: given.mining, scale: 8 }),
        seconds: rsnb.loss.seconds(given.angles) };"""
    found = run_node(program, {"angles": angles.tolist(), "mining": mining})
    turned = torch.tensor(found["seconds"], dtype=torch.float64) - angles
    assert turned.abs().min() > 0 and turned.abs().max() < 0.18  # at most ten degrees, none of them zero

    def on_circle(x):
        return torch.stack([x.cos(), x.sin()], dim=-1)

    terms = {
        0: lambda v, t: triplet(on_circle(v), on_circle(t), 0.25, mining),
        1: lambda v, t: triplet(on_circle(v), on_circle(v + turned[0]), 0.25, mining),
        2: lambda v, t: triplet(on_circle(t), on_circle(t + turned[1]), 0.25, mining),
        3: lambda v, t: clip_loss(on_circle(v), on_circle(t), 8.0),
    }
    wanted = [with_gradients(term, list(angles)) for term in terms.values()]
    assert farthest(found["terms"], wanted) < 1e-5


def test_what_the_experiments_end_in():
    """The hardest negative alone collapses; a term, both, or the sum of all negatives do not, from the same start."""
    program = """return Object.values(rsnb.loss.starts).map(({ angles, terms, mining }) => {
        let most = 1, steps = 0;
        while (most > 2e-5 && steps < 2000) { ({ angles, most } = rsnb.loss.step(angles, terms, { mining })); steps++; }
        const losses = rsnb.loss.onCircle(angles, { mining }).map((term) => term.loss);
        return { ...rsnb.loss.stateOf(angles), steps, cross: losses[0], clip: losses[3] };
    });"""
    alone, with_image, both, total, clip, clip_near, stuck = run_node(program)
    assert alone["one"] and alone["collapsed"] and alone["first"] == 0
    assert alone["cross"] == pytest.approx(12 * 0.2, abs=1e-6)  # every hinge is the margin
    for solved in (with_image, both, total, clip_near):
        assert solved["first"] == 6 and not solved["collapsed"] and solved["cross"] < 1e-3
    assert (
        clip["collapsed"]
        and not clip["one"]
        and clip["clip"] == pytest.approx(torch.tensor(6.0).log().item(), abs=1e-4)
    )
    assert stuck["first"] < 6 and not stuck["collapsed"]


# ---- ties and ceilings


def test_recalls_with_ties_are_those_of_rsnb():
    rng = torch.Generator().manual_seed(2)
    cases, wanted = [], []
    for n in range(40):
        images, captions = 2 + n % 6, 7 + n % 5
        image = torch.randint(0, 3, (images, 2), generator=rng).float()  # whole numbers: products are exact, ties many
        text = torch.randint(0, 3, (captions, 2), generator=rng).float()
        owner = torch.cat([torch.arange(images), torch.randint(0, images, (captions,), generator=rng)])[:captions]
        cases.append({"s": (image @ text.T).tolist(), "owner": owner.tolist()})
        wanted.append(
            [
                recall(image, text, owner, counting, ks=(1, 2, 3))
                for counting in ("expected", "optimistic", "pessimistic")
            ]
        )
    program = """return given.map(({ s, owner }) => ["expected", "optimistic", "pessimistic"].map((counting) =>
        rsnb.ties.recalls(s, owner, [1, 2, 3], counting)));"""
    for found, three in zip(run_node(program, cases), wanted, strict=True):
        for values, right in zip(found, three, strict=True):
            right.pop("mr")
            assert values == pytest.approx(right, abs=1e-9)
    assert any(three[1]["image_r1"] > three[2]["image_r1"] for three in wanted)  # some order matters


def test_ceilings_are_those_of_rsnb():
    rng = torch.Generator().manual_seed(3)
    cases, wanted = [], []
    for n in range(40):
        images, count = 2 + n % 7, 8 + n % 9
        captions = [f"caption {k}" for k in torch.randint(0, 5, (count,), generator=rng).tolist()]
        owner = torch.randint(0, images, (count,), generator=rng).tolist()
        cases.append([captions, owner, [1, 2, 5], images])
        wanted.append(ceiling(captions, owner, (1, 2, 5), images))
    for found, right in zip(
        run_node("return given.map((one) => rsnb.ties.ceiling(...one));", cases), wanted, strict=True
    ):
        right.pop("mr")
        assert found == pytest.approx(right, abs=1e-9)


# ---- the budget


@pytest.fixture(scope="module")
def mini():
    return rsnb.load_clip("mini")


OPTIONS = [
    {},
    {"bottleneck": 1, "shared": 0},
    {"bottleneck": 33, "shared": 127, "share_layers": False},
    {"bottleneck": 128, "shared": 8, "towers": ("text",)},
    {"shared": 64, "towers": ("image",), "layers": (0, 3), "share_layers": False},
]


def counted(options: dict, widths: dict, depths: dict) -> int:
    """What the page counts for options of rsnb.adapt."""
    towers = options.get("towers", ("image", "text"))
    depth = len(options["layers"]) if "layers" in options else max(depths.values())
    adapters = 1 if options.get("share_layers", True) else depth
    given = [{t: widths[t] for t in towers}, options.get("bottleneck", 64), options.get("shared", 64), adapters]
    return run_node("return rsnb.budget.count(...given);", given)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_budget_is_that_of_rsnb_for_the_mini(options, mini):
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0, **options)
    assert counted(options, mini.widths, mini.depths) == rsnb.count_trainable(model)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_budget_is_that_of_rsnb_for_vit_b32(options):
    clip = SimpleNamespace(widths=VIT_B32["widths"], depths=VIT_B32["depths"])
    wanted = sum(p.numel() for p in MRS(clip, **options).parameters())
    assert counted(options, clip.widths, clip.depths) == wanted


def test_where_161088_comes_from(mini):
    found = run_node("""const layers = rsnb.budget.layers({ image: 768, text: 512 }, 64, 64);
        return { layers: layers.map((layer) => layer.count), backbones: rsnb.budget.backbones };""")
    assert found["layers"] == [49_216, 32_832, 45_760, 29_120, 4_160] and sum(found["layers"]) == 161_088
    vit, small, _ = found["backbones"].values()
    assert vit == {**VIT_B32["widths"], "blocks": 12, "total": VIT_B32["total"]}
    assert small == {**mini.widths, "blocks": 4, "total": sum(p.numel() for p in mini.parameters())}


# ---- the map


def test_arrow_keys_go_to_the_nearest_point_that_way():
    points = (1000 * torch.rand(60, 2, generator=torch.Generator().manual_seed(4))).round().tolist()
    ways = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    program = "return given.points.map((_, j) => given.ways.map((way) => rsnb.map.next(given.points, j, way)));"
    found = run_node(program, {"points": points, "ways": list(ways.values())})
    for j, (x, y) in enumerate(points):
        for way, to in zip(ways.values(), found[j], strict=True):
            ahead = {}
            for k, (u, v) in enumerate(points):
                along = (u - x) * way[0] + (v - y) * way[1]
                aside = abs((u - x) * way[1]) + abs((v - y) * way[0])
                if k != j and along > 0 and aside <= along:
                    ahead[k] = (u - x) ** 2 + (v - y) ** 2
            assert to == (min(ahead, key=ahead.get) if ahead else j)


def test_the_map_is_that_of_the_lesson():
    data, test = coordinates(images=22, captions=30), rsnb.load_dataset("toy", "test")
    texts, owner = test.captions
    assert all(test.labels[image] == label for image, label in data["images"])
    assert len({label for _, label in data["images"]}) == len(test.classes)
    shown = {image for image, _ in data["images"]}
    assert [(i, t) for i, t in map(tuple, data["captions"])] == [
        (int(i), t) for i, t in zip(owner, texts) if int(i) in shown
    ][:30]
    for name in ("before", "after"):
        points = torch.tensor(data[name])
        assert points.shape == (len(data["images"]) + 30, 2)
        assert points.min() == 0 and points.max() == SIDE
    assert data["before"] != data["after"]


def test_a_map_keeps_its_proportions():
    points = in_square(torch.tensor([[-2.0, 5.0], [2.0, 6.0], [0.0, 5.5]]).numpy())
    assert points == [[0, 375], [1000, 625], [500, 500]]


# ---- quizzes and predictions


def answers() -> list[tuple[str, str]]:
    found = []
    for path in LESSONS:
        for cell in nbformat.read(path, as_version=4).cells:
            text = cell.source if cell.cell_type == "markdown" else ""
            folded = re.findall(r"<details><summary>Answer</summary>(<p>.*?</p>)</details>", text, re.DOTALL)
            found += [(path.stem, answer) for answer in folded if "empting:</i>" in answer]
    return found


def test_every_quiz_offers_the_right_answer_among_others():
    given = answers()
    assert len(given) >= 4 * len(LESSONS)
    program = "return given.map((html) => rsnb.quiz.mixed(rsnb.quiz.choices(html)));"
    places = []
    for (lesson, answer), options in zip(given, run_node(program, [answer for _, answer in given]), strict=True):
        whole = " ".join(html.unescape(re.sub("<[^>]+>", "", answer)).split())
        texts = [" ".join(html.unescape(re.sub("<[^>]+>", "", option["html"])).split()) for option in options]
        assert [option["right"] for option in options].count(True) == 1 and len(options) >= 2, lesson
        assert len(set(texts)) == len(texts) and all(len(text) > 3 for text in texts), lesson
        right = next(n for n, option in enumerate(options) if option["right"])
        assert whole.startswith(texts[right]), lesson
        assert all(text[1:] in whole for text in texts), lesson  # a tempting one begins with a capital letter here
        assert not any("empting:" in text for text in texts), lesson
        places.append(right)
    assert 0.3 < sum(place == 0 for place in places) / len(places) < 0.7  # the place gives nothing away


def test_what_is_kept_without_storage_is_kept_for_the_page():
    """Under Node as in a browser that refuses, there is no storage."""
    found = run_node("""rsnb.kept.put("03", "prediction a", { predicted: "zero" });
        rsnb.kept.put("03", "answer b", { chosen: "Yes", right: true });
        rsnb.kept.put("04", "answer b", { chosen: "No", right: false });
        return { of: rsnb.kept.of("03"), none: rsnb.kept.of("05"), lasting: rsnb.kept.lasting,
                 file: rsnb.quiz.exported(rsnb.kept.all()) };""")
    assert found["of"] == {"prediction a": {"predicted": "zero"}, "answer b": {"chosen": "Yes", "right": True}}
    assert found["none"] == {} and found["lasting"] is False
    assert set(json.loads(found["file"])["lessons"]) == {"03", "04"}


def test_storage_that_holds_something_else_is_no_error():
    program = """globalThis.localStorage = { getItem: () => given, setItem: () => { throw new Error("full"); } };
        rsnb.kept.put("03", "a", 1);
        return [rsnb.kept.of("03"), rsnb.kept.lasting];"""
    for stored in ("{", "[1]", "3", "null", '{"03": "text"}', '{"03": null}'):
        kept, lasting = run_node(program, stored)
        assert (kept, lasting) == ({"a": 1}, False), stored


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_page_numbers_its_predictions_as_the_notebook_does(path):
    """The page counts the boxes, the notebook the cells: one box a cell."""
    cells = nbformat.read(path, as_version=4).cells
    boxes = [cell.source.count(PREDICT) for cell in cells if cell.cell_type == "markdown"]
    assert max(boxes) == 1
    answered = answered_by(cells)
    assert set(answered) == set(range(1, sum(boxes) + 1))
    assert all(cells[at].cell_type == "code" for at, _ in answered.values())


def test_the_cells_that_answer_predictions_are_marked_for_the_page(tmp_path):
    path = LESSONS[0]  # one of its predictions is answered by no cell
    place = tmp_path / "notebooks" / path.name
    place.parent.mkdir()
    place.write_bytes(path.read_bytes())
    stage(find_notebooks_for_site(tmp_path), tmp_path / "staged")
    cells = nbformat.read(tmp_path / "staged" / "notebooks" / path.name, as_version=4).cells
    marks = {n: [tag for tag in cell.metadata.get("tags", []) if "predicted" in tag] for n, cell in enumerate(cells)}
    answered = answered_by(nbformat.read(path, as_version=4).cells)
    shown = {number: at for number, (at, value) in answered.items() if value != "-"}
    assert 0 < len(shown) < len(answered)
    assert {n: tags for n, tags in marks.items() if tags} == {at: [f"predicted-{k}"] for k, at in shown.items()}
