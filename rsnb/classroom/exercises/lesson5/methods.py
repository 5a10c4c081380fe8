"""Exercises of notebook 5: two small methods, the standard error of a difference, a fair place for a method."""

from __future__ import annotations

import math
import statistics

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


# --- AdaptFormer ------------------------------------------------------------------------------------------------
def _bottlenecks() -> list[tuple]:
    rng = torch.Generator().manual_seed(51)
    found = []
    for n, length, width, r, scale in ((2, 3, 6, 2, 0.1), (1, 5, 8, 3, 0.5), (3, 2, 10, 4, 2.0)):
        shapes = (n, length, width), (r, width), (r,), (width, r), (width,)
        found.append((*(torch.randn(shape, generator=rng) for shape in shapes), scale))
    return found


def _bottleneck(x, W_down, b_down, W_up, b_up, scale, middle=torch.relu, last=None, bias_after=False):
    up = middle(x @ W_down.T + b_down) @ W_up.T
    if bias_after:
        return scale * up + b_up
    return scale * (last(up + b_up) if last else up + b_up)


ADAPTFORMER = Exercise(
    key="adaptformer",
    lesson=5,
    title="AdaptFormer's bottleneck",
    aim="Write what AdaptFormer adds to the output of a block.",
    difficulty=1,
    importance=3,
    minutes=8,
    task=(
        "Write `adaptformer(x, W_down, b_down, W_up, b_up, scale)`, what AdaptFormer computes beside the MLP. `x` is "
        "(N, L, w). The weights are stored as in `nn.Linear`, (out, in): `W_down` (r, w), `b_down` (r,), `W_up` "
        "(w, r), `b_up` (w,).\n\n"
        "$$s \\left( W^{\\uparrow}\\, \\mathrm{ReLU}(W^{\\downarrow} x + b^{\\downarrow}) "
        "+ b^{\\uparrow} \\right)$$\n\n"
        "Return a tensor (N, L, w): only the addition, without the stream that it is added to. No dropout."
    ),
    name="adaptformer",
    stub="def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
        "    z = torch.relu(F.linear(x, W_down, b_down))  # (N, L, r)\n"
        "    return scale * F.linear(z, W_up, b_up)  # (N, L, w)\n"
    ),
    cases=_bottlenecks,
    draw=draws.adaptformer,
    truth=lambda x, W_down, b_down, W_up, b_up, scale: _bottleneck(x, W_down, b_down, W_up, b_up, scale),
    mistakes={
        "no scale": Mistake(
            lambda x, W_down, b_down, W_up, b_up, scale: _bottleneck(x, W_down, b_down, W_up, b_up, 1.0),
            "the scale is missing; with s = 0.1 the result is ten times too large. Multiply the whole result by scale",
        ),
        "GELU": Mistake(
            lambda *case: _bottleneck(*case, middle=F.gelu),
            "the middle is a GELU, as in Houlsby's Adapter; AdaptFormer has a ReLU there",
        ),
        "no activation": Mistake(
            lambda *case: _bottleneck(*case, middle=lambda z: z),
            "there is nothing between the two linear layers, so both together are one linear map. Put a ReLU in "
            "between, on the r values in the middle",
        ),
        "ReLU at the end": Mistake(
            lambda *case: _bottleneck(*case, middle=lambda z: z, last=torch.relu),
            "the ReLU comes after the up-projection, so nothing negative can be added to the stream. It belongs in the "
            "middle, on the r values after the down-projection",
        ),
        "residual": Mistake(
            lambda x, *rest: x + _bottleneck(x, *rest),
            "x itself is added; the block does that already, so the stream would count twice. Return only the addition",
        ),
        "bias not scaled": Mistake(
            lambda *case: _bottleneck(*case, bias_after=True),
            "b_up is added after the scale and so not scaled; the scale multiplies all that comes out of the "
            "up-projection, "
            "with its bias",
        ),
    },
    hint="three steps: F.linear in the down-projection, ReLU, F.linear in the up-projection; then multiply by scale",
    errors={
        "cannot be multiplied": "nn.Linear stores (out, in), so transpose: x @ W_down.T, or F.linear(x, W_down, "
        "b_down)",
        "expected size for": "nn.Linear stores (out, in), so transpose: x @ W_down.T, or F.linear(x, W_down, b_down)",
        "size of tensor": "a bias does not fit: b_down goes with (N, L, r), b_up with (N, L, w)",
    },
    right=(
        "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
        "    z = torch.einsum('nlw,rw->nlr', x, W_down) + b_down\n"
        "    z = z * (z > 0)\n"
        "    return scale * torch.einsum('nlr,wr->nlw', z, W_up) + scale * b_up\n",
        "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
        "    down, up = nn.Linear(x.shape[-1], len(b_down)), nn.Linear(len(b_down), x.shape[-1])\n"
        "    with torch.no_grad():\n"
        "        down.weight.copy_(W_down), down.bias.copy_(b_down), up.weight.copy_(W_up), up.bias.copy_(b_up)\n"
        "    return nn.Sequential(down, nn.ReLU(), up)(x) * scale\n",
    ),
    wrong={
        "no scale": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    return F.linear(F.relu(F.linear(x, W_down, b_down)), W_up, b_up)\n"
        ),
        "GELU": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    z = nn.GELU()(F.linear(x, W_down, b_down))\n"
            "    return scale * F.linear(z, W_up, b_up)\n"
        ),
        "no activation": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    return scale * F.linear(F.linear(x, W_down, b_down), W_up, b_up)\n"
        ),
        "ReLU at the end": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    z = F.linear(x, W_down, b_down)\n"
            "    return F.linear(z, W_up, b_up).clamp(min=0) * scale\n"
        ),
        "residual": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    z = F.linear(x, W_down, b_down).clamp(min=0)\n"
            "    return torch.add(x, F.linear(z, W_up, b_up), alpha=scale)\n"
        ),
        "bias not scaled": (
            "def adaptformer(x, W_down, b_down, W_up, b_up, scale):\n"
            "    z = F.relu(F.linear(x, W_down, b_down))\n"
            "    return F.linear(z, scale * W_up, b_up)\n"
        ),
    },
)


