# %% [markdown]
# # 10 · Bug hunt
#
# **You will learn** to distrust a table of recalls in the right places: eight bugs that ruin retrieval papers without any error message,
# what each does to the numbers, and the invariant that exposes it. You write the tests yourself.
#
# **You need** Notebooks 1, 3 and 4: the split, what may train, who asks and who answers.
#
# **Minutes** 40 to work through, 74 more for its exercises; about a minute to run.
#
# **Runs on** the toy world, the mini CLIP and the adapter that ships with the project. Real data: `RSNB_DATA=ucm RSNB_ROOT=<folder>`;
# another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu RSNB_PRETRAINED=openai`. If no adapter ships for your data and backbone, one is
# trained briefly, live, and the notebook says so.

# %%
import rsnb
import torch
from IPython.display import Markdown, display
from rsnb import lesson
from rsnb.classroom.bughunt.checks import CHECKS, HEALTHY, NAMES, confirm, recount
from rsnb.classroom.bughunt.damage import damage
from rsnb.classroom.bughunt.figures import epoch_choice, shown_and_honest
from rsnb.classroom.bughunt.pipelines import EPOCHS, LETTERS, STEPS
from rsnb.classroom.bughunt.workbench import Workbench
from rsnb.studies.runs import adapter_path, recall_columns, recipe

s = lesson.setup()
clip, path = s.clip(), adapter_path(s.data, s.backbone)
model = None
if path.is_file():
    try:
        model, source = rsnb.load_adapter(path, clip), "shipped adapter"
    except rsnb.RsnbError as error:
        print(error)
if model is None:
    config = recipe(
        s.data, s.backbone, epochs=s.epochs or 5, seed=s.seed, batch_size=s.batch_size
    )
    model = rsnb.adapt(clip, config.method, seed=s.seed, **config.options)
    rsnb.train(model, s.dataset("train"), s.dataset("val"), config)
    source = f"adapter trained live, {config.epochs} epochs"
lab = Workbench(s, model)
stamp = f"{s.stamp} · {source}"
print(
    f"{len(LETTERS)} suspects: {', '.join(LETTERS)}; {source}; in their code EPOCHS is "
    f"{EPOCHS}, STEPS {STEPS}"
)

# %% [markdown]
# ## 1. The line-up
#
# Ten pipelines, A to J, each with a claim and six recalls. They ran here, on this data, with the code that you will see. Eight of them have
# a bug, and two have none. The letters are in no particular order. None stops with an error.
#
# > **Predict.** From the numbers alone: which two of the ten are healthy? Write their letters down before you read any code.

# %%
suspects = {letter: lab.case(letter) for letter in LETTERS}
rows = [
    {"suspect": letter, "claim": suspect.claim, **suspect.numbers}
    for letter, suspect in suspects.items()
]
lesson.table(
    rows,
    "What the ten papers print: test recalls in percent (i2t: image to text)",
    digits=1,
    stamp=stamp,
)

# %% [markdown]
# A linear probe is not expected to reach an adapter, so a low number proves nothing, and neither does a high one. From here on, each suspect
# shows its code, and you may examine it. These are its handles ($N$ images in the gallery, $M$ captions):
#
# | handle | what it holds |
# |---|---|
# | `recalls`, `mr` | what it reports, in percent: `text_r1` is image to text, `image_r1` is text to image |
# | `image`, `text`, `owner` | what it ranked, $(N, D)$ and $(M, D)$, and the image to which it assigned each caption, $(M)$ |
# | `gallery` | the names of the $N$ images, in the order of `image` |
# | `train_pairs`, `test_pairs` | (image name, caption) of everything that was trained on, and everything that was asked |
# | `frozen` | the names of the weights that it says are frozen; none in an open fine-tuning |
# | `before`, `after` | {name: tensor}, all weights before and after training |
# | `history`, `epoch` | `epoch`, `val_mr`, `test_mr` of every epoch, and the reported epoch; empty where none was chosen |
# | `again()` | embeds the first images and captions of test once more, with the model as it was when evaluated |
# | `bare`, `published` | the same inputs by its base model without the adapter and with CLIP's own weights; and by CLIP |
#
# An accusation is one of these names, and `confirm` says whether the evidence supports it:

