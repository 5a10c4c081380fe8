"""A student's process: takes the cells of a notebook, then inputs, and gives what the student's functions give.

It holds no truth and gives no verdict. It is started by :mod:`rsnb.classroom.grading.sandbox`, and what it writes is
read by :mod:`rsnb.classroom.grading.wire`.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
import types
from typing import Any


def main() -> None:
    """Serve: the first line holds the cells, each later one a call."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the student prints goes elsewhere
    sys.stdout = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), "utf-8", errors="replace", write_through=True)
    from rsnb.classroom.grading import wire

    space = namespace()
    for line in sys.stdin:
        asked = wire.read(line)
        try:
            if "cells" in asked:
                answer = {"ran": [run(cell, space) for cell in asked["cells"]]}
            elif "known" in asked:
                answer = {"value": kind_of(space, asked["known"])}
            else:
                answer = called(space[asked["call"]], [revived(x) for x in asked["given"]], asked["leaves"])
            text = wire.written(answer)
        except NotImplementedError as error:
            text = wire.written({"unwritten" if not str(error) else "error": f"NotImplementedError: {error}"})
        except BaseException as error:  # the student's code: also sys.exit()
            text = wire.written({"error": f"{type(error).__name__}: {error}"[:400]})
        sink.write(text + "\n")
        sink.flush()


def called(function: Any, given: list[Any], leaves: list[int]) -> dict[str, Any]:
    """What a function gives, and its gradient for the arguments with these numbers."""
    if not leaves:
        return {"value": function(*given)}
    import torch

    wanted = [given[n].requires_grad_() for n in leaves]
    value = function(*(x * 1 if n in leaves else x for n, x in enumerate(given)))  # no leaf, so it may be changed
    gradients = torch.autograd.grad(value, wanted, allow_unused=True)
    return {"value": value, "gradients": [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, wanted)]}


def namespace() -> dict[str, Any]:
    """What a notebook's cells find: the packages of the exercises, and a checker that says nothing."""
    import numpy
    import torch

    silent = types.SimpleNamespace(check=lambda *_: None, hint=lambda *_: None, solution=lambda *_: None)
    modules = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "np": numpy, "exercises": silent}
    return {"__name__": "__main__", **modules}


def run(cell: str, space: dict[str, Any]) -> str:
    """Run one cell; "" or the error."""
    try:
        exec(compile(cell, "<handed in>", "exec"), space)
        return ""
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:400]


def kind_of(space: dict[str, Any], name: str) -> Any:
    """{"function": True}, or the value that a name has."""
    found = space.get(name)
    return {"function": True} if callable(found) else {"function": False, "value": found}


def revived(value: Any) -> Any:
    """A suspect of the bug hunt from its parts."""
    if not (isinstance(value, dict) and "suspect" in value):
        return value
    from rsnb.classroom.bughunt.suspect import Suspect

    parts = dict(value["suspect"])
    again = itertools.cycle(parts.pop("again"))
    return Suspect(**parts, again=lambda: next(again))


if __name__ == "__main__":
    main()
