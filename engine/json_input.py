"""The errors of decoding JSON from an untrusted source.

A client or a dockerd can nest it as deeply as its limit of bytes allows, which ends in
RecursionError, not an error of msgspec. `except UNREADABLE` catches all of them, so that no thread
ends.
"""

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
