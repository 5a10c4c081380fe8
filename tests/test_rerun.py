"""A notebook under the hand: each cell run twice, the whole notebook once more, a training interrupted."""

from __future__ import annotations

import copy
import os
import re
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from rsnb.commands import cli
from rsnb.publishing.execution import KERNEL_START

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb"))
pytestmark = pytest.mark.check


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_runs_twice_and_the_whole_notebook_again(name, tmp_path):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    twice = [cell for cell in notebook.cells for _ in range(1 + (cell.cell_type == "code"))]
    notebook.cells = [copy.deepcopy(cell) for cell in twice + notebook.cells]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    (tmp_path / "twice").mkdir()
    nbformat.write(notebook, tmp_path / "twice" / f"{name}.ipynb")
    assert cli.main(["run", "--quick", "--notebooks", str(tmp_path / "twice"), "--out", str(tmp_path / "out")]) == 0


class Kernel:
    """A kernel of this Python that runs cells one by one."""

    def __init__(self, folder: Path, **env: str):
        self.manager = KernelManager(connection_file=str(folder / "kernel.json"))
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        argv += [f"--IPKernelApp.exec_lines={KERNEL_START}", "--HistoryManager.enabled=False"]
        self.manager._kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python")
        env = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "IPYTHONDIR": str(folder), **env}
        env.pop("MPLBACKEND", None)
        self.manager.start_kernel(env=env, cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, source: str, interrupt: bool = False) -> list[dict]:
        """What a cell puts out; interrupted at its first picture if asked."""
        asked, outputs, until = self.client.execute(source), [], time.time() + 300
        while True:
            message = self.client.get_iopub_msg(timeout=max(1, until - time.time()))
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return outputs
            if message["msg_type"] in ("stream", "error", "display_data", "update_display_data", "execute_result"):
                outputs.append({"kind": message["msg_type"], **message["content"]})
            if interrupt and {"image/png", "image/jpeg"} & set(message["content"].get("data", ())):
                interrupt = False
                self.manager.interrupt_kernel()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def test_an_interrupted_training_says_how_far_it_came_and_the_notebook_goes_on(tmp_path):
    (name,) = (name for name in NAMES if name.startswith("03"))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    (training,) = (number for number, source in enumerate(cells) if "lesson.train(" in source)
    kernel = Kernel(tmp_path, RSNB_LIMIT="64", RSNB_EPOCHS="50", RSNB_BATCH_SIZE="16")
    try:
        for number, source in enumerate(cells):
            outputs = kernel.run(source, interrupt=number == training)
            assert [o["evalue"] for o in outputs if o["kind"] == "error"] == [], f"code cell {number + 1}"
            if number == training:
                text = "".join(o["text"] for o in outputs if o["kind"] == "stream" and o["name"] == "stdout")
                done, asked = map(int, re.search(r"(\d+) of (\d+) epochs", text).groups())
                assert 1 <= done < asked == 50 and "Traceback" not in text
                assert len(text.strip().splitlines()) == 1, text
    finally:
        kernel.close()
