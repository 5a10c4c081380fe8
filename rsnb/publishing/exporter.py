"""nbconvert's page of a notebook, made to load nothing: formulas are MathML, which browsers draw by themselves."""

from __future__ import annotations

import html
from pathlib import Path

from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from rsnb.errors import RsnbError

TEMPLATE = Path(__file__).resolve().parent / "page_template"
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


class PageExporter(HTMLExporter):
    """JupyterLab's page through ``page_template``, with pictures and formulas inside."""

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
