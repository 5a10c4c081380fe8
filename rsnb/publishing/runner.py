"""Execute the notebooks: ``rsnb run``.

Each notebook runs in a fresh kernel of *this* Python (no installed kernel is looked for), without any
network, with its settings handed over as ``RSNB_*`` variables. What comes out lies in one folder::

    outputs/<notebook>.ipynb    executed         outputs/figures/<notebook>-<figure>.png
    outputs/<notebook>.html     the same page    outputs/results.json
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.base.recalls import RECALLS
from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.publishing import pages
from rsnb.publishing.masters import FLAVOURS, build_notebooks
from rsnb.settings import resolve

KERNEL_START = "from rsnb.base import offline; offline.block_if_asked()"
PACKAGES = ("rsnb", "torch", "torchvision", "open_clip_torch", "numpy", "scikit-learn", "matplotlib")


class CellFailed(Exception):
    """A cell of a notebook raised. The message says which, why, and where the rest lies."""


@dataclass
class Job:
    """One call of ``rsnb run``."""

    out: Path = Path("outputs")
    folder: Path | None = None
    only: tuple[int, ...] = ()
    inplace: bool = False
    progress: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, notebook: Path, scratch: Path) -> dict[str, str]:
        """The variables of one kernel: ours, on top of the caller's."""
        env = {**os.environ, **self.settings}
        env["RSNB_OUTPUT"] = str(self.out.resolve())
        env["RSNB_NOTEBOOK"] = notebook.name
        env["IPYTHONDIR"] = str(scratch / "ipython")
        env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        env.pop("MPLBACKEND", None)  # the kernel chooses its own: figures belong in the notebook
        if (paths.PACKAGE.parent / "pyproject.toml").exists():
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.PACKAGE.parent), os.environ.get("PYTHONPATH")]))
        return env


def notebooks_dir(folder: Path | None = None) -> Path:
    """Where the notebooks lie: the given folder, else that of the clone, else the ones in the package."""
    places = [paths.PACKAGE.parent / "notebooks", paths.PACKAGE / "_shipped" / "notebooks"]
    for place in [folder] if folder else places:
        if place.is_dir():
            return place
    raise RsnbError(
        f"no notebooks at {folder or ' or '.join(map(str, places))}; give --notebooks DIR, or run from a clone"
    )


def find_notebooks(folder: Path, only: tuple[int, ...] = ()) -> list[Path]:
    """The numbered notebooks of a folder in order; ``only`` picks by number."""
    found = {}
    for path in folder.glob("[0-9]*.ipynb"):
        digits = "".join(c for c in path.stem.split("-")[0].split("_")[0] if c.isdigit())
        found[path] = int(digits)
    chosen = sorted((number, path.name, path) for path, number in found.items() if not only or number in only)
    missing = sorted(set(only) - set(found.values()))
    if missing or not chosen:
        have = ", ".join(str(n) for n in sorted(set(found.values()))) or "none"
        wanted = ", ".join(map(str, missing)) or "any"
        raise RsnbError(f"no notebook number {wanted} in {folder}; there: {have}")
    return [path for _, _, path in chosen]


def run_notebooks(job: Job) -> dict:
    """Execute the notebooks one after the other.

    Returns:
        The content of ``results.json``: ``records`` (one line per method shown), ``notebooks`` (seconds of
        each), ``versions``, ``stamp``.

    Raises:
        RsnbError: bad settings, or nothing to run.
        CellFailed: a cell raised; the half-executed notebook was written.
    """
    folder = notebooks_dir(job.folder)
    settings = resolve({**os.environ, **job.settings})
    if job.inplace and settings.data != "toy":
        raise RsnbError(
            f"--inplace saves pictures into the notebooks, and those of {settings.data} are not to be "
            "passed on; leave it out, the results go to --out"
        )
    if job.inplace and (folder / "source").is_dir():
        for flavour, below in FLAVOURS.items():
            build_notebooks(folder / "source", folder / below, job.only, flavour)
    todo = find_notebooks(folder, job.only)
    path = job.out / "results.json"
    results = lesson.read_results(path) if job.only else {"records": [], "notebooks": []}
    stems = {p.stem for p in todo}
    for key, name in (("records", "notebook"), ("notebooks", "name")):
        results[key] = [line for line in results[key] if line.get(name) not in stems]
    results.update(stamp=settings.stamp, versions=versions_of_run())
    write_json(path, results)
    for number, notebook in enumerate(todo, start=1):
        seconds, cells = execute(notebook, job, f"[{number}/{len(todo)}] {notebook.stem}")
        results = lesson.read_results(path)
        results["notebooks"].append({"name": notebook.stem, "seconds": round(seconds, 1), "cells": cells})
        write_json(path, results)
    if job.inplace and "04_retrieval_and_tsne" in stems:
        _readme_figure(job.out / "figures", folder / "figures")
    return results


def _readme_figure(made: Path, kept: Path) -> None:
    """The README's picture: notebook 4's images found for captions, as a JPEG."""
    source = made / "04_retrieval_and_tsne-text-to-image.png"
    if source.is_file() and kept.is_dir():
        from PIL import Image

        Image.open(source).convert("RGB").save(kept / "retrieval.jpg", quality=85, optimize=True)