# --- LoRA -------------------------------------------------------------------------------------------------------
def _low_rank() -> list[tuple]:
    """(W, A, B, alpha): square weights; alpha is never the rank."""
    rng = torch.Generator().manual_seed(52)
    sizes = ((5, 2, 8.0), (8, 3, 1.0), (6, 4, 3.0), (9, 2, 5.0))
    found = []
    for w, r, alpha in sizes:
        found.append((*(torch.randn(shape, generator=rng) for shape in ((w, w), (r, w), (w, r))), alpha))
    return found


def _added(W, A, B, factor):
    """W plus the sum of the outer products of B's columns and A's rows."""
    return W + factor * sum(torch.outer(B[:, i], A[i]) for i in range(len(A)))


MERGE_LORA = Exercise(
    key="merge_lora",
    lesson=5,
    title="LoRA, merged into the weights",
    aim="Put a trained low-rank change into the weight, so that it costs nothing when the model is used.",
    difficulty=1,
    importance=2,
    minutes=8,
    task=(
        "Write `merge_lora(W, A, B, alpha)`. `W` is a weight (w, w), such as that of CLIP's queries; `A` is (r, "
        "w), `B` is (w, r), `alpha` a number, and the rank is r:\n\n"
        "$$W' = W + \\frac{\\alpha}{r}\\, B A$$\n\n"
        "Return the merged weight, (w, w)."
    ),
    name="merge_lora",
    stub="def merge_lora(W, A, B, alpha):\n    raise NotImplementedError  # your code\n",
    solution=("def merge_lora(W, A, B, alpha):\n    r = A.shape[0]\n    return W + alpha / r * (B @ A)  # (w, w)\n"),
    cases=_low_rank,
    draw=draws.merge_lora,
    truth=lambda W, A, B, alpha: _added(W, A, B, alpha / A.shape[0]),
    mistakes={
        "alpha not divided": Mistake(
            lambda W, A, B, alpha: _added(W, A, B, alpha),
            "alpha is not divided by the rank; then a different rank needs a different alpha. The factor is alpha / r",
        ),
        "no factor": Mistake(
            lambda W, A, B, alpha: _added(W, A, B, 1.0),
            "the factor alpha / r is missing: the change B A is added as it is. It is 1 only where alpha is the rank",
        ),
        "factor upside down": Mistake(
            lambda W, A, B, alpha: _added(W, A, B, A.shape[0] / alpha),
            "the factor is r / alpha, upside down: a larger alpha should strengthen the change. Write alpha / r",
        ),
        "width for rank": Mistake(
            lambda W, A, B, alpha: _added(W, A, B, alpha / A.shape[1]),
            "alpha is divided by the width w; the rank is the short side, A.shape[0] or B.shape[1]",
        ),
        "transposed": Mistake(
            lambda W, A, B, alpha: _added(W, B.T, A.T, alpha / A.shape[0]),
            "the change is transposed, A^T B^T = (B A)^T; with a square weight no shape shows it. B makes the rows "
            "(outputs) and A reads the columns (inputs): B @ A",
        ),
        "subtracted": Mistake(
            lambda W, A, B, alpha: _added(W, A, B, -alpha / A.shape[0]),
            "the change is subtracted; that takes a merged LoRA out again. To merge it, add",
        ),
        "change alone": Mistake(
            lambda W, A, B, alpha: _added(torch.zeros_like(W), A, B, alpha / A.shape[0]),
            "this is the change alone, without the frozen weight W that it is added to",
        ),
    },
    hint="B @ A has the shape of W; r is the number of rows of A",
    errors={
        "size of tensor": "A @ B is (r, r) and cannot be added to W; B @ A is (w, w)",
        "cannot be multiplied": "the inner sizes differ: B (w, r) times A (r, w) has r inside on both sides",
    },
    right=(
        "def merge_lora(W, A, B, alpha):\n    return torch.addmm(W, B, A, alpha=alpha / B.shape[1])\n",
        "def merge_lora(W, A, B, alpha):\n"
        "    columns = []\n"
        "    for e in torch.eye(W.shape[1]):\n"
        "        columns.append(W @ e + B @ (A @ e) * alpha / len(A))\n"
        "    return torch.stack(columns, dim=1)\n",
    ),
    wrong={
        "alpha not divided": "def merge_lora(W, A, B, alpha):\n    return W + alpha * B @ A\n",
        "no factor": "def merge_lora(W, A, B, alpha):\n    return W + B @ A\n",
        "factor upside down": (
            "def merge_lora(W, A, B, alpha):\n    scale = len(A) / alpha\n    return W + scale * (B @ A)\n"
        ),
        "width for rank": "def merge_lora(W, A, B, alpha):\n    return W + alpha / len(B) * (B @ A)\n",
        "transposed": "def merge_lora(W, A, B, alpha):\n    return W + alpha / len(A) * (A.T @ B.T)\n",
        "subtracted": "def merge_lora(W, A, B, alpha):\n    return W - alpha * (B @ A) / A.shape[0]\n",
        "change alone": "def merge_lora(W, A, B, alpha):\n    return torch.mm(B, A).mul(alpha).div(A.shape[0])\n",
    },
)


