"""The findings of the audit in words, each with its innocent explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsnb.base.recalls import recall_label
from rsnb.studies import paper
from rsnb.studies.audit.captions import above_ceiling, best_row
from rsnb.studies.audit.epochs import gains
from rsnb.studies.audit.printed import (
    KINDS,
    SIZES,
    granularity,
    hundredths,
    means,
    mendable,
    one_digit,
    parameters,
    who_counted,
)
from rsnb.studies.audit.result_files import read_audit


# --- what follows ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Finding:
    """What was found, in a sentence or two, and what may innocently explain it or does not follow from it."""

    topic: str
    found: str
    but: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.found}\n    But: {self.but}"


def findings(captions: Mapping[str, Any] | None = None, epochs: Mapping[str, Any] | None = None) -> list[Finding]:
    """Plain sentences, composed from what is computed now. Without arguments the result files are read; what has none
    is left out."""
    captions = read_audit("audit") if captions is None else captions
    epochs = read_audit("best-epoch") if epochs is None else epochs
    said = [_said_of_means(), _said_of_parameters(), *_said_of_granularity()]
    if captions:
        said.append(_said_of_ceilings(captions["sets"]))
    if epochs:
        said.append(_said_of_epochs(epochs))
    return said


def _said_of_means() -> Finding:
    table, rows = means(), paper.all_rows()
    beyond = [(line, one_digit(row.recalls, row.mr)) for line, row in zip(table, rows) if line["verdict"] == "beyond"]
    each = [
        f"{line['dataset']} {line['method']} {line['printed']:.2f} printed, {line['computed']:.2f} computed "
        f"({line['gap']:+.2f})"
        for line, _ in beyond
    ]
    rounding = sum(line["verdict"] == "rounding" for line in table)
    alone = [f"{line['dataset']} {line['method']}" for line, changes in beyond if not changes]
    digits = [f"No single digit would mend {_listed(alone)}."] if alone else []
    for line, changes in beyond:
        if changes:
            ways = ", ".join(f"{recall_label(n)} {new} for {old}" for n, old, new in changes[:3])
            digits.append(
                f"{_several(len(changes), 'change')} of one digit would mend {line['dataset']} {line['method']} "
                f"({ways}); of sound rows with the same gap put in, {mendable(line['gap']):.0%} could be mended too: "
                "a digit that fits is weak evidence."
            )
    order = "is the same" if _order_stands() else "changes"
    return Finding(
        "The mean of six",
        f"In {len(table) - len(beyond)} of {len(table)} rows the printed mR is the mean of the six printed recalls, "
        f"within the 0.01 that rounding explains ({rounding} of them use more than half of it). "
        f"{_several(len(beyond), 'row')} are off by more: {'; '.join(each)}.",
        f"{' '.join(digits)} A row may also have been taken over as it stood in its source, or its recalls renewed and "
        f"its mean not. The order of the methods by mR {order} with either number.",
    )


def _order_stands() -> bool:
    """Whether the methods of each data set rank alike by the printed and by the computed mean."""
    for name in paper.DATASETS:
        rows = paper.all_rows(name)
        if sorted(rows, key=lambda r: hundredths(r.mr)) != sorted(rows, key=lambda r: hundredths(r.mean)):
            return False
    return True


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _several(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _said_of_parameters() -> Finding:
    p = parameters()
    return Finding(
        "Fewer parameters",
        f"{p['trained']:,} of {p['all']:,} parameters are {p['fewer']:.2f} % fewer, where {p['claimed']:.1f} % is "
        f"printed; any count that rounds to {paper.MILLIONS} M gives {p['least']:.2f} to {p['most']:.2f} %.",
        f"{p['claimed']:.1f} and {p['fewer']:.1f} differ in one digit, and the printed number is the more modest one. "
        f"It would be right for a model of {p['implied'] / 1e6:.1f} M parameters.",
    )


def _said_of_granularity() -> list[Finding]:
    said = []
    cited, own = KINDS["traditional"], KINDS["adapter"]
    a, b = (granularity("UCM", kind) for kind in (cited, own))
    several = [granularity("UCM", own, runs=n) for n in range(2, 11)]
    best = min(several, key=lambda line: line["luck"])
    whole = [line["runs"] for line in several if line["passed"] == line["total"]]
    images = SIZES["UCM"][0]
    wide = granularity("RSICD", own, "image")
    single = "more than luck gives" if b["luck"] < 0.01 else f"so these are not counts of one run on {images} images"
    means_of = (
        f"Equal means of {_listed(list(map(str, whole)))} runs would allow all of them."
        if whole
        else f"Equal means of 2 to {several[-1]['runs']} runs do not allow all of them either: {best['runs']} runs fit "
        f"best, with {best['passed']} of {best['total']}, where luck gives {best['chance']:.0%}."
    )
    said.append(
        Finding(
            "Possible recalls",
            f"An image-to-text recall of one run on {images} images is a multiple of 1/{images}. On UCM {a['passed']} "
            f"of {a['total']} values of the {cited} are, where luck gives {a['chance']:.0%}; of the {own} "
            f"{b['passed']} of {b['total']}, where luck gives {b['chance']:.0%}: {single}. {means_of}",
            "A mean over more runs or folds, or a weighted one, is good practice and gives such values. So does "
            "another list of test images, or another way to count the captions. The test cannot tell these apart. Nor "
            f"does a value that passes prove anything where luck is likely: over RSICD's {SIZES['RSICD'][1]:,} "
            f"captions {wide['chance']:.0%} of all values with two decimals are possible.",
        )
    )
    scan, here, stated = who_counted("RSICD", cited), granularity("RSICD", cited), SIZES["RSICD"][0]
    top = max(scan, key=lambda line: line["passed"])
    if top["images"] != stated and top["luck"] * len(scan) < 0.001:
        clip = max(who_counted("RSICD", KINDS["clip"]), key=lambda line: line["passed"])
        said.append(
            Finding(
                "How many images",
                f"Of the {here['total']} image-to-text recalls of {cited} on RSICD, {here['passed']} can be counts "
                f"over the stated {stated:,} images and {top['passed']} over {top['images']:,}, which fits better than "
                f"any other number near it. For the {KINDS['clip']} {clip['images']:,} fits best, with "
                f"{clip['passed']} of {clip['total']}.",
                f"A list that differs by {_several(abs(top['images'] - stated), 'image')} is enough, and so small a "
                "difference hardly moves a recall. A table that takes rows over from other papers takes their test "
                "lists with them; which list it was, only those papers can say.",
            )
        )
    return said


def _said_of_ceilings(sets: Mapping[str, Any]) -> Finding:
    above = above_ceiling(sets)
    name, low = min(sets.items(), key=lambda item: item[1]["ceiling"]["mr"])
    others = [f"{other} {s['ceiling']['mr']:.1f}" for other, s in sets.items() if other != name]
    shares = [f"{best_row(other).mr / s['ceiling']['mr']:.0%} of it on {other}" for other, s in sets.items()]
    number = _several(len(above), "printed number") if above else "No printed number"
    return Finding(
        "What could be reached",
        f"{name} has {low['distinct']:,} distinct texts among {low['captions']:,} test captions, and "
        f"{low['in_train'] / low['captions']:.0%} of the captions also stand in train. No model can expect more than "
        f"{low['ceiling']['text_r1']:.1f} i2t R@1, {low['ceiling']['image_r1']:.1f} t2i R@1 and "
        f"{low['ceiling']['mr']:.1f} mR there ({_listed(others)} mR). The best printed rows reach {_listed(shares)}. "
        f"{number} {'stand' if len(above) > 1 else 'stands'} above a ceiling.",
        "The ceiling is an expectation over random orders of equal captions. A sort that happens to favour the right "
        "one, another split, or corrected captions could lie above it without any fault.",
    )


def _said_of_epochs(found: Mapping[str, Any]) -> Finding:
    *methods, whole = gains(found)
    each = ", ".join(
        f"{line['method']} {line['gain']:.2f} with a spread of {line['sd']:.2f} over its seeds"
        if line["runs"] > 1
        else f"{line['method']} {line['gain']:.2f}"
        for line in methods
    )
    luck = whole["half that chose"] - whole["other half"]
    return Finding(
        "The best epoch",
        f"In {whole['runs']} of our own runs of {found['epochs']} epochs ({found['made_from']}), choosing the epoch on "
        f"test instead of validation adds {whole['gain']:.2f} mR on average and at most {whole['largest']:.2f}"
        + (f" ({each})" if each else "")
        + f"; in {whole['runs'] - whole['other epoch']} of them both parts choose the "
        f"same epoch. Chosen by one random half of the test images, the epoch is worth "
        f"{whole['half that chose']:+.2f} on that half and {whole['other half']:+.2f} on the other: the two "
        f"differ by {luck:.2f} mR, which is what a choice adds to the images that it is made on.",
        "This says nothing about the paper, whose protocol chooses on validation. It is one list of epochs of one run "
        f"on {found['images']} drawn images: who also chooses among settings and seeds on test gains more; on a larger "
        "test part the gain is smaller.",
    )
