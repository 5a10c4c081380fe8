"""``python -m rsnb`` is the ``rsnb`` command."""

import sys

from rsnb.commands.cli import main

sys.exit(main())
