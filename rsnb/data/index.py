"""The image files of one folder, and which of them a listed name means."""

from __future__ import annotations

import functools
import os
import re
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rsnb.data.detect import SPLIT_WORDS
from rsnb.data.endings import ENDINGS
from rsnb.errors import RsnbError


def clean_name(name: str, root: Path | None = None) -> str:
    """A listed image name as a relative path with forward slashes. An absolute one must lie inside `root`.

    Raises:
        RsnbError: the name is empty, contains '..', or is absolute and not in there: no name may lead out of the
            folder.
    """
    path = str(name).strip().replace("\\", "/")
    if root is not None and _is_absolute(path):
        for top in (os.path.abspath(root), os.path.realpath(root)):
            top = top.replace("\\", "/").rstrip("/") + "/"
            path = path.removeprefix(top)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts:
        raise RsnbError(f"image name {name!r} is empty")
    if _is_absolute(path) or ".." in parts or "\0" in path:
        raise RsnbError(f"image name {name!r} leads out of the data folder; use a relative name without '..'")
    return "/".join(parts)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or bool(re.match(r"^[A-Za-z]:", path))


@functools.lru_cache(maxsize=2**17)
def name_key(name: str) -> str:
    """A name without its image ending, in lower case: `Images/A.TIF` and `images/a.jpg` have one key."""
    path = unicodedata.normalize("NFC", name).lower()
    ending = os.path.splitext(path)[1]
    return path[: -len(ending)] if ending in ENDINGS else path


@functools.lru_cache(maxsize=2**17)
def _stem(name: str) -> str:
    return name_key(name).rpartition("/")[2]


def _folders(name: str) -> tuple[str, ...]:
    """The folders of a relative path in lower case, the innermost first."""
    return tuple(unicodedata.normalize("NFC", name).lower().split("/")[-2::-1])


@dataclass
class Found:
    """The file of one listed name: `path`, or None with the reason, "missing" or "ambiguous" (`several` fit alike).

    way: how it was found: "by path" (its folders are the listed ones), or "by name" (in another folder).
    """

    path: Path | None = None
    way: str = "missing"
    several: list[Path] = field(default_factory=list)


