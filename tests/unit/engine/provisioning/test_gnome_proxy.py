"""Output of `gsettings` of GNOME 48. `test_proxies.py` runs a real `gsettings`."""

import errno

import pytest

from engine.provisioning import gnome_proxy
from vm.host import process

MANUAL = "org.gnome.system.proxy mode 'manual'\n"
HTTP = "org.gnome.system.proxy.http host 'h'\norg.gnome.system.proxy.http port 8080\n"
HTTPS = 'org.gnome.system.proxy.https host "it\'s"\norg.gnome.system.proxy.https port 1\n'
SAME = "org.gnome.system.proxy use-same-proxy true\n"
NEVER = "org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1', '*.a.com']\n"


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("", {}),
        ("nothing\n\nof it makes sense (\n" + MANUAL, {}),
        (HTTP + SAME + NEVER, {}),
        (HTTP + "org.gnome.system.proxy mode 'auto'\n", {}),
        (MANUAL + NEVER, {}),
        (MANUAL + HTTP, {"http": "http://h:8080"}),
        (MANUAL + HTTP + SAME, {"http": "http://h:8080", "https": "http://h:8080"}),
        (MANUAL + SAME + HTTP + HTTPS, {"http": "http://h:8080", "https": "http://it's:1"}),
        (
            MANUAL + HTTPS + NEVER,
            {"https": "http://it's:1", "no": "localhost,127.0.0.0/8,::1,.a.com"},
        ),
        (MANUAL + HTTP.replace("8080", "0"), {}),
        (MANUAL + HTTP.replace("'h'", "'::1'"), {"http": "http://[::1]:8080"}),
        (MANUAL + HTTP + "org.gnome.system.proxy ignore-hosts @as []\n", {"http": "http://h:8080"}),
    ],
)
def test_gsettings_output_is_parsed(output: str, found: dict[str, str]) -> None:
    assert gnome_proxy.parse(output) == found


def test_no_proxy_is_found_if_gsettings_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: object, **how: object) -> None:
        raise OSError(errno.EMFILE, "too many files")

    monkeypatch.setattr(process, "run", run)
    assert gnome_proxy.found() == {}
