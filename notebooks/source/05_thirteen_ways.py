# %% [markdown]
# # 5 · Thirteen ways to adapt a frozen CLIP
#
# **You will learn** where thirteen published methods act in a CLIP, how many numbers each trains, what each buys on this
# data and what it costs, how much of a gain comes from the adapter and how much from the loss, and which of the paper's conclusions carry
# over to another backbone.
#
# **You need** Notebook 3 for MRS-Adapter and HMMC. This one runs on its own.
#
# **Minutes** 40 to work through, 40 more for its exercises; less than one to run.
#
# **Runs on** the toy world and the mini CLIP: result files that `rsnb benchmark` wrote, and a few live checks. Real data:
# `RSNB_DATA=ucm RSNB_ROOT=<folder>`; another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`.
#
# Methods not in the paper: LoRA, which many would try first today.

# %%
from statistics import fmean

import pandas as pd
import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import diagrams, lesson, paper
from rsnb.measures.coverage import coverage, spreads_of
from rsnb.measures.difference import difference
from rsnb.studies.ablation.differences import image_gaps
from rsnb.studies.ablation.figures import coverage_figure
from rsnb.studies.ablation.paper_studies import read_studies
from rsnb.studies.benchmark.figures import (
    beside_the_paper,
    costs,
    parameters_against_mr,
)
from rsnb.studies.benchmark.tables import (
    RECALLS,
    benchmark_rows,
    load_duels,
    load_results,
)
from torch import nn

s = lesson.setup()
results = [] if s.pretrained else load_results(s.data, s.backbone)
METHODS = rsnb.METHODS
print(
    f"{len(results)} result files for {s.data} with {s.backbone}, "
    f"{len({r['method'] for r in results})} methods"
)

# %% [markdown]
# ## 1. The families, on one tower
#
# CLIP stays frozen; a method adds something trainable somewhere. **Prompts** add tokens, **adapters** add small networks in the
# blocks, **heads** work on the finished embedding, and the last family changes the **weights** themselves.
#
# > **Predict.** One family could be trained on embeddings computed once and kept on disk. Which one, and why not the others?

# %%
lesson.show(
    diagrams.families(), "families", stamp="after the papers named in rsnb.METHODS"
)

# %% [markdown]
# Only a head comes after the finished embedding. Whatever enters earlier changes what the blocks above it compute.
#
# ## 2. One of them in ten lines
#
# AdaptFormer (Chen et al. 2022) is the nearest relative of MRS-Adapter: it sits in the same place, but has one adapter for each
# tower, shares nothing between images and text, and has a fixed scale:
#
# $$x_2 = x_1 + \mathrm{MLP}(\mathrm{LN}_2(x_1)) + 0.1\, W^{\uparrow} \mathrm{ReLU}(W^{\downarrow} x_1)$$
#
# Shapes: $x_1$ is $(N, L, w)$, the bottleneck $(N, L, 64)$ on ViT-B/32.
#
# > **Predict.** What it adds is multiplied by 0.1. Will it want a higher or a lower learning rate than MRS-Adapter? The column
# > *lr* in section 4 has the answer.

# %% exercise="adaptformer"

# %% predicted="-"
clip = s.clip()
images = torch.randn(4, 3, clip.image_size, clip.image_size)  # (N, 3, S, S)
words = clip.tokenizer(
    ["a harbor", "two red planes", "a park", "a river"]
)  # (N, context length)
with torch.no_grad():
    zero_shot = clip.encode_image(images), clip.encode_text(words)  # (N, D) each


class OneTower(nn.Module):
    def __init__(self, width, r=64):
        super().__init__()
        self.down, self.up = nn.Linear(width, r), nn.Linear(r, width)

    def forward(self, x):
        return 0.1 * self.up(torch.relu(self.down(x)))


model = rsnb.adapt(clip, "adaptformer", seed=s.seed)
for p in model.trainable().values():
    nn.init.normal_(p, std=0.05)  # zeros would hide a mistake
