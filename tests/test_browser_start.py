"""``rsnb lab`` in a real browser: the start page opens rendered, and a link opens the first lesson."""

from __future__ import annotations

import pytest
from browsing import REPO, SHOTS, browser, serving  # noqa: F401  (a fixture among them)

from rsnb.publishing.runner import find_notebooks

pytestmark = pytest.mark.check


def test_the_start_page_is_rendered_and_opens_the_first_lesson(browser, tmp_path):
    folder = tmp_path / "work"
    with serving(tmp_path, "rsnb", "lab", "--dir", str(folder), "--") as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(40_000)
        page.goto(address)
        table = page.locator(".jp-MarkdownViewer table")
        table.wait_for()
        assert table.locator("tbody tr").count() == len(find_notebooks(REPO / "notebooks"))  # a row for each lesson
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / "start.png")
        table.locator("a").first.click()
        page.locator(".jp-NotebookPanel .jp-RenderedMarkdown h1").first.wait_for()
        title = page.locator(".jp-NotebookPanel .jp-RenderedMarkdown h1").first.inner_text()
        assert title.startswith("1 ")
        page.screenshot(path=SHOTS / "start-lesson.png")
        page.close()
    assert (folder / "START.md").exists()
