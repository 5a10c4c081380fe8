# %% [markdown]
# # 6 · The ablation lab
#
# **You will learn** how to try an idea and to say whether it helped: what ties, images and seeds each do to a number; how to vary any
# field of a run and keep what was run; how your own method and loss enter the comparison; and which of the paper's choices the
# toy world supports.
#
# **You need** notebook 3 for the adapter and the loss. This one runs on its own.
#
# **Minutes** 45 to work through; about one and a half to run.
#
# **Runs on** the toy world and the mini CLIP: a few short live runs, and the committed cells of `rsnb ablate`. Real data:
# `RSNB_DATA=ucm RSNB_ROOT=<folder>`; another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`.

# %%
import shlex
import tempfile
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import lesson
from rsnb.base.paths import adapters_dir
from rsnb.classroom.widgets.grid import lab_panel
from rsnb.measures.summary import summary_of
from rsnb.measures.ties import chance_of_hit
from rsnb.studies.ablation.differences import (
    cell_label,
    difference_rows,
    difference_sentences,
    paired_difference,
)
from rsnb.studies.ablation.figures import difference_figure
from rsnb.studies.ablation.lab import Lab, run_cells
from rsnb.studies.ablation.paper_studies import (
    EPOCHS,
    base_spec,
    conclusions,
    read_studies,
    study_stamp,
)
from rsnb.studies.ablation.spec import grid_of_specs, vary
from rsnb.studies.benchmark.tables import benchmark_rows, load_results
from rsnb.surgery import Method
from torch import nn

s = lesson.setup()
committed = read_studies() if s.is_toy and s.backbone == "mini" else {}
print(
    f"{len(committed)} committed ablations, "
    f"{sum(len(c) for a in committed.values() for c in a['done'].values())} runs"
)

# %% [markdown]
# ## 1. One number, and what lies behind it
#
# A model gives a mean recall of, say, 60.5. Three things could have made it a different number without any idea being better or worse.
#
# **Ties.** Two captions of the same text have the same similarity to an image. Which of them comes first is decided by the sort. The
# honest number is the mean over all orders of such ties. If $a$ items are strictly nearer than the best right one, and $g$ items tie
# with it, $o$ of them right, then the chance of a hit at $K$ is
#
# $$P(\text{hit at } K) = 1 - \prod_{j=0}^{r-1} \frac{g - o - j}{g - j}, \qquad r = \min(K - a, g)$$
#
# **Images.** Other test images of the same kind would give another number. A bootstrap shows how far it could move.
#
# **A ceiling.** A caption that describes two images cannot find both at rank 1. So 100 is not always within reach.
#
# > **Predict.** On the toy world some captions also describe another image. By how much can the order of ties move mR? By
# > how much could other test images?