theirs = model.added.adapters["image"][0]
ours = OneTower(clip.widths["image"])
ours.load_state_dict(theirs.state_dict())
with torch.no_grad():
    block = clip.model.visual.transformer.resblocks[0]
    x = torch.randn(2, 7, clip.widths["image"])
    x1 = x + block.attention(block.ln_1(x))
    assert torch.allclose(
        block(x), x1 + block.mlp(block.ln_2(x1)) + ours(x1), atol=1e-4
    )
clip = model.detach()
print("the block with AdaptFormer is what the formula says")

# %% [markdown]
# ## 3. All of them, counted
#
# > **Predict.** Which methods give exactly zero-shot CLIP before their first step? Think of how their last layer starts.

# %% exercise="merge_lora"

# %%
rows = []
for name, entry in METHODS.items():
    model = rsnb.adapt(clip, name, seed=s.seed)
    with torch.no_grad():
        now = model.encode_image(images), model.encode_text(words)
    same_size = (
        now[0].shape == zero_shot[0].shape
    )  # a linear probe has an output width of its own
    moved = (
        max((a - b).abs().max().item() for a, b in zip(now, zero_shot))
        if same_size
        else float("inf")
    )
    rows.append(
        {
            "method": entry.title,
            "family": entry.family,
            "trained here": rsnb.count_trainable(model),
            "on ViT-B/32": entry.count_vit_b32,
            "paper prints (M)": entry.paper_millions,
            "step 0 is zero-shot": "yes"
            if entry.identity
            else f"no, moved by {moved:.1g}"
            if same_size
            else "no, a random map",
        }
    )
    assert not entry.identity or moved < 1e-5, name  # to rounding
    clip = model.detach()
lesson.table(rows, "Trained parameters, and what is left of zero-shot CLIP at step 0")

# %%
notes = [
    f"- **{entry.title}**: {entry.note}" for entry in METHODS.values() if entry.note
]
display(Markdown("Counts and starts that need a word:\n\n" + "\n".join(notes)))

# %% [markdown]
# For most adapters the count agrees with the paper only if one module serves **all** blocks (`share_layers=True`, the default of
# Adapter, Convpass, AdaptFormer, Cross-Modal Adapter and MRS-Adapter). Give each block its own (`share_layers=False`) and the count
# grows with the depth. VPT, UniAdapter and LoRA have their own parameters in each block.
#
# ## 4. What each one buys
#
# Same data, epochs, batch and seeds for all. The learning rate is chosen for each method, on validation, from a list that is
# extended as long as the outermost rate is the best. Nothing else is tuned.
#
# > **Predict.** The number of trained parameters spans three orders of magnitude. Does more buy more?

# %%
rows, stamp = benchmark_rows(results), ""
if rows:
    least, most = (
        pick(r["seeds"] for r in rows if r["trainable"]) for pick in (min, max)
    )
    seeds = f"{most}" if least == most else f"{least} to {most}"
    stamp = f"{rows[0]['stamp']} · {seeds} seeds · from result files"
    own = [
        r
        for r in rows
        if r["method"] == "zero_shot" or r["loss"] == METHODS[r["method"]].loss
    ]
    figure = parameters_against_mr(own, "Does training more parameters buy more?")
    lesson.show(figure, "parameters", stamp=stamp)
else:
    own = []
    print(
        f"No result files for {s.data} with {s.backbone}. This writes them: rsnb "
        f"benchmark --install --data {s.data}"
        f" --backbone {s.backbone} (with --dry-run: the plan, its hours and memory)"
    )

# %% predicted="2|"
shown = [
    {
        "method": r["title"],
        "trained": r["trainable"],
        "share (%)": 100 * r["share"],
        **{
            ("i2t" if k.startswith("text") else "t2i") + " R@" + k.split("_r")[1]: r[k]
            for k in RECALLS
        },
        "mR": r["mr"],
        "±": r["mr_sd"],
        "lr": f"{r['lr']:g}" if r["lr"] else "",
    }
    for r in sorted(own, key=lambda r: -r["mr"])
]
if shown:
    lesson.table(
        shown,
        "Test recalls in percent, mean over the seeds, best first (i2t: image to text)",
        digits=1,
        stamp=stamp,
    )

