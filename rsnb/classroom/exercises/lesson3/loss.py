"""The loss: the damaged copy, the hinge with hardest negatives, and HMMC made of three of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from rsnb import losses
from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


def _pairs() -> list[tuple]:
    """Normalised batches: rows that are near, for three margins, and one whose negatives all have a cosine below 0."""
    rng = torch.Generator().manual_seed(7)
    found = []
    for n, margin in ((2, 0.2), (5, 0.2), (8, 0.2), (5, 0.3), (7, 0.05)):
        a = F.normalize(torch.randn(n, 6, generator=rng) + 1, dim=-1)
        found.append((a, F.normalize(a + 0.5 * torch.randn(n, 6, generator=rng), dim=-1), margin))
    s = torch.tensor([[0.10, -0.15, -0.30], [-0.05, 0.20, -0.20], [-0.25, -0.10, 0.15]])
    rest = (1 - s.square().sum(dim=0)).sqrt()
    found.append((torch.eye(3, 4), torch.cat([s, rest[None]]).T.contiguous(), 0.3))  # a @ b.T is s
    return found


@dataclass(frozen=True)
class Hinge:
    """The hinge T(a, b); every field away from its default makes it a wrong one."""

    masked: bool = True  # a pair is no negative of its own
    mean: bool = False  # over the batch, where the paper sums
    both_ways: bool = True  # rows and columns; else rows alone
    hardest: bool = True  # else all negatives count
    positives: tuple[str, str] = ("own", "own")  # whose cosine a row and a column are compared with: own or other
    sign: int = 1  # of a negative's cosine
    clamp: bool = True
    filled: float | None = None  # what the cosines on the diagonal are set to
    view: bool = False  # the positives are read after that

    def __call__(self, a, b, margin):
        s = a @ b.T
        own = s.diagonal().clone()
        if self.filled is not None:
            s = s.clone().fill_diagonal_(self.filled)
            own = s.diagonal() if self.view else own
        itself = torch.eye(len(s), dtype=torch.bool)
        both = []
        for direction, whose in enumerate(self.positives):
            rows = (direction == 0) == (whose == "own")
            x = margin + self.sign * (s - (own[:, None] if rows else own[None, :]))
            x = x.clamp(min=0) if self.clamp else x
            both.append(x.masked_fill(itself, 0 if self.clamp else -torch.inf) if self.masked else x)
        for_a, for_b = both
        if self.hardest:
            for_a, for_b = for_a.amax(dim=1), for_b.amax(dim=0)
        total = for_a.sum() + (for_b.sum() if self.both_ways else 0)
        return total / len(s) if self.mean else total


_hinge = Hinge()


def _untrainable(answer) -> str | None:
    """What is wrong with the gradient of a hinge whose value is right."""

    def gradients(hinge):
        with torch.enable_grad():
            leaves = [x.clone().requires_grad_() for x in (a, b)]
            value = hinge(*(F.normalize(x, dim=-1) for x in leaves), margin)  # who normalises again changes nothing
            return torch.autograd.grad(value, leaves)

    a, b, margin = _pairs()[1]
    try:
        same = all(map(torch.allclose, gradients(answer), gradients(_hinge), (1e-4,) * 2, (1e-4,) * 2))
    except Exception as error:  # the student's code, or what torch says of it
        return "changed in place" if "inplace" in str(error) else "no gradient"
    return None if same else "no gradient"


HINGE = Exercise(
    key="hinge",
    lesson=3,
    title="The hinge with hardest negatives",
    aim="Write the bidirectional hinge T(a, b) that HMMC is made of.",
    difficulty=2,
    importance=3,
    minutes=12,
    task=(
        "Write `hardest_hinge(a, b, margin)`. `a` and `b` are normalised, (B, D); row i of both belongs together. "
        "With $s = a b^\\top$:\n\n"
        "$$T = \\sum_i \\max_{j \\ne i}[m + s_{ij} - s_{ii}]_+ + \\sum_j \\max_{i \\ne j}[m + s_{ij} - s_{jj}]_+$$\n\n"
        "where $m$ is `margin`, any positive number. Return a scalar: summed over the batch, not averaged. It is a "
        "loss, so its gradient must reach `a` and `b`: stay with tensors to the end."
    ),
    name="hardest_hinge",
    stub="def hardest_hinge(a, b, margin):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def hardest_hinge(a, b, margin):\n"
        "    s = a @ b.T  # (B, B)\n"
        "    own = s.diagonal()  # (B,)  s_ii\n"
        "    itself = torch.eye(len(s), dtype=torch.bool)\n"
        "    for_a = (margin + s - own[:, None]).clamp(min=0).masked_fill(itself, 0)\n"
        "    for_b = (margin + s - own[None, :]).clamp(min=0).masked_fill(itself, 0)\n"
        "    return for_a.amax(dim=1).sum() + for_b.amax(dim=0).sum()\n"
    ),
    cases=_pairs,
    draw=draws.hinge,
    truth=lambda a, b, margin: losses.triplet(a, b, margin),
    also=_untrainable,
    checked="with its gradient",
    mistakes={
        "diagonal": Mistake(
            Hinge(masked=False),
            "the diagonal is not masked: every pair is its own negative and costs at least the margin; "
            "set the hinge of j = i to 0 before taking the maximum",
        ),
        "mean": Mistake(
            Hinge(mean=True),
            "this is the mean over the batch; the paper sums, which makes the gradient B times as large",
        ),
        "one way": Mistake(
            Hinge(both_ways=False), "this is one direction only: b must also find its a among all a (the columns of s)"
        ),
        "transposed": Mistake(
            Hinge(positives=("other", "other")),
            "row i is compared with s_jj and column j with s_ii: the positive of a row is own[:, None]",
        ),
        "all negatives": Mistake(
            Hinge(hardest=False),
            "all negatives are added; only the hardest of each row and column counts: take the maximum",
        ),
        "one matrix": Mistake(
            (Hinge(positives=("own", "other")), Hinge(positives=("other", "own"))),
            "one matrix of hinges serves rows and columns here, with the positive of one of them only. Columns need "
            "their own matrix with s_jj, own[None, :]; rows need s_ii, own[:, None]",
        ),
        "no clamp": Mistake(
            Hinge(clamp=False),
            "negative hinges are counted: a negative that is far enough away lowers the loss here. [x]_+ is x or "
            "0, the larger of the two; clamp at 0",
        ),
        "reversed sign": Mistake(
            Hinge(sign=-1),
            "the sign is reversed: here a negative costs more the farther away it is. The negative's cosine s_ij "
            "counts with plus, the positive's s_ii with minus",
        ),
        "fixed margin": Mistake(
            lambda a, b, m: _hinge(a, b, 0.2),
            "the margin is always 0.2 here, whatever was passed; use the argument margin",
        ),
        "diagonal of zeros": Mistake(
            Hinge(masked=False, filled=0),
            "the cosines on the diagonal are set to 0, which is still a negative, and the hardest one where all others "
            "are below 0. Set the hinges there to 0, after the clamp, or the cosines to -inf",
        ),
        "view": Mistake(
            tuple(Hinge(masked, filled=fill, view=True) for fill in (0, -1, -2, -10, -100) for masked in (True, False)),
            "s.diagonal() is a view of s: when the diagonal of s is filled, own is filled too, and the positives are "
            "lost. Clone it before you fill: own = s.diagonal().clone()",
        ),
        "no gradient": Mistake(
            (),
            "the value is right, but its gradient is not: somewhere the numbers leave PyTorch (.item(), float(), "
            "NumPy, detach, torch.tensor(...)), and training would not see them. Stay with tensors to the end",
        ),
        "changed in place": Mistake(
            (),
            "the value is right, but backward() stops: a tensor that the gradient needs was changed in place (such as "
            "fill_diagonal_ on the output of relu). Use masked_fill, which makes a new tensor",
        ),
    },
    hint="make the whole (B, B) matrix of hinges first, mask its diagonal, then take the maximum of each row",
    errors={
        "size of tensor": "a shape does not fit: own is (B,), and a row's positive is own[:, None], (B, 1)",
        "not implemented": "the stub is still there",
        "return_types.max": "x.max(dim=1) gives values and indices together: take .values, or write x.amax(dim=1)",
        "mat1 and mat2 shapes": "the product is a @ b.T, (B, D) times (D, B); the .T is missing or should not be there",
        "nan or infinite": "was the diagonal of s filled with -inf? s.diagonal() is a view and has become -inf too: "
        "clone it before you fill",
    },
    right=(
        "def hardest_hinge(a, b, margin):\n"
        "    total = 0.0\n"
        "    s = a @ b.T\n"
        "    for i in range(len(s)):\n"
        "        others = [j for j in range(len(s)) if j != i]\n"
        "        total = total + max((margin + s[i, j] - s[i, i]).clamp(min=0) for j in others)\n"
        "        total = total + max((margin + s[j, i] - s[i, i]).clamp(min=0) for j in others)\n"
        "    return total\n",
        "def hardest_hinge(a, b, margin):\n"
        "    s = F.cosine_similarity(a[:, None], b[None, :], dim=-1)\n"
        "    own = s.diagonal().clone()\n"
        "    s = s.clone().fill_diagonal_(-float('inf'))\n"
        "    return sum(F.relu(margin + s.max(dim=way).values - own).sum() for way in (0, 1))\n",
        "def hardest_hinge(a, b, margin):\n"
        "    s = torch.einsum('id,jd->ij', a, b)\n"
        "    own, off = torch.diag(s), 1 - torch.eye(len(a))\n"
        "    rows = F.relu(margin + s - own.unsqueeze(1)) * off\n"
        "    columns = F.relu(margin + s.T - own.unsqueeze(1)) * off\n"
        "    return torch.cat([rows.max(1)[0], columns.max(1)[0]]).sum()\n",
    ),
    wrong={
        "diagonal": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    d = torch.diag(s)\n"
            "    return (torch.relu(margin + s - d.view(-1, 1)).max(1).values.sum()\n"
            "            + torch.relu(margin + s - d.view(1, -1)).max(0).values.sum())\n"
        ),
        "mean": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    d = s.diag()\n"
            "    off = 1 - torch.eye(len(s))\n"
            "    x, y = F.relu(margin + s - d[:, None]) * off, F.relu(margin + s - d[None]) * off\n"
            "    return x.max(1)[0].mean() + y.max(0)[0].mean()\n"
        ),
        "one way": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    x = F.relu(margin + s - s.diag()[:, None])\n"
            "    x.fill_diagonal_(0)\n"
            "    return x.max(dim=1).values.sum()\n"
        ),
        "transposed": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    off = 1 - torch.eye(len(s))\n"
            "    x, y = F.relu(margin + s - s.diag()) * off, F.relu(margin + s - s.diag()[:, None]) * off\n"
            "    return x.max(1)[0].sum() + y.max(0)[0].sum()\n"
        ),
        "all negatives": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    off = ~torch.eye(len(s), dtype=torch.bool)\n"
            "    x, y = F.relu(margin + s - s.diag()[:, None]), F.relu(margin + s - s.diag())\n"
            "    return x[off].sum() + y[off].sum()\n"
        ),
        "one matrix": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    x = F.relu(margin + s - s.diag()[:, None]) * (1 - torch.eye(len(s)))\n"
            "    return x.max(1).values.sum() + x.max(0).values.sum()\n"
        ),
        "no clamp": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    own = s.diag()\n"
            "    s = s - 10 * torch.eye(len(s))\n"
            "    return (margin + s.amax(1) - own).sum() + (margin + s.amax(0) - own).sum()\n"
        ),
        "reversed sign": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    off = 1 - torch.eye(len(s))\n"
            "    x, y = F.relu(margin - s + s.diag()[:, None]) * off, F.relu(margin - s + s.diag()) * off\n"
            "    return x.amax(1).sum() + y.amax(0).sum()\n"
        ),
        "fixed margin": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    off = 1 - torch.eye(len(s))\n"
            "    x, y = F.relu(0.2 + s - s.diag()[:, None]) * off, F.relu(0.2 + s - s.diag()) * off\n"
            "    return x.amax(1).sum() + y.amax(0).sum()\n"
        ),
        "diagonal of zeros": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    own = s.diagonal().clone()\n"
            "    s.fill_diagonal_(0)\n"
            "    return F.relu(margin + s.amax(1) - own).sum() + F.relu(margin + s.amax(0) - own).sum()\n"
        ),
        "view": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    own = s.diagonal()\n"
            "    s.fill_diagonal_(-1)\n"
            "    return F.relu(margin + s.amax(1) - own).sum() + F.relu(margin + s.amax(0) - own).sum()\n"
        ),
        "no gradient": (
            "def hardest_hinge(a, b, margin):\n"
            "    total, s = 0.0, a @ b.T\n"
            "    for i in range(len(s)):\n"
            "        others = [j for j in range(len(s)) if j != i]\n"
            "        total += max(max(0.0, (margin + s[i, j] - s[i, i]).item()) for j in others)\n"
            "        total += max(max(0.0, (margin + s[j, i] - s[i, i]).item()) for j in others)\n"
            "    return torch.tensor(total)\n"
        ),
        "changed in place": (
            "def hardest_hinge(a, b, margin):\n"
            "    s = a @ b.T\n"
            "    x, y = F.relu(margin + s - s.diag()[:, None]), F.relu(margin + s - s.diag())\n"
            "    return x.fill_diagonal_(0).amax(1).sum() + y.fill_diagonal_(0).amax(0).sum()\n"
        ),
    },
)


def _masked() -> list[tuple]:
    """Token embeddings with the mask that dropout drew."""
    rng = torch.Generator().manual_seed(23)
    found = []
    for shape, rate in (((2, 3, 4), 0.2), ((1, 5, 6), 0.3), ((3, 4, 8), 0.1), ((2, 2, 5), 0.6)):
        x = torch.randn(*shape, generator=rng) + 1
        found.append((x, (torch.rand(*shape, generator=rng) >= rate).float(), rate))
    return found


def _dropped(x, keep, rate, factor=lambda rate: 1 / (1 - rate), mask=lambda keep: keep):
    return factor(rate) * x * mask(keep)


TOKEN_DROPOUT = Exercise(
    key="token_dropout",
    lesson=3,
    title="The damaged copy",
    aim="Make the twin that HMMC compares with an input: inverted dropout on its token embeddings.",
    difficulty=1,
    importance=2,
    minutes=6,
    task=(
        "Write `twin(x, keep, rate)`. `x` (N, L, w) holds the token embeddings of N inputs. `keep` has the same shape: "
        "1 where a number stays, 0 where it is dropped; each entry was drawn to be 0 with probability `rate` "
        "(more than 0, less than 1). Return the damaged copy, (N, L, w): what is dropped is 0, and all that "
        "stays is scaled by one factor, so that the mean over many draws of `keep` is still `x`. The factor "
        "depends on `rate` alone; work it out."
    ),
    name="twin",
    stub="def twin(x, keep, rate):\n    raise NotImplementedError  # your code\n",
    solution=("def twin(x, keep, rate):\n    return x * keep / (1 - rate)  # (N, L, w)\n"),
    cases=_masked,
    draw=draws.token_dropout,
    truth=_dropped,
    mistakes={
        "not rescaled": Mistake(
            lambda *case: _dropped(*case, factor=lambda rate: 1),
            "the numbers that stay are not scaled up: on average the twin is x times (1 - rate), too small for the "
            "frozen tower; divide by (1 - rate)",
        ),
        "shrunk": Mistake(
            lambda *case: _dropped(*case, factor=lambda rate: 1 - rate),
            "this multiplies by (1 - rate) and makes the twin smaller still; to make up for what was dropped, "
            "divide by (1 - rate)",
        ),
        "divided by rate": Mistake(
            lambda *case: _dropped(*case, factor=lambda rate: 1 / rate),
            "this divides by rate, the share that is dropped; divide by the share that stays, 1 - rate",
        ),
        "whole tokens": Mistake(
            lambda *case: _dropped(*case, mask=lambda keep: keep[:, :, :1]),
            "one decision is used for all features of a token, so whole tokens vanish; keep has a 0 or 1 for every "
            "single number: multiply x by all of it",
        ),
        "kept the dropped": Mistake(
            lambda *case: _dropped(*case, mask=lambda keep: 1 - keep),
            "the mask is inverted: keep is 1 where a number stays; multiply by keep itself",
        ),
    },
    hint="if 1 in 5 numbers is dropped, by how much must the other 4 grow so that the average stays?",
    errors={
        "size of tensor": "keep already has the shape of x: multiply number by number, without changing its shape",
        "expected size for first two": "x @ keep is a matrix product; number by number is x * keep",
    },
    right=(
        "def twin(x, keep, rate):\n    return torch.where(keep.bool(), x / (1 - rate), torch.zeros_like(x))\n",
        "def twin(x, keep, rate):\n"
        "    out = x.clone()\n"
        "    out[keep == 0] = 0\n"
        "    out *= 1 / (1 - rate)\n"
        "    return out\n",
    ),
    wrong={
        "not rescaled": "def twin(x, keep, rate):\n    return x.masked_fill(keep == 0, 0)\n",
        "shrunk": "def twin(x, keep, rate):\n    return x * keep - rate * x * keep\n",
        "divided by rate": (
            "def twin(x, keep, rate):\n    return torch.where(keep > 0, x, torch.zeros_like(x)).div(rate)\n"
        ),
        "whole tokens": (
            "def twin(x, keep, rate):\n"
            "    token = keep[..., 0]  # (N, L)\n"
            "    return x * token.unsqueeze(-1) / (1 - rate)\n"
        ),
        "kept the dropped": ("def twin(x, keep, rate):\n    return x.masked_fill(keep.bool(), 0) / (1 - rate)\n"),
    },
)


def _views() -> list[tuple]:
    """Normalised v, t, v', t' of a batch; the hinge of every two of them is active."""
    rng = torch.Generator().manual_seed(31)
    found = []
    for n, margin in ((4, 0.4), (6, 0.2), (8, 0.3)):
        v = torch.randn(n, 6, generator=rng) + 1
        t, v2 = (v + noise * torch.randn(n, 6, generator=rng) for noise in (1.2, 0.9))
        t2 = t + 1.1 * torch.randn(n, 6, generator=rng)
        found.append((*(F.normalize(x, dim=-1) for x in (v, t, v2, t2)), margin))
    return found


def _terms(v, t, v2, t2, margin, pairs="vt vV tT"):
    """The sum of the hinges of the pairs; a capital letter is a twin."""
    view = {"v": v, "t": t, "V": v2, "T": t2}
    return sum(_hinge(view[a], view[b], margin) for a, b in pairs.split())


HMMC = Exercise(
    key="hmmc",
    lesson=3,
    title="HMMC from its three hinges",
    aim="Choose the three pairs that the paper's loss compares.",
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "Write `hmmc(v, t, v2, t2, margin)`. `v`, `t` (B, D) are the embeddings of images and captions, `v2`, `t2` "
        "(B, D) those of their twins $v'$, $t'$ with token dropout; all are normalised. "
        "`triplet(a, b, margin)` from `rsnb.losses` is the hinge $T(a, b)$.\n\n"
        "HMMC is the plain sum of three hinges. One is cross-modal: an undamaged image and its caption must find each "
        "other. Two are intra-modal: an input must be nearer to its own twin than to the twins of the other inputs of "
        "its kind. Decide which two sets each hinge compares. Return a scalar."
    ),
    name="hmmc",
    stub=(
        "from rsnb.losses import triplet  # triplet(a, b, margin): the hinge T(a, b)\n\n\n"
        "def hmmc(v, t, v2, t2, margin):\n"
        "    raise NotImplementedError  # your code\n"
    ),
    solution=(
        "from rsnb.losses import triplet\n\n\n"
        "def hmmc(v, t, v2, t2, margin):\n"
        "    cross = triplet(v, t, margin)  # image against caption\n"
        "    image = triplet(v, v2, margin)  # image against its own twin\n"
        "    text = triplet(t, t2, margin)  # caption against its own twin\n"
        "    return cross + image + text\n"
    ),
    cases=_views,
    draw=draws.hmmc,
    truth=lambda v, t, v2, t2, margin: losses.hmmc(v, t, v2, t2, margin),
    mistakes={
        "cross only": Mistake(
            lambda *case: _terms(*case, pairs="vt"),
            "this is the cross-modal term alone; HMMC also compares images with their twins and captions with theirs: "
            "add T(v, v2) and T(t, t2)",
        ),
        "twins too": Mistake(
            lambda *case: _terms(*case, pairs="vt vV tT VT"),
            "T(v2, t2) is added: the twins are not compared with each other, each only with its own original; "
            "leave this term out",
        ),
        "crossed": Mistake(
            lambda *case: _terms(*case, pairs="vt vT tV"),
            "the twins are paired across modalities; an intra-modal term stays within one: v with v2, and t with t2",
        ),
        "mean": Mistake(
            lambda *case: _terms(*case, pairs="vt vV tT") / 3,
            "the terms are averaged; HMMC adds them with weight 1 each: do not divide by 3",
        ),
        "intra only": Mistake(
            lambda *case: _terms(*case, pairs="vV tT"),
            "the cross-modal term is missing, and nothing brings an image and its caption together: add T(v, t)",
        ),
        "one twin": Mistake(
            lambda *case: _terms(*case, pairs="vt vV"), "the captions' twins are not used: add T(t, t2)"
        ),
        "default margin": Mistake(
            lambda v, t, v2, t2, margin: _terms(v, t, v2, t2, 0.2),
            "the given margin is not used, and triplet uses its default of 0.2: pass it on, triplet(a, b, margin)",
        ),
        "twins across": Mistake(
            lambda *case: _terms(*case, pairs="VT vV tT"),
            "the cross-modal term compares the twins, T(v2, t2); it is the undamaged image and caption that must find "
            "each other: T(v, t)",
        ),
        "with itself": Mistake(
            lambda *case: _terms(*case, pairs="vt vv tt"),
            "T(v, v) and T(t, t) compare every input with itself: its own cosine is always 1, so nothing is asked of "
            "the twins. Compare each input with its twin, T(v, v2) and T(t, t2)",
        ),
    },
    hint="three calls of triplet: one across the modalities, one within images, one within captions",
    errors={
        "'triplet' is not defined": "run the line with the import first: from rsnb.losses import triplet",
        "name 'T' is not defined": "T(a, b) is the name in formulas; in code the hinge is triplet(a, b, margin)",
        "not callable": "v, t, v2, t2 are tensors and cannot be called; the hinge is called triplet",
    },
    right=(
        "def hmmc(v, t, v2, t2, margin):\n"
        "    def one_way(a, b):\n"
        "        s = a @ b.T\n"
        "        others = s - 10 * torch.eye(len(s))\n"
        "        return (margin + others.max(dim=1).values - s.diagonal()).clamp(min=0).sum()\n"
        "\n"
        "    return sum(one_way(a, b) + one_way(b, a) for a, b in ((v, t), (v, v2), (t, t2)))\n",
        "import rsnb.losses\n\n\n"
        "def hmmc(v, t, v2, t2, margin):\n"
        "    total = torch.zeros(())\n"
        "    for a, b in ((t2, t), (t, v), (v2, v)):\n"
        "        total = total + rsnb.losses.triplet(a, b, margin=margin)\n"
        "    return total\n",
    ),
    wrong={
        "cross only": (
            "from rsnb import losses\n\n\ndef hmmc(v, t, v2, t2, margin):\n    return losses.triplet(v, t, margin)\n"
        ),
        "twins too": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return T(v, t, margin) + T(v2, t2, margin) + T(v, v2, margin) + T(t, t2, margin)\n"
        ),
        "crossed": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return T(v, t, margin) + T(v, t2, margin) + T(v2, t, margin)\n"
        ),
        "mean": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return torch.stack([T(v, t, margin), T(v, v2, margin), T(t, t2, margin)]).mean()\n"
        ),
        "intra only": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return T(v, v2, margin) + T(t, t2, margin)\n"
        ),
        "one twin": (
            "from rsnb import losses\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return losses.hmmc(v, t, v2, t2, margin, weights=(1, 1, 0))\n"
        ),
        "default margin": (
            "from rsnb.losses import triplet\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return triplet(v, t) + triplet(v, v2) + triplet(t, t2)\n"
        ),
        "twins across": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return sum(T(a, b, margin) for a, b in ((v2, t2), (v, v2), (t, t2)))\n"
        ),
        "with itself": (
            "from rsnb.losses import triplet as T\n\n\n"
            "def hmmc(v, t, v2, t2, margin):\n"
            "    return T(v, t, margin) + T(v, v, margin) + T(t, t, margin)\n"
        ),
    },
)

EXERCISES = [TOKEN_DROPOUT, HINGE, HMMC]
