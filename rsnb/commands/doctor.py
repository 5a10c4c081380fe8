"""Check that this machine can run the lesson, and say what to do where it cannot: ``rsnb doctor``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from rsnb.base import paths
from rsnb.base.options import add_options
from rsnb.errors import RsnbError

OK, WARN, BROKEN = "ok", "warning", "BROKEN"
INSTALL = "run `make run` in the clone, or: pip install -c constraints.txt -e ."
LEAST_PYTHON = (3, 10)


@dataclass(frozen=True)
class Check:
    """One finding. ``remedy`` is empty when nothing is to be done."""

    name: str
    state: str
    found: str
    remedy: str = ""


def diagnose(out: Path = Path("outputs")) -> list[Check]:
    """All checks, in the order in which their remedies are best tried."""
    checks: list[Check] = []
    steps: list[Callable[[], list[Check]]] = [
        python,
        packages,
        one_torch_build,
        device,
        memory,
        lambda: writable(out),
        cache,
        kernel,
        toy_world,
        mini_weights,
        results,
    ]
    for step in steps:
        name = getattr(step, "__name__", "outputs").replace("_", " ").replace("<lambda>", "outputs")
        try:
            checks += step()
        except Exception as error:  # a check must never hide the ones after it
            checks.append(Check(name, BROKEN, f"{type(error).__name__}: {error}", INSTALL))
    return checks


def python() -> list[Check]:
    """Version of Python, and whether it is one of a virtual environment."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < LEAST_PYTHON:
        return [Check("Python", BROKEN, found, "install Python 3.10 or newer, delete .venv, install again")]
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        return [Check("Python", WARN, found + ", no virtual environment", "use .venv/bin/rsnb, or activate .venv")]
    return [Check("Python", OK, found)]


def requirements() -> list[str]:
    """What pyproject.toml asks for, from the installed package's metadata (extras left out)."""
    try:
        return [r for r in metadata.requires("rsnb") or [] if "extra ==" not in r]
    except metadata.PackageNotFoundError:
        return []


def packages() -> list[Check]:
    """Each required package against its required version."""
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requirements()]
    if not needed:
        return [Check("packages", BROKEN, "rsnb is not installed in this Python", INSTALL)]
    checks = []
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            remedy = f'pip install "{requirement}"'
            checks.append(Check(requirement.name, BROKEN, "not installed", remedy))
            continue
        if requirement.specifier.contains(version, prereleases=True):
            checks.append(Check(requirement.name, OK, version))
        else:
            found = f"{version}, needed {requirement.specifier}"
            checks.append(Check(requirement.name, BROKEN, found, f'pip install "{requirement}"'))
    return checks


def one_torch_build() -> list[Check]:
    """torch and torchvision must come from one place, or torchvision's operators are missing."""
    import torch

    remedy = 'pip install --force-reinstall "torch" "torchvision" (both from one place, in one command)'
    try:
        from torchvision.ops import nms

        kept = nms(torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]]), torch.tensor([0.9, 0.8]), 0.5)
        if kept.tolist() != [0]:
            raise RuntimeError(f"nms kept {kept.tolist()}, not [0]")
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [Check("torch and torchvision", BROKEN, f"from different builds: {first}", remedy)]
    return [Check("torch and torchvision", OK, f"{torch.__version__} and {metadata.version('torchvision')} fit")]


def device() -> list[Check]:
    """CUDA, MPS or CPU, and the number of threads."""
    import torch

    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if torch.cuda.is_available():
        found = f"CUDA: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        found = "MPS (Apple)"
    else:
        found = "CPU, which is enough for the toy world and the mini CLIP"
    checks = [Check("device", OK, found)]
    if threads > cores:
        checks.append(Check("threads", WARN, f"{threads} on {cores} cores", f"set OMP_NUM_THREADS={cores}"))
    else:
        checks.append(Check("threads", OK, f"{threads} of {cores} cores"))
    return checks


def memory() -> list[Check]:
    """Free memory: the notebooks stay under about 2 GiB with the mini CLIP."""
    import psutil

    seen = psutil.virtual_memory()
    free, total = seen.available / 2**30, seen.total / 2**30
    found = f"{free:.1f} GiB free of {total:.1f}"
    if free < 2:
        return [Check("memory", WARN, found, "close other programs, or set RSNB_BATCH_SIZE=16")]
    return [Check("memory", OK, found)]


