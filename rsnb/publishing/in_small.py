"""The pre-training of the mini CLIP in small, by the code of a revision and by today's: do they make the same weights?

The whole takes more than an hour, and its weights depend on the number of threads and on the processor. What has to be
known of code that was rewritten is whether it does the same; that shows in a small training, to the last bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rsnb.base import paths
from rsnb.base.revisions import brought, tree_of
from rsnb.errors import RsnbError

PICTURES, STEPS, BATCH = 10_000, 60, 256  # an epoch has 39 steps
SAID = f"{PICTURES:,} pictures, {STEPS} steps of {BATCH}"
FILES = ("state.pt", "mini.safetensors", "world.npz", "bpe.txt.gz")


def differing(revision: str, out: Path) -> tuple[list[str], int]:
    """(what differs, how much was compared): pictures, captions, vocabulary, weights, the optimizer's state.

    Args:
        revision: of this repository, as git names it, the one that brought the weights; its code pre-trains in
            ``out/then``, today's in ``out/now``.

    Raises:
        RsnbError: there is no such revision, it did not bring the weights, or one of the two did not train to its end.
    """
    weights = paths.mini_dir() / "mini.safetensors"
    if not brought(revision, weights):
        raise RsnbError(
            f"{revision} did not bring {weights.name}, so its code is not what made it; git log -- {weights} "
            "names the revision that did"
        )
    with tree_of(revision) as tree:
        _pretrain(tree, out / "then", f"the code of {revision}")
    _pretrain(paths.PACKAGE.parent, out / "now", "today's code")
    then, now = contents(out / "then"), contents(out / "now")
    names = sorted(then.keys() | now.keys())
    return [name for name in names if then.get(name) != now.get(name)], len(names)


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that a pre-training leaves, by name, as bytes."""
    import gzip

    import numpy as np
    import torch
    from safetensors.torch import load_file

    state, weights, world, vocabulary = (folder / name for name in FILES)
    kept = torch.load(state, map_location="cpu", weights_only=True)
    found = {f"model: {name}": value for name, value in kept["model"].items()}
    for number, slots in kept["optimizer"]["state"].items():
        found |= {f"optimizer: {number}, {slot}": torch.as_tensor(value) for slot, value in slots.items()}
    found |= {f"shipped: {name}": value.float() for name, value in load_file(weights).items()}
    read = {name: value.detach().contiguous().numpy().tobytes() for name, value in found.items()}
    with np.load(world, allow_pickle=False) as drawn:
        read |= {f"world: {name}": drawn[name].tobytes() for name in drawn.files}
    return read | {"vocabulary": gzip.decompress(vocabulary.read_bytes())}


def _pretrain(tree: Path, out: Path, code: str) -> None:
    """Anew, on one thread, with the package of a tree."""
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    asked = {"images": PICTURES, "steps": STEPS, "batch-size": BATCH, "seed": 0, "device": "cpu", "precision": "bf16"}
    options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "rsnb", "pretrain", *options, "--out", str(out.resolve())]
    code_of = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tree, env=code_of, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RsnbError(f"{code} did not end its pre-training (exit status {done.returncode}); its words are above")
