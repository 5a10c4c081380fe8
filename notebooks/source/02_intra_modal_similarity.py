# %% [markdown]
# # 2 · Intra-modal similarity
#
# **You will learn** how similar overhead images are to each other in CLIP's space, and how similar their captions are;
# how that compares with natural images and with a control; and which part of it makes in-batch negatives hard. The
# paper's loss, HMMC, starts from this observation.
#
# **You need** dot products. Notebook 1 helps, but is not required.
#
# **Minutes** 35 to work through, 62 more for its exercises; about half a minute to run.
#
# **Runs on** the toy world and the mini CLIP, a small CLIP pre-trained by this project on a drawn *web world*. Real data:
# `RSNB_DATA=ucm RSNB_ROOT=<folder>`; another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`.
#
# No model is trained here. Everything is zero-shot: CLIP as it was pre-trained.

# %%
import os

import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import lesson, plots, similarity
from rsnb.worlds.natural import natural_pictures

s = lesson.setup()

# %% [markdown]
# ## 1. Embed once, compare often
#
# CLIP has two towers. Each turns its input into one vector of the same width $D$, scaled to length 1:
#
# $$v_i = \frac{f_{\text{image}}(\text{image}_i)}{\lVert f_{\text{image}}(\text{image}_i) \rVert}, \qquad
#   t_j = \frac{f_{\text{text}}(\text{caption}_j)}{\lVert f_{\text{text}}(\text{caption}_j) \rVert}$$
#
# | | shape | what |
# |---|---|---|
# | `image` | $(N, D)$ | one row per image |
# | `text` | $(N, D)$ | one row per caption; here one random caption of each image |
# | `image @ image.T` | $(N, N)$ | cosine of every image with every image |
# | `image @ text.T` | $(N, N)$ | cosine of every image with every caption; true pairs on the diagonal |
#
# > **Predict.** Four images go in. What is the shape of the output, and what length does each row have?

# %% predicted="[tuple(few.shape), few.norm(dim=1).tolist()]"
clip, test = s.clip(), s.dataset("test")
with torch.no_grad():
    few = clip.encode_image(
        torch.stack([clip.preprocess(test.image(i)) for i in range(4)])
    )
print("four images:", tuple(few.shape), "  their lengths:", few.norm(dim=1).tolist())

# %%
report = rsnb.evaluate(clip, test)  # embeds every image and every caption, once each
assert torch.allclose(report.image_embeddings[:4], few, atol=1e-4)

image = report.image_embeddings  # (N, D)
chosen = similarity.one_caption(
    report.owner, len(image), seed=s.seed
)  # (N,) a caption of each
text = report.text_embeddings[chosen]  # (N, D)
captions = [test.captions[0][i] for i in chosen.tolist()]
print(tuple(image.shape), tuple(text.shape))

# %% [markdown]
# Cosine similarity is then one matrix product. `similarity.cosine` does the same after normalising.

# %%
image_image = image @ image.T
assert torch.allclose(image_image, similarity.cosine(image), atol=1e-5)
text_text, cross = similarity.cosine(text), similarity.cosine(image, text)

order, blocks = similarity.by_class(test.labels)  # rows of one class side by side


def ordered(matrix):
    return matrix[order][:, order]


# %% [markdown]
# ## 2. Image against image
#
# > **Predict.** Two random images of this set: is their cosine near 0 (unrelated), or well above? And two of one class?

# %% exercise="mean_cosine"

# %% exercise="same_and_different"

# %% predicted="{'one class': within.mean().item(), 'two classes': between.mean().item()}"
within, between = similarity.within_between(image_image, test.labels)
groups = {"same class": within, "different classes": between}
figure = plots.similarity_study(
    ordered(image_image),
    blocks,
    groups,
    "How similar are images to each other?",
    "images",
    limits=(0, 1),
)
lesson.show(figure, "image-image")


