# %% [markdown]
# # 11 · An audit of the paper
#
# **You will learn** to check a table of results with nothing but the table: means against their parts, percentages against counts, recalls
# against the number of queries, and all of them against what could be reached. And to say what follows from a number that does not fit,
# which is less than you might think.
#
# **You need** Notebooks 1 and 4: the captions that repeat, and who asks and who answers. This one runs on its own.
#
# **Minutes** 30 to work through; under a minute to run.
#
# **Runs on** the printed tables of the paper and two result files that ship with the project; section 4 counts your data as well, the toy
# world by default. Real data: `RSNB_DATA=ucm RSNB_ROOT=<folder>`. The command `rsnb audit` prints the findings without a notebook.

# %%
from IPython.display import Markdown, display
from rsnb import METHODS, lesson, paper
from rsnb.measures.ceiling import ceiling
from rsnb.studies.audit.captions import best_row, count
from rsnb.studies.audit.epochs import gains
from rsnb.studies.audit.figures import (
    ceilings,
    epoch_gains,
    image_counts,
    mean_gaps,
    pass_shares,
)
from rsnb.studies.audit.findings import findings
from rsnb.studies.audit.printed import (
    KINDS,
    NAMES,
    SIZES,
    WAYS,
    granularity,
    means,
    mendable,
    one_digit,
    parameters,
    who_counted,
)
from rsnb.studies.audit.result_files import read_audit

s = lesson.setup()
PRINTED = "printed in the paper; not measured here"
table = means()
sizes = ", ".join(f"{len(paper.all_rows(name))} on {name}" for name in paper.DATASETS)
found = findings()
print(f"{len(table)} printed rows of seven numbers each: {sizes}")

# %% [markdown]
# The paper is good work: it has an idea, three data sets, many methods besides its own, and tables that are complete enough to be checked.
# What follows is not a search for guilt. Tables are typed by people, copied from other papers and updated shortly before a deadline, and a digit
# is easily lost. The aim is to read exactly, and to stop where the evidence stops.
#
# ## 1. The mean of six
#
# mR is the mean of six recalls, all printed with two decimals. Rounding moves each recall, and so their mean, by at most 0.005. It moves mR
# by another 0.005. A sound row can therefore be off by 0.01 and no more; for numbers that are truncated instead of rounded the bound
# is the same.
#
# > **Predict.** How many of the rows are off by more, and by how much? Are they the paper's own rows or those of other methods?

# %%
lesson.show(
    mean_gaps(table, "Is the printed mR the mean of the six printed recalls?"),
    "means",
    stamp=PRINTED,
)

# %%
beyond = [
    (line, row)
    for line, row in zip(table, paper.all_rows())
    if line["verdict"] == "beyond"
]
rows = [
    {
        **{k: v for k, v in line.items() if k != "verdict"},
        "one digit that would mend it": "; ".join(
            f"{NAMES.get(n, 'mR')} {new} for {old}"
            for n, old, new in one_digit(row.recalls, row.mr)
        )
        or "none",
    }
    for line, row in beyond
]
lesson.table(rows, "Rows whose mean rounding does not explain", stamp=PRINTED)

# %% [markdown]
# **Was it a slip of one digit?** It is tempting to say so where changing one digit mends a row. Test the explanation before you believe it: put the
# same gap into rows that are sound, and count how many of those one digit would also mend.

# %%
for line, row in beyond:
    fits = len(one_digit(row.recalls, row.mr))
    print(
        f"{line['dataset']} {line['method']}: gap {line['gap']:+.2f}, slips of one "
        f"digit that fit: {fits}; "
        f"sound rows that such a slip would mend: {mendable(line['gap']):.0%}"
    )


def tell(topic):
    """One finding of the audit, with what may explain it."""
    for finding in (f for f in found if f.topic == topic):
        display(
            Markdown(f"**{finding.topic}.** {finding.found}\n\n*But.* {finding.but}")
        )


