"""JSON that somebody else has written: what reading it may raise.

A client or a dockerd can nest it as deeply as its limit of bytes allows. That ends in
RecursionError, which is no error of msgspec. `except UNREADABLE` takes all of them, so that no
thread ends by one.
"""

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
