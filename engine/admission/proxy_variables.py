"""The variables that a new container gets beside its own: which proxies it is to use.

What the client has said about a variable holds, in small letters or capital ones, also that it is
empty. Next: `admission.py`; `engine/provisioning/proxies.py`, whose they are.
"""

from collections.abc import Mapping


def added(env: tuple[str, ...], variables: Mapping[str, str]) -> tuple[str, ...]:
    """An environment of NAME=VALUE with those of `variables` that it does not mention."""
    said = {one.partition("=")[0].lower() for one in env}
    more = (f"{name}={value}" for name, value in variables.items() if name.lower() not in said)
    return (*env, *more)