# %%
print("\n".join(NAMES))
culprits = {}  # {letter: name} of the accusations that were confirmed


def accuse(suspect, name):
    """Examine an accusation, and keep it if the evidence bears it out."""
    finding = confirm(suspect, name)
    display(finding)
    if finding.ok and name != HEALTHY:
        culprits[suspect.letter] = name


def repair(letter):
    """The repaired lines, and the number with and without the bug."""
    shown, honest = lab.case(letter), lab.case(letter, repaired=True)
    print(lab.diff(letter))
    print(f"\n{damage(shown, honest)}")


# %% [markdown]
# ## 2. Eight invariants
#
# No number gives a bug away, so do not look at numbers. Ask what must hold in *every* sound run, whatever it scores, and
# check whether it does. Eight such invariants follow, each in one sentence.
#
# > **Predict.** Before you read them: name three things that must hold in every run of notebooks 1 to 4, whatever it scores.

# %%
display(Markdown("\n".join(f"- {check.__doc__}" for check in CHECKS.values())))

# %% [markdown]
# Each can be turned into a test of a few lines, which takes any suspect and answers `True` if it violates the invariant: a *probe*. (With the
# exercises you write the eight probes here, before you have seen a suspect's code, and use them from then on. One suspect can violate two
# invariants, and two suspects can violate none.)

# %% exercise="probe_length"

# %% exercise="probe_split"

# %% exercise="probe_repeat"

# %% exercise="probe_counts"

# %% exercise="probe_frozen"

# %% exercise="probe_choice"

# %% exercise="probe_function"

# %% exercise="probe_recount"

# %% [markdown]
# ## 3. Suspect A
#
# > **Predict.** Which of the eight invariants can this run not violate, because it does nothing of that kind? Which are left?

# %%
a = suspects["A"]
display(a)

# %% exercise="verdict_a"

# %% [markdown]
# **The invariant:** what is ranked by a dot product has length 1. The names are treacherous: `model.encode_image` normalises, and so does
# `clip.encode_image`; open_clip's own `clip.model.encode_image` does not. A longer row has larger products with everything.

# %% predicted=""
length = a.text.norm(dim=1)  # (M,)
longest = length.argsort(descending=True)[
    : len(length) // 10
]  # a tenth of the captions
first = (a.image @ a.text.T).argmax(dim=1)  # (N,) the caption in first place
print(
    f"lengths from {length.min():.2f} to {length.max():.2f}; the longest tenth of the "
    "captions takes "
    f"{torch.isin(first, longest).float().mean():.0%} of the first places"
)
accuse(a, "embeddings not normalised")
repair("A")

# %% [markdown]
# Cosine and dot product agree only on normalised rows. One `assert` of the lengths, where embeddings enter the ranking, settles it.
#
# ## 4. Suspect B
#
# > **Predict.** Which of the eight could a linear probe on frozen embeddings violate at all?

# %%
b = suspects["B"]
display(b)

# %% exercise="verdict_b"

# %% [markdown]
# **The invariant:** no image is in both training and test. Here a random number is drawn for every caption instead of every image, so that
# nearly every test image was trained on with its other captions. The model is asked what it remembers.

# %% predicted=""
trained, asked = (
    {name for name, _ in pairs} for pairs in (b.train_pairs, b.test_pairs)
)
print(f"{len(trained & asked)} of {len(asked)} test images were trained on")
accuse(b, "captions of one image in both parts")
repair("B")

# %% [markdown]
# The repaired run trains on about as many captions and ranks as many images, with the same settings. Split by image, and assert that
# no name is in both, in every script that loads the two parts.
#
# ## 5. Suspect C
#
# > **Predict.** Sentences that are embedded once, a gallery in random order, double precision: what would each have to do wrong to
# > matter?

