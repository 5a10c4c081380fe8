"""The rate of each step: it warms up, then falls as a cosine."""

from __future__ import annotations

import math
import random

from rsnb.classroom.exercises.judging import Exercise, Mistake

#: How a source begins that is right in the warm-up.
RISES = "import math\ndef rate_at(step, steps, warm_up):\n    if step < warm_up:\n        return (step + 1) / warm_up\n"


def _steps() -> list[tuple]:
    """(step, steps, warm_up): no warm-up, one of a step, the first and the last of its steps and the one after it, the
    middle and the end of the fall, a fall of a single step."""
    return [(0, 4, 0), (3, 8, 0), (7, 8, 0), (0, 2, 1), (1, 2, 1), (0, 12, 4), (1, 12, 4), (3, 12, 4), (4, 12, 4),
            (5, 12, 4), (8, 12, 4), (11, 12, 4), (0, 1, 0), (50, 100, 5), (99, 100, 5)]  # fmt: skip


def _step(rng: random.Random) -> tuple:
    steps = rng.randint(1, 40)
    warm_up = rng.choice((0, rng.randint(0, steps - 1), min(steps - 1, rng.randint(1, 5))))
    places = (0, steps - 1, warm_up, max(0, warm_up - 1), rng.randint(0, steps - 1), rng.randint(warm_up, steps - 1))
    return rng.choice(places), steps, warm_up


def _rate(step, steps, warm_up, rise=lambda step, warm_up: (step + 1) / warm_up, fall=None, x=None) -> float:
    """``rise`` within warm-up; then ``fall`` of the share x of the way."""
    if step < warm_up:
        return rise(step, warm_up)
    share = x(step, steps, warm_up) if x else (step - warm_up) / (steps - warm_up)
    return fall(share) if fall else 0.5 * (1 + math.cos(math.pi * share))


def _of_share(x):
    return lambda *case: _rate(*case, x=x)


def _falling(fall):
    return lambda *case: _rate(*case, fall=fall)


def _rising(rise):
    return lambda *case: _rate(*case, rise=rise)


def _one_more(step: int, steps: int, warm_up: int) -> float:
    return (step + 1) / warm_up if step <= warm_up else _rate(step, steps, warm_up)