# %%
def chance(k, ahead, tied, right):
    """Probability that a right item is among the first k, by drawing orders of ties."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(4000):
        order = generator.permutation(
            tied
        )  # places of the tied items; the first `right` of them are ours
        hits += (order[:right] + ahead < k).any()
    return hits / 4000


for case in ((1, 0, 2, 1), (5, 3, 4, 1), (10, 8, 6, 2)):
    k, ahead, tied, right = case
    closed = chance_of_hit(
        torch.tensor([k - ahead]), torch.tensor([tied]), torch.tensor([right])
    ).item()
    drawn = chance(*case)
    assert abs(drawn - closed) < 0.04
    print(
        f"K = {k:2}, {ahead} ahead, {tied} tied, {right} right:  drawn {drawn:.3f}, "
        f"formula {closed:.3f}"
    )

# %%
test = s.dataset("test")
shipped = adapters_dir() / f"{s.data}-mini-mrs-seed0.safetensors"
use_shipped = s.backbone == "mini" and not s.pretrained and shipped.is_file()
model = rsnb.load_adapter(shipped) if use_shipped else rsnb.adapt(s.clip(), "zero_shot")
report = summary_of(rsnb.evaluate(model, test), test)
who = "MRS-Adapter + HMMC, shipped" if use_shipped else "Zero-shot CLIP"
lesson.table(
    report.table(),
    f"{who}: every recall, and what could have made it another",
    digits=1,
)
display(Markdown(report.sentence()))

# %% [markdown]
# The columns *ties lowest* and *ties highest* are what a sort could make of the ties, for and against the model. On the toy world
# that is little. On UCM-Captions it decides more than most methods do:

# %%
rows = benchmark_rows(load_results("ucm", "mini"))
if rows[0]["counting"] == "expected":
    shown = [
        {
            "method": r["title"],
            "seeds": r["seeds"],
            "expected mR": r["mr"],
            "ties lowest": r["ties_low"],
            "ties highest": r["ties_high"],
            "of the ceiling (%)": 100 * r["of_ceiling"],
        }
        for r in rows
    ]
    lesson.table(
        shown,
        "UCM-Captions: mR and the range of it over orders of ties",
        digits=1,
        stamp=(
            f"{rows[0]['stamp']} · {max(r['seeds'] for r in rows)} seeds at most · "
            "from result files"
        ),
    )

# %% [markdown]
# ## 2. Is the difference real?
#
# Compare two models on the **same** images: what is hard for both cancels. That is a *paired* difference: each test image has its
# own gap, and the difference of mR is the mean of these gaps. How far could it move with other images? Their spread says: the
# standard error is $s / \sqrt N$, and two of these to either side are the interval (a normal distribution's exact value is below).
#
# Below, the same by hand for one seed, with the per-image recalls that a cell of the lab keeps: `text` $(N,)$ for image to text,
# `image` $(N,)$ the sum over the captions of an image for text to image.
#
# > **Predict.** Without the intra-image term, HMMC loses some mR. Is one seed enough to say so? Are three?


# %%
def by_hand(ours, theirs):
    text, image = (
        np.subtract(ours.text, theirs.text),
        np.subtract(ours.image, theirs.image) / np.mean(ours.captions),
    )
    gaps = 50 * (text + image)  # (N,): of each image, in mR
    half = NormalDist().inv_cdf(0.975) * gaps.std(ddof=1) / len(gaps) ** 0.5
    return gaps.mean() - half, gaps.mean() + half


if committed:
    done = committed["loss"]["done"]
    with_all, without = done["as in the paper"], done["without intra-image"]
    low, high = by_hand(without[0], with_all[0])
    packaged = paired_difference(without[:1], with_all[:1], final=True)
    assert abs(low - packaged.low) < 0.02 and abs(high - packaged.high) < 0.02
    print(f"one seed:    {packaged}")
    print(f"three seeds: {paired_difference(without, with_all, final=True)}")

# %% [markdown]
# (The package uses Student's $t$ for that many images, which is slightly more.) One seed knows nothing about seeds. Three seeds know little.
# With several, seeds and images are two sources of luck at once; `rsnb.measures.difference` adds up what each contributes, and
# notebook 5 tests by simulation whether the interval keeps its promise. Where a study compares several settings with the baseline, its
# verdicts are adjusted for their number: the more you look at, the more will seem different by chance. So an interval may exclude
# zero, and the verdict still be *cannot be told*. A cell whose best validation mR is not above zero-shot's has *collapsed*: it is
# shown, but does not count as a difference.
#
# These are committed cells, and their numbers are of the **test** part. While you explore, test stays closed: what you run below
# shows the **validation** part, and so does `rsnb ablate`, unless `--final` is given.
#
# > **Predict.** Which of these five changes of the loss can be distinguished from noise with three seeds?


# %%
def show_study(name):
    """The table, the figure and the sentences of a committed ablation."""
    study = committed[name]
    axes, table = study["axes"], study["rows"]
    cosines = len(axes) < 3 and not any(np.isnan(r["image cosine"]) for r in table)
    stamp = f"{study_stamp(study)} · from result files"
    lesson.show(difference_figure(table, axes, study["question"]), name, stamp=stamp)
    shown = [
        ({axis: cell_label(r[axis]) for axis in axes} if axes else {"cell": r["cell"]})
        | ({"lr": f"{r['lr']:g}"} if len({r["lr"] for r in table}) > 1 else {})
        | {
            "mR": r["mR"],
            "sd over seeds": r["sd"],
            "difference": r["difference"],
            "low": r["low"],
            "high": r["high"],
            "verdict": r["verdict"],
        }
        | ({"against": r["against"]} if any(r["against"] for r in table) else {})
        | (
            {
                f"two {kind}s (cosine)": f"{r[f'{kind} cosine']:.2f}"
                for kind in ("image", "text")
            }
            if cosines
            else {}
        )
        | ({"changed along": r["beside"]} if any(r["beside"] for r in table) else {})
        for r in table
    ]
    lesson.table(
        shown,
        f"{study['question']} (rsnb ablate --study {shlex.quote(name)})",
        digits=1,
        stamp=(
            f"{stamp} · {study['minutes']:.0f} minutes of training, one run per thread"
        ),
    )


if committed:
    show_study("loss")
else:
    print(
        "No committed ablations of this data and backbone. rsnb ablate --study loss "
        "runs one, and says how long it takes."
    )

# %% [markdown]
# ## 3. Any field of a run is an axis
#
# A **spec** says what one run is. `vary` changes one field of it by name: `adapter.<option of the method>`, `loss.margin`,
# `train.lr`, `data.share` ... A **lab** trains specs on one data set and backbone, and keeps every finished cell under a hash of its
# settings, data, weights and code. Ask again, and the result is there; widen the grid, and only what is new runs. Its tables are of the
# validation part: `difference_rows(..., final=True)` is for what is reported, once, when everything is chosen.
#
# $$\text{cell} = \mathrm{hash}(\text{settings}, \text{seed}, \text{data}, \text{weights}, \text{code})$$
#
# Live and small: a part of the images, two epochs. Such runs show how the lab works; they say nothing about the method.
#
# > **Predict.** A grid of 2 × 2 cells with two seeds is eight runs. Then one value is added to one axis. How many new runs?

# %%
folder = Path(tempfile.mkdtemp())
small = s.limit or 96


def new_lab(**own):
    return Lab(
        s.data, s.root, s.backbone, s.pretrained, folder, also=(), limit=small, **own
    )


lab, seeds = new_lab(), 1 if s.quick else 2
base = vary(
    base_spec(s.data, s.backbone, "mrs", 1 if s.quick else 2, "auto"),
    "train.batch_size",
    32,
)
cells = grid_of_specs(
    base, {"adapter.bottleneck": [16, 64], "loss.intra_image": [0, 1]}
)
live = (
    f"{lab.stamp} · {base.config.epochs} epochs · {seeds} seeds · shows the lab, not "
    "the method"
)
started = time.perf_counter()
done, failed = run_cells(lab, cells, seeds, progress=False)
first = time.perf_counter() - started
started = time.perf_counter()
wider = grid_of_specs(
    base, {"adapter.bottleneck": [16, 64], "loss.intra_image": [0, 1, 2]}
)
missing = sum(
    lab.found(spec, seed) is None for spec in wider.values() for seed in range(seeds)
)
again, failed = run_cells(lab, cells, seeds, progress=False)
assert again == done and not failed
print(
    f"{len(cells) * seeds} runs: {first:.0f} s; asked again: "
    f"{time.perf_counter() - started:.1f} s; with one more value: {missing} runs to do"
)

# %%
axes = ["adapter.bottleneck", "loss.intra_image"]
table = difference_rows(done, (64, 1), axes)
lesson.show(
    difference_figure(
        table, axes, "What do bottleneck and intra-image term do together?"
    ),
    "grid",
    stamp=live,
)
display(Markdown("\n".join(f"- {line}" for line in difference_sentences(table, axes))))

# %% [markdown]
# *Not alone* is a warning: a narrower bottleneck also trains fewer parameters. Was it the width, or the number? An ablation that
# changes two things at once answers neither question. The same from a terminal, on all images:
#
#     rsnb ablate --vary adapter.bottleneck=8,16,32,64 --vary loss.intra_image=0,1 --seeds 3
#
# ## 4. The panel
#
# The same with controls. Choose an axis, or two; the panel says how many runs are missing and about how many minutes they take, *before*
# you start them. *Stop* keeps what is done, and a stopped run resumes from its last epoch. The first value of an axis is its baseline.
#
# > **Predict.** The bottleneck is halved, and halved again. Does mR fall evenly, or does it fall off a cliff?

# %%
whole = Lab(s.data, s.root, s.backbone, s.pretrained, limit=s.limit)
run_of_12 = base_spec(s.data, s.backbone, "mrs", EPOCHS, "bf16")
lesson.touch(
    lab_panel(
        whole,
        run_of_12,
        stamp=f"{whole.stamp} · seeds and epochs as set above",
        values="64, 8, 16, 32, 128",
        seeds=3 if committed else 1,
    )
)

# %% [markdown]
# ## 5. Your own method, your own loss
#
# A method is a class that extends `rsnb.surgery.Method` and overrides the places it needs (`help(Method)` lists them). Its
# parameters are what trains; all of CLIP stays frozen. It is built with the CLIP: `clip.widths` are the widths of the two
# streams, `clip.depths` their numbers of blocks, `clip.embed_dim` is $D$. Here is one that is not in the paper: the idea of (IA)³, one learned
# factor for each feature of each block's MLP output,
#
# $$x_2 = x_1 + (1 + \gamma_\ell) \odot \mathrm{MLP}(\mathrm{LN}_2(x_1)), \qquad \gamma_\ell \in \mathbb{R}^{w},\; \gamma_\ell = 0
# \text{ at the start}$$
#
# A loss is a function of the clean and the token-dropped embeddings, each $(B, D)$, or of a whole batch: its captions, its classes,
# the epoch. Here: HMMC with a soft maximum over the negatives instead of the hardest one.
#
# > **Predict.** How many parameters does the method train? And what does it change before its first step?


# %%
class Rescale(Method):
    """One factor a feature on the MLP's output of every block."""

    def __init__(self, clip):
        super().__init__()
        self.factor = nn.ParameterDict(
            {
                f"{tower}{layer}": nn.Parameter(torch.zeros(width))
                for tower, width in clip.widths.items()
                for layer in range(clip.depths[tower])
            }
        )

    def after_mlp(self, branch, normed, stream, tower, layer):
        return branch * (1 + self.factor[f"{tower}{layer}"])


