"""The lecturer's kit: figures for slides, notebooks to hand out, and a folder from which a class installs offline.

``rsnb figures`` runs the notebooks and keeps their figures in high resolution, with a contact sheet. ``rsnb notebooks``
copies the notebooks out of the package. ``rsnb pack`` fills a USB stick::

    STICK/README.txt            what to type, for each system
    STICK/notebooks/            the notebooks with exercises
    STICK/wheels/windows/       rsnb and everything it needs, for each system asked for
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rsnb.base import paths
from rsnb.base.files import make_folder, megabytes, readable_size, write_bytes
from rsnb.base.options import add_options
from rsnb.errors import RsnbError
from rsnb.publishing.handout import copy_notebooks

PIP = (sys.executable, "-m", "pip")
AT_ONCE = 10  # packages that one call of pip fetches: so many are lost at most when it is stopped
GLIBC = range(28, 4, -1)  # manylinux_2_28 and older: what a Linux of the last years takes

#: system: (what uv calls it, what pip calls it: the tags of its wheels)
SYSTEMS = {
    "linux": ("x86_64-manylinux_2_28", [*(f"manylinux_2_{n}_x86_64" for n in GLIBC), "manylinux2014_x86_64"]),
    "windows": ("x86_64-pc-windows-msvc", ["win_amd64"]),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
}
SYSTEM_NAMES = {"linux": "Linux (x86-64)", "windows": "Windows (64 bit)", "macos": "macOS 14 or newer (Apple silicon)"}


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
    parser.add_argument(
        "--extra-index", metavar="URL", help="a second package index, such as PyTorch's for its CPU builds"
    )
    parser.add_argument("--force", action="store_true", help="replace a README.txt that is not from rsnb pack")
    add_options(parser, "dry_run")


def this_system() -> str:
    return {"Windows": "windows", "Darwin": "macos"}.get(platform.system(), "linux")


def pack_command(args: argparse.Namespace) -> int:
    """Fill a folder with all that a class needs offline. Run again, it goes on with the packages that are missing."""
    clone = paths.PACKAGE.parent
    if not (clone / "pyproject.toml").is_file():
        raise RsnbError(f"rsnb pack builds rsnb from a clone, and {clone} is not one; run it in one (pip install -e .)")
    readme = args.folder / "README.txt"
    if readme.exists() and not args.force and not _is_ours(readme):
        raise RsnbError(f"{readme} is not from rsnb pack and would be replaced; take an empty folder, or --force")
    if not args.dry_run:
        make_folder(args.folder)
    systems = [name.strip() for name in args.systems.split(",") if name.strip()]
    unknown = sorted(set(systems) - set(SYSTEMS))
    if unknown or not systems:
        raise RsnbError(f"--systems takes some of {', '.join(SYSTEMS)}, not {', '.join(unknown) or 'nothing'}")
    for system in systems:
        wheels = args.folder / "wheels" / system
        missing = absent(resolve_packages(clone, system, args.python, args.extra_index), wheels)
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
        write_bytes(args.folder / "README.txt", stick_readme(args.folder, args.python).encode("utf-8"))
        everything = megabytes(path for path in args.folder.rglob("*") if path.is_file())
        print(f"{args.folder}: {everything}; README.txt there says what the students type")
    return 0


def _is_ours(readme: Path) -> bool:
    """Whether a README.txt was written by ``rsnb pack``."""
    try:
        return readme.read_bytes().startswith(_STICK.splitlines()[0].encode())
    except OSError:
        return False


def resolve_packages(clone: Path, system: str, python: str, extra_index: str | None = None) -> list[str]:
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
    """Those of the packages that are not in the folder yet. One that was only half written is fetched again in its
    place; files that are none of these packages are left alone."""
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

    there = set()
    pinned = [line.split("==") for line in wanted]
    ours = {f"{canonicalize_name(name)}=={version}" for name, version in pinned}
    for path in wheels.glob("*.whl"):
        with contextlib.suppress(InvalidWheelFilename):
            name = "{}=={}".format(*parse_wheel_filename(path.name)[:2])
            if zipfile.is_zipfile(path):  # the table of contents stands at the end of the file
                there.add(name)
            elif name in ours:  # pip would keep it
                path.unlink()
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
        raise RsnbError(f"{' '.join(command[2:4])} stopped: {remedy}. Then run rsnb pack again; it resumes")


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

Nothing here needs a network. You need Python {python} (64 bit; other versions do not fit these packages), and room on
the disk for a copy of this folder and for what is installed.

1. Copy this folder to the disk, and open a terminal in the copy.
2. Type the lines for your system, one after the other. The first two install, the third checks (it ends with
   "everything is in order"), the fourth opens the notebooks in the browser. Begin with 01.

The folder notebooks holds the exercises. What you write there is yours: installing again changes nothing in it.
"""


def unpacked(wheels: Iterable[Path]) -> str:
    """The size of what is inside wheels."""
    sound = [path for path in wheels if zipfile.is_zipfile(path)]
    return readable_size(sum(file.file_size for path in sound for file in zipfile.ZipFile(path).infolist()))
