"""Proxy passwords, kept in the system's keyring and in no file.

Each function raises KeyringUnusable. Next: `keyring.py`.
"""

import json

from engine.credentials.helper import NO_LOGIN, STORE, ask


def keep(address: str, password: str) -> None:
    """Replaces an earlier password for `address`, which includes the user name."""
    ask(STORE, "proxy-store", json.dumps({"Address": address, "Password": password}))


def find(address: str) -> str:
    """ "" without one. Does not prompt to unlock a keyring."""
    answer = ask(STORE, "proxy-get", address)
    return "" if answer == NO_LOGIN else str(json.loads(answer))


def forget(address: str) -> None:
    ask(STORE, "proxy-erase", address)
