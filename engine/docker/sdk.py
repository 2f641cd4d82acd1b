"""The docker SDK, imported once and without paramiko. Next: `transport.py`.

docker-py imports paramiko for ssh:// addresses, which costs 20 MB and 0.1 s, and ssh is the
business of `vm/guest/ssh.py` here. It does without when paramiko cannot be imported; so while
docker loads, `sys.modules` says that it cannot, and afterwards nothing, as before. Whoever has
loaded paramiko already has paid, and keeps it.
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
