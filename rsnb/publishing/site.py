"""The series as a book of static HTML pages: ``rsnb site``.

Sphinx builds it, MyST-NB reads the saved notebooks (nothing is executed), Furo is the theme. The pages can be opened
from disk and load nothing from elsewhere: pictures and the search index are files beside them, formulas are MathML.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rsnb import __version__
from rsnb.base import paths
from rsnb.base.files import make_folder
from rsnb.base.options import add_options
from rsnb.errors import RsnbError
from rsnb.publishing import links, runner
from rsnb.publishing.live import pages as live
from rsnb.publishing.staging import find_notebooks_for_site, stage

THEME = Path(__file__).resolve().parent / "site_theme"  # what is added to Furo


# ---- what Sphinx is told


def configuration(alternatives: dict[str, str], static: Path) -> dict:
    """The lines of Sphinx's conf.py; ``static`` is a folder of files to be copied beside the theme's."""
    return {
        "project": "rsnb",
        "version": __version__,
        "release": __version__,
        "language": "en",
        "html_title": "rsnb",
        "extensions": ["myst_nb", "rsnb.publishing.site"],
        "exclude_patterns": ["files"],
        "highlight_language": "none",
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_render_markdown_format": "myst",
        "nb_code_prompt_show": "Set-up",
        "nb_code_prompt_hide": "Set-up",
        "nb_ipywidgets_js": {},
        "myst_heading_anchors": 4,
        "myst_enable_extensions": ["dollarmath"],
        "myst_dmath_double_inline": True,
        "myst_dmath_allow_space": False,
        "myst_dmath_allow_digits": False,
        "suppress_warnings": ["myst.header"],
        "html_theme": "furo",
        "html_theme_options": {"navigation_with_keys": True},
        "pygments_dark_style": "a11y-dark",
        "html_static_path": [str(THEME), str(static)],
        "html_css_files": ["rsnb.css", "pages.css", "live.css", "live_widgets.css"],
        "html_js_files": [("pages.js", {"defer": "defer"}), (live.SCRIPT, {"defer": "defer"})],
        "html_favicon": str(THEME / "favicon.svg"),
        "html_math_renderer": "mathml",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_copyright": False,
        "html_use_index": False,
        "toc_object_entries": False,
        "add_module_names": False,
        "python_use_unqualified_type_names": True,
        "html_domain_indices": False,
        "rsnb_alternatives": alternatives,
    }


def setup(app) -> dict:
    """This module as an extension of Sphinx: formulas as MathML, the alternative texts of figures, exact links."""
    from sphinx.domains.python import PythonDomain

    class Exact(PythonDomain):
        """A name is linked to what bears it; else Sphinx takes anything that ends with it."""

        def find_obj(self, env, modname, classname, name, type, searchmode=0):
            return super().find_obj(env, modname, classname, name, type, searchmode=0)

    app.add_domain(Exact, override=True)
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.add_config_value("rsnb_alternatives", {}, "env")
    app.connect("doctree-read", _describe_pictures)
    app.connect("html-page-context", _mend, priority=900)  # behind Furo
    return {"parallel_read_safe": True}


def _visit_inline(translator, node) -> None:
    _formula(translator, node, "inline", "span")


def _visit_block(translator, node) -> None:
    _formula(translator, node, "block", "div")


def _formula(translator, node, display: str, element: str) -> None:
    from docutils.nodes import SkipNode
    from sphinx.util import logging

    from rsnb.publishing.exporter import mathml

    try:
        made = mathml(node.astext(), display)
    except RsnbError:
        logging.getLogger(__name__).warning("this formula cannot be read: %s", node.astext(), location=node)
        made = f"<code>{html.escape(node.astext())}</code>"
    translator.body.append(translator.starttag(node, element, "", CLASS="formula") + f"{made}</{element}>")
    raise SkipNode


def _describe_pictures(app, document) -> None:
    """A figure's file is named by its hash; its alternative text was read from the notebook."""
    from docutils.nodes import image

    for picture in document.findall(image):
        text = app.config.rsnb_alternatives.get(Path(picture["uri"]).stem)
        if text and not picture.get("alt"):
            picture["alt"] = text


