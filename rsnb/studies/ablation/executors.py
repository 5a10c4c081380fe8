"""Cells side by side, in the processes of an executor: what is sent to them, what comes back, and what if one dies.

What all cells of a grid need (the lab, with methods and losses of a user's own by cloudpickle) lies in one file of the
lab's folder, which every process reads. The file is there as long as somebody waits for the cells: a process that
misses it between two epochs stops, and the cell goes on from there another time.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from rsnb.base.files import reason, write_bytes
from rsnb.base.locks import alone, is_free
from rsnb.base.own import is_installed
from rsnb.base.processes import end_with_parent
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation.cell import Cell, Stopped

DONE, FAILED, STOPPED = "done", "failed", "stopped"
_one_at_a_time = threading.Lock()  # torch has one random state in a process


def processes(count: int) -> Callable[[], ProcessPoolExecutor]:
    """What makes an executor of so many new processes on this machine; they end with this one, however it ends."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise RsnbError(f"processes is {count!r}; it must be a whole number, at least 1")
    context = multiprocessing.get_context("spawn")  # a forked one may hang: torch has threads
    return lambda: ProcessPoolExecutor(count, mp_context=context, initializer=_ends_with_its_parent)


def _ends_with_its_parent() -> None:
    """Ctrl-C is the parent's to answer, and no process outlives it."""
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is shared between processes, and a killed one would leave it behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


# --- in the process that trains ---------------------------------------------------------------------------------
def train_cell(sent: str, spec: Any, seed: int, key: dict[str, Any], ticket: str) -> tuple[str, Cell | str]:
    """One cell of what was sent: (DONE, the cell), (FAILED, why), or (STOPPED, "").

    Args:
        sent: the file of :class:`Workers`. ticket: differs from call to call, so that no executor takes two for one.
    """
    with _one_at_a_time, _one_thread():
        try:
            lab, on_epoch = _opened(sent)
            if keys.code_of().digest != key["code"]:
                raise RsnbError("this process has another version of rsnb, which may give other numbers; install one")

            def watch(state):
                if not Path(sent).exists():
                    raise Stopped
                return None if on_epoch is None else on_epoch(state)

            return DONE, replace(lab.cell(spec, seed, watch, False, key), lab=None, path=None)
        except Stopped:
            return STOPPED, ""
        except Exception as error:  # a loss of your own may raise anything, and not all of it can be sent
            return FAILED, reason(error)


