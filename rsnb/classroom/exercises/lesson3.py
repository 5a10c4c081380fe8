"""Exercises of notebook 3: the adapter and its training."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rsnb import losses, mrs
from rsnb.classroom.exercises.core import Exercise, Mistake


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


def _hinge(
    a,
    b,
    margin,
    masked=True,
    reduce="sum",
    ways="both",
    mining="hardest",
    positives=("own", "own"),
    sign=1,
    clamp=True,
    filled=None,
    view=False,
):
    """The hinge and its wrong variants; positives: whose cosine a row and a column are compared with."""
    s = a @ b.T
    own = s.diagonal().clone()
    if filled is not None:
        s = s.clone().fill_diagonal_(filled)
        own = s.diagonal() if view else own
    itself = torch.eye(len(s), dtype=torch.bool)
    both = []
    for direction, whose in enumerate(positives):
        rows = (direction == 0) == (whose == "own")
        x = margin + sign * (s - (own[:, None] if rows else own[None, :]))
        x = x.clamp(min=0) if clamp else x
        both.append(x.masked_fill(itself, 0 if clamp else -torch.inf) if masked else x)
    for_a, for_b = both
    if mining == "hardest":
        for_a, for_b = for_a.amax(dim=1), for_b.amax(dim=0)
    total = for_a.sum() + (for_b.sum() if ways == "both" else 0)
    return total if reduce == "sum" else total / len(s)


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
        "    s = a @ b.T                                                    # (B, B)\n"
        "    own = s.diagonal()                                             # (B,)  s_ii\n"
        "    itself = torch.eye(len(s), dtype=torch.bool)\n"
        "    for_a = (margin + s - own[:, None]).clamp(min=0).masked_fill(itself, 0)\n"
        "    for_b = (margin + s - own[None, :]).clamp(min=0).masked_fill(itself, 0)\n"
        "    return for_a.amax(dim=1).sum() + for_b.amax(dim=0).sum()\n"
    ),
    cases=_pairs,
    truth=lambda a, b, margin: losses.triplet(a, b, margin),
    also=_untrainable,
    checked="with its gradient",
    mistakes={
        "diagonal": Mistake(
            lambda a, b, m: _hinge(a, b, m, masked=False),
            "the diagonal is not masked: every pair is its own negative and costs at least the margin; "
            "set the hinge of j = i to 0 before taking the maximum",
        ),
        "mean": Mistake(
            lambda a, b, m: _hinge(a, b, m, reduce="mean"),
            "this is the mean over the batch; the paper sums, which makes the gradient B times as large",
        ),
        "one way": Mistake(
            lambda a, b, m: _hinge(a, b, m, ways="one"),
            "this is one direction only: b must also find its a among all a (the columns of s)",
        ),
        "transposed": Mistake(
            lambda a, b, m: _hinge(a, b, m, positives=("other", "other")),
            "row i is compared with s_jj and column j with s_ii: the positive of a row is own[:, None]",
        ),
        "all negatives": Mistake(
            lambda a, b, m: _hinge(a, b, m, mining="sum"),
            "all negatives are added; only the hardest of each row and column counts: take the maximum",
        ),
        "one matrix": Mistake(
            (
                lambda a, b, m: _hinge(a, b, m, positives=("own", "other")),
                lambda a, b, m: _hinge(a, b, m, positives=("other", "own")),
            ),
            "one matrix of hinges serves rows and columns here, with the positive of one of them only. Columns need "
            "their own matrix with s_jj, own[None, :]; rows need s_ii, own[:, None]",
        ),
        "no clamp": Mistake(
            lambda a, b, m: _hinge(a, b, m, clamp=False),
            "negative hinges are counted: a negative that is far enough lowers the loss here. [x]_+ is x or 0, the "
            "larger of the two; clamp at 0",
        ),
        "reversed sign": Mistake(
            lambda a, b, m: _hinge(a, b, m, sign=-1),
            "the sign is turned round: here a negative costs more the farther it is. The negative's cosine s_ij counts "
            "with plus, the positive's s_ii with minus",
        ),
        "fixed margin": Mistake(
            lambda a, b, m: _hinge(a, b, 0.2),
            "the margin is always 0.2 here, whatever is given; use the argument margin",
        ),
        "diagonal of zeros": Mistake(
            lambda a, b, m: _hinge(a, b, m, masked=False, filled=0),
            "the cosines on the diagonal are set to 0, which is still a negative, and the hardest one where all others "
            "are below 0. Set the hinges there to 0, behind the clamp, or the cosines to -inf",
        ),
        "view": Mistake(
            tuple(
                lambda a, b, m, fill=fill, masked=masked: _hinge(a, b, m, masked, filled=fill, view=True)
                for fill in (0, -1, -2, -10, -100)
                for masked in (True, False)
            ),
            "s.diagonal() is a view of s: when the diagonal of s is filled, own is filled too, and the positives are "
            "lost. Clone it before you fill: own = s.diagonal().clone()",
        ),
        "no gradient": Mistake(
            (),
            "the value is right, but its gradient is not: somewhere the numbers leave PyTorch (.item(), float(), "
            "NumPy, detach, torch.tensor(...)), and training would not feel them. Stay with tensors to the end",
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
        "mat1 and mat2 shapes": "the product is a @ b.T, (B, D) times (D, B); the .T is missing or too much",
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


def _sizes() -> list[tuple]:
    """(w_image, w_text, bottleneck, shared): ViT-B/32, ViT-L/14 and two narrow ones."""
    return [(768, 512, 64, 64), (1024, 768, 64, 32), (128, 96, 16, 8), (40, 24, 6, 10)]


def _built(w_image, w_text, bottleneck, shared):
    """Counted in the package's own module, which is made without memory."""
    with torch.device("meta"):
        adapter = mrs.MRSAdapter({"image": w_image, "text": w_text}, bottleneck, shared)
    return sum(p.numel() for p in adapter.parameters())


