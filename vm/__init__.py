"""A Linux machine on this host: lifecycle, backends, ssh, shares. Independent of Docker.

Never imports `engine` or `desktop`. Start reading at `lifecycle/machine.py`.
"""

import sys
from types import ModuleType
from typing import cast

# paramiko's parser of ~/.ssh/config, which Galley does not use, would import `invoke` and with it
# asyncio: 4 MB of memory in all. paramiko works without `invoke`.
sys.modules.setdefault("invoke", cast(ModuleType, None))
