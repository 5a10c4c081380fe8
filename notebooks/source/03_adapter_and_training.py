# %% [markdown]
# # 3 · The adapter and its training
#
# **You will learn** what MRS-Adapter (multimodal remote sensing adapter) is, line by line; what it costs; why it changes nothing before the first step; what the
# loss HMMC (hybrid multi-modal contrastive) compares; how training goes; and what the adapter achieves compared with zero-shot CLIP, a linear probe and full fine-tuning.
#
# **You need** PyTorch modules, dot products, and what a transformer block is (attention, then an MLP, each behind a LayerNorm and
# added to the *stream*: one vector per token that runs through all blocks). Notebook 2 explains intra-modal similarity.
#
# **Minutes** 40 to work through, 64 more for its exercises; about a minute to run.
#
# **Runs on** the toy world and the mini CLIP. Real data: `RSNB_DATA=ucm RSNB_ROOT=<folder>`; another backbone:
# `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`. A short training runs live; full-length runs come from result files
# that `rsnb benchmark` wrote.
#
# Source: Yuan, Zhan, Xiong, *Parameter-Efficient Transfer Learning for Remote Sensing Image-Text Retrieval*, IEEE TGRS 2023.

# %%
import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import diagrams, lesson, losses, plots, similarity
from rsnb.figures.style import HIT
from rsnb.mrs import MRSAdapter
from rsnb.studies.ablation.paper_studies import read_studies, study_stamp
from rsnb.studies.benchmark.figures import run_bars, run_curves
from rsnb.studies.runs import average_runs, read_runs, recall_columns, recipe
from torch import nn

s = lesson.setup()
clip = s.clip()
config = recipe(s.data, s.backbone, seed=s.seed)  # settings for this data and backbone
compared = ("zero_shot", "linear_probe", "mrs", "full")  # notebook 5 has all methods
runs = (
    [] if s.pretrained else read_runs(s.data, s.backbone, methods=compared)
)  # full-length runs
r, d = config.options.get("bottleneck", 64), config.options.get("shared", 64)
print(
    f"widths w = {clip.widths}, blocks {clip.depths}, bottleneck r = {r}; d = {d} of "
    "each up-projection's outputs are shared"
)

# %% [markdown]
# ## 1. The figure
#
# CLIP is frozen. Beside the MLP of every block sits a small bottleneck, the adapter. It is **one** adapter: all blocks of both
# towers call the same one. Each modality has its own down-projection and its own up-projection; the last slice of its output comes from an up-projection that both share.
#
# > **Predict.** The MLP reads the stream after a LayerNorm. Does the adapter read it before or after that LayerNorm? Follow
# > the green arrow.

# %%
lesson.show(
    diagrams.mrs_diagram(clip.widths, r, d), "diagram", stamp=f"widths of {clip.stamp}"
)

# %% [markdown]
# ## 2. The formula
#
# For a modality $m$ (image or text), with $x_1$ the stream after attention:
#
# $$z = \mathrm{dropout}(\mathrm{ReLU}(W^{\downarrow}_m x_1 + b^{\downarrow}_m)), \qquad
#   A_m(x_1) = \left[\, W^{\uparrow}_m z + b^{\uparrow}_m \;;\; W^{\uparrow}_{s} z + b^{\uparrow}_{s} \,\right]$$
#
# $$x_2 = x_1 + \mathrm{MLP}(\mathrm{LN}_2(x_1)) + A_m(x_1)$$
#
# The MLP reads the *normed* stream, the adapter the stream itself. Dropout is 0.5. At the start $W^{\uparrow}_m$, $W^{\uparrow}_s$
# and all five biases are zero, the $W^{\downarrow}_m$ are random. $W^{\uparrow}_s$ and $b^{\uparrow}_s$ belong
# to both modalities: what the images teach this slice also affects the captions.
#
# ## 3. The shapes
#
# | | image tower | text tower |
# |---|---|---|
# | stream $x_1$ | $(N, L_v, w_v)$ | $(N, L_t, w_t)$ |
# | $z$ | $(N, L_v, r)$ | $(N, L_t, r)$ |
# | own up-projection | $(N, L_v, w_v - d)$ | $(N, L_t, w_t - d)$ |
# | shared up-projection | $(N, L_v, d)$ | $(N, L_t, d)$ |
# | output | $(N, L_v, w_v)$ | $(N, L_t, w_t)$ |
#
# $N$ inputs of $L$ tokens each; $v$ is the image (visual) tower, $t$ the text tower. ViT-B/32 has $w_v = 768$ and $w_t = 512$; the paper
# uses $r = d = 64$.
#
# ## 4. The code

