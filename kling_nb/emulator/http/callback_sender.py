"""The courier: posts what tasks owe to this machine's addresses, in a thread of its own.

Owns the thread and the requests. It calls loopback addresses only, follows no redirect, uses no
proxy and reads no body that is answered. Must not know which letters are owed, or why.
"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import logging
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from kling_nb.emulator.account.callback_payloads import sign_document, write_document
from kling_nb.emulator.account.callback_plan import Letter, Post
from kling_nb.emulator.account.callback_queue import Outbox
from kling_nb.emulator.account.tasks import Task, clip_name
from kling_nb.emulator.hosts import Addresses, is_this_machine
from kling_nb.emulator.render.worker import Studio

__all__ = ["Courier"]

SHORTEST_PAUSE_S = 0.02
RENDER_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5
"""A clock that tests move gives no sign when it was moved."""
TROUBLE_PAUSE_S = 10.0
STOP_TIMEOUT_S = 5.0
USER_AGENT = "kie.ai-emulator"
LOGGER = logging.getLogger("kling_nb.emulator")


class CourierLoop(asyncio.SelectorEventLoop):
    """Close without starting a thread.

    asyncio waits for the threads that resolve names in one more thread, and Python 3.12.0 to
    3.12.2 refuse to start a thread while the interpreter exits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadPoolExecutor(thread_name_prefix="kling emulator courier work")
        self.set_default_executor(self.threads)

    async def shutdown_default_executor(self, *_: object, **__: object) -> None:
        """Wait for the threads here: all requests have ended."""
        self.threads.shutdown()