# %%
c = suspects["C"]
display(c)

# %% exercise="verdict_c"

# %% [markdown]
# **Nothing is broken.** A sentence that belongs to several images is embedded once and its row is used for each of them; the gallery may
# be in any order, if the owners follow; and double precision changes no order that single precision could see. An accusation needs
# evidence as much as a claim does:

# %% predicted=""
for name in ("captions miscounted", "embeddings not normalised", HEALTHY):
    display(confirm(c, name))

# %% [markdown]
# ## 6. Suspect D
#
# > **Predict.** It trains for two steps before it is tested. Which invariants does that put at risk, and by how much may mR move?

# %%
d = suspects["D"]
display(d)

# %% exercise="verdict_d"

# %% [markdown]
# **The invariant:** the same input gives the same embedding. The model was put in train mode and stayed there, so half of the adapter's
# bottleneck is dropped at random while it is judged.

# %% predicted=""
torch.manual_seed(s.seed)
once, twice = d.again(), d.again()
cosine = (once[0] * twice[0]).sum(dim=1)  # (n,) an image with itself
print(
    f"cosine of an image with itself, embedded twice: {cosine.min():.3f} to "
    f"{cosine.max():.3f}"
)
accuse(d, "dropout left on")
repair("D")

# %% [markdown]
# A few steps at a small learning rate hardly move an adapter, and this mR is far from that of suspect C. Here the bug costs recall, and
# that is why it survives: nobody looks for a reason when a baseline is weak. `model.eval()` belongs inside the function that evaluates,
# where no one can forget it; `rsnb.evaluate` has it there.
#
# ## 7. Suspect E
#
# > **Predict.** Compare its six recalls and its mR with those of suspect C. What will your probes say about the two?

# %%
e = suspects["E"]
display(e)

# %% exercise="verdict_e"

# %% [markdown]
# **The invariant:** a recall is a count. $N$ images ask, so R@K from image to text is a whole number of images. `ranks` returns the ranks of
# image-to-text first; the author unpacked them the other way round. mR is a mean over both directions and cannot show it.

# %% predicted=""
for way in ("text", "image"):
    counts = [e.recalls[f"{way}_r{k}"] * len(e.image) / 100 for k in (1, 5, 10)]
    name = "image to text" if way == "text" else "text to image"
    print(
        f"printed under {name}: {', '.join(f'{x:.2f}' for x in counts)} of "
        f"{len(e.image)} images"
    )
accuse(e, "directions swapped")
repair("E")

# %% [markdown]
# This test needs no code and no data, only the paper's table and the size of its test part. Psychologists check printed means in the same
# way. On rounded numbers it works while $N$ is small: a few hundred images at one decimal, a few thousand at two.
#
# ## 8. Suspect F
#
# > **Predict.** It trains longer. Which weights do you expect to be different afterwards?

# %%
f = suspects["F"]
display(f)

# %% exercise="verdict_f"

# %% [markdown]
# **The invariant:** a frozen weight is the same after training, to the last bit. `requires_grad_(True)` on the whole model undid the
# freezing, and the optimizer then took everything that asked for gradients.

# %% predicted=""
changed = [name for name in f.frozen if not torch.equal(f.before[name], f.after[name])]
claimed = sum(value.numel() for name, value in f.after.items() if name not in f.frozen)
really = claimed + sum(f.after[name].numel() for name in changed)
print(
    f"{len(changed)} of {len(f.frozen)} frozen tensors changed; claimed to train "
    f"{claimed:,} parameters, trained {really:,}: {really / claimed:.0f} times as many"
)
accuse(f, "base model trained")
repair("F")

# %% [markdown]
# Whatever it is worth in mR, the paper's main claim is false: the number of trained parameters. Compare the frozen weights, or a
# hash of them, before and after; and give the optimizer the adapter by name instead of everything that asks for gradients.
#
# ## 9. Suspect G
#
# > **Predict.** Of forty epochs, one is reported. Which one do you expect: the last, or one in the middle?

