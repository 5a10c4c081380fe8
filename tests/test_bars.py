"""Progress bars: where somebody looks, and moving with the work."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

import rsnb
from rsnb.base import bars


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_file_gets_no_bar_and_a_terminal_does(monkeypatch):
    for stream, seen in ((io.StringIO(), False), (Screen(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert bars.watched() is seen
        assert list(bars.bar(range(3), file=stream)) == [0, 1, 2]
        assert bool(stream.getvalue()) is seen
        assert list(bars.bar(range(3), hidden=True, file=stream)) == [0, 1, 2]


def test_the_bar_of_a_training_moves_within_an_epoch_and_says_what_is_left(monkeypatch):
    seen = []

    class Counted:
        n = 0.0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, part):
            self.n += part
            seen.append(self.n)

        def set_postfix(self, values):
            assert set(values) == {"loss", "val mR"}

    monkeypatch.setattr(bars, "bar", lambda *_, **options: Counted() if "bar_format" in options else _[0])
    model = rsnb.adapt(rsnb.load_clip("mini"), "linear_probe")
    train, val = (rsnb.load_dataset("toy", split, limit=32) for split in ("train", "val"))
    config = rsnb.TrainConfig(method="linear_probe", loss="clip", epochs=2, batch_size=8, precision="fp32")
    rsnb.train(model, train, val, config)
    assert seen == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0])
    assert "{remaining} left" in bars.EPOCHS


def test_a_program_whose_output_is_kept_prints_no_bar(tmp_path):
    code = (
        "import rsnb\n"
        "model = rsnb.adapt(rsnb.load_clip('mini'), 'linear_probe')\n"
        "parts = [rsnb.load_dataset('toy', split, limit=8) for split in ('train', 'val')]\n"
        "config = rsnb.TrainConfig(method='linear_probe', loss='clip', epochs=1, batch_size=4, precision='fp32')\n"
        "rsnb.train(model, *parts, config)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout == ""


# --- a training in a notebook -------------------------------------------------------------------------------------
ROW = {"loss": 1.0, "loss_cross": 1.0, "intra_image_cos": 0.5, "intra_text_cos": 0.5, "seconds": 1.0}


@pytest.mark.parametrize("ended, best", [(0, 0), (2, 1)])
def test_an_interrupted_training_ends_in_a_sentence_and_keeps_its_best_epoch(ended, best, monkeypatch, capsys):
    from rsnb.classroom import lesson

    def interrupted(*_, on_epoch):
        for epoch in range(1, ended + 1):
            on_epoch({**ROW, "epoch": epoch, "val_mr": 30.0 - epoch})
        raise KeyboardInterrupt

    monkeypatch.setattr(rsnb, "train", interrupted)
    config = rsnb.TrainConfig(epochs=4)
    result = lesson.train(None, None, None, config)
    said = capsys.readouterr().out
    assert "interrupted" in said and len(result.history) == ended and result.best_epoch == best
    assert lesson.epochs_of(result, config) == f"{ended} of 4 epochs"


def test_the_curves_of_a_training_are_drawn_after_each_epoch_in_one_place(monkeypatch, tmp_path):
    import IPython.display

    from rsnb.classroom import lesson

    shown = []

    class Handle:
        def update(self, data, **_):
            shown.append(("update", data["text/plain"]))

    def display(data, display_id=False, **_):
        shown.append(("first", data["text/plain"]))
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    model = rsnb.adapt(rsnb.load_clip("mini"), "linear_probe")
    train, val = (rsnb.load_dataset("toy", split, limit=16) for split in ("train", "val"))
    config = rsnb.TrainConfig(method="linear_probe", loss="clip", epochs=3, batch_size=8, precision="fp32")
    result = lesson.train(model, train, val, config, alt="how it went")
    assert [kind for kind, _ in shown] == ["first", "update", "update"] and "how it went" in shown[0][1]
    assert lesson.epochs_of(result, config) == "3 epochs"
