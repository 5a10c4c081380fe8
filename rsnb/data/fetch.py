"""``rsnb fetch``: the pretrained weights and the real data sets, each from the place where it is kept.

A download can be cut off at any byte and goes on from there, in the next run too (HTTP Range, a ``.part`` file). A file
gets its own name only when its SHA-256 is the expected one: pinned in :data:`SOURCES`, or else the one that the hub
states for it (then a damaged transfer is noticed, an exchanged file is not; the report says which it was). Nothing is
unpickled or executed, and this file imports nothing heavy. The hub's files come as the others do: ``huggingface_hub``
deletes an unfinished file when the run ends (since 1.18, its pull request 4306), and the largest has 605 MB.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rsnb.base import bars, paths
from rsnb.errors import RsnbError

HUB = "https://huggingface.co"  # HF_ENDPOINT names a mirror
BLOCK = 1024 * 1024
MOST_UNPACKED = 100  # times the size of an archive; photographs hardly shrink
TRIES, WAIT, TIMEOUT = 5, 2.0, 30.0  # attempts without any progress, seconds between them, seconds of silence
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers after which the same question is worth asking again
AUTHORS = "https://drive.google.com/drive/folders/1F6WBQB-1PLqABh-uDv9m-KPdChakWcWY"
WEIGHTS = "OpenAI's CLIP (MIT); its model card is for research, not for use in products"
NO_LICENCE = "no licence stated: for your own study, cite the authors, pass nothing on"


@dataclass(frozen=True)
class File:
    """One file: its name in the folder, megabytes (10^6), its address, its SHA-256 (None: the hub's word is taken)."""

    name: str
    megabytes: float
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """What ``rsnb fetch NAME`` can get.

    place: the page to look at. terms: what is known of the licence. files: what comes by itself. by_hand: steps where
    nothing comes by itself, or another way. unpack: a zip among the files. then: the command that comes next.
    """

    title: str
    place: str
    terms: str
    then: str
    files: tuple[File, ...] = ()
    by_hand: str = ""
    unpack: str = ""

    @property
    def megabytes(self) -> float:
        return sum(file.megabytes for file in self.files)


# addresses of folders, each pinned to a revision
_TIMM = f"{HUB}/timm/vit_base_patch32_clip_224.openai/resolve/a6f597a30f7b82c51704746581f9a4e41421e878"
_OPENAI = "https://openaipublic.azureedge.net/clip/models"
_MERCED = f"{HUB}/datasets/torchgeo/ucmerced/resolve/7c5ef3454d9b1cccfa7ccde0c01fc8f00a45909a"
_RSICD = f"{HUB}/datasets/arampacha/rsicd/resolve/820466c8716e3ccdacde5cb2eb15a2f0f11ccdfe/data"
_PAPER = "https://raw.githubusercontent.com/ZhanYang-nwpu/PE-RSITR/cc84c59743b8cf6735418c83a1f61d9e89e31c8c"
_CAPTION_FILES = (
    ("train_caps.txt", 0.55, "a7d146551652399af1f8e12d0d91172b138a3ad798a7ee991f0ba8b975d10756"),
    ("train_filename.txt", 0.02, "6fd7cd018518e20969efe403f81ada28642f8add3c57838656b64ba1b8d81a71"),
    ("test_caps.txt", 0.06, "b896d49fe5544fcec3b24d556793e51e1b0c0b46fa5595bd77965b2a494a32c1"),
    ("test_filename.txt", 0.01, "84552a920cef691291cfdedfb7912828d52c160154eb519d412a726d8165169f"),
)
_SAFETENSORS_SUM = "e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31"
_TORCHSCRIPT_SUM = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
_MERCED_SUM = "06c539ef28703a58fb07bd2837991ac7c48b813b00bb12ac197efd813a18daeb"

SOURCES: dict[str, Source] = {
    "vit-b-32": Source(
        "CLIP ViT-B/32, OpenAI's weights, as safetensors",
        f"{HUB}/timm/vit_base_patch32_clip_224.openai",
        WEIGHTS + "; the hub's copy states Apache-2.0",
        "rsnb reproduce --data ucm --root DIR --pretrained {folder}/ViT-B-32-openai.safetensors --dry-run",
        (File("ViT-B-32-openai.safetensors", 605.1, f"{_TIMM}/open_clip_model.safetensors", _SAFETENSORS_SUM),),
        "--pretrained openai lets open_clip download the same file into the hub's own cache.",
    ),
    "vit-b-32-pt": Source(
        "the same weights in half precision, OpenAI's own TorchScript file",
        "https://github.com/openai/CLIP",
        WEIGHTS,
        "rsnb reproduce --data ucm --root DIR --pretrained {folder}/ViT-B-32-openai.pt --dry-run",
        (File("ViT-B-32-openai.pt", 354, f"{_OPENAI}/{_TORCHSCRIPT_SUM}/ViT-B-32.pt", _TORCHSCRIPT_SUM),),
        "The sum stands in OpenAI's own address. The file holds code (TorchScript); vit-b-32 holds numbers alone.",
    ),
    "ucm": Source(
        "UCM-Captions: UC Merced's images, the paper's captions and split",
        f"{HUB}/datasets/torchgeo/ucmerced",
        "images: USGS, public domain by the hub's page; captions: no licence stated, for your own study",
        "rsnb data ucm --root {folder}",
        (
            File("UCMerced_LandUse.zip", 332.5, f"{_MERCED}/UCMerced_LandUse.zip", _MERCED_SUM),
            *(File(name, size, f"{_PAPER}/data/ucm_precomp/{name}", sha256) for name, size, sha256 in _CAPTION_FILES),
        ),
        f"Another way: ucm_precomp/ with its images in the paper's Google Drive folder, {AUTHORS}",
        "UCMerced_LandUse.zip",
    ),
    "rsicd": Source(
        "RSICD, images and captions in parquet files",
        f"{HUB}/datasets/arampacha/rsicd",
        NO_LICENCE,
        "rsnb data rsicd --root {folder}",
        tuple(
            File(f"{part}-00000-of-00001.parquet", size, f"{_RSICD}/{part}-00000-of-00001.parquet")
            for part, size in (("train", 419.0), ("valid", 51.6), ("test", 55.1))
        ),
        f"Another way: rsicd_precomp/ with its images in the paper's Google Drive folder, {AUTHORS}; or the links in "
        "the README of https://github.com/201528014227051/RSICD_optimal",
    ),
    "rsitmd": Source(
        "RSITMD, images and captions",
        "https://github.com/xiaoyuan1996/AMFMN/tree/master/RSITMD",
        NO_LICENCE,
        "rsnb data rsitmd --root {folder}",
        by_hand="1. Open https://drive.google.com/file/d/1NJY86TAAUd8BVs7hyteImv8I2_Lh95W6/view in a browser (the link "
        "in the README of the page above) and download the archive; Google asks before a large file, so this step "
        f"cannot be automatic.\n2. Unpack it into {{folder}}, so that dataset_RSITMD.json and images/ lie in it.\n"
        f"3. Check it with the command below. Another way: rsitmd_precomp/ with its images in the paper's Google "
        f"Drive folder, {AUTHORS}",
    ),
}


def default_folder() -> Path:
    """Beside the user's own files and outside every clone, so that nothing is committed by accident."""
    return paths.home() / "rsnb-data"


# --- the command ------------------------------------------------------------------------------------------------
def fetch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default=None, help=f"one of {', '.join(SOURCES)}; without it: the list")
    folder = "folder to put NAME's own folder into (default: rsnb-data in your home folder)"
    parser.add_argument("--out", type=Path, default=None, help=folder)
    parser.add_argument("--json", action="store_true", help="print the list, or what was fetched, as JSON")


