"""A panel: controls over a picture and a line of text, redrawn whenever a control is moved.

Every panel carries a static picture of its first state in the same output. JupyterLab shows the controls where
widgets run; a saved notebook, a web page or a viewer without widgets shows the picture. Picture and text are plain
``ipywidgets.Image`` and ``ipywidgets.HTML`` values, so a panel can be driven and read from Python alone::

    panel.set(margin=0.4)
    panel.text.value, panel.picture.value
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.figures import png


class Panel:
    """Controls, a picture, a text.

    Args:
        name: short and file-safe; also a CSS class (``rsnb-<name>``) of the panel in the page.
        controls: the control widgets by the name of the argument of ``draw`` each one sets, in the order shown.
        draw: called with the value of every control by name; returns (matplotlib Figure, text). The text is plain,
            with a line break where a new line begins; it is shown under the picture.
        alt: one sentence for readers who cannot see the picture.
        stamp: what it was made from; the notebook's settings, if not given.
        settle: called before each drawing with the change (None at first); may set limits and values of controls
            that depend on the one moved. Nothing is drawn meanwhile, so that one move is one drawing.

    An ``RsnbError`` in ``draw`` becomes the text, and the last picture stays.
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
        self.settle, self.settling = settle, False
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self.picture.add_class("rsnb-picture")
        self.text = ipywidgets.HTML()
        self.text.add_class("rsnb-text")
        for key, control in self.controls.items():
            control.add_class(f"rsnb-control-{key}")
            control.style = {**_style_of(control), "description_width": "initial"}
            control.observe(self.redraw, names="value")
        row = ipywidgets.HBox(list(self.controls.values()), layout={"flex_flow": "row wrap"})
        self.box = ipywidgets.VBox([row, *self.body()])
        self.box.add_class(f"rsnb-{name}")
        self.redraw()
        self.first = self.picture.value

    def body(self) -> list[ipywidgets.Widget]:
        """What stands under the controls."""
        return [self.picture, self.text]

    @property
    def values(self) -> dict[str, Any]:
        """The value of every control."""
        return {key: control.value for key, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Move controls, as a hand would."""
        for key, value in values.items():
            if key not in self.controls:
                raise RsnbError(f"{self.name} has no control {key!r}; it has {', '.join(self.controls)}")
            self.controls[key].value = value

    def redraw(self, change: Any = None) -> None:
        """Draw again from the values of the controls."""
        if self.settling:
            return
        if self.settle is not None:
            self.settling = True
            try:
                self.settle(change)
            finally:
                self.settling = False
        try:
            figure, text = self.draw(**self.values)
        except RsnbError as error:
            self.text.value = as_lines(str(error))
            return
        self.picture.value = lesson.picture(figure, self.alt, self.stamp)
        self.text.value = as_lines(text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None):
        """Controls and static picture in one output: a viewer takes the richest it can show."""
        widget = self.box._repr_mimebundle_()
        widget = widget[0] if isinstance(widget, tuple) else widget
        mime, picture = png.lighter(self.first)
        data = {**widget, mime: base64.b64encode(picture).decode("ascii"), "text/plain": f"[controls: {self.alt}]"}
        return data, {mime: {"alt": self.alt}, "rsnb": lesson.made_from(self.stamp)}


def _style_of(control: ipywidgets.Widget) -> dict[str, Any]:
    style = getattr(control, "style", None)
    return {key: value for key, value in (style.get_state() if style is not None else {}).items() if key[0] != "_"}


def as_lines(text: str) -> str:
    lines = "<br>".join(html.escape(line) for line in text.split("\n"))
    return f'<div style="line-height:1.5">{lines}</div>'
