"""The ablation lab as a panel: choose an axis, see what it will take, start it, stop it, watch the table fill."""

from __future__ import annotations

import html
import inspect
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt

from rsnb.classroom.widgets.panel import Panel
from rsnb.errors import RsnbError
from rsnb.figures.style import styled
from rsnb.studies.ablation import lab as laboratory
from rsnb.studies.ablation.differences import cell_label, difference_rows, difference_sentences, difference_table
from rsnb.studies.ablation.figures import difference_figure
from rsnb.studies.ablation.lab import run_cells
from rsnb.studies.ablation.spec import Spec, grid_of_specs, parse_axis, vary

START = {"adapter.bottleneck": "8, 16, 32", "adapter.shared": "0, 32, 64", "adapter.dropout": "0.0, 0.25, 0.5",
         "loss.margin": "0.1, 0.2, 0.4", "loss.mining": "hardest, sum", "loss.intra_image": "0, 1",
         "loss.intra_text": "0, 1", "loss.token_dropout": "0.1, 0.2", "train.lr": "0.001, 0.003, 0.01",
         "data.share": "0.1, 0.5, 1.0"}  # fmt: skip
NONE = "(none)"


class LabPanel(Panel):
    """Controls of a grid of one or two axes over an ablation lab; the first value of each is the baseline.

    ``start`` trains what is missing in a thread of its own, so that the controls stay alive; ``stop`` ends it after
    the epoch at hand. Finished cells are kept by the lab, an unfinished one goes on from its last epoch.
    """

    def __init__(self, lab: laboratory.Lab, base: Spec, stamp: str | None = None) -> None:
        self.lab, self.base = lab, base
        self.go = ipywidgets.Button(description="Start", icon="play", button_style="success")
        self.halt = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = ipywidgets.FloatProgress(max=1.0, layout={"width": "40%"})
        self.table = ipywidgets.HTML()
        for widget, name in ((self.go, "start"), (self.halt, "stop"), (self.bar, "bar"), (self.table, "table")):
            widget.add_class(f"rsnb-{name}")
        self._stop, self._thread = threading.Event(), None
        self._step_seconds: float | None = None
        options = inspect.signature(_builder(lab, base.config.method)).parameters
        axes = [a for a in START if not a.startswith("adapter.") or a.removeprefix("adapter.") in options]
        controls = {
            "axis": ipywidgets.Dropdown(options=axes, description="axis"),
            "values": ipywidgets.Text(START[axes[0]], description="values", continuous_update=False),
            "second": ipywidgets.Dropdown(options=[NONE, *axes], description="second axis"),
            "more": ipywidgets.Text("", description="its values", continuous_update=False),
            "seeds": ipywidgets.IntSlider(1, 1, 5, description="seeds"),
            "epochs": ipywidgets.IntSlider(base.config.epochs, 1, 30, description="epochs", continuous_update=False),
        }
        super().__init__(
            "ablation-lab",
            controls,
            self.draw_cells,
            alt="Validation mR of each cell of the grid that is chosen by the controls, as far as it has been run.",
            stamp=stamp or lab.stamp,
            settle=self._suggest,
        )
        self.go.on_click(lambda _: self.start())
        self.halt.on_click(lambda _: self.stop())

    def body(self) -> list[ipywidgets.Widget]:
        return [ipywidgets.HBox([self.go, self.halt, self.bar]), self.text, self.table, self.picture]

    # --- what is chosen ---------------------------------------------------------------------------------------------
    def _suggest(self, change: Any) -> None:
        """An axis was chosen: values of it to begin with."""
        for axis, values in (("axis", "values"), ("second", "more")):
            if change is not None and change["owner"] is self.controls[axis]:
                self.controls[values].value = START.get(change["new"], "")

    def axes(self, axis: str, values: str, second: str, more: str, **_: Any) -> dict[str, list[Any]]:
        """{axis: its values}."""
        if second == axis:
            raise RsnbError(f"{axis} is chosen twice; choose another second axis")
        if second == NONE and more.strip():
            raise RsnbError(f"choose the second axis that the values {more!r} belong to")
        asked = [(axis, values)] + ([(second, more)] if second != NONE else [])
        return dict(parse_axis(f"{name}={text}") for name, text in asked)

    def cells(self, epochs: int, **chosen: Any) -> dict[tuple[Any, ...], Spec]:
        """{values: spec} of the grid."""
        return grid_of_specs(vary(self.base, "train.epochs", epochs), self.axes(**chosen))

    def draw_cells(self, seeds: int, epochs: int, **chosen: Any):
        """The picture and the table of what there is, and what is missing."""
        cells, axes = self.cells(epochs, **chosen), list(self.axes(**chosen))
        found = {name: [c for s in range(seeds) if (c := self.lab.found(spec, s))] for name, spec in cells.items()}
        missing = sum(seeds - len(own) for own in found.values())
        done = {name: own for name, own in found.items() if own}
        table = difference_rows(done, next(iter(cells)), axes)
        self.table.value = _html(table, axes, done)
        text = f"{len(cells)} cell{'s' * (len(cells) > 1)}, {seeds} seed{'s' * (seeds > 1)}: "
        text += f"{missing} of {len(cells) * seeds} runs to do"
        text += f", about {self.minutes(cells, missing):.1f} minutes" if missing else ", all of them are there"
        said = difference_sentences(table, axes)
        return _figure(table, axes), "\n".join([text, *said])

    def minutes(self, cells: dict[Any, Spec], missing: int) -> float:
        """About what the missing runs take: steps to do, times a step that is timed once."""
        if self._step_seconds is None:
            first = next(iter(cells.values()))
            self._step_seconds = self.lab.seconds(first) / max(1, first.config.epochs * self.lab.steps(first))
        steps = sum(spec.config.epochs * self.lab.steps(spec) for spec in cells.values()) / len(cells)
        return missing * steps * self._step_seconds / 60

    # --- running ----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Train what is missing; returns at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            cells = self.cells(**self.values)
        except RsnbError as error:
            self.say(str(error))
            return
        self._stop.clear()
        self._running(True)
        self._thread = threading.Thread(target=self._work, args=(cells, self.values["seeds"]), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the run to end after its epoch; returns at once."""
        self._stop.set()
        self.say("stopping after this epoch; what is done is kept")

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the run to end."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self, cells: dict[Any, Spec], seeds: int) -> None:
        total, done = sum(spec.config.epochs for spec in cells.values()) * seeds, 0

        def epoch(row: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            self._later(setattr, self.bar, "value", min(1.0, done / total))
            if self._stop.is_set():
                raise laboratory.Stopped

        problem = ""
        try:
            _, failed = run_cells(self.lab, cells, seeds, False, lambda *_: self._later(self.redraw), epoch)
            problem = "; ".join(f"{cell_label(name)} failed: {reason}" for name, reason in failed.items())
        except laboratory.Stopped:
            problem = "stopped; Start goes on from there"
        except Exception as error:  # in a thread nobody would see it
            problem = f"{type(error).__name__}: {error}"
        self._later(self._end, problem)

    def _end(self, problem: str) -> None:
        self._running(False)
        self.bar.value = self.bar.value if problem else 1.0
        self.redraw()
        if problem:
            self.text.value = f"{html.escape(problem)}<br>{self.text.value}"

    def _running(self, on: bool) -> None:
        self.go.disabled, self.halt.disabled = on, not on
        self.bar.value = 0.0 if on else self.bar.value

    def _later(self, action: Callable, *args: Any) -> None:
        if self.loop is not None and self.loop.is_running():  # a notebook's: updates are sent from its main thread
            self.loop.call_soon_threadsafe(action, *args)
        else:
            action(*args)


def lab_panel(lab: laboratory.Lab, base: Spec, stamp: str | None = None, **start: Any) -> LabPanel:
    """The panel of a lab, on a base run. start: what its controls show first, such as values="64, 8", seeds=3."""
    panel = LabPanel(lab, base, stamp)
    if start:
        panel.set(**start)
        panel.first = panel.still()
    return panel


def _builder(lab: laboratory.Lab, method: str):
    from rsnb.methods import METHODS

    return lab.methods[method] if method in lab.methods else METHODS[method].build


def _html(table: list[dict[str, Any]], axes: list[str], done: dict[Any, Any]) -> str:
    if not done:
        return "<i>no cell of this grid has been run yet</i>"
    lines = [line.strip("|").split("|") for line in difference_table(table, axes).splitlines() if "---" not in line]
    head, *body = lines

    def row(cells: list[str], tag: str) -> str:
        style = 'style="text-align:left;padding:.1em .8em"'
        return f"<tr>{''.join(f'<{tag} {style}>{html.escape(c.strip())}</{tag}>' for c in cells)}</tr>"

    return f"<table>{row(head, 'th')}{''.join(row(cells, 'td') for cells in body)}</table>"


@styled
def _figure(table: list[dict[str, Any]], axes: list[str]):
    if table:
        return difference_figure(table, axes, f"What {'does' if len(axes) == 1 else 'do'} {' and '.join(axes)} do?")
    figure, ax = plt.subplots(figsize=(9, 1.6))
    ax.axis("off")
    ax.text(0.5, 0.5, "no cell of this grid has been run yet: press Start", ha="center", va="center", fontsize=13)
    return figure