# %% exercise="way_up"


# %%
class Adapter(nn.Module):
    def __init__(self, widths, r=64, d=64):
        super().__init__()
        self.down = nn.ModuleDict({m: nn.Linear(w, r) for m, w in widths.items()})
        self.up = nn.ModuleDict({m: nn.Linear(r, w - d) for m, w in widths.items()})
        self.up_shared = nn.Linear(r, d)
        self.dropout = nn.Dropout(0.5)
        for up in (*self.up.values(), self.up_shared):
            nn.init.zeros_(up.weight)
        for layer in (*self.down.values(), *self.up.values(), self.up_shared):
            nn.init.zeros_(layer.bias)

    def forward(self, x, m):  # (N, L, w_m)
        z = self.dropout(torch.relu(self.down[m](x)))  # (N, L, r)
        return torch.cat([self.up[m](z), self.up_shared(z)], dim=-1)  # (N, L, w_m)


# %% [markdown]
# Is it the same as the one in the package? Give both the same weights (random ones, since zeros would hide a mistake) and compare outputs
# for both modalities. From then on we use `rsnb.mrs`.
#
# > **Predict.** Two implementations, the same weights: will they agree to the last bit, or only up to rounding?

# %%
torch.manual_seed(s.seed)
ours, theirs = Adapter(clip.widths, r, d).eval(), MRSAdapter(clip.widths, r, d).eval()
for p in ours.parameters():
    nn.init.normal_(p, std=0.1)
theirs.load_state_dict(ours.state_dict())
for m, width in clip.widths.items():
    x = torch.randn(2, 7, width)
    assert torch.equal(ours(x, m), theirs(x, m))
print("equal, to the last bit")

# %% [markdown]
# The same operations in the same order round in the same way. `rsnb.adapt` attaches the adapter to an unmodified CLIP
# with forward hooks. Compute one block by hand and compare, now up to rounding, since the order may differ.

# %%
clip = s.clip()  # a fresh copy: this cell can be run again
model = rsnb.adapt(clip, "mrs", bottleneck=r, shared=d)
adapter = model.added.adapters[0]
adapter.load_state_dict(ours.state_dict())

with torch.no_grad():
    block = clip.model.visual.transformer.resblocks[0]
    x = torch.randn(2, 7, clip.widths["image"])
    x1 = x + block.attention(block.ln_1(x))
    by_hand = x1 + block.mlp(block.ln_2(x1)) + adapter(x1, "image")
    assert torch.allclose(block(x), by_hand, atol=1e-4)
clip = model.detach()  # the hooks are gone, CLIP is as it was
print("block(x) = x1 + MLP(LN2(x1)) + adapter(x1)")

# %% [markdown]
# ## 5. The budget, by hand
#
# A linear layer from $a$ to $b$ with bias has $ab + b$ parameters.
#
# > **Predict.** Five linear layers on ViT-B/32: 768 to 64, 512 to 64, 64 to 704, 64 to 448, 64 to 64. How many parameters? What
# > share of CLIP's 151 million?

# %% exercise="adapter_parameters"


# %%
def linear(a, b):
    return a * b + b


def budget(widths, r=64, d=64):
    down = sum(linear(w, r) for w in widths.values())
    up = sum(linear(r, w - d) for w in widths.values())
    return down + up + linear(r, d)


paper = budget({"image": 768, "text": 512})
assert paper == rsnb.METHODS["mrs"].count_vit_b32 == 161_088
clip = s.clip()
model = rsnb.adapt(clip, config.method, seed=s.seed, **config.options)
here, whole = rsnb.count_trainable(model), sum(p.numel() for p in clip.parameters())
assert here == budget(clip.widths, r, d)
clip = model.detach()

