"""Which proxies hold, and how they look from inside the machine."""

import socket

import pytest

from engine import proxy
from engine.proxy import Proxies
from engine.settings import SettingsStore
from vm.host.net import free_port
from vm.host.paths import Home

ALWAYS = "localhost,127.0.0.1,::1,host.docker.internal,gateway.docker.internal,10.0.2.2"


@pytest.fixture
def settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> SettingsStore:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return SettingsStore(home)


def test_no_proxy_is_no_variable(settings: SettingsStore) -> None:
    proxies, problem = proxy.wanted(settings)
    assert (proxies, problem) == (Proxies(), None)
    assert proxies.variables() == {}


def test_those_of_the_system(settings: SettingsStore, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_those_of_the_settings(settings: SettingsStore, monkeypatch: pytest.MonkeyPatch) -> None:
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
    ("given", "said"),
    [("https://me:hidden@h:1", "log in only to"), ("hidden://example.com", "makes no sense")],
)
def test_one_that_cannot_be_used_is_told(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", given)
    monkeypatch.setenv("HTTPS_PROXY", "http://example.com:2")
    proxies, problem = proxy.wanted(settings)
    assert proxies == Proxies(https="http://example.com:2")
    assert problem is not None
    assert said in problem.summary
    assert problem.hint
    assert "hidden" not in repr(problem)


def test_a_login_that_this_computer_knows(
    settings: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hid%40den@example.com:1")
    proxies, problem = proxy.wanted(settings)
    assert problem is None
    assert proxies.with_login == ("http://me@example.com:1",)
    assert proxy.password("http://me@example.com:1") == "hid@den"
    assert "https_proxy" not in proxies.variables()  # without a door, nobody is told of it


def test_whether_it_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert proxy.why_down(Proxies(there, there)) is None
        gone = f"http://127.0.0.1:{free_port()}"
        problem = proxy.why_down(Proxies(there, gone))
    assert problem is not None
    assert problem.summary == f"The proxy {gone} does not answer: connection refused."
    assert proxy.why_down(Proxies()) is None


def test_small_letters_come_before_capital_ones() -> None:
    found = proxy.of_environment(
        {"HTTP_PROXY": "http://big:1", "http_proxy": "http://small:1", "NO_PROXY": "here", "X": "y"}
    )
    assert found == {"http": "http://small:1", "no": "here"}
    assert proxy.of_environment({"https_proxy": "", "HTTPS_PROXY": "http://big:1"}) == {
        "https": "http://big:1"
    }
