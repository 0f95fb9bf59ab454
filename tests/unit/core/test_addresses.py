"""Test `addresses`: URLs for callbacks, local addresses, and secrets in URLs."""

from __future__ import annotations

import pytest

from kling_nb.core.addresses import (
    check_public_url,
    has_secret,
    is_local,
    is_loopback,
    matches_public_path,
    without_password,
)
from kling_nb.errors import ConfigurationError

GOOD = [
    "https://abc.tunnel.example/kling",
    "http://abc.tunnel.example:8080/",
    "https://abc.tunnel.example",
    "https://8.8.8.8/cb?token=7",
    "https://hub.example/user/a%20b/cb",
    "https://[2606:4700::1111]/cb",
]
HOME = [
    "http://127.0.0.1:8787/",
    "http://127.8.9.1/",
    "http://localhost:9000/x",
    "http://sub.localhost./x",
    "http://[::1]/",
    "http://0.0.0.0/",
    "http://192.168.1.7/",
    "http://10.0.0.7/",
    "http://169.254.169.254/",
    "http://mybox/",
    "http://mybox.local/",
    "http://mybox.lan/",
    "http://127.1/",
    "http://0x7f.0.0.1/",
    "http://2130706433/",
    "http://[::ffff:192.168.1.7]/",
    "http://[fe80::1]/",
    "http://224.0.0.1/",
]
NO_ADDRESS = [
    "ftp://a.example/",
    "a.example/cb",
    "https://",
    "https://a.example:port/",
    "https://[::1/",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://user:s3cret@a.example/",
    "https://user@a.example/",
    "https://a.example/#part",
    "https://a.example/a b",
    "https://a.example/\nx",
    "https://a.example/ä",
    'https://a.example/"',
]


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_the_service_can_reach(url: str) -> None:
    """They are used unchanged."""
    assert check_public_url(f" {url} ", live=True) == url
    assert not is_local(url)


@pytest.mark.parametrize("url", HOME)
def test_urls_that_only_the_emulator_can_reach(url: str) -> None:
    """This machine and its network, by number or by name."""
    assert check_public_url(url, live=False) == url
    assert is_local(url)
    with pytest.raises(ConfigurationError, match="cannot reach"):
        check_public_url(url, live=True)


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_invalid_callback_urls(url: str) -> None:
    """The message says what to give, and shows no password."""
    with pytest.raises(ConfigurationError, match="tunnel or reverse proxy") as caught:
        check_public_url(url, live=False)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path", "leads"),
    [
        ("", "/", True),
        ("", "/x", False),
        ("https://a.example", "/", True),
        ("https://a.example/", "/favicon.ico", False),
        ("https://a.example/a/b", "/a/b", True),
        ("https://a.example/a/b/", "/a/b", True),
        ("https://a.example/a/b?x=1", "/a/b/", True),
        ("https://a.example/a/b", "/b", True),
        ("https://a.example/a/b", "/", True),
        ("https://a.example/a/b", "/a", False),
        ("https://a.example/a/b", "b", False),
        ("https://a.example/ab", "/b", False),
        ("https://a.example/a/b", "/x/a/b", False),
        ("https://a.example/a%20b", "/a b", True),
    ],
)
def test_paths(url: str, path: str, leads: bool) -> None:
    """The path of the URL, or the end of it that a proxy forwards."""
    assert matches_public_path(path, url) is leads


SECRET = [
    "https://me:pass@a.example/a.png",
    "https://me@a.example/a.png",
    "https://a.example/a.png?access_token=x",
    "https://a.example/a.png?w=10&apikey=x",
    "https://a.example/a.png?api_key=x",
    "https://a.example/a.png?key=x",
    "https://a.example/a.png?Signature=x&Expires=1",
    "https://a.example/a.png?X-Goog-Signature=x",
    "https://a.example/a.png?x%2damz%2dsignature=x",
    "https://a.example/a.png?a=1;sid=2",
    "https://a.example/a.png?id=Zm9vYmFyMTIzNDU2Nzg5MA==",
    "https://a.example/a.png?Zm9vYmFyMTIzNDU2Nzg5MA",
    "https://a.example/a.png#token=x",
    "https://[a.example/",
]
NO_SECRET = [
    "https://a.example/a.png",
    "https://a.example/a.png?",
    "https://a.example/a.png?v=2&width=1280&format=webp",
    "https://a.example/keys/token.png",
    "https://a.example/a.png?monkey=1&design=2",
    "https://a.example/a@2x.png",
    "https://a.example/a.png#part",
]


def test_secrets_in_urls() -> None:
    """A name, a password, a token or a signature, under any parameter name."""
    assert [url for url in SECRET + NO_SECRET if has_secret(url)] == SECRET


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "localhost", "LOCALHOST.", "::1", "::ffff:127.0.0.1"]
)
def test_loopback_hosts(host: str) -> None:
    """By number in any form, or by name."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "192.168.1.7", "localhost.example.org", "127.0.0.1.example.org", ""]
)
def test_other_hosts(host: str) -> None:
    """Names that only look like loopback are other hosts."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:p@ss@a.example/a@2x.png", "https://a.example/a@2x.png"),
        ("https://a.example/a@2x.png?x=@", "https://a.example/a@2x.png?x=@"),
        ("https://a.example", "https://a.example"),
    ],
)
def test_a_url_without_its_password(url: str, shown: str) -> None:
    """Messages show it so."""
    assert without_password(url) == shown