class Courier:
    """Carries letters, many at a time, from the first need on until it is stopped."""

    def __init__(self, outbox: Outbox, studio: Studio, addresses: Addresses) -> None:
        """Carry what is in that outbox; the studio makes what it promises."""
        self.outbox = outbox
        self.books = outbox.books
        self.studio = studio
        self.addresses = addresses
        self.terms = outbox.books.terms
        self.webhook_key = self.terms.webhook_key
        """Signs what is sent from now on; nothing is signed without."""
        self.guard = threading.Lock()
        self.stopping = threading.Event()
        self.woken = asyncio.Event()
        self.runner: asyncio.Runner | None = None
        self.worker: threading.Thread | None = None

    def wake(self) -> None:
        """There may be something to carry: begin, or look again."""
        with self.guard:
            if self.stopping.is_set():
                return
            if self.runner is None:
                self.runner = asyncio.Runner(loop_factory=CourierLoop)
                self.runner.get_loop()
                self.worker = threading.Thread(
                    target=self.turn, name="kling emulator courier", daemon=True
                )
                self.worker.start()
                atexit.register(self.stop)
            else:
                self.runner.get_loop().call_soon_threadsafe(self.woken.set)

    def stop(self) -> None:
        """Carry nothing more; what is on its way is sent again by the next emulator."""
        atexit.unregister(self.stop)
        with self.guard:
            self.stopping.set()
            if self.runner is None or self.worker is None:
                return
            with suppress(RuntimeError):  # the loop has ended by itself
                self.runner.get_loop().call_soon_threadsafe(self.woken.set)
        self.worker.join(STOP_TIMEOUT_S)

    def turn(self) -> None:
        """The thread: carry until told to stop, whatever trouble there is with the books."""
        assert self.runner is not None
        with self.runner:
            while not self.stopping.is_set():
                try:
                    self.runner.run(self.work())
                except Exception:
                    LOGGER.exception("emulator: callbacks are held up")
                    self.stopping.wait(TROUBLE_PAUSE_S)

    async def work(self) -> None:
        """Send what is due, each letter beside the others, until told to stop."""
        running: set[asyncio.Task[None]] = set()
        async with open_transport() as transport:
            self.take_up()
            while not self.stopping.is_set():
                self.woken.clear()
                for letter in self.take_due():
                    carrying = asyncio.create_task(self.carry(transport, letter))
                    running.add(carrying)
                    carrying.add_done_callback(running.discard)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self.pause())
            for carrying in running:
                carrying.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def take_up(self) -> None:
        """Have the clips made that a process before this one has promised."""
        for letter in self.outbox.open_letters():
            task = self.books.task(letter.task_id)
            if task is not None and task.ended_at is None:
                self.studio.order(task)

    def take_due(self) -> list[Letter]:
        """The letters whose time has come, each claimed for this courier."""
        now = self.books.clock()
        return [
            letter
            for letter in self.outbox.open_letters()
            if letter.due_at is not None and letter.due_at <= now and self.outbox.claim(letter)
        ]

    def pause(self) -> float | None:
        """How long to sleep; None where nothing is open."""
        letters = self.outbox.open_letters()
        now = self.books.clock()
        waits = [
            RENDER_PAUSE_S if letter.due_at is None else letter.due_at - now for letter in letters
        ]
        return min(max(min(waits), SHORTEST_PAUSE_S), LONGEST_PAUSE_S) if waits else None

    async def carry(self, transport: httpx.AsyncHTTPTransport, letter: Letter) -> None:
        """Send one letter once, and keep what was answered."""
        try:
            task = self.books.task(letter.task_id)
            assert task is not None
            self.outbox.note(await self.post(transport, letter, task))
        except asyncio.CancelledError:
            self.outbox.release(letter)
            raise
        except Exception:
            LOGGER.exception("emulator: the callback of task %s went wrong", letter.task_id)
        self.woken.set()

    async def post(self, transport: httpx.AsyncHTTPTransport, letter: Letter, task: Task) -> Post:
        """One request, within its limit of time."""
        started_at, status, words = self.books.clock(), None, ""
        try:
            async with asyncio.timeout(self.terms.callback_limit_s):
                status = await self.ask(transport, letter, task)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            words = type(error).__name__
        answered_at = None if status is None else self.books.clock()
        what = words or f"HTTP {status}"
        LOGGER.info("emulator: called back for task %s: %s", letter.task_id, what)
        return Post(
            task_id=letter.task_id,
            kind=letter.kind,
            letter=letter.number,
            attempt=letter.tries + 1,
            started_at=started_at,
            answered_at=answered_at,
            status=status,
            words=words,
        )

    async def ask(self, transport: httpx.AsyncHTTPTransport, letter: Letter, task: Task) -> int:
        """Send the document; the status of the answer, whose body is not read."""
        url = httpx.URL(letter.url)
        # Asked of the very parser that decides where the request goes.
        if not is_this_machine(str(url.copy_with(userinfo=b""))):
            raise httpx.InvalidURL("only this machine is called")
        request = httpx.Request(
            "POST",
            url,
            content=self.body_of(letter, task),
            headers=self.headers_of(letter),
            extensions={"timeout": httpx.Timeout(self.terms.callback_limit_s).as_dict()},
        )
        answer = await transport.handle_async_request(request)
        await answer.aclose()
        return answer.status_code

    def body_of(self, letter: Letter, task: Task) -> bytes:
        """The document; half of it where it is to be garbled, and a lie where it is forged."""
        if letter.kind == "forged":
            task = dataclasses.replace(task, state="success", ended_at=self.books.clock())
        body = write_document(
            task,
            self.terms.callback_form,
            clip_url=self.addresses.clip_url(clip_name(task)),
            remaining_credits=self.books.balance(),
        )
        return body[: len(body) // 2] if letter.kind == "garbled" else body

    def headers_of(self, letter: Letter) -> dict[str, str]:
        """The headers, with a signature where the account has a webhook key."""
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        if not self.webhook_key:
            return headers
        # Who forges does not have the key.
        key = secrets.token_hex(16) if letter.kind == "forged" else self.webhook_key
        timestamp = str(int(self.books.clock()))
        signature = sign_document(key, letter.task_id, timestamp)
        return headers | {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


def open_transport() -> httpx.AsyncHTTPTransport:
    """What asks no proxy, follows no redirect and opens a connection for each request.

    No client above it, which would write each address into the log, its one-time value with it.
    """
    # No certificate names a loopback address, and a kept connection may be stale.
    return httpx.AsyncHTTPTransport(
        trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
