"""The live parts' script and its places: marked once in the masters, joined into one classic script, sealed data."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import pytest

from rsnb.errors import RsnbError
from rsnb.publishing import links
from rsnb.publishing.live import appendix, pages, weights
from rsnb.publishing.site import build_site
from tests.live_node import NODE, needs_node, run_node

REPO = Path(__file__).resolve().parent.parent
FILES = sorted(pages.FOLDER.glob("*.js"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


# ---- the sources


def test_every_source_is_in_the_script_and_it_is_short():
    assert sorted(pages.SOURCES) == [path.stem for path in FILES]
    assert sum(len(path.read_text("utf-8").splitlines()) for path in FILES) < 1500
    assert all(path.read_text("utf-8") in pages.script() for path in FILES)


@each_file
def test_a_source_is_plain_and_tidy(path):
    text = path.read_text("utf-8")
    lines = text.splitlines()
    assert lines[0].startswith("// ") and '"use strict";' in lines[:8], "a comment says what the file is for"
    assert [line for line in lines if len(line) > 120 or line != line.rstrip() or "\t" in line] == []
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert not re.search(r"^\s*(import|export)\b|\bvar |[^=!]==[^=]|!=[^=]|\beval\(|innerHTML|console\.", text, re.M)
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) <= {"http://www.w3.org/2000/svg"}, "loads from elsewhere"


@needs_node
def test_every_source_and_the_whole_can_be_parsed(tmp_path):
    (tmp_path / "live.js").write_text(pages.script(), "utf-8")
    for path in (*FILES, tmp_path / "live.js"):
        done = subprocess.run([NODE, "--check", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# ---- marks and places


def test_every_part_has_one_place_in_the_masters():
    masters = sorted((REPO / "notebooks" / "source").glob("[0-9]*.py"))
    text = "\n".join(re.sub(r"^# ?", "", path.read_text("utf-8"), flags=re.MULTILINE) for path in masters)
    assert Counter(pages.marked(text)) == dict.fromkeys(pages.PARTS, 1)
    assert pages.parts_of(sorted((REPO / "notebooks").glob("[0-9]*.ipynb"))) == set(pages.PARTS)


def test_every_part_is_registered_by_the_script():
    registered = re.findall(r'^ *rsnb\.live\("(\w+)"', pages.script(), re.MULTILINE)
    assert sorted(registered) == sorted(pages.PARTS)


def test_a_mark_becomes_an_empty_element_and_the_rest_is_left_alone():
    text = "Before.\n\n<!-- live: retrieval -->\n\n## After\n\n`<!-- live: loss -->` <!-- another comment -->"
    assert pages.with_places(text) == text.replace(
        "\n<!-- live: retrieval -->\n", '\n<div class="live" data-live="retrieval"></div>\n'
    )
    with pytest.raises(RsnbError, match="marks the live part 'retreival'; there are retrieval, "):
        pages.with_places("<!-- live: retreival -->")


def test_a_book_with_a_part_gets_the_script_and_one_without_data_no_data(tmp_path):
    for package in ("sphinx", "myst_nb", "furo", "griffe"):
        pytest.importorskip(package, reason='the site needs: pip install -e ".[site]"')
    import nbformat

    folder = tmp_path / "clone" / "notebooks"
    folder.mkdir(parents=True)
    texts = ("# 1 · The loss\n\nText.\n\n<!-- live: loss -->\n\nMore text.", "<!-- live: budget -->\n\n## Next")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in texts])
    nbformat.write(notebook, folder / "01_loss.ipynb")
    site = tmp_path / "site"
    assert build_site(site, tmp_path / "clone") == []
    page = (site / "notebooks" / "01_loss.html").read_text("utf-8")
    assert re.findall(r'<div class="live" data-live="(\w+)"></div>', page) == ["loss", "budget"]
    assert re.search(r'<script defer="defer" src="\.\./_static/live\.js[^"]*"></script>', page)
    assert (site / "_static" / "live.js").read_text("utf-8") == pages.script()
    assert list((site / "_static" / "live").glob("*")) == []
    assert (site / "reference" / "live.html").is_file() and links.check(site).problems == []


# ---- data


def sealed_text(name: str, content: dict) -> dict:
    return json.loads(pages.sealed(name, content).removeprefix(f"rsnb.data.{name} = ").removesuffix(";\n"))


def test_the_weights_are_small_enough_and_all_there():
    script = pages.sealed("tower", weights.tower())
    assert 2_500_000 < len(script.encode("utf-8")) <= 3_000_000
    tower = json.loads(sealed_text("tower", weights.tower())["text"])
    assert len(tower["merges"].split("\n")) == 1914 - 2 * 256 - 2
    numbers = sum(size for size in map(product, tower["shapes"].values()))
    assert len(tower["halves"]) == -(-2 * numbers // 3) * 4


def product(shape: list[int]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size


@needs_node
def test_a_whole_file_is_read_and_a_damaged_one_is_named():
    content = {"text": "é飞", "numbers": [1, 2.5, None], "long": "x" * 1_200_000}
    whole = sealed_text("some", content)
    other = "y" if whole["text"][700_000] != "y" else "z"
    damaged = {
        "one letter": {**whole, "text": whole["text"][:700_000] + other + whole["text"][700_001:]},
        "two swapped": {**whole, "text": whole["text"].replace("numbers", "unmbers")},
        "cut": {**whole, "text": whole["text"][:-1]},
        "no text": {"length": 3, "checksum": 1},
        "absent": None,
    }
    read, problems = run_node(
        """
        const problems = {};
        for (const [name, sealed] of Object.entries(given.damaged)) {
          try { await rsnb.unseal("some", sealed); problems[name] = "accepted"; }
          catch (error) { problems[name] = `${error instanceof rsnb.Problem} ${error.message}`; }
        }
        return [await rsnb.unseal("some", given.whole), problems];
        """,
        {"whole": whole, "damaged": damaged},
    )
    assert read == content
    assert problems == dict.fromkeys(damaged, "true its file some.js is damaged; get the pages again")


@needs_node
def test_the_checksum_is_that_of_python():
    texts = ["", "a", "rsnb", "z" * 5551, "~" * 100_000]
    found = run_node("return given.map((text) => rsnb.adler32(text));", texts)
    assert found == [zlib.adler32(text.encode("ascii")) for text in texts]


@needs_node
def test_halves_are_decoded_exactly():
    import torch

    bits = torch.arange(65536, dtype=torch.int32).to(torch.uint16).view(torch.float16)
    finite = bits[bits.isfinite()]
    many = torch.cat([finite] * 5)  # several slices
    found = run_node("return Array.from(await rsnb.halves(given));", weights.halves(many))
    assert torch.equal(torch.tensor(found), many.float())


# ---- the appendix


def test_the_appendix_shows_whole_functions_in_both_languages(tmp_path):
    for _, left, right in appendix.PAIRS:
        shown = appendix.javascript(left)
        assert left.split(": ")[1] in shown and Counter(shown)["{"] == Counter(shown)["}"], left
        assert ast.parse(appendix.python(right)).body[0].name == right.split(": ")[1].split(".")[-1]
    text = (tmp_path / f"{appendix.write(tmp_path)}.md").read_text("utf-8")
    assert all(path.read_text("utf-8") in text for path in FILES)


@pytest.mark.parametrize("place", ["tower.js: nothing", "mrs.py: MRSAdapter.nothing"])
def test_a_function_that_has_gone_is_named(place):
    read = appendix.javascript if ".js" in place else appendix.python
    with pytest.raises(RsnbError, match=f"the appendix shows {place}, which is not there"):
        read(place)
