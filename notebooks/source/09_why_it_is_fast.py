# %% [markdown]
# # 9 · Why it is fast
#
# **You will learn** what one training step of the published method spends its time and memory on, which of that work cannot change
# the result, how to leave it out without changing a number by more than rounding, and how to prove it.
#
# **You need** Notebook 3 for the adapter and its loss. This one runs on its own.
#
# **Minutes** 30 to work through; less than one to run.
#
# **Runs on** captions of the toy world and the mini CLIP, and at the end on measurements of ViT-B/32 that `rsnb bench` wrote. Real
# captions: `RSNB_DATA=ucm RSNB_ROOT=<folder>`.

# %%
import time

import rsnb
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from rsnb import fast, lesson, losses, plots
from rsnb.settings import backbone_stamp
from rsnb.studies.speed.accounting import AT_THE_RATE
from rsnb.studies.speed.command import default_bench_arguments
from rsnb.studies.speed.figures import waterfall, where_the_time_goes
from rsnb.studies.speed.measurements import savings_one_by_one
from rsnb.studies.speed.pair import Pair
from rsnb.studies.speed.tables import load_measurement, ratios

s = lesson.setup()
clip = s.clip()
for p in clip.parameters():
    p.requires_grad_(False)  # CLIP is frozen; only an adapter will learn
captions, _ = s.dataset("train").captions
tokens = clip.tokenizer(captions[:512])  # (N, context length)
print(
    f"context length {clip.context_length}, {len(tokens)} captions; widths "
    f"{clip.widths}, blocks {clip.depths}"
)

# %% [markdown]
# ## 1. What a step costs
#
# A transformer block of width $w$ multiplies every token by about $12 w^2$ weights: $4 w^2$ in attention (queries, keys, values, output)
# and $8 w^2$ in the MLP. A multiplication and an addition each are $24 w^2$ operations forward, and about as many again in the backward pass
# (the weights are frozen, so only the stream needs a gradient). So a step takes nearly
#
# $$\text{passes} \times \text{tokens} \times \text{blocks} \times 48\,w^2 \;\text{operations}$$
#
# HMMC needs four passes (image, text, and a twin of each with token dropout), as published, each over its full length. Nothing in
# this product concerns the adapter: it is a few percent of the work. To be faster, **pass fewer tokens**.
#
# > **Predict.** Every caption is padded to the context length. What share of the positions is padding?

# %%
length = tokens.argmax(dim=1) + 1  # EOS has the largest id, and ends the caption
figure = plots.histogram(
    {"captions": length.float()},
    "tokens, with start and end",
    "How long are captions?",
    ylabel="share of captions (%)",
    discrete=True,
)
lesson.show(figure, "tokens")
print(
    f"mean {length.float().mean():.1f}, longest {length.max()}, of "
    f"{clip.context_length}; "
    f"padding: {1 - length.float().mean() / clip.context_length:.0%}"
)

# %% [markdown]
# ## 2. Four savings that are exact
#
# **Cut the captions.** The text tower is causal: a token attends to itself and to what comes before it. Padding follows the end,
# so the embedding of EOS cannot depend on it. Here is one block, with all positions and with only the first $L$.
#
# > **Predict.** By how much will the outputs at the first $L$ positions differ?

# %%
text = getattr(clip.model, "text", clip.model)
block, mask = text.transformer.resblocks[0], text.attn_mask
longest = int(length[:64].max())
with torch.no_grad():
    x = (
        text.token_embedding(tokens[:64]) + text.positional_embedding
    )  # (N, context, width)
    whole = block(x, attn_mask=mask)
    cut = block(x[:, :longest], attn_mask=mask[:longest, :longest])
gap = (whole[:, :longest] - cut).abs().max().item()
print(f"{x.shape[1]} positions or {longest}: largest difference {gap:.0e}")
assert gap < 1e-5

# %% [markdown]
# **The last block for one token.** Only CLS (image) or EOS (text) becomes the embedding. The last block still needs keys and values of
# all tokens, but queries, output and the whole MLP of only that one:

# %%
visual = clip.model.visual
block, width = visual.transformer.resblocks[-1], clip.widths["image"]
attention, heads = block.attn, block.attn.num_heads
W, b = attention.in_proj_weight, attention.in_proj_bias  # (3 width, width)


def heads_of(x):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (N, heads, L, width / heads)


with torch.no_grad():
    x = torch.randn(
        8, 1 + clip.grid[0] * clip.grid[1], width
    )  # (N, 1 + patches, width)
    normed = block.ln_1(x)
    q = F.linear(normed[:, :1], W[:width], b[:width])  # (N, 1, width): CLS alone
    k, v = F.linear(normed, W[width:], b[width:]).chunk(2, dim=-1)  # (N, L, width)
    out = (
        F.scaled_dot_product_attention(heads_of(q), heads_of(k), heads_of(v))
        .transpose(1, 2)
        .flatten(2)
    )
    cls = x[:, :1] + attention.out_proj(out)
    cls = cls + block.mlp(block.ln_2(cls))
    gap = (cls - block(x)[:, :1]).abs().max().item()
