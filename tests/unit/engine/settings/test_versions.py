"""Settings files of older versions."""

import tomllib
from collections.abc import MutableMapping

import pytest

from engine.settings import store as settings_module
from engine.settings.image_settings import ImageSettings
from engine.settings.setting import GIB, HostSize
from engine.settings.store import SettingsStore
from vm.host.paths import Home

LATER = {*ImageSettings.__struct_fields__, "userns_remap"} - {"channel"}  # not in version 1
VERSION_1 = """\
version = 1
cpus = 3
memory = "3GiB"
disk = "80GiB"
backend = "fake"
accelerator = "tcg"
cpu_model = "max"
channel = "latest"
save_after = "1min"
save_busy = true
suspend_after = "never"
suspend = false
port_address = "0.0.0.0"
host_network_ports = false
host_loopback = false
local_names = true
proxy = "manual"
http_proxy = "http://example.com:3128"
https_proxy = "http://example.com:3129"
no_proxy = "example.com"
shares = ["/srv"]
read_only_shares = ["/opt"]
share_by = "sftp"
use_context = false
use_keyring = false
start_engine_at_login = true
"""


@pytest.fixture
def store(home: Home) -> SettingsStore:
    return SettingsStore(home, HostSize(4, 16 * GIB))


def test_an_old_file_is_migrated_when_read_and_rewritten_when_set(
    store: SettingsStore, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(document: MutableMapping[str, object]) -> None:
        if "processors" in document:
            document["cpus"] = document.pop("processors")

    monkeypatch.setattr(settings_module, "MIGRATIONS", (lambda _: None, rename))
    home.settings.write_text("processors = 3 # mine\nversion = 1\n")
    assert store.current().cpus == 3
    assert store.current().problems == ()
    assert "processors" in home.settings.read_text()
    store.set("memory", "2GiB")
    assert tomllib.loads(home.settings.read_text()) == {
        "cpus": 3, "version": 2, "memory": "2GiB",
    }  # fmt: skip


def test_a_file_of_version_1_is_read_completely(store: SettingsStore, home: Home) -> None:
    """Every value differs from its default. A renamed setting needs a migration."""
    home.settings.write_text(VERSION_1)
    assert store.load().problems == ()
    entries = {entry.setting.name: entry for entry in store.list()}
    assert {name for name, entry in entries.items() if entry.is_set} == set(
        tomllib.loads(VERSION_1)
    ) - {"version"}
    assert entries["save_after"].value == 60
    defaults = {name for name, entry in entries.items() if entry.value == entry.setting.default}
    assert defaults == {"start_at_login", *LATER}