tell("The mean of six")

# %% [markdown]
# ## 2. Fewer parameters
#
# The abstract says that the adapter trains 0.16 M parameters, 98.9 % fewer than full fine-tuning. Both counts are known: every layer of the
# adapter is described, and ViT-B/32 is public.
#
# > **Predict.** Work it out on paper: 0.16 of 151 million. How many per cent fewer is that?

# %%
p, full = parameters(), next(row for row in paper.rows() if row.method == "full")
rows = [
    {"": "counted", "trained": p["trained"], "of": p["all"], "fewer (%)": p["fewer"]},
    {
        "": "printed",
        "trained": round(1e6 * paper.MILLIONS),
        "of": round(1e6 * full.millions),
        "fewer (%)": p["claimed"],
    },
]
lesson.table(
    rows,
    "How many parameters fewer?",
    stamp="counted on ViT-B/32 by this project · printed: the paper's abstract",
)
tell("Fewer parameters")

# %% [markdown]
# Slips have no direction: some flatter and some cost. If you recheck only the numbers that look bad, you keep the slips that look good, and
# so bias the whole.
#
# ## 3. Which recalls are possible
#
# $N$ images ask, and $k$ of them find one of their captions: the image-to-text recall of one run is $100\,k/N$ per cent with a whole number
# $k$, and nothing in between. Notebook 10 used this in its section 6. Here is the number that the paper prints first on UCM for its own method:

# %%
own = next(row for row in paper.rows("UCM") if row.method == "mrs")
value, n = own.recalls["text_r1"], SIZES["UCM"][0]
k = value * n / 100
print(
    f"{value:.2f} % of {n} images are {k:.2f} images; {int(k)} images are "
    f"{100 * int(k) / n:.2f} %, {int(k) + 1} are {100 * (int(k) + 1) / n:.2f} %"
)

# %% [markdown]
# One number proves little. Ask the same of all of them, be generous (every value within 0.01 of a possible one passes, however it was
# rounded), and ask what a number typed at random would do. On 210 images few values are possible, so the test is sharp. Text to image has
# five times as many queries; over 5,465 captions the possible values lie closer together than two decimals can show, and the test says nothing.
#
# > **Predict.** Three kinds of rows: traditional methods, CLIP without prompts or adapters, and prompts and adapters. If all were counted
# > alike, where would the coloured marks lie? And if one kind were means over several runs?

# %%
kinds = list(dict.fromkeys(KINDS.values()))
cells = [
    granularity(name, kind, way)
    for name in paper.DATASETS
    for kind in kinds
    for way in WAYS
]
figure = pass_shares(
    cells, kinds, WAYS, "Which printed recalls can be counts of one run?"
)
lesson.show(figure, "possible", stamp=PRINTED)

# %% [markdown]
# **A mean of several runs?** The mean of $n$ runs is a multiple of $1/(nN)$. Try all $n$ up to ten on the image-to-text recalls of UCM. The
# last column is the probability that luck alone lets that many pass.

# %%
rows = []
for runs in range(1, 11):
    cell = granularity("UCM", KINDS["adapter"], runs=runs)
    rows.append(
        {
            "mean of n runs": runs,
            "possible": f"{cell['passed']} of {cell['total']}",
            "expected by luck": cell["chance"] * cell["total"],
            "so many by luck (probability)": cell["luck"],
        }
    )
lesson.table(
    rows,
    "UCM, image to text: could the rows of prompts and adapters be means of n runs?",
    stamp=PRINTED,
)
tell("Possible recalls")

# %% [markdown]
# **Over how many images, then?** Turn the test around. Assume some other size of the test split, and see how many recalls would be possible.
# Where the numbers are counts of one run, the true size must stand out; where they are means, no size will.
#
# > **Predict.** Will every kind of row that has a peak have it at the stated size?