def fetch_command(args: argparse.Namespace) -> int:
    """List the sources, or fetch one."""
    base = args.out or default_folder()
    if args.name is None:
        rows = source_rows(base)
        print(json.dumps(rows, indent=1) if args.json else source_table(rows, base))
        return 0
    found = fetch(args.name, base, say=(lambda line: None) if args.json else print)
    if args.json:
        print(json.dumps(found, indent=1))
    return 0 if found["files"] else 1


def source_rows(base: Path | None = None) -> list[dict[str, object]]:
    """What there is, where it lies, how large it is, its terms, what is automatic, and whether it is here already."""
    rows = []
    for name, source in SOURCES.items():
        folder = (base or default_folder()) / name
        sums = [file.sha256 is not None for file in source.files]
        rows.append(
            {
                "name": name,
                "title": source.title,
                "files": len(source.files),
                "megabytes": round(source.megabytes, 1),
                "how": "automatic" if source.files else "by hand",
                "checksum": "none" if not sums else "pinned" if all(sums) else "the hub's word",
                "terms": source.terms,
                "place": source.place,
                "by_hand": source.by_hand.format(folder=folder),
                "here": bool(source.files) and all(_is_here(folder / file.name, file) for file in source.files),
            }
        )
    return rows


def source_table(rows: list[dict[str, object]], base: Path) -> str:
    """The list for a terminal."""
    lines = []
    for row in rows:
        size = f", {row['megabytes']:.0f} MB" if row["files"] else ""
        here = "here" if row["here"] else "not here"
        lines += [f"{row['name']}: {row['title']}", f"    {here}{size}; {row['how']}; checksum: {row['checksum']}"]
        lines += [f"    {row['place']}", f"    {row['terms']}"]
    return "\n".join([*lines, "", f"rsnb fetch NAME puts it into {base / 'NAME'} (--out DIR: into DIR/NAME)"])


