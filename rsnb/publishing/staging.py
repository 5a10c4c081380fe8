"""What Sphinx reads to build the site: the notebooks and texts of a clone, fitted for their pages."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from base64 import b64decode
from pathlib import Path
from typing import NamedTuple

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.publishing import pages
from rsnb.publishing.live import appendix
from rsnb.publishing.live.pages import parts_of, with_places
from rsnb.publishing.masters import SET_UP, answered_by
from rsnb.publishing.reference import Reference
from rsnb.publishing.runner import find_notebooks

TEXTS = ("notebooks/*.md", "README.md", "data/*.md", "data/results/*.md")  # pages beside the notebooks, in this order
SHOWN = (*pages.PICTURES, "text/html", "text/markdown", "text/plain")  # kinds of output that a page shows

_HOSTED = re.compile(r"https://github\.com/(?P<project>[\w.-]+/[\w.-]+?)(/tree/(?P<branch>[\w./-]+?))?/?")
_CODE = r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<tick>`+).+?(?P=tick))"
_FAR_PICTURE = re.compile(
    _CODE + r"|!\[(?P<text>[^\]]*)\]\(\s*(?:https?:)?//[^)]*\)|<img\b[^>]*?\bsrc=[\"'](?:https?:)?//[^>]*>",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(
    _CODE + r"|(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s:#]+)\)", re.DOTALL | re.MULTILINE
)


class Book(NamedTuple):
    """The files of a clone that become pages; ``hosted``: where the clone can be opened in a browser, if anywhere."""

    root: Path
    lessons: list[Path]
    students: list[Path]
    texts: list[Path]
    package: Path = paths.PACKAGE  # described in the reference
    hosted: str | None = None

    def twin(self, path: Path) -> Path | None:
        """The student's notebook of a lesson, and the other way round."""
        others = self.lessons if path in self.students else self.students
        return next((other for other in others if other.name == path.name), None)


def find_notebooks_for_site(root: Path, package: Path = paths.PACKAGE, hosted: str | None = None) -> Book:
    """The pages of a clone.

    Raises:
        RsnbError: ``hosted`` is no address of a repository on GitHub, which Colab and Binder can open.
    """
    if hosted and not _HOSTED.fullmatch(hosted):
        raise RsnbError(
            f"{hosted} is not a repository; give it as https://github.com/OWNER/NAME or .../NAME/tree/BRANCH"
        )
    students = sorted((root / "notebooks" / "student").glob("[0-9]*.ipynb"))
    texts = [path for pattern in TEXTS for path in sorted(root.glob(pattern))]
    return Book(root, find_notebooks(root / "notebooks"), students, texts, package, hosted)


def stage(book: Book, folder: Path, executed: Path | None = None) -> dict[str, str]:
    """Write the pages as Sphinx is to read them, each at its place in the clone, and below ``files/`` what they offer
    for download. Lessons are taken from the folder ``executed`` where it has them.

    Returns {hash of a picture: its alternative text}.
    """
    import nbformat

    alternatives, reference = {}, Reference(book.package)
    for path in (*book.lessons, *book.students, *book.texts):
        page = folder / path.relative_to(book.root)
        page.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = path.read_text("utf-8")
            examples = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
            page.write_text(at_home(text, path, book, folder) + used_here(reference, examples), "utf-8")
            continue
        other = executed / path.name if executed and path in book.lessons else path
        file = other if other.is_file() else path
        offer(path, book, folder, file)
        notebook = nbformat.read(file, as_version=4)
        alternatives |= fit(notebook, path, book, folder)
        used = used_here(reference, [cell.source for cell in notebook.cells if cell.cell_type == "code"])
        notebook.cells += [nbformat.v4.new_markdown_cell(used)] if used else []
        nbformat.write(notebook, page)
    names = reference.write(folder / "reference")
    if parts_of([*book.lessons, *book.students]):
        names.append(appendix.write(folder / "reference"))
    (folder / "index.md").write_text(front(book, folder, names), "utf-8")
    return alternatives


def used_here(reference: Reference, sources: list[str]) -> str:
    """A last section of a page: what its code takes from the package, with links into the reference."""
    lines = [
        f"- {{py:mod}}`{module}`: "
        + ", ".join(f"{{py:obj}}`{name.removeprefix(f'{module}.')} <{name}>`" for name in names)
        for module, names in reference.used_in(sources).items()
    ]
    return "\n\n## Used here\n\n" + "\n".join(lines) + "\n" if lines else ""


def offer(path: Path, book: Book, folder: Path, file: Path | None = None) -> str:
    """Copy a file of the clone below ``files/`` and return the target of a link that downloads it."""
    place = path.relative_to(book.root).as_posix()
    copy = folder / "files" / place
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file or path, copy)
    return f"path:/files/{place}"


