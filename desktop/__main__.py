"""`python -m desktop`. Next: `app.py`."""

import gc
import sys


def main() -> int:
    gc.disable()  # nothing that start-up makes is garbage, and looking costs; see `gc_policy.py`
    from desktop import app

    return app.main(sys.argv[1:])


sys.exit(main())