print(f"CLS alone against the whole block: largest difference {gap:.0e}")
assert gap < 1e-4

# %% [markdown]
# **Two views, one batch.** The clean view and its twin differ only in the dropout after the embedding. Patches and words are embedded
# once, and both views go through the blocks as one batch of $2B$: the same work in fewer, larger matrix products.
#
# **Keep less.** Autograd keeps what the backward pass will need, for every block, until the loss is known. That is the memory of training.
# But some of it can be recomputed from the rest, cheaply. QuickGELU is $g(x) = x\,\sigma(1.702\,x)$. Written with torch's operations it keeps
# two tensors; its derivative needs one:
#
# $$g'(x) = \sigma(1.702\,x) + 1.702\,x\,\sigma(1.702\,x)\,\bigl(1 - \sigma(1.702\,x)\bigr)$$


# %%
class LightQuickGELU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)  # x alone
        return x * torch.sigmoid(1.702 * x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(1.702 * x)  # recomputed
        return grad * (s + 1.702 * x * s * (1 - s))


def kept(function, x):
    """Numbers that the backward pass keeps for each one of x."""
    seen = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: seen.setdefault(t.data_ptr(), t), lambda t: t
    ):
        function(x).sum().backward()
    return sum(t.numel() for t in seen.values() if t.ndim) / x.numel()


x = torch.randn(1000, requires_grad=True)
for name, function in {
    "operations": lambda x: x * torch.sigmoid(1.702 * x),
    "light": LightQuickGELU.apply,
}.items():
    x.grad = None
    print(
        f"{name:11} keeps {kept(function, x):.0f} numbers for each of x; gradient "
        f"{x.grad[:3].tolist()}"
    )
theirs = torch.autograd.grad(fast.LightQuickGELU.apply(x).sum(), x)[0]
assert torch.allclose(theirs, x.grad, atol=1e-5)  # rsnb's, by torch's own silu

# %% [markdown]
# Attention is treated in the same way: keep queries, keys and values, recompute the softmax. A fifth saving does change numbers, but only
# by rounding. **bf16** has fp32's range with 8 bits of precision, and newer processors multiply such numbers several times faster. The
# frozen CLIP runs in bf16; the adapter and the loss, where small differences matter, stay in fp32. And as CLIP is frozen, its weights are
# **cast once** and kept, where autocast casts them again in every step.
#
# ## 3. Proof: embeddings and gradients
#
# `rsnb.fast` does all of this for every method of notebook 5, and is on by default. `model.fast(False)` goes back to open_clip's own forward
# with hooks. Both on the same batch, with an adapter that is no longer zero:
#
# > **Predict.** In fp32, how large is the largest difference in an embedding? And in bf16, how parallel are the gradients?

# %%
model = rsnb.adapt(clip, "mrs", seed=s.seed)
torch.manual_seed(s.seed)
for p in model.trainable().values():
    torch.nn.init.normal_(p, std=0.02)  # zeros would hide a mistake
pixels, words = torch.randn(16, 3, clip.image_size, clip.image_size), tokens[:16]


def step(way, precision):
    """Embeddings (2B, D) and the adapter's gradient, as one long vector."""
    model.fast(
        way == "rsnb.fast"
    ).eval().zero_grad()  # eval: no dropout, so that all see the same
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        image, text = model.encode_image(pixels), model.encode_text(words)
    losses.triplet(image, text, margin=1.0).backward()
    return torch.cat([image, text]).detach(), torch.cat(
        [p.grad.flatten() for p in model.trainable().values()]
    )


exact, slope = step("open_clip", "fp32")
rows = []
for way, precision in (
    ("rsnb.fast", "fp32"),
    ("open_clip", "bf16"),
    ("rsnb.fast", "bf16"),
):
    found, grad = step(way, precision)
    rows.append(
        {
            "forward": way,
            "precision": precision,
            "largest difference": f"{(found - exact).abs().max():.0e}",
            "least cosine of embeddings": f"{(found * exact).sum(dim=1).min():.6f}",
            "cosine of gradients": f"{F.cosine_similarity(grad, slope, dim=0):.6f}",
        }
    )
    assert precision == "bf16" or (found - exact).abs().max() < 1e-5
lesson.table(rows, "Against open_clip's own forward in fp32")
clip = model.fast().detach()