def soft_hmmc(v, t, v2, t2):
    def soft_hinge(a, b):
        similarity = a @ b.T  # (B, B)
        gap = (0.2 + similarity - similarity.diag()[:, None]).fill_diagonal_(
            float("-inf")
        )
        return torch.nn.functional.softplus(10 * gap.logsumexp(dim=1)).sum() / 10

    return sum(
        soft_hinge(a, b) + soft_hinge(b, a) for a, b in ((v, t), (v, v2), (t, t2))
    )


clip = s.clip()
model = rsnb.adapt(clip, Rescale)
with torch.no_grad():
    words = clip.tokenizer(["a harbor with boats"])
    mine = model.encode_text(words)
trained = rsnb.count_trainable(model)
clip = model.detach()
with torch.no_grad():
    assert torch.allclose(mine, clip.encode_text(words), atol=1e-5)
print(f"{trained:,} parameters; before the first step it is zero-shot CLIP")

# %% [markdown]
# Both are passed in, and from there on the lab treats them like its own: cached (their source is part of the hash), compared,
# warned about. Your own loss is named `own:<name of the function>`, and returns one number. All three keep the learning rate
# of the base run, which was chosen for MRS-Adapter. In real work, choose one for each on validation: `vary(spec, "train.lr", ...)`.