# %%
stated = {name: images for name, (images, _) in SIZES.items()}
scans = {
    name: {kind: who_counted(name, kind) for kind in kinds}
    for name in ("UCM", "RSITMD", "RSICD")
}
figure = image_counts(scans, stated, "Over how many images were the recalls counted?")
lesson.show(figure, "images", stamp=PRINTED)
tell("How many images")

# %% [markdown]
# The peaks are the reason to trust the test: any size in the range could have won. And they limit what it says. It sees *that* the rows of
# prompts and adapters were made in another way, but not in which. A mean over seeds or folds, which is what should be printed, would look
# exactly like this. Had the paper said "mean of n runs", there would be nothing to find: one line under a table saves its readers this section.
#
# ## 4. What could be reached
#
# Captions repeat. Where one text describes several images, no model can know which of them is meant, and a perfect one is right as often as
# chance allows. This sets a **ceiling** on every recall, under random order of what cannot be distinguished. It is computed from the caption
# files alone.
#
# > **Predict.** On which of the three sets does the ceiling matter? Do any of the printed numbers lie above it?

# %%
counted = read_audit("audit")
FILES = "caption files alone, no model"
if counted:
    sets = counted["sets"]
    panels = {
        name: (sets[name]["ceiling"], best_row(name).recalls, "best printed row")
        for name in ("UCM", "RSITMD", "RSICD")
    }
    figure = ceilings(
        panels, NAMES, "How much of what can be reached do the best printed rows reach?"
    )
    lesson.show(
        figure,
        "ceilings",
        stamp=f"ceilings: {counted['stamp']} · dots: printed in the paper",
    )
else:
    sets = {}
    print("no result file; make it with: rsnb audit --root DIR --install")

# %% [markdown]
# The same counts on your data, made now, as the last row:

# %%
here = count(s.dataset("test"), s.dataset("trainval"), f"at hand: {s.data}")


def line(c):
    """One row of the table of captions."""
    return {
        "split": c["dataset"],
        "images": c["images"],
        "captions": c["captions"],
        "distinct": c["distinct"],
        "describe several images (%)": 100 * c["shared"] / c["captions"],
        "also in train (%)": 100 * c["in_train"] / c["captions"],
        "of the distinct ones (%)": 100 * c["distinct_in_train"] / c["distinct"],
        "ceiling mR": c["ceiling"]["mr"],
    }


lesson.table(
    [line(c) for c in [*sets.values(), here]],
    "Captions of the test splits",
    digits=1,
    stamp=f"{FILES} · last row: {s.stamp}",
)
luckiest = ceiling(*s.dataset("test").captions, order="best")
display(
    Markdown(
        "On the data at hand the best that a model can expect is "
        f"{here['ceiling']['text_r1']:.1f} (image to text R@1), "
        f"{here['ceiling']['image_r1']:.1f} (text to image R@1) and "
        f"{here['ceiling']['mr']:.1f} mR, over random orders of the images "
        f"that share a text; in the luckiest order it is {luckiest['mr']:.1f} mR."
    )
)
tell("What could be reached")

# %% [markdown]
# Two things to take away. The same recall is a different achievement under a low ceiling than under one of 100, so data sets cannot be compared
# by their recalls. And a caption that also occurs in train asks the model for something it was taught word for word; the number says how well it
# remembers as much as how well it understands.
#
# ## 5. The best epoch
#
# The paper keeps the epoch with the best mR on **validation** and reports the test part once. That is right, and since nobody can see it in a
# table, it is worth knowing what the other way would have gained. A few of our own runs were evaluated on both parts after every epoch.
#
# > **Predict.** By how many mR points, on test, is the epoch that test likes best better than the one that validation likes best? How much of
# > that would be left on new images?