def _counted(w_image, w_text, bottleneck, shared, bias=1, shared_times=1, cut=True, blocks=1, biases_of="outputs"):
    def layer(a, b):
        return a * b + bias * (b if biases_of == "outputs" else a)

    down = layer(w_image, bottleneck) + layer(w_text, bottleneck)
    less = shared if cut else 0
    up = layer(bottleneck, w_image - less) + layer(bottleneck, w_text - less)
    return blocks * (down + up + shared_times * layer(bottleneck, shared))


ADAPTER_PARAMETERS = Exercise(
    key="adapter_parameters",
    lesson=3,
    title="The adapter's budget",
    aim="Count the numbers that MRS-Adapter trains.",
    difficulty=1,
    importance=3,
    minutes=8,
    task=(
        "Write `adapter_parameters(w_image, w_text, bottleneck, shared)`: how many numbers the one MRS-Adapter of a "
        "model trains. With $w_v, w_t$ the widths of the two towers, $r$ the bottleneck and $d$ the shared outputs, "
        "its five linear layers are\n\n"
        "$$w_v \\to r, \\quad w_t \\to r, \\quad r \\to w_v - d, \\quad r \\to w_t - d, \\quad r \\to d$$\n\n"
        "each with a bias. All blocks of both towers use the same adapter. Return a whole number; "
        "for ViT-B/32, (768, 512, 64, 64), the paper prints 0.16 million."
    ),
    name="adapter_parameters",
    stub=("def adapter_parameters(w_image, w_text, bottleneck, shared):\n    raise NotImplementedError  # your code\n"),
    solution=(
        "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
        "    def linear(a, b):\n"
        "        return a * b + b                                           # weight (b, a) and bias (b,)\n"
        "\n"
        "    down = linear(w_image, bottleneck) + linear(w_text, bottleneck)\n"
        "    up = linear(bottleneck, w_image - shared) + linear(bottleneck, w_text - shared)\n"
        "    return down + up + linear(bottleneck, shared)\n"
    ),
    cases=_sizes,
    atol=1e-9,
    truth=_built,
    mistakes={
        "no biases": Mistake(
            lambda *sizes: _counted(*sizes, bias=0),
            "the biases are missing: a linear layer from a to b holds a * b weights and b biases, and both train",
        ),
        "shared twice": Mistake(
            lambda *sizes: _counted(*sizes, shared_times=2),
            "the shared way up is counted once for images and once for captions; "
            "it is one layer that both use, so add it once",
        ),
        "full width": Mistake(
            lambda *sizes: _counted(*sizes, cut=False),
            "each modality's own way up is counted at the full width; the shared layer already gives the last d "
            "outputs, so the own one gives only width - shared",
        ),
        "every block": Mistake(
            lambda *sizes: _counted(*sizes, blocks=12),
            "this counts one adapter for each of 12 blocks; all blocks call the same adapter, so count it once",
        ),
        "no shared": Mistake(
            lambda *sizes: _counted(*sizes, shared_times=0),
            "the shared way up is missing: it is the fifth layer, from bottleneck to shared",
        ),
        "biases of inputs": Mistake(
            lambda *sizes: _counted(*sizes, biases_of="inputs"),
            "a bias is counted for each input; it is added to the output of a layer, so a layer from a to b has b "
            "biases: a * b + b",
        ),
    },
    hint="write a helper for one linear layer from a to b, a * b + b, and call it for each of the five layers",
    errors={
        "positional argument": "the function takes four numbers: w_image, w_text, bottleneck, shared",
        "is not callable": "a product needs a *: a(b + 1) calls a like a function",
    },
    right=(
        "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
        "    layers = [nn.Linear(w, bottleneck) for w in (w_image, w_text)]\n"
        "    layers += [nn.Linear(bottleneck, w) for w in (w_image - shared, w_text - shared, shared)]\n"
        "    return sum(p.numel() for layer in layers for p in layer.parameters())\n",
        "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
        "    w = w_image + w_text\n"
        "    return 2 * bottleneck * w + 2 * bottleneck + w - (bottleneck + 1) * shared\n",
    ),
    wrong={
        "no biases": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    return bottleneck * (2 * w_image + 2 * w_text - shared)\n"
        ),
        "shared twice": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    total = 0\n"
            "    for w in (w_image, w_text):\n"
            "        total += w * bottleneck + bottleneck\n"
            "        total += bottleneck * w + w                               # own and shared together\n"
            "    return total\n"
        ),
        "full width": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    pairs = [(w_image, bottleneck), (w_text, bottleneck), (bottleneck, w_image),\n"
            "             (bottleneck, w_text), (bottleneck, shared)]\n"
            "    return sum(a * b + b for a, b in pairs)\n"
        ),
        "every block": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    pairs = [(w_image, bottleneck), (w_text, bottleneck), (bottleneck, w_image - shared),\n"
            "             (bottleneck, w_text - shared), (bottleneck, shared)]\n"
            "    return sum(sum(p.numel() for p in nn.Linear(a, b).parameters()) for a, b in pairs) * 12\n"
        ),
        "no shared": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    down = (w_image + 1 + w_text + 1) * bottleneck\n"
            "    return down + (bottleneck + 1) * (w_image + w_text - 2 * shared)\n"
        ),
        "biases of inputs": (
            "def adapter_parameters(w_image, w_text, bottleneck, shared):\n"
            "    pairs = [(w_image, bottleneck), (w_text, bottleneck), (bottleneck, w_image - shared),\n"
            "             (bottleneck, w_text - shared), (bottleneck, shared)]\n"
            "    return sum(a * (b + 1) for a, b in pairs)\n"
        ),
    },
)