# %%
g = suspects["G"]
display(g)

# %% exercise="verdict_g"

# %% [markdown]
# **The invariant:** the reported epoch is the best by validation. Each epoch's test mR is the model's quality plus chance, and if you take
# the largest of forty, you take the luckiest.

# %% predicted=""
figure = epoch_choice(g.history, "Which epoch is reported, and who chose it?")
lesson.show(figure, "epoch-choice", stamp=s.stamp)
accuse(g, "best epoch chosen on test")
repair("G")

# %% [markdown]
# The gain can never be negative, which is what makes it a bias and not noise. It grows with the number of epochs, settings and seeds to
# choose from, and shrinks with the size of the test part. Keep the test part out of the training script altogether.
#
# ## 10. Suspect H
#
# > **Predict.** Its numbers agree with those of another suspect, to the last digit. Is the verdict the same?

# %%
h = suspects["H"]
display(h)

# %% exercise="verdict_h"

# %% [markdown]
# **Nothing is broken.** It is the same training as that of suspect F, and it says what it is. The weights move in both; the bug of F is the
# difference between the run and the claim. A test that only asks whether weights moved would accuse the wrong one too.

# %% predicted=""
print(
    f"mR of F {f.mr:.2f}, of H {h.mr:.2f}; F says that {len(f.frozen)} tensors are "
    f"frozen, H says {len(h.frozen)}"
)
for name in ("base model trained", HEALTHY):
    display(confirm(h, name))

# %% [markdown]
# ## 11. Suspect I
#
# > **Predict.** What may change in a home-made implementation of the blocks without changing a single embedding?

# %%
i = suspects["I"]
display(i)

# %% exercise="verdict_i"

# %% [markdown]
# **The invariant:** before the first step, the adapted model gives CLIP's embeddings. GELU and QuickGELU, $x\,\sigma(1.702\,x)$, differ by
# little; OpenAI's CLIPs were trained with the second, many others with the first, and the weights fit both without complaint.

# %% predicted=""
same = all(torch.equal(i.before[name], i.after[name]) for name in i.frozen)
gap = max((x - y).abs().max().item() for x, y in zip(i.bare, i.published))
print(
    f"all {len(i.frozen)} tensors are CLIP's own: {same}; largest difference of an "
    f"embedding: {gap:.1e}"
)
accuse(i, "wrong activation")
repair("I")

# %% [markdown]
# No recall would have shown it. The difference grows with the number of blocks and is part of every later number, so all comparisons with other
# people's results are off by an unknown amount. `rsnb.load_clip` refuses OpenAI's weights in a plain-GELU model for this reason. The
# cheapest test is the strictest: embed ten inputs, and compare with the published model.
#
# ## 12. Suspect J
#
# > **Predict.** Between embeddings and recalls lie a few lines. Who asks in each direction, and how often?

# %%
j = suspects["J"]
display(j)

# %% exercise="verdict_j"

# %% [markdown]
# **The invariant:** the recalls follow from the embeddings and the pairs, by the rule. "A hit if *any* of its captions is found" is the rule
# of image to text. Carried over to the other direction, an image counts as found if the best of its five captions finds it: five attempts.

# %% predicted=""
honest, captions = recount(j)
rows = [
    {"": "printed", **j.numbers},
    {"": "counted again", **recall_columns(lab.case("J", repaired=True))},
]
lesson.table(
    rows,
    f"Counted again over {captions:,} captions and {len(j.image):,} images",
    digits=1,
    stamp=stamp,
)
assert all(
    abs(honest[name] - lab.case("J", repaired=True).recalls[name]) < 0.05
    for name in honest
)
accuse(j, "captions miscounted")
repair("J")

# %% [markdown]
# The five captions can be miscounted in other ways as well: only the first is used, only the first counts as a hit, or caption $j$ is taken to
# belong to image $j / 5$ where one caption is missing. All of them give plausible numbers, and the same test catches all of them: count
# again, from the names. Print how many queries each direction had.
#
# ## 13. What they did to the numbers
#
# > **Predict.** Which of the eight bugs flatter, which cost recall, and which leave mR where it was? Which one flatters most?

