"""``python -m rsnb`` is the ``rsnb`` command."""

import sys

from rsnb.cli import main

sys.exit(main())