WARM_UP_COSINE = Exercise(
    key="warm_up_cosine",
    lesson=13,
    title="Warm up, then fall as a cosine",
    aim="Say for each step how high the rate is.",
    difficulty=2,
    importance=2,
    minutes=8,
    task=(
        "Write `rate_at(step, steps, warm_up)`: the rate of a step as a share of the highest one. Steps count from 0; "
        "all three are whole numbers, $0 \\le$ `step` < `steps`, $0 \\le$ `warm_up` < `steps`. Over the first "
        "`warm_up` steps the rate rises evenly, and **no step has the rate 0**: with `warm_up` = 4 the shares are "
        "0.25, 0.5, 0.75, 1. Then it is\n\n"
        "$$\\tfrac12 \\, (1 + \\cos \\pi x)$$\n\n"
        "where $x$ is the share of the way from step `warm_up` to step `steps` that has been covered: 0 at step "
        "`warm_up`, and 1 at step `steps`, which is not taken any more."
    ),
    name="rate_at",
    stub="def rate_at(step, steps, warm_up):\n    raise NotImplementedError  # your code\n",
    solution=(
        "import math\n\n\n"
        "def rate_at(step, steps, warm_up):\n"
        "    if step < warm_up:\n"
        "        return (step + 1) / warm_up\n"
        "    x = (step - warm_up) / (steps - warm_up)\n"
        "    return 0.5 * (1 + math.cos(math.pi * x))\n"
    ),
    cases=_steps,
    draw=_step,
    truth=_rate,
    atol=1e-5,
    mistakes={
        "begins at 0": Mistake(
            _rising(lambda step, warm_up: step / warm_up),
            "the first step has the rate 0, so nothing is learned from its batch. Steps count from 0: (step + 1) / "
            "warm_up",
        ),
        "arrives late": Mistake(
            _rising(lambda step, warm_up: (step + 1) / (warm_up + 1)),
            "the last step of the warm-up stays below the highest rate; it should reach it: (step + 1) / warm_up",
        ),
        "no warm-up": Mistake(
            _rising(lambda step, warm_up: 1.0),
            "the rate is 1 from the first step on, when the modules know nothing yet and steps are wild. Let it rise "
            "over the first warm_up steps",
        ),
        "one step too many": Mistake(
            _one_more,
            "step == warm_up still rises, above the highest rate, and without a warm-up it divides by 0. The steps of "
            "the warm-up are 0 to warm_up - 1: step < warm_up",
        ),
        "never arrives": Mistake(
            _of_share(lambda step, steps, warm_up: (step - warm_up) / steps),
            "the way is divided by all steps, so the rate is still well above 0 when the training ends. What is left "
            "after the warm-up is steps - warm_up",
        ),
        "a jump": Mistake(
            _of_share(lambda step, steps, warm_up: step / steps),
            "the cosine counts from step 0, so that the rate jumps down when the warm-up ends. Count from its end: "
            "step - warm_up, of steps - warm_up",
        ),
        "rises again": Mistake(
            _of_share(lambda step, steps, warm_up: step / (steps - warm_up)),
            "x goes beyond 1, where the cosine rises again, because the steps of the warm-up count as steps of the "
            "fall. Subtract warm_up from step too",
        ),
        "a step ahead": Mistake(
            _of_share(lambda step, steps, warm_up: (step - warm_up + 1) / (steps - warm_up)),
            "the fall is one step ahead: the last step has the rate 0 and teaches nothing. At step == warm_up, x is 0",
        ),
        "last step wasted": Mistake(
            (
                _of_share(lambda step, steps, warm_up: (step - warm_up) / (steps - warm_up - 1)),
                _of_share(lambda step, steps, warm_up: (step - warm_up) / max(1, steps - warm_up - 1)),
            ),
            "x is 1 at the last step, which then has the rate 0 and teaches nothing. The fall ends one step after the "
            "last: divide by steps - warm_up",
        ),
        "straight": Mistake(
            _falling(lambda x: 1 - x),
            "the rate falls along a straight line; a cosine stays high at first and is flat again at the end: "
            "(1 + cos(pi x)) / 2",
        ),
        "a quarter of a wave": Mistake(
            _falling(lambda x: math.cos(math.pi / 2 * x)),
            "this is a quarter of a wave, which falls steepest at the very end; half a wave, pi x, raised above 0 and "
            "halved, ends flat",
        ),
        "not halved": Mistake(
            _falling(lambda x: 1 + math.cos(math.pi * x)),
            "the rate jumps to 2 when the warm-up ends: 1 + cos goes from 2 to 0, so halve it",
        ),
        "below 0": Mistake(
            _falling(lambda x: math.cos(math.pi * x)),
            "the cosine goes from 1 to -1, and with a rate below 0 the model would climb the loss. Add 1 and halve",
        ),
        "rising": Mistake(
            _falling(lambda x: 0.5 * (1 - math.cos(math.pi * x))),
            "after the warm-up the rate starts from 0 and rises; the sign before the cosine is wrong: 1 + cos(pi x)",
        ),
        "degrees": Mistake(
            _falling(lambda x: 0.5 * (1 + math.cos(180 * x))),
            "the cosine is given degrees; math.cos counts in radians, where half a wave is pi and not 180",
        ),
        "percent": Mistake(
            lambda *case: 100 * _rate(*case), "this is in percent; as a share the highest rate is 1, not 100"
        ),
    },
    hint="two cases: step < warm_up, and the rest. For the rest: how many steps since the warm-up, of how many in all?",
    errors={
        "division by zero": "with warm_up = 0 there is nothing to rise: ask step < warm_up first; and steps - warm_up "
        "is never 0",
        "'math' is not defined": "write import math first",
        "must be tensor": "torch.cos takes a tensor; math.cos takes a number",
    },
    right=(
        "def rate_at(step, steps, warm_up):\n"
        "    import math\n"
        "    rising = [(n + 1) / warm_up for n in range(warm_up)]\n"
        "    left = steps - warm_up\n"
        "    return (rising + [(1 + math.cos(math.pi * n / left)) / 2 for n in range(left)])[step]\n",
        "def rate_at(step, steps, warm_up):\n"
        "    if warm_up > step:\n"
        "        return 1 - (warm_up - 1 - step) / warm_up\n"
        "    return torch.cos(torch.tensor(torch.pi / 2 * (step - warm_up) / (steps - warm_up))) ** 2\n",
    ),
    wrong={
        "begins at 0": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    if step < warm_up:\n"
            "        return step / warm_up\n"
            "    return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2\n"
        ),
        "arrives late": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    if step < warm_up:\n"
            "        return (step + 1) / (warm_up + 1)\n"
            "    return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2\n"
        ),
        "no warm-up": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    x = max(0, step - warm_up) / (steps - warm_up)\n"
            "    return (1 + math.cos(math.pi * x)) / 2\n"
        ),
        "one step too many": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    if step > warm_up:\n"
            "        return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2\n"
            "    return (step + 1) / warm_up\n"
        ),
        "never arrives": RISES + "    return (1 + math.cos(math.pi * (step - warm_up) / steps)) / 2\n",
        "a jump": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    rise = (step + 1) / warm_up if warm_up else 1\n"
            "    return rise if step < warm_up else math.cos(math.pi * step / steps / 2) ** 2\n"
        ),
        "rises again": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    rise = (step + 1) / warm_up if warm_up else 1\n"
            "    left = steps - warm_up\n"
            "    return rise if step < warm_up else (1 + math.cos(math.pi * step / left)) / 2\n"
        ),
        "a step ahead": RISES + "    return (1 - math.cos(math.pi * (steps - step - 1) / (steps - warm_up))) / 2\n",
        "last step wasted": RISES
        + "    return (1 + math.cos(math.pi * (step - warm_up) / (steps - 1 - warm_up))) / 2\n",
        "straight": (
            "def rate_at(step, steps, warm_up):\n"
            "    if step < warm_up:\n"
            "        return (step + 1) / warm_up\n"
            "    return (steps - step) / (steps - warm_up)\n"
        ),
        "a quarter of a wave": RISES + "    return math.cos(0.5 * math.pi * (step - warm_up) / (steps - warm_up))\n",
        "not halved": RISES + "    return math.cos(math.pi * (step - warm_up) / (steps - warm_up)) + 1\n",
        "below 0": RISES + "    return math.cos((step - warm_up) / (steps - warm_up) * math.pi)\n",
        "rising": RISES + "    return math.sin(math.pi / 2 * (step - warm_up) / (steps - warm_up)) ** 2\n",
        "degrees": RISES + "    return (1 + math.cos(180 * (step - warm_up) / (steps - warm_up))) / 2\n",
        "percent": (
            "import math\n"
            "def rate_at(step, steps, warm_up):\n"
            "    if step < warm_up:\n"
            "        return 100 * (step + 1) / warm_up\n"
            "    return 50 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))\n"
        ),
    },
)

EXERCISES = [WARM_UP_COSINE]
