"""The panels in a real browser: what a drag costs, what is shown, what a keyboard reaches.

Screenshots and the times of all drawings go to ``outputs/browser/``.
"""

from __future__ import annotations

import json

import nbformat
import pytest
from browsing import SHOTS, browser, closed, errors, opened, server  # noqa: F401  (fixtures among them)
from nbformat.v4 import new_code_cell, new_notebook

from rsnb.publishing import pages

pytestmark = pytest.mark.check

SET_UP = """
import json, time
from pathlib import Path
import numpy as np, rsnb
from rsnb.classroom import lesson
from rsnb.classroom.widgets.browser import dataset_browser
from rsnb.classroom.widgets.designer import adapter_designer
from rsnb.classroom.widgets.hinge import hinge_playground
from rsnb.classroom.widgets.retrieval import retrieval_explorer
from rsnb.classroom.widgets.scene import scene_search
from rsnb.classroom.widgets.similar import similarity_explorer
from rsnb.classroom.widgets.space import tsne_hover
from rsnb.worlds.scene import draw_scene, write_tiles

def timed(panel):
    show = panel.show
    def measured(values):
        begun = time.process_time()
        show(values)
        with open("drawn.jsonl", "a") as file:
            row = {"panel": panel.name, "cpu": round(time.process_time() - begun, 3), "values": values}
            file.write(json.dumps(row) + "\\n")
    panel.show = measured
    return panel

s = lesson.setup()
test, clip = rsnb.load_dataset("toy", "test"), rsnb.load_clip()
report = rsnb.evaluate(clip, test)
models, reports = {"zero-shot": clip, "again": clip}, {"zero-shot": report, "again": report}
points = np.random.default_rng(0).normal(size=(len(test), 2))
scene = draw_scene(0, 4, 6)
write_tiles(Path("tiles"), scene.pixels, (range(0, 768, 128), range(0, 512, 128)), 128)
index = rsnb.Index.build("tiles", "tiles.index")
"""
PANELS = {
    "browser": "dataset_browser(test)",
    "designer": "adapter_designer(clip.widths, clip.depths, 2_928_513)",
    "hinge": "hinge_playground()",
    "retrieval-explorer": "retrieval_explorer(test, models, reports)",
    "scene-search": 'scene_search(scene, {"zero-shot": index}, "many boats")',
    "similarity-explorer": "similarity_explorer(test, reports)",
    "space": 'tsne_hover(test, {"zero-shot": points, "again": -points}, range(len(test)), (), reports)',
}
DRAGGED = {"browser": "picked", "designer": "bottleneck", "hinge": "margin", "retrieval-explorer": "count",
           "scene-search": "least", "similarity-explorer": "number"}  # fmt: skip


@pytest.fixture(scope="module")
def page(browser, server):
    """A notebook with the panels, run; ``page.drawn(name)`` are the redraws of one so far."""
    cells = [SET_UP, *(f"lesson.touch(timed({build}))" for build in PANELS.values())]
    folder = server[1] / "lab"
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=pages.PLAIN_METADATA)
    nbformat.write(notebook, folder / "panels.ipynb")
    page = opened(browser, server, "panels")
    log = folder / "drawn.jsonl"

    def drawn(name: str) -> list[dict]:
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [row for row in rows if row["panel"] == name]

    page.drawn = drawn
    assert errors(page) == []
    yield page
    times = {name: [row["cpu"] for row in drawn(name)] for name in PANELS}
    SHOTS.mkdir(parents=True, exist_ok=True)
    (SHOTS / "times.json").write_text(json.dumps({"seconds of CPU of each redraw": times}, indent=1))
    print(json.dumps(times))
    closed(page)


def picture(page, name: str) -> dict:
    return page.locator(f".rsnb-{name} .rsnb-picture img").evaluate(
        "i => ({alt: i.alt, natural: [i.naturalWidth, i.naturalHeight], shown: [i.clientWidth, i.clientHeight]})"
    )


@pytest.mark.parametrize("name", DRAGGED)
def test_a_drag_of_thirty_steps_draws_at_most_three_times(name, page):
    slider = page.locator(f".rsnb-{name} .rsnb-control-{DRAGGED[name]}")
    if name == "similarity-explorer":
        page.locator(f".rsnb-{name}").scroll_into_view_if_needed()
    slider.scroll_into_view_if_needed()
    before, alt = len(page.drawn(name)), picture(page, name)["alt"]
    handle, line = (slider.locator(part).bounding_box() for part in (".noUi-handle", ".noUi-base"))
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    end = line["x"] if x > line["x"] + line["width"] / 2 else line["x"] + line["width"]
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 31):
        page.mouse.move(x + (end - x) * step / 30, y)
        page.wait_for_timeout(10)
    page.mouse.up()
    page.wait_for_timeout(3000)
    page.locator(f".rsnb-{name}").screenshot(path=SHOTS / f"panel-{name}.png")
    drawn = page.drawn(name)[before:]
    assert 1 <= len(drawn) <= 3
    newest = float(slider.locator(".noUi-handle").get_attribute("aria-valuenow"))
    assert drawn[-1]["values"][DRAGGED[name]] == pytest.approx(newest), "the last value is not drawn"
    assert picture(page, name)["alt"] != alt


@pytest.mark.parametrize("name", DRAGGED)
def test_pictures_are_drawn_at_twice_their_size_and_never_stretched(name, page):
    now = picture(page, name)
    assert all(abs(drawn - 2 * shown) <= 2 for drawn, shown in zip(now["natural"], now["shown"])), now
    assert len(now["alt"]) > 60


def test_the_map_is_one_tab_stop_and_arrow_keys_move_inside(page):
    panel = page.locator(".rsnb-space")
    panel.scroll_into_view_if_needed()
    label = "() => document.activeElement.getAttribute('aria-label')"
    inside = "() => !!document.activeElement.closest('.rsnb-space .map')"
    panel.locator(".rsnb-control-colour button").last.focus()
    page.keyboard.press("Tab")
    while not page.evaluate(inside):
        assert page.evaluate("() => !!document.activeElement.closest('.rsnb-space')"), "the map cannot be reached"
        page.keyboard.press("Tab")
    seen = [page.evaluate(label)]
    for _ in range(3):
        page.keyboard.press("ArrowDown")
        assert page.evaluate(inside), "JupyterLab took the key"
        seen.append(page.evaluate(label))
    assert len(set(seen)) == 4
    assert panel.locator(".card:visible").count() == 1
    panel.screenshot(path=SHOTS / "panel-space.png")
    page.keyboard.press("Tab")
    assert not page.evaluate(inside), "a second tab stop"


def test_the_label_of_the_map_follows_the_controls(page):
    group = page.locator(".rsnb-space [role=radiogroup]").last
    before = page.locator(".rsnb-space .rsnb-picture [role=radiogroup]").get_attribute("aria-label")
    page.locator(".rsnb-space .rsnb-control-scene select").select_option("harbor")
    page.wait_for_function(
        "old => document.querySelector('.rsnb-space .rsnb-picture [role=radiogroup]').ariaLabel !== old", arg=before
    )
    assert "harbor" in group.get_attribute("aria-label")
