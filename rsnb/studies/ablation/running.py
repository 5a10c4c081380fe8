"""The cells of a grid, one after the other in this process, or side by side in others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rsnb.base import bars
from rsnb.base.files import reason
from rsnb.base.sources import digest
from rsnb.studies.ablation.cell import Cell, Stopped
from rsnb.studies.ablation.executors import DONE, FAILED, STOPPED, Workers
from rsnb.studies.ablation.spec import Spec


def run_cells(
    lab,
    cells: Mapping[Any, Spec],
    seeds: int | Mapping[Any, int] = 3,
    progress: bool = True,
    on_cell: Callable[[Any, Cell, int, int, float], None] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    executor: Any = None,
) -> tuple[dict[Any, list[Cell]], dict[Any, str]]:
    """Every cell with every seed: seed 0 of all cells first, so that a partial grid already compares.

    Args:
        seeds: how many, of all cells or by name.
        on_cell: called with (name, cell, number done, number of all, seconds left, about) after each one.
        on_epoch: see :meth:`Lab.cell`. With an executor a copy of it is called, where the cell is trained.
        executor: trains cells side by side: anything with ``submit(function, *arguments)`` that gives futures, such as
            a ``concurrent.futures.ProcessPoolExecutor`` or a Dask ``distributed.Client``, or a function without
            arguments that makes one, such as :func:`rsnb.studies.ablation.executors.processes` (2) gives. The
            processes must see the lab's folder and the images under the same paths. None: one after the other, here.

    Returns:
        {name: finished cells by seed}, and {name: why it failed}: a cell that fails leaves the others alone.
    """
    grid = Grid(lab, cells, seeds, on_cell)
    if executor is None:
        grid.one_by_one(progress, on_epoch)
    else:
        grid.side_by_side(executor, progress, on_epoch)
    return grid.results()


class Grid:
    """The runs of a grid: each (name, seed), the hash of its cell, and what became of it. Runs of one hash are one."""

    def __init__(self, lab, cells: Mapping[Any, Spec], seeds: int | Mapping[Any, int], on_cell):
        self.lab, self.cells, self.on_cell = lab, cells, on_cell
        most = seeds if isinstance(seeds, Mapping) else dict.fromkeys(cells, seeds)
        self.todo = [(name, seed) for seed in range(max(most.values())) for name in cells if seed < most[name]]
        self.keys = dict(zip(self.todo, lab.keys((cells[name], seed) for name, seed in self.todo)))
        self.hashes = {run: digest(key) for run, key in self.keys.items()}
        self.kept = {h: cell for h in set(self.hashes.values()) if (cell := lab.kept(h)) is not None}
        self.done: dict[Any, dict[int, Cell]] = {name: {} for name in cells}
        self.failed: dict[Any, tuple[int, str]] = {}  # name -> (seed, why)
        self.spent: list[float] = []  # seconds from one trained cell to the next
        built = set()
        for name, spec in cells.items():  # a method that cannot be built is found before anything is trained
            kind = repr((spec.config.method, spec.config.options))
            if kind not in built and any(self.hashes[name, seed] not in self.kept for seed in range(most[name])):
                try:
                    lab.adapted(spec, 0)
                    built.add(kind)
                except Exception as error:
                    self.failed[name] = 0, reason(error)

    def wanted(self, name: Any, seed: int) -> bool:
        """Whether a run is to be done: a name that failed needs no more seeds."""
        return seed not in self.done[name] and (name not in self.failed or seed < self.failed[name][0])

    def missing(self) -> dict[str, tuple[Any, int]]:
        """{hash: the first run of it} of what is to be trained, in order."""
        found: dict[str, tuple[Any, int]] = {}
        for run in self.todo:
            if self.hashes[run] not in self.kept and self.wanted(*run):
                found.setdefault(self.hashes[run], run)
        return found

    def finish(self, run: tuple[Any, int], cell: Cell, number: int) -> None:
        """A run has its cell."""
        name, seed = run
        self.done[name][seed] = cell
        if self.on_cell is not None:
            left = len(self.missing()) * statistics.fmean(self.spent) if self.spent else 0.0
            self.on_cell(name, cell, number, len(self.todo), left)

    def fail(self, run: tuple[Any, int], why: str) -> None:
        """A run failed, and with it the later seeds of its name."""
        name, seed = run
        if name not in self.failed or seed < self.failed[name][0]:
            self.failed[name] = seed, why

    def results(self) -> tuple[dict[Any, list[Cell]], dict[Any, str]]:
        """What :func:`run_cells` returns."""
        last = {name: seed for name, (seed, _) in self.failed.items()}
        done = {
            name: [own[seed] for seed in sorted(own) if seed < last.get(name, seed + 1)]
            for name, own in self.done.items()
        }
        failed = {name: self.failed[name][1] for name in self.cells if name in self.failed}
        return {name: own for name, own in done.items() if own}, failed

    def one_by_one(self, progress: bool, on_epoch: Callable | None) -> None:
        """Train here, in order."""
        for number, run in enumerate(self.todo, start=1):
            if not self.wanted(*run):
                continue
            started, name = time.perf_counter(), self.hashes[run]
            if name not in self.kept:
                try:
                    spec = self.cells[run[0]]
                    self.kept[name] = self.lab.cell(spec, run[1], on_epoch, progress, self.keys[run])
                except Stopped:
                    raise
                except Exception as error:  # a loss of your own may raise anything
                    self.fail(run, reason(error))
                    continue
                self.spent.append(time.perf_counter() - started)
            self.finish(run, self.kept[name], number)

    def side_by_side(self, executor: Any, progress: bool, on_epoch: Callable | None) -> None:
        """Train in the processes of an executor."""
        for name in self.kept:
            self._settle(name)
        if not (missing := self.missing()):
            return
        last = time.perf_counter()
        bar = bars.bar(total=len(missing), unit="cell", hidden=not progress)
        with Workers(executor, self.lab, on_epoch) as workers, bar:
            while missing := self.missing():
                for name in workers.batch(list(missing)):
                    run = missing[name]
                    workers.submit(name, self.cells[run[0]], run[1], self.keys[run])
                while workers.flying:
                    name, outcome, found = workers.next()
                    if outcome == STOPPED:
                        raise Stopped
                    if outcome == DONE:
                        now = time.perf_counter()
                        self.spent.append(now - last)
                        last = now
                        path = self.lab.folder / "cells" / f"{name}.json"
                        self.kept[name] = replace(found, lab=self.lab, path=path)
                        bar.update()
                        self._settle(name)
                    elif outcome == FAILED:
                        self._settle(name, found)
                        for other in set(workers.flying) - set(self.missing()):
                            workers.withdraw(other)

    def _settle(self, name: str, why: str | None = None) -> None:
        """All runs of a hash have their cell, or failed."""
        for run in self.todo:
            if self.hashes[run] == name and self.wanted(*run):
                if why is not None:
                    self.fail(run, why)
                else:
                    open_ = sum(self.wanted(*other) for other in self.todo)
                    self.finish(run, self.kept[name], len(self.todo) - open_ + 1)
