"""``index.html`` of a folder that ``rsnb run`` has filled: its pages, results and figures, with links."""

from __future__ import annotations

from pathlib import Path

from rsnb.base.files import write_text
from rsnb.base.recalls import RECALLS
from rsnb.classroom import lesson
from rsnb.publishing.pages import title_of

COLUMNS = ("method", "trainable", "text R@1", "R@5", "R@10", "image R@1", "R@5", "R@10", "mR", "notebook")


def write_contents(folder: Path) -> None:
    """Write the page from what the folder holds: notebooks with a page, ``results.json``, ``figures/``."""
    from rsnb.publishing.exporter import environment, page_parts

    results = lesson.read_results(folder / "results.json")
    records = [record for record in results["records"] if "recalls" in record]
    stems = [path.stem for path in sorted(folder.glob("[0-9]*.html")) if path.with_suffix(".ipynb").is_file()]
    text = (
        environment()
        .get_template("contents.html.j2")
        .render(
            page=page_parts("Results of rsnb run"),
            notebooks=[(stem, title_of(folder / f"{stem}.ipynb")) for stem in stems],
            seconds={line["name"]: line["seconds"] for line in results["notebooks"]},
            stamps=sorted({record["stamp"] for record in records}),
            columns=COLUMNS,
            rows=[_row(record) for record in records],
            figures=[(path.name, _description(path)) for path in sorted((folder / "figures").glob("*.png"))],
        )
    )
    write_text(folder / "index.html", text)


def _row(record: dict) -> tuple[str, ...]:
    trainable = "-" if record["trainable"] is None else f"{record['trainable']:,}"
    recalls = [f"{record['recalls'][name]:.1f}" for name in RECALLS]
    return (record["method"], trainable, *recalls, f"{record['mr']:.1f}", record["notebook"].partition("_")[0])


def _description(path: Path) -> str:
    """What a figure's file says of it for readers who cannot see it; of a file that is no picture, its name."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.info.get("Description", path.stem)
    except (OSError, ValueError, Image.DecompressionBombError):
        return path.stem