# --- a difference and its standard error ------------------------------------------------------------------------
def _seeds() -> list[tuple]:
    """(a, b): mR over seeds, unequal numbers of them, ahead and behind."""
    return [
        ([61.2, 63.9, 62.3], [58.4, 57.1, 60.8]),
        ([44.0, 49.5, 46.1, 43.2, 45.7], [47.9, 50.6, 52.3]),
        ([71.5, 70.1], [66.0, 69.4, 64.8, 67.3]),
        ([30.2, 36.8, 33.1, 35.5], [37.4, 33.9, 39.0, 36.2, 31.7, 38.8]),
    ]


def _compared(a, b, se, gap=lambda a, b: a - b):
    return {"gap": gap(statistics.fmean(a), statistics.fmean(b)), "se": se(a, b)}


def _se(a, b, variance=statistics.variance):
    return math.sqrt(sum(variance(x) / len(x) for x in (a, b)))


GAP_AND_SE = Exercise(
    key="gap_and_se",
    lesson=5,
    title="Is the difference real?",
    aim="Compare two methods over several seeds: the difference and its standard error.",
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "Write `gap_and_se(a, b)`. `a` and `b` are lists of mR, one number for each seed, of two methods; the lists "
        "may differ in length, both have at least two numbers. With means $\\bar a, \\bar b$ and **sample** variances "
        "$s^2 = \\frac{1}{n - 1} \\sum_i (x_i - \\bar x)^2$:\n\n"
        "$$\\mathrm{gap} = \\bar a - \\bar b, \\qquad "
        "\\mathrm{se} = \\sqrt{\\frac{s_a^2}{n_a} + \\frac{s_b^2}{n_b}}$$\n\n"
        'Return a dict `{"gap": ..., "se": ...}`.'
    ),
    name="gap_and_se",
    stub="def gap_and_se(a, b):\n    raise NotImplementedError  # your code\n",
    solution=(
        "import statistics\n\n\n"
        "def gap_and_se(a, b):\n"
        "    gap = statistics.fmean(a) - statistics.fmean(b)\n"
        "    se = (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5\n"
        '    return {"gap": gap, "se": se}\n'
    ),
    cases=_seeds,
    draw=draws.gap_and_se,
    truth=lambda a, b: _compared(a, b, _se),
    mistakes={
        "population variance": Mistake(
            lambda a, b: _compared(a, b, lambda a, b: _se(a, b, statistics.pvariance)),
            "the variance is divided by n, which is too small when the mean comes from the same few seeds. Divide by "
            "n - 1: statistics.variance, not pvariance (numpy: ddof=1)",
        ),
        "standard deviation": Mistake(
            lambda a, b: _compared(a, b, lambda a, b: math.hypot(statistics.stdev(a), statistics.stdev(b))),
            "this is the spread of a difference of two single runs; the means over n seeds vary less. Divide each "
            "variance by its number of seeds",
        ),
        "gap swapped": Mistake(
            lambda a, b: _compared(a, b, _se, lambda a, b: b - a),
            "the gap has the wrong sign: it is the mean of a minus the mean of b, positive where a is ahead",
        ),
        "no sign": Mistake(
            lambda a, b: _compared(a, b, _se, lambda a, b: abs(a - b)),
            "the sign of the gap is lost, so nobody can see who is ahead; leave out the absolute value",
        ),
        "no root": Mistake(
            lambda a, b: _compared(a, b, lambda a, b: _se(a, b) ** 2),
            "the square root is missing: this is a variance, in squared points of mR, and cannot be compared with a "
            "gap. Take the root of the sum",
        ),
        "errors added": Mistake(
            lambda a, b: _compared(a, b, lambda a, b: sum(statistics.stdev(x) / len(x) ** 0.5 for x in (a, b))),
            "the two standard errors are added; independent errors partly cancel, so add their squares and take the "
            "root of the sum",
        ),
        "one n for both": Mistake(
            lambda a, b: _compared(
                a, b, lambda a, b: math.sqrt((statistics.variance(a) + statistics.variance(b)) / (len(a) + len(b)))
            ),
            "the sum of the variances is divided by all seeds together; each mean has its own n: s_a^2 / n_a and "
            "s_b^2 / n_b, then add",
        ),
    },
    hint="the module statistics has fmean and variance (the sample variance); each variance is divided by its own len",
    errors={
        "unsupported operand": "a and b are lists: take their means before you subtract",
        "must be tensor": "torch's functions take tensors: torch.tensor(a) first, or use the module statistics",
        "invalid combination": "torch's functions take tensors: torch.tensor(a) first, or use the module statistics",
        "has no attribute": "a list has no .mean() or .var(): torch.tensor(a) has, and the module statistics works on "
        "lists",
        "'statistics' is not defined": "write import statistics first",
    },
    right=(
        "def gap_and_se(a, b):\n"
        "    a, b = (torch.tensor(x, dtype=torch.float64) for x in (a, b))\n"
        "    return {'gap': a.mean() - b.mean(), 'se': (a.var() / len(a) + b.var() / len(b)).sqrt()}\n",
        "def gap_and_se(a, b):\n"
        "    def mean_and_square(x):\n"
        "        mean = sum(x) / len(x)\n"
        "        return mean, sum((v - mean) ** 2 for v in x) / (len(x) - 1) / len(x)\n"
        "    (ma, va), (mb, vb) = mean_and_square(a), mean_and_square(b)\n"
        "    return dict(se=(va + vb) ** 0.5, gap=ma - mb)\n",
    ),
    wrong={
        "population variance": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    square = a.var(correction=0) / len(a) + b.var(correction=0) / len(b)\n"
            "    return {'gap': (a.mean() - b.mean()).item(), 'se': square.sqrt().item()}\n"
        ),
        "standard deviation": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': a.mean() - b.mean(), 'se': (a.var() + b.var()).sqrt()}\n"
        ),
        "gap swapped": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': b.mean() - a.mean(), 'se': (a.var() / len(a) + b.var() / len(b)).sqrt()}\n"
        ),
        "no sign": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': (a.mean() - b.mean()).abs(), 'se': (a.var() / len(a) + b.var() / len(b)) ** 0.5}\n"
        ),
        "no root": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': a.mean() - b.mean(), 'se': a.var() / len(a) + b.var() / len(b)}\n"
        ),
        "errors added": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': a.mean() - b.mean(), 'se': a.std() / len(a) ** 0.5 + b.std() / len(b) ** 0.5}\n"
        ),
        "one n for both": (
            "def gap_and_se(a, b):\n"
            "    a, b = torch.tensor(a).double(), torch.tensor(b).double()\n"
            "    return {'gap': a.mean() - b.mean(), 'se': ((a.var() + b.var()) / (len(a) + len(b))).sqrt()}\n"
        ),
    },
)


