"""Send the pending callbacks to addresses of this machine, in a thread of its own.

The sender follows no redirect, uses no proxy and reads no body of an answer.
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

from kling_nb.emulator.account.callback_queue import CallbackQueue
from kling_nb.emulator.account.callbacks import (
    CallbackAttempt,
    PendingCallback,
    sign_document,
    write_document,
)
from kling_nb.emulator.account.tasks import Task, clip_name
from kling_nb.emulator.hosts import PublicUrls, is_this_machine
from kling_nb.emulator.render.worker import RenderWorker

_SHORTEST_PAUSE_S = 0.02
_RENDER_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 0.5
"""Short, since the clock of a test gives no signal when the test moves it."""
ERROR_PAUSE_S = 10.0
_STOP_TIMEOUT_S = 5.0
_USER_AGENT = "kie.ai-emulator"
_LOGGER = logging.getLogger("kling_nb.emulator")


class CallbackLoop(asyncio.SelectorEventLoop):
    """Close without starting a thread.

    asyncio waits for the threads that resolve names in one more thread, and Python 3.12.0 to
    3.12.2 refuse to start a thread while the interpreter exits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads = ThreadPoolExecutor(thread_name_prefix="kling emulator callback work")
        self.set_default_executor(self.threads)

    async def shutdown_default_executor(self, *_: object, **__: object) -> None:
        """Wait for the threads here: all requests have ended."""
        self.threads.shutdown()


