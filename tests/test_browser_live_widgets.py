"""The loss, ties, the budget, the map, quizzes and predictions of the site in Chromium: pointer, finger, keyboard,
widths, light and dark, axe, without JavaScript, without storage, from a folder and from a server.

Screenshots go to ``outputs/browser/``, to be looked at.
"""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import pytest

from rsnb.publishing.site import build_site
from tests.test_browser_pages import AXE, CHROMIUM, GRAVE, SCHEMES, SHOTS, browser  # noqa: F401

pytestmark = pytest.mark.check
REPO = Path(__file__).resolve().parent.parent
WIDTHS = (390, 768, 1280, 1920)
PAGES = {
    "loss": "03_adapter_and_training",
    "budget": "03_adapter_and_training",
    "ties": "01_inspect_the_data",
    "map": "04_retrieval_and_tsne",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site of a clone with the lessons that these parts are in."""
    for package in ("sphinx", "myst_nb", "furo", "griffe"):
        pytest.importorskip(package, reason='the site needs: pip install -e ".[site]"')
    clone, folder = (tmp_path_factory.mktemp("live") / name for name in ("clone", "site"))
    for name in set(PAGES.values()):
        for place in ("notebooks", "notebooks/student"):
            (clone / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / place / f"{name}.ipynb", clone / place)
    build_site(folder, root=clone)
    return folder


@pytest.fixture
def opened(browser, site):
    """A function that opens a lesson of the site; errors of scripts, and anything loaded from elsewhere, fail."""
    contexts, errors, asked = [], [], []

    def open_(name: str, width: int = 1280, scheme: str = "light", script: str = "", base: str = "", **more):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(f"{name}: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        if script:
            page.add_init_script(script)
        page.goto(f"{base or site.as_uri()}/notebooks/{name}.html")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:"))] == []


def part(page, name: str):
    """A live part once it is there."""
    found = page.locator(f'div.live[data-live="{name}"]')
    found.locator(".live-title").wait_for(timeout=60_000)
    return found


CUT = """root => { const right = root.getBoundingClientRect().right;
    return [...root.querySelectorAll('*')].filter(one => one.getClientRects().length && !one.closest('.live-said')
        && one.getBoundingClientRect().right > right + 1).map(one => one.outerHTML.slice(0, 80)); }"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_fits_its_page(width, scheme, opened):
    for name, lesson in PAGES.items():
        page = opened(lesson, width, scheme)
        root = part(page, name)
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert root.evaluate(CUT) == [], name
        # as tall as the part, so that the head of the page, which stays, does not lie over it
        page.set_viewport_size({"width": width, "height": int(root.bounding_box()["height"]) + 300})
        root.evaluate("root => { root.scrollIntoView({ block: 'center' }); }")
        page.wait_for_timeout(300)  # pictures above it have come
        root.screenshot(path=SHOTS / f"live-{name}-{width}-{scheme}.png")
        page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_quizzes_and_predictions_fit_their_page(width, scheme, opened):
    page = opened(PAGES["loss"], width, scheme)
    page.locator(".live-predict textarea").nth(3).fill("a word that is very long: " + "x" * 90)
    for n in range(2):
        form = page.locator("form.live-quiz").nth(n)
        form.locator("input[type=radio]").nth(n).check()
        form.locator("button").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name, selector in (("prediction", ".live-predicted:visible"), ("quiz", "form.live-quiz >> nth=1")):
        page.locator(selector).first.evaluate("one => one.scrollIntoView({ block: 'center' })")
        page.screenshot(path=SHOTS / f"live-{name}-{width}-{scheme}.png")


# ---- the loss


def run_experiment(root, number: int) -> str:
    """The result of an experiment that ran until nothing moved."""
    root.get_by_label("experiment").select_option(index=number - 1)
    root.get_by_role("button", name="Run until").click()
    root.locator(".live-result", has_text="more steps").or_(
        root.locator(".live-result", has_text="Nothing moves")
    ).wait_for(timeout=60_000)
    return root.locator(".live-result").text_content()


def test_the_hinge_collapses_and_the_terms_prevent_it(opened):
    page = opened(PAGES["loss"])
    root = part(page, "loss")
    alone = run_experiment(root, 1)
    assert "Collapse: all points are one" in alone and "loss is 2.40" in alone
    assert root.locator(".live-said").text_content() == alone  # read out
    assert root.locator("svg.live-circle path").count() == 0  # no arrow is left
    root.screenshot(path=SHOTS / "live-loss-collapsed.png")
    for number in (2, 3, 4):
        assert "6 of 6 images have their own caption" in run_experiment(root, number)
    root.screenshot(path=SHOTS / "live-loss-solved.png")
    assert "all images are one point and all captions another" in run_experiment(root, 5)


def test_a_step_moves_the_points_and_lowers_the_loss(opened):
    root = part(opened(PAGES["loss"]), "loss")

    def seen() -> tuple[float, list[str]]:
        text = root.locator(".live-result").text_content()
        places = root.get_by_role("slider").evaluate_all("all => all.map(one => one.getAttribute('transform'))")
        return float(text.split("loss ")[1].split(";")[0]), [place for place in places if place]

    loss, places = seen()
    root.get_by_role("button", name="One step").click()
    after, moved = seen()
    assert len(places) == 12 and after < loss and moved != places
    root.get_by_role("button", name="Start again").click()
    assert seen() == (loss, places)


def test_points_are_dragged_by_mouse_finger_and_keys(opened):
    page = opened(PAGES["loss"], has_touch=True)
    root = part(page, "loss")
    circle = root.locator("svg.live-circle")
    circle.scroll_into_view_if_needed()
    point = circle.get_by_role("slider", name="image 1, harbor")

    def angle() -> int:
        return int(point.get_attribute("aria-valuenow"))

    box, disc = circle.bounding_box(), point.locator("circle").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    start = disc["x"] + disc["width"] / 2, disc["y"] + disc["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1] + 100, steps=5)  # to the bottom of the circle
    page.mouse.up()
    assert angle() == pytest.approx(270, abs=2)
    finger = page.context.new_cdp_session(page)
    disc = point.locator("circle").bounding_box()
    start = disc["x"] + disc["width"] / 2, disc["y"] + disc["height"] / 2
    for kind, place in (
        ("Start", start),
        ("Move", (middle[0] - 60, middle[1] + 60)),
        ("Move", (middle[0] - 90, middle[1])),
    ):
        finger.send(
            "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": [{"x": place[0], "y": place[1]}]}
        )
        page.wait_for_timeout(50)  # Chromium hands on one move a frame
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert angle() == pytest.approx(180, abs=2)
    assert circle.locator('[tabindex="0"]').count() == 1  # one tab stop
    page.keyboard.press("ArrowRight")
    assert angle() == pytest.approx(175, abs=2)
    heard = point.get_attribute("aria-valuetext")
    assert heard.startswith("cosine") and "hardest negative caption" in heard
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "image 2, harbor"
    assert circle.locator('[tabindex="0"]').count() == 1


# ---- ties, the budget, the map


def test_a_shared_caption_lowers_the_ceiling_by_keyboard(opened):
    page = opened(PAGES["ties"])
    root = part(page, "ties")
    root.get_by_label("start from").select_option("every image has its own caption")
    assert "can be expected to be 100 % at most" in root.locator(".live-result").text_content()
    assert root.locator('.live-grid [tabindex="0"]').count() == 1
    root.locator(".live-cell").first.focus()
    for key in ("ArrowDown", "Space", "ArrowRight", "Space"):  # image 2 gets the caption of image 1 beside its own
        page.keyboard.press(key)
    heard = root.locator(".live-said").text_content()
    assert "image 2 keeps its last caption" not in heard.lower()
    root.get_by_label("start from").select_option("all images share one caption")
    said = root.locator(".live-result").text_content()
    assert "“trees” describes 6 images" in said and "17 % at most" in said and "0 to 100 %" in said
    root.locator(".live-cell").nth(1).click()  # the only caption of image 1
    assert "keeps its last caption" in root.locator(".live-said").text_content()


def test_the_budget_follows_its_controls(opened):
    page = opened(PAGES["budget"])
    root = part(page, "budget")
    total = root.locator(".live-total")
    assert total.text_content() == "161,088 parameters, 0.11 % of the 151,277,313 of ViT-B/32"
    root.get_by_label("the blocks use").select_option("an adapter for each depth")
    assert total.text_content().startswith("1,933,056 parameters")  # 12 times as many
    assert root.locator(".live-said").text_content() == total.text_content()
    root.get_by_label("backbone").select_option("mini CLIP of the lessons")
    root.get_by_label("the blocks use").select_option("one adapter for all")
    root.get_by_label("shared slice d").focus()
    page.keyboard.press("End")
    assert root.get_by_label("shared slice d").input_value() == "127"  # below the narrower width
    root.get_by_role("button", name="The paper's adapter").click()
    assert total.text_content().startswith("161,088 parameters")


def test_the_map_shows_what_is_under_pointer_finger_and_keys(opened):
    page = opened(PAGES["map"], has_touch=True)
    root = part(page, "map")
    svg, card = root.locator("svg.live-map"), root.locator(".live-card")
    svg.scroll_into_view_if_needed()
    assert svg.locator("circle.live-mark").count() == 264 and svg.locator("path.live-mark").count() == 1320
    first = card.text_content()
    svg.focus()
    page.keyboard.press("ArrowRight")
    second = card.text_content()
    assert second != first and root.locator(".live-said").text_content() == second
    page.wait_for_timeout(900)  # marks at rest
    for kind, mark in (
        ("Image", svg.locator("circle.live-mark").nth(200)),
        ("Caption", svg.locator("path.live-mark").nth(900)),
    ):
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert card.text_content().startswith(kind)
    by_mouse, box = card.text_content(), svg.locator("circle.live-mark").nth(30).bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert card.text_content() != by_mouse
    image = card.locator(".live-tile").evaluate("one => getComputedStyle(one).backgroundImage")
    assert "gallery.jpg" in image
    before = svg.locator("circle.live-mark").first.evaluate("one => one.style.transform")
    root.get_by_role("button", name="After: with the adapter").click()
    assert svg.locator("circle.live-mark").first.evaluate("one => one.style.transform") != before
    legend = root.locator(".live-class")
    assert root.locator('.live-legend [tabindex="0"]').count() == 1
    legend.nth(5).click()
    assert legend.nth(5).get_attribute("aria-pressed") == "true"
    assert root.locator('.live-legend [aria-pressed="true"]').count() == 5
    for n in range(6, 12):
        legend.nth(n).click()
    assert root.locator('.live-legend [aria-pressed="true"]').count() == 8  # at most
    root.get_by_role("checkbox", name="captions").uncheck()
    assert svg.locator("path.live-mark:visible").count() == 0


# ---- quizzes and predictions


def test_an_answer_opens_after_a_choice_and_is_kept(opened):
    page = opened(PAGES["loss"])
    forms = page.locator("form.live-quiz")
    hidden = page.locator("details[hidden]")
    assert forms.count() == hidden.count() == 5
    form = forms.first
    assert form.get_by_role("button", name="Show the answer").is_disabled()
    form.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")  # sends the form
    assert hidden.count() == 4 and form.get_by_role("radio").first.is_disabled()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert {"✓ right", "tempting"} == set(form.locator("em").all_text_contents())
    forms.nth(1).get_by_label("Another answer").fill("it depends <b>on</b> the batch")
    forms.nth(1).get_by_role("button").click()
    page.locator(".live-predict textarea").first.fill("after the LayerNorm")
    page.reload()
    assert hidden.count() == 3
    assert forms.nth(1).get_by_label("Another answer").input_value() == "it depends <b>on</b> the batch"
    assert page.locator(".live-predicted:visible").all_text_contents() == ["You predicted: after the LayerNorm"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my answers as a file").click()
    kept = json.loads(Path(download.value.path()).read_text("utf-8"))["lessons"][PAGES["loss"]]
    assert sorted(value.get("chosen", value.get("predicted")) for value in kept.values())[1:] == [
        "after the LayerNorm",
        "it depends <b>on</b> the batch",
    ]
    assert all(len(value["question"]) > 20 for value in kept.values())
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove my answers").click()
    page.wait_for_function("() => document.querySelectorAll('details[hidden]').length === 5")
    assert page.locator(".live-predicted:visible").count() == 0


def test_a_prediction_is_shown_beside_its_own_result(opened):
    page = opened(PAGES["map"])
    boxes = page.locator(".live-predict textarea")
    assert boxes.count() == 9
    for n in range(9):
        boxes.nth(n).fill(f"prediction {n + 1}")
    shown = page.locator(".live-predicted:visible")
    places = shown.evaluate_all("all => all.map(one => [one.closest('.cell').className, one.textContent])")
    assert len(places) == 9
    for classes, text in places:
        assert f"tag_predicted-{text.removeprefix('You predicted: prediction ')}" in classes


def test_a_browser_that_refuses_storage_still_works(opened):
    refuse = """for (const name of ["getItem", "setItem"]) {
        const kept = Storage.prototype[name];  // the theme keeps its own
        Storage.prototype[name] = function (key, ...more) {
            if (key === "rsnb-answers") throw new Error("refused");
            return kept.call(this, key, ...more);
        };
    }"""
    page = opened(PAGES["loss"], script=refuse)
    assert "This browser keeps nothing" in page.locator(".live-answers").text_content()
    form = page.locator("form.live-quiz").first
    form.get_by_role("radio").first.check()
    form.get_by_role("button").click()
    assert page.locator("details[hidden]").count() == 4
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my answers as a file").click()
    assert len(json.loads(Path(download.value.path()).read_text("utf-8"))["lessons"][PAGES["loss"]]) == 1


def test_without_javascript_the_page_is_as_it_was(opened):
    for name in set(PAGES.values()):
        page = opened(name, java_script_enabled=False)
        folded = page.locator("details", has_text="Answer")
        assert folded.count() >= 5
        folded.last.locator("summary").click()
        assert folded.last.locator("p").first.is_visible()
        assert page.locator("form.live-quiz, .live-predict").count() == 0
        assert page.locator("div.live").count() >= 1 and page.locator("div.live:visible").count() == 0


# ---- all of them


def test_the_parts_work_from_a_server(opened, site):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, lesson in PAGES.items():
            assert part(opened(lesson, base=f"http://127.0.0.1:{server.server_port}"), name).is_visible()
        server.shutdown()


@pytest.mark.skipif(not AXE.is_file(), reason=f"no {AXE}: make browser gets axe-core through npm, or set AXE_JS")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious_in_the_parts(scheme, opened):
    found = {}
    for name, lesson in PAGES.items():
        page = opened(lesson, scheme=scheme)
        part(page, name)
        page.evaluate(AXE.read_text("utf-8"))
        where = "{ include: [['div.live'], ['.live-quiz'], ['.live-predict']] }"
        rules = page.evaluate(f"() => axe.run({where}, {{ resultTypes: ['violations'] }})")["violations"]
        found[name] = [(rule["id"], rule["impact"], rule["nodes"][0]["html"][:200]) for rule in rules]
    print(json.dumps(found, indent=1))
    assert [rule for rules in found.values() for rule in rules if rule[1] in GRAVE] == []
