"""One window for each home: a second start raises the first window and ends.

A local socket in the home's run directory, which only this user may change; a process that cannot
connect to it is the first. A file that a killed window has left is removed. On Windows it is a
named pipe, whose name another user could take first: then no window opens until they release it,
and they learn which page was requested.
"""

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

PATIENCE_MS = 1000


class SingleInstance(QObject):
    """`asked` gets the argument of another start: the page to show, or ""."""

    asked = Signal(str)

    def __init__(self, address: str, parent: QObject | None = None) -> None:
        """`address`: as `engine.control.protocol.window_address` has it."""
        super().__init__(parent)
        self._name = address
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._greet)

    def hand_over(self, page: str) -> bool:
        """Whether a window is there, which then shows `page`."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(PATIENCE_MS):
            return False
        socket.write(f"{page}\n".encode())
        socket.waitForBytesWritten(PATIENCE_MS)
        # It confirms: a window that hangs, or is closing, does not count.
        return socket.waitForReadyRead(PATIENCE_MS)

    def listen(self) -> None:
        if not self._server.listen(self._name):
            QLocalServer.removeServer(self._name)
            self._server.listen(self._name)

    def close(self) -> None:
        self._server.close()

    def _greet(self) -> None:
        socket = self._server.nextPendingConnection()
        socket.disconnected.connect(socket.deleteLater)
        socket.readyRead.connect(lambda: self._read(socket))

    def _read(self, socket: QLocalSocket) -> None:
        if socket.canReadLine():
            page = bytes(socket.readLine().data()).decode(errors="replace").strip()
            socket.write(b"shown\n")
            socket.flush()
            self.asked.emit(page)
