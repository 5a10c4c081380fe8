"""What every notebook needs: its settings, stamped figures and tables, and a place to record results.

A notebook starts with ``s = lesson.setup()`` and then asks ``s`` for data and model. Each argument of
``setup`` can be overridden from outside (``RSNB_DATA=ucm RSNB_ROOT=...``, or ``rsnb run --data ucm --root ...``),
so the same cells run on the toy world and on real images, and every figure says on which.
"""

from __future__ import annotations

import base64
import datetime
import html
import io
import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsnb.errors import RsnbError

DATA_STAMPS = {
    "toy": "toy world (drawn)",
    "ucm": "UCM-Captions (real)",
    "rsicd": "RSICD (real)",
    "rsitmd": "RSITMD (real)",
}
QUICK_LIMIT, QUICK_EPOCHS, QUICK_BATCH = 48, 1, 16
SCREEN_DPI = 100  # dots per inch of a figure on the page; RSNB_DPI (`rsnb figures`) makes the saved file larger
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """What this run of a notebook is about. Frozen: change it by calling ``setup`` again.

    ``epochs`` is None where the notebook decides; ``limit`` (images per split) is None for all images;
    ``out`` is the folder for figures and results, or None when nothing is to be saved; ``dpi`` are the dots per
    inch of the figures in that folder.
    """

    data: str = "toy"
    root: str | None = None
    layout: str | None = None
    skip_bad: bool = False
    backbone: str = "mini"
    pretrained: str | None = None
    seed: int = 0
    epochs: int | None = None
    batch_size: int = 64
    quick: bool = False
    limit: int | None = None
    out: Path | None = None
    dpi: int = SCREEN_DPI

    @property
    def stamp(self) -> str:
        """One line that says what a figure or a number was made from."""
        data = DATA_STAMPS.get(self.data, f"{Path(self.data).name} (own data)")
        parts = [data, backbone_stamp(self.backbone, self.pretrained), f"seed {self.seed}"]
        if self.quick:
            parts.append("quick check, numbers mean nothing")
        return " · ".join(parts)

    @property
    def is_toy(self) -> bool:
        """True on the drawn toy world."""
        return self.data == "toy"

    def dataset(self, split: str = "test"):
        """A ``CaptionDataset`` of this run's data: split is train, val, trainval, test or all."""
        from rsnb.data import load_dataset

        return load_dataset(
            self.data,
            split=split,
            root=self.root,
            layout=self.layout,
            seed=self.seed,
            skip_bad=self.skip_bad,
            limit=self.limit,
        )

    def clip(self):
        """A fresh copy of this run's backbone; random weights, where there are no others, follow the seed."""
        import torch

        from rsnb.backbone import load_clip

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return load_clip(self.backbone, pretrained=self.pretrained)


_current = Settings()


def backbone_stamp(backbone: str, pretrained: str | None) -> str:
    """'mini CLIP', 'ViT-B-32-quickgelu, openai' or 'ViT-B-32-quickgelu, RANDOM weights'."""
    name = "mini CLIP" if backbone == "mini" else backbone
    if pretrained == "random" or (pretrained is None and backbone != "mini" and "hub:" not in backbone):
        return f"{name}, RANDOM weights"
    return name if pretrained is None else f"{name}, {Path(pretrained).name}"