full = rsnb.METHODS["full"].count_vit_b32
display(
    Markdown(
        f"- ViT-B/32: **{paper:,}** of {full:,} parameters, {paper / full:.3%}: "
        f"{1 - paper / full:.2%} fewer than full fine-tuning. (The paper prints 98.9 "
        "%; its own 0.16 M of 151.28 M are a reduction of 99.89 %.)\n"
        f"- {clip.stamp}: **{here:,}** of {whole:,}, {here / whole:.1%}."
    )
)

# %%
counts = {
    rsnb.METHODS[name].title: rsnb.METHODS[name].count_vit_b32
    for name in ("linear_probe", "mrs", "full")
}
figure = plots.bars(
    counts,
    "trained parameters on ViT-B/32 (logarithmic)",
    "How much does each method train?",
    log=True,
    colour=HIT,
)
lesson.show(figure, "budget", stamp="counted on ViT-B/32")

# %% [markdown]
# The count does not grow with depth, because all blocks share the adapter. A narrow backbone has a larger share: the adapter
# shrinks with the width, the backbone with its square.
#
# Design your own: which of the controls changes the count most, and which not at all?

# %%
from rsnb.classroom.widgets.designer import adapter_designer

lesson.touch(adapter_designer(clip.widths, clip.depths, whole, clip.stamp))

# %% [markdown]
# <details><summary>Answer</summary><p>The bottleneck: nearly every weight has it as one of its two sides, so the count grows in
# proportion. The shared width takes a little away as it grows. Which blocks get the one adapter changes nothing, since it is
# the same one; with a separate adapter for every block, the count is multiplied by the number of blocks.</p></details>
#
# <!-- live: budget -->

# %% [markdown]
# ## 6. Step 0: nothing has changed
#
# > **Predict.** Every up-projection starts at zero. What, then, is the largest difference in any number of any embedding, with
# > and without the adapter, at step 0?

# %% exercise="zero_start"

# %% exercise="may_change"

# %% predicted="[(a - b).abs().max().item() for a, b in zip(before, after)]"
clip = s.clip()  # a fresh copy: this cell can be run again
train, val, test = (s.dataset(split) for split in ("train", "val", "test"))
shown = similarity.examples(train.labels, seed=s.seed)[:12]  # a small batch to look at
pixels = torch.stack([clip.preprocess(train.image(i)) for i in shown])  # (B, 3, S, S)
tokens = clip.tokenizer([train[i].captions[0] for i in shown])  # (B, context length)

with torch.no_grad():
    before = clip.encode_image(pixels), clip.encode_text(tokens)
    model = rsnb.adapt(clip, config.method, seed=s.seed, **config.options).fast(
        False
    )  # open_clip's own forward
    after = model.encode_image(pixels), model.encode_text(tokens)
for m, a, b in zip(("image", "text"), before, after):
    print(f"{m}: largest difference {(a - b).abs().max().item():.1e}")
    assert torch.equal(a, b)
model = model.fast()  # and back: equal to rounding, less work

# %% [markdown]
# Not small: zero. An adapter whose up-projections are zero adds exactly zero, so training starts at zero-shot CLIP itself. (Later steps
# may still lead to something worse: section 8 says how.) All of CLIP stays frozen, including its temperature (section 7).
#
# ## 7. The loss: HMMC on a small batch
#
# Each input goes through its tower twice: once as it is ($v$, $t$), once with ordinary dropout (number by number, rate 0.2) on its token
# embeddings, which makes its damaged copy ($v'$, $t'$); the adapter's own dropout is on in both. For two sets of $B$ embeddings with cosines $s_{ij} = a_i^\top b_j$, the hinge takes the hardest negative of each row
# and of each column:
#
# $$T(a, b) = \sum_i \max_{j \neq i} [0.2 + s_{ij} - s_{ii}]_+ + \sum_j \max_{i \neq j} [0.2 + s_{ij} - s_{jj}]_+$$
#
# $$L = T(v, t) + T(v, v') + T(t, t')$$
#
# The first term is the usual cross-modal one. The other two are intra-modal: an image must be closer to its own damaged copy
# than to that of any other image of the batch, by the margin; captions likewise.