# %%
pairs = [
    (f"{letter} · {name}", suspects[letter].mr, lab.case(letter, repaired=True).mr)
    for letter, name in sorted(culprits.items())
]
figure = shown_and_honest(pairs, "What did each bug do to mR?")
lesson.show(figure, "shown-and-honest", stamp=stamp)

# %% predicted=""
rows = [
    {
        "suspect": letter,
        "bug": name,
        "shown mR": suspects[letter].mr,
        "honest mR": lab.case(letter, repaired=True).mr,
        "flattered by": suspects[letter].mr - lab.case(letter, repaired=True).mr,
        "caught by: in a sound run ...": CHECKS[name].__doc__,
    }
    for letter, name in sorted(culprits.items())
]
lesson.table(
    rows,
    "Eight bugs, what they were worth, and the invariant that catches each",
    digits=1,
    stamp=stamp,
)
change = {
    culprits[letter]: suspects[letter].mr - lab.case(letter, repaired=True).mr
    for letter in sorted(culprits)
}
up, down = (
    [name for name, gap in change.items() if sign * gap >= 0.05] for sign in (1, -1)
)
display(
    Markdown(
        f"Of {len(change)} bugs that were confirmed, {len(up)} flatter "
        f"({', '.join(up) or 'none'}), {len(down)} cost ({', '.join(down) or 'none'}), "
        f"and {len(change) - len(up) - len(down)} leave mR where it was."
    )
)

# %% [markdown]
# Compare with your guess of section 1: the healthy two do not stand out, the best number is broken, and so are numbers in the middle. A bug
# that costs recall tends to be found in your own method and to survive in the baselines, where nobody looks for it: bugs in both
# directions distort a comparison.
#
# ## 14. Every check on every suspect
#
# > **Predict.** Each check was written for one bug. Will it stay silent on the other nine suspects?

# %% predicted="1|[letter for letter in LETTERS if letter not in culprits]"
rows = [
    {
        "check": name,
        **{
            letter: "broken" if check(suspect)[0] else "·"
            for letter, suspect in suspects.items()
        },
    }
    for name, check in CHECKS.items()
]
lesson.table(rows, "Which check finds what?", stamp=stamp)
clean = [letter for letter, suspect in suspects.items() if confirm(suspect, HEALTHY).ok]
print(f"pass all {len(CHECKS)} checks: {', '.join(clean)}")

# %% [markdown]
# One suspect is caught twice: recalls under the names of the other direction do not agree when they are counted again, so E violates
# two invariants with one mistake. A check finds *that* something is broken; the code says *what*.
#
# The eight checks take seconds and know nothing about what a number should be. That is the point of an invariant: it tests the run and not
# the result, so it also works on the result that you hope for.
#
# ## Recap
#
# - Plausible is not right. Most of the eight bugs cannot be seen in the table, however hard you look.
# - Ask of each run what must hold whatever it scores: unit length, equal weights, disjoint images, equal embeddings for equal inputs,
#   whole counts, recalls that can be counted again.
# - Before the first step, compare with the published model; after the last one, compare the frozen weights.
# - Choose on validation, and keep the test part out of the script that chooses.
# - A bug that costs recall does harm as well, mostly to someone else's method.

# %% [markdown]
# ## Quiz
#
# 1. A colleague finds a bug in his evaluation. With the bug fixed, his method loses 0.4 mR and the baseline loses 0.4 too. He leaves the old
#    numbers in the paper, "since the comparison stays the same". What is wrong with that?
#
# <details><summary>Answer</summary><p>The two rows may still be comparable with each other; they are no longer comparable with any other
# paper, and a reader cannot know it. It is also luck that both lost the same: on another set or at another epoch they need not.
# <i>Tempting:</i> nothing, since differences are what counts. Tables are read across papers, and the absolute numbers are what gets
# copied.</p></details>

