"""How a session reaches the service: client, transport and account."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.emulator import Emulator
from kling_nb.jobs.connect import Connection, connect
from kling_nb.jobs.settings import resolve
from tests.support.service import KEY


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def begin(tmp_path: Path, transport: Any = None, **given: Any) -> Connection:
    """A connection with these settings."""
    chosen = resolve(environ={}, folder=tmp_path / "clips", **given)
    return connect(chosen, transport, now, asyncio.sleep)


def balance(way: Connection) -> float:
    """What the account has there."""

    async def ask() -> float:
        try:
            return await way.client.balance()
        finally:
            await way.client.aclose()
            await way.clips.aclose()

    return asyncio.run(ask())


def test_an_emulator_in_this_process(tmp_path: Path) -> None:
    """In emulator mode, without a key, beside the clips."""
    way = begin(tmp_path, mode="emulator", emulator_seconds=3)
    assert way.emulator.account.folder == tmp_path / "clips" / "emulator"
    assert balance(way) == 5916
    way.emulator.close()


def test_live_has_no_emulator(tmp_path: Path) -> None:
    """Nor has one that is served elsewhere."""
    for given in (
        {"mode": "live", "api_key": KEY},
        {"mode": "emulator", "api_url": "http://127.0.0.1:9"},
    ):
        assert begin(tmp_path, **given).emulator is None


@pytest.mark.parametrize("mode", ["live", "emulator"])
def test_another_way_to_it(tmp_path: Path, mode: str) -> None:
    """A transport takes the place of the network and of an emulator of our own; the key goes."""
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["authorization"])
        return httpx.Response(200, json={"code": 200, "msg": "success", "data": 7.5})

    key = {"api_key": KEY} if mode == "live" else {}
    way = begin(tmp_path, httpx.MockTransport(answer), mode=mode, **key)
    assert way.emulator is None
    assert balance(way) == 7.5
    assert (KEY in keys[0]) is (mode == "live")


def test_limits_of_the_emulator_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has others than the service."""
    seen: list[object] = []
    monkeypatch.setattr(
        "kling_nb.jobs.connect.rate_limiter_of",
        lambda chosen, terms, now, sleep: seen.append(terms),
    )
    way = begin(tmp_path, mode="emulator")
    assert isinstance(way.emulator, Emulator)
    assert seen == [way.emulator.account.limits]
    way.emulator.close()