class CallbackSender:
    """Sends callbacks concurrently; the thread starts with the first callback."""

    def __init__(self, queue: CallbackQueue, renderer: RenderWorker, urls: PublicUrls) -> None:
        """Send the callbacks of this queue; `renderer` makes the clips of their tasks."""
        self.queue = queue
        self.account = queue.account
        self.renderer = renderer
        self.urls = urls
        self.limits = queue.account.limits
        self.webhook_key = self.limits.webhook_key
        """Signs the callbacks; empty for unsigned ones."""
        self.guard = threading.Lock()
        self.stopping = threading.Event()
        self.woken = asyncio.Event()
        self.runner: asyncio.Runner | None = None
        self.worker: threading.Thread | None = None

    def wake(self) -> None:
        """Start the thread, or let it read the queue again."""
        with self.guard:
            if self.stopping.is_set():
                return
            if self.runner is None:
                self.runner = asyncio.Runner(loop_factory=CallbackLoop)
                self.runner.get_loop()
                self.worker = threading.Thread(
                    target=self.run, name="kling emulator callbacks", daemon=True
                )
                self.worker.start()
                atexit.register(self.stop)
            else:
                self.runner.get_loop().call_soon_threadsafe(self.woken.set)

    def stop(self) -> None:
        """Stop the thread; the next emulator sends the unfinished callbacks again."""
        atexit.unregister(self.stop)
        with self.guard:
            self.stopping.set()
            if self.runner is None or self.worker is None:
                return
            with suppress(RuntimeError):  # the loop has ended by itself
                self.runner.get_loop().call_soon_threadsafe(self.woken.set)
        self.worker.join(_STOP_TIMEOUT_S)

    def run(self) -> None:
        """Send callbacks until `stop`; after an error in the database, start again."""
        assert self.runner is not None
        with self.runner:
            while not self.stopping.is_set():
                try:
                    self.runner.run(self.work())
                except Exception:
                    _LOGGER.exception("emulator: callbacks are delayed")
                    self.stopping.wait(ERROR_PAUSE_S)

    async def work(self) -> None:
        """Send due callbacks concurrently until `stop`."""
        running: set[asyncio.Task[None]] = set()
        async with _open_transport() as transport:
            self.resume_rendering()
            while not self.stopping.is_set():
                self.woken.clear()
                for callback in self.claim_due():
                    sending = asyncio.create_task(self.send(transport, callback))
                    running.add(sending)
                    sending.add_done_callback(running.discard)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self.pause())
            for sending in running:
                sending.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def resume_rendering(self) -> None:
        """Render the clips that an earlier process has not finished."""
        for callback in self.queue.pending():
            task = self.account.task(callback.task_id)
            if task is not None and task.ended_at is None:
                self.renderer.add(task)

    def claim_due(self) -> list[PendingCallback]:
        """Claim and return the due callbacks."""
        now = self.account.clock()
        return [
            callback
            for callback in self.queue.pending()
            if callback.due_at is not None and callback.due_at <= now and self.queue.claim(callback)
        ]

    def pause(self) -> float | None:
        """Return the seconds until the next look at the queue; None for an empty queue."""
        now = self.account.clock()
        waits = [
            _RENDER_PAUSE_S if callback.due_at is None else callback.due_at - now
            for callback in self.queue.pending()
        ]
        return min(max(min(waits), _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S) if waits else None

    async def send(self, transport: httpx.AsyncHTTPTransport, callback: PendingCallback) -> None:
        """Send a callback once and store the attempt."""
        try:
            task = self.account.task(callback.task_id)
            assert task is not None
            self.queue.add_attempt(await self.post(transport, callback, task))
        except asyncio.CancelledError:
            self.queue.release(callback)
            raise
        except Exception:
            _LOGGER.exception("emulator: the callback of task %s failed", callback.task_id)
        self.woken.set()

    async def post(
        self, transport: httpx.AsyncHTTPTransport, callback: PendingCallback, task: Task
    ) -> CallbackAttempt:
        """Send one request within the time limit."""
        started_at, status, error = self.account.clock(), None, ""
        try:
            async with asyncio.timeout(self.limits.callback_limit_s):
                status = await self.request(transport, callback, task)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as caught:
            error = type(caught).__name__
        answered_at = None if status is None else self.account.clock()
        result = error or f"HTTP {status}"
        _LOGGER.info("emulator: called back for task %s: %s", callback.task_id, result)
        return CallbackAttempt(
            task_id=callback.task_id,
            kind=callback.kind,
            letter=callback.number,
            attempt=callback.tries + 1,
            started_at=started_at,
            answered_at=answered_at,
            status=status,
            words=error,
        )

    async def request(
        self, transport: httpx.AsyncHTTPTransport, callback: PendingCallback, task: Task
    ) -> int:
        """Send the document; return the HTTP status without reading the body."""
        url = httpx.URL(callback.url)
        # Checked with the parser that decides where the request goes.
        if not is_this_machine(str(url.copy_with(userinfo=b""))):
            raise httpx.InvalidURL("only this machine is called")
        request = httpx.Request(
            "POST",
            url,
            content=self.body_of(callback, task),
            headers=self.headers_of(callback),
            extensions={"timeout": httpx.Timeout(self.limits.callback_limit_s).as_dict()},
        )
        answer = await transport.handle_async_request(request)
        await answer.aclose()
        return answer.status_code

    def body_of(self, callback: PendingCallback, task: Task) -> bytes:
        """Return the document; half of it if garbled, a false success if forged."""
        if callback.kind == "forged":
            task = dataclasses.replace(task, state="success", ended_at=self.account.clock())
        body = write_document(
            task,
            self.limits.callback_form,
            clip_url=self.urls.clip_url(clip_name(task)),
            remaining_credits=self.account.balance(),
        )
        return body[: len(body) // 2] if callback.kind == "garbled" else body

    def headers_of(self, callback: PendingCallback) -> dict[str, str]:
        """Return the headers, with a signature if the account has a webhook key."""
        headers = {"Content-Type": "application/json", "User-Agent": _USER_AGENT}
        if not self.webhook_key:
            return headers
        # A forger does not have the key.
        key = secrets.token_hex(16) if callback.kind == "forged" else self.webhook_key
        timestamp = str(int(self.account.clock()))
        signature = sign_document(key, callback.task_id, timestamp)
        return headers | {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


def _open_transport() -> httpx.AsyncHTTPTransport:
    """Return a transport without a proxy, redirects or kept connections.

    A client on top of it would log each address, and with it the callback token.
    """
    # No certificate names a loopback address, and a kept connection may be stale.
    return httpx.AsyncHTTPTransport(
        trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
