"""JupyterLab in a real browser: every notebook runs, every control of every panel changes what is shown.

Needs Chromium and Playwright (``make browser`` installs the latter); skipped where one is missing. Screenshots go to
``outputs/browser/``, light and dark, to be looked at.
"""

from __future__ import annotations

import re
import time

import pytest
from browsing import REPO, SHOTS, browser, closed, errors, opened, server  # noqa: F401  (fixtures among them)

pytestmark = pytest.mark.check
MASTERS = sorted((REPO / "notebooks" / "source").glob("[0-9]*.py"))
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in MASTERS}
TOUCHED = {name: len(re.findall(r"lesson\.touch\(", text)) for name, text in SOURCES.items()}
SIGNATURE = """panel => [...panel.querySelectorAll('img')].map(i => i.src).join()
    + [...panel.querySelectorAll('.widget-html-content')].map(e => e.innerHTML).join()"""


def moved(page, control) -> None:
    """Move one control as a hand would; called a second time it goes back."""
    control.scroll_into_view_if_needed()
    if control.locator(".noUi-handle").count():
        handle = control.locator(".noUi-handle").first
        at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        handle.focus()
        handle.press("ArrowLeft" if at_end or control.get_attribute("data-moved") else "ArrowRight")
    elif control.locator("select").count():
        select = control.locator("select")
        values = select.locator("option").evaluate_all("options => options.map(o => o.value)")
        back = control.get_attribute("data-moved")
        select.select_option(next(v for v in values if v != select.input_value()) if back is None else back)
    elif control.locator("input[type=checkbox]").count():
        control.locator("input[type=checkbox]").click()
    elif control.locator("button").count():
        control.locator("button:not(.mod-active)").first.click()
    elif control.locator("input").count():
        box = control.locator("input").first
        old = box.input_value()
        number = box.get_attribute("type") == "number"
        other = str(int(float(old)) + 1) if number else "a white plane"
        back = control.get_attribute("data-moved")
        box.fill(other if back is None else back)
        box.press("Enter")
    else:
        raise AssertionError(f"a control of an unknown kind: {control.get_attribute('class')}")


def state_of(control) -> str:
    return control.evaluate(
        "c => { const s = c.querySelector('select, input:not([type=checkbox])');"
        " return c.querySelector('.noUi-handle') ? 'slider' : s ? s.value : 'x'; }"
    )


def is_disabled(control) -> bool:
    return control.evaluate("c => !!c.querySelector('[disabled]')")


@pytest.mark.parametrize("name", TOUCHED)
def test_every_control_changes_what_is_shown(name, browser, server):
    page = opened(browser, server, name)
    try:
        assert errors(page) == []
        page.screenshot(path=SHOTS / f"{name}.png")
        panels = page.locator(
            ".jp-OutputArea-output [class*='rsnb-']:is(:has(> .widget-gridbox), :has(> .widget-hbox))"
        )
        assert panels.count() == TOUCHED[name], "not every panel is drawn"
        for number in range(panels.count()):
            panel = panels.nth(number)
            title = next(c for c in panel.get_attribute("class").split() if c.startswith("rsnb-"))
            panel.scroll_into_view_if_needed()
            controls = panel.locator("[class*='rsnb-control-']")
            waiting, moves = list(range(controls.count())), 0
            assert waiting, f"{title}: no controls"
            panel.screenshot(path=SHOTS / f"{name}-{title}-first.png")
            for round_ in range(2):
                for index in list(waiting):
                    control = controls.nth(index)
                    if is_disabled(control):
                        continue
                    before, value = panel.evaluate(SIGNATURE), state_of(control)
                    moved(page, control)
                    label = f"{name}, {title}, {control.get_attribute('class')}"
                    after = changed(page, panel, before, label)
                    waiting.remove(index)
                    moves += 1
                    if moves == 2:
                        panel.screenshot(path=SHOTS / f"{name}-{title}-moved.png")
                    control.evaluate("(c, v) => c.setAttribute('data-moved', v)", value)
                    moved(page, control)  # and back, so that each control is judged from the first state
                    changed(page, panel, after, f"{label}, back")
                if waiting and round_ == 0:  # a switch turns others on
                    switch = controls.locator("visible=true").filter(has=page.locator("button")).first
                    before = panel.evaluate(SIGNATURE)
                    moved(page, switch)
                    changed(page, panel, before, f"{name}, {title}, the switch")
            assert waiting == [], f"{name}, {title}: never turned on: {waiting}"
    finally:
        closed(page)


def changed(page, panel, before: str, label: str, seconds: float = 40) -> str:
    """Wait until a panel shows something else, and no longer changes."""
    until = time.time() + seconds
    while (now := panel.evaluate(SIGNATURE)) == before:
        assert time.time() < until, f"{label}: nothing changed"
        page.wait_for_timeout(100)
    while True:
        page.wait_for_timeout(700)
        later = panel.evaluate(SIGNATURE)
        if later == now:
            return now
        now = later


def test_a_student_notebook_runs_in_the_dark(browser, server):
    name = next(n for n in SOURCES if n.startswith("03"))
    page = opened(browser, server, f"student/{name}", theme="JupyterLab Dark")
    try:
        assert errors(page) == []
        assert page.evaluate("() => document.body.dataset.jpThemeLight") == "false"
        page.locator(".jp-OutputArea-output", has_text="is not written yet").first.scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / "student-dark-exercise.png")
        folded = page.locator("details:has(summary:text-is('Hint'))").first
        folded.scroll_into_view_if_needed()
        assert folded.get_attribute("open") is None
        folded.locator("summary").click()
        assert folded.get_attribute("open") is not None
        page.screenshot(path=SHOTS / "student-dark-hint.png")
        page.locator(".jp-RenderedImage img, .rsnb-picture").first.scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / "student-dark-figure.png")
    finally:
        closed(page)


def test_a_saved_notebook_shows_pictures_in_place_of_controls(browser, server):
    """As it is opened, before any cell is run: no kernel has made a widget yet."""
    name = next(n for n, count in TOUCHED.items() if count)
    page = opened(browser, server, name, run=False)
    try:
        assert page.locator(".jp-OutputArea-output .widget-hbox").count() == 0
        assert page.locator(".jp-RenderedImage img").count() >= TOUCHED[name]
        page.screenshot(path=SHOTS / "saved.png")
    finally:
        page.close()