def resolve(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Arguments, overridden by ``RSNB_*`` variables, checked. Prints nothing.

    Raises:
        RsnbError: an unknown data set, a missing root folder, a number that is none.
    """
    env = os.environ if environment is None else environment
    values = {**Settings().__dict__, **{k: v for k, v in given.items() if v is not None}}
    for key in ("data", "root", "layout", "backbone", "pretrained"):
        values[key] = env.get(f"RSNB_{key.upper()}") or values[key]
    for key, least in (("seed", 0), ("epochs", 1), ("batch_size", 2), ("limit", 1), ("dpi", SCREEN_DPI)):
        values[key] = _whole(env.get(f"RSNB_{key.upper()}"), f"RSNB_{key.upper()}", least, values[key])
    for key in ("quick", "skip_bad"):
        values[key] = _switch(env.get(f"RSNB_{key.upper()}"), f"RSNB_{key.upper()}", values[key])
    if values["quick"]:
        values["limit"], values["epochs"], values["batch_size"] = QUICK_LIMIT, QUICK_EPOCHS, QUICK_BATCH
    if env.get("RSNB_OUTPUT"):
        values["out"] = Path(env["RSNB_OUTPUT"])
    values["data"] = known_name(values["data"]) or values["data"]
    if values["data"] == "toy" and given.get("root") is None:
        values["root"] = None  # RSNB_ROOT names the real images
    _check_data(values["data"], values["root"])
    return Settings(**values)


def known_name(data: str) -> str | None:
    """'ucm' for 'UCM-Captions' and the like; None for a path."""
    plain = str(data).strip().lower().replace("_", "-").removesuffix("-captions")
    return plain if plain in DATA_STAMPS else None


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
        alt: one sentence for readers who cannot see the figure.
        stamp: what it was made from, when that is not this notebook's settings.
    """
    from IPython.display import display

    alt = alt or name.replace("-", " ")
    pngs = _drawn(figure, alt, stamp, *sorted({SCREEN_DPI, _current.dpi}))
    _save(name, pngs[-1])
    mime, data = lighter(pngs[0])
    display(
        {mime: base64.b64encode(data).decode("ascii"), "text/plain": f"[figure: {alt}]"},
        metadata={mime: {"alt": alt}, "rsnb": made_from(stamp)},
        raw=True,
    )


def made_from(stamp: str | None = None) -> dict[str, str]:
    """What the output of a figure or table keeps beside it: its stamp, the date, the versions of rsnb and torch."""
    return {"stamp": stamp or _current.stamp, "date": datetime.date.today().isoformat(), "versions": _versions()}


def result_head(what: str, command: str, stamp: str) -> dict[str, Any]:
    """What a result file opens with: what it is, the rsnb command that makes it again, date, stamp, versions."""
    import platform
    from importlib import metadata

    from rsnb import __version__

    torch = metadata.version("torch").split("+")[0]
    versions = {"python": platform.python_version(), "torch": torch, "rsnb": __version__}
    today = datetime.date.today().isoformat()
    return {"what": what, "command": command, "date": today, "stamp": stamp, "versions": versions}


def _versions() -> str:
    from importlib import metadata

    from rsnb import __version__

    return f"rsnb {__version__}, torch {metadata.version('torch').split('+')[0]}"


def touch(panel) -> None:
    """Display a panel of controls (``rsnb.classroom.widgets``); its first picture is saved as a figure is."""
    from IPython.display import display

    png = panel.first
    if _current.dpi > SCREEN_DPI:
        (png,) = _drawn(panel.draw(**panel.values)[0], panel.alt, panel.stamp, _current.dpi)
    _save(panel.name, png)
    display(panel)


def picture(figure, alt: str, stamp: str | None = None) -> bytes:
    """The PNG of a matplotlib Figure with its stamp under it; closes the figure."""
    return _drawn(figure, alt, stamp, SCREEN_DPI)[0]


def _drawn(figure, alt: str, stamp: str | None, *resolutions: int) -> list[bytes]:
    """The same in several resolutions (dots per inch). Above that of the page all colours are kept."""
    import matplotlib.pyplot as plt

    stamp = stamp or _current.stamp
    # Below the figure's own area, so that it can cover nothing; the tight box takes it in.
    figure.text(0.99, -0.01, stamp, ha="right", va="top", fontsize=9, color="0.4")
    if figure.legends:  # the tight box would move a legend at the edge onto the stamp: lay out, then let it stay
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for legend in figure.legends:
            legend.set_bbox_to_anchor((0, 0, 1, 1), transform=figure.transFigure)
    about = {"Software": None, "Description": alt, "Comment": stamp}
    found = []
    for dpi in resolutions:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata=about)
        found.append(buffer.getvalue() if dpi > SCREEN_DPI else _light(buffer.getvalue()))
    plt.close(figure)
    return found


def _save(name: str, png: bytes) -> None:
    if _current.out is not None:
        made = made_from()
        png = _with_text(png, "Source", f"{made['versions']}, {made['date']}")
        write_bytes(_current.out / "figures" / f"{notebook_name()}-{_file_safe(name)}.png", png)


def _with_text(png: bytes, key: str, value: str) -> bytes:
    """The PNG with one more text in it, before its end (the last 12 bytes)."""
    body = b"tEXt" + key.encode("latin-1") + b"\0" + value.encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    png = bytes(png)  # a widget holds a view of it
    return png[:-12] + chunk + png[-12:]


def _light(png: bytes) -> bytes:
    """A PNG in 256 colours: a third of the size, for small saved notebooks."""
    from PIL import Image, PngImagePlugin

    picture = Image.open(io.BytesIO(png))
    text = PngImagePlugin.PngInfo()
    for key, value in picture.text.items():
        text.add_text(key, value)
    buffer = io.BytesIO()
    few = picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)  # keeps marks in their colours
    few.save(buffer, "PNG", optimize=True, pnginfo=text)
    return min(png, buffer.getvalue(), key=len)


def lighter(png: bytes, most: int = 150_000) -> tuple[str, bytes]:
    """What the notebook keeps of a figure, with its MIME type: JPEG where there are many pictures in it."""
    if len(png) <= most:
        return "image/png", png
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "JPEG", quality=85, optimize=True)
    return "image/jpeg", buffer.getvalue()


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


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader, or a crash, never meets half a file."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))


def notebook_name() -> str:
    """The stem of the running notebook's file, as far as it can be known."""
    session = os.environ.get("RSNB_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME") or "notebook"
    return _file_safe(Path(session).stem)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, never meets half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{path.name}.{os.getpid()}.part")
        half.write_bytes(content)
        os.replace(half, path)
    except OSError as error:
        raise RsnbError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None


def _file_safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "figure"


def _whole(text: str | None, name: str, least: int, default: int | None) -> int | None:
    value: Any = default if text in (None, "") else text
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise RsnbError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise RsnbError(f"{name} must be at least {least}, not {number}")
    return number


def _switch(text: str | None, name: str, default: bool) -> bool:
    if text is None:
        return default
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise RsnbError(f"{name} must be 1 or 0, not {text!r}")


def _check_data(data: str, root: str | None) -> None:
    known = ", ".join(DATA_STAMPS)
    if root is not None and not Path(root).expanduser().is_dir():
        raise RsnbError(f"the data folder {root} does not exist; give --root (or RSNB_ROOT) an existing folder")
    if data in DATA_STAMPS:
        if data != "toy" and root is None:
            raise RsnbError(
                f"{DATA_STAMPS[data]} does not ship with rsnb; say where it lies: --root DIR (or RSNB_ROOT=DIR). "
                "data/README.md tells where to get it"
            )
    elif not Path(data).expanduser().exists():
        raise RsnbError(f"no data set and no file or folder is named {data!r}; known: {known}, or a path")