def _bottlenecks() -> list[tuple]:
    """z and both ways up. Widths that can be added by mistake too: equal ones, or one of them 1."""
    rng = torch.Generator().manual_seed(11)
    found = []
    for n, length, r, own, shared in ((2, 3, 4, 5, 5), (1, 4, 3, 6, 1), (3, 2, 5, 1, 4), (2, 5, 6, 3, 3)):
        z = torch.relu(torch.randn(n, length, r, generator=rng))
        shapes = ((own, r), (own,), (shared, r), (shared,))
        found.append((z, *(torch.randn(*shape, generator=rng) for shape in shapes)))
    return found


def _ways_up(z, w_own, b_own, w_shared, b_shared, join="own first", bias=True):
    own, shared = z @ w_own.T, z @ w_shared.T
    if bias:
        own, shared = own + b_own, shared + b_shared
    if join == "sum":
        return own + shared
    return torch.cat([shared, own] if join == "shared first" else [own, shared], dim=-1)


WAY_UP = Exercise(
    key="way_up",
    lesson=3,
    title="The shared way up",
    aim="Put a modality's own way up and the shared one together.",
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "Write `way_up(z, W_own, b_own, W_shared, b_shared)`: the adapter from its bottleneck on, for one modality "
        "of width $w$. `z` is (N, L, r). Weights have the shape they have in `nn.Linear`, (outputs, inputs): "
        "`W_own` (w - d, r), `b_own` (w - d,), `W_shared` (d, r), `b_shared` (d,).\n\n"
        "$$A = \\left[\\, W_{\\mathrm{own}} z + b_{\\mathrm{own}} \\;;\\; "
        "W_{\\mathrm{shared}} z + b_{\\mathrm{shared}} \\,\\right]$$\n\n"
        "for every token. Return (N, L, w): the own features first, then the shared ones."
    ),
    name="way_up",
    stub="def way_up(z, W_own, b_own, W_shared, b_shared):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
        "    own = F.linear(z, W_own, b_own)                                # (N, L, w - d)\n"
        "    shared = F.linear(z, W_shared, b_shared)                       # (N, L, d)\n"
        "    return torch.cat([own, shared], dim=-1)                        # (N, L, w)\n"
    ),
    cases=_bottlenecks,
    truth=_ways_up,
    mistakes={
        "added": Mistake(
            lambda *case: _ways_up(*case, join="sum"),
            "the two ways up are added; each fills its own features of the output, "
            "so place them side by side: torch.cat([own, shared], dim=-1)",
        ),
        "shared first": Mistake(
            lambda *case: _ways_up(*case, join="shared first"),
            "the shared features come first here; they are the last slice of the output: swap the two in torch.cat",
        ),
        "no biases": Mistake(
            lambda *case: _ways_up(*case, bias=False),
            "the biases are missing: a linear layer is W z + b, so add b_own and b_shared",
        ),
        "one bias": Mistake(
            lambda z, wo, bo, ws, bs: _ways_up(z, wo, bo, ws, torch.zeros_like(bs)),
            "the shared way up has lost its bias; it is a linear layer like the other one, so add b_shared",
        ),
        "relu": Mistake(
            lambda *case: torch.relu(_ways_up(*case)),
            "no feature of the output is negative: there is a ReLU after the way up. The adapter's only ReLU is on z, "
            "and what is added to the stream must be free to lower it; leave this ReLU out",
        ),
        "no shared": Mistake(
            lambda z, wo, bo, ws, bs: _ways_up(z, wo, bo, ws[:0], bs[:0]),
            "the shared way up is missing, so the output is d features too narrow for the stream; append it",
        ),
    },
    hint="F.linear(z, W, b) takes a weight of shape (outputs, inputs) as it is; use it twice, then torch.cat",
    errors={
        "cannot be multiplied": "W is (outputs, inputs): write z @ W.T, or F.linear(z, W, b)",
        "expected size for first two": "z comes first in the product: z @ W.T, or F.linear(z, W, b)",
        "must match the size": "the two ways up differ in width: they are not added but placed side by side",
        "except in dimension": "torch.cat along the wrong axis: features are the last one, dim=-1",
    },
    right=(
        "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
        "    W, b = torch.cat([W_own, W_shared]), torch.cat([b_own, b_shared])\n"
        "    return z @ W.T + b\n",
        "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
        "    w = len(b_own) + len(b_shared)\n"
        "    out = torch.empty(z.shape[0], z.shape[1], w)\n"
        "    out[..., : len(b_own)] = torch.einsum('nlr,or->nlo', z, W_own) + b_own\n"
        "    out[..., len(b_own) :] = torch.einsum('nlr,or->nlo', z, W_shared) + b_shared\n"
        "    return out\n",
    ),
    wrong={
        "added": (
            "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
            "    return F.linear(z, W_own, b_own) + F.linear(z, W_shared, b_shared)\n"
        ),
        "shared first": (
            "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
            "    return F.linear(z, torch.cat([W_shared, W_own]), torch.cat([b_shared, b_own]))\n"
        ),
        "no biases": (
            "def way_up(z, W_own, b_own, W_shared, b_shared):\n    return F.linear(z, torch.cat([W_own, W_shared]))\n"
        ),
        "one bias": (
            "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
            "    return torch.cat([F.linear(z, W_own, b_own), F.linear(z, W_shared)], dim=2)\n"
        ),
        "relu": (
            "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
            "    own, shared = F.linear(z, W_own, b_own), F.linear(z, W_shared, b_shared)\n"
            "    return torch.cat([own.clamp(min=0), shared.clamp(min=0)], dim=-1)\n"
        ),
        "no shared": ("def way_up(z, W_own, b_own, W_shared, b_shared):\n    return F.linear(z, W_own, b_own)\n"),
    },
)


