"""``torchrun --nproc_per_node N -m rsnb.train ...``: the command ``rsnb train``, by N processes together.

In Python, ``rsnb.train`` is the function; this file is for the command line alone. Each process takes an equal part of
``--batch-size`` (see :mod:`rsnb.base.distributed`); alone, ``python -m rsnb.train`` is ``rsnb train``.
"""

import sys

if __name__ != "__main__":
    raise ImportError("rsnb.train is a function: write `import rsnb` and call rsnb.train(...)")

from rsnb.commands.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
