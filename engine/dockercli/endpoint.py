"""The address of a Docker Engine, as a value. Next: `engine/docker/client.py`."""

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """`url`: unix://, npipe://, tcp:// or ssh://. `ca`, `cert`, `key`: files, "" for none. `own`:
    Galley's engine, whose socket no other user may have made."""

    name: str
    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True
    own: bool = False

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def uses_tls(self) -> bool:
        return self.scheme in ("tcp", "https") and bool(self.ca or self.cert or self.key)
