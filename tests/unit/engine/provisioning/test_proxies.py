"""Which proxies apply, and their addresses as the guest sees them."""

import socket
import subprocess

import pytest

from engine.provisioning import gnome_proxy
from engine.provisioning import proxies as proxy
from engine.provisioning.proxies import Proxies
from engine.settings.store import SettingsStore
from vm.host.net import free_port
from vm.host.paths import Home

ALWAYS = "localhost,127.0.0.1,::1,host.docker.internal,gateway.docker.internal,10.0.2.2"


@pytest.fixture
def settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> SettingsStore:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return SettingsStore(home)


def test_without_a_proxy_there_are_no_variables(settings: SettingsStore) -> None:
    proxies, problem = proxy.wanted(settings)
    assert (proxies, problem) == (Proxies(), None)
    assert proxies.variables() == {}


def test_proxies_of_the_environment(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "example.com:3128")
    monkeypatch.setenv("https_proxy", "http://localhost:3129/")
    monkeypatch.setenv("NO_PROXY", "a.example.com, b.example.com")
    proxies, problem = proxy.wanted(settings)
    assert problem is None
    assert proxies.named("http", "https", "none") == {
        "http": "http://example.com:3128",
        "https": "http://10.0.2.2:3129",
        "none": f"{ALWAYS},a.example.com,b.example.com",
    }
    settings.set("proxy", "none")
    assert proxy.wanted(settings) == (Proxies(), None)


def test_gnome_proxies_apply_if_the_environment_has_none(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "mine.example.com")
    for key, value in {
        "http host": "example.com",
        "http port": "3128",
        "http use-authentication": "true",
        "http authentication-user": "me",
        "http authentication-password": "hid:d@n",
        " ignore-hosts": "['*.example.com']",
    }.items():
        part, _, name = key.partition(" ")
        schema = ".".join(filter(None, (gnome_proxy.SCHEMA, part)))
        subprocess.run(["gsettings", "set", schema, name, value], check=True, timeout=30)
    assert proxy.wanted(settings)[0] == Proxies(no_proxy="mine.example.com")
    subprocess.run(["gsettings", "set", gnome_proxy.SCHEMA, "mode", "manual"], check=True)
    there = "http://me@example.com:3128"
    assert proxy.wanted(settings) == (Proxies(there, there, "mine.example.com"), None)
    assert proxy.password(there) == "hid:d@n"
    monkeypatch.delenv("no_proxy")
    assert proxy.wanted(settings)[0].no_proxy == ".example.com"
    monkeypatch.setenv("HTTP_PROXY", "http://example.com:1")
    assert proxy.wanted(settings)[0] == Proxies("http://example.com:1")
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("PATH", "/nowhere")  # no desktop
    assert proxy.wanted(settings) == (Proxies(), None)


def test_proxies_of_the_settings(settings: SettingsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://example.com:1")
    settings.set("proxy", "manual")
    settings.set("http_proxy", "http://127.0.0.2")
    assert proxy.wanted(settings)[0].variables() == {
        "http_proxy": "http://10.0.2.2",
        "HTTP_PROXY": "http://10.0.2.2",
        "no_proxy": ALWAYS,
        "NO_PROXY": ALWAYS,
    }


@pytest.mark.parametrize(
    ("given", "reason"),
    [("https://me:hidden@h:1", "log in only to"), ("hidden://example.com", "is invalid")],
)
def test_an_unusable_proxy_is_reported(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch, given: str, reason: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", given)
    monkeypatch.setenv("HTTPS_PROXY", "http://example.com:2")
    proxies, problem = proxy.wanted(settings)
    assert proxies == Proxies(https="http://example.com:2")
    assert problem is not None
    assert reason in problem.summary
    assert problem.hint
    assert "hidden" not in repr(problem)


def test_the_password_of_a_proxy_in_the_environment(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hid%40den@example.com:1")
    proxies, problem = proxy.wanted(settings)
    assert problem is None
    assert proxies.with_login == ("http://me@example.com:1",)
    assert proxy.password("http://me@example.com:1") == "hid@den"
    assert "https_proxy" not in proxies.variables()  # without the forwarder no container gets it


def test_an_unreachable_proxy_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert proxy.why_down(Proxies(there, there)) is None
        gone = f"http://127.0.0.1:{free_port()}"
        problem = proxy.why_down(Proxies(there, gone))
    assert problem is not None
    assert problem.summary == f"The proxy {gone} does not answer: connection refused."
    assert proxy.why_down(Proxies()) is None


def test_lower_case_variables_take_precedence() -> None:
    found = proxy.of_environment(
        {"HTTP_PROXY": "http://big:1", "http_proxy": "http://small:1", "NO_PROXY": "here", "X": "y"}
    )
    assert found == {"http": "http://small:1", "no": "here"}
    assert proxy.of_environment({"https_proxy": "", "HTTPS_PROXY": "http://big:1"}) == {
        "https": "http://big:1"
    }


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("", "localhost"),
        ("", "127.0.0.2"),
        ("", "::1"),
        ("*", "example.com"),
        ("example.com", "example.com"),
        ("example.com", "a.example.com"),
        (".example.com", "a.b.EXAMPLE.com."),
        ("other, *.example.com", "a.example.com"),
        ("example.com:443", "example.com"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("fd00::/8", "fd00::1"),
        ("[fd00:0::1]", "fd00::1"),
        ("[fd00::1]:443", "fd00::1"),
    ],
)
def test_hosts_that_bypass_the_proxy(no_proxy: str, host: str) -> None:
    assert Proxies(no_proxy=no_proxy).bypasses(host, 443)


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("", "example.com"),
        ("example.com", "notexample.com"),
        ("a.example.com", "example.com"),
        ("example.com:80", "example.com"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "example.com"),
        ("10.0.0.0/8", "fd00::1"),
        ("*.,.,[,:,example.com:x", "example.com"),
    ],
)
def test_hosts_that_do_not_bypass_the_proxy(no_proxy: str, host: str) -> None:
    assert not Proxies(no_proxy=no_proxy).bypasses(host, 443)