# %% exercise="hinge"

# %% exercise="token_dropout"

# %% exercise="hmmc"

# %% [markdown]
# > **Predict.** The next figure shows the three matrices of cosines at step 0. Which will already have a bright diagonal? So which
# > of the three terms is the largest?

# %%
torch.manual_seed(s.seed)
with torch.no_grad():
    v, v2 = model.encode_twice("image", pixels, config.token_dropout)  # (B, D) each
    t, t2 = model.encode_twice("text", tokens, config.token_dropout)
matrices = {
    "T(v, t)\nimage × caption": v @ t.T,  # (B, B) each
    "T(v, v′)\nimage × its damaged copy": v @ v2.T,
    "T(t, t′)\ncaption × its damaged copy": t @ t2.T,
}
figure = plots.hmmc_batch(
    matrices, f"Which negatives does HMMC push? Batch of {len(shown)}, step 0"
)
lesson.show(figure, "hmmc")

# %% [markdown]
# White frames are positives. A triangle marks the hardest negative of its row (pointing right) or of its column (pointing
# down). Filled ones come within 0.2 of the positive: the hinge is active and pushes. Empty ones are far enough away; their loss is 0.


# %%
def hinge(a, b, margin=0.2):
    s = a @ b.T  # (B, B) cosines
    own = s.diagonal()  # (B,)   s_ii
    others = s - 10 * torch.eye(len(s))  # a positive is no negative
    rows = (margin + others.amax(dim=1) - own).clamp(
        min=0
    )  # (B,)   hardest of each row
    columns = (margin + others.amax(dim=0) - own).clamp(
        min=0
    )  # (B,)   hardest of each column
    return rows.sum() + columns.sum()


terms = {
    "cross-modal": hinge(v, t),
    "intra-image": hinge(v, v2),
    "intra-text": hinge(t, t2),
}
assert torch.allclose(sum(terms.values()), losses.hmmc(v, t, v2, t2), atol=1e-4)
for name, term in terms.items():
    print(f"{name:12} {term.item():6.2f}")
print(
    f"{'HMMC':12} {sum(terms.values()).item():6.2f}, and the largest term is the "
    f"{max(terms, key=terms.get)} one"
)

# %% [markdown]
# An input and its damaged copy are close to each other before any training; an image and its caption have yet to be brought together.
#
# **The other loss.** Every method but this one is trained with CLIP's own loss; notebooks 5 and 6 ask whether HMMC is
# better. It has no margin and no single hardest negative: each row of cosines, times an inverse temperature $\tau$ (100 in a
# trained CLIP), becomes probabilities, and the true caption should get all of the probability; columns likewise.
#
# $$L_{\text{CLIP}} = -\frac{1}{2B} \sum_i \left[ \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ij}}}
#   + \log \frac{e^{\tau s_{ii}}}{\sum_j e^{\tau s_{ji}}} \right]$$


# %%
def clip_loss(a, b, tau=100.0):
    s = tau * a @ b.T  # (B, B)
    own = s.diagonal()
    rows = s.logsumexp(dim=1) - own  # (B,)   -log of the true caption's probability
    columns = s.logsumexp(dim=0) - own  # (B,)   -log of the true image's
    return (rows.mean() + columns.mean()) / 2


tau = clip.logit_scale.item()
assert torch.allclose(clip_loss(v, t, tau), losses.clip_loss(v, t, tau), atol=1e-4)


def push_on_negatives(loss, similarity):
    """Of the gradient on all negatives of each row, the share on the strongest one."""
    s = similarity.clone().requires_grad_()
    loss(s).backward()
    pushed = s.grad.clamp(min=0).fill_diagonal_(0)
    return (pushed.amax(dim=1) / pushed.sum(dim=1).clamp(min=1e-9)).mean()


