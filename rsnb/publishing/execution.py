"""One notebook, executed in a fresh kernel of *this* Python (no installed kernel is looked for), without a network."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rsnb.base import paths
from rsnb.publishing import pages

KERNEL_START = "from rsnb.base import offline; offline.block_if_asked()"


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
        """The variables of one kernel: ours, on top of the caller's. It saves its figures and results below scratch."""
        env = {**os.environ, **self.settings}
        env["RSNB_OUTPUT"] = str(scratch / "out")
        env["RSNB_NOTEBOOK"] = notebook.name
        env["IPYTHONDIR"] = str(scratch / "ipython")
        env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        env.pop("MPLBACKEND", None)  # the kernel chooses its own: figures belong in the notebook
        if (paths.PACKAGE.parent / "pyproject.toml").exists():
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.PACKAGE.parent), os.environ.get("PYTHONPATH")]))
        return env


class Stopped(Exception):
    """The run stops, so this notebook did, and nothing of it was written."""


class Watch:
    """What the notebooks of a run have in common: ``executed`` is called after each cell, ``stop`` ends them all."""

    def __init__(self, executed: Callable[[], None]):
        self.executed, self.stopping, self.clients = executed, False, []

    async def stop(self) -> None:
        """End the kernels that run; one that starts just now ends at its first cell."""
        self.stopping = True
        for kernel in [client.km for client in self.clients]:
            if kernel is not None and kernel.has_kernel:
                await kernel.signal_kernel(getattr(signal, "SIGKILL", signal.SIGTERM))

    def check(self) -> None:
        if self.stopping:
            raise Stopped


def code_cells(notebook) -> list[int]:
    """The indices of the cells that are executed."""
    return [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


async def execute(path: Path, job: Job, scratch: Path, watch: Watch) -> tuple[float, int]:
    """Run one notebook, write it and its page. Returns seconds and the number of code cells.

    Raises:
        CellFailed: a cell raised; the half-executed notebook was written.
        Stopped: the run stops.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    start = time.perf_counter()
    failure = await _failure(notebook, path, job, scratch, watch)
    target = job.out / path.name
    if failure:
        pages.write_notebook(notebook, target)
        raise CellFailed(f"{path.name}, {failure}\nThe notebook as far as it came: {target}")
    seconds = time.perf_counter() - start
    pages.tidy(notebook)
    pages.write_notebook(notebook, target)
    pages.write_page(notebook, job.out / f"{path.stem}.html")
    if job.inplace:
        pages.write_notebook(notebook, path)
    return seconds, len(code_cells(notebook))


async def _failure(notebook, path: Path, job: Job, scratch: Path, watch: Watch) -> str:
    """Execute the cells in place. Returns where and why that failed, or ""."""
    from nbclient.exceptions import CellExecutionError

    log = scratch / "kernel.log"
    begun = code_cells(notebook)[:1] or [0]  # the cells whose turn has come
    client = _client(notebook, path, scratch, begun, watch)
    watch.clients.append(client)
    try:
        with log.open("wb") as stderr:
            await client.async_execute(env=job.environment(path, scratch), stderr=stderr)
    except CellExecutionError as error:
        return f"{_place(notebook, begun[-1])}: {error.ename}: {_last_line(error.evalue)}"
    except (RuntimeError, AssertionError):  # the kernel died, or never came up, or was stopped
        watch.check()
        last = _last_line(log.read_text(encoding="utf-8", errors="replace"))
        return (
            f"{_place(notebook, begun[-1])}: the kernel died. Usually the memory was full: close other programs, "
            f"or set RSNB_BATCH_SIZE=16; `rsnb doctor` checks the rest. Its last words: {last or 'none'}"
        )
    finally:
        watch.clients.remove(client)
    return ""


def _client(notebook, path: Path, scratch: Path, begun: list[int], watch: Watch):
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

    def begin(cell, cell_index):
        watch.check()
        begun.append(cell_index)

    def executed(cell, cell_index, execute_reply):
        if cell.source.strip():
            watch.executed()

    return NotebookClient(
        notebook,
        timeout=None,
        startup_timeout=300,
        kernel_name="python3",
        kernel_manager_class=Kernel,
        resources={"metadata": {"path": str(path.parent.resolve())}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_start=begin,
        on_cell_executed=executed,
    )


def _place(notebook, at: int) -> str:
    """'code cell 7 of 12, below "## Training"': the cell that began last."""
    code = code_cells(notebook)
    heading = ""
    for cell in notebook.cells[:at]:
        if cell.cell_type == "markdown":
            heading = next((x for x in reversed(cell.source.splitlines()) if x.startswith("#")), heading)
    number = code.index(at) + 1 if at in code else 0
    return f"code cell {number} of {len(code)}" + (f' below "{heading}"' if heading else "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[-1] if lines else ""
