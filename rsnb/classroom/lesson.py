"""What every notebook needs: its settings, stamped figures and tables, and a place to record results.

A notebook starts with ``s = lesson.setup()`` and then asks ``s`` for data and model. Each argument of
``setup`` can be overridden from outside (``RSNB_DATA=ucm RSNB_ROOT=...``, or ``rsnb run --data ucm --root ...``),
so the same cells run on the toy world and on real images, and every figure says on which.
"""

from __future__ import annotations

import base64
import datetime
import gc
import html
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from rsnb.base.files import write_bytes, write_json
from rsnb.classroom.alt_texts import ALT_TEXTS
from rsnb.errors import RsnbError
from rsnb.figures import png
from rsnb.figures.png import lighter, pictures
from rsnb.settings import SCREEN_DPI, Settings, resolve, versions

_current = Settings()
_predicted: dict[int, Any] = {}  # by number in the notebook


def setup(
    data: str = "toy",
    root: str | None = None,
    backbone: str = "mini",
    pretrained: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> Settings:
    """The settings of this notebook; prints its stamp. ``RSNB_DATA``, ``RSNB_ROOT``, ``RSNB_BACKBONE``,
    ``RSNB_PRETRAINED``, ``RSNB_SEED``, ``RSNB_EPOCHS`` ... in the environment win over the arguments.
    """
    global _current
    _current = resolve(
        data=data, root=root, backbone=backbone, pretrained=pretrained, seed=seed, epochs=epochs, batch_size=batch_size
    )
    made = made_from()
    print(f"{made['stamp']} · {made['versions']} · {made['date']}")
    return _current


def show(figure, name: str, alt: str = "", stamp: str | None = None) -> None:
    """Display a matplotlib Figure with its stamp under it, save it when an output folder is set, close it.

    Args:
        figure: a ``matplotlib.figure.Figure``.
        name: short and file-safe, for ``figures/<notebook>-<name>.png``.
        alt: one sentence for readers who cannot see the figure; of the lessons' own figures it is in
            :mod:`rsnb.classroom.alt_texts`, or in the label of the figure.
        stamp: what it was made from, when that is not this notebook's settings.
    """
    from IPython.display import display

    alt = alt or _alt_of(name) or figure.get_label() or name.replace("-", " ")
    pngs = pictures(figure, alt, stamp or _current.stamp, *sorted({SCREEN_DPI, _current.dpi}))
    _save(name, pngs[-1])
    mime, data = lighter(pngs[0])
    display(
        {mime: base64.b64encode(data).decode("ascii"), "text/plain": f"[figure: {alt}]"},
        metadata={mime: {"alt": alt}, "rsnb": made_from(stamp)},
        raw=True,
    )


def _alt_of(name: str) -> str:
    """What a figure of this lesson shows; "" in any other notebook, whose figures are its own."""
    return ALT_TEXTS.get(f"{notebook_name()[:2]}/{name}", "")


def predict(number: int, expected: Any = ...) -> None:
    """Keep what the reader expects, in words or as a number, until :func:`compare` shows it beside the result."""
    if expected is ... or expected is None:
        _predicted.pop(number, None)
    else:
        _predicted[number] = expected


def compare(number: int, result: Any = None) -> None:
    """Show a prediction beside what came out; nothing, where none was written.

    Args:
        result: a number, a text or several; None: it stands above.
    """
    from IPython.display import display

    if number not in _predicted:
        return
    expected = _predicted[number]
    came = "what came out is above" if result is None else f"it came out: {_said(result)}"
    gap = _gap(expected, result)
    off = f" (off by {gap:.3g})" if math.isfinite(gap) else ""
    asked = "If you are surprised: which of your assumptions was wrong? Write it down in a sentence."
    text = f"You predicted: {_said(expected)}; {came}{off}. {asked}"
    colour = "border-left:4px solid #0173b2;padding:.3em .8em"
    display({"text/html": f'<div style="{colour}">{html.escape(text)}</div>', "text/plain": text}, raw=True)


def _gap(expected: Any, result: Any) -> float:
    """How far two numbers are apart; nan, where one of them is none."""
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (expected, result)):
        return math.nan
    try:
        return abs(float(expected) - float(result))
    except OverflowError:  # a whole number beyond all floats
        return math.inf