def fetch(name: str, base: str | Path | None = None, say: Callable[[str], None] = print) -> dict[str, object]:
    """Fetch one source into ``base/name``; files that are there and right are kept.

    Returns:
        name, folder, files [{name, megabytes, sha256, checked}], then: the command to go on with.
    """
    if name not in SOURCES:
        raise RsnbError(f"nothing to fetch is called {name!r}; there are {', '.join(SOURCES)}")
    source, folder = SOURCES[name], paths.user_path(base or default_folder()) / name
    say(f"{source.title}\n{source.place}\nterms: {source.terms}")
    found = []
    for file in source.files:
        digest, checked = download(file, folder, say)
        size = (folder / file.name).stat().st_size / 1e6
        found.append({"name": file.name, "megabytes": round(size, 2), "sha256": digest, "checked": checked})
        say(f"{file.name}: {size:.1f} MB, sha256 {digest[:12]}..., checked against {checked}")
    if source.unpack:
        unpack(folder / source.unpack, folder, say)
    then = source.then.format(folder=folder.as_posix())
    if source.by_hand:
        say(source.by_hand.format(folder=folder))
    say(f"next: {then}")
    return {"name": name, "folder": str(folder), "files": found, "then": then}


# --- one file ---------------------------------------------------------------------------------------------------
def download(file: File, folder: Path, say: Callable[[str], None] = print) -> tuple[str, str]:
    """Get ``file`` into ``folder``, going on with its ``.part`` where there is one.

    Returns:
        the file's SHA-256, and what it was checked against: "the pinned sum", "the sum that the hub states", or
        "nothing (no sum is known)".

    Raises:
        RsnbError: no connection, no such file, a full disk, a transfer that keeps breaking off (all of these keep the
            part); more bytes than the file has, or another sum than expected (the part is deleted).
    """
    path, part = folder / file.name, folder / (file.name + ".part")
    if path.is_file():
        digest = sha256_of(path)
        if file.sha256 not in (None, digest):
            raise RsnbError(f"{path} has sha256 {digest}, expected {file.sha256}; move it away and fetch again")
        wrong = None if file.sha256 else _unlike(path, file)
        if wrong:
            raise RsnbError(f"{path} is {wrong}; move it away and fetch again")
        return digest, "the pinned sum" if file.sha256 else "nothing (it was there, and no sum is pinned)"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stated = _transfer(file, part, say)
    except OSError as error:
        raise _explained(error, file.url, part) from None
    digest, expected = sha256_of(part), file.sha256 or stated
    if expected not in (None, digest):
        part.unlink()
        raise RsnbError(
            f"{file.url} gave a file with sha256 {digest}, expected {expected}; it was deleted. Try again; if the sum "
            "stays the same, the file at that place has changed: do not use it"
        )
    wrong = None if expected else _unlike(part, file)
    if wrong:
        part.unlink()
        raise RsnbError(f"{file.url} gave {wrong}; it was deleted. Try again, or download it with a browser to {path}")
    os.replace(part, path)
    unpinned = "the sum that the hub states" if stated else "nothing (no sum is known)"
    return digest, "the pinned sum" if file.sha256 else unpinned


