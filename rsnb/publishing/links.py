"""Does a folder of HTML pages stand alone? Its pages load nothing from elsewhere, and links inside it lead somewhere.

Sphinx warns of Markdown whose links are broken. This reads what a browser gets: also HTML in texts and outputs, style
sheets, and the theme's own files. No network is needed.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADED = {"src", "srcset", "poster", "background", "data"}  # attributes that a browser fetches to show the page
LINK_LOADS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
_IN_CSS = re.compile(r"@import\s+[\"'](?P<name>[^\"']+)|url\(\s*[\"']?(?P<url>[^\"')]+)|/\*.*?\*/", re.DOTALL)


class Link(NamedTuple):
    target: str
    loaded: bool  # a picture, script, style or frame, and not a place to go to


class Found(NamedTuple):
    """``problems``: a sentence for each; ``outside``: {address elsewhere: pages that link to it}, not fetched."""

    problems: list[str]
    outside: dict[str, list[str]]


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[Link] = []
        self.anchors: set[str] = set()
        self.in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = {name: value for name, value in attributes if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.in_style = tag == "style"
        self.links += in_css(given.get("style", ""))
        followed = tag in ("a", "area") or tag == "link" and not LINK_LOADS & set(given.get("rel", "").lower().split())
        for name, value in given.items():
            if name in ("href", "xlink:href"):
                self.links.append(Link(value, not followed))
            elif name in LOADED:
                several = [part.split()[0] for part in value.split(",") if part.strip()]
                self.links += [Link(target, True) for target in (several if name == "srcset" else [value])]

    def handle_data(self, data):
        if self.in_style:
            self.links += in_css(data)

    def handle_endtag(self, tag):
        self.in_style = False


def in_css(text: str) -> list[Link]:
    """What a style loads by ``url(...)`` and ``@import``."""
    return [Link((m["name"] or m["url"]).strip(), True) for m in _IN_CSS.finditer(text) if m["name"] or m["url"]]


def check(folder: Path) -> Found:
    """Look at every link of every ``*.html`` and ``*.css`` below a folder."""
    files = {path for path in folder.rglob("*") if path.is_file()}
    pages = {path: Page(path.read_text("utf-8")) for path in files if path.suffix == ".html"}
    links = {path: page.links for path, page in pages.items()}
    links |= {path: in_css(path.read_text("utf-8")) for path in files if path.suffix == ".css"}
    problems, outside = [], {}
    for path in sorted(links):
        name = path.relative_to(folder).as_posix()
        for target, loaded in sorted(set(links[path])):
            parts = urlsplit(target)
            place = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                outside.setdefault(target, []).append(name)
                if loaded:
                    problems.append(f"{name}: {target} is loaded from elsewhere; take a copy into the site, or a link")
            elif place not in files:
                problems.append(f"{name}: {target} leads to no file of the site; name one by its relative path")
            elif not loaded and place in pages and unquote(parts.fragment) not in {"", *pages[place].anchors}:
                there = place.relative_to(folder).as_posix()
                problems.append(f"{name}: {target} names an anchor that {there} does not have")
    return Found(problems, outside)
