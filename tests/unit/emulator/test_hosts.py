"""Hosts and addresses: which request is for which endpoint, which URL is ours."""

from __future__ import annotations

import pytest

from kling_nb.emulator.hosts import (
    PublicUrls,
    endpoint_of,
    is_this_machine,
    own_clip_name,
    own_upload_path,
)


@pytest.mark.parametrize(
    ("host", "path", "endpoint"),
    [
        ("api.kie.ai", "/api/v1/jobs/createTask", "createTask"),
        ("127.0.0.1", "/api/v1/jobs/recordInfo", "recordInfo"),
        ("kieai.redpandaai.co", "/api/file-base64-upload", "upload"),
        ("tempfile.aiquickdraw.com", "/k/a.mp4", "download"),
        ("localhost", "/k/a.mp4", "download"),
        ("kieai.redpandaai.co", "/api/v1/jobs/createTask", "other"),
        ("tempfile.redpandaai.co", "/kieai/a.png", "other"),
        ("api.kie.ai", "/api/v1/chat/credit", "other"),
    ],
)
def test_a_request_is_for_an_endpoint_at_its_own_host(host: str, path: str, endpoint: str) -> None:
    """So that a misdirected one uses up no fault."""
    assert endpoint_of(host, path) == endpoint


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://tempfile.redpandaai.co/kieai/a%20b.png", "kieai/a b.png"),
        ("http://127.0.0.1:8787/kieai/a.png", "kieai/a.png"),
        ("https://tempfile.redpandaai.co/k/a.mp4", None),
        ("https://example.com/kieai/a.png", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_own_uploads_are_known_by_their_url(url: str, path: str | None) -> None:
    """On the real host and on this machine."""
    assert own_upload_path(url) == path


@pytest.mark.parametrize("public_url", [None, "http://127.0.0.1:8787", "http://127.0.0.1:8787/"])
def test_given_out_urls_are_recognised(public_url: str | None) -> None:
    """Both kinds, in process and served."""
    addresses = PublicUrls(public_url)
    assert own_clip_name(addresses.clip_url("a_1_2_3.mp4")) == "a_1_2_3.mp4"
    assert own_upload_path(addresses.upload_url("kieai/schön #1.png")) == "kieai/schön #1.png"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1/", True),
        ("https://127.8.9.10:99/a?b#c", True),
        ("http://[::1]:8900/", True),
        ("http://localhost:1/", True),
        ("http://LOCALHOST/", True),
        ("http://user@127.0.0.1/", True),
        ("http://128.0.0.1/", False),
        ("http://0.0.0.0/", False),
        ("http://192.168.0.1/", False),
        ("http://[::ffff:10.0.0.1]/", False),
        ("http://127.1/", False),
        ("http://localhost.example.com/", False),
        ("http://127.0.0.1@example.com/", False),
        ("file://127.0.0.1/etc/passwd", False),
        ("http://[127.0.0.1", False),
        ("//127.0.0.1/", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine(url: str, here: bool) -> None:
    """By its address, or the one name; nothing is resolved."""
    assert is_this_machine(url) == here