# %%
lab = new_lab(methods=[Rescale], losses=[soft_hmmc])
ideas = {
    "MRS-Adapter + HMMC": base,
    "MRS-Adapter, soft HMMC": vary(base, "loss.name", "own:soft_hmmc"),
    "Rescale + CLIP's loss": vary(vary(base, "method", "Rescale"), "loss.name", "clip"),
}
done, failed = run_cells(lab, ideas, seeds, progress=False)
assert not failed, failed
table = difference_rows(done, "MRS-Adapter + HMMC")
lesson.table(
    [
        {
            "idea": r["cell"],
            "trained": r["trainable"],
            "mR": r["mR"],
            "difference": r["difference"],
            "low": r["low"],
            "high": r["high"],
        }
        for r in table
    ],
    "Two ideas beside the paper's method",
    digits=1,
    stamp=live,
)
display(Markdown("\n".join(f"- {line}" for line in difference_sentences(table))))

# %% [markdown]
# A method and such a loss are two of the entry points. The others take a function too, and none needs a change to the package:
#
# | your idea | what you write |
# |---|---|
# | equal captions are no negatives; soft targets by class; a temperature that learns | `loss(batch)`, or a module |
# | flips, quarter turns, crops | `augment(pixels, generator)` |
# | which pairs share a batch | `batches(train, epoch)` |
# | groups of parameters, warm-up, an average of the weights | `optimizer(model)` |
# | another criterion for the best epoch; stopping early | `score(report, val)`; `on_epoch(state)` |
# | MRS-Adapter and LoRA at once; LayerNorms that train too | `rsnb.adapt(clip, ["mrs", "lora"], unfreeze="ln_")` |
#
# Each has an example of at most twenty lines: [Your own idea](own_idea.md), and [your own methods](own_idea_methods.md).
#
# A loss that raises, or a method that does not fit, is named and costs no other cell:


