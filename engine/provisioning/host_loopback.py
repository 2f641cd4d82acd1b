"""The setting `host_loopback`: whether containers reach services on this computer's loopback.

QEMU's user network routes 10.0.2.2 there, which cannot be turned off, so the guest's firewall
rejects these connections where the setting is off. A starting machine has the setting as a boot
file, before dockerd runs; a running one gets a change at once. It reports what it has on its
console. Next: `provisioning.py`; in the guest, usr/lib/galley/host-loopback.
"""

from collections.abc import Sequence

from engine.messages.guest import GUEST_SETTINGS_HOST_LOOPBACK
from engine.provisioning.proxies import Proxies
from engine.settings.store import SettingsStore
from vm.errors import EngineFailed
from vm.guest.protocol import Guest

COMMAND = "/usr/lib/galley/host-loopback"
BOOT_FILE = "host-loopback"
ON, OFF = "on", "off"


def wanted(settings: SettingsStore, proxies: Proxies) -> str:
    """In the guest's format: "on", or "off" with the ports of proxies, which stay reachable."""
    if settings.current().host_loopback:
        return ON
    return " ".join((OFF, *map(str, proxies.loopback_ports)))


def boot_file(words: str) -> bytes:
    """The boot file; none for "on", which is the default."""
    return b"" if words == ON else words.encode()


def update_guest(guest: Guest, words: str, console: Sequence[str]) -> None:
    """Send the setting to a running machine, unless it has it. Raises EngineFailed,
    GuestUnreachable."""
    lines = (line for line in reversed(console) if line.startswith(f"{BOOT_FILE} "))
    if next(lines, f"{BOOT_FILE} {ON}") == f"{BOOT_FILE} {words}":
        return
    done = guest.run((COMMAND, *words.split()))
    if not done.ok:
        raise EngineFailed(
            GUEST_SETTINGS_HOST_LOOPBACK,
            details=done.tail(),
        )