# %% [markdown]
# ## 5. Which differences are real
#
# Two means $\bar a, \bar b$ over $n$ seeds differ by chance too. Their difference has the standard error
#
# $$\mathrm{se} = \sqrt{s_a^2 / n + s_b^2 / n}$$
#
# How many standard errors are enough? With very many seeds, 2. But a spread from a few numbers is itself uncertain, and Student's
# $t$ says what that costs: runs of one seed see the same batches in the same order, so take the gap seed by seed; three gaps
# need more than four standard errors, five almost three. And if you look at many differences, you will find one by chance: within a table, the
# verdicts are adjusted for the number of comparisons (Holm's rule).
#
# > **Predict.** MRS-Adapter with HMMC against every other method of about its size: better, worse, or cannot be told?

# %% exercise="gap_and_se"


# %%
mrs = next((r for r in own if r["method"] == "mrs"), None)
against = load_duels(s.data, s.backbone) if mrs else []
if against:
    sizes = {r["title"]: r["trainable"] / mrs["trainable"] for r in rows}
    table = [
        {
            "against": duel["against"],
            "size, MRS = 1": sizes[duel["against"]],
            "MRS + HMMC minus it (mR)": duel["difference"],
            "low": duel["low"],
            "high": duel["high"],
            "verdict on MRS + HMMC": duel["verdict"],
        }
        for duel in sorted(against, key=lambda duel: -duel["difference"])
    ]
    over = "seeds and test images" if against[0]["images"] else "seeds"
    lesson.table(
        table,
        f"MRS-Adapter + HMMC against the others: 95 % intervals over {mrs['seeds']} "
        f"{over}, verdicts of {len(against)} comparisons",
        digits=1,
        stamp=stamp,
    )
else:
    print("no two methods here have two seeds in common: no verdict")

# %% [markdown]
# An interval may exclude zero, and the verdict still be *cannot be told*: the interval is for one comparison on its own, the
# verdict for all of the table together. These verdicts are kept beside the results, and every text in the series about these
# methods quotes them.

# %% exercise="ahead_and_unproven"

# %% exercise="repair_verdict"

# %% [markdown]
# The interval allows for other seeds and for other test images at once:
#
# $$x_{si} = \mu + a_s + b_i + e_{si}$$
#
# is the gap of seed $s$ on image $i$; what the seeds ($a_s$) and the images ($b_i$) add to the uncertainty of the mean is estimated
# from a two-way analysis of variance (`rsnb.measures.difference`).
#
# Does such an interval keep its promise? Nobody knows the true difference of two methods, except in a simulation: take
# the spreads of the runs of notebook 6, set the true difference, draw new seeds and new images many times, and count.
#
# > **Predict.** An interval from the images alone, from three seeds alone, from both: how many of 100 contain the truth?

# %%
known = [
    spreads_of(
        [
            image_gaps(*pair, final=True)
            for pair in zip(cells, study["done"][study["baseline"]])
        ]
    )
    for study in read_studies().values()
    for name, cells in study["done"].items()
    if name != study["baseline"] and len(cells) > 1
]
kinds = {
    "images alone": lambda gaps: difference(gaps.mean(axis=0, keepdims=True)),
    "seeds alone": lambda gaps: difference(gaps.mean(axis=1)),
    "seeds and images": difference,
}
TRUTH = 2.5
found = {
    kind: {n: coverage(known, n, 2000, TRUTH, interval) for n in (3, 5)}
    for kind, interval in kinds.items()
}
lesson.show(
    coverage_figure(found, TRUTH),
    "coverage",
    stamp=(
        f"simulated, 2,000 experiments a bar · spreads of {len(known)} comparisons of "
        "notebook 6"
    ),
)

