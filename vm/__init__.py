"""A Linux machine on this host: lifecycle, backends, ssh, shares. Knows nothing of Docker.

May import: the standard library, paramiko (only in `ssh.py`), psutil, msgspec, platformdirs.
Never imports `engine` or `desktop`. Start reading at `machine.py`.
"""