def _said(value: Any) -> str:
    """A number with three digits, several values in a row, a text as it is."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(of)}" for name, of in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def train(model, train, val, config, start: float | None = None, name: str = "live", alt: str = ""):
    """:func:`rsnb.train` as a notebook wants it: the curves are redrawn after each epoch, and the last ones stay.

    Interrupting ends the training in a sentence: the model holds the best epoch so far.

    Args:
        start: validation mR before the first epoch. name, alt: of the figure, as :func:`show` takes them.

    Returns:
        the :class:`~rsnb.base.run_state.TrainResult`; of an interrupted training with the epochs that ended.
    """
    import rsnb
    from rsnb.base.run_state import TrainResult, score_of

    curves, seen, begun = _Curves(name, alt, start, config.epochs), [], time.perf_counter()

    def after(state) -> None:
        seen.append(dict(state))
        curves.draw(seen, time.perf_counter() - begun)

    try:
        return rsnb.train(model, train, val, config, on_epoch=after)
    except KeyboardInterrupt:
        if not seen:
            print("interrupted before the first epoch ended: the model is as it was")
            return TrainResult()
        best = max(seen, key=score_of)
        held = f"the model holds the best of them, epoch {best['epoch']}"
        print(
            f"interrupted after {len(seen)} of {config.epochs} epochs; {held}. Run the cell again for a whole training"
        )
        return TrainResult(seen, best["epoch"], best["val_mr"], time.perf_counter() - begun)
    finally:
        curves.close()


def epochs_of(result, config) -> str:
    """ "4 epochs", or "2 of 4 epochs" of a training that was interrupted."""
    done = len(result.history)
    return f"{done} of {config.epochs} epochs" if done < config.epochs else f"{done} epoch{'s' * (done != 1)}"


class _Curves:
    """The curves of a training, in one place that is drawn anew."""

    def __init__(self, name: str, alt: str, start: float | None, epochs: int):
        self.name, self.start, self.epochs = name, start, epochs
        self.alt = alt or _alt_of(name) or "The curves of a training."
        self.handle: Any = None
        self.last = b""

    def draw(self, history: list[dict], seconds: float) -> None:
        from IPython.display import display

        from rsnb.figures.plots import training_curves

        done = f"{len(history)} epochs" if len(history) == self.epochs else f"{len(history)} of {self.epochs} epochs"
        figure = training_curves(history, f"{done} in {seconds:.0f} s: what moves?", start=self.start)
        pngs = pictures(figure, self.alt, _current.stamp, *sorted({SCREEN_DPI, _current.dpi}))
        self.last = pngs[-1]
        mime, data = lighter(pngs[0])
        body = {mime: base64.b64encode(data).decode("ascii"), "text/plain": f"[figure: {self.alt}]"}
        more = {"raw": True, "metadata": {mime: {"alt": self.alt}, "rsnb": made_from()}}
        if self.handle is None:
            self.handle = display(body, display_id=True, **more)
        else:
            self.handle.update(body, **more)

    def close(self) -> None:
        if self.last:
            _save(self.name, self.last)


def made_from(stamp: str | None = None) -> dict[str, str]:
    """What the output of a figure or table keeps beside it: its stamp, the date, the versions of rsnb and torch."""
    return {"stamp": stamp or _current.stamp, "date": datetime.date.today().isoformat(), "versions": versions()}


def picture(figure, alt: str, stamp: str | None = None) -> bytes:
    """The PNG of a matplotlib Figure with this notebook's stamp under it, or another; closes the figure."""
    return png.picture(figure, alt, stamp or _current.stamp)


def touch(panel) -> None:
    """Display a panel of controls (``rsnb.classroom.widgets``); its first picture is saved as a figure is."""
    from IPython.display import display

    first = panel.first
    if _current.dpi > SCREEN_DPI:
        (first,) = pictures(panel.draw(**panel.values)[0], panel.alt, panel.stamp or _current.stamp, _current.dpi)
    _save(panel.name, first)
    gc.collect()  # a quarter of a second: now, and not while the first control is moved
    display(panel)


def _save(name: str, content: bytes) -> None:
    if _current.out is not None:
        write_bytes(_current.out / "figures" / f"{notebook_name()}-{_file_safe(name)}.png", content)


def table(rows, caption: str = "", digits: int = 2, stamp: str | None = None) -> None:
    """Display a DataFrame, or a list of dicts, as a table with its stamp under it."""
    import pandas as pd
    from IPython.display import display

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    stamp = stamp or _current.stamp
    named = not isinstance(frame.index, pd.RangeIndex)
    number = f"{{:,.{digits}f}}".format
    whole = {name: "{:,}".format for name in frame if pd.api.types.is_integer_dtype(frame[name])}
    body = frame.to_html(index=named, float_format=number, formatters=whole, border=0, na_rep="", justify="left")
    title = f"<p><b>{html.escape(caption)}</b></p>" if caption else ""
    foot = f'<p style="color:#808080;font-size:smaller">{html.escape(stamp)}</p>'
    text = frame.to_string(index=named, float_format=number, formatters=whole, na_rep="")
    display(
        {"text/html": title + body + foot, "text/plain": "\n".join(filter(None, [caption, text, stamp]))},
        metadata={"rsnb": made_from(stamp)},
        raw=True,
    )


def record(method: str, report, trainable: int | None = None, seconds: float | None = None, **more: Any) -> dict:
    """Add one line to ``results.json`` of this run: the table that ``rsnb run`` prints at its end.

    Args:
        method: as the table is to show it, e.g. "MRS-Adapter + HMMC".
        report: what ``rsnb.evaluate`` returned.
        trainable: number of trained parameters.
        seconds: time of training.
        more: anything else worth keeping (must be JSON).

    A line with the same notebook, method and stamp is replaced. Without an output folder nothing is
    written; the line is returned either way.
    """
    line = {
        "notebook": notebook_name(),
        "method": method,
        "stamp": _current.stamp,
        "data": _current.data,
        "backbone": _current.backbone,
        "pretrained": None if _current.pretrained is None else Path(_current.pretrained).name,
        "seed": _current.seed,
        "epochs": _current.epochs,
        "quick": _current.quick,
        "trainable": None if trainable is None else int(trainable),
        "seconds": None if seconds is None else round(float(seconds), 2),
        "recalls": {key: round(float(value), 4) for key, value in report.recalls.items()},
        "mr": round(float(report.mr), 4),
        **more,
    }
    if _current.out is not None:
        path = _current.out / "results.json"
        results = read_results(path)
        same = ("notebook", "method", "stamp")
        kept = [r for r in results["records"] if any(r.get(k) != line[k] for k in same)]
        results["records"] = [*kept, line]
        write_json(path, results)
    return line


def read_results(path: Path) -> dict:
    """``results.json`` of a run, or an empty one."""
    if not path.exists():
        return {"records": [], "notebooks": []}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        return {**results, "records": list(results["records"]), "notebooks": list(results["notebooks"])}
    except (ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is not a results file of rsnb ({error}); move it away and run again") from None


def notebook_name() -> str:
    """The stem of the running notebook's file, as far as it can be known."""
    session = os.environ.get("RSNB_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME") or "notebook"
    return _file_safe(Path(session).stem)


def _file_safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "figure"
