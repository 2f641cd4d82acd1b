"""Imports the docker SDK once, without paramiko. Next: `transport.py`.

docker-py imports paramiko for ssh:// addresses, which costs 20 MB and 0.1 s; Galley uses its own
ssh (`ssh_relay.py`). The SDK works without paramiko; so while it is imported, `sys.modules` blocks
paramiko, and is restored afterwards. A paramiko that is imported already stays.
"""

import sys

_hidden = "paramiko" not in sys.modules
if _hidden:
    sys.modules["paramiko"] = None  # type: ignore[assignment]  # how an import is made to fail
try:
    import docker
    import docker.auth
    import docker.errors
    import docker.tls
    import requests
    import urllib3
    from docker.transport import unixconn
finally:
    if _hidden:
        del sys.modules["paramiko"]

__all__ = ["docker", "requests", "unixconn", "urllib3"]
