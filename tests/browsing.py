"""JupyterLab in a real browser, as the tests drive it: Chromium through Playwright; skipped where one is missing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

REPO = Path(__file__).resolve().parent.parent
SHOTS = REPO / "outputs" / "browser"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are drawn, too
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab on a copy of the notebooks: (address, folder of its settings); the notebooks are in its folder lab."""
    home = tmp_path_factory.mktemp("home")
    for flavour in (".", "student"):
        (home / "lab" / flavour).mkdir(exist_ok=True, parents=True)
        for path in (REPO / "notebooks" / flavour).glob("[0-9]*.ipynb"):
            shutil.copy(path, home / "lab" / flavour / path.name)
    with serving(home, "jupyterlab", f"--ServerApp.root_dir={home / 'lab'}") as address:
        yield address, home


@contextlib.contextmanager
def serving(home: Path, *command: str):
    """The address of a JupyterLab that ``python -m <command>`` starts; its settings and states are below home."""
    for name, values in SETTINGS.items():
        _set(home, name, values)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "spaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    options = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--expose-app-in-browser"]
    env = {**os.environ, "RSNB_EPOCHS": "1", **{k: str(home / v) for k, v in kept.items()}}
    with open(home / "log", "wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *command, *options], stdout=log, stderr=log, cwd=REPO, env=env
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2).read()
                break
            except OSError:
                assert started.poll() is None, (home / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield address
    finally:
        started.terminate()
        started.wait(20)


def _set(home: Path, name: str, values: dict) -> None:
    path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser, server, name: str, theme: str = "JupyterLab Light", run: bool = True):
    """A page with the notebook open and all its cells run."""
    address, home = server
    _set(home, "apputils-extension/themes", {"theme": theme})
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset")
    page.wait_for_function(
        "() => window.jupyterapp && window.jupyterapp.shell.currentWidget"
        " && window.jupyterapp.shell.currentWidget.context"
    )
    page.evaluate(
        "async () => { const w = window.jupyterapp.shell.currentWidget; await w.context.ready;"
        " await w.context.sessionContext.ready; }"
    )
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area').catch(() => null)")
    if run:
        page.set_default_timeout(600_000)
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function("""() => { const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
            for (let i = 0; i < cells.length; i++) { const c = cells.get(i);
                if (c.type === 'code' && c.sharedModel.source.trim() && c.executionCount === null) return false; }
            return true; }""")
        page.set_default_timeout(60_000)
    return page


def errors(page) -> list[str]:
    return page.evaluate("""() => { const found = [], cells = window.jupyterapp.shell.currentWidget.content.model.cells;
        for (let i = 0; i < cells.length; i++) { const c = cells.get(i); if (c.type !== 'code') continue;
            for (const o of c.outputs.toJSON()) if (o.output_type === 'error') found.push(i + ': ' + o.evalue); }
        return found; }""")


def closed(page) -> None:
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    page.close()
