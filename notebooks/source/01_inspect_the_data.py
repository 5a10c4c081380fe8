# %% [markdown]
# # 1 · Inspect the data
#
# **You will learn** what a remote sensing image-caption set looks like, how to count it, which defects to expect, and why
# it is split by image.
#
# **You need** Python. No machine learning: the lines on tokens in section 3 can be skipped, notebook 2 begins with CLIP.
#
# **Minutes** 30 to work through, 40 more for its exercises; less than one to run.
#
# **Runs on** the toy world: overhead scenes drawn by this project, five captions each. The same cells run on real images:
# set `RSNB_DATA=ucm` and `RSNB_ROOT=<folder>` before you start Jupyter, or call `lesson.setup("ucm", root="<folder>")`.
# No model is trained; the backbone's tokenizer is used once.
#
# Where a block says **Predict**, write your guess down before you run the next cell.

# %%
import random

import rsnb
import torch
from rsnb import lesson, plots, similarity
from rsnb.data.words import FUNCTION_WORDS, vocabulary, words_of
from rsnb.figures.style import TEXT
from rsnb.measures.ceiling import image_retrieval_ceiling

s = lesson.setup()

# %% [markdown]
# ## 1. One image, several captions
#
# A data set is a list of images, each with its captions. In this field an image usually has five, written by
# different annotators. Many sets also give a scene class (such as *harbor*); training does not use it, we use it to look.
#
# > **Predict.** Five people describe the same scene from above, in one sentence each. What will all five agree on, and where
# > will they differ?

# %% exercise="wrong_pairs"

# %%
train, val, test = (s.dataset(split) for split in ("train", "val", "test"))
for split in (train, val, test):
    print(split)
print(test[0].captions)

