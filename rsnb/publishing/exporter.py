"""The pages of ``rsnb run``, which load nothing: formulas are MathML, which browsers draw by themselves."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from rsnb.errors import RsnbError

TEMPLATE = Path(__file__).resolve().parent / "page_template"
THEME = Path(__file__).resolve().parent / "site_theme"  # what these pages have in common with those of the site
CODE_STYLES = {"light": "default", "dark": "github-dark"}  # of Pygments
_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # HTML needs none


def mathml(tex: str, display: str = "inline") -> str:
    """A formula as MathML; ``display``: "inline" or "block".

    Raises:
        RsnbError: the formula, or a command in it, is unknown to latex2mathml.
    """
    try:
        made = convert(tex.strip(), display=display)
    except Exception:  # its parser raises many kinds
        made = ""
    if not made or ">\\" in made:  # not read at all, or with a command left over
        raise RsnbError(f"this formula cannot be read: {tex}; write it in the LaTeX that latex2mathml knows")
    return made.replace(_NAMESPACE, "").replace("\n", " ")


class FormulaRenderer(IPythonRenderer):
    """Markdown to HTML with MathML; a formula that cannot be read stays as it is, as code."""

    def inline_math(self, body: str) -> str:
        if body != body.strip():  # prices: "from $5 to $6"
            return super().inline_math(body)
        return _formula(body, "inline")

    def block_math(self, body: str) -> str:
        return _formula(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return _formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


def _formula(tex: str, display: str) -> str:
    try:
        return mathml(tex, display)
    except RsnbError:
        return f"<code>{html.escape(tex.strip())}</code>"


def environment() -> Environment:
    """The templates of pages that are no notebooks."""
    return Environment(loader=FileSystemLoader(TEMPLATE), undefined=StrictUndefined)


def page_parts(title: str) -> dict[str, str]:
    """What a page needs beside its content: title, style, script and icon, all of them inside the page."""
    files = [
        TEMPLATE / "page.css",
        THEME / "pages.css",
        TEMPLATE / "theme.js",
        THEME / "pages.js",
        THEME / "favicon.svg",
    ]
    page_css, shared_css, theme, shared, icon = (path.read_text("utf-8") for path in files)
    colours = {name: HtmlFormatter(style=style).get_style_defs(".highlight") for name, style in CODE_STYLES.items()}
    dark = f":root[data-theme=dark] {{ {colours['dark']} }}"
    asked = f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {colours['dark']} }} }}"
    return {
        "title": title,
        "style": "\n".join([page_css, colours["light"], dark, asked, shared_css]),
        "script": f"{theme}\n{shared}",
        "icon": f"data:image/svg+xml,{quote(icon.strip())}",
    }


class PageExporter(HTMLExporter):
    """nbconvert's bare page through ``page_template``, with pictures and formulas inside."""

    def __init__(self, **more):
        super().__init__(
            template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)], embed_images=True, **more
        )

    @pass_context
    def markdown2html(self, context, source):
        path = context["resources"]["metadata"]["path"]
        attachments = context["cell"].get("attachments", {})
        renderer = FormulaRenderer(escape=False, attachments=attachments, embed_images=self.embed_images, path=path)
        return MarkdownWithMath(renderer=renderer).render(source)
