"""A panel: controls over a picture and a line of text, redrawn whenever a control is moved.

Every panel carries a static picture of its first state in the same output. JupyterLab shows the controls where
widgets run; a saved notebook, a web page or a viewer without widgets shows the picture. Picture and text are plain
``ipywidgets.HTML`` values, so a panel can be driven and read from Python alone::

    panel.set(margin=0.4)
    panel.text.value, panel.picture.value

In a notebook a moved control is drawn once the hand rests, and only its newest value: dragging a slider over thirty
steps does not queue thirty drawings.
"""

from __future__ import annotations

import asyncio
import base64
import html
import time
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.figures import png

REST, LONGEST_REST = 0.08, 0.5  # seconds without a move, after which the newest values are drawn: what a drawing takes
SHOWN, SHARP = 80, 2  # pixels shown per inch of a figure; pixels drawn per pixel shown
IN_COLUMNS = {"grid_template_columns": "repeat(auto-fill, minmax(27em, 1fr))", "grid_gap": "2px 16px"}


class Panel:
    """Controls, a picture, a text.

    Args:
        name: short and file-safe; also a CSS class (``rsnb-<name>``) of the panel in the page.
        controls: the control widgets by the name of the argument of ``draw`` each one sets, in the order shown.
        draw: called with the value of every control by name; returns (matplotlib Figure, text). The text is plain,
            with a line break where a new line begins; it is shown under the picture.
        alt: one sentence for readers who cannot see the picture; what is live adds the first line of the text to it.
        stamp: what it was made from; the notebook's settings, if not given.
        settle: called with each change (None at first) before anything is drawn; may set limits and values of controls
            that depend on the one moved. Nothing is drawn meanwhile, so that one move is one drawing.

    An error in ``draw`` becomes the text, in one line, and the last picture stays.

    Raises:
        RsnbError: the first state cannot be drawn.
    """

    def __init__(
        self,
        name: str,
        controls: Mapping[str, ipywidgets.Widget],
        draw: Callable[..., tuple[Figure, str]],
        alt: str,
        stamp: str | None = None,
        settle: Callable[[Any], None] | None = None,
    ) -> None:
        self.name, self.controls, self.draw, self.alt, self.stamp = name, dict(controls), draw, alt, stamp
        self.settle, self.settling, self.setting = settle or (lambda change: None), False, False
        self.loop, self.waiting, self.rest = _running_loop(), None, REST
        self.picture, self.text = ipywidgets.HTML(), ipywidgets.HTML()
        self.picture.add_class("rsnb-picture")
        self.text.add_class("rsnb-text")
        for key, control in self.controls.items():
            control.add_class(f"rsnb-control-{key}")
            control.observe(self._moved, names="value")
        self._settle(None)
        self.box = ipywidgets.VBox([in_columns(list(self.controls.values())), *self.body()])
        self.box.add_class(f"rsnb-{name}")
        self.first = self.still()
        self.show(self.values)

    def body(self) -> list[ipywidgets.Widget]:
        """What is below the controls."""
        return [self.picture, self.text]

    @property
    def values(self) -> dict[str, Any]:
        """The value of every control."""
        return {key: control.value for key, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move controls, as a hand would, and draw at once."""
        self.setting = True
        try:
            for key, value in values.items():
                if key not in self.controls:
                    raise RsnbError(f"{self.name} has no control {key!r}; it has {', '.join(self.controls)}")
                self.controls[key].value = value
        finally:
            self.setting = False
        self.redraw()

    # --- a moved control --------------------------------------------------------------------------------------------
    def _moved(self, change: Any) -> None:
        if self.settling:
            return
        self._settle(change)
        if self.setting:
            return
        if self.loop is not None and self.loop.is_running():
            self.loop.call_soon_threadsafe(self._wait)  # JupyterLab may report a move in another thread
        else:
            self.redraw()

    def _settle(self, change: Any) -> None:
        self.settling = True
        try:
            self.settle(change)
        finally:
            self.settling = False

    def _wait(self) -> None:
        """Draw after a rest, which begins anew with each move: meanwhile the kernel takes in the moves that follow."""
        if self.waiting is not None:
            self.waiting.cancel()
        self.waiting = self.loop.call_later(self.rest, self.redraw)

    # --- drawing ----------------------------------------------------------------------------------------------------
    def redraw(self) -> None:
        """Draw from the values of the controls, now."""
        begun = time.perf_counter()
        try:
            self.show(self.values)
        except RsnbError as error:
            self.say(str(error))
        except Exception as error:  # in the loop of a notebook nobody would see it
            self.say(f"{type(error).__name__}: {' '.join(str(error).split())}")
        self.rest = min(max(REST, time.perf_counter() - begun), LONGEST_REST)

    def show(self, values: dict[str, Any]) -> None:
        """Draw these values into the widgets."""
        figure, text = self.draw(**values)
        mime, content, (width, height) = png.sharp(figure, SHARP * SHOWN)
        source = f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
        stamp = html.escape(lesson.made_from(self.stamp)["stamp"])
        self.picture.value = (
            f'<img alt="{html.escape(self.alt_of(text))}" src="{source}" width="{width // SHARP}" '
            f'height="{height // SHARP}" style="max-width:100%;height:auto">'
            f'<p style="color:#808080;font-size:smaller;margin:0">{stamp}</p>'
        )
        self.say(text)

    def alt_of(self, text: str) -> str:
        """The alternative text of a state."""
        return f"{self.alt} Now: {text.splitlines()[0]}"

    def say(self, text: str) -> None:
        """Show a text under the picture."""
        lines = "<br>".join(html.escape(line) for line in text.split("\n"))
        self.text.value = f'<div style="line-height:1.5">{lines}</div>'

    def still(self) -> bytes:
        """The picture of the state at hand, small, to be kept in the saved notebook."""
        return lesson.picture(self.draw(**self.values)[0], self.alt, self.stamp)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None):
        """Controls and static picture in one output: a viewer takes the richest it can show."""
        widget = self.box._repr_mimebundle_()
        widget = widget[0] if isinstance(widget, tuple) else widget
        mime, picture = png.lighter(self.first)
        data = {**widget, mime: base64.b64encode(picture).decode("ascii"), "text/plain": f"[controls: {self.alt}]"}
        return data, {mime: {"alt": self.alt}, "rsnb": lesson.made_from(self.stamp)}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop of the kernel, in whose thread cells run; None outside a notebook."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def in_columns(controls: list[ipywidgets.Widget]) -> ipywidgets.GridBox:
    """Controls in columns, their names equally wide; beside a line of text is said that it asks for Enter."""
    named = [control for control in controls if control.description and not isinstance(control, ipywidgets.Checkbox)]
    longest = max((len(control.description) for control in named), default=0)
    for control in named:
        control.style.description_width = f"{0.56 * longest + 1:.1f}em"
    for control in controls:
        control.layout.width = "auto"
    return ipywidgets.GridBox([_cell(control) for control in controls], layout=IN_COLUMNS)


def _cell(control: ipywidgets.Widget) -> ipywidgets.Widget:
    if not isinstance(control, ipywidgets.Text):
        return control
    control.layout.flex, control.layout.min_width = "1 1 0", "0"
    return ipywidgets.HBox([control, ipywidgets.Label("press Enter", layout={"flex": "0 0 auto"})])
