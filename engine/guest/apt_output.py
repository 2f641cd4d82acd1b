"""What apt reports when its lists or packages cannot be had, as an error for people.

apt is run with the locale C, so its messages are in English. Next: `build.py`,
`engine/images/apt.py`.
"""

import re

from engine.messages.image import (
    CHECK_NOT_SIGNED,
    CHECK_NOT_YET,
    RECIPE_DEBIAN_EXPIRED,
    RECIPE_NO_PACKAGE,
)
from vm.errors import HostError, Retry

# "is expired" alone may be about a key.
_EXPIRED = re.compile(r"^.*Release file for \S+ is (?:expired|not valid anymore).*$", re.MULTILINE)
_NOT_YET = re.compile(r"^.*Release file for \S+ is not valid yet.*$", re.MULTILINE)
_NOT_SIGNED = re.compile(r"^.*(?:is not signed|GPG error|weak security).*$", re.MULTILINE)
_NO_PACKAGE = re.compile(
    r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation"
)
_URI = re.compile(r"^URIs: (\S+)$", re.MULTILINE)


def refusal(output: str, suite: str, repository: str, details: str) -> HostError | None:
    """The error when apt has refused what it got; None when it got nothing, or the disk is full.

    `repository`: the deb822 source besides Debian's, or empty.
    """
    for pattern, message in (
        (_EXPIRED, RECIPE_DEBIAN_EXPIRED),
        (_NOT_YET, CHECK_NOT_YET),
        (_NOT_SIGNED, CHECK_NOT_SIGNED),
    ):
        if (line := pattern.search(output)) is not None:
            source = _source(line[0], suite, repository)
            return HostError(message, source=source, details=details, retry=Retry.NO)
    if (missing := _NO_PACKAGE.search(output)) is not None:
        name = missing[1] or missing[2]
        return HostError(RECIPE_NO_PACKAGE, name=name, details=details, retry=Retry.NO)
    return None


def _source(line: str, suite: str, repository: str) -> str:
    """The name of the source that the line is about."""
    uri = _URI.search(repository)
    return uri[1] if uri is not None and uri[1].rstrip("/") in line else f"Debian {suite}"
