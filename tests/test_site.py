"""The book of HTML pages: built without a network, whole, and the checker of its links finds what is wrong."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from nbconvert.filters.markdown_mistune import MarkdownWithMath

import rsnb
from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.publishing import exporter, links, staging
from rsnb.publishing.masters import SET_UP
from rsnb.publishing.reference import Reference
from rsnb.publishing.site import build_site
from rsnb.publishing.staging import find_notebooks_for_site

REPO = Path(__file__).resolve().parent.parent
SAVED = [*sorted((REPO / "notebooks").glob("[0-9]*.ipynb")), *sorted((REPO / "notebooks" / "student").glob("*.ipynb"))]
GOOD = '<html><body><h1 id="top">A</h1><a href="b.html#here">b</a><img src="p.png" alt="p"></body></html>'


TOOLBOX = {
    "__init__.py": '"""Tools."""\n',
    "flat.py": '"""Flat things."""\n\ndef plain(x):\n    """The same again."""\n',
    "shapes/__init__.py": '"""Shapes of all kinds."""\nfrom toolbox.shapes.square import SIDES, Square, area\n',
    "shapes/square.py": '''"""Squares."""

SIDES = 4  # of every square
_hidden = 0


class Square:
    """A square.

    Args:
        side: its length.
    """

    def __init__(self, side: float):
        self.side = side

    def larger(self, than: Square) -> bool:
        """Whether it is the larger one."""


def area(side: float = 1.0) -> float:
    r"""The area.

    .. math:: A = a^2

    Raises:
        ValueError: no square.
    """


def undocumented(): ...
''',
}


@pytest.fixture
def good(tmp_path) -> Path:
    """Two pages, a picture and a style sheet, all links right."""
    (tmp_path / "a.html").write_text(GOOD, "utf-8")
    (tmp_path / "b.html").write_text('<p id="here"></p><a href="a.html#top">a</a><a href="#here">up</a>', "utf-8")
    (tmp_path / "p.png").write_bytes(b"")
    (tmp_path / "s.css").write_text("p { background: url(p.png) } /* @import 'https://x.org/a.css' */", "utf-8")
    return tmp_path


def test_nothing_is_found_where_nothing_is_wrong(good):
    assert links.check(good) == ([], {})


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ('<a href="gone.html">', "gone.html leads to no file"),
        ('<a href="b.html#gone">', "names an anchor that b.html does not have"),
        ('<a href="#gone">', "names an anchor that a.html does not have"),
        ('<a href="../README.md">', "leads to no file"),
        ('<a href="sub">', "leads to no file"),
        ('<a href="/b.html">', "leads to no file"),
        ('<img src="gone.png">', "gone.png leads to no file"),
        ('<img srcset="p.png 1x, far.png 2x">', "far.png leads to no file"),
        ('<script src="https://example.org/x.js"></script>', "is loaded from elsewhere"),
        ('<img src="//example.org/badge.svg">', "is loaded from elsewhere"),
        ('<link rel="stylesheet" href="https://example.org/x.css">', "is loaded from elsewhere"),
        ('<style>@import url("https://example.org/font.css");</style>', "is loaded from elsewhere"),
        ('<p style="background: url(https://example.org/b.png)">', "is loaded from elsewhere"),
        ('<iframe src="https://example.org"></iframe>', "is loaded from elsewhere"),
    ],
)
def test_what_is_planted_is_found(good, planted, said):
    (good / "sub").mkdir()
    (good / "sub" / "c.html").write_text("", "utf-8")
    (good / "a.html").write_text(GOOD.replace("</body>", planted + "</body>"), "utf-8")
    (problem,) = links.check(good).problems
    assert problem.startswith("a.html: ") and said in problem


def test_style_sheets_are_looked_at_too(good):
    (good / "s.css").write_text('@import "https://example.org/font.css"; p { background: url(gone.png) }', "utf-8")
    first, second = links.check(good).problems
    assert first.startswith("s.css: gone.png") and "elsewhere" in second


def test_links_to_elsewhere_are_listed_and_not_fetched(good):
    (good / "b.html").write_text('<a id="here" href="https://example.org/paper">paper</a>', "utf-8")
    assert links.check(good) == ([], {"https://example.org/paper": ["b.html"]})


# ---- what goes in


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone with two lessons, one of them with exercises, and texts that link to files and to other hosts."""
    from nbformat import v4, write
    from PIL import Image

    root = tmp_path_factory.mktemp("clone")
    (root / "notebooks" / "student").mkdir(parents=True)
    (root / "data").mkdir()
    picture = BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    shown = v4.new_output(
        "display_data",
        {
            "image/png": base64.b64encode(picture.getvalue()).decode(),
            "text/plain": "[figure]",
            "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
        },
        metadata={"image/png": {"alt": "A red square, and nothing else."}},
    )
    title = (
        "# 1 · Squares\n\n[![Open in Colab](https://example.org/badge.svg)](https://example.org/colab)\n\n"
        "**You will learn** what a square is.\n\nRows $x_1$:\n\n$$\\frac{a}{b} \\leq 3$$"
    )
    lesson = v4.new_notebook(
        cells=[
            v4.new_markdown_cell(title),
            v4.new_code_cell(SET_UP),
            v4.new_code_cell("from toolbox.shapes import area as size\nfrom toolbox import shapes"),
            v4.new_code_cell("size(3) + shapes.SIDES + shapes._hidden + shapes.Square(2).side"),
            v4.new_code_cell("show()", outputs=[shown]),
            v4.new_markdown_cell("## Prices\n\nFrom 5 $ to 6 $, and `![a](https://example.org/not_a_picture)`."),
        ]
    )
    folded = "<details><summary>Solution</summary><pre><code>answer = 41\n&#32;\nanswer += 1</code></pre></details>"
    student = v4.new_notebook(cells=[v4.new_markdown_cell(title), v4.new_markdown_cell(folded)])
    other = v4.new_notebook(cells=[v4.new_markdown_cell("# 2 · Circles\n\nA haystack with a needle.")])
    write(lesson, root / "notebooks" / "01_squares.ipynb")
    write(student, root / "notebooks" / "student" / "01_squares.ipynb")
    write(other, root / "notebooks" / "02_circles.ipynb")
    (root / "notebooks" / "README.md").write_text("# Notebooks\n\n[one](01_squares.ipynb#prices)", "utf-8")
    (root / "data" / "README.md").write_text("# Data\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "utf-8")
    (root / "tool.py").write_text("print(1)\n", "utf-8")
    for name, text in TOOLBOX.items():
        (root / "toolbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "toolbox" / name).write_text(text, "utf-8")
    picture.seek(0)
    (root / "hero.png").write_bytes(picture.read())
    (root / "README.md").write_text(
        "# A title\n\nAn introduction with [a tool](tool.py), [a folder](data) and [lessons](notebooks/README.md).\n\n"
        '![a hero](hero.png)\n\n<a href="https://example.org"><img alt="built" src="https://example.org/b.svg"></a>\n\n'
        "## Later\n\nMore.\n",
        "utf-8",
    )
    return root


def test_pictures_of_other_hosts_become_text_and_files_downloads(clone, tmp_path):
    book = find_notebooks_for_site(clone)
    text = staging.at_home((clone / "README.md").read_text("utf-8"), clone / "README.md", book, tmp_path / "staged")
    assert '<a href="https://example.org">built</a>' in text and "b.svg" not in text
    assert "[a tool](path:/files/tool.py)" in text and (tmp_path / "staged" / "files" / "tool.py").is_file()
    assert "a folder and [lessons](notebooks/README.md)" in text
    assert "![a hero](hero.png)" in text and (tmp_path / "staged" / "hero.png").is_file()
    kept = "`![a](https://example.org/x.png)`\n\n```\n![a](https://example.org/x.png)\n```"
    assert staging.at_home(kept, clone / "README.md", book, tmp_path / "staged") == kept


def test_colab_and_binder_are_linked_only_where_the_clone_is_hosted(clone, tmp_path):
    def staged(name: str, hosted: str | None) -> str:
        staging.stage(find_notebooks_for_site(clone, clone / "toolbox", hosted), tmp_path / "staged")
        return (tmp_path / "staged" / "notebooks" / name).read_text("utf-8")

    assert "mybinder.org" not in staged("student/01_squares.ipynb", None)
    text = staged("student/01_squares.ipynb", "https://github.com/me/copy/tree/dev")
    assert "https://colab.research.google.com/github/me/copy/blob/dev/notebooks/student/01_squares.ipynb" in text
    text = staged("02_circles.ipynb", "https://github.com/me/copy/")
    assert "https://mybinder.org/v2/gh/me/copy/main?urlpath=lab/tree/notebooks/02_circles.ipynb" in text


@pytest.mark.parametrize("hosted", ["me/copy", "https://example.org/me/copy", "https://github.com/me"])
def test_an_address_that_is_no_repository_is_refused_in_one_line(hosted, tmp_path, capsys):
    pytest.importorskip("myst_nb", reason='the site needs: pip install -e ".[site]"')
    assert cli.main(["site", "--hosted", hosted, "--out", str(tmp_path / "new")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hosted in line and "https://github.com/OWNER/NAME" in line


@pytest.mark.parametrize("name", [path.relative_to(REPO).as_posix() for path in SAVED])
def test_every_formula_of_the_series_can_be_read(name, monkeypatch):
    """It is understood by latex2mathml, with no command left over."""
    monkeypatch.setattr(exporter, "_formula", exporter.mathml)  # which raises
    for cell in json.loads((REPO / name).read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            MarkdownWithMath(exporter.FormulaRenderer(escape=False)).render("".join(cell["source"]))


def test_executed_notebooks_of_another_folder_take_the_place_of_the_saved_ones(clone, tmp_path):
    executed = tmp_path / "outputs"
    executed.mkdir()
    text = (clone / "notebooks" / "02_circles.ipynb").read_text("utf-8").replace("needle", "thimble")
    (executed / "02_circles.ipynb").write_text(text, "utf-8")
    staging.stage(find_notebooks_for_site(clone, clone / "toolbox"), tmp_path / "staged", executed)
    staged = tmp_path / "staged" / "notebooks"
    assert "thimble" in (staged / "02_circles.ipynb").read_text("utf-8")
    assert "You will learn" in (staged / "01_squares.ipynb").read_text("utf-8")


def test_the_command_says_what_is_missing_and_spares_other_folders(tmp_path, capsys):
    assert cli.main(["site", "--check", "--out", str(tmp_path / "none")]) == 2
    assert "rsnb site --out" in capsys.readouterr().err
    assert cli.main(["site", "--notebooks", str(tmp_path / "none"), "--out", str(tmp_path / "new")]) == 2
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    pytest.importorskip("myst_nb", reason='the site needs: pip install -e ".[site]"')
    assert cli.main(["site", "--out", str(tmp_path)]) == 2
    assert "something other than a site" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"


def test_without_sphinx_the_remedy_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "furo", None)
    with pytest.raises(RsnbError, match=r'furo is needed .* pip install -e "\.\[site\]"'):
        build_site(tmp_path / "new")


def test_a_check_of_a_broken_site_fails_and_names_page_and_link(good, capsys):
    shutil.copyfile(good / "a.html", good / "index.html")
    assert cli.main(["site", "--check", "--out", str(good)]) == 0
    (good / "index.html").write_text('<a href="gone.html">', "utf-8")
    assert cli.main(["site", "--check", "--out", str(good)]) == 1
    assert "index.html: gone.html leads to no file" in capsys.readouterr().err


# ---- what comes out


class Shape(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory) -> Path:
    for package in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(package, reason='the site needs: pip install -e ".[site]"')
    out = tmp_path_factory.mktemp("built") / "site"
    assert build_site(out, clone, package=clone / "toolbox") == []
    return out


def test_a_small_book(built, clone):
    assert links.check(built).problems == []
    assert sorted(path.relative_to(built).as_posix() for path in built.rglob("*.html")) == [
        "README.html",
        "data/README.html",
        "index.html",
        "notebooks/01_squares.html",
        "notebooks/02_circles.html",
        "notebooks/README.html",
        "notebooks/student/01_squares.html",
        "reference/toolbox.html",
        "reference/toolbox.shapes.html",
        "search.html",
    ]
    for path in built.rglob("*.html"):
        assert not re.search(r'(src|stylesheet" href)="(https?:)?//', path.read_text("utf-8")), path
        assert "MathJax" not in path.read_text("utf-8"), path

    lesson = Shape(built / "notebooks" / "01_squares.html")
    assert [formula["display"] for formula in lesson.all("math")] == ["inline", "block"]
    assert lesson.all("mfrac") and "5 $ to 6 $" in lesson.text
    (set_up,) = lesson.all("details")
    assert "hide" in set_up["class"] and "open" not in set_up and "Set-up" in lesson.text
    (figure,) = [image for image in lesson.all("img") if image["src"].startswith("../_images/")]
    assert figure["alt"] == "A red square, and nothing else."
    assert "https://example.org/colab" in [link["href"] for link in lesson.all("a")] and "Open in Colab" in lesson.text
    captions = [part for _, part in lesson.elements if part.get("role") == "heading"]
    assert captions and all(part.get("aria-level") == "2" for part in captions)
    (icon,) = [link["href"] for link in lesson.all("link") if "icon" in link.get("rel", "")]
    assert (built / "notebooks" / icon).is_file()
    ways = {link.get("rel"): link["href"] for link in lesson.all("link") if link.get("rel") in ("prev", "next")}
    assert ways == {"prev": "../index.html", "next": "02_circles.html"}
    (download,) = [link["href"] for link in lesson.all("a") if link["href"].endswith(".ipynb")]
    assert (built / "notebooks" / download).read_bytes() == (clone / "notebooks" / "01_squares.ipynb").read_bytes()

    student = Shape(built / "notebooks" / "student" / "01_squares.html")
    (folded,) = student.all("details")
    assert "open" not in folded and "answer = 41\n \nanswer += 1" in student.text
    assert "1 · Squares: exercises" in student.text and "student/01_squares.html" in {
        link["href"] for link in lesson.all("a")
    }

    front = Shape(built / "index.html")
    assert "An introduction" in front.text and "what a square is." in front.text and "More." not in front.text


def test_the_reference_has_what_is_public_and_lessons_link_to_it(built):
    wing = Shape(built / "reference" / "toolbox.shapes.html")
    anchors = {dict(attributes).get("id") for _, attributes in wing.elements}
    square = "toolbox.shapes.square"
    assert {
        f"module-{square}",
        f"{square}.SIDES",
        f"{square}.Square",
        f"{square}.Square.larger",
        f"{square}.area",
    } <= anchors
    assert not anchors & {f"{square}._hidden", f"{square}.undocumented"}
    assert "of every square" in wing.text and "side: float = 1.0" in wing.text and "ValueError" in wing.text
    assert [formula["display"] for formula in wing.all("math")] == ["block"]
    assert "toolbox.flat.plain" in {a.get("id") for _, a in Shape(built / "reference" / "toolbox.html").elements}

    lesson = {link["href"] for link in Shape(built / "notebooks" / "01_squares.html").all("a")}
    used = {target.partition("#")[2] for target in lesson if target.startswith("../reference/toolbox.shapes.html#")}
    assert used == {f"module-{square}", f"{square}.area", f"{square}.SIDES", f"{square}.Square"}


def test_every_public_name_of_the_package_can_be_linked_to():
    reference = Reference()
    lost = [name for name in rsnb.__all__ if name != "__version__" and reference.resolve(f"rsnb.{name}") is None]
    assert not lost and reference.resolve("rsnb.nothing") is None and reference.resolve("torch.nn") is None
    assert {path.name for path in (REPO / "rsnb").iterdir() if (path / "__init__.py").is_file()} == {
        name.removeprefix("rsnb.") for name in reference.pages if name != "rsnb"
    }


def test_the_search_needs_no_server(built):
    index = (built / "searchindex.js").read_text("utf-8")
    found = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", index.strip(), re.DOTALL)[1])
    assert found["docnames"][found["terms"]["needl"]] == "notebooks/02_circles"  # Sphinx keeps word stems
    assert '<script src="_static/excerpts.js"></script></head>' in (built / "search.html").read_text("utf-8")
    script = (built / "_static" / "excerpts.js").read_text("utf-8")
    texts = json.loads(re.match(r"const EXCERPTS = (\{.*\});\n", script)[1])
    assert "A haystack with a needle." in texts["notebooks/02_circles.html"]
    assert '<section id="prices">' in texts["notebooks/01_squares.html"]


def test_a_book_replaces_an_earlier_one_and_names_what_it_cannot_read(built, clone, tmp_path):
    root, out = (shutil.copytree(folder, tmp_path / folder.name) for folder in (clone, built))
    (out / "left_over.html").write_text("", "utf-8")
    (root / "notebooks" / "extra.md").write_text("# Extra\n\n$a_$, $\\nosuch$, [nowhere](gone.md)", "utf-8")
    said = build_site(out, root, package=root / "toolbox")
    assert not (out / "left_over.html").exists() and (out / "notebooks" / "extra.html").is_file()
    unread = [line for line in said if "cannot be read" in line and "extra.md" in line]
    assert len(unread) == 2 and unread[0].endswith("a_") and unread[1].endswith("\\nosuch")
    assert any("gone.md" in line and "extra.md" in line for line in said)


def test_both_lists_of_packages_name_the_same_versions(repo):
    text = (repo / "pyproject.toml").read_text("utf-8")
    lists = {
        name: set(re.findall(r'"([^"]+)"', re.search(rf"^{name} = (\[.*?\])$", text, re.MULTILINE | re.DOTALL)[1]))
        for name in ("site", "dev")
    }
    assert lists["site"] and lists["site"] <= lists["dev"]


def test_the_command_starts_without_sphinx():
    code = "import rsnb.publishing.site, sys; print('sphinx' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
