"""A Linux machine on this host: lifecycle, backends, ssh, shares. Knows nothing of Docker.

Never imports `engine` or `desktop`. Start reading at `lifecycle/machine.py`.
"""

import sys
from types import ModuleType
from typing import cast

# paramiko's reader of ~/.ssh/config, which nothing here uses, would bring `invoke` and with it
# asyncio, 4 MB of memory in all. Where that is missing it does without.
sys.modules.setdefault("invoke", cast(ModuleType, None))
