"""Addresses of proxies, and that a password in one is never shown."""

import pytest

from engine.settings import proxy_address
from vm.errors import SettingsError


@pytest.mark.parametrize(
    ("given", "address", "password"),
    [
        ("", "", ""),
        ("example.com:3128", "http://example.com:3128", ""),
        ("http://me@example.com", "http://me@example.com", ""),
        ("me:hidden@[::1]:8", "http://me@[::1]:8", "hidden"),
        ("http://me:p%40ss@h:1", "http://me@h:1", "p@ss"),
        ("http://a b:p@s:/s#?@h:1", "http://a%20b@h:1", "p@s:/s#?"),
    ],
)
def test_the_password_is_split_from_the_address(given: str, address: str, password: str) -> None:
    assert proxy_address.split(proxy_address.parse(given)) == (address, password)


def test_the_user_name_is_decoded() -> None:
    assert proxy_address.user(proxy_address.parse(r"DOMAIN\me:x@h:1")) == r"DOMAIN\me"
    assert proxy_address.user("http://h:1") == ""


@pytest.mark.parametrize(
    "given", ["http://:hidden@h:1", "http://me:hidden@h:99999", "ftp://me:hidden@h", "me:hidden@/"]
)
def test_an_error_never_contains_the_password(given: str) -> None:
    with pytest.raises(ValueError, match=r"proxy|user|range|computer") as caught:
        proxy_address.parse(given)
    assert "hidden" not in str(caught.value)
    assert "hidden" not in proxy_address.hidden(given)


@pytest.mark.parametrize("scheme", ["https", "socks5"])
def test_a_login_needs_a_plain_http_proxy(scheme: str) -> None:
    with pytest.raises(SettingsError, match="begins with http://") as caught:
        proxy_address.parse(f"{scheme}://me:hidden@h:1")
    assert "hidden" not in repr(caught.value.to_problem())
