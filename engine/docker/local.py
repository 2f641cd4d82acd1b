"""The SDK's way to a socket file, mended. May import: `sdk`, `engine.bridge.unix`.

docker-py 7.2 makes a socket, connects it, and keeps it only afterwards: one that does not connect
stays open until Python's collector comes by, once for every request while an engine is away.
"""

from functools import partial
from pathlib import Path
from typing import Any

from engine.bridge import unix
from engine.docker.sdk import docker, unixconn


class _Connection(unixconn.UnixHTTPConnection):
    def connect(self) -> None:
        self.sock = unix.dial(Path(self.unix_socket), self.timeout)


class _Adapter(unixconn.UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        pool: Any = super().get_connection(url, proxies)
        pool._new_conn = partial(_Connection, pool.base_url, pool.socket_path, pool.timeout)
        return pool


def mount(api: docker.APIClient, url: str, timeout: float, connections: int) -> None:
    """Let all requests go this way. `url`: unix:///…"""
    seconds: Any = timeout  # the stubs know seconds as a whole number only
    api.mount("http+docker://", _Adapter("http+" + url, seconds, max_pool_size=connections))
