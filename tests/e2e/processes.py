"""Finds, stops and kills processes for tests. Linux only."""

import ctypes
import os
import socket

import psutil


def belonging_to(home: str) -> dict[int, str]:
    """Processes that have `home` in their command line or as their GALLEY_HOME."""
    found = {}
    for one in psutil.process_iter():
        try:
            line = " ".join(one.cmdline())
            mine = home in line or one.environ().get("GALLEY_HOME") == home
            if mine and one.status() != psutil.STATUS_ZOMBIE and one.pid != os.getpid():
                found[one.pid] = line
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # it ended, or belongs to another user
            continue
    return found


def shut_connections(pid: int, path: str) -> int:
    """Shuts down the connections that a process accepted on a socket file; returns their number.

    pidfd_getfd (Linux 5.6) duplicates its sockets into this process.
    """
    pidfd_getfd = 438
    handle = os.pidfd_open(pid)
    shut = 0
    for connection in psutil.Process(pid).net_connections("unix"):
        if str(connection.laddr) == path:
            copy = ctypes.CDLL(None, use_errno=True).syscall(pidfd_getfd, handle, connection.fd, 0)
            if copy < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            with socket.socket(fileno=copy) as theirs:
                if not theirs.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    theirs.shutdown(socket.SHUT_RDWR)
                    shut += 1
    os.close(handle)
    return shut