# %% [markdown]
# ## 4. One saving at a time, on this machine
#
# `fast.without("cut", ...)` leaves savings out by name, so each can be priced. *As published* is a plain version written from the paper's
# description (`rsnb/studies/speed/plain.py`): four passes, full length, fp32. All variants take turns, and on a CPU processor
# seconds are counted, so a busy moment hurts none of them.
#
# > **Predict.** Order them by what they save: cut captions, one batch for both views, the last block, keep less, bf16. Which of them saves
# > memory but no time?

# %%
batch, rounds = (8, 1) if s.quick else (32, 3) if s.backbone == "mini" else (16, 1)
args = default_bench_arguments(backbone=s.backbone, batch_size=batch, rounds=rounds)
started = time.perf_counter()
steps = savings_one_by_one(args, Pair(args))
stamp = (
    f"{backbone_stamp(s.backbone, s.pretrained)} (weights do not matter) · batch "
    f"{batch} · this machine, now"
)
lesson.show(
    waterfall(steps, "A training step, one saving after the other"),
    "waterfall",
    stamp=stamp,
)
print(f"measured in {time.perf_counter() - started:.0f} s")

# %% [markdown]
# ## 5. The same for ViT-B/32
#
# Larger matrices use a processor better, and a context of 77 tokens is mostly padding. These figures come from a result file that
# `rsnb bench` wrote; a ratio means more than a time on another machine.
#
# > **Predict.** Which saving will gain most in importance from the mini CLIP to ViT-B/32?

# %%
results = load_measurement("step-cpu")
if results:
    threads = results["machine"]["threads"]
    work = f"batch {results['batch_size']} · {threads} CPU thread{'s' * (threads != 1)}"
    machine = f"{results['backbone']} · {work} · from a file"
    lesson.show(
        waterfall(
            results["waterfall"],
            "ViT-B/32: a training step, one saving after the other",
        ),
        "vit",
        stamp=machine,
    )
    lesson.table(
        ratios(),
        "Times as fast as the plain version, and share of its memory",
        stamp=machine,
    )
else:
    print("no result file here: rsnb bench --out data/results/speed/step-cpu.json")

# %% [markdown]
# Compare the two figures: cutting the captions gains most, since the longer the context, the larger the part of it that is padding.
#
# And what is left? Each operation of one more step was timed, forward and backward. The matrix products of the frozen CLIP are compared
# with the best rate at which this machine multiplies matrices of that kind.
#
# > **Predict.** If all work but these products took no time at all, how many times faster could the step still become?

# %%
account = (results or {}).get("account")
if account:
    lesson.show(
        where_the_time_goes(account, "ViT-B/32: where a step's time goes"),
        "account",
        stamp=machine,
    )
    lesson.table(account["rows"], "Seconds of a step, by kind of work", stamp=machine)
    shares = {row["name"]: row["share"] for row in account["rows"]}
    at_best = shares[AT_THE_RATE]
    display(
        Markdown(
            f"**{account['accounted']:.0%} of the step is accounted for by name.** "
            "Products at the machine's best rate "
            f"({account['gflop_a_second_at_best']:.0f} billion operations per second) "
            f"are {at_best:.0%} of it, so no way of writing the same sums could make "
            f"it more than {1 / at_best:.2f} times as fast."
        )
    )

# %% [markdown]
# The rest is small and each piece has its reason: what the adapter and the softmax need in fp32 is cast there and back, GELU and layer
# norm touch every number once, and dropout draws one for each.
#
# ## 6. What does not help
#
# > **Predict.** Three more ideas: no backward pass through what is frozen, features of the frozen towers kept in a cache, and
# > `torch.compile`. Which of them helps?

# %% [markdown]
# - **Training only the adapter** does not save the backward pass: the gradient still runs down through every frozen block.
# - **Caching the frozen features** is not possible: the adapters sit inside the blocks, from the first one on, and the second view is
#   redrawn in every step. (For a head after the towers it would be possible.)
# - **`torch.compile`** has little left to fuse here, and recompiles for every new caption length: it took minutes to start, and the step
#   was slower than before.
#
# With several GPUs, `torchrun --nproc_per_node N -m rsnb train` gives each its share of the batch and gathers the embeddings with their
# gradients, so that the hardest negative is found in the whole batch: the same loss and gradients as one process.

# %%
if results:
    first, last = results["waterfall"][0], results["waterfall"][-1]
    top = max(
        zip(results["waterfall"], results["waterfall"][1:]),
        key=lambda pair: pair[0]["seconds"] - pair[1]["seconds"],
    )
    display(
        Markdown(
            f"On ViT-B/32 the step went from {first['seconds']:.1f} s to "
            f"{last['seconds']:.1f} s, "
            f"**{first['seconds'] / last['seconds']:.1f} times as fast**, and keeps "
            f"{last['megabytes_kept'] / first['megabytes_kept']:.2f} of the memory. "
            f"The largest single saving of time was: *{top[1]['name']}*."
        )
    )

