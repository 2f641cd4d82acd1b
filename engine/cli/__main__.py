"""`python -m engine.cli`. Next: `__init__.py`, which decides what runs."""

import sys

from engine.cli import main

sys.exit(main())