in_rows = {
    "hinge, hardest": lambda s: (
        (0.2 + s - s.diag()[:, None]).fill_diagonal_(0).clamp(min=0).amax(dim=1).sum()
    ),
    "hinge, sum": lambda s: (
        (0.2 + s - s.diag()[:, None]).fill_diagonal_(0).clamp(min=0).sum()
    ),
    "CLIP's loss": lambda s: ((tau * s).logsumexp(dim=1) - tau * s.diag()).sum(),
}
for name, loss in in_rows.items():
    print(
        f"{name:14} {push_on_negatives(loss, v @ t.T):4.0%} of the push goes to one "
        "negative"
    )

# %% [markdown]
# Three ways to share the push among the negatives of a row: all of it on the hardest, the same on each within the margin, or more on
# the harder ones. Section 8 crosses the first two with the paper's other terms; notebooks 5 and 6 compare all three.
#
# Play with four pairs: drag a similarity across the dashed line and see when a negative begins to push. What does the loss do
# when you change from the hardest negative to the sum?

# %%
from rsnb.classroom.widgets.hinge import hinge_playground

lesson.touch(hinge_playground())

# %% [markdown]
# <details><summary>Answer</summary><p>A negative pushes as soon as its cosine comes within the margin of the true pair's,
# long before it is larger. With the sum the loss is as large or larger: every negative within the margin counts, not only the
# worst one of its row or column. Where there is only one, both are equal.</p></details>
#
# <!-- live: loss -->

# %% [markdown]
# Now one step, on this batch only, with only the adapter moving.

# %%
optimizer = torch.optim.Adam(model.trainable().values(), lr=config.lr)
(v, v2), (t, t2) = (
    model.encode_twice("image", pixels),
    model.encode_twice("text", tokens),
)
losses.hmmc(v, t, v2, t2).backward()
optimizer.step()
with torch.no_grad():
    change = (model.encode_image(pixels) - before[0]).abs().max()
print(f"largest change in an image embedding after one step: {change:.4f}")
assert all(
    p.grad is None for p in model.clip.parameters()
)  # CLIP itself got no gradient

# %% [markdown]
# ## 8. A short training, live
#
# > **Predict.** Three panels will appear: the loss parts, validation mR (the mean of the six recalls), and the mean cosine between
# > the items of a batch. Which part of the loss comes down furthest, in absolute terms? Does the mean intra-modal cosine fall, stay, or
# > rise from the first epoch on? (Notebook 4 comes back to the last one.)

# %%
clip = s.clip()  # a fresh copy: this cell can be run again
EPOCHS = s.epochs or (4 if runs else 10)
live = config.replace(epochs=EPOCHS, batch_size=min(config.batch_size, s.batch_size))
zero_shot = rsnb.evaluate(clip, test)
zero_shot_val = rsnb.evaluate(clip, val)
lesson.record("Zero-shot CLIP", zero_shot, trainable=0)

model = rsnb.adapt(clip, live.method, seed=s.seed, **live.options)
result = lesson.train(model, train, val, live, start=zero_shot_val.mr)

# %% predicted=""
adapted = rsnb.evaluate(model, test)
done = lesson.epochs_of(result, live)
lesson.record(f"MRS-Adapter + HMMC, {done} live", adapted, here, result.seconds)
said = (
    f"Trained: {done}. Validation chose epoch {result.best_epoch}; the model now holds "
    f"its weights. On the test part, mR goes from **{zero_shot.mr:.1f}** (zero-shot) "
    f"to **{adapted.mr:.1f}**, with {here:,} trained parameters. "
)
if result.history:
    first, last = result.history[0], result.history[-1]
    parts = {"cross": "cross-modal", "image": "intra-image", "text": "intra-text"}
    fall = {
        name: first[f"loss_{part}"] - last[f"loss_{part}"]
        for part, name in parts.items()
    }
    said += (
        f"From the first epoch to the last, the {max(fall, key=fall.get)} part of the "
        f"loss came down furthest, by {max(fall.values()):.2f} per pair (in batches of "
        f"{live.batch_size}: larger batches have harder negatives, so compare losses "
        "only at one batch size), and the mean "
        f"image-image cosine of a batch went from {first['intra_image_cos']:.2f} to "
        f"{last['intra_image_cos']:.2f}, text-text from {first['intra_text_cos']:.2f} "
        f"to {last['intra_text_cos']:.2f}."
    )