@functools.lru_cache(maxsize=1)
def _opened(sent: str) -> tuple[Any, Callable | None]:
    """The lab and ``on_epoch``, once in a process; with data and weights that are the same here as there."""
    try:
        content = Path(sent).read_bytes()
    except OSError as error:
        raise RsnbError(
            f"{sent} cannot be read here ({error.strerror or error}); the processes of an executor must see the lab's "
            "folder under the same path: give one that all of them share"
        ) from None
    lab, on_epoch = pickle.loads(content)
    if lab.own_clip is None and lab.clip().fingerprint() != lab.weights:
        raise RsnbError(f"the weights of {lab.backbone} are not those with which the grid was begun")
    for split, part in lab.parts.items():
        if part.fingerprint() != lab.fingerprints[split]:
            raise RsnbError(f"the images of {part.name}/{split} are not those with which the grid was begun")
    return lab, on_epoch


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch a process, unless ``OMP_NUM_THREADS`` says otherwise: more would wait for each other."""
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- in the process that asks -----------------------------------------------------------------------------------
class Workers:
    """The processes of an executor, while a grid runs in them; a context.

    A broken pool is made again. A cell that was being trained when it broke goes on in the next one; after two such
    breaks it is trained alone, and if the pool breaks then, the cell has failed.

    Args:
        executor: or a function that makes one; see :func:`rsnb.studies.ablation.running.run_cells`.
    """

    def __init__(self, executor: Any, lab: Any, on_epoch: Callable | None):
        given = not isinstance(executor, type) and callable(getattr(executor, "submit", None))
        if not given and not callable(executor):
            raise RsnbError(
                f"executor is {executor!r}; it must have submit(function, *arguments), as a ProcessPoolExecutor or a "
                "Dask Client has, or be a function that makes one, such as processes(2)"
            )
        self.pool, self.make = (executor, _another(executor)) if given else (None, executor)
        self.lab, self.owned, self.broken, self.in_vain = lab, not given, False, 0
        self.sent = lab.folder.resolve() / "state" / f"grid-{uuid.uuid4().hex[:12]}.pickle"
        self.content = _packed(lab, on_epoch)
        self.flying: dict[str, Any] = {}  # hash -> future; None of one that a broken pool did not take
        self.strikes: Counter[str] = Counter()
        self.events: queue.Queue = queue.Queue()
        self.held = contextlib.ExitStack()

    def __enter__(self) -> Workers:
        for left in self.sent.parent.glob("grid-*.pickle"):  # of programs that were killed
            if is_free(left.with_suffix(".lock")):
                left.unlink(missing_ok=True)
        self.held.enter_context(alone(self.sent.with_suffix(".lock")))
        write_bytes(self.sent, self.content)
        if self.pool is None:
            self.pool = self.make()
        return self

    def __exit__(self, kind, *_: Any) -> None:
        with contextlib.suppress(OSError):
            self.sent.unlink()  # asks those that still train to stop
        self.held.close()
        for name in self.flying:
            self.withdraw(name)
        if self.owned:
            _close(self.pool, kill=kind is not None or self.broken)

    def batch(self, missing: Sequence[str]) -> list[str]:
        """Which of these hashes are to be trained now."""
        usual = [name for name in missing if self.strikes[name] < 2]
        return usual or list(missing[:1])

    def submit(self, name: str, spec: Any, seed: int, key: dict[str, Any]) -> None:
        """Have a cell trained. name: its hash."""
        if self.broken:
            self._renew()
        try:
            future = self.pool.submit(train_cell, str(self.sent), spec, seed, key, uuid.uuid4().hex)
        except BrokenExecutor as error:  # since the last one
            self.flying[name] = None
            self.events.put((name, error))
            return
        self.flying[name] = future
        future.add_done_callback(lambda done: self.events.put((name, done)))

    def withdraw(self, name: str) -> None:
        """A cell is no longer wanted; one that has begun is finished all the same."""
        if self.flying[name] is not None:
            self.flying[name].cancel()

    def next(self) -> tuple[str, str, Any]:
        """(hash, DONE, FAILED or STOPPED, the cell or why) of the next that is settled; it waits. A cell that has to
        be trained again gives (hash, "", "")."""
        while True:
            try:
                name, future = self.events.get(timeout=1)  # Windows hears Ctrl-C in between alone
                break
            except queue.Empty:
                continue
        del self.flying[name]
        try:
            if isinstance(future, BrokenExecutor):
                raise future
            return name, *future.result()
        except BrokenExecutor:
            return name, *self._after_a_break(name)
        except (Exception, CancelledError, asyncio.CancelledError) as error:  # withdrawn, or it could not be sent
            return name, FAILED, reason(error)

    def _after_a_break(self, name: str) -> tuple[str, str]:
        begun = self.lab.lock(name).exists()
        if not self.broken:
            self.broken, self.in_vain = True, self.in_vain + 1
        if begun:
            self.in_vain = 0
            self.strikes[name] += 1
        if self.make is None:
            return FAILED, "the executor broke; give a function that makes one, and it is made again"
        if self.strikes[name] > 2:
            return FAILED, "the process that trained it ended three times, the last time alone (not enough memory?)"
        if self.in_vain > 2:
            raise RsnbError(
                "the processes of the executor end before they begin a cell; in a script, call run_cells under "
                "if __name__ == '__main__'"
            )
        return "", ""

    def _renew(self) -> None:
        if self.owned:
            _close(self.pool, kill=True)
        self.pool, self.owned, self.broken = self.make(), True, False


def _another(executor: Any) -> Callable[[], Executor] | None:
    """What makes a pool like this one, if it is one of processes on this machine."""
    if not isinstance(executor, ProcessPoolExecutor):
        return None  # Dask makes its processes again itself
    count, context = executor._max_workers, executor._mp_context
    first = {"initializer": executor._initializer, "initargs": executor._initargs}
    return lambda: ProcessPoolExecutor(count, mp_context=context, **first)


def _close(pool: Any, kill: bool) -> None:
    """End an executor that was made here, and its processes."""
    if not isinstance(pool, Executor):
        return pool.close()
    if kill:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


# --- what is sent -----------------------------------------------------------------------------------------------
def _packed(lab: Any, on_epoch: Callable | None) -> bytes:
    """The lab and ``on_epoch``; what they hold of a user's own modules with its content."""
    import cloudpickle

    there = copy.copy(lab)
    there.folder, there.also = lab.folder.resolve(), [folder.resolve() for folder in lab.also]
    own, registered = [*lab.methods.values(), *lab.losses.values(), on_epoch], []
    try:
        for module in {home for thing in own for home in _homes(thing)} - cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(sys.modules[module])
            registered.append(module)
        return cloudpickle.dumps((there, on_epoch))
    except (TypeError, AttributeError, pickle.PicklingError, RecursionError) as error:
        raise RsnbError(
            f"this grid cannot be sent to other processes ({error}); a method, loss or on_epoch of your own holds "
            "something that lives in only one process, such as an open file or a lock"
        ) from None
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(sys.modules[module])


def _homes(thing: Any) -> set[str]:
    """The top-level packages of a user's own in which a thing and its classes are written."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    kinds = thing.__mro__ if isinstance(thing, type) else type(thing).__mro__
    homes = {getattr(one, "__module__", None) for one in (thing, *kinds)}
    own = {home for home in homes if isinstance(home, str) and home in sys.modules and not is_installed(home)}
    return {home.split(".")[0] for home in own if home.split(".")[0] in sys.modules} - {"__main__"}