# %%
shown = similarity.examples(test.labels, seed=s.seed)[
    :: max(1, len(test.classes) // 3)
][:3]
figure = plots.captioned(
    [test.image(i) for i in shown],
    [test[i].captions for i in shown],
    [test[i].label or "" for i in shown],
    "Captions name the scene, then differ in what they notice",
)
lesson.show(figure, "captions")

# %% [markdown]
# ## 2. What is in it
#
# > **Predict.** Below is one image of each class. Which two classes will a model confuse most? Notebook 4 has the answer.

# %% predicted="-"
shown = similarity.examples(train.labels, seed=s.seed)
figure = plots.contact_sheet(
    [train.image(i) for i in shown],
    [train[i].label or train[i].name for i in shown],
    f"{len(train.classes) or 'No'} scene classes: {len(shown)} training images",
)
lesson.show(figure, "classes")

# %% [markdown]
# Browse for yourself: filter by class or by a word, show only images whose captions repeat, pick an image to read its captions.

# %%
from rsnb.classroom.widgets.browser import dataset_browser

lesson.touch(dataset_browser(test, stamp=s.stamp))

# %% [markdown]
# ## 3. The captions
#
# Counting needs no images, so we read the complete captions again without opening a single file.


# %%
def captions_of(split):
    return rsnb.load_dataset(
        s.data,
        split,
        root=s.root,
        layout=s.layout,
        images=False,
        seed=s.seed,
        skip_bad=s.skip_bad,
    )


full_train, full_val, full_test = (
    captions_of(split) for split in ("train", "val", "test")
)
full_trainval = captions_of("trainval")
train_captions, train_owner = (
    full_trainval.captions
)  # (M,) strings, (M,) the image of each
test_captions, test_owner = full_test.captions
for name, ds in (("train + val", full_trainval), ("test", full_test)):
    print(f"{name}: {len(ds.captions[0]):,} captions of {len(ds):,} images")

# %% [markdown]
# > **Predict.** How many words does a typical caption have? How many different words occur in all of them together?
# > CLIP's text tower reads at most 77 tokens, that of our mini CLIP 32: is that a lot or a little here?

# %%
lengths = [len(words_of(caption)) for caption in train_captions]
figure = plots.histogram(
    {"train + val": torch.tensor(lengths).float()},
    "words in a caption",
    "How long is a caption?",
    ylabel="share of captions (%)",
    discrete=True,
)
lesson.show(figure, "lengths")

# %%
clip = s.clip()
tokens = clip.tokenizer(
    list(dict.fromkeys(train_captions))
)  # (distinct captions, context)
used, places = (tokens != 0).sum(dim=1), clip.context_length
print(
    f"tokens, start and end marks included: mean {used.float().mean():.1f}, most "
    f"{used.max()}"
)
print(
    f"captions that fill all {places} places, and may have been cut: "
    f"{(used == places).sum()}"
)

# %% [markdown]
# The text tower computes every place it is given, so short captions leave much of its work unused. Its attention is causal
# (a token sees only what comes before it), and so a batch may be cut to its longest caption without changing a number.

# %% predicted="{'mean words': sum(lengths) / len(lengths), 'different words': len(words)}"
words = vocabulary(train_captions)
once = sum(count == 1 for count in words.values())
new = sorted(set(vocabulary(test_captions)) - set(words))
print(f"{len(words):,} different words, {once:,} of them occur once")
print(
    f"{len(new):,} words of test never occur in training: "
    f"{', '.join(new[:12]) or 'none'}"
)

content = [(w, n) for w, n in words.most_common() if w not in FUNCTION_WORDS]
figure = plots.bars(
    dict(content[:15]), "occurrences", "Which content words are most frequent?"
)
lesson.show(figure, "words")

# %% [markdown]
# ## 4. Repeated captions
#
# > **Predict.** Of all test captions, what share belongs word for word to more than one image?

# %% predicted="{'%': 100 * len(shared) / len(test_captions)}"
from collections import Counter

owners = Counter()  # caption -> number of images that carry it
for item in full_test:
    owners.update(set(item.captions))
shared = [caption for caption in test_captions if owners[caption] > 1]
print(f"{len(owners):,} of {len(test_captions):,} test captions are distinct")
share = len(shared) / len(test_captions)
print(f"{share:.0%} of the {len(test_captions):,} belong to several images")
alike = [
    len(item.captions) > 1 and len(set(item.captions)) == 1 for item in full_trainval
]
identical = sum(alike)
print(
    f"{identical:,} of {len(full_trainval):,} images of train + val carry one caption, "
    "repeated"
)

# %%
figure = plots.bars(
    dict(owners.most_common(8)),
    "test images that carry it",
    "Which captions do most images share?",
    colour=TEXT,
)
lesson.show(figure, "shared")

# %% [markdown]
# A search has a *hit at K* if what it should find is among the first $K$ results, and the *recall* R@K is the share of searches
# with a hit. If $g$ images share a caption, nothing in the caption distinguishes them. A perfect model, asked for the one image that
# the list counts as right, finds it among the first $K$ with probability $\min(1, K/g)$. The mean over all captions is the
# most that can be expected on this test part, even of a model that knows everything in the pictures and only guesses among equals. (Captions in
# other words may fit several images as well; what they cost is not counted here.)
#
# $$\mathrm{ceiling}(K) = \frac{100}{M} \sum_{i=1}^{M} \min\left(1, \frac{K}{g_i}\right)$$


# %%
def ceiling(k):
    return 100 * sum(min(1, k / owners[c]) for c in test_captions) / len(test_captions)


for k in (1, 5, 10):
    same = image_retrieval_ceiling(test_captions, test_owner, k)
    assert abs(ceiling(k) - same) < 1e-9
    print(f"best possible image retrieval R@{k:<2} {ceiling(k):5.1f} %")

# %% [markdown]
# <!-- live: ties -->
#
# ## 5. The split: by image, never by caption
#
# The sets come with an official test part. The rest is divided into training (80 %) and validation (20 %), at random, **by
# image**: all captions of an image go where the image goes.
#
# > **Predict.** Suppose we shuffled all (image, caption) pairs instead and held out 20 % of them. What share of the held-out
# > pairs would show an image that was also trained on?

# %% exercise="split_by_image"

# %% predicted=""
pairs = list(zip(train_owner, train_captions))
random.Random(s.seed).shuffle(pairs)
cut = len(pairs) // 5
held_out, kept = pairs[:cut], {image for image, _ in pairs[cut:]}
share = sum(image in kept for image, _ in held_out) / cut
print(f"split by pair : {share:7.2%} of the held-out pairs show a training image")
print(f"expected      : {1 - 0.2**4:7.2%} (the first question of the quiz says why)")

kept = {item.name for item in full_train}
share = sum(item.name in kept for item in full_val) / len(full_val)
print(f"split by image: {share:7.2%}")

# %% [markdown]
# A model judged on the first split is asked about images that it has seen with four other captions. Its score says how well
# it remembers; and the best epoch, which is chosen on validation, would be the one that remembers best.
#
# ## 6. Find the leak yourself
#
# Images do not cross; texts can. Count the test captions that occur, word for word, among the captions of train + val.
# Five lines do it.
#
# > **Predict.** How many of the test captions occur in training as well: almost none, a tenth, or a good part?

# %% exercise="leak_share"

# %% predicted="{'%': 100 * len(leaked) / len(test_captions)}"
known = set(train_captions)
leaked = [caption for caption in test_captions if caption in known]
distinct = set(test_captions)
print(f"{len(leaked) / len(test_captions):.1%} of {len(test_captions):,} test captions")
print(f"{len(distinct & known) / len(distinct):.1%} of {len(distinct):,} distinct ones")

# %% [markdown]
# Is that a defect? Not by itself: short true sentences about harbors repeat. But it means that a text tower may have seen
# the very query, and that part of the score measures memory of sentences. Compare sets by this number before you compare
# models across them.
#
# ## 7. The full report
#
# `rsnb.data.report` counts all of the above, decodes every image, and lists missing and blank captions, near-empty ones,
# files that cannot be read, and image files that are byte for byte the same. From here on we use it; first we check that
# it agrees with our own count.
#
# > **Predict.** Which numbers of such a report should be zero in a sound set, and which may be large without any fault?

# %%
found = rsnb.data.report(
    s.data,
    root=s.root,
    layout=s.layout,
    seed=s.seed,
    check_images=not s.quick,
    progress=False,
)
assert found.overlap["captions_in_train"] == len(leaked)
assert found.overlap["distinct_in_train"] == len(distinct & known)
assert found.splits["test"]["shared_captions"] == len(shared)
assert found.splits["trainval"]["identical_images"] == identical
print(found.text())

# %% [markdown]
# The part *faults* should find none. Captions that are shared, repeated or also in training are not faults: they are
# properties to know before you read a score. In a terminal: `rsnb data toy`, or `rsnb data ucm --root <folder>`.
#
# ## 8. What a defect looks like
#
# Real files have faults: RSITMD's training captions hold 20 blank lines, so that four images have no caption at all; about
# half of RSICD's training images carry one caption five times; the UCM captions say `1.tif` where the image is `1.jpg`.
# Here we build a folder of four images and break two things: one image file ends halfway, one image has a blank caption.

# %% exercise="usable_captions"

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
for i in range(4):
    test.image(i).save(folder / f"{i}.png")
(folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:200])
lines = ["filename,title"]
for i in range(4):
    lines += [
        f"{i}.png,a view from above",
        f"{i}.png,{' ' if i == 1 else 'another view'}",
    ]
