"""What the cassettes record: one behaviour each, played by the package's own session or client.

A scenario says what must come of it, so that neither a recording nor a replay can go wrong unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kling_nb.core.secret import Key
from kling_nb.errors import KlingError
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.storage.user_index import UserIndex

__all__ = ["BAD_KEY", "CASSETTES", "SCENARIOS", "TEST_KEY", "Scenario", "SessionFactory", "picture"]

CASSETTES = Path(__file__).resolve().parents[2] / "cassettes"
TEST_KEY = "sk-test-of-the-cassettes"
BAD_KEY = "bad-key"
"""The emulator refuses it."""
PATIENCE_S = 60.0
PROMPT = "A lighthouse in fog"


def picture(name: str = "dusk") -> bytes:
    """A small JPEG: a sky over a dark line of hills. Encoded once, since encoders differ."""
    return (CASSETTES / f"{name}.jpg").read_bytes()


async def no_sleep(_seconds: float) -> None:
    """Replayed answers need no waiting."""
    await asyncio.sleep(0)


async def no_end(_seconds: float) -> None:
    """Wait until the session is closed: what would come after a wait does not happen."""
    await asyncio.Event().wait()


class SessionFactory:
    """Opens live sessions and clients of one account in one folder.

    Args:
        folder: Of clips; the index is in it, too.
        key: Of the account.
        transport: Replaces the network while the emulator is recorded.
        sleep: Waits between status requests.
    """

    def __init__(
        self,
        folder: Path,
        key: str = TEST_KEY,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = no_sleep,
    ) -> None:
        self.folder = folder
        self.key = key
        self.transport = transport
        self.sleep = sleep

    def session(
        self, sleep: Callable[[float], Awaitable[None]] | None = None
    ) -> AbstractContextManager[Session]:
        """A session that is closed at the end of the block."""
        session = Session(
            mode="live",
            api_key=self.key,
            folder=self.folder,
            transport=self.transport,
            index=UserIndex(self.folder / "paid.sqlite3"),
            sleep=sleep or self.sleep,
        )
        if self.transport is not None:  # it serves images by URL, too
            object.__setattr__(session._context, "inputs", Downloader(transport=self.transport))
        return closing(session)

    def call(self, work: Callable[[Client], Awaitable[object]]) -> str:
        """What comes of some calls of a client, as text."""

        async def play() -> object:
            client = Client(Key(self.key), transport=self.transport)
            try:
                return await work(client)
            finally:
                await client.aclose()

        try:
            return str(asyncio.run(play()))
        except KlingError as error:
            return error_text(error)


def error_text(error: KlingError) -> str:
    """An error as scenarios expect it."""
    return f"{type(error).__name__}: {error}"


def outcome_of(request: Callable[[], Job]) -> str:
    """What comes of a job: `saved, 55 credits`, or the error."""
    try:
        return f"saved, {request().result(PATIENCE_S).credits:g} credits"
    except KlingError as error:
        return error_text(error)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One behaviour."""

    run: Callable[[SessionFactory], str]
    outcome: str
    """What `run` returns begins with it, or has it after the kind of the error."""
    what: str
    credits: float = 0
    """What it costs when it is recorded live."""
    faults: tuple[tuple[str, str, int], ...] = ()
    """Name, argument and times of what the emulator is made to do; none where live can be had."""
    key: str = ""
    """Empty is the test key, or live the account's."""


def generate(*models: str, **values: Any) -> Callable[[SessionFactory], str]:
    """A clip by a model; text-to-video where none is named."""

    def run(factory: SessionFactory) -> str:
        with factory.session() as session:
            model = models[0] if models else "kling-2.6/text-to-video"
            return outcome_of(lambda: session.generate(model, **{"prompt": PROMPT} | values))

    return run


def image_to_video(factory: SessionFactory) -> str:
    """An image in memory is uploaded."""
    with factory.session() as session:
        return outcome_of(lambda: session.image_to_video(picture(), "Clouds drift", duration=5))


def picture_by_url(factory: SessionFactory) -> str:
    """An image with a URL is checked and sent as its URL."""
    url = factory.call(upload_base64)
    with factory.session() as session:
        return outcome_of(lambda: session.image_to_video(url, "Clouds drift", duration=5))


def unreachable_picture(factory: SessionFactory) -> str:
    """An image that this machine reaches and the service does not: the error names its URL."""
    url = factory.call(upload_base64)
    with factory.session(no_end) as session:
        outcome = outcome_of(lambda: session.image_to_video(url, "Clouds drift", duration=5))
    return outcome.replace(url, "URL")


