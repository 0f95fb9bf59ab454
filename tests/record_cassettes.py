"""Record the cassettes again: `python -m tests.record_cassettes`.

By default they are recorded from the in-process emulator under the service's real host names.
`--live` records against the service itself: it needs KIE_API_KEY and spends credits (165 by the
price list of 2026-10, $0.83). Each cassette says in its first response header where it comes from.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import vcr
from PIL import Image

from kling_nb.emulator import UNLIMITED, Emulator
from kling_nb.errors import KlingError
from kling_nb.index import PaidIndex
from kling_nb.session import Session

__all__ = ["CASSETTES", "SCENARIOS", "cassette", "picture"]

CASSETTES = Path(__file__).resolve().parent.parent / "cassettes"
ORIGIN = "x-recorded-from"
FROM_EMULATOR = (
    "the kling_nb emulator; `KIE_API_KEY=... python -m tests.record_cassettes --live` records it "
    "again against the live service"
)
FROM_SERVICE = "the live service"
SECRET_HEADERS = ["authorization", "cookie", "set-cookie"]
TEST_KEY = "sk-test-of-the-cassettes"


def picture() -> bytes:
    """A small JPEG: a dusk sky over a dark line of hills."""
    image = Image.new("RGB", (96, 64))
    for row in range(64):
        shade = (40 + row, 60 + row, 120 - row) if row < 44 else (18, 22, 30)
        image.paste(shade, (0, row, 96, row + 1))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def image_to_video(session: Session) -> None:
    """A clip of 5 s from a picture, without sound."""
    session.image_to_video(picture(), "Clouds drift over the hills", duration=5).result()


def text_to_video(session: Session) -> None:
    """A clip of 5 s from words, with sound."""
    session.text_to_video("Rain on a tin roof", sound=True).result()


def refused(session: Session) -> None:
    """A request that the service refuses: an account without credits."""
    _attempt(lambda: session.text_to_video("A lighthouse in fog"))


def failed(session: Session) -> None:
    """A task that the service accepts and that fails for its content."""
    _attempt(lambda: session.text_to_video("A street at night").result())


SCENARIOS: dict[str, tuple[Callable[[Session], None], str]] = {
    "image_to_video": (image_to_video, ""),
    "text_to_video_with_sound": (text_to_video, ""),
    "refused_for_credits": (refused, "credits"),
    "failed_for_content": (failed, "fail-policy"),
}
"""Each scenario, and the emulator's fault that brings it about."""


def cassette(name: str, *, record: bool = False, origin: str = FROM_EMULATOR) -> Any:
    """The cassette of a scenario as a context; replaying is the default and never records."""
    first = [True]

    def mark(response: dict[str, Any]) -> dict[str, Any]:
        headers = {k: v for k, v in response["headers"].items() if k.lower() not in SECRET_HEADERS}
        response["headers"] = {ORIGIN: [origin], **headers} if first.pop(0) else headers
        first.append(False)
        return response

    return vcr.use_cassette(
        str(CASSETTES / f"{name}.yaml"),
        record_mode="all" if record else "none",
        match_on=["method", "scheme", "host", "port", "path", "query"],
        filter_headers=SECRET_HEADERS,
        before_record_response=mark if record else None,
        allow_playback_repeats=False,
    )


def main() -> None:
    """Record every scenario anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", action="store_true", help="against the service; spends credits")
    live = parser.parse_args().live
    for name, (scenario, fault) in SCENARIOS.items():
        if live and fault:
            print(f"{name}: only the emulator can be made to do this; kept")
            continue
        (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            _record(name, scenario, fault, None if live else Path(folder))
        print(f"{name}: recorded")


def _record(
    name: str, scenario: Callable[[Session], None], fault: str, folder: Path | None
) -> None:
    transport = None
    if folder is not None:
        emulator = Emulator(folder / "emulator", seconds=1.0, render="canned", terms=UNLIMITED)
        if fault:
            emulator.books.inject(fault)
        # vcrpy records httpx's own transports only; MockTransport passes on to the emulator's.
        transport = httpx.MockTransport(emulator.transport().handle_async_request)
    key = TEST_KEY if folder is not None else os.environ["KIE_API_KEY"]
    origin = FROM_SERVICE if folder is None else FROM_EMULATOR
    with cassette(name, record=True, origin=origin), tempfile.TemporaryDirectory() as clips:
        index = PaidIndex(Path(clips) / "paid.sqlite3")
        session = Session(
            mode="live",
            api_key=key,
            folder=clips,
            transport=transport,
            index=index,
            sleep=asyncio.sleep if folder is None else _briefly,
        )
        try:
            scenario(session)
        finally:
            session.close()


async def _briefly(seconds: float) -> None:
    """Ask the emulator often enough to hear it say `waiting` and `generating` too."""
    await asyncio.sleep(min(seconds, 0.3))


def _attempt(request: Callable[[], object]) -> None:
    try:
        request()
    except KlingError as error:
        print(f"  as expected: {error}")


if __name__ == "__main__":
    main()
