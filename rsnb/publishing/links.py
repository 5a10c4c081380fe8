"""Do the links of a folder of HTML pages lead anywhere, and do its pages load from another host? Without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADED = {  # what a browser fetches while it shows the page: {element: its attributes}
    "script": ("src", "href", "xlink:href"), "img": ("src", "srcset"), "source": ("src", "srcset"), "iframe": ("src",),
    "embed": ("src",), "object": ("data",), "video": ("src", "poster"), "audio": ("src",), "track": ("src",),
    "input": ("src",), "image": ("href", "xlink:href"), "use": ("href", "xlink:href"), "body": ("background",),
}  # fmt: skip
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
        if tag in ("a", "area") and "href" in given:
            self.links.append(Link(given["href"], False))
        elif tag == "link" and "href" in given:
            self.links.append(Link(given["href"], bool(LINK_LOADS & set(given.get("rel", "").lower().split()))))
        for name in LOADED.get(tag, ()):
            if name in given:
                several = [part.split()[0] for part in given[name].split(",") if part.strip()]
                targets = several if name == "srcset" else [given[name]]
                self.links += [Link(target, True) for target in targets]
        self.links += in_css(given.get("style", ""))

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
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    read = {name: Page(path.read_text("utf-8")) for name, path in files.items() if path.suffix == ".html"}
    links = {name: page.links for name, page in read.items()}
    links |= {name: in_css(path.read_text("utf-8")) for name, path in files.items() if path.suffix == ".css"}
    anchors = {name: page.anchors for name, page in read.items()}
    problems, outside = [], {}
    for name, targets in links.items():
        for target, loaded in sorted(set(targets)):
            parts = urlsplit(target)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                outside.setdefault(target, []).append(name)
            problems += [f"{name}: {target} {wrong}" for wrong in _wrong(name, target, loaded, set(files), anchors)]
    return Found(problems, outside)


def _wrong(name: str, target: str, loaded: bool, files: set[str], anchors: dict[str, set[str]]) -> Iterator[str]:
    """What is wrong with one link of the file ``name``: nothing, or one sentence."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        if loaded:
            yield "is loaded from elsewhere; take a copy into the site, or a link instead"
        return
    if parts.path.startswith("/"):
        yield "starts at the root of a server, which a page opened from disk does not have; make it relative"
        return
    place = _joined(Path(name).parent.as_posix(), unquote(parts.path)) if parts.path else name
    if place is None:
        yield "leads out of the site"
    elif place not in files:
        yield "is a folder; name a page in it" if _is_folder(place, files) else "leads to no file"
    elif parts.fragment and not loaded and place in anchors and unquote(parts.fragment) not in anchors[place]:
        yield f"names an anchor that {place} does not have"


def _is_folder(place: str, files: set[str]) -> bool:
    return place == "." or any(file.startswith(place + "/") for file in files)


def _joined(folder: str, path: str) -> str | None:
    """A relative path from a folder, both with slashes; None if it leads above the top."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    for part in path.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or "."