def unknown(factory: SessionFactory) -> str:
    """A lost answer; the balance is read once before and once after."""
    with factory.session(no_end) as session:
        return outcome_of(lambda: session.text_to_video(PROMPT))


def resumed_job(factory: SessionFactory) -> str:
    """One session submits and ends; the next one of the folder saves the clip."""
    with factory.session(no_end) as session:
        session.text_to_video(PROMPT)
    with factory.session() as session:
        [job] = session.resume()
        return outcome_of(lambda: job)


def twice(*, take: int = 1) -> Callable[[SessionFactory], str]:
    """The same request twice, the second as this take."""

    def run(factory: SessionFactory) -> str:
        with factory.session() as session:
            first = outcome_of(lambda: session.text_to_video(PROMPT))
            return f"{first}; {outcome_of(lambda: session.text_to_video(PROMPT, take=take))}"

    return run


def several_files(factory: SessionFactory) -> str:
    """A result of a cover image and two clips: both clips are saved."""
    with factory.session() as session:
        clip = session.text_to_video(PROMPT).result(PATIENCE_S)
        return f"saved, {clip.credits:g} credits, {len(clip.others)} more"


async def upload_stream(client: Client) -> str:
    """Upload an image as a multipart body."""
    return await client.upload(picture(), "dusk.jpg", "image/jpeg")


async def upload_base64(client: Client) -> str:
    """Upload an image as base64 in JSON."""
    return await client.upload_base64(picture(), "dusk.jpg")


async def upload_from_url(client: Client) -> str:
    """Let the service fetch an image."""
    url = await client.upload_base64(picture(), "dusk.jpg")
    return await client.upload_from_url(url, "copy.jpg")


def by_client(work: Callable[[Client], Awaitable[object]]) -> Callable[[SessionFactory], str]:
    """A scenario of calls of a client."""
    return lambda factory: factory.call(work)


UPLOADED = "https://tempfile.redpandaai.co/kieai/"
NO_ACCESS = "Unauthorized: The service answered 401"

ENDPOINTS = {
    "image_to_video": Scenario(
        image_to_video, "saved, 55 credits", "balance, upload, task, records, the MP4", 55
    ),
    "text_to_video_with_sound": Scenario(
        generate(sound=True), "saved, 110 credits", "the same without a picture, with sound", 110
    ),
    "balance": Scenario(by_client(Client.balance), ".", "the balance, a float"),
    "balance_with_a_bad_key": Scenario(
        by_client(Client.balance), NO_ACCESS, "the balance, refused", key=BAD_KEY
    ),
    "upload_stream": Scenario(by_client(upload_stream), UPLOADED, "upload as multipart"),
    "upload_base64": Scenario(by_client(upload_base64), UPLOADED, "upload as base64"),
    "upload_from_url": Scenario(by_client(upload_from_url), UPLOADED, "upload from a URL"),
    "upload_with_a_bad_key": Scenario(
        by_client(upload_stream), NO_ACCESS, "an upload, refused", key=BAD_KEY
    ),
    "upload_after_a_gateway_error": Scenario(
        by_client(upload_stream),
        UPLOADED,
        "HTTP 502, then uploaded",
        faults=(("upload-502", "", 1),),
    ),
    "download_url": Scenario(
        generate(),
        "saved, 55 credits",
        "the result is HTTP 404 at first; a link from download-url gives it",
        faults=(("download-404", "", 1),),
    ),
    "download_url_refused": Scenario(
        by_client(lambda client: client.fresh_url("https://tempfile.example/k/a.mp4")),
        "BadRequest: The service answered 422: 'url is wrong'",
        "download-url for a URL that is not the service's",
    ),
}

REFUSALS = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "402": "InsufficientCredits",
    "404": "EndpointNotFound",
    "422": "BadRequest",
    "429": "RateLimited",
    "433": "KeyLimitReached",
    "455": "Maintenance",
    "500-credits": "InsufficientCredits",
    "500-options": "BadRequest",
    "500-required": "BadRequest",
}
"""The codes of createTask after which no task exists, and the error that each becomes."""
LOST = ("408", "500", "501", "505", "524")
"""The codes of createTask after which a task may exist."""
PAGES = ("create-502", "create-524", "create-html")
"""The faults in which a gateway's page answers createTask."""
TRIES = 8
"""How often a task that is rejected with 429 is sent."""


