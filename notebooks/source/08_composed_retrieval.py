# %% [markdown]
# # 8 · Composed retrieval
#
# **You will learn** to ask with an image *and* a few words ("this airport, but with four planes") without training anything: how two
# similarities are put on one scale and mixed, how the weight is chosen, and how to measure what the mixing is worth.
#
# **You need** Notebook 4 for retrieval with one part alone. This one runs on its own.
#
# **Minutes** 30 to work through; about a minute to run.
#
# **Runs on** the toy world, the mini CLIP, and the adapter that ships with the project. Real data: `RSNB_DATA=ucm
# RSNB_ROOT=<folder>`; another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`. If no adapter ships for your
# data and backbone, the notebook compares nothing and shows only zero-shot CLIP.

# %%
from collections import Counter

import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import lesson, plots
from rsnb.measures.mixing import WAYS, mixed
from rsnb.studies.composed.command import load_composed
from rsnb.studies.composed.figures import answers, curves, kinds, ways
from rsnb.studies.composed.queries import queries, scenes
from rsnb.studies.composed.scores import composed_space, hits_at, relevant
from rsnb.studies.composed.study import (
    ADAPTED,
    ZERO_SHOT,
    composed_sentences,
    composed_table,
    study,
)
from rsnb.studies.runs import adapter_path

s = lesson.setup()
val, test = s.dataset("val"), s.dataset("test")
models = {ZERO_SHOT: s.clip()}
path = adapter_path(s.data, s.backbone)
if path.is_file():
    try:
        models[ADAPTED] = rsnb.load_adapter(path, s.clip())
    except rsnb.RsnbError as error:
        print(error)
best = list(models)[-1]  # the model of the examples
stamp = f"{s.stamp} · {'shipped adapter' if len(models) > 1 else 'no adapter'}"
print("models:", ", ".join(models))

# %% [markdown]
# ## 1. A query of two parts
#
# An image says much that is hard to put into words; words say what the image lacks. Psomas et al. (2024) brought this kind of query,
# *composed image retrieval*, to remote sensing, with WeiCom, a method that trains nothing. Their benchmark asks for changes of colour,
# context, density, existence, quantity and shape.
#
# An answer is right if it shows **the same class** as the query image and has **the new value** of the attribute. The query image
# itself is never an answer: it is taken out of the gallery before anything is sorted.
#
# Where do the attributes come from? They are not stored with the images. On the toy world the program that drew an image decided them, so
# the drawing is repeated without its pixels, and counts only if it leads to exactly the captions in the file. This truth is exact. Any
# other data set has only captions: there an attribute is a *word* that divides its class most evenly, and an image has it if one of its captions
# says so. This truth has holes: a caption that does not say "trees" does not mean that there are none.
#
# > **Predict.** Which kind of change do you expect to be asked for most often, and how many right answers will a query have?