# %% [markdown]
# 2. Forty epochs are tested, and the best on test is reported. The test part is made ten times as large; everything else stays. What
#    happens to the flattery?
#
# <details><summary>Answer</summary><p>It shrinks, roughly with the square root of the size: what is picked up is the chance part of each
# score, and that gets smaller. It does not vanish, since an epoch may also suit this test part. <i>Tempting:</i> it grows, as there are more
# images to choose on. The choice is among epochs, and their number stayed forty.</p></details>

# %% [markdown]
# 3. A model is evaluated twice and gives mR 56.1 and 56.4. Its author averages ten such evaluations and reports 56.2. Is that sound?
#
# <details><summary>Answer</summary><p>No. An evaluation in eval mode has no spread at all: that two runs differ says that dropout, or some
# other chance, is still on. The mean of ten describes a crippled model very precisely. <i>Tempting:</i> yes, averaging removes noise. It
# removes the noise and keeps the loss; the honest number may lie several points higher.</p></details>

# %% [markdown]
# 4. A test part has 200 images with five captions each. A table says: image to text R@1 31.5, text to image R@1 24.3. Then a second
#    one: image to text R@1 31.3, text to image R@1 24.5. Which table cannot be right?
#
# <details><summary>Answer</summary><p>The second. With 200 images, one image is 0.5 percent, so image to text R@1 can be 31.0 or 31.5, not
# 31.3. With 1,000 captions one is 0.1 percent, and 24.3 and 24.5 are both possible. <i>Tempting:</i> neither can be known without the
# embeddings. The size of the test part is all it takes.</p></details>

# %% [markdown]
# 5. All frozen weights have the same sum before and after training. Is the base model untouched?
#
# <details><summary>Answer</summary><p>Not necessarily. A sum stays where changes cancel: one weight goes up by what another goes down.
# Compare every value, or a hash of all bytes. And equal weights are not enough either: a different activation with the same
# weights is a different model. <i>Tempting:</i> yes, as it is unlikely that sums agree by chance. A check should not depend on luck when
# the exact one costs nothing.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** Here each bug is alone, in twenty lines, and you know that it exists. In a real
# repository it sits in a helper that nobody has opened for a year, and two bugs may cancel. The sizes differ as well: a small test part makes
# the choice of an epoch more rewarding, and the mini CLIP has four blocks in which a wrong activation can add up, where ViT-B/32 has twelve.
#
# **Try it.** Write a ninth check: images preprocessed with ImageNet's mean and deviation instead of CLIP's (`clip.mean`, `clip.std`). How
# much mR does that cost, and which handle does your check need? Then run all eight checks on your own last project.
#
# **Next:** notebook 11 does to a printed table what this one did to code: it asks what must be so, and checks.

# %% [markdown]
# ## Further reading
#
# - Kapoor, Narayanan. *Leakage and the Reproducibility Crisis in Machine-Learning-Based Science.* Patterns 4(9), 2023.
#   [doi:10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804). A catalogue of leaks, with the papers
#   that had them.
# - Musgrave, Belongie, Lim. *A Metric Learning Reality Check.* ECCV 2020. [arXiv:2003.08505](https://arxiv.org/abs/2003.08505). What remains
#   of years of progress once evaluation is fair, test feedback among the faults.
# - Brown, Heathers. *The GRIM Test: A Simple Technique Detects Numerous Anomalies in the Reporting of Results in Psychology.* Social
#   Psychological and Personality Science 8(4), 2017. [doi:10.1177/1948550616673876](https://doi.org/10.1177/1948550616673876). The test of
#   section 7, and how often it finds something.
# - Cawley, Talbot. *On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation.* Journal of Machine Learning
#   Research 11, 2010. [jmlr.org/papers/v11/cawley10a.html](https://www.jmlr.org/papers/v11/cawley10a.html). Why choosing is a way to learn,
#   and what it adds to a score.