display(Markdown(said))

# %%
rows = [
    {"method": "Zero-shot CLIP", "trained": 0, **recall_columns(zero_shot)},
    {"method": f"MRS-Adapter, {done}", "trained": here, **recall_columns(adapted)},
]
lesson.table(
    rows, "Test recalls in percent. i2t: image to text; t2i: text to image", digits=1
)

# %% [markdown]
# Watch for one failure that has a name: **collapse**. Before training the hardest negative wins for most images (notebook 2), and their hinge
# is larger than the margin. If all embeddings become one point, every cosine is 1 and every hinge *is* the margin: collapsing lowers the
# cross-modal term at once, and mR falls towards that of guessing. (FaceNet, Schroff et al. 2015, met it when mining the hardest negatives.)
# Training may also stop on the way, with embeddings that crowd together and an mR far below what others reach. The two intra-modal terms oppose both: an image has to differ from other images, a caption from other captions. Here is training
# under each kind of mining with none, one and both of them, each at a learning rate chosen on validation, from the result files of notebook 6.
# *Semi-hard* mines the hardest negative that is still less similar than the positive; *sum* counts every negative within the margin.
# The verdict compares a row with the paper's loss (hardest, both) over seeds and test images. Both are compared on the same images, so the
# interval of their difference, not the spread of each alone, decides. The verdict also allows for the number of rows: an interval that just
# clears zero is not enough when so many are compared. Notebook 5 explains how.

# %%
study = read_studies().get("mining x intra-modal") if s.is_toy else None
if study and s.backbone == "mini":
    rows = [
        {
            "mining": r["mining"],
            "intra-modal terms": r["intra-modal terms"],
            "test mR": r["mR"],
            "± over seeds": r["sd"],
            "two images (cosine)": r["image cosine"],
            "two captions (cosine)": r["text cosine"],
            "95 % interval": f"{r['low']:+.1f} to {r['high']:+.1f}"
            if r["verdict"] != "baseline"
            else "",
            "verdict": r["verdict"],
        }
        for r in study["rows"]
    ]
    lesson.table(
        rows,
        "What keeps the embeddings apart?",
        digits=2,
        stamp=f"{study_stamp(study)} · from result files",
    )

# %% [markdown]
# Read it in two steps. With the hardest negative, a modality without a term of its own stays crowded and mR falls behind, far behind where
# neither has one; with both terms both modalities are held apart. With the other two kinds of mining the cosines are low without any
# term, so there is nothing left to hold apart, and no row is worse than the paper's loss. Here the terms mend what mining the hardest
# negative breaks; whether another mining needs them at all, notebook 6 asks.
#
# ## 9. Full-length runs
#
# One short run proves nothing about methods. These are runs of full length, several seeds each, with settings chosen on
# validation for each method. Where similarities are equal, the order is left to chance and the recall is the expected one
# (notebook 6 says why), so an mR may differ by a tenth from one above, a single recall by half a point.
# MRS-Adapter trains with HMMC here, the other two with CLIP's loss; notebook 5 crosses methods and losses. HMMC encodes everything
# twice, hence its seconds.
#
# > **Predict.** Order them by test mR: zero-shot, linear probe (one linear map per modality on the frozen embeddings, started at random and
# > trained with CLIP's loss), MRS-Adapter with HMMC, full fine-tuning.

# %% exercise="best_epoch"

# %%
if runs:
    table = average_runs(runs)
    least, most = (
        pick(run.seeds for run in table if run.trainable) for pick in (min, max)
    )
    seeds = f"{most}" if least == most else f"{least} to {most}"
    stamp = f"{runs[0].stamp} · {seeds} seeds · from result files"
    rows = [
        {
            "method": run.title,
            "trained": run.trainable,
            **recall_columns(run),
            "± over seeds": run.spread,
            "seconds": run.seconds,
        }
        for run in table
    ]
    lesson.table(
        rows, "Test recalls in percent, mean over the seeds", digits=1, stamp=stamp
    )
    lesson.show(run_bars(runs, "How far does each method get?"), "methods", stamp=stamp)
    for run in table:
        if run.method != "zero_shot":  # which is recorded already
            name = f"{run.title}, full length, mean of {run.seeds}"
            lesson.record(name, run, run.trainable, run.seconds, spread=run.spread)