def _mend(app, page, template, context, document) -> None:
    """What readers of a screen reader miss in the pages of Furo and MyST-NB: the level of the headings in the list of
    pages, and the text of what is folded as its name."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    context["body"] = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")


# ---- build, and the command


def build_site(
    out: Path,
    root: Path | None = None,
    executed: Path | None = None,
    package: Path = paths.PACKAGE,
    hosted: str | None = None,
) -> list[str]:
    """Write the book to ``out`` and return Sphinx's warnings. An earlier book there is replaced; nothing else is.

    ``root`` is the clone; ``executed`` a folder of notebooks to show instead of those saved there; ``package``
    the folder of the package that the reference describes; ``hosted`` the address of the clone on GitHub, which gives
    every notebook links to Colab and Binder.
    """
    try:
        import furo  # noqa: F401
        import myst_nb  # noqa: F401
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace
    except ImportError as missing:
        raise RsnbError(
            f'{missing.name} is needed to build the site; install it with: pip install -e ".[site]"'
        ) from None
    if out.exists() and not (out / "searchindex.js").is_file() and (out.is_file() or any(out.iterdir())):
        raise RsnbError(f"{out} holds something other than a site; give another folder with --out")
    book = find_notebooks_for_site(root or runner.notebooks_dir().parent, package, hosted)
    make_folder(out)
    with tempfile.TemporaryDirectory(prefix="rsnb-site-") as scratch:
        source, made, kept, static = (Path(scratch) / name for name in ("source", "html", "doctrees", "static"))
        settings, said = configuration(stage(book, source, executed), static), io.StringIO()
        live.write(static, live.parts_of([*book.lessons, *book.students]))
        (source / "conf.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()), "utf-8")
        with docutils_namespace():  # a second book of this process begins anew
            Sphinx(source, source, made, kept, "html", status=None, warning=said).build()
        excerpts(made)
        (made / ".nojekyll").touch()  # without it GitHub Pages leaves out _static
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made, out, ignore=shutil.ignore_patterns(".buildinfo*", "objects.inv", "_sources"))
    said = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()).replace(str(source) + os.sep, "")
    said = re.sub(r"(\.ipynb):(\d+)(\d{4}):", lambda m: f"{m[1]}, cell {m[2]}, line {max(int(m[3]) - 1, 1)}:", said)
    return [line for line in said.splitlines() if line.strip()]


def excerpts(site: Path) -> None:
    """Lay the pages' text beside the search page: opened from disk, it may not read the pages for its excerpts."""
    texts = {}
    for path in sorted(site.rglob("*.html")):
        main = re.search(r'<article role="main".*</article>', path.read_text("utf-8"), re.DOTALL)[0]
        main = re.sub(r'<a class="headerlink".*?</a>|<(?!/?section\b)[^>]*>', "", main)
        texts[path.relative_to(site).as_posix()] = f'<div role="main">{" ".join(main.split())}</div>'
    script = (THEME / "search.js").read_text("utf-8")
    (site / "_static" / "excerpts.js").write_text(f"const EXCERPTS = {json.dumps(texts)};\n{script}", "utf-8")
    search = site / "search.html"
    with_script = search.read_text("utf-8").replace("</head>", '<script src="_static/excerpts.js"></script></head>', 1)
    search.write_text(with_script, "utf-8")


def site_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, out="outputs/site")
    parser.add_argument("--notebooks", type=Path, metavar="DIR", help="show the executed notebooks of this folder")
    parser.add_argument(
        "--hosted",
        default=os.environ.get("RSNB_HOSTED"),
        metavar="URL",
        help="the clone on GitHub: adds links to Colab and Binder (default: RSNB_HOSTED, else no such links)",
    )
    parser.add_argument("--check", action="store_true", help="build nothing; check the links of the site that is there")


def site_command(args: argparse.Namespace) -> int:
    """Build and check; 1 if a page has a broken link, loads from elsewhere, or Sphinx warned."""
    if args.check and not (args.out / "index.html").is_file():
        raise RsnbError(f"no site at {args.out}; build it with: rsnb site --out {args.out}")
    if args.notebooks and not args.notebooks.is_dir():
        raise RsnbError(f"no folder {args.notebooks}; execute notebooks with: rsnb run --out {args.notebooks}")
    warnings = [] if args.check else build_site(args.out, executed=args.notebooks, hosted=args.hosted)
    found = links.check(args.out)
    for address, names in sorted(found.outside.items()):
        print(f"external, not checked: {address} (from {names[0]}{' and others' if len(names) > 1 else ''})")
    for problem in warnings + found.problems:
        print(f"rsnb: {problem}", file=sys.stderr)
    count = len(list(args.out.rglob("*.html")))
    print(f"{count} pages, {len(warnings) + len(found.problems)} problems: open {args.out / 'index.html'}")
    return 1 if warnings or found.problems else 0
