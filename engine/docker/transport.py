"""Requests to dockerd, as bytes in and out.

Each kind of object decodes the bytes into the fields that it shows; docker-py would build
dictionaries of everything first, which is slow for a thousand containers. Only its connections are
used: Unix sockets, named pipes, TLS, and registry logins. Next: `containers.py`.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.errors import Names, answering
from engine.docker.sdk import docker, requests
from vm.errors import EngineError

PIECE = 64 * 1024  # bytes to read at a time from a stream
AT_ONCE = 256  # pieces handed on together: dockerd sends each line of a log by itself
type Parameter = str | int | float | None
type Body = Mapping[str, Any] | None


class Wire:
    """One engine's HTTP. Every method raises EngineUnreachable and EngineRefused.

    `names`: of the objects for which dockerd's errors have only the id.
    """

    def __init__(self, api: docker.APIClient, names: Names | None = None) -> None:
        self.api = api
        self.names: Names = names or {}

    def get(self, path: str, **parameters: Parameter) -> bytes:
        return self.send("GET", path, parameters)

    def post(self, path: str, body: Body = None, **parameters: Parameter) -> bytes:
        return self.send("POST", path, parameters, body)

    def delete(self, path: str, **parameters: Parameter) -> bytes:
        return self.send("DELETE", path, parameters)

    def send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Parameter],
        body: Body = None,
        extra_seconds: float = 0.0,
    ) -> bytes:
        """`extra_seconds`: how much longer than usual the answer may take."""
        with (
            answering(self.names),
            self.request(method, path, parameters, body, extra_seconds) as response,
        ):
            return bytes(response.content)

    def chunks(
        self,
        path: str,
        cancel: Cancel,
        parameters: Mapping[str, Parameter],
        method: str = "GET",
    ) -> Iterator[bytes]:
        """Data as it arrives, to the end. Raises Cancelled."""
        try:
            with answering(self.names):
                yield from self._chunks(method, path, cancel, parameters)
        except EngineError:
            cancel.check()  # after a cancel the socket's error means nothing
            raise
        cancel.check()

    def _chunks(
        self,
        method: str,
        path: str,
        cancel: Cancel,
        parameters: Mapping[str, Parameter],
    ) -> Iterator[bytes]:
        cancel.check()
        with self.request(method, path, parameters) as response:
            raw = response.raw
            socket_below(response).settimeout(None)  # silence is no failure; `cancel` ends it

            def interrupt() -> None:
                with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has already ended
                    raw.shutdown()

            with cancel.closing(interrupt):
                while data := raw.read1(PIECE):
                    parts = [data]
                    while len(parts) < AT_ONCE and _has_more(response):
                        parts.append(raw.read1(PIECE))
                    yield b"".join(parts)

    def lines(self, path: str, cancel: Cancel, **parameters: Parameter) -> Iterator[bytes]:
        """The lines of a stream of JSON documents."""
        return lines_of(self.chunks(path, cancel, parameters))

    def request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Parameter],
        body: Body = None,
        extra_seconds: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The response with its head read. Raises what the SDK raises: call it when `answering`."""
        response = self.api.request(
            method,
            f"{self.api.base_url}/v{self.api.api_version}{path}",
            params={key: value for key, value in parameters.items() if value is not None},
            data=None if body is None else msgspec.json.encode(body),
            headers={"Content-Type": "application/json", **(headers or {})},
            timeout=(self.api.timeout, self.api.timeout + extra_seconds),
            stream=True,
        )
        try:
            response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            raise _api_error(response, error) from error
        return response


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, stripped, without empty ones."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, map(bytes.strip, whole))
    if rest.strip():
        yield rest


def socket_below(response: requests.Response) -> socket.socket:
    """The socket that it is read from; the SDK's named pipe behaves like one."""
    raw: Any = response.raw
    file = raw._fp.fp.raw
    found: socket.socket = file.sock if hasattr(file, "sock") else file._sock
    return found


def _has_more(response: requests.Response) -> bool:
    """Whether there is more to read without waiting for it."""
    raw: Any = response.raw
    if raw._fp.fp is None:  # it has ended
        return False
    below: Any = socket_below(response)
    if not isinstance(below, socket.socket) or isinstance(below, ssl.SSLSocket):
        return False  # no way to peek
    below.settimeout(0)
    try:
        return len(raw._fp.fp.peek(1)) > len(b"\r\n")  # the end of the last chunk
    finally:
        below.settimeout(None)


def _api_error(
    response: requests.Response, error: requests.exceptions.HTTPError
) -> docker.errors.APIError:
    """dockerd's message is read here, while the connection is open."""
    try:
        explanation = msgspec.json.decode(response.content, type=_Message).message
    except msgspec.DecodeError:
        explanation = response.text.strip()
    response.close()
    return docker.errors.APIError(str(error), response=response, explanation=explanation)


class _Message(msgspec.Struct):
    message: str
