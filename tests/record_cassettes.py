"""Record the cassettes again: `python -m tests.record_cassettes [NAME …]`.

By default they are recorded from the in-process emulator under the service's real host names.
`--live` records against the service itself: it needs KIE_API_KEY, records the scenarios that need
no fault, and spends credits; without `--yes` it only says how many.
Each cassette says in its first response header where it comes from.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import httpx
import stamina
import vcr
from vcr.request import Request

from kling_nb.emulator import UNLIMITED, Emulator
from tests.support.scenarios import CASSETTES, SCENARIOS, TEST_KEY, Scenario, SessionFactory

__all__ = ["FROM_EMULATOR", "FROM_SERVICE", "ORIGIN", "cassette", "content_of"]

ORIGIN = "x-recorded-from"
FROM_EMULATOR = (
    "the kling_nb emulator; `KIE_API_KEY=... python -m tests.record_cassettes --live` records it "
    "again against the live service"
)
FROM_SERVICE = "the live service"
SECRET_HEADERS = ["authorization", "cookie", "set-cookie"]
UPLOAD_NAME = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{8}(?=\.[a-z0-9]+)")
"""The name that a job gives an upload: unique, so that it differs in each run."""


def content_of(request: Request) -> object:
    """Return what a request sends, without what differs between two runs of the same scenario.

    JSON is compared as a value; a multipart body without its boundary and its unique file name.
    """
    kind = str(request.headers.get("content-type", ""))
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else bytes(body)
    if kind.startswith("application/json"):
        return json.loads(content)
    boundary = kind.partition("boundary=")[2].encode()
    if kind.startswith("multipart/form-data") and boundary:
        return UPLOAD_NAME.sub(b"NAME", content.replace(boundary, b"BOUNDARY"))
    return content


def check_content(one: Request, other: Request) -> None:
    """Refuse a match of two requests that send different content."""
    assert content_of(one) == content_of(other), "the bodies differ"


def cassette(name: str, *, record: bool = False, origin: str = FROM_EMULATOR) -> Any:
    """The cassette of a scenario as a context; replaying is the default and never records."""
    first = [True]

    def mark(response: dict[str, Any]) -> dict[str, Any]:
        headers = {k: v for k, v in response["headers"].items() if k.lower() not in SECRET_HEADERS}
        response["headers"] = {ORIGIN: [origin], **headers} if first.pop(0) else headers
        first.append(False)
        return response

    recorder = vcr.VCR()
    recorder.register_matcher("content", check_content)
    return recorder.use_cassette(
        str(CASSETTES / f"{name}.yaml"),
        record_mode="all" if record else "none",
        match_on=["method", "scheme", "host", "port", "path", "query", "content"],
        filter_headers=SECRET_HEADERS,
        before_record_response=mark if record else None,
        allow_playback_repeats=False,
    )


def main() -> None:
    """Record scenarios anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all where none is named")
    parser.add_argument("--live", action="store_true", help="against the service; spends credits")
    parser.add_argument("--yes", action="store_true", help="spend them")
    given = parser.parse_args()
    if wrong := set(given.names) - set(SCENARIOS):
        parser.error(f"unknown: {', '.join(sorted(wrong))}; known: {', '.join(SCENARIOS)}")
    chosen = {name: SCENARIOS[name] for name in given.names or SCENARIOS}
    if given.live:
        chosen = {name: each for name, each in chosen.items() if not each.faults}
        credits = sum(each.credits for each in chosen.values())
        if not given.yes:
            parser.error(f"recording {len(chosen)} live costs {credits:g} credits; add --yes")
    for name, scenario in chosen.items():
        record(name, scenario, live=given.live)
        print(f"{name}: recorded")


def record(name: str, scenario: Scenario, *, live: bool) -> None:
    """Record one scenario in place of its cassette.

    Raises:
        AssertionError: The outcome is not the expected one.
    """
    (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
    origin = FROM_SERVICE if live else FROM_EMULATOR
    with tempfile.TemporaryDirectory() as folder, stamina.set_testing(True, attempts=8, cap=True):
        make = live_factory if live else emulated_factory
        with cassette(name, record=True, origin=origin):
            outcome = scenario.run(make(Path(folder), scenario))
    assert scenario.outcome in outcome, f"{name}: {outcome}"


def live_factory(folder: Path, scenario: Scenario) -> SessionFactory:
    """Sessions of the service itself, with the key of the environment."""
    return SessionFactory(folder, scenario.key or os.environ["KIE_API_KEY"], sleep=asyncio.sleep)


def emulated_factory(folder: Path, scenario: Scenario) -> SessionFactory:
    """Sessions of an emulator in this process that has the scenario's faults."""
    os.environ["XDG_STATE_HOME"] = str(folder)  # where the rate budget is kept
    emulator = Emulator(folder / "emulator", seconds=1.0, render="canned", limits=UNLIMITED)
    for name, argument, times in scenario.faults:
        emulator.account.inject(name, argument=argument, times=times)
    # vcrpy records httpx's own transports only; MockTransport passes on to the emulator's.
    transport = httpx.MockTransport(emulator.transport().handle_async_request)
    return SessionFactory(folder / "clips", scenario.key or TEST_KEY, transport, briefly)


async def briefly(seconds: float) -> None:
    """Ask the emulator often enough to hear it say `waiting` and `generating` too."""
    await asyncio.sleep(min(seconds, 0.3))


if __name__ == "__main__":
    main()