def _starts(gets) -> dict[str, str]:
    """``gets(up is zero, down is zero)``, a pair of booleans (for up, for down), in words for the four starts."""
    starts = {"up is zero": (1, 0), "down is zero": (0, 1), "both are zero": (1, 1), "neither is zero": (0, 0)}
    words = {(True, True): "both", (True, False): "up", (False, True): "down", (False, False): "none"}
    return {name: words[gets(bool(up), bool(down))] for name, (up, down) in starts.items()}


def _gradients(up_is_zero, down_is_zero, bend=torch.relu):
    """Which of (up, down) gets a gradient that is not zero in the first step of up(bend(down(x)))."""
    rng = torch.Generator().manual_seed(3)
    x, pull = torch.randn(16, 8, generator=rng), torch.randn(16, 8, generator=rng)
    down, up = torch.randn(4, 8, generator=rng), torch.randn(8, 4, generator=rng)
    down, up = down * (not down_is_zero), up * (not up_is_zero)
    with torch.enable_grad():
        down.requires_grad_()
        up.requires_grad_()
        loss = (bend(x @ down.T) @ up.T * pull).sum()
        found = torch.autograd.grad(loss, (up, down))
    return tuple(bool(gradient.abs().max() > 0) for gradient in found)


ZERO_START = Exercise(
    key="zero_start",
    lesson=3,
    title="Zero, and still able to learn",
    aim="Find out which way of starting at zero-shot CLIP can also leave it.",
    difficulty=3,
    importance=2,
    minutes=10,
    kind="prediction",
    task=(
        "An adapter without biases and dropout: $A(x) = W^{\\uparrow}\\,\\mathrm{ReLU}(W^{\\downarrow} x)$, with "
        "$W^{\\downarrow}$ of shape (r, w) and $W^{\\uparrow}$ (w, r). If $W^{\\uparrow}$ or $W^{\\downarrow}$ is all "
        "zeros, $A(x) = 0$, and the adapted model is zero-shot CLIP. Here a matrix is either all zeros or random. "
        "Which one gets a gradient that is not zero in the **first** step? (PyTorch takes 0 as the slope of ReLU at 0.)"
        '\n\nAssign to `moves` a dict with the keys `"up is zero"`, `"down is zero"`, `"both are zero"`, '
        '`"neither is zero"`; each value is one of `"up"`, `"down"`, `"both"`, `"none"`. Predict on paper, '
        "then check."
    ),
    name="moves",
    stub='moves = ...  # {"up is zero": ?, "down is zero": ?, "both are zero": ?, "neither is zero": ?}\n',
    solution=(
        "# gradient of up: (gradient of A(x)) times z = ReLU(down x), which must not be 0\n"
        "# gradient of down: goes back through up and through the slope of ReLU; neither may be 0\n"
        "moves = {\n"
        '    "up is zero": "up",            # z is not 0; down has to wait for the second step\n'
        '    "down is zero": "none",        # z = 0 stops up, the slope of ReLU at 0 stops down, for ever\n'
        '    "both are zero": "none",\n'
        '    "neither is zero": "both",     # but step 0 is not zero-shot CLIP\n'
        "}\n"
    ),
    truth=lambda: _starts(_gradients),
    checked="compared with PyTorch's gradients",
    mistakes={
        "zeros are stuck": Mistake(
            lambda: _starts(lambda up, down: (not (up or down),) * 2),
            "in your answer a zero anywhere stops all learning. But the gradient of up is made of z, and z is not 0 "
            'when down is random: up moves at once. Work out "up is zero" again',
        ),
        "no slope": Mistake(
            lambda: _starts(lambda up, down: _gradients(up, down, bend=lambda h: h)),
            "this is right without the ReLU. With down at zero every input of the ReLU is 0, where its slope is 0, so "
            'nothing comes back to down. Work out "down is zero" again',
        ),
        "all move": Mistake(
            lambda: _starts(lambda up, down: (True, True)),
            "a gradient is a product along the way back, and one factor of 0 makes it 0: up's gradient contains "
            "z = ReLU(down x), down's contains up. Check these factors for each start",
        ),
        "in lists": Mistake(
            (
                lambda: {k: [v] for k, v in _starts(_gradients).items()},
                lambda: {
                    k: ["up", "down"] if v == "both" else [] if v == "none" else [v]
                    for k, v in _starts(_gradients).items()
                },
            ),
            'the idea is right, the form is not: give one of the four words "up", "down", "both", "none" for each '
            'start, without a list: "up", not ["up"]',
        ),
        "other one": Mistake(
            lambda: _starts(lambda up, down: (not up, not down)),
            "in your answer a matrix at zero stays and the random one moves. A matrix's own value is not in its "
            "gradient, the other one's is: up's gradient contains z = ReLU(down x), down's contains up",
        ),
    },
    hint="write down what the gradient of each matrix is multiplied with: up's with z = ReLU(down x), down's with up "
    "and with the slope of ReLU",
    errors={
        "expected a dict": "moves needs exactly the four keys of the task, spelled as there",
        "expected a text": 'give one of the four words "up", "down", "both", "none", and not a list: "up", not ["up"]',
        "the answer is not": 'this entry is wrong, or not one of the four words "up", "down", "both", "none"',
    },
    right=(
        "torch.manual_seed(0)\n"
        "x, target = torch.randn(32, 6), torch.randn(32, 6)\n"
        "moves = {}\n"
        'for name in ("up is zero", "down is zero", "both are zero", "neither is zero"):\n'
        "    down, up = nn.Linear(6, 3, bias=False), nn.Linear(3, 6, bias=False)\n"
        '    if name.startswith(("up", "both")):\n'
        "        nn.init.zeros_(up.weight)\n"
        '    if name.startswith(("down", "both")):\n'
        "        nn.init.zeros_(down.weight)\n"
        "    F.mse_loss(up(torch.relu(down(x))), target).backward()\n"
        '    moved = [m for m, layer in (("up", up), ("down", down)) if layer.weight.grad.any()]\n'
        '    moves[name] = "both" if len(moved) == 2 else moved[0] if moved else "none"\n',
        'moves = dict.fromkeys(["down is zero", "both are zero"], "none")\n'
        'moves |= {"neither is zero": "both", "up is zero": "up"}\n',
    ),
    wrong={
        "zeros are stuck": (
            'moves = {"up is zero": "none", "down is zero": "none", "both are zero": "none", '
            '"neither is zero": "both"}\n'
        ),
        "no slope": (
            'moves = {"up is zero": "up", "down is zero": "down", "both are zero": "none", "neither is zero": "both"}\n'
        ),
        "all move": (
            'moves = dict.fromkeys(("up is zero", "down is zero", "both are zero", "neither is zero"), "both")\n'
        ),
        "other one": (
            'moves = {"up is zero": "down", "down is zero": "up", "both are zero": "none", "neither is zero": "both"}\n'
        ),
        "in lists": (
            'moves = {"up is zero": ["up"], "down is zero": [], "both are zero": [], '
            '"neither is zero": ["down", "up"]}\n'
        ),
    },
)