# %%
def sentence(what, matrix, cross=False):
    within, between = similarity.within_between(matrix, test.labels, cross)
    both = torch.cat([within, between])
    text = f"**{what}:** mean cosine {both.mean():.2f} (spread {both.std():.2f})"
    if len(within) and len(between):
        share = (between > within.median()).float().mean()
        text += (
            f"; within a class {within.mean():.2f}, between classes "
            f"{between.mean():.2f}. {share:.1%} of the pairs from different classes "
            "are more similar than the median pair of one class"
        )
    return text + "."


display(Markdown(sentence("Image against image", image_image)))

# %% [markdown]
# Read the heat map row by row. Bright squares on the diagonal are classes that CLIP keeps together. A bright square *off* the
# diagonal is a pair of classes that it mixes up. Which pair is the brightest?

# %%
if len(blocks) > 1:
    tiles = {
        (a, b): ordered(image_image)[i:j, k:m].mean().item()
        for n, (a, i, j) in enumerate(blocks)
        for b, k, m in blocks[:n]
    }
    pair = max(tiles, key=tiles.get)
    display(
        Markdown(
            f"The brightest square off the diagonal: **{' and '.join(pair)}**, "
            f"{tiles[pair]:.2f} on average; two classes have {between.mean():.2f}."
        )
    )

# %% [markdown]
# ## 3. Text against text
#
# > **Predict.** Captions repeat (notebook 1). Will captions be more or less similar to each other than images?

# %% exercise="retrieval_ceiling"

# %% predicted="[sentence('Images', image_image), sentence('Captions', text_text)]"
within, between = similarity.within_between(text_text, test.labels)
groups = {"same class": within, "different classes": between}
figure = plots.similarity_study(
    ordered(text_text),
    blocks,
    groups,
    "How similar are captions to each other?",
    "captions",
    limits=(0, 1),
)
lesson.show(figure, "text-text")

same_words = sum(captions.count(c) > 1 for c in captions)
display(
    Markdown(
        f"{sentence('Text against text', text_text)} {same_words} of the "
        f"{len(captions)} captions drawn "
        f"here occur among them more than once, word for word; their cosine is 1."
    )
)

# %% [markdown]
# Beside the sentence of section 2, this answers the prediction. It only describes: a mean ranks nothing, and section 4 says more.
#
# ## 4. Image against text
#
# > **Predict.** These are the similarities that retrieval ranks by. Will true pairs lie clearly above the other pairs of one class,
# > and those above pairs of two classes?

# %% predicted="means"
within, between = similarity.within_between(cross, test.labels, cross=True)
groups = {
    "true pairs": cross.diagonal(),
    "same class": within,
    "different classes": between,
}
title = "Do true pairs stand out?"
figure = plots.similarity_study(ordered(cross), blocks, groups, title, "captions")
lesson.show(figure, "cross")

means = ", ".join(
    f"{name} {values.mean():.2f}" for name, values in groups.items() if len(values)
)
display(
    Markdown(
        f"Mean cosine of an image and a caption: {means}. Two random *images* have "
        f"{similarity.pair_values(image_image).mean():.2f}."
    )
)

# %% [markdown]
# Images and captions lie in different regions of the sphere, the *modality gap* (notebook 4 measures it), so a cosine of one kind of
# pair says nothing about the rank of another kind: only ranks within a row or a column count for retrieval. What matters here are the
# distances between the three histograms. Where they overlap, a wrong caption may beat the true one; how often it does,
# section 6 counts image by image.

# %% exercise="alike_and_found"

# %% [markdown]
# ## 5. Natural against overhead
#
# The paper's argument is that overhead images are *more* alike than the natural images that CLIP was made for. To test it we
# need natural images for the same backbone.

# %%
natural = natural_pictures(clip, len(test), folder=os.environ.get("RSNB_NATURAL"))
if natural is None:
    print(
        f"No natural images for {clip.name}: set RSNB_NATURAL to a folder of "
        "photographs."
    )
else:
    print(f"natural:  {len(natural.image)} images, {natural.stamp}")
    print(f"overhead: {len(test)} images, {test.stamp}")

