"""The state of a training run, in memory and in one file that is replaced atomically after each epoch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rsnb.base import distributed
from rsnb.base.checkpoints import regular_file, unlike
from rsnb.base.files import make_folder, reason, write_json, write_torch
from rsnb.errors import RsnbError

STATE, DONE = "state.pt", "done.json"
AVERAGES = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")  # of Adam and SGD: as large as the parameter


@dataclass
class TrainResult:
    """The history (one dict an epoch) and the best epoch: by validation mR, or by a score of your own."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_val_mr: float = -1.0
    seconds: float = 0.0

    @property
    def best_score(self) -> float:
        """What the best epoch was chosen by; minus infinity before the first one."""
        return score_of(self.history[self.best_epoch - 1]) if self.best_epoch else -math.inf

    def frame(self):
        """The history as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame(self.history)


def score_of(row: dict[str, Any]) -> float:
    """What a row of the history is judged by."""
    return row.get("val_score", row["val_mr"])


class RunState:
    """What a run has reached: its history, the best weights so far, and all that goes on with the next epoch.

    Args:
        model: an adapted CLIP. parts: what else has a state: the optimizer, a schedule, a loss with parameters.
        key: all that decides the run's outcome. out: its folder, or None. force: whatever lies there is thrown away.
        take_finished: a finished run with this key is taken as it is; ``finished`` says so then.
    """

    def __init__(
        self, model, parts: dict[str, Any], key: dict, out: str | Path | None, force: bool, take_finished: bool = False
    ):
        self.model, self.key, self.parts = model, key, parts
        self.out = Path(out) if out is not None and distributed.rank() == 0 else None  # the first process writes
        self.result = TrainResult()
        self.best = self._copy()  # epoch 0, till there is better
        self.finished, state = distributed.from_first(lambda: self.found(force, take_finished))
        self.take(state)

    def found(self, force: bool, take_finished: bool) -> tuple[bool, dict | None]:
        """Whether a finished run lies in ``out``, and its state or that of an unfinished one; None at the beginning."""
        if self.out is None:
            return False, None
        make_folder(self.out)
        if force:
            for name in (STATE, DONE):
                (self.out / name).unlink(missing_ok=True)
        done, there = (self.out / DONE).exists(), (self.out / STATE).exists()
        if done and not (take_finished and there):
            raise RsnbError(f"{self.out} holds a finished run; take another folder, or force=True (--force) to redo it")
        return done, self.read() if there else None

    def read(self) -> dict:
        path = self.out / STATE
        anew = "delete it or use force=True (--force) to start anew"
        try:
            regular_file(path, "state of a run")
            state = torch.load(path, map_location="cpu", weights_only=True)
            old, new, result = json.loads(state["key"]), self.key, TrainResult(**json.loads(state["result"]))
            rows = [score_of(row) for row in result.history]
            sound = isinstance(old, dict) and 0 <= result.best_epoch <= len(rows)
            missing = {"weights", "best", *self.parts} - set(state)
        except Exception as error:  # torch.load raises many kinds
            raise RsnbError(f"{path} cannot be read ({reason(error)}); {anew}") from error
        if missing or not sound:
            raise RsnbError(f"{path} is no state of a run ({', '.join(sorted(missing)) or 'its history'}); {anew}")
        if old != new:
            differs = [k for k in (*new, *(set(old) - set(new))) if old.get(k) != new.get(k) and k != "config"]
            was, now = old.get("config", {}), new["config"]
            differs += [k for k in (*now, *(set(was) - set(now))) if was.get(k) != now.get(k)]
            raise RsnbError(
                f"{self.out} holds an unfinished run with other settings ({', '.join(differs)} differ); "
                "take another folder, or force=True (--force) to start anew"
            )
        for kept in ("weights", "best"):
            unfit = unlike(state[kept], self.model.state()) if isinstance(state[kept], dict) else {kept: "no dict"}
            if unfit:
                name, how = next(iter(unfit.items()))
                raise RsnbError(f"{path} was written by another version of rsnb ({name}: {how}); {anew}")
        return state

    def take(self, state: dict | None) -> None:
        """Go on from a state."""
        if state is None:
            return
        self.result = TrainResult(**json.loads(state["result"]))
        self.best = {name: value.to(self.model.device) for name, value in state["best"].items()}
        self._put(state["weights"])
        for name, part in self.parts.items():
            try:
                part.load_state_dict(state[name])
                _refuse_other_shapes(part)
            except Exception as error:  # each part has its own way to say that a state is not its own
                raise RsnbError(
                    f"{self.out / STATE} holds no state of the {name} of this run ({reason(error)}); delete it or use "
                    "force=True (--force) to start anew"
                ) from error

    def add(self, row: dict[str, Any], seconds: float) -> None:
        """One more epoch: into the history, as the best one if it is, and onto the disk."""
        result = self.result
        best = result.best_score
        result.history.append(row)
        if score_of(row) > best:
            result.best_val_mr, result.best_epoch = row["val_mr"], row["epoch"]
            self.best = self._copy()
        result.seconds = seconds
        self.save()

    def save(self) -> None:
        if self.out is None:
            return
        state = {
            "key": json.dumps(self.key),
            "result": json.dumps(vars(self.result)),
            "weights": {name: x.detach().cpu() for name, x in self.model.state().items()},
            "best": {name: value.cpu() for name, value in self.best.items()},
            **{name: part.state_dict() for name, part in self.parts.items()},
        }
        write_torch(self.out / STATE, state)

    def restore_best(self) -> None:
        self._put(self.best)

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: x.detach().clone() for name, x in self.model.state().items()}

    @torch.no_grad()  # counted as a change of the weights, unlike writing through .data
    def _put(self, kept: dict[str, torch.Tensor]) -> None:
        for name, x in self.model.state().items():
            x.copy_(kept[name])

    def finish(self) -> None:
        if self.out is not None:
            done = {"key": self.key, **vars(self.result)}
            write_json(self.out / DONE, done)


def _refuse_other_shapes(part: Any) -> None:
    """An optimizer takes averages of any shape, and would broadcast them."""
    for parameter, kept in getattr(part, "state", {}).items():
        for name, value in kept.items() if isinstance(parameter, torch.Tensor) else ():
            alike = name in AVERAGES and isinstance(value, torch.Tensor)
            if alike and value.shape != parameter.shape:
                raise RsnbError(f"{name} has the shape {tuple(value.shape)}, its parameter {tuple(parameter.shape)}")
