"""When the machine gets the setting. Tests of its rules are in `guest`."""

from typing import cast

import pytest

from engine.provisioning import host_loopback
from engine.provisioning.proxies import Proxies
from engine.settings.store import SettingsStore
from vm.errors import EngineFailed
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed

PROXIES = Proxies("http://127.0.0.1:3128", "http://user@example.com:1", login_port=20001)


class ScriptedGuest:
    def __init__(self, returncode: int = 0) -> None:
        self.ran: list[tuple[str, ...]] = []
        self._returncode = returncode

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        self.ran.append(argv)
        return Completed(argv, self._returncode, b"", b"no such rule")


def update_guest(guest: ScriptedGuest, words: str, *console: str) -> list[tuple[str, ...]]:
    host_loopback.update_guest(cast(Guest, guest), words, console)
    return guest.ran


def test_the_setting_as_arguments_for_the_guest(home: Home) -> None:
    settings = SettingsStore(home)
    assert host_loopback.wanted(settings, PROXIES) == "on"
    settings.set("host_loopback", "false")
    assert host_loopback.wanted(settings, PROXIES) == "off 3128 20001"
    assert host_loopback.wanted(settings, Proxies()) == "off"
    assert host_loopback.boot_file("on") == b""
    assert host_loopback.boot_file("off 3128") == b"off 3128"


@pytest.mark.parametrize(
    ("proxies", "ports"),
    [
        (Proxies("http://localhost:3128", "http://[::1]:3128"), (3128,)),
        (Proxies("http://example.com:3128", "http://127.0.0.1"), (80,)),
        (Proxies("http://10.0.2.2:8080", "http://user@example.com:1"), (8080,)),
        (Proxies(no_proxy="localhost"), ()),
    ],
)
def test_ports_of_proxies_on_the_hosts_loopback(proxies: Proxies, ports: tuple[int, ...]) -> None:
    assert proxies.loopback_ports == ports


def test_a_machine_that_reports_the_setting_gets_no_command() -> None:
    guest = ScriptedGuest()
    assert update_guest(guest, "on") == []
    assert update_guest(guest, "on", "host-loopback off", "host-loopback on", "engine") == []
    assert update_guest(guest, "off 3128", "host-loopback off 3128") == []


def test_a_machine_that_lacks_the_setting_gets_it() -> None:
    assert update_guest(ScriptedGuest(), "off") == [(host_loopback.COMMAND, "off")]
    guest = ScriptedGuest()
    update_guest(guest, "off 3128 20001", "host-loopback off 3128")
    update_guest(guest, "on", "host-loopback off")
    words = [("off", "3128", "20001"), ("on",)]
    assert guest.ran == [(host_loopback.COMMAND, *each) for each in words]


def test_a_machine_that_rejects_the_setting_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="this computer's services") as caught:
        update_guest(ScriptedGuest(127), "off")
    assert "no such rule" in caught.value.details
