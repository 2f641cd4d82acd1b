"""Runs a `docker-credential-…` program, which stores secrets in a keyring.

Galley's own is found wherever it is. It is a separate process, so that a keyring that waits for its
password can be abandoned. Next: `engine/cli/docker_credential.py`.
"""

import sys

from vm.errors import KeyringUnusable
from vm.host import process

STORE = "galley"
PROGRAM = f"docker-credential-{STORE}"
DEADLINE = 70.0  # seconds, a little more than our helper gives its keyring
NO_LOGIN = "credentials not found in native keychain"  # every helper says it in these words


def ask(store: str, action: str, given: str = "") -> str:
    """Its answer. Raises KeyringUnusable."""
    program = [f"docker-credential-{store}"]
    if store == STORE:
        program = [sys.executable, "-P", "-m", "engine.cli.docker_credential"]
    done = process.run([*program, action], stdin=given.encode(), timeout=DEADLINE)
    said = done.stdout.decode(errors="replace").strip()
    if done.ok or said == NO_LOGIN:
        return said
    summary, _, hint = said.partition("\n")
    raise KeyringUnusable(
        summary or f"docker-credential-{store} failed.", hint, details=done.tail()
    )