# %%
epochs = read_audit("best-epoch")
if epochs:
    titles = {
        run["method"]: METHODS[run["method"]].title for run in epochs["trainings"]
    }
    lesson.show(
        epoch_gains(
            epochs["trainings"], titles, "What does choosing the epoch on test add?"
        ),
        "epochs",
        stamp=epochs["stamp"],
    )
    lesson.table(
        [
            {**row, "method": titles.get(row["method"], row["method"])}
            for row in gains(epochs)
        ],
        "Gain in test mR (points) of choosing the epoch on test; sd over seeds",
        stamp=epochs["stamp"],
    )
    tell("The best epoch")
else:
    print("no result file; make it with: rsnb audit --part best-epoch --install")

# %% [markdown]
# On the left the gain cannot be negative: the largest of a list is at least any other entry. That alone makes it a bias. The right panel takes
# the gain apart. One random half of the test images chooses the epoch; on that half it looks at least as good as validation's choice, because it was
# chosen for it. On the other half, which had no say, nothing forces it to be better. The distance between the two marks is luck that
# would have been reported as progress. Where both parts like the same late epoch, as in a short run that is still improving, the whole test part
# gains little; long runs on a plateau, and many settings to choose from, leave more to gain.
#
# ## 6. What follows
#
# > **Predict.** You are the reviewer. Which of the findings would you ask the authors about, and does any of them change a conclusion?

# %%
largest = max(abs(line["gap"]) for line in table)
rows = []
for name in paper.DATASETS:
    best, second, *_ = sorted(
        (r for r in paper.rows(name) if r.group in ("prompt", "adapter")),
        key=lambda r: -r.mr,
    )
    rows.append(
        {
            "data": name,
            "best prompt or adapter": best.title,
            "mR": best.mr,
            "next": second.title,
            "its mR": second.mr,
            "lead": best.mr - second.mr,
            "largest gap of any mean": largest,
        }
    )
lesson.table(rows, "Could a slip of the size found change who leads?", stamp=PRINTED)
touched = [row["data"] for row in rows if row["lead"] <= largest]
display(
    Markdown(
        f"The largest gap between a printed and a computed mean is {largest:.2f} mR. "
        "It is "
        + (
            f"no smaller than the lead on {', '.join(touched)}."
            if touched
            else "smaller than the lead on every data set."
        )
    )
)

# %% [markdown]
# A fair letter to the authors has three lines: in which rows the mean is off, what the percentage comes to, and the question of how many
# runs the tables are averaged over. It asks and does not accuse. The conclusions rest on the order of the methods and on their distances, so that
# is what a slip has to be compared with. What the tables cannot show is the spread over seeds, and that is the question to ask of any table.
#
# ## Recap
#
# - A mean can be checked against its parts, within a bound that follows from the rounding; beyond it something is off, and nothing more is known.
# - A fitting explanation is evidence only if it would not fit just as well elsewhere. Count how often it does.
# - A recall is a count over the queries. On small test parts this shows how a number was made; on large ones it shows nothing.
# - Repeated captions set a ceiling that no model passes in expectation; compare a recall with it before comparing data sets.
# - Choosing on test can only flatter. The part that is luck shows on images that had no say.
# - Say what was averaged, over how many runs, on which list of images. It costs one line.

# %% [markdown]
# ## Quiz
#
# 1. A row prints six recalls with one decimal each and mR with two. How far may the printed mR be from the mean of the printed recalls?
#
# <details><summary>Answer</summary><p>By 0.055. Each recall may be off by 0.05 and so may their mean, if all err the same way; mR itself adds
# 0.005. <i>Tempting:</i> 0.005, as mR has two decimals. The recalls that it was computed from had more decimals than you
# see.</p></details>

# %% [markdown]
# 2. A test part has 1,000 images. A table prints image-to-text recalls with one decimal, and all thirty values pass the test of section 3.
#    What have you learned?
#
# <details><summary>Answer</summary><p>Nothing. With 1,000 images one image is 0.1 per cent, so every value with one decimal is possible, and a
# table of random numbers would pass too. <i>Tempting:</i> that the numbers are counts of single runs. A test that cannot fail cannot
# confirm.</p></details>

