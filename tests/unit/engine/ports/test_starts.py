"""Ports that are opened for a container which then does not start."""

from collections.abc import Callable

import pytest

from engine.ports.published import PublishedPorts
from engine.ports.published_spec import Binding, Default, InspectedContainer, InspectedHostConfig
from engine.ports.reserved_ports import ReservedPorts
from engine.ports.services import Services
from engine.ports.starts import Starts
from tests.unit.engine.ports.test_published import WEB, FakeForwarder
from vm.guest.protocol import Stream

PUBLISHES_WEB = InspectedContainer(
    "1", InspectedHostConfig({"80/tcp": (Binding("", str(WEB.host_port)),)}), Name="/web"
)


def refuse() -> Stream:
    raise ConnectionRefusedError


def starts(ports: PublishedPorts, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """For a dockerd that runs nothing and has one created container."""
    made = Starts(
        dial=refuse,
        dial_ports=refuse,
        ports=ports,
        default=lambda: (WEB.host_address,),
        services=Services(refuse),
        look=lambda: ports.sync([]),
        must_share=lambda *_: None,
    )
    monkeypatch.setattr(made, "_ask", lambda container: PUBLISHES_WEB)
    return made


def test_the_port_is_open_until_dockerd_has_responded(monkeypatch: pytest.MonkeyPatch) -> None:
    forwarder = FakeForwarder()
    done = starts(PublishedPorts(forwarder, lambda: None), monkeypatch).about_to("web")
    assert forwarder.carried == {WEB}
    assert done is not None
    done()
    assert forwarder.carried == set()


def test_a_later_failure_releases_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(
        self: ReservedPorts, asked: InspectedContainer, default: Default
    ) -> Callable[[], None]:
        raise RuntimeError("out of the ordinary")

    monkeypatch.setattr(ReservedPorts, "hold", fail)
    forwarder = FakeForwarder()
    ports = PublishedPorts(forwarder, lambda: None)
    with pytest.raises(RuntimeError, match="out of the ordinary"):
        starts(ports, monkeypatch).about_to("web")
    assert ports.held() == frozenset()
    assert forwarder.carried == set()