else:
    print(
        f"No result files for {s.data} with {s.backbone}; `rsnb benchmark` writes "
        "them. Only the live run above is shown."
    )

# %%
if runs:
    lesson.show(run_curves(runs, "How does validation mR grow?"), "curves", stamp=stamp)
    mr = {run.method: run.mr for run in table}
    best = max(table, key=lambda run: run.mr)
    spread = max(run.spread for run in table)
    zero, probe, mrs, tuned = (
        mr.get(key) for key in ("zero_shot", "linear_probe", "mrs", "full")
    )
    lines = [
        f"- best here: **{best.title}** ({best.mr:.1f}); the widest standard deviation "
        f"over seeds is {spread:.1f}. Which "
        "gaps are larger than chance, notebook 5 asks"
    ]
    if zero and tuned:
        lines.append(
            f"- zero-shot reaches {zero / tuned:.2f} of full fine-tuning (0.49 to 0.63 "
            "in the paper)"
        )
    if mrs and tuned:
        lines.append(
            f"- MRS-Adapter reaches {mrs / tuned:.2f} of full fine-tuning with "
            f"{here / whole:.1%} of its parameters"
        )
        if mrs < 0.9 * tuned:
            lines.append(
                "- **The paper's finding (the adapter about as good as full "
                "fine-tuning) does not appear here.** See below why it may not."
            )
    if mrs and probe:
        lines.append(f"- MRS-Adapter minus linear probe: {mrs - probe:+.1f} mR")
    display(Markdown("\n".join(lines)))

# %% [markdown]
# **How to read a gap to full fine-tuning.** An adapter steers what the frozen backbone can already distinguish; it cannot add
# what is missing. In the paper zero-shot CLIP already reaches about half of full fine-tuning, because web photographs hold much of what
# a satellite image holds. A backbone whose pre-training was narrower starts lower and leaves the adapter less to steer. And the
# validation mR of the adapter may still rise at the last epoch while full fine-tuning has levelled off: the curves above show it.
# Validation mR lies below test mR because the validation part has more images, and so more rivals for each.
# The paper's protocol shows each image 150 times (30 epochs of five captions); these runs show it far less often. Nothing here was
# tuned on the test part to make the picture agree.

# %% [markdown]
# ## Recap
#
# - MRS-Adapter: two down-projections, two up-projections, one shared slice, parallel to the MLP, the same in every block. Five linear layers.
# - Its up-projections start at zero, so training starts at zero-shot CLIP exactly, and only the adapter moves.
# - HMMC: three bidirectional hinges on the hardest in-batch negative; the two intra-modal ones compare an input with a damaged
#   copy of itself.
# - Choose the best epoch on validation, report the number from test, use several seeds, and put the spread beside the mean.

# %% [markdown]
# ## Quiz
#
# 1. To be safe, a student sets the weights and biases of the *down*-projections to zero as well. Step 0 is still zero-shot CLIP.
#    What will training change?
#
# <details><summary>Answer</summary><p>Only the biases of the up-projections: a constant added to every token. With the down-projection at
# zero, z = 0, so the weights of the up-projection get no gradient; as those are zero, nothing comes back to the down-projection either,
# and that does not change in any later step. <i>Tempting:</i> nothing at all, or everything as usual. One of the two factors of a
# product may start at zero, not both.</p></details>

# %% [markdown]
# 2. The text tower's own projections, down and up, are frozen at their initial values, and the rest is trained on images alone. Does the
#    embedding of a caption change?
#
# <details><summary>Answer</summary><p>Yes. The down-projection of the text tower is random, not zero, so its z is not zero, and
# the shared up-projection turns it into the last d features of the stream. What the images teach the shared slice moves the
# captions. <i>Tempting:</i> no, since no caption sends a gradient. A gradient is needed to be taught, not to be
# affected.</p></details>