# %% [markdown]
# 3. Thirty recalls on 200 images are not multiples of 0.5, and the paper does not say how they were averaged. Your colleague calls them
#    invented. What do you answer?
#
# <details><summary>Answer</summary><p>That they were not made by one count over 200 images with this rounding, and that this is all we
# know. Means over seeds or folds, a list of a different length, or another way to count would all look the same, and the first of these is
# good practice. <i>Tempting:</i> to agree, since the chance is so small. It is small under one assumption, and it is the assumption that
# falls.</p></details>

# %% [markdown]
# 4. A model prints 41.0 for text to image R@1 on a split whose ceiling is 38.0. Must there be a mistake?
#
# <details><summary>Answer</summary><p>No. The ceiling is an expectation over random orders of images that share a text. A sort that puts the
# right one first a little more often than chance, for example when the files are in a lucky order, can exceed it; so can corrected captions. But
# the number then measures the sort too. <i>Tempting:</i> yes, as a ceiling is a ceiling. It limits the mean, not every order.</p></details>

# %% [markdown]
# 5. In one run, validation and test choose the same epoch, so the gain is zero. Does that show that choosing on test is harmless?
#
# <details><summary>Answer</summary><p>No. The gain is zero in this run and can never be below zero, so its mean over runs is above zero as
# soon as one run differs. It also grows with everything chosen in the same way: settings, seeds, variants. <i>Tempting:</i> yes, at least
# for this run. Even there nobody knew it beforehand, and only the honest choice can be defended.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The first three sections need no data, and their numbers are the paper's. The ceilings of the
# three real sets come from their caption files; the toy world repeats captions in its own way, so its row of section 4 says nothing about
# them. The runs of section 5 are short runs of a small model on drawn images: their gains show the mechanism, not its size for ViT-B/32.
#
# **Try it.** Take a table from a paper that you rely on. Compute its means, its percentages and the size of its steps (`one_digit`,
# `possible` and `chance_of_rounding` take any numbers). Then write the letter of section 6 in three lines, and ask someone to read
# your own last table in the same way.
#
# **Next:** notebook 12 leaves benchmarks behind and searches a scene of your own.

# %% [markdown]
# ## Further reading
#
# - Yuan, Zhan, Xiong. *Parameter-Efficient Transfer Learning for Remote Sensing Image-Text Retrieval.* IEEE TGRS 61, 2023.
#   [doi:10.1109/TGRS.2023.3308969](https://doi.org/10.1109/TGRS.2023.3308969). The tables that are read here, and the protocol behind them.
# - Brown, Heathers. *The GRIM Test: A Simple Technique Detects Numerous Anomalies in the Reporting of Results in Psychology.* Social
#   Psychological and Personality Science 8(4), 2017. [doi:10.1177/1948550616673876](https://doi.org/10.1177/1948550616673876). The test of
#   section 3, with its power and its limits.
# - Nuijten, Hartgerink, van Assen, Epskamp, Wicherts. *The Prevalence of Statistical Reporting Errors in Psychology (1985–2013).* Behavior
#   Research Methods 48(4), 2016. [doi:10.3758/s13428-015-0664-2](https://doi.org/10.3758/s13428-015-0664-2). How common slips are, and in
#   how many papers they touch a conclusion.
# - Cawley, Talbot. *On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation.* Journal of Machine Learning
#   Research 11, 2010. [jmlr.org/papers/v11/cawley10a.html](https://www.jmlr.org/papers/v11/cawley10a.html). The bias of section 5, and how
#   it grows with what is chosen.
# - Musgrave, Belongie, Lim. *A Metric Learning Reality Check.* ECCV 2020. [arXiv:2003.08505](https://arxiv.org/abs/2003.08505). An audit by
#   running everything again under equal conditions.
