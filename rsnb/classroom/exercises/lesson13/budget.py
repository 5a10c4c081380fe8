"""The widest module that fits into a budget."""

from __future__ import annotations

import functools
import math
import random
from types import SimpleNamespace

import torch

from rsnb.baselines.adapters import LoRA
from rsnb.classroom.exercises.judging import Exercise, Mistake
from rsnb.mrs import MRS


@functools.cache
def _built(width: int, blocks: int, rank: int, bottleneck: int) -> int:
    """Counted in the package's own modules, which are made without memory."""
    tower = SimpleNamespace(widths={"image": width}, depths={"image": blocks})
    with torch.device("meta"):
        made = [MRS(tower, bottleneck, shared=0, share_layers=False, towers="image"), LoRA(tower, rank)]
    return sum(p.numel() for module in made for p in module.parameters())


def _widest(budget: int, width: int, blocks: int, rank: int) -> int:
    one, two = (_built(width, blocks, rank, b) for b in (1, 2))
    return max(0, 1 + (budget - one) // (two - one))


def _share(budget, width, blocks, rank, down=1, up=1, weights=2, low_rank=6, beside=None, fixed_beside=None) -> float:
    """How often one more of the bottleneck fits in, not yet a whole number.

    down, up: biases of a module, b and one for each feature. weights: of a module, for each feature and b. low_rank:
    matrices in a block. beside, fixed_beside: how often the modules and the low-rank changes are counted.
    """
    modules = blocks if beside is None else beside
    changes = blocks if fixed_beside is None else fixed_beside
    rest = budget - modules * up * width - changes * low_rank * width * rank
    return rest / (modules * (weights * width + down))


def _counted(**other):
    return lambda *case: max(0, math.floor(_share(*case, **other)))


def _budgets() -> list[tuple]:
    """(budget, width, blocks, rank): towers of the mini CLIP and of ViT-B/32, filled to the last number and one short
    of it; budgets too small for anything, and for a bottleneck of 1; a remainder of a little more than half a step."""
    return [(22304, 192, 4, 2), (22303, 192, 4, 2), (14880, 128, 4, 2), (161088, 768, 12, 2), (100, 4, 1, 1),
            (99, 4, 1, 1), (98, 4, 1, 1), (27, 4, 1, 1), (30, 4, 1, 1), (37, 4, 1, 1), (0, 16, 2, 3), (2000, 10, 5, 3),
            (358, 4, 6, 1), (1000, 2, 1, 1),            (1500, 12, 3, 4)]  # fmt: skip


def _budget(rng: random.Random) -> tuple:
    """Mostly filled to the last number, or nearly."""
    width, blocks, rank = rng.randint(2, 300), rng.randint(1, 12), rng.randint(1, 6)
    bottleneck, each = rng.randint(0, 20), blocks * (2 * width + 1)
    full = blocks * (width + 6 * width * rank) + bottleneck * each
    return max(0, full + rng.choice((0, 0, -1, 1, rng.randrange(each), -rng.randint(1, full)))), width, blocks, rank


WIDEST_IN_BUDGET = Exercise(
    key="widest_in_budget",
    lesson=13,
    title="The widest module that fits",
    aim="Spend a budget of trainable numbers to the last one, and never more.",
    difficulty=2,
    importance=3,
    minutes=10,
    task=(
        "Write `widest(budget, width, blocks, rank)`: the largest bottleneck $b$, a whole number, with which a tower "
        "of `blocks` blocks of width $d$ = `width` trains **at most** `budget` numbers; 0 if not even $b = 1$ fits. "
        "Each block has of its own\n\n"
        "- a module beside its MLP: a linear layer $d \\to b$ and one $b \\to d$, both with biases;\n"
        "- a low-rank change of the weights that make queries, keys and values: for each of the three, one matrix "
        "(r, d) and one (d, r), where $r$ = `rank`, without biases.\n\n"
        "For the image tower of the mini CLIP, (22304, 192, 4, 2), it is 8, as in the recipe, without a number to "
        "spare."
    ),
    name="widest",
    stub="def widest(budget, width, blocks, rank):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def widest(budget, width, blocks, rank):\n"
        "    fixed = blocks * (width + 3 * 2 * width * rank)  # whatever b is\n"
        "    each = blocks * (2 * width + 1)  # for one more of b\n"
        "    return max(0, (budget - fixed) // each)\n"
    ),
    cases=_budgets,
    draw=_budget,
    truth=_widest,
    atol=1e-6,
    mistakes={
        "no biases": Mistake(
            (_counted(down=0, up=0), _counted(up=0), _counted(down=0)),
            "biases are missing, so the module would be over the budget. A layer from d to b has b of them, and one "
            "from b to d has d",
        ),
        "one number short": Mistake(
            lambda budget, *rest: _counted()(budget - 1, *rest),
            "a bottleneck that uses the budget to the last number is refused; at most allows it: <=, not <",
        ),
        "rounded": Mistake(
            (lambda *case: max(0, round(_share(*case))), lambda *case: max(0, math.floor(_share(*case) + 0.5))),
            "the number is rounded, and rounded up it is over the budget. What fits in is what is rounded down: //",
        ),
        "one too wide": Mistake(
            (lambda *case: max(0, math.floor(_share(*case))) + 1, lambda *case: max(0, math.ceil(_share(*case)))),
            "this is the first bottleneck that does not fit any more; the one before it is the last that does",
        ),
        "not whole": Mistake(
            (lambda *case: max(0.0, _share(*case)), _share),
            "a bottleneck is a whole number: divide with //, which rounds down",
        ),
        "below 0": Mistake(
            lambda *case: math.floor(_share(*case)),
            "where the low-rank changes alone are over the budget, the bottleneck is below 0; it should be 0: "
            "max(0, ...)",
        ),
        "no low rank": Mistake(
            _counted(low_rank=0),
            "the low-rank changes are not counted, and they train too. Take them off the budget first",
        ),
        "one matrix each": Mistake(
            _counted(low_rank=3),
            "a low-rank change is the product of two matrices, (d, r) and (r, d), and both train; one of them is "
            "counted here",
        ),
        "one of three": Mistake(
            _counted(low_rank=2),
            "one low-rank change per block is counted; queries, keys and values have one each, so take it three times",
        ),
        "one of four": Mistake(
            _counted(low_rank=8),
            "four low-rank changes per block are counted, as if the output projection of the attention changed too; "
            "here it is three: queries, keys and values",
        ),
        "one block": Mistake(
            (_counted(beside=1, fixed_beside=1), _counted(beside=1), _counted(fixed_beside=1)),
            "something is counted once that each block has of its own. In the paper one adapter serves all blocks; "
            "here the module and the low-rank changes are there once per block",
        ),
        "no way up": Mistake(
            (_counted(weights=1, up=0), _counted(weights=1)),
            "only the way down is counted; the layer from b to d has as many weights once more, and d biases",
        ),
    },
    hint="which numbers are there whatever b is, and how many more does a bottleneck cost that is larger by 1?",
    errors={
        "division by zero": "what one more of b costs is never 0: 2 * width + 1 numbers in each block",
        "'math' is not defined": "write import math first, or divide with //",
    },
    right=(
        "def widest(budget, width, blocks, rank):\n"
        "    def count(b):\n"
        "        module = (width * b + b) + (b * width + width)\n"
        "        change = 3 * (rank * width + width * rank)\n"
        "        return blocks * (module + change)\n"
        "    b = 0\n"
        "    while count(b + 1) <= budget:\n"
        "        b += 1\n"
        "    return b\n",
        "def widest(budget, width, blocks, rank):\n"
        "    left = budget // blocks - 6 * rank * width  # for one module\n"
        "    fits = [b for b in range(1, max(0, left)) if 2 * width * b + b + width <= left]\n"
        "    return max(fits, default=0)\n",
        "def widest(budget, width, blocks, rank):\n"
        "    import math\n"
        "    rest = budget / blocks - width * (1 + 6 * rank)\n"
        "    return max(math.floor(rest / (1 + 2 * width) + 1e-9), 0)\n",
    ),
    wrong={
        "no biases": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget // blocks - 6 * width * rank) // (2 * width))\n"
        ),
        "one number short": (
            "def widest(budget, width, blocks, rank):\n"
            "    b = 0\n"
            "    while blocks * (2 * width * (b + 1) + b + 1 + width + 6 * width * rank) < budget:\n"
            "        b += 1\n"
            "    return b\n"
        ),
        "rounded": (
            "def widest(budget, width, blocks, rank):\n"
            "    rest = budget - blocks * width * (1 + 6 * rank)\n"
            "    return max(0, round(rest / (blocks * (2 * width + 1))))\n"
        ),
        "one too wide": (
            "def widest(budget, width, blocks, rank):\n"
            "    b = 1\n"
            "    while blocks * (2 * width * b + b + width + 6 * width * rank) <= budget:\n"
            "        b += 1\n"
            "    return b\n"
        ),
        "not whole": (
            "def widest(budget, width, blocks, rank):\n"
            "    rest = budget / blocks - width - 6 * width * rank\n"
            "    return rest / (2 * width + 1)\n"
        ),
        "below 0": (
            "def widest(budget, width, blocks, rank):\n"
            "    return (budget // blocks - width - 6 * width * rank) // (2 * width + 1)\n"
        ),
        "no low rank": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget - blocks * width) // (blocks * (2 * width + 1)))\n"
        ),
        "one matrix each": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget // blocks - width - 3 * width * rank) // (2 * width + 1))\n"
        ),
        "one of three": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget // blocks - width - 2 * width * rank) // (2 * width + 1))\n"
        ),
        "one of four": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget // blocks - width - 8 * width * rank) // (2 * width + 1))\n"
        ),
        "one block": (
            "def widest(budget, width, blocks, rank):\n"
            "    low_rank = blocks * 6 * width * rank\n"
            "    return max(0, (budget - low_rank - width) // (2 * width + 1))  # one module for all blocks\n"
        ),
        "no way up": (
            "def widest(budget, width, blocks, rank):\n"
            "    return max(0, (budget // blocks - 6 * width * rank) // (width + 1))\n"
        ),
    },
)

EXERCISES = [WIDEST_IN_BUDGET]