def _names() -> list[tuple]:
    """Names of a CLIP with MRS-Adapter, one a case."""
    block = "transformer.resblocks.0"
    frozen = (
        "positional_embedding",
        "text_projection",
        "logit_scale",
        "token_embedding.weight",
        "ln_final.bias",
        "visual.class_embedding",
        "visual.proj",
        "visual.conv1.weight",
        "visual.ln_pre.weight",
        f"visual.{block}.ln_1.weight",
        f"visual.{block}.attn.in_proj_weight",
        f"visual.{block}.mlp.c_proj.bias",
        f"{block}.ln_2.bias",
        f"{block}.attn.out_proj.weight",
        f"{block}.mlp.c_fc.weight",
    )
    ways = ("down.image", "down.text", "up.image", "up.text", "up_shared")
    added = [f"added.adapters.0.{way}.{kind}" for way in ways for kind in ("weight", "bias")]
    return [(name,) for name in (*(f"clip.model.{name}" for name in frozen), *added)]


def _changes(name, besides=(), only=("",)):
    """Whether it is one of the adapter's with any of ``only`` in its name, or has any of ``besides`` in it."""
    mine = name.startswith("added.") and any(part in name for part in only)
    return mine or any(part in name for part in besides)


MAY_CHANGE = Exercise(
    key="may_change",
    lesson=3,
    title="Who trains?",
    aim="Tell by its name whether a parameter trains when a frozen CLIP gets MRS-Adapter.",
    difficulty=1,
    importance=2,
    minutes=6,
    task=(
        '`model = rsnb.adapt(clip, "mrs")` holds the CLIP as `model.clip` and the adapter as `model.added`; '
        "`model.named_parameters()` gives names such as\n\n"
        "- `clip.model.visual.conv1.weight` (`visual` is the image tower)\n"
        "- `clip.model.visual.transformer.resblocks.0.ln_1.weight`\n"
        "- `clip.model.transformer.resblocks.0.mlp.c_fc.bias` (without `visual` it is the text tower)\n"
        "- `clip.model.logit_scale`\n"
        "- `added.adapters.0.down.image.weight`\n"
        "- `added.adapters.0.up_shared.bias`\n\n"
        "With this method all of CLIP is frozen, its layer norms, biases and temperature (`logit_scale`) too; every "
        "part of the adapter trains.\n\n"
        "Write `may_change(name)` for one such name: return `True` if training may change this parameter, else "
        "`False`."
    ),
    name="may_change",
    stub="def may_change(name):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def may_change(name):\n"
        '    return name.startswith("added.")                               # all of CLIP is frozen\n'
    ),
    cases=_names,
    truth=_changes,
    mistakes={
        "everything": Mistake(
            lambda name: True,
            "this lets every parameter train: that is full fine-tuning. CLIP is frozen, only what was added trains",
        ),
        "layer norms": Mistake(
            lambda name: _changes(name, besides=(".ln_",)),
            "CLIP's layer norms train here too. They belong to the frozen CLIP, small as they are; "
            'allow no name that starts with "clip."',
        ),
        "logit scale": Mistake(
            lambda name: _changes(name, besides=("logit_scale",)),
            "CLIP's temperature logit_scale trains here too. It is part of the frozen CLIP, and HMMC does not use it; "
            'allow no name that starts with "clip."',
        ),
        "image only": Mistake(
            lambda name: _changes(name, only=(".image.",)),
            "only the image side of the adapter trains here; the text tower's ways and the shared way up train as well",
        ),
        "shared frozen": Mistake(
            lambda name: _changes(name, only=(".image.", ".text.")),
            "the shared way up is left out: it belongs to no single modality, but it is a part of the adapter and "
            "trains with it",
        ),
        "weights only": Mistake(
            lambda name: _changes(name, only=(".weight",)),
            "the adapter's biases are left out; they are parameters like its weights and train too",
        ),
        "the frozen ones": Mistake(
            lambda name: not _changes(name),
            "this is the other way round: CLIP's parameters are the frozen ones; return True for what was added",
        ),
    },
    hint="look at the first word of the name: which of the two, clip or added, is frozen as a whole?",
    errors={
        "expected True or False": "return True or False, for one name at a time",
        "has no attribute": "name is one string, not a parameter: use what a string can do, such as startswith or in",
    },
    right=(
        'def may_change(name):\n    owner, *rest = name.split(".")\n    return owner != "clip"\n',
        'def may_change(name):\n    if "adapters" in name:\n        return True\n    return False\n',
    ),
    wrong={
        "everything": "def may_change(name):\n    return len(name) > 0\n",
        "layer norms": (
            "def may_change(name):\n"
            '    parts = name.split(".")\n'
            '    return parts[0] == "added" or any(part[:3] == "ln_" for part in parts)\n'
        ),
        "logit scale": (
            'def may_change(name):\n    return not name.startswith("clip") or name.endswith("logit_scale")\n'
        ),
        "image only": 'def may_change(name):\n    return "image" in name.split(".")\n',
        "shared frozen": ('def may_change(name):\n    return "adapters" in name and "shared" not in name\n'),
        "weights only": (
            'def may_change(name):\n    return name.split(".")[0] == "added" and name.split(".")[-1] == "weight"\n'
        ),
        "the frozen ones": 'def may_change(name):\n    return name.split(".")[0] == "clip"\n',
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
    aim="Make the twin that HMMC compares an input with: inverted dropout on its token embeddings.",
    difficulty=1,
    importance=2,
    minutes=6,
    task=(
        "Write `twin(x, keep, rate)`. `x` (N, L, w) holds the token embeddings of N inputs. `keep` has the same shape: "
        "1 where a number stays, 0 where it vanishes; each entry was drawn to be 0 with probability `rate` (more than "
        "0, less than 1). Return the damaged copy, (N, L, w): what is dropped is 0, and all that stays is scaled by "
        "one factor, so that the mean over many draws of `keep` is still `x`. The factor depends on `rate` alone; "
        "work it out."
    ),
    name="twin",
    stub="def twin(x, keep, rate):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def twin(x, keep, rate):\n    return x * keep / (1 - rate)                                   # (N, L, w)\n"
    ),
    cases=_masked,
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
            "the mask is turned round: keep is 1 where a number stays; multiply by keep itself",
        ),
    },
    hint="if 1 in 5 numbers is dropped, by how much must the other 4 grow so that the average stays?",
    errors={
        "size of tensor": "keep has the shape of x already: multiply number by number, without changing its shape",
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
            "    token = keep[..., 0]                                           # (N, L)\n"
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
        "    cross = triplet(v, t, margin)                                  # image against caption\n"
        "    image = triplet(v, v2, margin)                                 # image against its own twin\n"
        "    text = triplet(t, t2, margin)                                  # caption against its own twin\n"
        "    return cross + image + text\n"
    ),
    cases=_views,
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
            "the margin that is given is not used, and triplet takes its default of 0.2: pass it on, "
            "triplet(a, b, margin)",
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