# %% [markdown]
# 3. A row of a cosine matrix has the positive 0.90 and the negatives 0.65, 0.72 and 0.50. What does it cost with margin
#    0.2, and which negatives are pushed?
#
# <details><summary>Answer</summary><p>0.2 + 0.72 − 0.90 = 0.02, and only the 0.72 is pushed. The hinge takes the hardest
# negative; the 0.65 would be outside the margin anyway. <i>Tempting:</i> no cost, since the positive is already
# ranked first. Retrieval would be satisfied; the hinge asks for a lead of 0.2. CLIP's loss, in contrast, would push all three a
# little.</p></details>

# %% [markdown]
# 4. Suppose nothing is dropped from the damaged copy: v′ = v. Is the term T(v, v′) zero, and does it still teach the
#    adapter anything?
#
# <details><summary>Answer</summary><p>The positives are 1 and cannot improve, but the term is zero only if no two images
# have a cosine above 0.8. Otherwise it pushes them apart. <i>Tempting:</i> zero, since everything is compared with
# itself. That is true of the diagonal; the hinge also looks off it. What dropout adds is a second task: to
# recognise an input despite the damage.</p></details>

# %% [markdown]
# 5. All embeddings collapse to one point. What is T(v, t) for a batch of 16, and why can training end there?
#
# <details><summary>Answer</summary><p>Every cosine is 1, so each of the 16 rows and 16 columns costs the margin: 32 × 0.2 =
# 6.4. Before, a hardest negative above its positive cost more than the margin, so collapse can lower the loss.
# <i>Tempting:</i> the loss must be large when nothing can be distinguished. The loss knows only differences of cosines, and
# these are all zero; mR shows it, and so does the mean cosine.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The mini CLIP has a few million parameters and saw drawings; ViT-B/32 has 151
# million and saw hundreds of millions of photographs. Its adapter therefore holds a larger share of the parameters than the
# paper's 0.1 %, and what a frozen backbone can offer an adapter differs: an adapter steers features, it cannot make them. The
# paper trains with batches of 16, every caption in every epoch, at 2e-4; the settings here were chosen for the toy world (`config`
# holds them, `rsnb.TrainConfig.paper()` holds the paper's).
#
# **Try it.** Begin with a fresh `clip = s.clip()`, as a CLIP carries one method at a time. Give `rsnb.adapt` the option `shared=0`: how
# many parameters are there then, and what can the two modalities no longer teach each other? Train with `live.replace(weights=(1, 0, 0))`,
# the cross-modal term alone: what happens to the third panel of the curves, and to validation mR?
#
# **Next:** notebook 4 looks at what the trained model retrieves, and where it fails.

# %% [markdown]
# ## Further reading
#
# - Yuan, Zhan, Xiong. *Parameter-Efficient Transfer Learning for Remote Sensing Image-Text Retrieval.* IEEE TGRS 61, 2023.
#   [doi:10.1109/TGRS.2023.3308969](https://doi.org/10.1109/TGRS.2023.3308969). MRS-Adapter and HMMC as their authors
#   present them.
# - Houlsby, Giurgiu, Jastrzebski et al. *Parameter-Efficient Transfer Learning for NLP.* ICML 2019.
#   [arXiv:1902.00751](https://arxiv.org/abs/1902.00751). Adapters in a transformer, and why they start near the identity.
# - Chen, Ge, Tong et al. *AdaptFormer: Adapting Vision Transformers for Scalable Visual Recognition.* NeurIPS 2022.
#   [arXiv:2205.13535](https://arxiv.org/abs/2205.13535). The adapter beside the MLP instead of after it.
# - Faghri, Fleet, Kiros, Fidler. *VSE++: Improving Visual-Semantic Embeddings with Hard Negatives.* BMVC 2018.
#   [arXiv:1707.05612](https://arxiv.org/abs/1707.05612). The bidirectional hinge on the hardest negative.
# - Gao, Yao, Chen. *SimCSE: Simple Contrastive Learning of Sentence Embeddings.* EMNLP 2021.
#   [arXiv:2104.08821](https://arxiv.org/abs/2104.08821). Dropout alone makes the second view, as in the intra-modal terms.