def execute(path: Path, job: Job, title: str) -> tuple[float, int]:
    """Run one notebook, write it and its page. Returns seconds and the number of code cells."""
    import nbformat
    from nbclient.exceptions import CellExecutionError
    from tqdm import tqdm

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    code = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()]
    target = job.out / path.name
    start = time.perf_counter()
    # A short folder name: a socket's path must stay under about 100 characters.
    with tempfile.TemporaryDirectory(prefix="rsnb", ignore_cleanup_errors=True) as scratch_name:
        scratch = Path(scratch_name)
        log = scratch / "kernel.log"
        with tqdm(total=len(code), desc=title, unit="cell", disable=not job.progress) as bar, log.open("wb") as stderr:
            client = _client(notebook, path, scratch, bar)
            try:
                client.execute(env=job.environment(path, scratch), stderr=stderr)
            except CellExecutionError as error:
                reason = f"{error.ename}: {_last_line(error.evalue)}"
            except (RuntimeError, AssertionError):  # the kernel died, or never came up, or was stopped
                if getattr(client, "_async_cleanup_kernel_future", None) is not None:  # by Ctrl-C
                    raise KeyboardInterrupt from None
                last = _last_line(log.read_text(encoding="utf-8", errors="replace"))
                reason = "the kernel died. Most often the memory was full: close other programs, or set "
                reason += f"RSNB_BATCH_SIZE=16; `rsnb doctor` checks the rest. Its last words: {last or 'none'}"
            else:
                reason = ""
            bar.update(len(code) - bar.n if not reason else 0)
    if reason:
        pages.write_notebook(notebook, target)
        where = _place(notebook, code, client)
        raise CellFailed(f"{path.name}, {where}: {reason}\nThe notebook as far as it came: {target}")
    seconds = time.perf_counter() - start
    pages.tidy(notebook)
    pages.write_notebook(notebook, target)
    pages.write_page(notebook, job.out / f"{path.stem}.html")
    if job.inplace:
        pages.write_notebook(notebook, path)
    return seconds, len(code)


def _client(notebook, path: Path, scratch: Path, bar):
    """An nbclient whose kernel is this very Python, over files instead of ports where the system can."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += [f"--IPKernelApp.exec_lines={KERNEL_START}", "--HistoryManager.enabled=False"]

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    class Kernel(AsyncKernelManager):
        def __init__(self, **more):
            more.update(kernel_spec_manager=ThisPython(), connection_file=str(scratch / "kernel.json"))
            if os.name == "posix":
                more.update(transport="ipc", ip=str(scratch / "ipc"))
            super().__init__(**more)

    def started(cell, cell_index):
        client.at = cell_index

    def executed(cell, cell_index, execute_reply):
        if cell.source.strip():
            bar.update(1)

    client = NotebookClient(
        notebook,
        timeout=None,
        startup_timeout=300,
        kernel_name="python3",
        kernel_manager_class=Kernel,
        resources={"metadata": {"path": str(path.parent.resolve())}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_start=started,
        on_cell_executed=executed,
    )
    return client


def versions_of_run() -> dict[str, str]:
    """Python's, the system's and the packages' versions, for ``results.json``."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def summary(results: dict) -> str:
    """The closing table: a line per method, then seconds per notebook."""
    lines: list[str] = []
    unique: dict[tuple, dict] = {}
    for record in results["records"]:
        unique[(record["method"], record["stamp"])] = record
    if unique:
        stamps = {record["stamp"] for record in unique.values()}
        head = ("method", "trainable", "i2t R@1", "R@5", "R@10", "t2i R@1", "R@5", "R@10", "mR", "seconds")
        rows = [head + (("stamp",) if len(stamps) > 1 else ())]
        for record in unique.values():
            recalls = [f"{record['recalls'][name]:.2f}" for name in RECALLS]
            trainable = "-" if record["trainable"] is None else f"{record['trainable']:,}"
            seconds = "-" if record["seconds"] is None else f"{record['seconds']:.1f}"
            row = (record["method"], trainable, *recalls, f"{record['mr']:.2f}", seconds)
            rows.append(row + ((record["stamp"],) if len(stamps) > 1 else ()))
        if len(stamps) == 1:
            lines.append(stamps.pop())
        lines += align(rows)
        lines += ["i2t: image to text, t2i: text to image, recall in percent; seconds of training", ""]
    rows = [("notebook", "seconds")] + [(n["name"], f"{n['seconds']:.1f}") for n in results["notebooks"]]
    rows.append(("all", f"{sum(n['seconds'] for n in results['notebooks']):.1f}"))
    return "\n".join(lines + align(rows))


def align(rows: list[tuple]) -> list[str]:
    """Rows as text columns: the first and any 'stamp' column to the left, the others to the right."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    left = {i for i, name in enumerate(rows[0]) if i == 0 or name in ("stamp", "captions")}
    out = []
    for row in rows:
        cells = [str(c).ljust(w) if i in left else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        out.append("  ".join(cells).rstrip())
    return out


def _place(notebook, code: list[int], client) -> str:
    """'code cell 7 of 12, below "## Training"': the cell that began last."""
    at = getattr(client, "at", code[0] if code else 0)
    heading = ""
    for cell in notebook.cells[:at]:
        if cell.cell_type == "markdown":
            heading = next((x for x in reversed(cell.source.splitlines()) if x.startswith("#")), heading)
    number = code.index(at) + 1 if at in code else 0
    return f"code cell {number} of {len(code)}" + (f' below "{heading}"' if heading else "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""