def refused(code: str, error: str) -> Scenario:
    """A refusal: nothing is sent again but what was rejected with 429."""
    return Scenario(
        generate(),
        f"{error}: The service answered {code[:3]}",
        f"createTask refused with code {code}",
        faults=(("create-code", code, TRIES if code == "429" else 1),),
    )


def lost(fault: str, argument: str, what: str) -> Scenario:
    """An answer after which a task may exist."""
    return Scenario(unknown, "TaskUnknown: ", what, faults=((fault, argument, 1),))


CREATE = {
    **{
        f"create_{code.replace('-', '_')}": refused(code, error) for code, error in REFUSALS.items()
    },
    **{f"create_{code}": lost("create-code", code, f"createTask answers {code}") for code in LOST},
    **{
        f"{name.replace('-', '_')}_page": lost(name, "", "createTask answers with a web page")
        for name in PAGES
    },
    "create_429_that_names_a_task": lost(
        "create-429-made", "", "createTask answers 429 and names a task: it is not sent again"
    ),
    "create_mismatch": lost(
        "create-mismatch", "", "createTask answers code 200 under HTTP 429: it is not sent again"
    ),
    "create_media_host": Scenario(
        unreachable_picture,
        "Likely cause: the service cannot reach URL;",
        "code 500 for a picture whose host the service does not reach",
        faults=(("create-media-host", "", 1),),
    ),
    "create_429_then_accepted": Scenario(
        generate(), "saved, 55 credits", "429 twice, then accepted", faults=(("create-429", "", 2),)
    ),
}


FAILURES = {
    "fail-media": "422: Your media file is unavailable",
    "fail-policy": "422: CONTENT_POLICY_BLOCKED",
    "fail-content": "400: The current content could not be processed",
    "fail-internal": "500: Internal Error",
    "fail-generation": "501: Generation failed",
}
"""The failures of kie-api.md §3, as the emulator's faults."""
ASKED_AGAIN = ("401", "404", "422", "429", "455", "500")
"""The codes of recordInfo that say nothing about the task."""

RECORDS = {
    **{
        name.replace("-", "_"): Scenario(
            generate(), words[5:], f"a task fails: {words}", faults=((name, "", 1),)
        )
        for name, words in FAILURES.items()
    },
    **{
        f"record_{code}": Scenario(
            generate(),
            "saved, 55 credits",
            f"recordInfo answers {code} once, then the record",
            faults=(("poll-code", code, 1),),
        )
        for code in ASKED_AGAIN
    },
    "record_408": Scenario(
        generate(),
        "No result for over 10 minutes",
        "recordInfo answers 408: the task is over",
        faults=(("poll-code", "408", 1),),
    ),
    "record_with_newer_fields": Scenario(
        generate(),
        "saved, 55 credits",
        "recordInfo with `response`, `successFlag`, `paramJson`, `operationType`",
        faults=(("newer-record", "", 1),),
    ),
}


def three_seconds(model: str, credits: float) -> Scenario:
    """The shortest clip of a model."""
    what = f"{model}, 3 s"
    return Scenario(generate(model, duration=3), f"saved, {credits:g} credits", what, credits)


JOBS = {
    "picture_by_url": Scenario(picture_by_url, "saved, 55 credits", "a picture that has a URL", 55),
    "several_files": Scenario(
        several_files,
        "saved, 55 credits, 1 more",
        "a result of a cover picture and two clips",
        faults=(("several-files", "", 1),),
    ),
    "resumed_job": Scenario(
        resumed_job, "saved, 55 credits", "submitted by one session, saved by the next", 55
    ),
    "another_take": Scenario(
        twice(take=2),
        "saved, 55 credits; saved, 55 credits",
        "the same request as two takes: two tasks",
        110,
    ),
    "same_request_again": Scenario(
        twice(),
        "saved, 55 credits; saved, 55 credits",
        "the same request twice: one task",
        55,
    ),
    "kling_3_video": three_seconds("kling-3.0/video", 42),
    "v3_turbo": three_seconds("kling/v3-turbo-text-to-video", 54),
    "omni": three_seconds("kling-3.0-omni/text-to-video", 42),
    "v2_5_turbo_with_a_last_frame": Scenario(
        generate(
            "kling/v2-5-turbo-image-to-video-pro", image=picture(), last_image=picture("dawn")
        ),
        "saved, 42 credits",
        "kling/v2-5-turbo-image-to-video-pro with two frames",
        42,
    ),
}

SCENARIOS: dict[str, Scenario] = ENDPOINTS | CREATE | RECORDS | JOBS
"""Each cassette's scenario, by its name."""
