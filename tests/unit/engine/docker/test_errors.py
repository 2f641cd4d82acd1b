"""dockerd's messages as sentences with hints, for errors that no other test can provoke."""

import pytest

from engine.docker.errors import clean, hint, refused
from vm.errors import ObjectConflict, from_problem

ID = "0123456789ab" + "c" * 52
NETWORKING = (
    "failed to set up container networking: driver failed programming external connectivity on "
    f"endpoint web ({ID}): Bind for 0.0.0.0:80 failed: port is already allocated"
)
PROXY = 'Get "https://example.com/v2/": proxyconnect tcp'
VERIFY = 'Get "https://10.0.2.2:5/v2/": tls: failed to verify certificate: x509'
EXPIRED = "certificate has expired or is not yet valid"


@pytest.mark.parametrize(
    ("message", "sentence", "advice"),
    [
        (
            "conflict: image is being used by stopped container 0123456789ab",
            "Image is being used by stopped container web.",
            "Remove container web first, or remove the image by force.",
        ),
        (
            "pull access denied for private, repository does not exist",
            "Pull access denied for private, repository does not exist.",
            "Check the name of the image",
        ),
        (
            "manifest for web:9 not found: manifest unknown: manifest unknown",
            "Manifest for web:9 not found: manifest unknown.",
            "The registry has no such tag.",
        ),
        (
            'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused',
            "The registry 127.0.0.1:9 cannot be reached: connection refused.",
            "Check the name before the first slash",
        ),
        (
            "Get http://nowhere/v2/: dial tcp: lookup nowhere on 1.1.1.1:53: no such host",
            "The registry nowhere cannot be reached: no such host.",
            "Check the name before the first slash",
        ),
        (
            "dial tcp 127.0.0.1:9: connect: connection refused",
            "The registry 127.0.0.1:9 cannot be reached: connection refused.",
            "Check the name before the first slash",
        ),
        (
            f"{PROXY}: dial tcp 10.0.2.2:3128: connect: connection refused",
            "The proxy 10.0.2.2:3128 cannot be reached: connection refused.",
            "Start the proxy, or choose another",
        ),
        (
            f"{VERIFY}: certificate signed by unknown authority",
            "The certificate of 10.0.2.2:5 is refused: certificate signed by unknown authority.",
            "Add that authority to the trust store",
        ),
        (
            f"{VERIFY}: certificate has expired or is not yet valid: current time 1 is after 0",
            f"The certificate of 10.0.2.2:5 is refused: {EXPIRED}: current time 1 is after 0.",
            "The operator of the registry",
        ),
        (
            "Error response from daemon: write /var/lib/x: no space left on device",
            "Write /var/lib/x: no space left on device.",
            "The engine's disk is full.",
        ),
        (
            NETWORKING,
            "Bind for 0.0.0.0:80 failed: port is already allocated.",
            "Port 80 is published by another container.",
        ),
        ("", "The Docker Engine refused.", ""),
    ],
)
def test_a_message_becomes_a_sentence_and_a_hint(message: str, sentence: str, advice: str) -> None:
    names = {"0123456789ab": "web"}
    assert clean(message, names).english == sentence
    given = hint(message, names)
    assert (given.english if given else "").startswith(advice)
    assert bool(given) == bool(advice)


def test_long_ids_are_shortened() -> None:
    assert clean(f"x {ID} y", {}).english == "X 0123456789ab y."


def test_an_error_keeps_its_type_across_the_control_socket() -> None:
    error = refused("in use", 409, "DELETE /x")
    assert isinstance(from_problem(error.to_problem()), ObjectConflict)
    assert error.details == "HTTP 409 DELETE /x\nin use"
