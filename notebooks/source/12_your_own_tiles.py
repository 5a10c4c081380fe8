# %% [markdown]
# # 12 · Your own tiles
#
# **You will learn** to search images of your own: to cut a large scene into tiles and index them, to ask with words and put the answers on
# the map, to notice when the answer is nonsense, to choose a threshold with ten labels, and to say whether training on fifty of your own
# tiles is worth it.
#
# **You need** Notebook 4 for retrieval. This one runs on its own.
#
# **Minutes** 45 to work through, 28 more for its exercises; about two minutes to run.
#
# **Runs on** a scene drawn for it, the mini CLIP, and the adapter that ships with the project. Real data: `RSNB_DATA=ucm
# RSNB_ROOT=<folder>` puts its test images side by side instead; another backbone: `RSNB_BACKBONE=ViT-B-32-quickgelu
# RSNB_PRETRAINED=openai`. If no adapter ships for your data and backbone, one is trained briefly, live. Places on the map need the extra
# `geo` (`pip install 'rsnb[geo]'`); without it the notebook runs on tiles in a folder.

# %%
import math
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import rsnb
from rsnb import lesson, plots
from rsnb.data.rasters import has_rasterio
from rsnb.figures import scene as pictures
from rsnb.measures.similarity import UNKNOWN, named
from rsnb.studies.runs import adapter_path, recipe
from rsnb.tiles.asking import of_texts
from rsnb.tiles.reading import starts
from rsnb.tiles.zero_labels import FORCED, PROMPTS, class_vectors, label
from rsnb.worlds.scene import corners, draw_scene, in_rows, write_scene, write_tiles

s = lesson.setup()
TILE = 128  # side of a tile in pixels
ZERO_SHOT, ADAPTED = "zero-shot CLIP", "with adapter"
temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
work = Path(temporary.name)

# %% [markdown]
# ## 1. A scene
#
# Your images rarely come as the neat squares of a benchmark. They come as a scene: one large file, with a projection and a resolution, and
# without any captions. Here is one whose every place is known, because it was drawn: places of the toy world side by side, those of one
# kind near each other. None of them is in the toy data, so no model of this project has seen them. The file says that it lies in the
# open North Sea, so that nobody mistakes it for a real place.
#
# > **Predict.** It will be cut into tiles of 128 pixels. How many tiles does the scene have, and how many of each class? (Guess from the
# > number of classes of the toy world, 22.)

# %% predicted="{'tiles': len(classes), 'of a class, at least': min(counts.values())}"
train = s.dataset("train")
drawn = s.is_toy or set(named(train.labels)) == {UNKNOWN}
rows, columns = (5, 6) if s.quick else (10, 15)
if drawn:
    scene = draw_scene(s.seed, rows, columns, TILE)
    train = train if s.is_toy else rsnb.load_dataset("toy", "train")