_ = (folder / "captions.csv").write_text("\n".join(lines), encoding="utf-8")

# %% [markdown]
# > **Predict.** Which of the two should stop us, and which should only be counted?

# %%
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        rsnb.load_dataset(folder, "all", skip_bad=False).image(2)
    except rsnb.RsnbError as error:
        print("error:  ", str(error).replace(str(folder), "<folder>"))
    rest = rsnb.load_dataset(folder, "all", skip_bad=True)
for text in dict.fromkeys(str(warning.message) for warning in caught):
    print("warning:", text.replace(str(folder), "<folder>"))
print(len(rest), "images are left, with", len(rest.captions[0]), "captions")

# %% [markdown]
# The blank caption is only counted: it is left out with a warning, and its image has another one. The broken image stops us,
# since nobody can know what it showed; `skip_bad=True` says that we know and go on without it.

# %% exercise="chance_recall"

# %% [markdown]
# ## Recap
#
# - A set is images with captions; classes are for looking, not for training.
# - Captions are short, the vocabulary is small, and captions repeat, within an image, between images, and between test and
#   training. Repeats put a ceiling on the recall that a model can expect.
# - Split by image. Choose on validation. Report on test, once.
# - Count first: a blank caption or a broken file is cheaper to find now than in a loss that becomes NaN.

# %% [markdown]
# ## Quiz
#
# 1. All pairs of a set with five captions per image are shuffled, and 20 % are held out. For a held-out pair, the chance
#    that its image was *not* trained on is about $0.2^4$. Why the fourth power?
#
# <details><summary>Answer</summary><p>The image is unseen only if its four other captions were held out as well, each with
# a chance of about 0.2: together 0.0016. <i>Tempting:</i> 0.2⁵. But one pair is given to be held out already. <i>Also
# tempting:</i> 20 %, the share that was held out. That share counts captions, and an image is seen as soon as one of its
# captions is trained on.</p></details>

