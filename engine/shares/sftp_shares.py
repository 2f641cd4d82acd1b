"""Serves shared folders over SFTP while the machine runs, on hosts without virtiofs.

In the guest an sshfs listens on a socket for each share (`/usr/lib/galley/shares`), and mounts it
once the supervisor connects. While no supervisor serves it, or the machine is suspended, file
operations in the guest block until the next one connects (`guest/files/source/sftp_line.c`). Next:
`vm/sftp/server.py`, `shared_folders.py`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable

from vm.errors import GalleyError
from vm.guest.protocol import Stream
from vm.host.open_files import Budget
from vm.types import Share

log = logging.getLogger(__name__)

SOCKET = "/run/galley/share{}.sock"  # in the guest
AGAIN = 0.1  # seconds between two attempts to connect

Dial = Callable[[str], Stream]


class ServedFolders:
    """A thread for each folder, from `begin` to `end`."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._ended.set()
        self._budget = Budget()
        self._streams: dict[int, Stream] = {}
        self._threads: dict[int, threading.Thread] = {}  # by the folder's number

    def begin(
        self,
        dial: Dial,
        folders: tuple[Share, ...],
        private: tuple[str, ...] = (),
        id_offset: int = 0,
    ) -> None:
        """Serve `folders`, without the folders in `private`. `id_offset`: of containers'
        user namespaces. Idempotent."""
        if not self._ended.is_set():
            return
        self._ended = ended = threading.Event()
        for number, share in enumerate(folders):
            before = self._threads.get(number)
            words = (dial, number, share, private, id_offset, ended, before)
            self._threads[number] = threading.Thread(
                target=self._serve, args=words, name=f"share{number}", daemon=True
            )
            self._threads[number].start()

    def end(self) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        for stream in list(self._streams.values()):
            stream.close()
        for thread in self._threads.values():
            thread.join(timeout=5)

    def _serve(
        self,
        dial: Dial,
        number: int,
        share: Share,
        private: tuple[str, ...],
        id_offset: int,
        ended: threading.Event,
        before: threading.Thread | None,
    ) -> None:
        from vm.sftp import server  # paramiko is slow to import, and few need this

        if before is not None:
            before.join()  # on a slow disk: earlier requests are done before new ones
        while not ended.wait(AGAIN):
            with contextlib.suppress(GalleyError, OSError):
                self._streams[number] = stream = dial(SOCKET.format(number))
                log.info("serving %s", share.host_path)
                server.serve(stream, share, private, self._budget, id_offset)
                log.info("%s is no longer served", share.host_path)
            self._streams.pop(number, None)
