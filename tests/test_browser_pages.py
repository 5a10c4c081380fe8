"""The site and the pages of ``rsnb run`` in a real browser: four widths, light and dark, keyboard, search, axe.

Needs Chromium and Playwright; axe-core is got by ``make browser`` through npm, and the check skipped without it.
Screenshots and a table of what axe found go to ``outputs/browser/``, to be looked at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from rsnb.publishing import pages
from rsnb.publishing.contents import write_contents
from rsnb.publishing.site import build_site

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

pytestmark = pytest.mark.check
REPO = Path(__file__).resolve().parent.parent
SHOTS = REPO / "outputs" / "browser"
AXE = Path(os.environ.get("AXE_JS") or REPO / ".cache" / "axe" / "node_modules" / "axe-core" / "axe.min.js")
WIDTHS = (390, 768, 1024, 1280)
SCHEMES = ("light", "dark")
GRAVE = ("serious", "critical")  # impacts, as axe calls them
LESSON = "03_adapter_and_training"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    for package in ("sphinx", "myst_nb", "furo", "griffe"):
        pytest.importorskip(package, reason='the site needs: pip install -e ".[site]"')
    folder = tmp_path_factory.mktemp("pages") / "site"
    assert build_site(folder) == []
    return folder


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    """A folder as ``rsnb run`` leaves it, with the saved notebooks as those executed, and some of their figures."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "figures").mkdir()
    records = []
    for path in sorted((REPO / "notebooks").glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        pages.write_notebook(notebook, folder / path.name)
        pages.write_page(notebook, folder / f"{path.stem}.html")
        record = {"method": "Zero-shot CLIP", "stamp": "toy world", "notebook": path.stem, "trainable": 0, "mr": 20.2}
        names = ("text_r1", "text_r5", "text_r10", "image_r1", "image_r5", "image_r10")
        records.append({**record, "seconds": None, "recalls": dict.fromkeys(names, 20.2)})
    Image.new("RGB", (1200, 500), "white").save(folder / "figures" / "04-picture.png")
    (folder / "results.json").write_text(json.dumps({"records": records, "notebooks": []}), "utf-8")
    write_contents(folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """A function that opens a file: (path, width, scheme) gives its page, with errors of scripts as failures."""
    contexts, errors = [], []

    def open_(path: Path, width: int = 1280, scheme: str = "light", query: str = ""):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        contexts[-1].grant_permissions(["clipboard-read", "clipboard-write"])
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: errors.append(f"{path.name}: {error}"))
        page.goto(path.as_uri() + query)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []


CUT = """() => [...document.querySelectorAll('article pre, main pre')]
    .filter(code => code.scrollWidth > code.clientWidth + 1).map(code => code.textContent.slice(0, 80))"""
FIGURES = """() => [...document.querySelectorAll('article img, main img')].map(image => ({
    right: image.getBoundingClientRect().right, tap: !!image.closest('button.full-size, a, table')}))"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_and_every_figure_is_one_tap_from_full_size(width, scheme, opened, site, outputs):
    places = {
        "site-index": site / "index.html",
        "site-lesson": site / "notebooks" / f"{LESSON}.html",
        "site-reference": site / "reference" / "rsnb.measures.html",
        "outputs-index": outputs / "index.html",
        "outputs-lesson": outputs / f"{LESSON}.html",
    }
    for name, path in places.items():
        page = opened(path, width, scheme)
        page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(CUT) == [], name
        assert all(image["tap"] and image["right"] <= width for image in page.evaluate(FIGURES)), name
        figure = page.locator("button.full-size").first
        if "lesson" in name:
            figure.scroll_into_view_if_needed()
            page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}-figure.png")
            figure.click()
            shown = page.locator("dialog.full-size img")
            sizes = shown.evaluate("image => [image.clientWidth, image.naturalWidth]")
            assert sizes[0] == sizes[1] > 300
            page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}-full-size.png")


def test_code_is_copied(opened, site, outputs):
    for path in (site / "notebooks" / f"{LESSON}.html", outputs / f"{LESSON}.html"):
        page = opened(path)
        block = page.locator("div.highlight", has_text="import").last
        block.hover()
        page.bring_to_front()  # a browser gives its clipboard to the page in front alone
        block.locator("button.copy").click()
        block.locator("button.copy", has_text="Copied").wait_for(timeout=5000)
        assert page.evaluate("navigator.clipboard.readText()") == block.locator("pre").evaluate("p => p.textContent")


def test_the_keyboard_goes_through_a_lesson(opened, site):
    """Every control is reached by Tab, shows that it is, and a figure opens and closes without a mouse."""
    page = opened(site / "notebooks" / f"{LESSON}.html")
    page.evaluate("document.querySelector('article').tabIndex = -1, document.querySelector('article').focus()")
    reached, wanted = 0, page.locator("article button.copy:visible, article button.full-size:visible").count()
    seen = Counter()
    while reached < wanted:
        page.keyboard.press("Tab")
        kind, outline, inside = page.evaluate("""() => { const at = document.activeElement;
            return [at.className, getComputedStyle(at).outlineStyle, !!at.closest('article')]; }""")
        assert inside, f"left the lesson after {reached} of {wanted} buttons"
        assert outline != "none", kind
        if kind in ("copy", "full-size"):
            reached += 1
            seen[kind] += 1
        if kind == "full-size" and seen[kind] == 1:
            page.keyboard.press("Enter")
            assert page.locator("dialog.full-size").evaluate("dialog => dialog.open")
            page.keyboard.press("Escape")
            assert page.evaluate("document.activeElement.className") == "full-size"
    assert seen["copy"] > 10 and seen["full-size"] > 3


def test_a_choice_of_light_or_dark_is_kept(opened, outputs):
    page = opened(outputs / "index.html", scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    while "dark" not in page.locator("#theme").inner_text():
        page.locator("#theme").click()
    dark = page.evaluate(colour)
    page.reload()
    assert light != dark == page.evaluate(colour)


@pytest.mark.parametrize(
    ("word", "stem", "place"), [("hinge", "hing", "widgets.hinge"), ("triplet", "triplet", "losses")]
)
def test_the_search_finds_words_and_shows_them(word, stem, place, opened, site):
    found = searched(opened, site, word)
    assert any(place in text for text in found.all_inner_texts())
    excerpts = found.locator("p.context").all_inner_texts()
    assert len(excerpts) > 2
    assert [text for text in excerpts if not re.search(rf"(?<![a-z0-9]){stem}", text, re.IGNORECASE)] == []


def test_a_part_of_a_word_is_not_found(opened, site):
    assert searched(opened, site, "riplet").count() == 0


def searched(opened, site: Path, word: str):
    """What the search lists, once it has ended."""
    page = opened(site / "search.html", query=f"?q={word}")
    page.wait_for_function("() => /finished|did not match/.test(document.querySelector('#search-results').innerText)")
    return page.locator("#search-results li")


@pytest.mark.skipif(not AXE.is_file(), reason=f"no {AXE}: make browser gets axe-core through npm, or set AXE_JS")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(scheme, opened, site, outputs):
    table = {}
    for folder in (site, outputs):
        for path in sorted(folder.rglob("*.html")):
            page = opened(path, scheme=scheme)
            page.evaluate(AXE.read_text("utf-8"))
            found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
            name = f"{'site' if folder == site else 'outputs'}/{path.relative_to(folder).as_posix()}"
            table[name] = [
                {
                    "id": rule["id"],
                    "impact": rule["impact"],
                    "nodes": len(rule["nodes"]),
                    "first": rule["nodes"][0]["html"],
                }
                for rule in found
            ]
            page.close()
    (SHOTS / f"axe-{scheme}.json").write_text(json.dumps(table, indent=1), "utf-8")
    for name, rules in table.items():
        impacts = Counter(rule["impact"] for rule in rules)
        print(f"{name:60} {scheme:5} " + ", ".join(f"{impact} {count}" for impact, count in sorted(impacts.items())))
    grave = [(name, rule["id"]) for name, rules in table.items() for rule in rules if rule["impact"] in GRAVE]
    assert grave == []
