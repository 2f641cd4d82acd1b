"""The guest's hosts file follows the containers and the setting."""

from typing import cast

import pytest

from engine.ports.published_spec import Container, Network, Networks
from engine.provisioning import container_dns
from engine.provisioning.container_dns import LocalNames
from engine.settings.store import SettingsStore
from vm.errors import GuestUnreachable
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed
from vm.messages import Message


class ScriptedGuest:
    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.is_unreachable = False

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        if self.is_unreachable:
            raise GuestUnreachable(Message("", "The guest does not answer."))
        assert argv == ("tee", container_dns.FILE)
        self.files.append(stdin)
        return Completed(argv, 0, stdin, b"")


class ScriptedMachine:
    def __init__(self, guest: ScriptedGuest) -> None:
        self.guest = cast(Guest, guest)


def container(name: str, *addresses: str) -> Container:
    networks = {f"n{at}": Network(address) for at, address in enumerate(addresses)}
    return Container("1", (f"/{name}",), NetworkSettings=Networks(networks))


WEB = container("web", "172.17.0.2", "172.18.0.2")
WEBS = b"172.17.0.2 web.galley.local\n172.18.0.2 web.galley.local\n"


@pytest.fixture
def settings(home: Home) -> SettingsStore:
    return SettingsStore(home)


@pytest.fixture
def guest() -> ScriptedGuest:
    return ScriptedGuest()


@pytest.fixture
def names(settings: SettingsStore, guest: ScriptedGuest) -> LocalNames:
    return LocalNames(settings, ScriptedMachine(guest))


def test_every_address_has_a_line_and_invalid_names_have_none() -> None:
    assert container_dns.hosts([WEB, container("hosts-own", "")]) == WEBS
    assert container_dns.hosts([container("a..b", "172.17.0.2")]) == b""
    assert container_dns.hosts([container("a" * 64, "172.17.0.2")]) == b""
    assert container_dns.hosts([container("a." * 120 + "a", "172.17.0.2")]) == b""


def test_nothing_is_written_while_the_setting_is_off(
    names: LocalNames, guest: ScriptedGuest
) -> None:
    names.follow([WEB])
    assert guest.files == []


def test_the_file_follows_the_setting_and_the_containers(
    names: LocalNames, settings: SettingsStore, guest: ScriptedGuest
) -> None:
    names.follow([WEB])
    settings.set("local_names", "true")
    assert guest.files == [WEBS]
    names.follow([WEB])
    assert len(guest.files) == 1
    names.follow([])
    assert guest.files[1:] == [b""]
    names.follow([WEB])
    settings.set("local_names", "false")
    assert guest.files[2:] == [WEBS, b""]
    names.follow([WEB])
    assert len(guest.files) == 4


def test_names_are_written_again_for_another_machine(
    names: LocalNames, settings: SettingsStore, guest: ScriptedGuest
) -> None:
    settings.set("local_names", "true")
    names.follow([WEB])
    names.forget()
    names.follow([WEB])
    assert guest.files == [WEBS, WEBS]


def test_a_failed_write_is_retried(
    names: LocalNames, settings: SettingsStore, guest: ScriptedGuest
) -> None:
    settings.set("local_names", "true")
    guest.is_unreachable = True
    names.follow([WEB])
    guest.is_unreachable = False
    names.follow([WEB])
    assert guest.files == [WEBS]
