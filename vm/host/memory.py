"""Memory shared with another process: a memfd. Linux only; elsewhere `supported` is False, and what
needs one raises OSError.

A program opens it as a file (`path_of`) and keeps it while it runs; any process that knows its pid
and descriptor number can open it again, also after its creator has ended. Pages that were never
written take no memory and no disk; in a copy, neither do zeros. Next:
`vm/backends/qemu/state/saved.py`.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vm.host import sparse

PIECE = 16 << 20  # bytes that one thread copies at a time
THREADS = 2  # one core alone does not fill a memory bus
BLOCK = 256 << 10  # bytes that stay in a core's own cache between reading and writing
PAGE = 4096  # bytes
ZEROS = bytes(PAGE)
ELSEWHERE = "only Linux has memfd"


def supported() -> bool:
    return sys.platform == "linux"


def create(size: int) -> int:
    """A descriptor of that many bytes of empty memory. Raises OSError."""
    if sys.platform == "linux":
        memory = os.memfd_create("galley", os.MFD_CLOEXEC)
        os.ftruncate(memory, size)
        return memory
    raise OSError(ELSEWHERE)


def path_of(memory: int) -> Path:
    """The path that a process which has inherited the descriptor opens."""
    return Path(f"/proc/self/fd/{memory}")


def open_of(pid: int, memory: int) -> int:
    """Open a living process's memory, by its descriptor there. Raises OSError."""
    return os.open(f"/proc/{pid}/fd/{memory}", os.O_RDWR)


def copy(source: int, target: int) -> None:
    """Copy all of `source` to the empty `target`, which gets its size. Zero pages become holes.
    Raises OSError."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    if size == 0:
        return
    if sys.platform == "linux":
        os.posix_fadvise(source, 0, 0, os.POSIX_FADV_WILLNEED)

    def copy_piece(at: int) -> None:
        end = min(at + PIECE, size)
        block = bytearray(BLOCK)
        buffer = memoryview(block)
        # Small holes are read, too: finding the end of each would cost more.
        while (at := sparse.next_data(source, at, size)) < end:
            count = _read(source, buffer[: end - at], at)
            if count == 0:
                raise OSError("the file has become shorter")
            for first, last in _data(block, count):
                _write(target, buffer[first:last], at + first)
            at += count

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(copy_piece, range(0, size, PIECE)):
            pass


def _data(block: bytearray, count: int) -> list[tuple[int, int]]:
    """The ranges of its first `count` bytes without zero pages: first byte, and the one after the
    last."""
    zeros = [at for at in range(0, count, PAGE) if block.startswith(ZEROS, at)]
    ends = zip([0, *(at + PAGE for at in zeros)], [*zeros, count], strict=True)
    return [(first, last) for first, last in ends if first < last]


def _read(source: int, buffer: memoryview, at: int) -> int:
    if sys.platform == "linux":
        return os.preadv(source, [buffer], at)
    raise OSError(ELSEWHERE)


def _write(target: int, data: memoryview, at: int) -> None:
    if sys.platform == "linux":
        done = 0
        while done < len(data):
            done += os.pwrite(target, data[done:], at + done)
    else:
        raise OSError(ELSEWHERE)
