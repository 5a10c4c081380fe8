"""The lecturer's kit: figures for slides, notebooks to hand out, and a folder from which a class installs offline.

``rsnb figures`` runs the notebooks and keeps their figures in high resolution, with a contact sheet. ``rsnb notebooks``
copies the notebooks out of the package. ``rsnb pack`` fills a USB stick::

    STICK/README.txt            what to type, for each system
    STICK/notebooks/            the notebooks with exercises
    STICK/wheels/windows/       rsnb and everything it needs, for each system asked for
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rsnb.base import paths
from rsnb.classroom import lesson
from rsnb.commands import run as commands
from rsnb.errors import RsnbError
from rsnb.publishing import pages, runner

SLIDE_DPI = 200
PIP = (sys.executable, "-m", "pip")
AT_ONCE = 10  # packages that one call of pip fetches: so many are lost at most when it is stopped
FLAVOURS = {"lesson": "lesson", "student": "student", "solutions": "solution"}  # as typed: as pages names them
GLIBC = range(28, 4, -1)  # manylinux_2_28 and older: what a Linux of the last years takes

#: system: (what uv calls it, what pip calls it: the tags of its wheels)
SYSTEMS = {
    "linux": ("x86_64-manylinux_2_28", [*(f"manylinux_2_{n}_x86_64" for n in GLIBC), "manylinux2014_x86_64"]),
    "windows": ("x86_64-pc-windows-msvc", ["win_amd64"]),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
}
SYSTEM_NAMES = {"linux": "Linux (x86-64)", "windows": "Windows (64 bit)", "macos": "macOS 14 or newer (Apple silicon)"}


# --- figures for slides -------------------------------------------------------------------------------------------
def figures_arguments(parser: argparse.ArgumentParser) -> None:
    commands.what_arguments(parser)
    parser.add_argument("--only", metavar="1,3", default="", help="notebooks by number (default: all)")
    parser.add_argument("--out", type=Path, default=Path("outputs/slides"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--dpi", type=int, default=SLIDE_DPI, metavar="N", help="dots per inch (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a quick check with little data; numbers mean nothing")


def figures(args: argparse.Namespace) -> int:
    """Run the notebooks and keep their figures, large, with a contact sheet; 1 if a cell fails."""
    try:
        only = tuple(int(number) for number in args.only.split(",") if number.strip())
    except ValueError:
        raise RsnbError(f"--only takes numbers such as 1,3, not {args.only!r}") from None
    settings = {**commands.variables(args), "RSNB_DPI": str(args.dpi)}
    lesson.resolve({**os.environ, **settings})  # a wrong setting is told before anything runs
    found = runner.find(runner.notebooks_dir(), only)
    for notebook in found:
        with tempfile.TemporaryDirectory(prefix="rsnb", ignore_cleanup_errors=True) as scratch:
            try:
                runner.execute(notebook, runner.Job(Path(scratch), settings=settings), notebook.stem)
            except runner.CellFailed as error:
                print(f"rsnb: {error}", file=sys.stderr)
                return 1
            args.out.mkdir(parents=True, exist_ok=True)
            for picture in Path(scratch, "figures").glob("*.png"):
                shutil.copy2(picture, args.out / picture.name)  # with its time: the order of the sheet
        sheet = contact_sheet(args.out)
    pictures = list(args.out.glob("*.png"))
    print(f"{len(pictures)} figures, {megabytes(pictures)}; overview: {sheet}")
    return 0


def contact_sheet(folder: Path) -> Path:
    """Write index.html: the figures of a folder by notebook, in the lesson's order, captioned by their alt texts."""
    from PIL import Image

    parts = []
    for notebook in runner.find(runner.notebooks_dir()):
        pictures = sorted(folder.glob(f"{notebook.stem}-*.png"), key=lambda path: path.stat().st_mtime_ns)
        parts += [f"<h2>{html.escape(title_of(notebook))}</h2>"] if pictures else []
        for path in pictures:
            with Image.open(path) as picture:
                alt, stamp = (html.escape(picture.text.get(key, "")) for key in ("Description", "Comment"))
                size = "{} × {}".format(*picture.size)
            picture = f'<a href="{path.name}"><img src="{path.name}" alt="{alt}" loading="lazy"></a>'
            caption = f"{alt}<br><small>{stamp}<br>{path.name}, {size}</small>"
            parts.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    page = folder / "index.html"
    lesson.write_bytes(page, _SHEET.format("\n".join(parts)).encode("utf-8"))
    return page