else:  # test images side by side; where they really lie is not known
    test = s.dataset("test")
    columns = max(2, math.isqrt(3 * len(test) // 2))
    order = sorted(range(len(test)), key=lambda i: named(test.labels)[i])
    scene = in_rows(
        [test.image(i) for i in order],
        [named(test.labels)[i] for i in order],
        [test[i].captions for i in order],
        columns,
        TILE,
    )
classes = np.array(scene.labels, dtype=object)  # of each cell, row by row
counts = Counter(scene.labels)
rows, columns = scene.shape
places = drawn and has_rasterio()
title = f"What is in this scene of {columns} x {rows} tiles?"
lesson.show(pictures.scene_picture(scene.pixels, TILE, title), "scene")
print(
    f"{len(classes)} tiles of {len(counts)} classes, "
    f"{min(counts.values())} to {max(counts.values())} of each"
)

# %% [markdown]
# For every class we need sentences that ask for it. We take the four most frequent captions of the class in the *training* part: they
# are general, and none was written for this scene.

# %%
said = {}  # class -> sentences
for name in sorted(counts):
    own = [item.captions for item, c in zip(train, named(train.labels)) if c == name]
    most = Counter(caption for captions in own for caption in captions)
    said[name] = tuple(caption for caption, _ in most.most_common(4)) or (name,)
CLASS, QUERY = "harbor", "many boats are in a harbor ."
if CLASS not in said:
    CLASS = next(iter(said))
    QUERY = said[CLASS][0]
examples = list(said)[:: max(1, len(said) // 5)]
lesson.table(
    [{"class": name, "asked with": said[name][0]} for name in examples],
    "One of the four sentences for some classes",
)

# %% [markdown]
# ## 2. An index
#
# An index is made once and asked often. Each tile goes through the image tower; its embedding of length 1 is stored, with the file, the
# window and the place of the tile. From the command line:
#
#     rsnb index scene.tif --tile 128 --adapter FILE
#     rsnb search --index scene.tif.index "many boats are in a harbor" --out hits.geojson
#
# > **Predict.** How much smaller is the index than the pixels of the scene: 10 times, 100 times, 1,000 times?

# %% exercise="tile_starts"

# %%
path = adapter_path(s.data, s.backbone)
models = {ZERO_SHOT: rsnb.adapt(s.clip(), "zero_shot")}
adapter, source = None, "shipped adapter"
if path.is_file():
    try:
        adapter = rsnb.load_adapter(path, s.clip())
    except rsnb.RsnbError as error:
        print(error)
if adapter is None:
    config = recipe(
        s.data, s.backbone, epochs=s.epochs or 5, seed=s.seed, batch_size=s.batch_size
    )
    adapter = rsnb.adapt(s.clip(), config.method, seed=s.seed, **config.options)
    rsnb.train(adapter, s.dataset("train"), s.dataset("val"), config)
    source = f"adapter trained live, {config.epochs} epochs"
models[ADAPTED] = adapter
stamp = f"{'drawn scene' if drawn else 'test images'} · {s.stamp} · {source}"


def indexed(name, model, shift=0, overlap=0):
    """Cut the scene into tiles from `shift` pixels on, and index them."""
    pixels = scene.pixels[shift:, shift:]
    if places:
        tiles = work / f"{name}.tif"
        write_scene(tiles, pixels, (shift, shift))
    else:  # pictures in a folder, without a place
        tiles = work / name
        cut = (
            starts(side, TILE, overlap) for side in (pixels.shape[1], pixels.shape[0])
        )
        write_tiles(tiles, pixels, tuple(cut), TILE)
    options = {"tile": TILE, "overlap": overlap} if places else {}
    return rsnb.Index.build(tiles, work / f"{name}.index", model=model, **options)


# %% predicted="{'times smaller': scene.pixels.nbytes / stored.nbytes}"
begun = time.perf_counter()
indexes = {name: indexed(f"scene-{n}", m) for n, (name, m) in enumerate(models.items())}
index = indexes[ADAPTED]
stored = np.concatenate(index.blocks)  # (n, D) float16
print(
    f"both built in {time.perf_counter() - begun:.0f} s; {len(stored)} rows of "
    f"{stored.shape[1]} numbers: {stored.nbytes / 1e3:,.0f} kB, for "
    f"{scene.pixels.nbytes / 1e3:,.0f} kB of pixels"
)
print(
    "west, south, east, north: " + ", ".join(f"{x:.3f}" for x in index.about["extent"])
    if places
    else "no places: these tiles are pictures in a folder"
)

# %% [markdown]
# The stored numbers have 16 bits. That is enough: the error of a cosine is far below the differences that decide an order.
#
# ## 3. Search is one product
#
# Stored rows $X$ ($n$ tiles, $D$ numbers each) and the embedding $q$ of a sentence give all scores at once, $X q$; sorting does the rest.
# Nothing is approximated: every tile is compared. `index.search` does the same, block by block, and also says what and where each tile is.
#
# > **Predict.** How many of the ten best tiles for a harbor are harbors: with zero-shot CLIP, and with the adapter? What will the wrong
# > ones show?

# %%
q = of_texts(adapter, [QUERY])[0]  # (D,)
scores = stored.astype(np.float64) @ q  # (n,)
best = np.argsort(-scores, kind="stable")[:10]  # the first rows, best first

hits = index.search(QUERY, top=10)
assert np.allclose(scores[best], hits["score"], atol=1e-6)
assert np.array_equal(corners(index.table())[best], corners(hits))
print("the product and index.search find the same tiles in the same order")


def cells_of(table, shift=0):
    """The cell of the scene under the centre of each tile."""
    return scene.cells(*(corners(table) + TILE // 2 + shift).T)


shown = ["rank", "score", *["lon", "lat"] * places]
lesson.table(
    hits[shown].assign(shows=classes[cells_of(hits)]).head(5),
    f"The first five for “{QUERY}”, with adapter",
    digits=4 if places else 2,
    stamp=stamp,
)

# %% predicted="right"
found, right = {}, {}
for name, own in indexes.items():
    table = own.search(QUERY, top=len(own))
    all_scores = np.zeros(len(classes))
    all_scores[cells_of(table)] = table["score"]
    found[name] = all_scores, cells_of(table)[:10]
    right[name] = int((classes[found[name][1]] == CLASS).sum())
at = TILE * np.array([divmod(cell, columns)[::-1] for cell in range(len(classes))])
figure = pictures.score_maps(
    scene.pixels,
    at,
    TILE,
    found,
    np.flatnonzero(classes == CLASS),
    f"shows {CLASS}",
    f"Where is “{QUERY}”? In each tile: 100 times its cosine",
)
lesson.show(figure, "map", stamp=stamp)
for name, (_, first) in found.items():
    others = Counter(classes[i] for i in first if classes[i] != CLASS)
    print(
        f"{name}: {right[name]} of the first 10 are {CLASS} (the scene has "
        f"{counts[CLASS]}); the others: {', '.join(others) or 'none'}"
    )

# %% [markdown]
# Read the map in this order. Red frames are the truth, which you do not have for a scene of your own. Numbered tiles are the answer. A
# numbered tile without a frame is a false find; a framed tile without a number was missed. The two maps have scales of their own, because
# a cosine of one model says nothing about a cosine of another.
#
# With places, a search can be limited to a region: `near=(lon, lat, km)` or `bbox=(west, south, east, north)`.

# %%
if places:
    first = hits.iloc[0]
    around = index.search(QUERY, top=3, near=(first["lon"], first["lat"], 0.6))
    print(f"within 600 m of the best hit: {', '.join(classes[cells_of(around)])}")
else:
    print("no places here, so no region can be asked for")

# %% [markdown]
# ## 4. What the adapter changed
#
# One query proves little. So ask for every class, with the mean embedding of its four sentences, and look at the first $n$ tiles, where $n$
# is the number of tiles of that class in the scene: the share of right ones among them can reach 100 for every class. *Precision at 10* cannot,
# if a class has fewer than ten tiles; its ceiling is beside it.
#
# > **Predict.** For how many of the classes is the adapter better, and for how many worse? Which class is still hard?


# %%
def found_first(own, among=None):
    """{class: percent right among the first n, n being how many there are}."""
    table = own.search(class_vectors(own, said), top=len(own))
    ranked = cells_of(table).reshape(len(said), -1)  # (class, tile), best first
    shares, tens = {}, {}
    for name, cells in zip(said, ranked):
        kept = [cell for cell in cells if among is None or cell in among]
        is_right = classes[kept] == name
        if is_right.any():
            shares[name] = 100 * is_right[: is_right.sum()].mean()
            tens[name] = 100 * is_right[:10].mean()
    return shares, tens


# %% predicted="{'better': up, 'worse': down}"
shares, tens = zip(*map(found_first, indexes.values()))
pairs = {name: (shares[0][name], shares[1][name]) for name in said}
up, down = sum(b > a for a, b in pairs.values()), sum(b < a for a, b in pairs.values())
figure = pictures.dumbbells(
    pairs,
    tuple(indexes),
    "right among the first n tiles (%), n tiles of the class in the scene",
    "For which classes does the adapter find more?",
)
lesson.show(figure, "classes", stamp=stamp)
ceiling = np.mean([min(10, n) * 10 for n in counts.values()])
rows = [
    {
        "model": name,
        "right among the first n": np.mean(list(share.values())),
        "precision at 10": np.mean(list(ten.values())),
        "its ceiling": ceiling,
    }
    for name, share, ten in zip(indexes, shares, tens)
]
lesson.table(rows, "Mean over the classes, in percent", digits=1, stamp=stamp)
print(f"better for {up} classes, worse for {down}, of {len(pairs)}")

# %% [markdown]
# A class has a handful of tiles here, so one tile more or less moves its line by many points: read the mean, not a single class.
#
# ## 5. Nonsense
#
# An index always answers. Ask it for a castle in the snow, and it ranks all tiles and hands you the first. Does the score give it away?
# Not by itself: what is high depends on model and scene. So `rsnb index` asks every new index 200 *foreign* sentences, about things
# that no picture from above shows, and keeps the score of the best hit of each. Beside every score of a search stands its **percentile**: the
# share of the foreign sentences whose best hit scores lower.
#
# > **Predict.** Of the sentences that do have an answer here, which share has a best hit that beats 95 % of the foreign ones? Is it larger for
# > zero-shot CLIP, or with the adapter?

# %% exercise="percentile_of"

# %% predicted="seen"
NOT_HERE = ("a castle in the snow", "a cat sleeps on a sofa")
asked = [sentence for sentences in said.values() for sentence in sentences]
panels, marked, rows, seen = {}, {}, [], {}
for name, own in indexes.items():
    foreign = np.array(own.about["foreign"])  # (200,) ascending
    hits = own.search([*NOT_HERE, *asked], top=1)
    by_hand = [100 * np.mean(foreign < score) for score in hits["score"]]
    assert np.allclose(by_hand, hits["percentile"], atol=1e-3)
    odd, real = hits[: len(NOT_HERE)], hits[len(NOT_HERE) :]
    panels[name] = {"foreign": foreign, "has an answer here": real["score"].to_numpy()}
    marked[name] = dict(zip(odd["query"], odd["score"]))
    seen[name] = 100 * float((real["percentile"] > 95).mean())
    for _, hit in odd.iterrows():
        answer = classes[cells_of(hit.to_frame().T)][0]
        rows.append(
            {
                "model": name,
                "asked": hit["query"],
                "best hit": answer,
                "cosine": hit["score"],
                "percentile": hit["percentile"],
            }
        )
figure = pictures.best_scores(
    panels, marked, "Does the best cosine say whether a sentence has an answer?"
)
lesson.show(figure, "foreign", stamp=stamp)
lesson.table(rows, "Two sentences that have no answer here", stamp=stamp)
for name, share in seen.items():
    print(f"{name}: {share:.0f} % of the real sentences beat 95 % of the foreign ones")

# %% [markdown]
# Where the two rows of ticks overlap, no threshold on the cosine separates sense from nonsense, whatever its value. The percentile does
# not mend that; it only says how often nonsense looks like this. The two named sentences are not among the 200. If one of them has a middling
# percentile, it is no surprise: half of all nonsense is above the median of nonsense.
#
# And the other direction fails too: a true sentence with unusual words can stay below the foreign ones. A low percentile says *look at the
# tiles*, not *there is none*.
#
# ## 6. When the cut does not fit
#
# Here each tile shows one place, because we cut where the places meet. Nobody's scene does that. Cut the same scene 56 pixels further to the
# south-east, and each tile shows parts of four places. An overlap of half a tile makes almost four times as many tiles, of which some fit again.
# A hit counts as right if the *centre* of the tile lies in a place of the class that was asked for.
#
# > **Predict.** By how much does the share of right first hits fall with the shifted cut? How much of the loss does the overlap bring back?

# %% predicted="{name: row['first hit right (%)'] for name, row in zip(CUTS, rows)}"
SHIFT = 56
CUTS = {
    "cut at the places": (0, 0),
    "shifted": (SHIFT, 0),
    "shifted, overlap": (SHIFT, TILE // 2),
}
wanted = np.repeat(list(said), [len(sentences) for sentences in said.values()])
rows, sheet, notes = [], [], []
for n, (name, (shift, overlap)) in enumerate(CUTS.items()):
    own = indexed(f"cut-{n}", adapter, shift, overlap) if n else index
    hits = own.search(asked, top=1)
    ok = classes[cells_of(hits, shift)] == wanted
    rows.append(
        {
            "cut": name,
            "tiles": len(own),
            "first hit right (%)": 100 * ok.mean(),
            "mean best cosine": hits["score"].mean(),
        }
    )
    for _, hit in own.search(QUERY, top=4).iterrows():
        sheet.append(own.picture(hit))
        centre = classes[cells_of(hit.to_frame().T, shift)][0]
        notes.append(f"{name}\n{centre} {hit['score']:.2f}")
figure = plots.contact_sheet(
    sheet, notes, f"The four best tiles for “{QUERY}” in three cuts", columns=4
)
lesson.show(figure, "cuts", stamp=stamp)
lesson.table(rows, f"{len(asked)} sentences, with adapter", stamp=stamp)

# %% [markdown]
# A tile has one embedding. Where it shows four places, the embedding is something between the four, and near to none of them. Overlap costs
# tiles, time and duplicates in the answer (one boat lies in up to four tiles); it pays if what you look for is about as large as a tile. If it is
# much smaller, cut smaller tiles; if it is larger, larger ones.
#
# ## 7. A threshold from ten labels
#
# A map needs a yes or no for each tile, so a threshold. The honest way is to label: take ten of the thirty best tiles at random, look at each,
# write down yes or no, and choose the threshold with the best $F_1$ on these ten. How good is that? Here the truth is known, so the same can
# be repeated a thousand times with other tens.
#
# > **Predict.** Will the $F_1$ on the ten labelled tiles be higher or lower than in the whole scene, on average? How far apart will the
# > thresholds of two draws be?

# %% exercise="threshold_on_ten"


# %% predicted="{'F1 on the ten': np.mean(on_ten), 'in the scene': np.mean(in_scene)}"
def f1(t, values, truth):
    """F1 of the tiles that score at least t."""
    hit = values >= t
    return 2 * (hit & truth).sum() / max(1, hit.sum() + truth.sum())


values, truth = found[ADAPTED][0], classes == CLASS
likely = np.argsort(-values)[:30]
rng = np.random.default_rng(s.seed)
chosen, on_ten, in_scene = [], [], []
while len(chosen) < 1000:
    ten = rng.permutation(likely)[:10]
    if truth[ten].any():  # else there is nothing to choose by: label more
        _, t = max((f1(t, values[ten], truth[ten]), t) for t in values[ten])
        chosen.append(t)
        on_ten.append(f1(t, values[ten], truth[ten]))
        in_scene.append(f1(t, values, truth))
curve = {t: f1(t, values, truth) for t in np.unique(values)}
figure = pictures.threshold_choice(
    values,
    truth,
    chosen,
    curve,
    chosen[0],
    (CLASS, "any other tile"),
    f"How far is the threshold from ten labels to be trusted? ({CLASS})",
)
lesson.show(figure, "threshold", stamp=stamp)
low, high = np.percentile(chosen, [5, 95])
print(
    f"nine of ten draws choose between {low:.2f} and {high:.2f}; F1 is "
    f"{np.mean(on_ten):.2f} on the ten themselves, {np.mean(in_scene):.2f} in the "
    f"whole scene ({np.percentile(in_scene, 5):.2f} in a bad draw of 20), and "
    f"{max(curve.values()):.2f} with the best of all thresholds"
)

# %% [markdown]
# The ten chose the threshold, so they like it: their $F_1$ is that of the winner of a small contest. For a number to report, label other
# tiles. And the threshold belongs to this sentence and this index: with another sentence, choose again.
#
# ## 8. Labels from words
#
# If the classes are known, each tile can be given the nearest of them: the softmax over the classes, with CLIP's own temperature, and the
# **margin** between the first and the second. No label is needed, only sentences (`rsnb label` does it from the command line).
#
# > **Predict.** What share of the tiles gets the right class, by the adapter's embeddings? And among the tiles with a large margin?

# %% predicted="{'right (%)': rows[-1]['right (%)'], 'large margin': sure}"
by_name = {name: tuple(p.format(name) for p in PROMPTS) for name in said}
rows = []
for name, own in indexes.items():
    for how, sentences in (("class names", by_name), ("captions", said)):
        labelled = label(own, sentences)
        ok = labelled["class"].to_numpy() == classes[cells_of(labelled)]
        rows.append({"model": name, "asked with": how, "right (%)": 100 * ok.mean()})
lesson.table(rows, "Labels without labels", digits=1, stamp=stamp)
bands = []
for least in (0.0, 0.3, 0.6, 0.9):
    kept = labelled["margin"].to_numpy() >= least
    bands.append(
        {
            "margin at least": least,
            "tiles kept (%)": 100 * kept.mean(),
            "of these right (%)": 100 * ok[kept].mean() if kept.any() else math.nan,
        }
    )
sure = bands[2]["of these right (%)"]
lesson.table(bands, "With adapter, asked with captions", digits=1, stamp=stamp)
pairs = Counter(
    f"{is_} taken for {said_}"
    for is_, said_ in zip(classes[cells_of(labelled)], labelled["class"])
    if is_ != said_
)
print("most often:", "; ".join(f"{p} ({n})" for p, n in pairs.most_common(3)))
print(FORCED)

# %% [markdown]
# The margin sorts: the sure half is better than the rest, and you can look at the other half yourself. It is no probability of being
# right. A tile of a class that is not on the list gets one of the listed ones, often with a large margin.
#
# ## 9. Fifty tiles of your own
#
# The last resort costs work: caption some tiles and train. Fifty tiles are taken at random, with the five captions of each; forty train,
# ten are the validation part. Everything is measured on the tiles that were not captioned. (Here tiles that touch share nothing. In a real
# scene they share a road or a field: then divide by blocks of tiles, not by single ones.)
#
# > **Predict.** Three ways: train an adapter from zero-shot CLIP, train the shipped one further, or leave that as it is. Which is best on
# > the other tiles? And how does mR on ten validation tiles compare with mR on a hundred others?

# %%
mine = np.random.default_rng(s.seed).permutation(len(classes))
size = min(50, len(mine) // 3)
parts = {
    "train": mine[: size * 4 // 5],
    "val": mine[size * 4 // 5 : size],
    "test": mine[size:],
}
folder = work / "own"
write_tiles(
    folder,
    scene.pixels,
    tuple(starts(side, TILE, 0) for side in scene.pixels.shape[1::-1]),
    TILE,
)
for part, tiles in parts.items():  # the layout "csv": a row for each caption
    lines = [
        {"filename": f"x{at[i][0]:05d}_y{at[i][1]:05d}.png", "title": caption}
        for i in tiles
        for caption in scene.captions[i]
    ]
    pd.DataFrame(lines).to_csv(folder / f"own_{part}.csv", index=False)
own = {part: rsnb.load_dataset(folder, part, val_fraction=None) for part in parts}
print({part: len(items) for part, items in own.items()})
lesson.table(
    pd.read_csv(folder / "own_train.csv").head(2),
    "The first lines of own_train.csv",
    stamp=stamp,
)

# %%
config = recipe(s.data, s.backbone, epochs=s.epochs or 6, seed=s.seed).replace(
    batch_size=16, pairs="all"
)
fresh = rsnb.adapt(s.clip(), config.method, seed=s.seed, **config.options)
result = lesson.train(fresh, own["train"], own["val"], config)

# %%
further = models[ADAPTED]
if source == "shipped adapter":
    further = rsnb.load_adapter(path, s.clip())
    short = config.replace(epochs=min(2, config.epochs), lr=config.lr / 5)
    rsnb.train(further, own["train"], own["val"], short, progress=False)
tried = {
    ZERO_SHOT: models[ZERO_SHOT],
    f"trained on {len(own['train'])} tiles": fresh,
    ADAPTED: adapter,
    "the same, trained further": further,
}

# %% predicted="{row['model']: row['mR, other tiles'] for row in rows}"
rows, others = [], set(parts["test"].tolist())
for n, (name, model) in enumerate(tried.items()):
    again = indexes[name] if name in indexes else indexed(f"again-{n}", model)
    share, _ = found_first(again, others)
    rows.append(
        {
            "model": name,
            f"mR, {len(own['val'])} val. tiles": rsnb.evaluate(model, own["val"]).mr,
            "mR, other tiles": rsnb.evaluate(model, own["test"]).mr,
            "right among the first n": np.mean(list(share.values())),
        }
    )
note = f"Measured on {len(others)} tiles that were not captioned"
lesson.table(rows, f"{note} (but for the validation mR)", digits=1, stamp=stamp)
gain = [row["mR, other tiles"] for row in rows]
print(
    f"own tiles alone: {gain[1] - gain[0]:+.1f} mR over zero-shot; on top of the "
    f"adapter: {gain[3] - gain[2]:+.1f} mR"
)

# %% [markdown]
# Read the columns first. A recall among ten tiles is far higher than one among many, for every model: fewer rivals. So the validation part may
# choose an epoch, but its number must never be compared with one of a larger set; and with ten tiles it can hardly tell two epochs apart.
#
# Then the rows. Starting from zero-shot CLIP, a few captioned tiles help. On the drawn scene they come nowhere near an adapter that was trained
# on many images of the same kind, and add little on top of it: the program that drew the scene drew its training data too, so there is nothing
# new to learn. Your own tiles help if they differ from what the adapter knows: another sensor, season, resolution, or words of your own trade. They do
# not help if the search fails for another reason, such as a cut that does not fit (section 6). And an ordinary fluctuation of a few points
# is not a gain: notebook 5 says how to tell.
#
# ## 10. Try it by hand
#
# > **Predict.** Ask for something that is not there, such as a castle. Where does the map light up, and how high must the threshold be until it
# > is dark?

# %%
from rsnb.classroom.widgets.scene import scene_search

lesson.touch(scene_search(scene, indexes, QUERY))

# %% [markdown]
# ## Recap
#
# - A scene is cut into tiles, each becomes one row of an index, and a search is one product with these rows: exact, and fast.
# - An index always answers. The percentile says how often nonsense scores as high; it cannot separate what overlaps.
# - A tile that shows parts of four places is near to none of them. Overlap brings some of it back and costs tiles.
# - Ten labels choose a usable threshold for one sentence; how well it works has to be measured on others.
# - Labels from words are forced: the margin says which ones to look at.
# - Fifty captioned tiles help a model that does not know such images, and hardly one that does. A small validation part flatters.

# %% [markdown]
# ## Quiz
#
# 1. The best hit of your query has a cosine of 0.31 with one model, and 0.52 with another. Which of the models found something?
#
# <details><summary>Answer</summary><p>The two numbers do not say. Each model has its own level: one may give 0.5 to everything. Compare each with
# the foreign sentences of its own index, and look at the tiles. <i>Tempting:</i> the second, because 0.52 is more similar than 0.31. Only the
# order within one model and one index was trained.</p></details>

# %% [markdown]
# 2. A scene has seven tiles with a harbor. All seven are the first seven hits. What is the precision at 10, and what does it say of the model?
#
# <details><summary>Answer</summary><p>70 percent, and it says nothing bad: three of the ten places cannot be filled with harbors. Give the
# ceiling beside it, or look at the first seven. <i>Tempting:</i> the model makes 30 percent errors. It made none; the measure asked for more
# harbors than there are.</p></details>

# %% [markdown]
# 3. You index with half a tile of overlap, and the ten best hits show one harbor four times. Is something broken?
#
# <details><summary>Answer</summary><p>No. With half a tile of overlap one place lies in up to four tiles, and all of them are good answers. Merge
# hits that overlap before you count places. <i>Tempting:</i> the index holds copies and should be cleaned of near duplicates. That would
# remove tiles that fit and keep others by chance.</p></details>

# %% [markdown]
# 4. On ten labelled tiles your threshold reaches an F1 of 1.0. What do you report for the whole scene?
#
# <details><summary>Answer</summary><p>Not 1.0. The threshold was chosen as the best one for these ten, so they flatter it. Label other tiles, among
# them some below the threshold, and report what these say, with an interval. <i>Tempting:</i> 1.0, since it was measured. It was measured on
# the tiles that chose.</p></details>

# %% [markdown]
# 5. After training on your fifty tiles, mR on the ten validation tiles is 95, while the paper reports about 40 for a full test set. Is your model
#    better?
#
# <details><summary>Answer</summary><p>Nothing follows. Among ten images the right one is easy to find, even by chance in many cases; among
# hundreds it is not. Recalls can be compared only on galleries of the same size, better on the same gallery. <i>Tempting:</i> yes, because mR is
# a percentage. A percentage of what is the question.</p></details>

# %% [markdown]
# **Where the toy differs from the real thing.** The scene has sharp borders, one kind of place in each tile, one sensor and one season, and it
# was drawn by the program that drew the adapter's training data. A real scene has none of these favours: classes blend, clouds and
# borders cover tiles, values have 16 bits and need a range that suits all tiles (`--scale`), and nobody knows the truth.
#
# **Try it.** Index a GeoTIFF of your own: `rsnb index FILE.tif --tile 256`, then open the page that `rsnb search --out hits.html` writes. Cut
# this scene into tiles of 64 and 256 pixels: which classes suffer? Run this notebook on UCM-Captions: do the answers of sections 5 and 9 stay
# the same? Write ten foreign sentences of your own: is their distribution that of the 200?
#
# **More:** `rsnb index --help`, `rsnb search --help`, `rsnb label --help` and `rsnb dedupe --help` hold every option of what was shown here.
#
# **Next:** notebook 13 goes further than the paper, and asks what it takes to know that one did.

# %% [markdown]
# ## Further reading
#
# - Radford, Kim, Hallacy et al. *Learning Transferable Visual Models From Natural Language Supervision.* ICML 2021.
#   [arXiv:2103.00020](https://arxiv.org/abs/2103.00020). Labels from words alone, and why the wording of a class matters.
# - Liu, Chen, Guan et al. *RemoteCLIP: A Vision Language Foundation Model for Remote Sensing.* IEEE Transactions on Geoscience and
#   Remote Sensing 62, 2024. [arXiv:2306.11029](https://arxiv.org/abs/2306.11029). A CLIP that has seen views from above, to index with.
# - Hendrycks, Gimpel. *A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks.* ICLR 2017.
#   [arXiv:1610.02136](https://arxiv.org/abs/1610.02136). How much a high probability tells, and how to measure that.
# - Lipton, Elkan, Narayanaswamy. *Optimal Thresholding of Classifiers to Maximize F1 Measure.* ECML PKDD 2014.
#   [arXiv:1402.1892](https://arxiv.org/abs/1402.1892). What a threshold that is chosen for F1 does, and when it misleads.
# - Roberts, Bahn, Ciuti et al. *Cross-validation Strategies for Data with Temporal, Spatial, Hierarchical, or Phylogenetic Structure.*
#   Ecography 40(8), 2017. [doi:10.1111/ecog.02881](https://doi.org/10.1111/ecog.02881). Why neighbouring tiles belong in one part.
