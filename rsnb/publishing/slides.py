"""``rsnb figures``: every figure in slide resolution, with a contact sheet."""

from __future__ import annotations

import argparse
import html
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rsnb.base.fields import Checked
from rsnb.base.files import megabytes, write_bytes
from rsnb.base.options import add_options
from rsnb.errors import RsnbError
from rsnb.publishing import runner
from rsnb.publishing.pages import title_of
from rsnb.publishing.runner import find_notebooks
from rsnb.settings import resolve, variables, what_arguments

SLIDE_DPI = 200


# --- figures for slides -------------------------------------------------------------------------------------------
def figures_arguments(parser: argparse.ArgumentParser) -> None:
    what_arguments(parser)
    add_options(parser, "only", "quick", out="outputs/slides")
    parser.add_argument(
        "--dpi", action=Checked, default=SLIDE_DPI, metavar="N", help="dots per inch (default: %(default)s)"
    )


def figures_command(args: argparse.Namespace) -> int:
    """Run the notebooks and keep their figures, large, with a contact sheet; 1 if a cell fails."""
    try:
        only = tuple(int(number) for number in args.only.split(",")) if args.only else ()
    except ValueError:
        raise RsnbError(f"--only takes numbers such as 1,3, not {args.only!r}") from None
    settings = {**variables(args), "RSNB_DPI": str(args.dpi)}
    resolve({**os.environ, **settings})  # a wrong setting is told before anything runs
    with tempfile.TemporaryDirectory(prefix="rsnb", ignore_cleanup_errors=True) as scratch:
        try:
            runner.run_notebooks(runner.Job(Path(scratch), only=only, settings=settings))
        except runner.CellFailed as error:
            print(f"rsnb: {error}", file=sys.stderr)
            return 1
        finally:
            for picture in Path(scratch, "figures").glob("*.png"):
                args.out.mkdir(parents=True, exist_ok=True)
                shutil.copy2(picture, args.out / picture.name)  # with its time: the order of the sheet
    sheet = figure_sheet(args.out)
    pictures = list(args.out.glob("*.png"))
    print(f"{len(pictures)} figures, {megabytes(pictures)}; overview: {sheet}")
    return 0


def figure_sheet(folder: Path) -> Path:
    """Write index.html: the figures of a folder by notebook, in the lesson's order, captioned by their alt texts."""
    from PIL import Image

    parts = []
    for notebook in find_notebooks(runner.notebooks_dir()):
        pictures = sorted(folder.glob(f"{notebook.stem}-*.png"), key=lambda path: path.stat().st_mtime_ns)
        parts += [f"<h2>{html.escape(title_of(notebook))}</h2>"] if pictures else []
        for path in pictures:
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                alt, stamp = (html.escape(picture.text.get(key, "")) for key in ("Description", "Comment"))
                size = "{} × {}".format(*picture.size)
            picture = f'<a href="{path.name}"><img src="{path.name}" alt="{alt}" loading="lazy"></a>'
            caption = f"{alt}<br><small>{stamp}<br>{path.name}, {size}</small>"
            parts.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    page = folder / "index.html"
    write_bytes(page, _SHEET.format("\n".join(parts)).encode("utf-8"))
    return page


_SHEET = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Figures of the series</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1.5rem; align-items: start }}
h2 {{ grid-column: 1 / -1; margin: 1rem 0 0 }}
figure {{ margin: 0; padding: .75rem; border: 1px solid #ccc }}
img {{ width: 100%; height: 14rem; object-fit: contain }}
small {{ color: #595959; overflow-wrap: anywhere }}
</style></head>
<body><h1>Figures of the series</h1>
<p>Every figure is a PNG file beside this page; its stamp says on which data, backbone and seed it was made. Pictures of
the toy world come under this project's MIT licence. Images of real sets belong to their makers: cite them, and do not
pass them on.</p>
<main>
{}
</main></body></html>
"""