def title_of(notebook: Path) -> str:
    """The heading a notebook begins with."""
    source = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(source).split("\n")[0].lstrip("# ")


_SHEET = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Figures of the series</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1.5rem; align-items: start }}
h2 {{ grid-column: 1 / -1; margin: 1rem 0 0 }}
figure {{ margin: 0; padding: .75rem; border: 1px solid #ccc }}
img {{ width: 100%; height: 14rem; object-fit: contain }}
small {{ color: #595959; overflow-wrap: anywhere }}
</style></head>
<body><h1>Figures of the series</h1>
<p>Every figure is a PNG file beside this page; its stamp says on which data, backbone and seed it was made. Pictures of
the toy world come under this project's MIT licence. Images of real sets belong to their makers: cite them, and do not
pass them on.</p>
<main>
{}
</main></body></html>
"""


# --- notebooks to hand out ----------------------------------------------------------------------------------------
def notebooks_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to put them")
    parser.add_argument(
        "--flavour",
        choices=FLAVOURS,
        default="student",
        help="student: with exercises (default); solutions: solved; lesson: without",
    )


def notebooks(args: argparse.Namespace) -> int:
    """Copy the notebooks out of the package; what is there already is left alone."""
    states = copy_notebooks(args.folder, args.flavour)
    for name, state in states.items():
        print(f"{state:8} {args.folder / name}")
    if "kept" in states.values():
        print("kept: the file there differs from this version's; move it away and run again to get that one")
    print(f"open them with: jupyter lab {args.folder}")
    return 0


def copy_notebooks(folder: Path, flavour: str = "student") -> dict[str, str]:
    """Copy the notebooks of a flavour.

    Returns {name: "written", "there" (the same file is there), or "kept" (another one is: edited, so not touched)}.
    """
    states = {}
    for source in runner.find(runner.notebooks_dir() / pages.FLAVOURS[FLAVOURS[flavour]]):
        content, target = source.read_bytes(), folder / source.name
        if not target.exists():
            lesson.write_bytes(target, content)
            states[source.name] = "written"
        else:
            states[source.name] = "there" if target.read_bytes() == content else "kept"
    return states


# --- everything on a USB stick --------------------------------------------------------------------------------------
def pack_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the stick, or a folder to be copied to it")
    parser.add_argument(
        "--systems",
        default=this_system(),
        metavar="NAMES",
        help=f"the students' machines: some of {','.join(SYSTEMS)} (default: this one's)",
    )
    parser.add_argument(
        "--python",
        default=f"{sys.version_info[0]}.{sys.version_info[1]}",
        metavar="3.N",
        help="the students' Python (default: %(default)s)",
    )
    parser.add_argument("--extra-index", metavar="URL", help="a second package index, as PyTorch's for its CPU builds")
    parser.add_argument("--dry-run", action="store_true", help="list what would be fetched")


def this_system() -> str:
    return {"Windows": "windows", "Darwin": "macos"}.get(platform.system(), "linux")


def pack(args: argparse.Namespace) -> int:
    """Fill a folder with all that a class needs offline. Run again, it goes on with the packages that are missing."""
    clone = paths.PACKAGE.parent
    if not (clone / "pyproject.toml").is_file():
        raise RsnbError(f"rsnb pack builds rsnb from a clone, and {clone} is none; run it in one (pip install -e .)")
    systems = [name.strip() for name in args.systems.split(",") if name.strip()]
    unknown = sorted(set(systems) - set(SYSTEMS))
    if unknown or not systems:
        raise RsnbError(f"--systems takes some of {', '.join(SYSTEMS)}, not {', '.join(unknown) or 'nothing'}")
    for system in systems:
        wheels = args.folder / "wheels" / system
        missing = absent(resolve(clone, system, args.python, args.extra_index), wheels)
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            print(f"{system} {start + len(some)}/{len(missing)}: {' '.join(some)}", flush=True)
            if not args.dry_run:
                _call(fetch_command(some, wheels, system, args.python, args.extra_index))
        if not args.dry_run:
            _call([*PIP, "wheel", "-q", "--no-deps", "--wheel-dir", str(wheels), str(clone)])
            there = list(wheels.glob("*.whl"))
            print(f"{system}: {len(there)} packages, {megabytes(there)}")
    if not args.dry_run:
        copy_notebooks(args.folder / "notebooks")
        lesson.write_bytes(args.folder / "README.txt", stick_readme(args.folder, args.python).encode("utf-8"))
        everything = megabytes(path for path in args.folder.rglob("*") if path.is_file())
        print(f"{args.folder}: {everything}; README.txt there says what the students type")
    return 0


def resolve(clone: Path, system: str, python: str, extra_index: str | None = None) -> list[str]:
    """The packages that rsnb needs on a system, as ``name==version``.

    pip reads the conditions of a requirement (``; sys_platform == "win32"``) for the machine it runs on, so the list
    for another system is made by uv.
    """
    index = ["--extra-index-url", extra_index, "--index-strategy", "unsafe-best-match"] if extra_index else []
    with tempfile.TemporaryDirectory(prefix="rsnb") as scratch:
        found = Path(scratch, "wanted.txt")
        _call(
            [
                sys.executable,
                "-m",
                "uv",
                "pip",
                "compile",
                "-q",
                str(clone / "pyproject.toml"),
                "-c",
                str(clone / "constraints.txt"),
                "--python-platform",
                SYSTEMS[system][0],
                "--python-version",
                python,
                "--no-header",
                "--no-annotate",
                *index,
                "-o",
                str(found),
            ]
        )
        lines = found.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if "==" in line]


def absent(wanted: Sequence[str], wheels: Path) -> list[str]:
    """Those of the packages that are not in the folder yet. A wheel that was only half written is removed."""
    from packaging.utils import canonicalize_name, parse_wheel_filename

    there = set()
    for path in wheels.glob("*.whl"):
        if zipfile.is_zipfile(path):  # the table of contents stands at the end of the file
            there.add("{}=={}".format(*parse_wheel_filename(path.name)[:2]))
        else:
            path.unlink()
    pinned = [line.split("==") for line in wanted]
    return [f"{name}=={version}" for name, version in pinned if f"{canonicalize_name(name)}=={version}" not in there]


def fetch_command(
    wanted: Sequence[str], wheels: Path, system: str, python: str, extra_index: str | None = None
) -> list[str]:
    """Fetch packages for a system that need not be this one; pip puts them into the folder when it has them all."""
    index = ["--extra-index-url", extra_index] if extra_index else []
    tags = [word for tag in SYSTEMS[system][1] for word in ("--platform", tag)]
    return [
        *PIP,
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(wheels),
        "--python-version",
        python,
        *tags,
        *index,
        *wanted,
    ]


def _call(command: Sequence[str]) -> None:
    """Run pip or uv; MACOSX_DEPLOYMENT_TARGET is the oldest macOS that PyTorch takes, and is read by uv."""
    done = subprocess.run(command, env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"})
    if done.returncode:
        missing = command[2] == "uv" and importlib.util.find_spec("uv") is None
        remedy = "pip install uv" if missing else "the message above says why; what was fetched is kept"
        raise RsnbError(f"{' '.join(command[2:4])} stopped: {remedy}. Then run rsnb pack again, it goes on")


def stick_readme(folder: Path, python: str) -> str:
    """README.txt of the stick: two commands to install, two to begin, for each system that is on it."""
    parts = [_STICK.format(python=python)]
    for system in SYSTEMS:
        wheels = list((folder / "wheels" / system).glob("*.whl"))
        if wheels:
            run = "rsnb-env\\Scripts\\" if system == "windows" else "rsnb-env/bin/"
            start = f"py -{python}" if system == "windows" else f"python{python}"
            sizes = f"{megabytes(wheels)} here, about {unpacked(wheels)} once installed"
            parts.append(
                f"{SYSTEM_NAMES[system]}: {sizes}\n\n"
                f"    {start} -m venv rsnb-env\n"
                f"    {run}python -m pip install --no-index --find-links wheels/{system} rsnb\n"
                f"    {run}rsnb doctor\n"
                f"    {run}jupyter lab notebooks\n"
            )
    return "\n".join(parts)


_STICK = """rsnb: adapting CLIP to overhead images, in notebooks

Nothing here needs a network. Wanted: Python {python} (64 bit; other versions do not fit these packages), and room on
the disk for a copy of this folder and for what is installed.

1. Copy this folder to the disk, and open a terminal in the copy.
2. Type the lines for your system, one after the other. The first two install, the third checks (it ends with
   "everything is in order"), the fourth opens the notebooks in the browser. Begin with 01.

The folder notebooks holds the exercises. What you write there is yours: installing again changes nothing in it.
"""


def megabytes(files: Iterable[Path]) -> str:
    """The size of files together, in MB or GB."""
    return _readable(sum(path.stat().st_size for path in files))


def unpacked(wheels: Iterable[Path]) -> str:
    """The size of what is inside wheels."""
    return _readable(sum(file.file_size for path in wheels for file in zipfile.ZipFile(path).infolist()))


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
