"""Collects everything wrong with a data set, to say it once: one error, or one warning with counts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

from rsnb.errors import RsnbError, RsnbWarning

LISTED = 10  # offenders named per kind
LONG = 300  # letters of an offender; the rest is cut off

#: kind: (what it is called in a message, what to do about it)
KINDS = {
    "count": ("files whose counts do not match", "get the file again, or repair it by hand"),
    "split": ("entries with an unknown split", "use train, val or test"),
    "entry": ("entries that cannot be read", "repair them in the caption file"),
    "unsafe": ("image names that lead out of the data folder", "names must be relative, without '..'"),
    "crossing": ("images listed in two parts", "list each image in one part only"),
    "missing": (
        "images missing",
        "put the images anywhere beneath the data folder, or pass images=False for captions only",
    ),
    "ambiguous": ("image names that fit several files", "keep one copy of each image there"),
    "corrupt": ("images that cannot be decoded", "get these files again"),
}
#: those that cannot be left out: it is not known which captions belong to which image
UNSKIPPABLE = {"count"}
DROPS = {"blank": "blank captions", "captionless": "images without any caption left"}


@dataclass
class Faults:
    """What was found wrong in the data set at `where`.

    Faults (KINDS) raise one RsnbError in `settle`, unless `skip_bad` leaves them out; drops (DROPS) never do. What was
    left out in either case is counted in one RsnbWarning.
    """

    where: str
    skip_bad: bool = False
    root: Path | None = None  # of the images: listed names may be absolute paths inside it
    found: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, offender: str) -> None:
        """Note a fault: raises later, unless skip_bad."""
        self.found.setdefault(kind, []).append(offender)

    def drop(self, kind: str, offender: str) -> None:
        """Note something that is left out in any case."""
        self.dropped.setdefault(kind, []).append(offender)

    def settle(self) -> None:
        """Raise one RsnbError for all faults, or warn once about what is left out.

        Raises:
            RsnbError: up to ten offenders of each kind, and the remedy.
        """
        if self.found and (not self.skip_bad or UNSKIPPABLE & self.found.keys()):
            raise RsnbError(self.message())
        parts = [f"{len(v):,} {DROPS[k]} ({some(v, 4)})" for k, v in self.dropped.items()]
        parts += [f"{len(v):,} {KINDS[k][0]} ({some(v, 4)})" for k, v in self.found.items()]
        if parts:
            warnings.warn(f"{self.where}: left out {'; '.join(parts)}", RsnbWarning, stacklevel=3)

    def message(self) -> str:
        """The text of the error: each kind of fault with its first offenders and its remedy."""
        lines = []
        for kind, offenders in self.found.items():
            title, remedy = KINDS[kind]
            lines.append(f"{len(offenders):,} {title}: {some(offenders)}. Remedy: {remedy}.")
        if not UNSKIPPABLE & self.found.keys():
            lines.append("Or go on without them: skip_bad=True (on the command line --skip-bad).")
        return f"{self.where}: " + "\n".join(lines)


def some(offenders: list[str], most: int = LISTED) -> str:
    """The first `most` offenders, each named once, and how many more there are."""
    offenders = [one if len(one) <= LONG else f"{one[: LONG - 3]}..." for one in dict.fromkeys(offenders)]
    named = ", ".join(offenders[:most])
    return named if len(offenders) <= most else f"{named}, and {len(offenders) - most:,} more"