# %%
def broken(v, t, v2, t2):
    return v @ t  # a matrix product that cannot be


done, failed = run_cells(
    new_lab(losses=[broken]),
    {"ours": base, "broken": vary(base, "loss.name", "own:broken")},
    1,
    False,
)
print(f"done: {list(done)}; failed: {failed}")

# %% [markdown]
# ## 6. The paper's choices, one by one
#
# Each figure is one committed ablation on the toy world: three seeds, twelve epochs, the learning rate of the paper's method
# throughout (CLIP's loss has its own). A square is the baseline; a triangle is a difference that three seeds can detect; a circle
# is one they cannot.
#
# > **Predict.** Shared width, bottleneck, dropout: which of the three matters most? Write it down.

# %%
for name in ("shared", "bottleneck", "dropout", "token_dropout"):
    if name in committed:
        show_study(name)

# %% [markdown]
# > **Predict.** Where does an adapter have to be? In both towers? In every block?

# %%
for name in ("towers", "layers"):
    if name in committed:
        show_study(name)

# %% [markdown]
# > **Predict.** The hinge: how wide a margin, and which negatives? And with a tenth of the training data, how much of the gain over
# > zero-shot is left?

# %%
for name in ("margin", "mining", "data"):
    if name in committed:
        show_study(name)

# %% [markdown]
# ## 7. What holds, and what does not
#
# The same rule for all: a choice of the paper *holds* if every alternative is worse; it holds *in part* if some are
# worse and none is better.
#
# > **Predict.** How many of the ten choices hold? For how many is another setting better?

# %%
verdicts = conclusions(committed)
if verdicts:
    shown = [
        {
            "the paper's choice": v["choice"],
            "on the toy world": v["verdict"],
            "worse": "; ".join(v["worse"]),
            "collapsed": "; ".join(v["collapsed"]),
            "cannot be told": "; ".join(v["cannot be told"]),
            "better": "; ".join(v["better"]),
            "changed along": ", ".join(v["beside"]),
        }
        for v in verdicts
    ]
    study = committed["loss"]
    stamp = f"{study_stamp(study)} · from result files"
    lesson.table(
        shown, "The paper's choices on the toy world (differences in mR)", stamp=stamp
    )
    counted = pd.Series([v["verdict"] for v in verdicts]).value_counts()
    compared = sum(
        len(v[k]) for v in verdicts for k in ("worse", "cannot be told", "better")
    )
    display(
        Markdown(
            "Of "
            + f"{len(verdicts)} choices: "
            + ", ".join(f"{n} × {verdict}" for verdict, n in counted.items())
            + f". There are {compared} comparisons, and each study's verdicts are "
            f"adjusted for its own: of {len(verdicts)} studies "
            + f"in which nothing mattered, about {len(verdicts) / 20:.1g} would still "
            "find a difference somewhere."
        )
    )

# %% [markdown]
# Two cautions. *Cannot be told* does not mean that a choice is free: three seeds miss about half of the true differences that
# notebook 5 simulates, so what was not seen may be there. And a different backbone, different images and twelve short epochs can neither
# confirm the paper nor refute it; they say what holds *here*.
#
# ## 8. Why HMMC? The intra-modal terms and the mining
#
# One study above leaves a question: without its intra-modal terms the loss goes nowhere, and with the sum instead of the hardest
# negative it does better. Vary both at once, each cell with its own learning rate, chosen on validation:
#
# Three kinds of mining: the *hardest* negative of a row; the hardest of those that are less similar than the positive (*semi-hard*,
# Schroff et al. 2015); the *sum* of all within the margin.
#
# > **Predict.** With no term, the image term, the text term, both: where do the terms help most? Is there a kind of mining under which
# > they do harm?

# %%
if "mining x intra-modal" in committed:
    show_study("mining x intra-modal")


# %%
def worth(study, more, less):
    """One cell of a study against another: the difference and its interval."""
    if any(cell.collapsed for cell in (*study["done"][more], *study["done"][less])):
        return "one of the two collapsed"
    gap = paired_difference(study["done"][more], study["done"][less], final=True)
    return f"{gap.mean:+.1f} mR ({gap.low:.1f} to {gap.high:.1f})"