# %% [markdown]
# The first two promise 95 % and deliver less, so they find differences that are not there. The third keeps its promise, at a price:
# with three seeds it misses about half of the true differences of this size. *Cannot be told* does not mean *equal*.
#
# %% [markdown]
# ## 6. Is it the adapter or the loss?
#
# MRS-Adapter comes with HMMC, the others with CLIP's loss. A fair question crosses them: the same adapter with the other loss, and
# the other way round. Each pair has its own learning rate, chosen the same way.
#
# > **Predict.** Which loss is better for MRS-Adapter here? And does HMMC help its neighbour, AdaptFormer?

# %%
by = {(r["method"], r["loss"]): r for r in rows}
crossed = [
    m
    for m in METHODS
    if m != "zero_shot" and len({loss for method, loss in by if method == m}) > 1
]
cross = []
for m in crossed:
    line = {"method": METHODS[m].title}
    for loss in ("clip", "hmmc", "triplet"):
        r = by.get((m, loss))
        if r:
            spread = f" ± {r['mr_sd']:.1f}" if r["mr_sd"] is not None else ""
            line[loss] = f"{r['mr']:.1f}{spread} (lr {r['lr']:g})"
    cross.append(line)
if cross:
    lesson.table(
        pd.DataFrame(cross).fillna(""),
        "Test mR by method (rows) and loss (columns)",
        stamp=stamp,
    )
else:
    print("No crossed runs on this data: rsnb benchmark --methods mrs --loss clip")

# %%
a, b = by.get(("mrs", "hmmc")), by.get(("mrs", "clip"))
duel = next((d for d in against if b and d["against"] == b["title"]), None)
if a and b and duel:
    rivals = [
        r
        for r in own
        if r["loss"] == "clip" and METHODS[r["method"]].family == "adapter"
    ]
    better = sum(r["mr"] > b["mr"] for r in rivals)
    display(
        Markdown(
            "MRS-Adapter with HMMC minus the same adapter with CLIP's loss: "
            f"**{duel['difference']:+.1f} mR** ({duel['low']:.1f} to "
            f"{duel['high']:.1f}); verdict on HMMC, from section 5: "
            f"**{duel['verdict']}**. With CLIP's loss for all, {better} of the "
            f"{len(rivals)} other adapters are above MRS-Adapter."
        )
    )

# %% [markdown]
# ## 7. What it costs
#
# Three prices: the time of an epoch, the memory to train (weights, what the backward pass keeps, gradients and Adam's averages),
# and the file to ship for each task.
#
# > **Predict.** An adapter in every block trains 1 % of the parameters. Does it also need 1 % of the memory and time?

# %%
if own:
    lesson.show(costs(own, "What does a method cost?"), "costs", stamp=stamp)

# %% [markdown]
# As a ratio to full fine-tuning, measured in the same way:

# %%
tuned = next((r for r in own if r["method"] == "full"), None)
if tuned and tuned.get("memory_mb"):
    lesson.table(
        [
            {
                "method": r["title"],
                "time of an epoch": r["seconds_per_epoch"] / tuned["seconds_per_epoch"],
                "memory": r["memory_mb"] / tuned["memory_mb"],
                "file": r["file_bytes"] / tuned["file_bytes"],
            }
            for r in own
            if r["trainable"]
        ],
        "Costs as shares of those of full fine-tuning (time: on a shared machine)",
        digits=2,
        stamp=stamp,
    )

# %% [markdown]
# The parameters do not decide time and memory; the *place* of the lowest one does. From the loss down to there the gradient has to
# travel through every frozen block, and what it needs on its way is kept. Heads leave both towers without a gradient; CoOp's prompt
# leaves the image tower without one. HMMC encodes everything twice, and pays for it in both time and memory. What falls by orders
# of magnitude for all of them is the **file**: a hundred tasks are a hundred small files beside one CLIP.
#
# ## 8. The paper's results, beside ours
#
# The shaded panels are the **paper's**: ViT-B/32 with its pre-trained weights, real data, printed numbers. The white one is
# **ours**: this backbone, this data. They are not comparable in mR, so each method is placed between its own zero-shot CLIP (0) and
# its own full fine-tuning (1).
#
# > **Predict.** Will the order of the methods be the paper's?