def at_home(markdown: str, path: Path, book: Book, folder: Path) -> str:
    """One text without pictures of other hosts, its links to files of the clone turned into downloads."""

    def far(match: re.Match) -> str:
        alt = match["text"] or re.search(r"\balt=[\"']([^\"']+)", match[0]) or "picture"
        return match[0] if match["code"] else alt if isinstance(alt, str) else alt[1]

    def near(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        file = Path(os.path.normpath(path.parent / match["target"]))
        if not file.is_relative_to(book.root) or file in (*book.lessons, *book.students, *book.texts):
            return match[0]
        if file.is_dir():
            return match["text"]
        if not file.is_file():
            return match[0]
        if not match["image"]:
            return f"[{match['text']}]({offer(file, book, folder)})"
        (folder / file.relative_to(book.root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / file.relative_to(book.root))
        return match[0]

    return _LINK.sub(near, _FAR_PICTURE.sub(far, markdown))


def fit(notebook, path: Path, book: Book, folder: Path) -> dict[str, str]:
    """Fit a notebook for its page: links, live parts, a way to its twin, no widgets. Returns its alternative texts."""
    alternatives = {}
    for number, (at, value) in answered_by(notebook.cells).items() if path in book.lessons else ():
        if value != "-":  # for the page, which shows there what was predicted
            notebook.cells[at].metadata.setdefault("tags", []).append(f"predicted-{number}")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_places(at_home(cell.source, path, book, folder))
        if cell.source == SET_UP:
            cell.metadata.setdefault("tags", []).append("hide-input")  # folded
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data = {kind: value for kind, value in output.data.items() if kind in SHOWN}
            for kind in set(pages.PICTURES) & set(output.get("data", {})):
                picture = hashlib.sha256(b64decode(output.data[kind])).hexdigest()
                alternatives[picture] = output.metadata.get(kind, {}).get("alt", "figure")
    notebook.metadata.pop("widgets", None)
    notebook.metadata.setdefault("language_info", {"name": "python"})["pygments_lexer"] = "ipython3"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            title, _, rest = cell.source.partition("\n")
            student, twin = path in book.students, book.twin(path)
            ways = [f"[This notebook as a file](path:/files/{path.relative_to(book.root).as_posix()})"]
            if twin:
                name = "The lesson with its results" if student else "Exercises to this lesson"
                ways.insert(0, f"[{name}](/{twin.relative_to(book.root).as_posix()})")
            ways += hosted_links(path.relative_to(book.root).as_posix(), book.hosted)
            cell.source = f"{title}{': exercises' * student}\n\n{' · '.join(ways)}\n\n{rest.lstrip()}"
            break
    return alternatives


def hosted_links(place: str, hosted: str | None) -> list[str]:
    """Links that open a notebook where nothing has to be installed; none where the clone is not hosted."""
    if not hosted:
        return []
    project, branch = _HOSTED.fullmatch(hosted).group("project", "branch")
    branch = branch or "main"
    return [
        f"[Open in Colab](https://colab.research.google.com/github/{project}/blob/{branch}/{place})",
        f"[Open in Binder](https://mybinder.org/v2/gh/{project}/{branch}?urlpath=lab/tree/{place})",
    ]


def front(book: Book, folder: Path, reference: list[str]) -> str:
    """The first page: how README.md begins, what each lesson teaches, and the order of all pages."""
    import nbformat

    readme = book.root / "README.md"
    text = at_home(readme.read_text("utf-8"), readme, book, folder) if readme.is_file() else "# Notebooks\n"
    opening = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0].strip().split("\n\n")
    pictures = [part for part in opening if part.startswith("![")]
    parts = [part for part in opening if part not in pictures] + ["## Lessons"]
    for path in book.lessons:
        cells = nbformat.read(path, as_version=4).cells
        first = next((cell.source for cell in cells if cell.source.startswith("# ")), path.stem)
        learn = re.search(r"\*\*You will learn\*\* (.+?)(?:\n\n|\Z)", first, re.DOTALL)
        line = f"- **[{first.splitlines()[0].lstrip('# ')}](/{path.relative_to(book.root).as_posix()})**"
        if book.twin(path):
            line += f" ([exercises](/{book.twin(path).relative_to(book.root).as_posix()}))"
        parts.append(line + (f"\\\n  {' '.join(learn[1].split())}" if learn else ""))
    parts += pictures
    for caption, files in (("Lessons", book.lessons), ("Exercises", book.students), ("About", book.texts)):
        names = [file.relative_to(book.root).with_suffix("").as_posix() for file in files]
        parts.append(contents(caption, ["The project <README>" if name == "README" else name for name in names]))
    parts.append(contents("Reference", [f"reference/{name}" for name in reference]))
    return "\n\n".join(parts) + "\n"


def contents(caption: str, names: list[str]) -> str:
    """A part of the list of pages beside every page."""
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```"])