if "mining x intra-modal" in committed:
    study = committed["mining x intra-modal"]
    alone = next(t for label, t in study["tried"] if label == ["hardest", "none"])
    print(
        "the hardest negative with no term, validation mR by rate:",
        ", ".join(f"{rate:g}: {score:.1f}" for rate, score in sorted(alone)),
        f"(zero-shot: {study['done']['hardest', 'none'][0].start_val_mr:.1f})",
    )
    for mining in ("hardest", "semi-hard", "sum"):
        print(
            f"{mining}, both terms against none: "
            f"{worth(study, (mining, 'both'), (mining, 'none'))}"
        )
    for mining in ("semi-hard", "sum"):
        print(
            f"{mining} without any term against the paper's loss: "
            f"{worth(study, (mining, 'none'), ('hardest', 'both'))}"
        )

# %% [markdown]
# So here the intra-modal terms do one thing, and it shows in the cosines: they keep the embeddings of each modality apart where the hinge
# on the hardest negative pulls them together. The other two kinds of mining do not pull them together, so there is nothing to rescue:
# the terms cost a second pass through everything, and under semi-hard mining some recall as well. A loss that mines the hardest negative
# needs them. That does not show that retrieval needs them.
#
# ## 9. What do false negatives cost?
#
# Captions repeat, and a loss that pushes a true description away teaches something wrong. In these batches of
# 16 a chosen share of the items has a twin, an image with the very same caption, or one of the same class; no other two
# are alike.
#
# > **Predict.** Half of each batch has a twin of the same caption. Which loss suffers most: HMMC, its sum, or CLIP's loss?

# %%
if "false negatives" in committed:
    show_study("false negatives")

# %% [markdown]
# Each cell is compared with the same loss without twins. With literally true negatives in half of the batch all three losses come out
# lower, and the verdicts say where this is more than chance; whether HMMC suffers more than the others, these runs cannot tell. A
# negative of the same class costs nothing that can be seen, for it need not be wrong. (Not alone: images whose captions nobody shares cannot be twins,
# so batches with many twins show fewer different images in an epoch.)
#
# ## 10. At which batch size does HMMC win?
#
# The paper trains with batches of 16, the studies above with 64. Batch size and loss together, each cell with a learning rate of its
# own: at *equal epochs*, where a small batch takes more steps, and at *equal steps*, where a large one sees more images.
#
# > **Predict.** CLIP's loss learns from every negative of a row, HMMC from the hardest one. Which of them gains more from a larger batch?

# %%
if "batch" in committed:
    show_study("batch")
    study = committed["batch"]
    for loss in ("HMMC", "HMMC, sum", "CLIP's loss"):
        gains = [
            f"{length} {worth(study, (length, 256, loss), (length, 16, loss))}"
            for length in ("equal steps", "equal epochs")
        ]
        print(f"{loss}, batches of 256 against 16: {', '.join(gains)}")

# %% [markdown]
# Nowhere, here. At 16, the paper's size, the three losses cannot be told apart. As the batch grows, the sum and CLIP's loss pull away: of
# a row of 256 HMMC reads one negative, they read all that matter, and at equal epochs it also has far fewer steps to make up for
# that. So the paper's loss and the paper's batch size belong together: a small batch is where mining the hardest negative costs
# least. If you have memory for large batches, try the other losses first.
#
# ## 11. Does the order change with longer training?
#
# All of this was short. The paper trains 30 epochs and reads each of the five captions of an image in every epoch, which is five times the
# steps. So four rows of the table once more: 12, 25 and 60 epochs of one caption per image, and the paper's own length, with one
# seed, for it is long. The learning rates are those of 25 epochs.
#
# > **Predict.** With more training, will HMMC catch up with CLIP's loss? And the adapter with full fine-tuning?

# %%
if "length" in committed:
    show_study("length")
    study = committed["length"]
    for length in dict.fromkeys(length for length, _ in study["done"]):
        gaps = [
            f"{other} {worth(study, (length, other), (length, 'MRS-Adapter + HMMC'))}"
            for other in ("MRS-Adapter + CLIP's loss", "Full fine-tuning")
        ]
        print(f"length {length}, against HMMC: {', '.join(gaps)}")