# %% exercise="share_of_way"

# %%
printed = {f"paper: {name}": paper.mr_of(name) for name in paper.DATASETS}
mean_mr = {r["method"]: r["mr"] for r in own}
if {"zero_shot", "full"} <= set(mean_mr):
    ours = {f"ours: {s.data}": mean_mr}
    title = "How far from zero-shot to full fine-tuning?"
    lesson.show(
        beside_the_paper(printed, ours, title),
        "paper",
        stamp=f"shaded: printed in the paper (ViT-B/32, real data) · white: {stamp}",
    )

# %%
lines = []
for name in paper.DATASETS:
    for r in paper.rows(name):
        lines.append(
            {"method": r.title, "trained (M)": r.millions, "data": name, "mR": r.mr}
        )
table = pd.DataFrame(lines).pivot_table(
    index=["method", "trained (M)"], columns="data", values="mR", sort=False
)
lesson.table(
    table.reset_index().rename_axis(columns=None),
    "The paper's mR (ViT-B/32, real data)",
    digits=2,
    stamp="printed in the paper; not measured here",
)

# %% [markdown]
# mR is the mean of six recalls, so a table can be checked. Recompute it:

# %%
for r in (r for name in paper.DATASETS for r in paper.rows(name)):
    if abs(r.mean - r.mr) > 0.02:
        print(
            f"{r.dataset}, {r.title}: printed {r.mr:.2f}, the six printed recalls give "
            f"{r.mean:.2f}"
        )

# %% [markdown]
# ## 9. Which conclusions carry over?
#
# Six claims, tested on the paper's numbers and on ours by the same rule.
#
# > **Predict.** Read the claims in the cell below. Which of them hold on all three of the paper's own data sets?


# %%
def mean_of(mr, family):
    return fmean(mr[m] for m in mr if METHODS[m].family == family)


def best_other(mr):
    return max(
        mr[m]
        for m in mr
        if METHODS[m].family in ("adapter", "prompt", "head") and m != "mrs"
    )


ALL = {m for m in METHODS if METHODS[m].paper}
CLAIMS = {  # claim: (methods it needs, the test)
    "MRS-Adapter + HMMC beats every other prompt, head and adapter": (
        ALL,
        lambda mr: mr["mrs"] > best_other(mr),
    ),
    "MRS-Adapter + HMMC comes within 5 % of full fine-tuning": (
        {"mrs", "full"},
        lambda mr: mr["mrs"] >= 0.95 * mr["full"],
    ),
    "zero-shot reaches about half of full fine-tuning (0.4 to 0.7)": (
        {"zero_shot", "full"},
        lambda mr: 0.4 < mr["zero_shot"] / mr["full"] < 0.7,
    ),
    "the average adapter beats the average prompt": (
        ALL,
        lambda mr: mean_of(mr, "adapter") > mean_of(mr, "prompt"),
    ),
    "AdaptFormer and UniAdapter beat the linear probe": (
        {"adaptformer", "uniadapter", "linear_probe"},
        lambda mr: min(mr["adaptformer"], mr["uniadapter"]) > mr["linear_probe"],
    ),
    "CoOp is the weakest that trains": (
        ALL,
        lambda mr: min((m for m in mr if m != "zero_shot"), key=mr.get) == "coop",
    ),
}
columns = {**printed, **({f"ours: {s.data}": mean_mr} if own else {})}
table = [
    {
        "claim": claim,
        **{
            name: ("yes" if test(mr) else "no") if needs <= set(mr) else "not tested"
            for name, mr in columns.items()
        },
    }
    for claim, (needs, test) in CLAIMS.items()
]
lesson.table(
    table,
    "Does the claim hold?",
    stamp=f"paper: printed (ViT-B/32, real data) · ours: {stamp or 'none yet'}",
)

