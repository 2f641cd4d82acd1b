"""Runs a `docker-credential-…` program, which stores secrets in a keyring.

Galley's own is found wherever it is. It is a separate process, so that a keyring that waits for its
password can be abandoned. Next: `engine/cli/docker_credential.py`.
"""

import contextlib
import sys

import msgspec

from engine.messages.host import KEYRING_HELPER_FAILED, KEYRING_HELPER_SAID
from vm.errors import KeyringUnusable, Problem, from_problem
from vm.host import process

STORE = "galley"
PROGRAM = f"docker-credential-{STORE}"
AS_DATA = "GALLEY_CREDENTIAL_ERRORS_AS_DATA"  # in the environment of ours: it writes a Problem
DEADLINE = 70.0  # seconds, a little more than our helper gives its keyring
NO_LOGIN = "credentials not found in native keychain"  # every helper uses these words


def ask(store: str, action: str, given: str = "") -> str:
    """The helper's answer. Raises KeyringUnusable."""
    program = [f"docker-credential-{store}"]
    if store == STORE:
        program = [sys.executable, "-P", "-m", "engine.cli.docker_credential"]
    env = {AS_DATA: "1"} if store == STORE else None
    done = process.run([*program, action], stdin=given.encode(), timeout=DEADLINE, env=env)
    output = done.stdout.decode(errors="replace").strip()
    if done.ok or output == NO_LOGIN:
        return output
    if store == STORE:
        with contextlib.suppress(msgspec.MsgspecError):
            raise from_problem(msgspec.json.decode(done.stdout, type=Problem))
    if output:
        raise KeyringUnusable(KEYRING_HELPER_SAID, said=output, details=done.tail())
    raise KeyringUnusable(KEYRING_HELPER_FAILED, store=store, details=done.tail())