def sha256_of(path: Path) -> str:
    """64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _length(part: Path) -> int:
    if part.is_symlink():
        raise RsnbError(f"{part} is a link, and nothing is written through one; delete it and fetch again")
    return part.stat().st_size if part.exists() else 0


#: how files of these endings begin
MAGIC = {
    ".zip": b"PK",
    ".parquet": b"PAR1",
    ".pt": b"PK",
    ".bin": b"PK",
    ".json": b"{",
    ".png": b"\x89PNG",
    ".jpg": b"\xff\xd8",
}


def _unlike(path: Path, file: File) -> str | None:
    """What speaks against a file being the one that was wanted, where no sum is known: its first bytes, or its size."""
    with path.open("rb") as opened:
        start = opened.read(64).lstrip()
    if start[:1] == b"<" or not start.startswith(MAGIC.get(Path(file.name).suffix.lower(), b"")):
        return f"something else than {file.name} (it begins with {start[:16]!r})"
    size = path.stat().st_size / 1e6
    if abs(size - file.megabytes) > 0.05 * file.megabytes + 0.1:
        return f"{size:.1f} MB, not the {file.megabytes} MB of {file.name}"
    return None


def _is_here(path: Path, file: File) -> bool:
    """Whether a file is there and looks like the one that is wanted; its sum is checked where it is fetched."""
    return path.is_file() and _unlike(path, file) is None


def _transfer(file: File, part: Path, say) -> str | None:
    """Fill ``part``, over as many connections as it takes; returns the sum that the hub states."""
    failures = 0
    while True:
        before = _length(part)
        try:
            return _once(file, part, say)
        except urllib.error.HTTPError as error:
            if error.code not in BUSY:
                raise
            reason = f"the server answered {error.code}"
        except (TimeoutError, ConnectionError, http.client.HTTPException, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.URLError) and not before:
                raise  # no network at all
            reason = f"the connection broke ({str(error) or type(error).__name__})"
        have = f"{_length(part) / 1e6:.1f} MB"
        failures = 0 if _length(part) > before else failures + 1
        if failures == TRIES:
            later = f"start the same command again later, it goes on at {have}"
            raise RsnbError(f"{file.url}: {reason}, {TRIES} times without progress; {later}")
        say(f"{reason}; going on at {have}")
        time.sleep(WAIT)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, never from https to http, and keeps the SHA-256 that the hub states for a large file."""

    stated: str | None = None

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        self.stated = _sum_of(headers) or self.stated
        if not newurl.startswith(("https:", "http:")) or (req.full_url[:6] == "https:" and newurl[:6] != "https:"):
            raise RsnbError(f"{req.full_url} leads to {newurl}, which is not encrypted; nothing was taken from there")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _sum_of(headers) -> str | None:
    """The SHA-256 in the hub's X-Linked-ETag (of a file in large file storage it is that); None without one."""
    value = (headers.get("X-Linked-Etag") or "").strip('"')
    return value if re.fullmatch(r"[0-9a-f]{64}", value) else None