def writable(out: Path) -> list[Check]:
    """Can the output folder be written, and is there room on its disk?"""
    place = out.resolve()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = "choose a folder of your own: rsnb run --out DIR"
        return [Check("outputs", BROKEN, f"{out} cannot be written ({error.strerror})", remedy)]
    free = shutil.disk_usage(place).free / 2**30
    if free < 1:
        return [Check("outputs", WARN, f"{out}: only {free:.1f} GiB free on its disk", "make room on the disk")]
    return [Check("outputs", OK, f"{out} can be written, {free:.0f} GiB free")]


def cache() -> list[Check]:
    """Where decoded images are kept, and how much there is."""
    folder = paths.cache_dir()
    files = [path.stat().st_size for path in folder.glob("*.npy")] if folder.is_dir() else []
    return [
        Check(
            "image cache",
            OK,
            f"{folder}: {len(files)} files, {sum(files) / 2**30:.1f} GiB; may be deleted "
            "(RSNB_CACHE names another folder)",
        )
    ]


def kernel() -> list[Check]:
    """Is the kernel called Python 3 in JupyterLab this Python? (`rsnb run` uses this Python in any case.)"""
    from jupyter_client.kernelspec import KernelSpecManager

    program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    mine = Path(sys.executable).parent
    if Path(program).name != program and Path(program).parent != mine:
        remedy = "python -m ipykernel install --sys-prefix, then choose that kernel"
        return [Check("Jupyter kernel", WARN, "'python3' is another Python's", remedy)]
    return [Check("Jupyter kernel", OK, "'python3' is this Python")]


def toy_world() -> list[Check]:
    """The embedded data: the caption file is readable and every image it names is there."""
    remedy = "run `rsnb toy` to draw it again, or restore it: git checkout -- data/toy"
    folder = paths.toy_dir()
    try:
        listing = json.loads((folder / "dataset_toy.json").read_text(encoding="utf-8"))["images"]
        captions = sum(len(image["sentences"]) for image in listing)
        named = [image.get("filepath", "") + "/" + image["filename"] for image in listing]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [Check("toy world", BROKEN, f"{type(error).__name__}: {error}", remedy)]
    there = {path.name for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".webp")}
    missing = [name for name in named if name.rsplit("/", 1)[-1] not in there]
    if missing:
        found = f"{len(missing)} of {len(named)} images missing, such as {missing[0].lstrip('/')}"
        return [Check("toy world", BROKEN, found, remedy)]
    return [Check("toy world", OK, f"{len(named):,} images, {captions:,} captions")]


def mini_weights() -> list[Check]:
    """The mini CLIP: its weights load into its model."""
    from rsnb.backbone import load_clip

    remedy = "restore rsnb/mini (git checkout -- rsnb/mini), or remake it: rsnb pretrain --install"
    try:
        clip = load_clip("mini")
    except RsnbError as error:
        return [Check("mini CLIP", BROKEN, str(error), remedy)]
    parameters = sum(p.numel() for p in clip.parameters())
    return [Check("mini CLIP", OK, f"{parameters:,} parameters, weights {clip.fingerprint()}")]


def results() -> list[Check]:
    """The committed result files and adapters that notebooks 3 and 4 show beside their short live runs."""
    runs = list(paths.results_dir().rglob("*.json")) if paths.results_dir().is_dir() else []
    adapters = list(paths.adapters_dir().glob("*.safetensors")) if paths.adapters_dir().is_dir() else []
    found = f"{len(runs)} runs, {len(adapters)} adapters"
    if not runs or not adapters:
        remedy = "restore them: git checkout -- data/results data/adapters (or run: rsnb benchmark)"
        return [Check("committed results", WARN, found, remedy)]
    return [Check("committed results", OK, found)]


def as_text(checks: list[Check]) -> str:
    """The findings as lines; a remedy stands below its problem."""
    wide = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.state:<7}  {check.name:<{wide}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':<7}  {'':<{wide}}  -> {check.remedy}")
    broken = sum(check.state == BROKEN for check in checks)
    lines.append("everything is in order" if not broken else f"{broken} broken: follow the arrows, top to bottom")
    return "\n".join(lines)


def as_dict(checks: list[Check]) -> dict:
    """The findings for a script: ``ok`` and the list of checks."""
    return {"ok": all(check.state != BROKEN for check in checks), "checks": [asdict(check) for check in checks]}


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "json", out="outputs")


def doctor_command(args: argparse.Namespace) -> int:
    """Check the machine; 1 if something is broken."""
    found = diagnose(args.out)
    report = as_dict(found)
    print(json.dumps(report, indent=1) if args.json else as_text(found))
    return 0 if report["ok"] else 1
