"""The adapter: its budget, its up-projection, how it starts, and what of the model trains."""

from __future__ import annotations

import torch

from rsnb import mrs
from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


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
        "        return a * b + b  # weight (b, a) and bias (b,)\n"
        "\n"
        "    down = linear(w_image, bottleneck) + linear(w_text, bottleneck)\n"
        "    up = linear(bottleneck, w_image - shared) + linear(bottleneck, w_text - shared)\n"
        "    return down + up + linear(bottleneck, shared)\n"
    ),
    cases=_sizes,
    draw=draws.adapter_parameters,
    atol=1e-9,
    truth=_built,
    mistakes={
        "no biases": Mistake(
            lambda *sizes: _counted(*sizes, bias=0),
            "the biases are missing: a linear layer from a to b holds a * b weights and b biases, and both train",
        ),
        "shared twice": Mistake(
            lambda *sizes: _counted(*sizes, shared_times=2),
            "the shared up-projection is counted once for images and once for captions; "
            "it is one layer that both use, so add it once",
        ),
        "full width": Mistake(
            lambda *sizes: _counted(*sizes, cut=False),
            "each modality's own up-projection is counted at the full width; the shared layer already gives the last d "
            "outputs, so the own one gives only width - shared",
        ),
        "every block": Mistake(
            lambda *sizes: _counted(*sizes, blocks=12),
            "this counts one adapter for each of 12 blocks; all blocks call the same adapter, so count it once",
        ),
        "no shared": Mistake(
            lambda *sizes: _counted(*sizes, shared_times=0),
            "the shared up-projection is missing: it is the fifth layer, from bottleneck to shared",
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
            "        total += bottleneck * w + w  # own and shared together\n"
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
    """z and both up-projections. Widths that can be added by mistake too: equal ones, or one of them 1."""
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
    title="The shared up-projection",
    aim="Put a modality's own up-projection and the shared one together.",
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "Write `way_up(z, W_own, b_own, W_shared, b_shared)`: the adapter after its bottleneck, for one modality "
        "of width $w$. `z` is (N, L, r). Weights have the shape they have in `nn.Linear`, (outputs, inputs): "
        "`W_own` (w - d, r), `b_own` (w - d,), `W_shared` (d, r), `b_shared` (d,).\n\n"
        "$$A = \\left[\\, W_{\\mathrm{own}} z + b_{\\mathrm{own}} \\;;\\; "
        "W_{\\mathrm{shared}} z + b_{\\mathrm{shared}} \\,\\right]$$\n\n"
        "for every token. Return (N, L, w): the modality's own features first, then the shared ones."
    ),
    name="way_up",
    stub="def way_up(z, W_own, b_own, W_shared, b_shared):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def way_up(z, W_own, b_own, W_shared, b_shared):\n"
        "    own = F.linear(z, W_own, b_own)  # (N, L, w - d)\n"
        "    shared = F.linear(z, W_shared, b_shared)  # (N, L, d)\n"
        "    return torch.cat([own, shared], dim=-1)  # (N, L, w)\n"
    ),
    cases=_bottlenecks,
    draw=draws.way_up,
    truth=_ways_up,
    mistakes={
        "added": Mistake(
            lambda *case: _ways_up(*case, join="sum"),
            "the two up-projections are added; each fills its own features of the output, "
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
            "the shared up-projection has lost its bias; it is a linear layer like the other one, so add b_shared",
        ),
        "relu": Mistake(
            lambda *case: torch.relu(_ways_up(*case)),
            "no feature of the output is negative: there is a ReLU after the up-projection. The adapter's only ReLU is "
            "on z, "
            "and what is added to the stream must be free to lower it; leave this ReLU out",
        ),
        "no shared": Mistake(
            lambda z, wo, bo, ws, bs: _ways_up(z, wo, bo, ws[:0], bs[:0]),
            "the shared up-projection is missing, so the output is d features too narrow for the stream; append it",
        ),
    },
    hint="F.linear(z, W, b) takes a weight of shape (outputs, inputs) as it is; use it twice, then torch.cat",
    errors={
        "cannot be multiplied": "W is (outputs, inputs): write z @ W.T, or F.linear(z, W, b)",
        "expected size for first two": "z comes first in the product: z @ W.T, or F.linear(z, W, b)",
        "must match the size": "the two up-projections differ in width: they are not added but placed side by side",
        "except in dimension": "torch.cat runs along the wrong axis: features are the last one, dim=-1",
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
    aim="Find out which ways of starting at zero-shot CLIP can also move away from it.",
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
    stub='moves = ...  # {"up is zero": ?, "down is zero": ?, "both are zero": ?,\n'
    '             #  "neither is zero": ?}\n',
    solution=(
        "# gradient of up: (gradient of A(x)) times z = ReLU(down x), which must not be 0\n"
        "# gradient of down: goes back through up and through the slope of ReLU; neither may be 0\n"
        "moves = {\n"
        '    "up is zero": "up",            # z is not 0; down has to wait for the second step\n'
        '    "down is zero": "none",        # z = 0 stops up, a slope of 0 stops down\n'
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
            "a gradient is a product along the backward pass, and one factor of 0 makes it 0: up's gradient contains "
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
            "gradient; the other one's is: up's gradient contains z = ReLU(down x), down's contains up",
        ),
    },
    hint="write down what the gradient of each matrix is multiplied with: up's with z = ReLU(down x), down's with up "
    "and with the slope of ReLU",
    errors={
        "expected a dict": "moves needs exactly the four keys of the task, spelled as there",
        "expected a text": 'give one of the four words "up", "down", "both", "none", not a list: "up", not ["up"]',
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
    aim="Decide from its name whether a parameter trains when a frozen CLIP gets MRS-Adapter.",
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
        "With this method all of CLIP is frozen, including its layer norms, biases and temperature "
        "(`logit_scale`); every part of the adapter trains.\n\n"
        "Write `may_change(name)` for one such name: return `True` if training may change this parameter, else "
        "`False`."
    ),
    name="may_change",
    stub="def may_change(name):\n    raise NotImplementedError  # your code\n",
    solution=('def may_change(name):\n    return name.startswith("added.")  # all of CLIP is frozen\n'),
    cases=_names,
    draw=draws.may_change,
    truth=_changes,
    mistakes={
        "everything": Mistake(
            lambda name: True,
            "this lets every parameter train: that is full fine-tuning. CLIP is frozen; only what was added trains",
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
            "only the image side of the adapter trains here; the text tower's projections and the shared "
            "up-projection train as well",
        ),
        "shared frozen": Mistake(
            lambda name: _changes(name, only=(".image.", ".text.")),
            "the shared up-projection is left out: it belongs to no single modality, but it is a part of the adapter "
            "and "
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

EXERCISES = [ADAPTER_PARAMETERS, WAY_UP, ZERO_START, MAY_CHANGE]