class ImageIndex:
    """All image files beneath `root`, searched once.

    Only regular files count; links are not followed out of the folder; hidden files and folders are left out.
    `len(index)` is the number of image files, `index.outside` how many links were left out because they lead elsewhere,
    `index.dangling` the links that lead nowhere (as of git-annex or DVC before the files are fetched).
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.outside, self.dangling = 0, 0
        self.files: list[Path] = []
        self._by_stem: dict[str, list[Path]] = {}
        self._of: dict[Path, tuple[str, ...]] = {}  # a file's folders in lower case, the innermost first
        top = self.root.resolve()
        for folder, folders, files in os.walk(self.root):
            place = _folders(f"{Path(folder).relative_to(self.root).as_posix()}/x".removeprefix("./"))
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
            for link in [f for f in folders if Path(folder, f).is_symlink()]:
                self._leads_inside(Path(folder, link), top)
            for file in sorted(files):
                if file.startswith(".") or os.path.splitext(file)[1].lower() not in ENDINGS:
                    continue
                path = Path(folder, file)
                if self._is_ours(path, top):
                    self.files.append(path)
                    self._of[path] = place
                    self._by_stem.setdefault(_stem(file), []).append(path)
        places = set(self._of.values())
        self._folders = {own[:depth] for own in places for depth in range(1, len(own) + 1)}  # innermost first
        self._folder_names = {name for own in places for name in own}

    def _is_ours(self, path: Path, top: Path) -> bool:
        """Whether this is a file beneath the folder, and no pipe, socket or device, which might be waited for."""
        try:
            mode = os.lstat(path).st_mode
        except OSError:  # it went away
            return False
        if stat.S_ISLNK(mode):
            return self._leads_inside(path, top) and path.is_file()
        return stat.S_ISREG(mode)

    def _leads_inside(self, link: Path, top: Path) -> bool:
        """Whether a link leads to something beneath the folder; if not, it is counted."""
        try:
            inside = link.resolve(strict=True).is_relative_to(top)
        except (OSError, RuntimeError):  # nothing there, or a loop
            self.dangling += 1
            return False
        self.outside += not inside
        return inside

    def __len__(self) -> int:
        return len(self.files)

    def match(self, names: Sequence[str | None], parts: Sequence[str] = ()) -> list[Found]:
        """The file that each listed name means; one file serves one name. None is no name.

        parts: of each name, train, val or test.

        The stem must agree (any ending, any case). A listed folder counts: a file fits if its folders are the listed
        ones as far as both go ("by path"). A file elsewhere fits ("by name") only if no folder is the listed one, the
        set lists the stem once, and the file lies in no folder that the set lists. Leading folders called like parts
        (`train/`) are left out of the names if none of them exists. Of several files that fit, that one is taken which
        shares most folders with the name, then the listed ending, then the listed spelling, then that in a folder
        called like the name's part; else the name is ambiguous.
        """
        listed = self._without_parts(names)
        by_stem: dict[str, set[str]] = {}
        for name in listed:
            if name is not None:
                by_stem.setdefault(_stem(name), set()).add(name)
        named = {_folders(name) for name in listed if name is not None} - {()}
        found = [
            Found() if name is None else self._fit(name, by_stem[_stem(name)], named, part)
            for name, part in zip(listed, parts or [""] * len(listed))
        ]
        claims: dict[Path, set[str]] = {}
        for name, own in zip(listed, found):
            if own.path is not None:
                claims.setdefault(own.path, set()).add(name)
        return [
            own if own.path is None or self._has_it(name, own.path, claims[own.path]) else Found()
            for name, own in zip(listed, found)
        ]

    def _without_parts(self, names: Sequence[str | None]) -> list[str | None]:
        heads = {name.partition("/")[0].lower() for name in names if name and "/" in name} & SPLIT_WORDS.keys()
        if heads & self._folder_names:
            return list(names)
        return [
            name.partition("/")[2] if name and "/" in name and name.partition("/")[0].lower() in heads else name
            for name in names
        ]

    def _fit(self, name: str, alike: set[str], named: set[tuple[str, ...]], part: str) -> Found:
        folders, fitting, way = _folders(name), self._by_stem.get(_stem(name), []), "by path"
        chosen = [path for path in fitting if _agree(self._of[path], folders)]
        if not chosen and len(alike) == 1 and folders not in self._folders:
            way, chosen = "by name", [path for path in fitting if not self._lies_in(path, named)]
        if len(chosen) > 1:
            best = max(self._rank(name, path) for path in chosen)
            chosen = [path for path in chosen if self._rank(name, path) == best]
        if len(chosen) > 1:
            chosen = [path for path in chosen if part in self.parts_of(path)] or chosen
        if len(chosen) == 1:
            return Found(chosen[0], way)
        return Found(None, "ambiguous" if chosen else "missing", chosen)

    def _lies_in(self, path: Path, named: set[tuple[str, ...]]) -> bool:
        own = self._of[path]
        return any(own[:depth] in named for depth in range(1, len(own) + 1))

    def parts_of(self, path: Path) -> set[str]:
        """The parts that the folders of a file are called like: `train2017` is train."""
        plain = (folder.rstrip("0123456789") for folder in self._of[path])
        return {SPLIT_WORDS[folder] for folder in plain if folder in SPLIT_WORDS}

    def _rank(self, name: str, path: Path) -> tuple[int, bool, int]:
        """How well a file fits a name: shared folders, the ending, how much of the path is spelled alike."""
        same = [own == listed for own, listed in zip(self._of[path], _folders(name))]
        wanted, shared = PurePosixPath(name), (*same, False).index(False)
        spelled = [own == listed for own, listed in zip(reversed(path.parts), reversed(wanted.parts))]
        return shared, path.suffix.lower() == wanted.suffix.lower(), sum(spelled)

    def _has_it(self, name: str, path: Path, rivals: set[str]) -> bool:
        """Whether, of all names that claim a file, this one alone fits it best."""
        if len(rivals) == 1:
            return True
        own = self._rank(name, path)
        return all(own > self._rank(rival, path) for rival in rivals - {name})


def _agree(own: tuple[str, ...], listed: tuple[str, ...]) -> bool:
    """Whether two folders, innermost first, are the same as far as both go; without a listed one, any is right."""
    both = min(len(own), len(listed))
    return not listed or (both > 0 and own[:both] == listed[:both])
