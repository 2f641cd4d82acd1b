"""TLS to an engine, with the certificates of a docker context.

Python 3.13 enforces RFC 5280 strictly: it refuses an authority without "key usage" and a
certificate without "authority key identifier". Docker's own guide ("Protect the Docker daemon
socket") makes such certificates, and its CLI accepts them, so Galley does too. All else is checked:
signature, name, dates.
"""

import ssl
from typing import Any

import urllib3.util.ssl_

from engine.docker.sdk import docker, requests
from engine.dockercli.endpoint import Endpoint


class _Adapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = urllib3.util.ssl_.create_urllib3_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        super().init_poolmanager(*arguments, **options, ssl_context=context)


def config(endpoint: Endpoint) -> docker.tls.TLSConfig | None:
    """For the SDK; None where the endpoint has no TLS."""
    if not endpoint.uses_tls:
        return None
    pair = (endpoint.cert, endpoint.key) if endpoint.cert else None
    return docker.tls.TLSConfig(
        client_cert=pair, ca_cert=endpoint.ca or None, verify=endpoint.verify
    )


def mount(api: docker.APIClient, connections: int) -> None:
    """Let all requests to https go this way."""
    api.mount("https://", _Adapter(pool_connections=1, pool_maxsize=connections))
    # requests would let REQUESTS_CA_BUNDLE win over the context's authority (psf/requests 3829).
    api.trust_env = False
