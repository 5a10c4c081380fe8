"""Results that were made again and came out equal: what is written down of it, and where each result stands."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.base.sources import digest
from rsnb.errors import RsnbError
from rsnb.studies import keys

FILE = "confirmed.json"  # beside the results


@dataclass(frozen=True)
class Standing:
    """Where a result stands: what changed since it was made, and the check that it still comes out.

    ``changed``: parts of the key, [] if the code, data, weights and settings of today made it. ``aside``: other
    versions, and what was not at hand. ``made``: digests of the code that made it. ``check``: the last confirmation;
    ``confirmed``: it was made by the code, with the data and weights of today.
    """

    changed: list[str]
    aside: list[str]
    made: list[str]
    check: Mapping[str, Any] | None
    confirmed: bool

    @property
    def stale(self) -> bool:
        return bool(self.changed) and not self.confirmed

    @property
    def sentence(self) -> str:
        """'made by this code', 'confirmed by this code on ...; changed since it was made: ...', or what changed."""
        changed = ", ".join(self.changed)
        if self.stale:
            said = f"STALE: {changed}"
        elif self.changed:
            check = f"{self.check['date']}, {self.check['how']}"
            said = f"confirmed by this code on {check}; changed since it was made: {changed}"
        else:
            said = "made by this code"
        return "; ".join([said, *self.aside])

    @property
    def stamp(self) -> str:
        """'made by code 0123456789ab · confirmed by code ... on 2026-11-26'."""
        said = f"made by code {', '.join(self.made)}" if self.made else "made by code that was not recorded"
        if self.check:
            said += f" · confirmed by code {self.check['key']['code']} on {self.check['date']}"
        return said


def standing_of(name: str, pairs: Sequence[tuple[Any, Any, dict[str, Any]]], roots: tuple[str, ...]) -> Standing:
    """Where a result stands. pairs: see :class:`rsnb.publishing.kept.Kept`."""
    code, changed, aside = keys.code_of(roots), {}, {}
    for then, beside, now in pairs:
        changed |= dict.fromkeys(keys.parts_changed(then, now, beside.get("modules"), code))
        aside |= dict.fromkeys(f"made with {text}" for text in keys.other_versions(beside.get("versions", {})))
        if then is not None:
            aside |= {f"{part} not at hand, not compared": None for part in ("data", "weights") if now[part] is None}
    made = sorted({then["code"] for then, *_ in pairs if then and then.get("code")})
    check = read_confirmed().get(name)
    settings = any(part.startswith("settings") for part in changed)
    same = check is not None and not keys.parts_changed(check["key"], pairs[0][2], check["modules"], code)
    return Standing(list(changed), list(aside), made, check, same and not settings)


def read_confirmed() -> dict[str, Any]:
    """The confirmations by the name of the result; {} where there are none."""
    path = paths.results_dir() / FILE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise RsnbError(f"{path} cannot be read ({error}); remove it, or take it from the history") from None


def confirm(name: str, now: Mapping[str, Any], roots: tuple[str, ...], numbers: int, how: str, part: str) -> None:
    """Write down that a result came out again: when, on which machine, and under which key."""
    import torch

    machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads"
    entry = {
        "date": datetime.date.today().isoformat(),
        "machine": machine,
        "versions": keys.versions(),
        "made again": part,
        "numbers": numbers,
        "how": how,
        "digest": digest(dict(now)),
        "key": dict(now),
        "modules": keys.code_of(roots).modules,
    }
    known = {**read_confirmed(), name: entry}
    write_json(paths.results_dir() / FILE, {key: known[key] for key in sorted(known)})