# --- between zero-shot and full fine-tuning ---------------------------------------------------------------------
def _places() -> list[tuple]:
    """(method, zero_shot, full): in between, below zero-shot, above full fine-tuning, on the way."""
    return [(54.0, 30.0, 62.0), (17.5, 21.0, 48.0), (71.2, 35.6, 68.4), (25.1, 12.4, 80.9)]


SHARE_OF_WAY = Exercise(
    key="share_of_way",
    lesson=5,
    title="How far on the way to full fine-tuning?",
    aim="Place a method between zero-shot and full fine-tuning, so that different data sets can be compared.",
    difficulty=1,
    importance=2,
    minutes=4,
    task=(
        "Write `share_of_way(method, zero_shot, full)`. All three are mR, plain numbers, on the same data with the "
        "same backbone. Return the method's place on a scale on which zero-shot CLIP is 0 and full fine-tuning is 1, "
        "one number. A method worse than zero-shot is below 0, one better than full fine-tuning above 1."
    ),
    name="share_of_way",
    stub="def share_of_way(method, zero_shot, full):\n    raise NotImplementedError  # your code\n",
    solution="def share_of_way(method, zero_shot, full):\n    return (method - zero_shot) / (full - zero_shot)\n",
    cases=_places,
    draw=draws.share_of_way,
    truth=lambda method, zero_shot, full: (method - zero_shot) / (full - zero_shot),
    mistakes={
        "zero-shot is not 0": Mistake(
            lambda m, z, f: m / f,
            "this is the share of full fine-tuning's mR; zero-shot CLIP, which trains nothing, would not be at 0. "
            "Subtract zero-shot from both first",
        ),
        "what is missing": Mistake(
            lambda m, z, f: 1 - (m - z) / (f - z),
            "this is the part of the way that is still missing, (f - m) / (f - z): zero-shot would be 1 and full "
            "fine-tuning 0. Ask how far the method is from zero-shot",
        ),
        "relative gain": Mistake(
            lambda m, z, f: m / z - 1,
            "this is the gain relative to zero-shot; full fine-tuning would not be at 1, and a weak zero-shot makes "
            "every gain look large. Divide by the length of the way, full - zero_shot",
        ),
        "points": Mistake(
            lambda m, z, f: m - z,
            "this is the gain in points of mR, which cannot be compared between data sets. Divide by the length of the "
            "way, full - zero_shot",
        ),
        "percent": Mistake(
            lambda m, z, f: 100 * (m - z) / (f - z), "this is in percent; full fine-tuning should be 1, not 100"
        ),
        "cut off": Mistake(
            lambda m, z, f: min(1.0, max(0.0, (m - z) / (f - z))),
            "values below 0 and above 1 are cut off, which hides a method that harms or that beats full fine-tuning. "
            "Leave them as they are",
        ),
    },
    hint="how far has the method come from zero-shot, and how long is the whole way from zero-shot to full?",
    errors={
        "not subscriptable": "the three arguments are plain numbers, not lists or dicts",
        "has no attribute": "the three arguments are plain numbers, not tensors",
    },
    right=(
        "def share_of_way(method, zero_shot, full):\n    return 1 - (full - method) / (full - zero_shot)\n",
        "def share_of_way(method, zero_shot, full):\n"
        "    m, z, f = torch.tensor([method, zero_shot, full], dtype=torch.float64)\n"
        "    return (z - m) / (z - f)\n",
    ),
    wrong={
        "zero-shot is not 0": (
            "def share_of_way(method, zero_shot, full):\n    return torch.tensor(method) / torch.tensor(full)\n"
        ),
        "what is missing": (
            "def share_of_way(method, zero_shot, full):\n    return (full - method) / (full - zero_shot)\n"
        ),
        "relative gain": ("def share_of_way(method, zero_shot, full):\n    return (method - zero_shot) / zero_shot\n"),
        "points": "def share_of_way(method, zero_shot, full):\n    return -(zero_shot - method)\n",
        "percent": (
            "def share_of_way(method, zero_shot, full):\n"
            "    way = full - zero_shot\n"
            "    return (method - zero_shot) / way * 100\n"
        ),
        "cut off": (
            "def share_of_way(method, zero_shot, full):\n"
            "    return torch.tensor((method - zero_shot) / (full - zero_shot)).clamp(0, 1)\n"
        ),
    },
)

EXERCISES = [ADAPTFORMER, MERGE_LORA, GAP_AND_SE, SHARE_OF_WAY]
