"""`python -m desktop`. Next: `app.py`, which tells the story."""

import sys

from desktop.app import main

sys.exit(main(sys.argv[1:]))