# %% [markdown]
# The order stays, the distances shrink. Full fine-tuning has learned nearly all it will after a dozen epochs, and 60 bring no more
# than 25; the adapter, with a hundredth of the parameters, goes on. At the paper's length it comes close to full fine-tuning, which is
# the paper's claim. HMMC comes closer to CLIP's loss with every length of three seeds, without passing it. At the paper's length there is
# one seed: the direction can be read, the digits cannot. And a lesson about short runs: they show which method learns fast, and that
# is not the same question as which is best in the end.
#
# ## Recap
#
# - Ties, images and seeds each move a number. Report the expected recall, its interval, and the spread over seeds.
# - Compare on the same images and the same seeds, and read the interval. *Cannot be told* is a result.
# - An ablation changes one thing. If parameters or steps change with it, say so.
# - Keep every run under a hash of everything that decides it. Then a wider question costs only what is new.
# - Many comparisons find something by chance: count them, and adjust the verdicts for their number.
#
# ## Quiz
#
# 1. Two captions of a test image are identical to captions of other images. A perfect model ranks them first. Is its R@1 100?
#
# <details><summary>Answer</summary><p>Image to text it may be, if one of the other three captions is unique: the model can rank that
# one first. Text to image it is not: the shared caption has several right-looking images, and only one of them counts for each
# query. <i>Tempting:</i> yes, since it is perfect. The limit is in the data, not in the model.</p></details>
#
# 2. Model A beats B by 2 mR on one seed, with an interval over images of 1 to 3. Is A's method better?
#
# <details><summary>Answer</summary><p>This trained model is better on images like these. You cannot say so of the method: another seed
# is another model, and the interval knows nothing of seeds. <i>Tempting:</i> yes, since the interval excludes zero. It answers a
# question about two models, not about two methods.</p></details>
#
# 3. Half of the training images give 5 mR less. The runs had the same number of epochs. What else changed?
#
# <details><summary>Answer</summary><p>The number of training steps: half the images make half the batches per epoch. Part of the loss
# may come from fewer updates. Run the half with twice the epochs as well. <i>Tempting:</i> nothing, the epochs are equal. An epoch is
# not a unit of training.</p></details>
#
# 4. Twenty settings are compared with a baseline at 95 %. One is better. What do you make of it?
#
# <details><summary>Answer</summary><p>About one in twenty comparisons excludes zero although nothing matters, so one is what chance
# alone would give. Run that one again with new seeds, and only then believe it. <i>Tempting:</i> to report it as the best setting
# found. That is how noise gets into tables.</p></details>
#
# **Where the toy differs from the real thing.** A few hundred test images give wide intervals, and twelve epochs from a weak backbone leave a
# lot to learn, so anything that learns faster looks better. On ViT-B/32 with 30 epochs the same grid is a matter of GPU hours:
# `rsnb ablate --study all --data rsicd --root DIR --backbone ViT-B-32-quickgelu --pretrained openai --dry-run` prints the plan.
#
# **Try it.** Give `Rescale` HMMC as its loss. Vary `adapter.share_layers` of `adaptformer`. Write a loss that leaves the hinge out of
# the pairs whose captions are equal, and see if it helps.
#
# **Next:** notebook 7 sets up the paper's own experiment: weights, data, hours, and the table to fill.

# %% [markdown]
# ## Further reading
#
# - Bouthillier, Delaunay, Bronzi et al. *Accounting for Variance in Machine Learning Benchmarks.* MLSys 2021.
#   [arXiv:2103.03098](https://arxiv.org/abs/2103.03098). What a seed covers and what it does not.
# - Musgrave, Belongie, Lim. *A Metric Learning Reality Check.* ECCV 2020.
#   [arXiv:2003.08505](https://arxiv.org/abs/2003.08505). Many gains of retrieval losses vanish in a fair comparison.
# - Lipton, Steinhardt. *Troubling Trends in Machine Learning Scholarship.* ACM Queue 17(1), 2019.
#   [arXiv:1807.03341](https://arxiv.org/abs/1807.03341). On gains whose cause was never isolated.
# - Liu, Tam, Muqeeth et al. *Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning.* NeurIPS 2022.
#   [arXiv:2205.05638](https://arxiv.org/abs/2205.05638). The source of (IA)³, the idea behind the method of section 5.