# %% [markdown]
# ## Recap
#
# - The cost of a step is passes times tokens. Padding after EOS, and all but one token of the last block, cannot change the result.
# - What autograd keeps is the memory of training; cheap functions can be recomputed instead.
# - Frozen weights are cast to bf16 once; what learns stays in fp32.
# - An optimisation is finished when a test says that the numbers did not change, for every method, embeddings and gradients.

# %% [markdown]
# ## Quiz
#
# 1. Captions may be cut after EOS without changing a number. Why may no patch of an image be left out in the same way?
#
# <details><summary>Answer</summary><p>Attention between patches is not causal: CLS attends to all of them, and each is a
# piece of the image. After EOS comes padding, to which no token before it attends. <i>Tempting:</i> because CLS comes
# first and EOS last. The place does not matter; what matters is which tokens the pooled one can see.</p></details>

# %% [markdown]
# 2. In the last block only the pooled token is computed in full. Why not in the last two blocks?
#
# <details><summary>Answer</summary><p>The last block needs keys and values of all tokens, and these are made from the
# outputs of the block before it, for every token. Only after the last attention are the others no longer needed.
# <i>Tempting:</i> yes, because only one token becomes the embedding. One token is read at the end, but on the way there it
# reads all others.</p></details>

# %% [markdown]
# 3. QuickGELU's sigmoid is recomputed in the backward pass instead of being kept. Can a dropout mask be treated in the same
#    way?
#
# <details><summary>Answer</summary><p>Only if exactly the same mask comes out again, from a kept seed or random state. A
# new draw gives the gradient of a different function from the one computed forward. <i>Tempting:</i> yes, as drawing is cheap.
# Recomputed must mean equal: the sigmoid is a function of x, which is kept, and the mask is not.</p></details>

# %% [markdown]
# 4. A step spends 60 % of its time in the text tower. Cutting captions makes that tower five times as fast. How much faster
#    is the step?
#
# <details><summary>Answer</summary><p>1 / (0.4 + 0.6 / 5) ≈ 1.9 times. Even a text tower that costs nothing would give no
# more than 1 / 0.4 = 2.5. <i>Tempting:</i> five times, or three. What is not made faster sets the limit, and so the
# same saving is worth a different amount after other savings than before them.</p></details>

# %% [markdown]
# 5. A rewritten forward differs from the old one by 1e-6 in fp32, with adapters that are still zero. Is it right up to
#    rounding?
#
# <details><summary>Answer</summary><p>The test cannot say. Zero adapters hide every mistake in the part that concerns them,
# and a small mistake may be of this size, too. Give the adapters random weights, compare gradients as well, and repeat in
# fp64: rounding shrinks by many orders of magnitude, a mistake stays. <i>Tempting:</i> yes, because 1e-6 looks like
# rounding.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The mini CLIP has a context of 32 tokens (77 in a real CLIP), 65 image tokens and narrow
# matrices, so that cutting captions saves less and everything around the matrix products weighs more.
#
# **Try it.** Leave out a single saving each time instead of adding them up (`with fast.without("pooled"): ...`): do the effects add up? Give
# `default_bench_arguments` a batch of 8 and of 128: what changes?
#
# **Next:** notebook 10 hides bugs in code like this and asks you to find them.

# %% [markdown]
# ## Further reading
#
# - Dao, Fu, Ermon, Rudra, Ré. *FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness.* NeurIPS 2022.
#   [arXiv:2205.14135](https://arxiv.org/abs/2205.14135). Exact attention that recomputes its softmax in the backward pass.
# - Chen, Xu, Zhang, Guestrin. *Training Deep Nets with Sublinear Memory Cost.* 2016.
#   [arXiv:1604.06174](https://arxiv.org/abs/1604.06174). Recomputing instead of keeping, for whole layers.
# - Micikevicius, Narang, Alben et al. *Mixed Precision Training.* ICLR 2018.
#   [arXiv:1710.03740](https://arxiv.org/abs/1710.03740). Which numbers have to stay in fp32, and why.
# - Kalamkar, Mudigere, Mellempudi et al. *A Study of BFLOAT16 for Deep Learning Training.* 2019.
#   [arXiv:1905.12322](https://arxiv.org/abs/1905.12322). The format that keeps fp32's range.
# - Williams, Waterman, Patterson. *Roofline: An Insightful Visual Performance Model for Multicore Architectures.*
#   Communications of the ACM 52(4), 2009. [doi:10.1145/1498765.1498785](https://doi.org/10.1145/1498765.1498785). Whether
#   arithmetic or memory limits a program.