# %%
asked, source = queries(test)
labels = scenes(test)
rows = []
for kind, count in Counter(query.kind for query in asked).most_common():
    own = [query for query in asked if query.kind == kind]
    example = own[len(own) // 2]
    rows.append(
        {
            "kind of change": kind,
            "queries": count,
            "right answers, mean": sum(len(q.wanted) for q in own) / count,
            "class of an example": labels[example.image],
            "it has": example.was or "(nothing)",
            "words": example.words,
        }
    )
lesson.table(rows, f"What is asked; attributes from {source}", digits=1)
assert all(query.image not in query.wanted for query in asked)
assert all(labels[i] == labels[query.image] for query in asked for i in query.wanted)
print(f"{len(asked):,} queries on {len(test):,} test images")

# %% [markdown]
# The same image is used with every change that has an answer. The words name the change and not the class, as in the paper (a count also names
# what is counted): what should stay has to come from the image.
#
# ## 2. Two similarities, two scales
#
# With embeddings on the unit sphere, $v_q$ of the query image, $t_q$ of its words and $v_i$ of the gallery, there are two cosines for
# every image of the gallery:
#
# $$s^{\text{img}}_i = v_q^\top v_i \qquad s^{\text{txt}}_i = t_q^\top v_i$$
#
# > **Predict.** Which of the two is larger on average? And which of the two varies more over a gallery?

# %%
spaces = {name: composed_space(model, test, asked) for name, model in models.items()}
panels, rows = {}, []
for name, at in spaces.items():
    image, words, gallery = at.scores(asked)  # (Q, N - 1) each
    panels[name] = {
        "image to image": image.flatten()[::7],
        "words to image": words.flatten()[::7],
    }
    rows.append(
        {
            "model": name,
            "mean, image": image.mean().item(),
            "mean, words": words.mean().item(),
            "spread over a gallery, image": image.std(dim=1).mean().item(),
            "spread over a gallery, words": words.std(dim=1).mean().item(),
        }
    )
figure = plots.histograms(
    panels,
    "cosine",
    "Do the two similarities share a scale?",
    ylabel="share of pairs (%)",
)
lesson.show(figure, "scales", stamp=stamp)
lesson.table(rows, "Cosines of the two kinds", digits=3, stamp=stamp)

# %% [markdown]
# Where the two means differ, images and texts lie apart in the space: the modality gap of notebook 4. That alone is harmless here, since a
# constant added to all scores of a row changes no order. The *spread* matters: what varies more decides more, whatever weight was intended.
#
# ## 3. One scale, one weight
#
# WeiCom brings each similarity to one scale over the gallery and mixes with a weight $\lambda$:
#
# $$\text{score}_i = (1 - \lambda)\,\Phi\!\left(\frac{s^{\text{img}}_i - \mu^{\text{img}}}{\sigma^{\text{img}}}\right)
#   + \lambda\,\Phi\!\left(\frac{s^{\text{txt}}_i - \mu^{\text{txt}}}{\sigma^{\text{txt}}}\right)$$
#
# $\mu$ and $\sigma$ are the mean and the standard deviation of a row, $\Phi$ is the distribution function of the normal distribution. So each part says
# which share of the gallery is less similar, between 0 and 1, if similarities are spread normally. By hand, and in one line:

# %%
query, lam = asked[0], 0.3
image, words, gallery = (
    x[0] for x in spaces[best].scores(asked)
)  # (N - 1,) each: the row of the first query


def share_below(row):
    mean = sum(row) / len(row)
    spread = (sum((x - mean) ** 2 for x in row) / len(row)) ** 0.5
    return [
        0.5
        * (
            1
            + torch.erf(
                torch.tensor((x - mean) / spread / 2**0.5, dtype=torch.float64)
            ).item()
        )
        for x in row
    ]


by_hand = [
    (1 - lam) * a + lam * b
    for a, b in zip(share_below(image.tolist()), share_below(words.tolist()))
]
score = mixed(image[None], words[None], lam)[0]  # (N - 1,)
assert torch.allclose(score, torch.tensor(by_hand, dtype=torch.float64), atol=1e-6)
assert query.image not in gallery.tolist()
for way in WAYS:  # one part alone keeps its order, on every scale
    alone = mixed(image[None], words[None], 0.0, way)[0]
    assert torch.equal(alone.argsort(stable=True), image.double().argsort(stable=True))
print("the loop and rsnb.composed agree")

# %% [markdown]
# Now a query with its answers, at a weight of 0.2 for now. It was picked because mixing adds the most right answers to its first five: it shows
# what mixing can do, not what it does on average.
#
# > **Predict.** What will be wrong with the images found by the image alone, and with those found by the words alone?

# %%
image, words, gallery = spaces[best].scores(asked)  # (Q, N - 1) each
right = relevant(asked, gallery)  # (Q, N - 1) is it an answer?
first = {
    lam: hits_at(mixed(image, words, lam), right)[:, :5].sum(dim=1)
    for lam in (0.0, 0.2, 1.0)
}
place = int((first[0.2] - torch.maximum(first[0.0], first[1.0])).argmax())
query, rows = asked[place], {}
for lam, name in ((0.0, "image alone"), (0.2, "mixed"), (1.0, "words alone")):
    score = mixed(image[[place]], words[[place]], lam)[0]  # (N - 1,)
    found = gallery[place, score.argsort(descending=True, stable=True)[:5]].tolist()
    rows[f"λ = {lam:.1f}: {name}"] = [
        (test.image(i), labels[i], i in query.wanted) for i in found
    ]
figure = answers(
    test.image(query.image),
    query.words,
    labels[query.image],
    rows,
    "What do the parts find, and what do both together?",
)
lesson.show(figure, "answers", stamp=stamp)

# %% [markdown]
# The image alone knows the class and nothing of the change. The words alone know nothing of the class: at best they find the attribute anywhere.
#
# ## 4. How much weight for the words?
#
# Two measures. **R@10** is the share of the right images among the first ten. **Average precision** looks at the whole list: the precision
# at the place of every right image, averaged; its mean over queries is mAP, the paper's measure. $\lambda$ is chosen on the validation part
# and reported on the test part, since a weight chosen on the test part would be fitted to it. Intervals come from a bootstrap over
# query images, each with all its changes.
#
# > **Predict.** Where is the best $\lambda$: near 0, near 0.5, or near 1? Does the adapter, trained on whole captions, help with a few
# > words too?

# %%
result = study(models, val, test)
way = result["way"]
lines = {name: row["ways"][way]["curve"] for name, row in result["models"].items()}
chosen = {name: row["ways"][way]["lambda"] for name, row in result["models"].items()}
figure = curves(
    lines, result["lambdas"], chosen, "How much weight should the words have?"
)
lesson.show(figure, "lambda", stamp=stamp)
lesson.table(
    composed_table(result), "Composed retrieval in percent, test part", stamp=stamp
)
display(Markdown("\n".join(f"- {line}" for line in composed_sentences(result))))

# %% [markdown]
# The two ends of a line are the two parts alone. Where the highest point lies between them, both parts are needed; where it lies at the
# left end, the words add nothing that the model can read.
#
# ## 5. Does the scale matter?
#
# Four scales: $\Phi$ of the standard score (the paper's), the standard score itself, stretching each row to 0 to 1, and raw cosines.
#
# > **Predict.** Will the *highest point* be lower with raw cosines, or will it only be at a different $\lambda$?

# %%
figure = ways(
    result, "What does the scale change: the height of the curve, or its place?"
)
lesson.show(figure, "ways", stamp=stamp)
lesson.table(
    composed_table(result, WAYS), "The four scales in percent, test part", stamp=stamp
)
for name, row in result["models"].items():
    tuned = {way: own["mAP"]["mix"] for way, own in row["ways"].items()}
    even = {
        way: own["curve"][result["lambdas"].index(0.5)]
        for way, own in row["ways"].items()
    }
    at = [own["lambda"] for own in row["ways"].values()]
    print(
        f"{name}: with lambda chosen for each scale, mAP lies between "
        f"{min(tuned.values()):.1f} ({min(tuned, key=tuned.get)}) and "
        f"{max(tuned.values()):.1f} ({max(tuned, key=tuned.get)}), at a lambda from "
        f"{min(at):.2f} to {max(at):.2f}; at lambda = 0.5 for all, between "
        f"{min(even.values()):.1f} and {max(even.values()):.1f}"
    )

# %% [markdown]
# A common scale brings no gain by itself. With a $\lambda$ tuned for it, a raw cosine can do as well: the weight then also repairs the
# scale. One hopes that a weight on a common scale carries over to another model. Does it? Take for each model the weight that
# was chosen for the other:

# %%
if len(result["models"]) == 2:
    (first, one), (second, two) = result["models"].items()
    for way in one["ways"]:
        a, b = one["ways"][way], two["ways"][way]
        grid = result["lambdas"]
        lost = [
            max(own["curve"]) - own["curve"][grid.index(other["lambda"])]
            for own, other in ((a, b), (b, a))
        ]
        print(
            f"{way}: lambda {a['lambda']:.2f} ({first}), {b['lambda']:.2f} ({second}); "
            "exchanged, "
            f"they are {lost[0]:.1f} and {lost[1]:.1f} mAP below the best of the curve"
        )

# %% [markdown]
# Where the exchange costs little, the weight carries over; a scale is common to the queries of one model, but not necessarily to
# two models. $\Phi$ does one more thing: it is flat at both ends, so that the very similar images of a class get nearly equal scores and
# the words can decide among them at a small weight.
#
# ## 6. Which changes can be asked for?
#
# > **Predict.** Colour, quantity, density, shape, existence, context: for which kind will the words alone do best, and which will gain
# > least from mixing?

# %%
figure = kinds(result, "Which changes does the model understand?")
lesson.show(figure, "kinds", stamp=stamp)
for name, row in result["models"].items():
    gains = {
        kind: own["mix"] - max(own["image"], own["words"])
        for kind, own in row["kinds"].items()
    }
    if len(gains) > 1:
        print(
            f"{name}: mixing gains most for {max(gains, key=gains.get)} "
            f"({max(gains.values()):+.1f} points) and least for "
            f"{min(gains, key=gains.get)} ({min(gains.values()):+.1f})"
        )

# %% [markdown]
# The gain is measured against the better of the two parts alone, for all kinds with the one weight of section 4. Where it is below zero,
# that weight is wrong for the kind: the model cannot read such words, or the image alone knows enough. Words from captions form a single kind.
#
# ## 7. Try it by hand
#
# > **Predict.** Move λ slowly from 0 to 1. Does the first result change at once, or does the order change from the end of the list?

# %%
from rsnb.classroom.widgets.compose import compose_explorer

lesson.touch(compose_explorer(test, models, spaces, asked, first=query, lam=0.2))

# %% [markdown]
# Your own words have no known answer, so nothing is framed. Try words that contradict the image ("many boats" for an airport): the mixture
# does not say that there is no such image.
#
# ## 8. The committed numbers
#
# `rsnb composed` measures the same from the command line; `--install` keeps the numbers with the project.
#
# > **Predict.** On real images with this small CLIP, which was pre-trained on drawings: will mixing still help?

# %%
for data in ("toy", "ucm"):
    kept = load_composed(data, "mini")
    if kept:
        what = f"{kept['stamp']} · from a result file"
        lesson.table(
            composed_table(kept),
            f"{data}: attributes from {kept['source']}, {kept['queries']['test']:,} "
            "queries",
            stamp=what,
        )
        display(Markdown("\n".join(f"- {line}" for line in composed_sentences(kept))))
    else:
        print(
            f"no committed numbers for {data} here: rsnb composed --data {data} "
            "--install"
        )

# %% [markdown]
# The paper measured real CLIPs (ViT-L/14) on PatternCom, its benchmark of real images. Its tables, as printed in the authors' repository:
# with CLIP an mAP of 12.26 for the image alone, 5.97 for the text alone and 24.83 with $\lambda = 0.3$; with RemoteCLIP 11.27, 14.44 and 30.19
# with $\lambda = 0.6$; these weights were chosen in an ablation. Where the words alone are better, their best weight is higher.
#
# ## Recap
#
# - A composed query is an image and a few words; two similarities are put on one scale over the gallery and mixed with a weight.
# - A difference in mean between the two similarities changes no order. A difference in spread does: it is a hidden weight.
# - The weight is chosen on validation and reported on test; the query image is never an answer.
# - Mixing pays only if the model can read the words: it cannot help where words alone are near chance.
# - Exact attributes come from the drawing program; words from captions are a truth with holes.

# %% [markdown]
# ## Quiz
#
# 1. All similarities of the words are 0.3 lower than those of the images, with the same spread. Does the mixture of raw cosines need to be
#    normalised?
#
# <details><summary>Answer</summary><p>No. The order of a row depends only on differences between its images, and 0.3 times lambda is taken off
# each of them alike. Only a different spread shifts the balance between the parts. <i>Tempting:</i> yes, because the larger number
# wins. It would, if an image had one of the two scores; each has both.</p></details>

# %% [markdown]
# 2. The query image stays in the gallery, and counts as wrong, since it has the old value. What happens to the measured curve?
#
# <details><summary>Answer</summary><p>With the image alone it is always first, with cosine 1, so that every precision falls and the left end of
# the curve drops most. Mixing then seems to gain more than it does. It also stretches the scale of min-max. <i>Tempting:</i> nothing,
# as it is one image among many. The first place weighs most in average precision.</p></details>

# %% [markdown]
# 3. Someone reports mAP at the best of 21 values of lambda on the test part. By how much is the number too high?
#
# <details><summary>Answer</summary><p>By a little where the curve is flat around its top and there are many queries, by more where it is ragged,
# as with few queries. Nobody can say without a validation part; that is why you use one. <i>Tempting:</i> not at all, since one number
# cannot overfit. It can, just less than a million numbers do.</p></details>

# %% [markdown]
# 4. On captions, an image counts as "with trees" if a caption says so. A model finds trees where no caption names them. What does that do to
#    its mAP, and to the comparison of two models?
#
# <details><summary>Answer</summary><p>Right answers are counted as wrong, so mAP is too low for every model, most of all for the one with the
# better eyes. The comparison can even be reversed. On the toy world this cannot happen, as the drawing program knows all of its trees.
# <i>Tempting:</i> the error is the same for both and cancels. It is not the same, because the models find different
# images.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** Attributes of drawn scenes are few, clean and known without error; in a real archive they are
# neither. A mini CLIP that has seen only drawings can read few words of a real caption, and the gallery of a class is a dozen images here, against
# hundreds in the paper.
#
# **Try it.** Ask with a whole sentence instead of a few words ("four planes are parked in an airport"): which part needs the image then?
# Multiply the two shares instead of adding them: what does a product demand that a sum does not? Choose $\lambda$ for each kind of change on the
# validation part: is it worth it?
#
# **Next:** notebook 9 asks what a training step spends its time on, and skips computations that cannot change the result.

# %% [markdown]
# ## Further reading
#
# - Psomas, Kakogeorgiou, Efthymiadis, Tolias, Chum, Avrithis, Karantzalos. *Composed Image Retrieval for Remote Sensing.* IGARSS 2024.
#   [arXiv:2405.15587](https://arxiv.org/abs/2405.15587). The method of this notebook and its benchmark, PatternCom.
# - Vo, Jiang, Sun, Murphy, Li, Fei-Fei, Hays. *Composing Text and Image for Image Retrieval - An Empirical Odyssey.* CVPR 2019.
#   [arXiv:1812.07119](https://arxiv.org/abs/1812.07119). The task itself, with a mixture that is learned.
# - Baldrati, Agnolucci, Bertini, Del Bimbo. *Zero-Shot Composed Image Retrieval with Textual Inversion.* ICCV 2023.
#   [arXiv:2303.15247](https://arxiv.org/abs/2303.15247). The image becomes a pseudo-word of the sentence.
# - Zhou, Newsam, Li, Shao. *PatternNet: A Benchmark Dataset for Performance Evaluation of Remote Sensing Image Retrieval.* ISPRS Journal of
#   Photogrammetry and Remote Sensing 145, 2018. [arXiv:1706.03424](https://arxiv.org/abs/1706.03424). The images behind PatternCom.
# - Liang, Zhang, Kwon, Yeung, Zou. *Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation
#   Learning.* NeurIPS 2022. [arXiv:2203.02053](https://arxiv.org/abs/2203.02053). Why the two kinds of cosine differ in their mean.