# %%
if mrs and {"zero_shot", "full"} < set(mean_mr):
    best = max(
        (
            r
            for r in own
            if METHODS[r["method"]].family in ("adapter", "prompt", "head")
        ),
        key=lambda r: r["mr"],
    )
    common = [m for m in mean_mr if METHODS[m].paper and m not in ("zero_shot", "full")]
    order = {
        name: pd.Series({m: mr[m] for m in common}).rank()
        for name, mr in columns.items()
    }
    here = order.pop(f"ours: {s.data}")
    said = ", ".join(
        f"{here.corr(ranks):.2f} with {name.removeprefix('paper: ')}"
        for name, ranks in order.items()
    )
    names = list(order)
    among = ", ".join(
        f"{order[a].corr(order[b]):.2f}" for a, b in zip(names, names[1:] + names[:1])
    )
    behind = {d["against"]: d["verdict"] for d in against}.get(best["title"])
    rates = [r["lr"] for r in own if r["lr"]]
    display(
        Markdown(
            f"- best small method here: **{best['title']}** ({best['mr']:.1f}); "
            f"MRS-Adapter + HMMC ({mrs['mr']:.1f}) minus it: "
            f"{mrs['mr'] - best['mr']:+.1f} mR, {behind or 'no verdict'}\n"
            f"- rank correlation of the {len(common)} methods with the paper's order, "
            "without the two anchors of the "
            f"scale: {said}; the paper's three among each other: {among}\n"
            f"- chosen learning rates: from {min(rates):g} to {max(rates):g}"
        )
    )

# %% [markdown]
# **How to read a disagreement.** A result on a small backbone and drawn images neither confirms nor refutes the paper; it shows which
# conclusions depend on the setting. Three differences are worth considering. Here each method has its own learning rate, and they
# are far apart (an adapter scaled by 0.1 wants a higher one); the reference code trains at one rate, 2e-4, and we do not know
# whether the compared methods got their own. The paper trains with batches of 16 and 150 passes over each image, we with fewer passes. And its
# tables print no spread, so a lead of one point may or may not be one. Where section 6 finds HMMC behind CLIP's loss, note what differs:
# HMMC learns only from the hardest negative of a batch, CLIP's loss from all of them, and these runs are short.

# %% [markdown]
# ## Recap
#
# - Four families: prompts, adapters, heads, weights. One mechanism attaches them all; CLIP itself is never edited.
# - The number of trained parameters says little about quality, and nothing about time or memory; it decides the file size.
# - A comparison needs equal data and epochs, a fair learning rate for each, several seeds, and the spread beside the mean.
# - A new loss and a new adapter are two changes; cross them before crediting, or blaming, one.

# %% [markdown]
# ## Quiz
#
# 1. Two methods differ by 2 mR. Each has three seeds with a standard deviation of 1.5, independent of each other. Who is ahead?
#
# <details><summary>Answer</summary><p>It cannot be told. The standard error of the difference is √(1.5²/3 + 1.5²/3) ≈
# 1.2, and with six runs the difference must exceed 2.8 of these (Student's t, four degrees of freedom), which is 3.4, more than 2.
# <i>Tempting:</i> ahead, since 2 is more than 1.5. That compares the spread of single runs with the difference of two means, and both
# means are uncertain.</p></details>

# %% [markdown]
# 2. A new adapter with a new loss beats an old adapter with an old loss by 5 mR. Which further runs are needed to say that
#    the adapter did it?
#
# <details><summary>Answer</summary><p>The new adapter with the old loss, and the old adapter with the new loss; each with
# its own learning rate. If the new adapter with the old loss is no better than the old one, the loss did it, or the two
# together. <i>Tempting:</i> leave the new loss out, which is one run. It shows the adapter's part under one loss, but not
# whether the loss would help the old adapter as much.</p></details>

