"""What the story of notebooks 2 to 6 needs to know: where HMMC's terms help, where they do not, and why.

Each cell has a learning rate of its own, chosen on validation, but for ``length``, whose cells keep the rates that were
chosen for 25 epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsnb.studies.ablation.paper_studies import STUDIES, Study, cells_of
from rsnb.studies.ablation.spec import Spec, vary

HMMC, SUM, CLIP = "HMMC", "HMMC, sum", "CLIP's loss"
LOSSES = {HMMC: {}, SUM: {"loss.mining": "sum"}, CLIP: {"loss.name": "clip"}}
TERMS = {"none": (0, 0), "image": (1, 0), "text": (0, 1), "both": (1, 1)}
METHODS = {
    "MRS-Adapter + HMMC": {},
    "MRS-Adapter + CLIP's loss": {"loss.name": "clip"},
    "AdaptFormer": {"method": "adaptformer"},
    "Full fine-tuning": {"method": "full"},
}
EPOCHS, STEPS = "equal epochs", "equal steps"
LENGTHS = {
    "12": {"train.epochs": 12},
    "25": {"train.epochs": 25},
    "60": {"train.epochs": 60},
    "the paper's": {"train.epochs": 30, "train.pairs": "all"},  # every caption in each epoch
}
ALIKE = {"caption": "the same caption", "class": "the same class"}


def _mining_and_terms() -> Study:
    cells = {
        (mining, terms): {"loss.mining": mining, "loss.intra_image": image, "loss.intra_text": text}
        for mining in ("hardest", "semi-hard", "sum")
        for terms, (image, text) in TERMS.items()
    }
    question = "What do the intra-modal terms do, under which mining?"
    return Study(question, cells, ("hardest", "both"), ("mining", "intra-modal terms"), searched=True)


def _batch() -> Study:
    """As many steps as 12 epochs of batches of 64 take: 228, of the 1,214 images of the toy world."""
    cells, against = {}, {}
    for batch, epochs in ((16, 3), (64, 12), (256, 46)):
        for way in (EPOCHS, STEPS) if batch != 64 else (EPOCHS,):
            for loss, changes in LOSSES.items():
                length = {} if way == EPOCHS else {"train.epochs": epochs}
                cells[way, batch, loss] = {"train.batch_size": batch, **length, **changes}
                against[way, batch, loss] = way, batch, HMMC
    axes = ("length", "batch size", "loss")
    return Study("At which batch size does HMMC win?", cells, (EPOCHS, 64, HMMC), axes, "", against, True)


def _false_negatives() -> Study:
    """Six epochs: 450 steps of batches of 16."""
    cells, against = {}, {}
    for alike, said in ALIKE.items():
        for share in (0.0, 0.25, 0.5):
            for loss, changes in LOSSES.items():
                twins = {"data.twins": share, "data.alike": alike, "train.batch_size": 16, "train.epochs": 6}
                cells[said, share, loss] = {**twins, **changes}
                against[said, share, loss] = said, 0.0, loss
    axes = ("twins have", "share of the batch with a twin", "loss")
    question = "What do false negatives cost?"
    return Study(question, cells, (ALIKE["caption"], 0.0, HMMC), axes, "", against, True)


def _length() -> Study:
    cells, against, longest = {}, {}, list(LENGTHS)[-1]
    for length, epochs in LENGTHS.items():
        for method, changes in METHODS.items():
            cells[length, method] = {**epochs, **changes}
            against[length, method] = length, "MRS-Adapter + HMMC"
    axes = ("epochs", "method")
    question, once = "Does the order change with longer training?", tuple((longest, method) for method in METHODS)
    return Study(question, cells, ("12", "MRS-Adapter + HMMC"), axes, "", against, once=once)


STORY = {
    "mining x intra-modal": _mining_and_terms(),
    "batch": _batch(),
    "false negatives": _false_negatives(),
    "length": _length(),
}
EVERY = {**STUDIES, **STORY}


def specs_again(name: str, study: Mapping[str, Any], base: Spec) -> dict[Any, Spec]:
    """{label: spec} of a committed study, with today's settings and the learning rates that were chosen then.

    study: one of :func:`rsnb.studies.ablation.paper_studies.read_studies`. base: the run that its cells change.
    """
    cells = cells_of(EVERY[name], base)
    if EVERY[name].searched:
        rates = {label: runs[0].spec.config.lr for label, runs in study["done"].items()}
        cells = {label: vary(spec, "train.lr", rates[label]) for label, spec in cells.items() if label in rates}
    return cells
