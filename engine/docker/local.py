"""The SDK's connection to a Unix socket, without its leak.

docker-py 7.2 loses a socket that fails to connect: it stays open until garbage collection, one for
every request while an engine is away.
"""

from functools import partial
from pathlib import Path
from typing import Any

from engine.bridge import unix
from engine.docker.sdk import docker, unixconn
from engine.dockercli.endpoint import Endpoint


class _Connection(unixconn.UnixHTTPConnection):
    def __init__(self, own: bool, *options: Any) -> None:
        super().__init__(*options)
        self._own = own

    def connect(self) -> None:
        self.sock = unix.dial(Path(self.unix_socket), self.timeout, own=self._own)


class _Adapter(unixconn.UnixHTTPAdapter):
    own = False

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        pool: Any = super().get_connection(url, proxies)
        pool._new_conn = partial(
            _Connection, self.own, pool.base_url, pool.socket_path, pool.timeout
        )
        return pool


def mount(api: docker.APIClient, endpoint: Endpoint, timeout: float, connections: int) -> None:
    """Let all requests go this way. `endpoint`: unix:///…"""
    seconds: Any = timeout  # the stubs allow whole seconds only
    adapter = _Adapter("http+" + endpoint.url, seconds, max_pool_size=connections)
    adapter.own = endpoint.own
    api.mount("http+docker://", adapter)