# %% [markdown]
# 3. The adapters of a tower are moved from all twelve blocks to the last two. What happens to the time and the memory of
#    training?
#
# <details><summary>Answer</summary><p>Both fall clearly. The forward pass stays, but the gradient stops at the first
# adapter, in block 11: nothing below needs a backward pass, and nothing is kept for one. <i>Tempting:</i> little, since the
# number of trained parameters hardly matters. The number does not matter, but the place of the lowest one does.</p></details>

# %% [markdown]
# 4. On data A zero-shot has 15 mR, full fine-tuning 30 and a method 28; on data B it is 48, 52 and 51. The method covers
#    0.87 of the way on A and 0.75 on B. Is it better on A?
#
# <details><summary>Answer</summary><p>You cannot say so. On B the whole way is 4 mR, so an error of 1 mR moves the share by
# 0.25; on A it moves it by 0.07. A share of a short way is noise. <i>Tempting:</i> both scales run from 0 to 1 and so
# compare directly. They compare, but not with the same error; look at the length of the way first.</p></details>

# %% [markdown]
# 5. LoRA can be merged into the weights after training, so that it costs nothing in use. Can MRS-Adapter, which sits
#    beside the MLP, be merged too?
#
# <details><summary>Answer</summary><p>No. Between its two maps is a ReLU, so it is not a matrix that could be added to
# another one; nor does it fit into the MLP as more hidden units, because the MLP reads the normed stream and has a
# different activation. <i>Tempting:</i> yes, because its output is only added. The output of LoRA is added too, but LoRA is
# linear.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The mini CLIP is 50 times smaller than ViT-B/32, so every share of trained parameters
# is larger, and it knows less to begin with. The captions have a small vocabulary.
#
# **Try it.** Attach `rsnb.adapt(clip, "adaptformer", share_layers=False)`: how many parameters, and does it help? Run
# `rsnb benchmark --methods adaptformer,mrs --loss triplet --seeds 1 --epochs 5 --search-epochs 0` and put the two rows into section 6.
#
# **Remake these results.** `rsnb benchmark --install --precision bf16` (all methods, three seeds, a few hours on a laptop; it can be
# stopped and resumes where it was; a finished cell is not run again).
#
# **Next:** notebook 6 varies one field of a run at a time, and asks whether each difference is more than noise.

# %% [markdown]
# ## Further reading
#
# - Yuan, Zhan, Xiong. *Parameter-Efficient Transfer Learning for Remote Sensing Image-Text Retrieval.* IEEE TGRS 61, 2023.
#   [doi:10.1109/TGRS.2023.3308969](https://doi.org/10.1109/TGRS.2023.3308969). The tables that section 8 puts beside ours.
# - He, Zhou, Ma, Berg-Kirkpatrick, Neubig. *Towards a Unified View of Parameter-Efficient Transfer Learning.* ICLR 2022.
#   [arXiv:2110.04366](https://arxiv.org/abs/2110.04366). Adapters, prefixes and LoRA as one form with different choices.
# - Hu, Shen, Wallis et al. *LoRA: Low-Rank Adaptation of Large Language Models.* ICLR 2022.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685). The method that is not in the paper's table.
# - Sung, Cho, Bansal. *LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer Learning.* NeurIPS 2022.
#   [arXiv:2206.06522](https://arxiv.org/abs/2206.06522). Why few trained parameters do not mean little memory, and what
#   does.
# - Musgrave, Belongie, Lim. *A Metric Learning Reality Check.* ECCV 2020.
#   [arXiv:2003.08505](https://arxiv.org/abs/2003.08505). What remains of years of gains when the comparison is fair.
# - Bouthillier, Delaunay, Bronzi et al. *Accounting for Variance in Machine Learning Benchmarks.* MLSys 2021.
#   [arXiv:2103.03098](https://arxiv.org/abs/2103.03098). Which kinds of chance three seeds do and do not cover.
