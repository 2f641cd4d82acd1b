"""Streamed uploads and downloads: request bodies from an iterator, responses read as they come.

`transport.py` is for small documents, and has no deadline for streams: here a transfer without data
for ten minutes has failed. Next: `transfers.py`.
"""

import contextlib
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.errors import answering, refused
from engine.docker.sdk import docker, requests
from engine.docker.transport import lines_of

SILENCE = 600.0  # seconds without a byte from dockerd, after which a transfer has failed
PIECE = 256 * 1024

type Query = Mapping[str, str | int | list[str]]
type Body = bytes | Iterable[bytes] | None


@contextlib.contextmanager
def streaming(
    api: docker.APIClient,
    cancel: Cancel,
    method: str,
    path: str,
    query: Query | None = None,
    body: Body = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[requests.Response]:
    """An answer to be read piece by piece; a cancel from another thread ends the reading."""
    cancel.check()
    with answering():
        try:
            response = api.request(
                method,
                f"{api.base_url}/v{api.api_version}{path}",
                params=dict(query or {}),
                data=body,
                headers=dict(headers or {}),
                stream=True,
                timeout=SILENCE,
            )
            with response, cancel.closing(lambda: _interrupt(response)):
                cancel.check()
                _refuse(response)
                yield response
        except OSError:  # what an interrupted read raises, too
            cancel.check()
            raise
    cancel.check()


def pieces(response: requests.Response) -> Iterator[bytes]:
    return response.iter_content(PIECE)


def messages(response: requests.Response) -> Iterator[dict[str, Any]]:
    """The JSON messages of a stream; an error among them is raised as EngineRefused."""
    return map(_message, lines_of(response.iter_content(None)))


def _message(line: bytes) -> dict[str, Any]:
    message = msgspec.json.decode(line, type=dict[str, Any])
    if "error" in message:
        raise refused(str(message["error"]))
    return message


def quoted(name: str) -> str:
    """A name as a part of a path; images have "/" and ":" in theirs, which stay."""
    return urllib.parse.quote(name, safe="/:@")


def filters(**values: list[str]) -> str:
    """The `filters` of a query."""
    return msgspec.json.encode({name: wanted for name, wanted in values.items() if wanted}).decode()


def pretty(answer: bytes) -> bytes:
    return msgspec.json.format(answer, indent=2)


def _refuse(response: requests.Response) -> None:
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        docker.errors.create_api_error_from_http_exception(error)


def _interrupt(response: requests.Response) -> None:
    """Wake the thread that reads. A socket that is closed under its reader would not."""
    with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has been read to its end
        response.raw.shutdown()