# %% [markdown]
# For the mini CLIP, *natural* means side views of the drawn web world from seeds that pre-training never used: animals,
# things, rooms, landscapes. They take the place of web photographs, the kind of image that a CLIP has seen most. With a real
# backbone, use real photographs: `RSNB_NATURAL=<folder>`.

# %%
if natural is not None:
    step = max(1, len(natural.pictures) // 12)
    some = natural.pictures[::step][:12]
    figure = plots.contact_sheet(some, [""] * 12, "What is used as natural images here")
    lesson.show(figure, "natural", stamp=natural.stamp)

# %% [markdown]
# > **Predict.** Which histogram lies further to the right? Which is narrower?

# %%
if natural is not None:
    pairs = {"image against image": (natural.image, image)}
    if natural.text is not None:
        pairs["text against text"] = (natural.text, text)
    panels = {}
    for name, (a, b) in pairs.items():
        a, b = similarity.cosine(a), similarity.cosine(b)
        panels[name] = {
            "natural": similarity.pair_values(a),
            "overhead": similarity.pair_values(b),
        }
    title = "Is overhead imagery more alike than natural imagery?"
    lesson.show(
        plots.histograms(panels, "cosine similarity", title),
        "natural-overhead",
        stamp=f"{s.stamp} · natural: {natural.stamp}",
    )

# %% predicted=""
if natural is not None:
    lines = []
    for name, pair in panels.items():
        a, b = pair["natural"], pair["overhead"]
        change = float(b.mean() - a.mean())
        verdict = (
            "about equally" if abs(change) < 0.02 else "more" if change > 0 else "less"
        )
        lines.append(
            f"- **{name}:** natural {a.mean():.2f} (spread {a.std():.2f}), overhead "
            f"{b.mean():.2f} (spread {b.std():.2f}): **{verdict}** alike overhead."
        )
    display(Markdown("\n".join(lines)))

# %% [markdown]
# Two causes could be at work: overhead images may *be* more alike, or this backbone may only *see* them as more alike because it
# was not trained on them. For the mini CLIP we can separate the two: its pre-training world also has views from above, drawn in
# a different style from the toy set, and some of them were held out.
#
# > **Predict.** Some views from above look like the ones CLIP was trained on. Where will they lie: with the natural images, or
# > with the overhead images of this data set?

# %%
familiar = (
    natural_pictures(clip, len(test), wanted="overhead")
    if clip.name == "mini"
    else None
)
if familiar is not None and natural is not None:
    some = familiar.pictures[:: max(1, len(familiar.pictures) // 6)][:6]
    figure = plots.contact_sheet(
        some, [""] * len(some), "From above, in the familiar style", columns=len(some)
    )
    lesson.show(figure, "familiar-pictures", stamp="drawn web world, held out")
    groups = {
        "natural": similarity.pair_values(similarity.cosine(natural.image)),
        "from above, familiar style": similarity.pair_values(
            similarity.cosine(familiar.image)
        ),
        "from above, this data set": similarity.pair_values(image_image),
    }
    title = "Is it the view from above, or the unfamiliar look?"
    figure = plots.histogram(groups, "cosine similarity, image against image", title)
    lesson.show(
        figure, "familiar", stamp=f"{s.stamp} · others: drawn web world, held out"
    )
    low, middle, high = (float(values.mean()) for values in groups.values())
    display(
        Markdown(
            f"Views from above in a familiar style have a mean of {middle:.2f}, "
            f"against {low:.2f} for natural images and {high:.2f} for this data set. "
            f"The step from {low:.2f} to {middle:.2f} comes with the view from above, "
            f"the step from {middle:.2f} to {high:.2f} with a look and a choice of "
            "scenes that pre-training did not know."
        )
    )

# %% [markdown]
# The first step of training sees only these embeddings, whatever made them alike. How much training can gain does depend on the cause:
# notebook 4 looks at all three sets again after it.
#
# ## 6. Why in-batch negatives are hard
#
# The paper's argument: if two images are alike, a caption that fits one nearly fits the other, and so similarity within a modality makes
# retrieval between the two difficult. Whether that is what happens here, this section counts. Contrastive training takes, for each image, the
# other captions of the batch as wrong answers: *negatives*. The *hardest* is the one with the highest cosine; the paper's loss, a hinge, looks
# at that one alone. In a batch of $B$ drawn from $N$ images with $n_c$ of class $c$, an item meets on average
#
# $$(B - 1) \sum_c \frac{n_c (n_c - 1)}{N (N - 1)}$$
#
# others of its own class.
#
# > **Predict.** The paper trains with $B = 16$ on about twenty classes. How many is that? In what share of cases is there at
# > least one?

# %% exercise="hardest_negative"

# %% exercise="batch_clash"

# %% predicted="{'others of the class': expected, 'at least one': chance}"
labels, B = similarity.named(test.labels), min(16, len(test))
N, counts = len(labels), {c: labels.count(c) for c in set(labels)}
expected = (B - 1) * sum(n * (n - 1) for n in counts.values()) / (N * (N - 1))
assert abs(expected - similarity.expected_same_class(labels, B)) < 1e-12

rng = torch.Generator().manual_seed(s.seed)
same = similarity.same_label(labels)
drawn = [torch.randperm(N, generator=rng)[:B] for _ in range(500)]
simulated = torch.stack([same[b][:, b].sum(dim=1) - 1.0 for b in drawn])  # (500, B)
chance = similarity.chance_of_same_class(labels, B)
display(
    Markdown(
        f"Batch of {B}: {expected:.2f} others of the same class expected (500 "
        f"simulated batches: {simulated.mean():.2f}); at least one for {chance:.0%} of "
        f"the items. In a batch of {min(128, N)} it would be "
        f"{similarity.expected_same_class(labels, min(128, N)):.1f}."
    )
)

# %% [markdown]
# A negative of the same class may not be wrong at all. Here are some images of one batch; below each is the image of the
# same batch that CLIP finds most similar to it.

# %%
batch = drawn[0]
near = image_image[batch][:, batch].fill_diagonal_(-1).max(dim=1)
rows = near.values.argsort(descending=True).tolist()
mutual = [near.indices[near.indices[i]] == i for i in range(B)]
rows = [i for i in rows if not mutual[i] or i < near.indices[i]][:6]  # each pair once
top = [test.image(int(batch[i])) for i in rows]
below = [test.image(int(batch[near.indices[i]])) for i in rows]
titles = [test[int(batch[i])].label or "" for i in rows]
titles += [
    f"{test[int(batch[near.indices[i]])].label or ''} {near.values[i]:.2f}"
    for i in rows
]
title = f"Six images, and below each the nearest other image of its batch of {B}"
lesson.show(
    plots.contact_sheet(top + below, titles, title, columns=len(rows)), "nearest"
)

# %% [markdown]
# The hinge asks that the true pair beat the hardest negative by a margin of 0.2 in cosine. So what counts is the gap
#
# $$\mathrm{gap}_i = s_{ii} - \max_{j \neq i} s_{ij}$$
#
# Batches are drawn until there are some 2,000 gaps; a *draw* is an image in one of these batches.
#
# > **Predict.** For what share of the images is the gap below 0.2 before any training? For natural images? And for the views from
# > above in a familiar style?

# %%
overhead = similarity.hardest_in_batch(image, text, test.labels, B, seed=s.seed)
groups = {}
for name, other in (
    ("natural", natural),
    ("from above, familiar", familiar if natural is not None else None),
):
    if other is not None and other.text is not None:
        size = min(B, len(other.image))
        groups[name] = similarity.hardest_in_batch(
            other.image, other.text, batch_size=size, seed=s.seed
        ).gap
groups["this data set"] = overhead.gap
figure = plots.histogram(
    groups,
    "gap: true pair minus hardest negative (cosine)",
    f"How hard is the hardest negative in a batch of {B}?",
    ylabel="share of draws (%)",
    line=(0.2, "margin 0.2"),
)
lesson.show(figure, "hardest")

# %% predicted="below"
below = {name: (gap < 0.2).float().mean().item() for name, gap in groups.items()}
wins = {name: (gap < 0).float().mean().item() for name, gap in groups.items()}
lines = [
    f"- **{name}:** gap below the margin for {below[name]:.0%}, below zero (the "
    f"negative wins) for {wins[name]:.0%}"
    for name in groups
]
if len(groups) == 3:
    first, middle, last = groups
    lines.append(
        f"- the negative wins in {wins[first]:.0%}; from above in {wins[middle]:.0%}; "
        f"in a look that the backbone does not know, in {wins[last]:.0%}: "
        + (
            "**most of it is that the pictures are unfamiliar**"
            if wins[last] - wins[middle] > wins[middle] - wins[first]
            else "**most of it is the view from above**"
        )
    )
own = overhead.same_class.float().mean().item()
lines.append(
    f"- this data set: the hardest negative is of the image's own class in {own:.0%} "
    "of all cases (a random negative: "
    f"{expected / (B - 1):.0%}), so in {1 - own:.0%} it is of **another** class"
)
display(Markdown("\n".join(lines)))

# %% exercise="repair_classes"

# %% [markdown]
# Is the hardest negative wrong at all? A negative is *false* if it describes the image as well. For some we can be sure: those that are, word
# for word, one of the image's own captions.

# %%
own_words = [set(item.captions) for item in test]
literal = [
    captions[at] in own_words[item]
    for item, at in zip(overhead.item.tolist(), overhead.at.tolist())
]
print(
    f"{sum(literal):,} of {len(literal):,} hardest negatives are word for word a "
    f"caption of the image ({sum(literal) / len(literal):.1%})"
)

# %%
worst = overhead.gap.argsort()[:60].tolist()
worst = list({int(overhead.item[k]): k for k in reversed(worst)}.values())[-5:]
pairs = [
    [
        (f"{captions[overhead.item[k]]} (its own: {overhead.positive[k]:.2f})", True),
        (f"{captions[overhead.at[k]]} ({overhead.negative[k]:.2f})", False),
    ]
    for k in worst
]
figure = plots.caption_hits(
    [test.image(int(overhead.item[k])) for k in worst],
    [labels[overhead.item[k]] for k in worst],
    pairs,
    "The five worst cases: are these negatives wrong?",
)
lesson.show(figure, "hardest-negatives")

# %% [markdown]
# These are the five with the smallest gaps, the worst for CLIP, not a sample: read them, and decide for each whether it is wrong. Literally
# true ones are rare here; on UCM-Captions, whose annotators repeated themselves, there are far more (a table in notebook 4 has both).
#
# So what should a loss do? Two things follow from these numbers, and one does not. *It follows* that nearly every image is pushed at
# first, since nearly every gap is below the margin; and that a loss which looks only at the hardest negative sees, for most images, a
# caption of another class that CLIP confuses. *It does not follow* that a loss must also look within a modality. That is the paper's
# proposal, HMMC: an image and its own damaged copy must be closer than two images of the batch, and the same for captions. It
# too pushes two images of one class apart. Notebook 3 shows what these terms do, and notebook 6 measures it.

# %% [markdown]
# ## Recap
#
# - Cosine within a modality says how crowded the space is; comparing it within and between classes says whether it is
#   crowded in the right places.
# - A batch of 16 from some twenty classes nearly always has no more than one or two others of an item's class. The *hardest* of the
#   fifteen is among them more often than by chance, and still mostly of another class.
# - Unfamiliar and alike are two causes of one number. A control set that has only one of them separates them.
# - "Overhead images are more alike" is a statement about images *and* backbone. Measure it for yours.

# %% [markdown]
# ## Quiz
#
# 1. Four embeddings of length 1 are orthogonal to each other. What does `(x @ x.T).mean()` give, and what is the mean
#    cosine of two different ones?
#
# <details><summary>Answer</summary><p>0.25, and 0. The matrix has 16 entries; the four on the diagonal are 1, the others 0.
# <i>Tempting:</i> to read 0.25 as “somewhat alike”. An item does not form a pair with itself, so the diagonal has to be left out. In
# a batch of 1,000 the same mistake would add 0.001: it is worst where the batch is small.</p></details>

# %% [markdown]
# 2. Model A gives true pairs a mean cosine of 0.3 and random images 0.5; model B gives true pairs 0.3 and random images
#    0.1. Which one retrieves better?
#
# <details><summary>Answer</summary><p>These numbers cannot say. Retrieval ranks the captions of one image, so a true pair
# competes with other image-caption pairs, and none of the numbers is about those. <i>Tempting:</i> B, since its true pairs
# lie above its random images. But retrieval never compares a cosine of an image and a caption with one of two images, and
# the modality gap shifts one kind against the other.</p></details>

# %% [markdown]
# 3. The batch grows from 16 to 32, the classes stay. What happens to the share of an item's own class among the
#    negatives, to their number, and to the hardest negative?
#
# <details><summary>Answer</summary><p>The share stays, the number grows from 15 to 31 times that share, and the hardest
# negative becomes harder on average: it is the maximum over more candidates. <i>Tempting:</i> a larger batch dilutes the
# classmates and so relieves the hinge. Their share is not diluted, and the hinge looks at the one hardest negative, not at
# an average.</p></details>

# %% [markdown]
# 4. The hardest negative is of the image's own class far more often than a random one. Does this show that the hinge pushes
#    true descriptions away?
#
# <details><summary>Answer</summary><p>Not yet. A caption of another airport with another number of planes is of the same
# class and still wrong for this image. Such a negative is hard and useful. It is a false negative only if it describes the
# image as well. <i>Tempting:</i> same class, therefore true. The class says what kind of scene it is; the caption says
# more. One has to read the pairs, as in the last figure.</p></details>

# %% [markdown]
# 5. Overhead images are more alike than natural ones in your CLIP. Which experiment shows whether the images or the
#    backbone cause it: more images of both kinds, or another backbone that has seen overhead images?
#
# <details><summary>Answer</summary><p>The other backbone, on the same images: one of the two causes changes and the other
# stays. The views from above in a familiar style are the same idea, with the backbone fixed. <i>Tempting:</i> more images.
# They make both means more exact, and leave the two causes as entangled as before.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** Both worlds here are drawn, and the mini CLIP learned from drawings, so the
# size of the gap between natural and overhead is also a property of our drawing. The toy scenes are also balanced: every class
# has the same count. In a real archive some classes are many times larger than others, so their items meet each other more often.
#
# **Try it.** Set `B` to 64 and run section 6 again: how often does the negative win then, and why? Use a backbone with
# random weights (`RSNB_BACKBONE=ViT-B-32-quickgelu`): why are all cosines near 1?
#
# **Next:** notebook 3, the adapter and its training.

# %% [markdown]
# ## Further reading
#
# - Yuan, Zhan, Xiong. *Parameter-Efficient Transfer Learning for Remote Sensing Image-Text Retrieval.* IEEE TGRS 61, 2023.
#   [doi:10.1109/TGRS.2023.3308969](https://doi.org/10.1109/TGRS.2023.3308969). Why intra-modal similarity led its authors
#   to HMMC.
# - Radford, Kim, Hallacy et al. *Learning Transferable Visual Models From Natural Language Supervision.* ICML 2021.
#   [arXiv:2103.00020](https://arxiv.org/abs/2103.00020). Two towers, one space, and negatives from the batch.
# - Liang, Zhang, Kwon, Yeung, Zou. *Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation
#   Learning.* NeurIPS 2022. [arXiv:2203.02053](https://arxiv.org/abs/2203.02053). Why images and captions lie in two
#   regions, already at initialisation.
# - Faghri, Fleet, Kiros, Fidler. *VSE++: Improving Visual-Semantic Embeddings with Hard Negatives.* BMVC 2018.
#   [arXiv:1707.05612](https://arxiv.org/abs/1707.05612). The hinge on the hardest negative, and what it gains over the sum.
# - Chuang, Robinson, Lin, Torralba, Jegelka. *Debiased Contrastive Learning.* NeurIPS 2020.
#   [arXiv:2007.00224](https://arxiv.org/abs/2007.00224). A loss that allows for negatives of the same class.