# %% [markdown]
# 2. In a test part every caption is carried by exactly two images. What are the best R@1 and R@5 of text-to-image
#    retrieval, and does a larger model raise them?
#
# <details><summary>Answer</summary><p>R@1: 50 %, since the caption fits both images and the list counts one of them as
# right. R@5: 100 %, since both fit among five. No model can expect more of the first. <i>Tempting:</i> 100 % for a perfect
# model. Perfect knowledge of the pictures does not say which of two equal captions the list meant; only knowledge of the
# list does.</p></details>

# %% [markdown]
# 3. The captions of a batch are cut at the longest of them, 9 tokens. Now one of 20 tokens joins the batch, and all are cut
#    there. Do the embeddings of the others change?
#
# <details><summary>Answer</summary><p>No, except for rounding. Attention in the text tower is causal: the end mark of a short
# caption sees what comes before it, and the added padding comes after. <i>Tempting:</i> yes, since every row now holds
# more tokens. That would be so in a tower whose tokens see in both directions and whose padding is not
# masked.</p></details>

# %% [markdown]
# 4. In set A nearly half of the test captions also occur in training, in set B almost none. One model reaches a higher
#    score on A. Does the leak explain it?
#
# <details><summary>Answer</summary><p>It may; the number alone cannot say. Known sentences can help; they were also
# trained as captions of other images, and the sets differ in size of the gallery and in their ceilings too. Compare the
# recall of leaked and of new captions within A. <i>Tempting:</i> subtract the leak. But a leaked caption is not a solved
# one, because its test image was never seen.</p></details>

# %% [markdown]
# 5. A colleague splits by image, trains, and picks the epoch with the best *test* score, “since no test image was trained
#    on”. What is wrong with the number?
#
# <details><summary>Answer</summary><p>It is the largest of many noisy numbers, and chosen for being the largest, so it is
# too high even if no image was remembered. The choice itself used the answers of the test part. <i>Tempting:</i> nothing,
# as nothing of test was trained on. Training is one way to learn from test, and choosing is another; that is what
# validation is for.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The toy world is drawn, so its images are clean: one size, one sensor, no
# haze, no mixed scenes, no wrong labels. Its captions come from a grammar: they are varied, but they never err, and nobody
# got tired after the hundredth airport. Real sets have faults in both; run this notebook on one of them to see.
#
# **Try it.** Which caption has the most words that occur at most ten times in training? Which class has the fewest distinct captions? On a
# real set: does the leak grow or shrink when case and punctuation are ignored? (The toy captions have neither capitals nor commas.)
#
# **Next:** notebook 2 looks at the same images and captions as CLIP sees them.

# %% [markdown]
# ## Further reading
#
# - Lu, Wang, Zheng, Li. *Exploring Models and Data for Remote Sensing Image Caption Generation.* IEEE TGRS 56, 2018.
#   [doi:10.1109/TGRS.2017.2776321](https://doi.org/10.1109/TGRS.2017.2776321). RSICD: what the annotators were asked
#   to write and to leave out.
# - Yuan, Zhang, Fu et al. *Exploring a Fine-Grained Multiscale Method for Cross-Modal Remote Sensing Image Retrieval.* IEEE
#   TGRS 60, 2022. [doi:10.1109/TGRS.2021.3078451](https://doi.org/10.1109/TGRS.2021.3078451). RSITMD: a set made to have
#   more detailed captions than the older ones.
# - Yang, Newsam. *Bag-of-Visual-Words and Spatial Extensions for Land-Use Classification.* ACM SIGSPATIAL GIS, 2010.
#   [doi:10.1145/1869790.1869829](https://doi.org/10.1145/1869790.1869829). Where the images of UCM come from.
# - Qu, Li, Tao, Lu. *Deep Semantic Understanding of High Resolution Remote Sensing Image.* CITS, 2016.
#   [doi:10.1109/CITS.2016.7546397](https://doi.org/10.1109/CITS.2016.7546397). The captions of UCM.
# - Kapoor, Narayanan. *Leakage and the Reproducibility Crisis in Machine-Learning-Based Science.* Patterns 4(9), 2023.
#   [doi:10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804). A catalogue of leaks, with the papers
#   that had them.
# - Gebru, Morgenstern, Vecchione et al. *Datasheets for Datasets.* 2018.
#   [arXiv:1803.09010](https://arxiv.org/abs/1803.09010). The questions to ask about a set before using it.
