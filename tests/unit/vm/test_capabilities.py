"""The contract of a backend as a shape: ten members, and attributes that may be None."""

import inspect
import typing

import pytest

from vm import capabilities
from vm.backend import Backend
from vm.backends import BACKENDS
from vm.backends.qemu.backend import QemuBackend
from vm.host import memory

MEMBERS = {
    "name", "features", "probe", "create", "start", "stop", "wait_stopped", "delete", "observe",
    "guest",
}  # fmt: skip
HINTS = typing.get_type_hints(Backend)


def test_a_backend_has_ten_members_and_each_capability_is_optional() -> None:
    written = {name for name in vars(Backend) if not name.startswith("_")}
    assert written - set(HINTS) == MEMBERS
    assert all(getattr(Backend, name) is None for name in HINTS)


def test_every_capability_is_an_attribute() -> None:
    protocols = {
        kind
        for _, kind in inspect.getmembers(capabilities, inspect.isclass)
        if kind.__module__ == capabilities.__name__
    }
    assert {typing.get_args(hint) for hint in HINTS.values()} == {
        (protocol, type(None)) for protocol in protocols
    }


@pytest.mark.parametrize("name", list(BACKENDS))
def test_a_backend_sets_only_capabilities_each_of_its_type(name: str) -> None:
    made = BACKENDS[name]()
    for attribute, capability in vars(made).items():
        kind = typing.get_args(HINTS[attribute])[0]
        assert kind in type(capability).__mro__, attribute


def test_a_capability_depends_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU's memory can be saved where it is a memfd."""
    for is_supported in (True, False):
        monkeypatch.setattr(memory, "supported", lambda answer=is_supported: answer)
        made = QemuBackend()
        assert (made.suspends is not None) is is_supported
        assert (made.boot_checkpoints is not None) is is_supported
        assert made.pauses is not None