def _histories() -> list[tuple]:
    """mR of each epoch on validation and on test: with and without ties, the best early, late and in the middle."""
    return [
        ((41.0, 47.5, 52.0, 51.0, 49.5), (40.2, 46.1, 49.3, 50.8, 48.0)),
        ((30.5, 44.0, 41.5, 44.0, 38.0, 44.0, 43.5), (29.1, 40.6, 45.2, 41.8, 37.7, 43.9, 42.4)),
        ((60.0, 58.5, 57.0), (55.5, 56.5, 54.0)),
        ((20.0, 35.5, 35.5, 35.5), (18.5, 30.0, 33.5, 31.0)),
        ((12.0, 25.0, 33.0, 38.5, 41.0, 40.0), (11.5, 26.0, 35.5, 39.0, 38.0, 37.0)),
    ]


def _chosen(val_mr, test_mr, by="val", tie="first", first=1, report=None):
    scores = {"val": val_mr, "test": test_mr, "order": range(len(val_mr))}[by]
    best = [epoch for epoch, score in enumerate(scores) if score == max(scores)]
    epoch = best[0] if tie == "first" else best[-1]
    return epoch + first, test_mr[epoch] if report is None else report(test_mr)


BEST_EPOCH = Exercise(
    key="best_epoch",
    lesson=3,
    title="Which epoch is reported?",
    aim="Choose the epoch without looking at the test part.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=(
        "Write `best_epoch(val_mr, test_mr)`. Both are tuples with one mR per epoch, epoch 1 first. Return "
        "`(epoch, mr)`: the epoch that validation chooses, counted from 1, and the test mR of that epoch, which "
        "is the number to report. If several epochs tie on validation, the first one counts: "
        "$e = \\min \\mathrm{arg}\\max_i \\mathrm{val}_i$."
    ),
    name="best_epoch",
    stub="def best_epoch(val_mr, test_mr):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def best_epoch(val_mr, test_mr):\n"
        "    best = val_mr.index(max(val_mr))                               # 0-based; index finds the first one\n"
        "    return best + 1, test_mr[best]\n"
    ),
    cases=_histories,
    truth=_chosen,
    mistakes={
        "chosen on test": Mistake(
            lambda val, test: _chosen(val, test, by="test"),
            "the epoch is chosen on the test part: then the number has seen the answers and is too good. "
            "Choose with val_mr alone",
        ),
        "best of test": Mistake(
            lambda val, test: _chosen(val, test, report=max),
            "the epoch is right, but the mR is the best of all epochs on test, which also chooses on test; "
            "report test_mr of the chosen epoch",
        ),
        "last epoch": Mistake(
            lambda val, test: _chosen(val, test, by="order"),
            "this is the last epoch; training may have passed its best by then. Take the one with the highest val_mr",
        ),
        "last of the ties": Mistake(
            lambda val, test: _chosen(val, test, tie="last"),
            "of epochs that tie on validation this takes the last one; a later epoch must be better, not equal: "
            "compare with > and not with >=",
        ),
        "from 0": Mistake(
            lambda val, test: _chosen(val, test, first=0),
            "the epoch is counted from 0; Python's index starts there, epochs start at 1: add 1 to what you return "
            "(and not to the place where you read test_mr)",
        ),
        "reports validation": Mistake(
            lambda val, test: _chosen(val, val),
            "the mR is that of validation, where this epoch was picked for being the best, so it is too good; "
            "report test_mr of the chosen epoch",
        ),
        "swapped": Mistake(
            lambda val, test: _chosen(val, test)[::-1],
            "both numbers are right, in the wrong order: return the epoch first, then the mR",
        ),
        "next epoch": Mistake(
            lambda val, test: (_chosen(val, test)[0], test[_chosen(val, test)[0]]),
            "the epoch is right, but the mR is that of the epoch after it: epochs count from 1, places in a tuple from "
            "0. Epoch e stands at test_mr[e - 1]",
        ),
    },
    hint="find the place of the highest val_mr first (0-based); read test_mr at that place; add 1 for the epoch",
    errors={
        "index out of range": "places run from 0 to the number of epochs - 1: add 1 only to the epoch that you return",
        "has no attribute 'argmax'": "these are tuples of numbers: use max and index, or torch.tensor(val_mr).argmax()",
        "expected the shape": "return two values: epoch, mr",
    },
    right=(
        "def best_epoch(val_mr, test_mr):\n"
        "    best, epoch, reported = float('-inf'), 0, 0.0\n"
        "    for number, (val, test) in enumerate(zip(val_mr, test_mr), start=1):\n"
        "        if val > best:\n"
        "            best, epoch, reported = val, number, test\n"
        "    return epoch, reported\n",
        "def best_epoch(val_mr, test_mr):\n"
        "    place = max(range(len(val_mr)), key=lambda i: (val_mr[i], -i))\n"
        "    return [place + 1, torch.tensor(test_mr)[place]]\n",
    ),
    wrong={
        "chosen on test": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = test_mr.index(max(test_mr))\n"
            "    return best + 1, test_mr[best]\n"
        ),
        "best of test": ("def best_epoch(val_mr, test_mr):\n    return val_mr.index(max(val_mr)) + 1, max(test_mr)\n"),
        "last epoch": "def best_epoch(val_mr, test_mr):\n    return len(val_mr), test_mr[-1]\n",
        "last of the ties": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = 0\n"
            "    for i in range(len(val_mr)):\n"
            "        if val_mr[i] >= val_mr[best]:\n"
            "            best = i\n"
            "    return best + 1, test_mr[best]\n"
        ),
        "from 0": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = sorted(range(len(val_mr)), key=lambda i: -val_mr[i])[0]\n"
            "    return best, test_mr[best]\n"
        ),
        "reports validation": (
            "def best_epoch(val_mr, test_mr):\n    return 1 + val_mr.index(max(val_mr)), max(val_mr)\n"
        ),
        "swapped": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = val_mr.index(max(val_mr))\n"
            "    return test_mr[best], best + 1\n"
        ),
        "next epoch": (
            "def best_epoch(val_mr, test_mr):\n"
            "    epoch = val_mr.index(max(val_mr)) + 1\n"
            "    return epoch, test_mr[epoch]\n"
        ),
    },
)

EXERCISES = [ADAPTER_PARAMETERS, WAY_UP, ZERO_START, MAY_CHANGE, TOKEN_DROPOUT, HINGE, HMMC, BEST_EPOCH]
