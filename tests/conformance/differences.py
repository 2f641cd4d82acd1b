"""Every difference between Galley and a native engine that is meant, with its reason.

`where` is a pattern for area/scenario/answer and what stands below it; `native` and `galley` stand
in the answers as JSON, so that another difference in the same place is still a failure. A reason
that explains nothing any more fails the suite.
May import: the standard library, msgspec. Next: `suite.py`, which applies it.
"""

from fnmatch import fnmatchcase

import msgspec


class Difference(msgspec.Struct, frozen=True):
    """`computer`: it depends on the computer that the suite runs on, so it may be unused."""

    where: str
    reason: str
    native: str = ""
    galley: str = ""
    computer: bool = False

    def explains(self, path: str, native: str, galley: str) -> bool:
        return fnmatchcase(path, self.where) and self.native in native and self.galley in galley


DIFFERENCES: tuple[Difference, ...] = ()