def _once(file: File, part: Path, say) -> str | None:
    """One connection: append to ``part`` what it gives, to the end of the file. Returns the sum that the hub states."""
    have, redirects = _length(part), _Redirects()
    most = 1.05e6 * file.megabytes + 1e5  # megabytes are rounded
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
    request = urllib.request.Request(file.url.replace(HUB, mirror, 1), headers={"User-Agent": "rsnb"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.build_opener(redirects).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if (error.headers.get("Content-Range") or "").endswith(f"*/{have}"):
            return redirects.stated or _sum_of(error.headers)  # the part is complete already
        part.unlink()
        raise ConnectionError("the part did not fit the file and was dropped") from None
    with response:
        goes_on = (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
        if have and not goes_on:
            say("the server cannot go on in the middle; starting anew")
            have = 0
        stated = response.headers.get("Content-Length") or ""
        length = int(stated) if stated.isdecimal() else 0
        free = shutil.disk_usage(part.parent).free
        if length > free:
            raise OSError(errno.ENOSPC, f"{length / 1e6:.0f} MB are to come, {free / 1e6:.0f} MB are free")
        whole = have + length if length else None
        bar = bars.bar(total=whole, initial=have, unit="B", unit_scale=True, desc=file.name)
        with bar, part.open("ab" if have else "wb") as sink:
            while have <= most and (block := response.read(BLOCK)):
                sink.write(block)
                have += len(block)
                bar.update(len(block))
    if have > most:
        part.unlink()
        raise RsnbError(f"{file.url} gives more than the {file.megabytes} MB that it should have; nothing was kept")
    if whole is not None and have < whole:
        raise ConnectionError(f"it ended at {have / 1e6:.1f} of {whole / 1e6:.1f} MB")
    return redirects.stated or _sum_of(response.headers)


def _explained(error: OSError, url: str, part: Path) -> RsnbError:
    """What a failure means, and what to do."""
    kept = f" {part} keeps what came; the same command goes on from there." if part.exists() else ""
    by_hand = f"download {url} on another machine and put it at {part.with_suffix('')}"
    if isinstance(error, urllib.error.HTTPError):
        remedy = "If it is gone for good, `rsnb fetch` names the page to look at, and data/README.md other places"
        if error.code in (401, 403):
            remedy = f"It asks for a login or for consent to its terms: log in with a browser, {by_hand}. {remedy}"
        return RsnbError(f"{url} answered {error.code} ({error.reason}).{kept} {remedy}")
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return RsnbError(
            f"the disk of {part.parent} is full ({error.strerror}).{kept} Make room, or take another folder with --out"
        )
    if isinstance(error, urllib.error.URLError) or part.parent.is_dir():
        found = f"{urllib.parse.urlsplit(url).hostname} cannot be reached ({getattr(error, 'reason', error)})"
        return RsnbError(f"{found}.{kept} Check the network, or {by_hand}")
    return RsnbError(f"{part.parent} cannot be made ({error.strerror}); take another folder with --out")


def unpack(archive: Path, folder: Path, say: Callable[[str], None] = print) -> Path:
    """The images of a zip file, in a folder named like it; whole or not at all."""
    target = folder / archive.stem
    if target.is_dir():
        return target
    scratch = folder / f"{archive.stem}.part"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as file:
            names = [n for n in file.namelist() if n.lower().endswith((".tif", ".jpg", ".png")) and "__MACOSX" not in n]
            size, packed = sum(file.getinfo(name).file_size for name in names), archive.stat().st_size
            if size > MOST_UNPACKED * packed or size > shutil.disk_usage(folder).free:
                raise OSError(f"{size / 1e6:.0f} MB are said to be in {packed / 1e6:.0f} MB")
            file.extractall(scratch, names)  # zipfile keeps every name inside the folder
        os.replace(scratch, target)
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:
        # encrypted, a method that is not known, cut off; NotImplementedError is a RuntimeError
        shutil.rmtree(scratch, ignore_errors=True)
        raise RsnbError(
            f"{archive} cannot be unpacked into {folder} ({error}); make room, or delete it and fetch it again"
        ) from None
    say(f"unpacked {len(names):,} images into {target}")
    return target
