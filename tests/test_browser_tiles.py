"""The page of a search's hits in a real browser: two widths, light and dark, pictures and map that light each other
up, keyboard, without script, axe. Screenshots go to ``outputs/browser/``."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from test_browser_pages import AXE, GRAVE, SCHEMES, SHOTS, browser, opened  # noqa: F401  (fixtures among them)

import rsnb
from rsnb.tiles.hits import write_hits

pytestmark = pytest.mark.check
WIDTHS = (390, 1280)
ABOUT = {"index": "tiles.index", "tiles": 36, "model": "mini CLIP", "made": "2026-07-24", "note": "exact search"}
ABOUT |= {"extent": [8.4965, 47.2975, 8.5195, 47.3125], "queries": ["a volcano", "a harbour with many boats"]}
EVIL = "<script>document.title='evil'</script>\u202e<img src=x onerror=\"document.title='evil'\">" + "long" * 50


def hit(query: str, rank: int, **more) -> dict:
    """Rank by rank along a grid of 6 by 6 places, every third tile turned."""
    lon, lat = 8.5 + 0.003 * (rank * 5 % 6), 47.3 + 0.002 * (rank * 5 // 6 % 6)
    turn, half, shrink = math.radians(17 * (rank % 3 == 0)), 0.00095, math.cos(math.radians(47.3))
    around = [(-1, 1), (1, 1), (1, -1), (-1, -1)]
    turned = [(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)) for x, y in around]
    corners = [value for x, y in turned for value in (lon + half * x / shrink, lat + half * y)]
    place = {"lon": lon, "lat": lat, "west": lon, "south": lat, "east": lon, "north": lat, "corners": corners}
    found = {"query": query, "rank": rank, "score": 0.3 - rank / 97, "percentile": 99.2 - 6 * rank}
    found |= {"path": f"flight/strip_{rank % 6}/{rank:04}.jpg", "x": 256, "y": 0, "width": 256, "height": 256}
    return found | place | {"modified": pd.Timestamp("2026-05-01", tz="UTC"), "taken": pd.NaT} | more


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Twelve harbours with places; three hits of a hostile query, the last two without a place or a picture."""
    folder, toy = tmp_path_factory.mktemp("hits"), rsnb.load_dataset("toy", "test")
    harbours = [i for i in range(len(toy)) if toy[i].name.startswith("harbor")][:12]
    nowhere = {
        **dict.fromkeys(("lon", "lat", "west", "south", "east", "north", "percentile"), math.nan),
        "corners": None,
    }
    rows = [hit("a harbour with many boats", n) for n in range(1, 13)]
    rows += [hit(EVIL, n, path=EVIL, **(nowhere if n > 1 else {})) for n in (1, 2, 3)]
    shown = {row: toy.image(i) for row, i in enumerate([*harbours, *harbours[:1]])}
    write_hits(pd.DataFrame(rows), folder / "tiles-hits.html", ABOUT, shown.get)
    return folder / "tiles-hits.html"


def marked(page) -> list[str]:
    """The hits of all that is lit up."""
    return page.eval_on_selector_all("[data-hit].on", "all => all.map(one => one.dataset.hit)")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_and_the_colours_are_those_asked_for(width, scheme, opened, written):
    page = opened(written, width, scheme)
    page.screenshot(path=SHOTS / f"tiles-hits-{width}-{scheme}.png")
    page.screenshot(path=SHOTS / f"tiles-hits-{width}-{scheme}-all.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    over = """width => [...document.querySelectorAll('body *')].filter(
        one => one.getBoundingClientRect().right > width + .5).map(one => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(over, width) == []
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    sizes = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.clientWidth, i.clientHeight])")
    assert len(sizes) == 13
    for natural, wide, high in sizes:
        assert natural > 0 and 96 <= min(wide, high) <= 160
    assert page.title() == "Hits in tiles.index"  # and no script of a name has run


def test_a_picture_and_its_number_light_each_other_up(opened, written):
    page = opened(written)
    for hovered in ("#h2-3 img", "#m2-5 circle", "polygon[data-hit='2-3']"):
        page.locator(hovered).hover(force=True)
        assert marked(page) == ["2-5" if "5" in hovered else "2-3"] * 3  # card, tile and number
    circle = "getComputedStyle(document.querySelector('#m2-3 circle')).strokeWidth"
    assert page.evaluate(circle) == "4px"  # not by colour alone
    page.locator("h1").hover()
    assert marked(page) == [] and page.evaluate(circle) == "1px"


def test_the_keyboard_reaches_every_hit_and_shows_where_it_is(opened, written):
    page = opened(written)
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        target, visible = page.evaluate("""() => { const at = document.activeElement, style = getComputedStyle(at);
            const ring = at.querySelector('circle'), shown = ring && getComputedStyle(ring).strokeWidth == '4px';
            return [at.getAttribute('href'), style.outlineStyle != 'none' || shown]; }""")
        if target is None:
            break
        seen.append(target)
        assert visible, target
        if target.startswith(("#m2", "#h2")):
            assert marked(page) == [target[2:]] * 3
    assert seen[:3] == ["#q1", "#q2", "#q3"]
    assert [t for t in seen if t.startswith("#m2")] == [f"#m2-{n}" for n in range(1, 13)]
    assert [t for t in seen if t.startswith("#h2")] == [f"#h2-{n}" for n in range(1, 13)]
    assert [t for t in seen if t[1:3] in ("m3", "h3")] == ["#m3-1", "#h3-1"]  # the others have no place


def test_without_script_a_number_still_leads_to_its_picture_and_back(browser, written):
    context = browser.new_context(viewport={"width": 390, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto(written.as_uri())
    page.locator("#h2-1 a").click()
    assert page.url.endswith("#m2-1") and page.locator("#m2-1").bounding_box()["y"] < 900
    page.locator("#m2-7").click()
    box = page.locator("#h2-7").bounding_box()
    assert page.url.endswith("#h2-7") and 0 <= box["y"] < 900
    page.screenshot(path=SHOTS / "tiles-hits-390-target.png")
    context.close()


def test_nothing_is_asked_of_the_network_and_the_policy_holds(browser, written):
    context, asked, said = browser.new_context(), [], []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(written.as_uri())
    assert asked == [written.as_uri()] and said == []
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x.png onerror=\"document.title=1\">')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'evil = 1'}))")
    assert page.evaluate("typeof evil") == "undefined" and page.title() == "Hits in tiles.index"
    assert len(said) >= 2 and all("Content Security Policy" in line for line in said)
    context.close()


@pytest.mark.skipif(not AXE.is_file(), reason=f"no {AXE}: make browser gets axe-core through npm, or set AXE_JS")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(scheme, opened, written):
    page = opened(written, scheme=scheme)
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in GRAVE] == []
