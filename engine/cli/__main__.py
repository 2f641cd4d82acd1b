"""`python -m engine.cli`. Next: `__init__.py`, which decides what runs."""

import os
import sys

from engine.cli import main

if sys.__stdout__ is None:  # pythonw.exe, which starts us at login without a console
    sys.stdout = sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
sys.exit(main())
