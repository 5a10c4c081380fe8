"""What a study of search in a folder found, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsnb.base.text import markdown_table
from rsnb.studies.precision.study import IMAGES, PROMPTS, WORDS, sentence_of


def precision_sentences(found: Mapping[str, Any]) -> list[str]:
    """A study in plain words: of each gallery a sentence by words, one by images, and one about the wording."""
    said = []
    for name, own in found["galleries"].items():
        title = f"{name[0].upper()}{name[1:]}"
        for way in (WORDS, IMAGES):
            rows = {model: row[way] for model, row in own["models"].items()}
            first, *others = rows
            compared = "; ".join(
                f"{model} {rows[model]['mean']:.1f}, which {worth(*rows[model]['difference'])}" for model in others
            )
            said.append(
                f"{title}, by {way}: of the first {found['top']} hits {first} has {rows[first]['mean']:.1f} % right "
                f"(chance {own['chance'][way]:.1f}, a perfect order {own['most'][way]:.1f}); {compared}."
            )
        said.append(f"{title}, by words in {len(PROMPTS)} wordings: {_wordings(own['models'])}.")
    return said


def _wordings(models: Mapping[str, Any]) -> str:
    """The range of each model over the wordings, and of its difference from the first under the same wording."""
    first, *others = models
    asked = {name: [row["wordings"][prompt] for prompt in PROMPTS] for name, row in models.items()}
    parts = [f"{first} {min(asked[first]):.1f} to {max(asked[first]):.1f}"]
    for name in others:
        gaps = [one - other for one, other in zip(asked[name], asked[first])]
        parts.append(
            f"{name} {min(asked[name]):.1f} to {max(asked[name]):.1f}, under the same wording {min(gaps):+.1f} to "
            f"{max(gaps):+.1f} against {first}"
        )
    return "; ".join(parts)


def worth(value: float, low: float, high: float) -> str:
    """What a difference is worth, by its interval: "adds 5.7 points (95 % interval ...)"."""
    if low <= 0 <= high:
        said = f"makes no clear difference: {value:+.1f} points"
    else:
        said = f"{'adds' if low > 0 else 'loses'} {abs(value):.1f} points"
    return f"{said} (95 % interval {low:+.1f} to {high:+.1f})"


def precision_table(found: Mapping[str, Any]) -> str:
    """As Markdown: a row for each gallery and model, chance and a perfect order beside them; percent."""
    head = ["searched", "model"]
    for way in (WORDS, IMAGES):
        head += [f"by {way}", "95 % interval", "against zero-shot"]
    rows = []
    for name, own in found["galleries"].items():
        for title, said in (("chance", own["chance"]), ("a perfect order", own["most"])):
            rows.append([name, title, *(cell for way in (WORDS, IMAGES) for cell in (f"{said[way]:.1f}", "", ""))])
        for model, row in own["models"].items():
            cells = []
            for way in (WORDS, IMAGES):
                gap = row[way].get("difference")
                cells += [f"{row[way]['mean']:.1f}", "{:.1f} to {:.1f}".format(*row[way]["interval"])]
                cells.append("{:+.1f} ({:+.1f} to {:+.1f})".format(*gap) if gap else "")
            rows.append([name, model, *cells])
    return markdown_table(head, rows)


def wording_table(found: Mapping[str, Any]) -> str:
    """As Markdown: precision by words under each wording, a row for each gallery and model; percent."""
    shown = [sentence_of("tenniscourt", prompt) for prompt in PROMPTS]
    rows = [
        [name, model, *(f"{row['wordings'][prompt]:.1f}" for prompt in PROMPTS)]
        for name, own in found["galleries"].items()
        for model, row in own["models"].items()
    ]
    return markdown_table(["searched", "model", *shown], rows)


def class_table(found: Mapping[str, Any], name: str) -> str:
    """As Markdown: a gallery class by class, the sentence that asked for each; percent."""
    models = found["galleries"][name]["models"]
    head = ["class", "sentence", *(f"{way}, {model}" for way in (WORDS, IMAGES) for model in models)]
    rows = []
    for label, sentence in found["sentences"].items():
        values = (row[way]["classes"][label] for way in (WORDS, IMAGES) for row in models.values())
        rows.append([label, sentence, *(f"{value:.1f}" for value in values)])
    return markdown_table(head, rows)
