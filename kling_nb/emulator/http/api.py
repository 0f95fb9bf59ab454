"""The API host: createTask, recordInfo, credit, download-url.

Owns what these endpoints answer. Must not know connections, faults of transport, or how callbacks
are sent.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from starlette.responses import Response
from starlette.routing import BaseRoute

from kling_nb.emulator.account.account import Books, CreditsInsufficient, TooOften
from kling_nb.emulator.account.tasks import Task, clip_name, record_of, result_names
from kling_nb.emulator.faults.catalog import TOO_OFTEN
from kling_nb.emulator.hosts import Addresses, is_this_machine, own_clip_name
from kling_nb.emulator.render.worker import Studio

from .routes import Call, accepted_key, envelope, route
from .validate import Refusal, check_order

__all__ = ["Api"]

NO_ACCESS = "You do not have access permissions"
LOGGER = logging.getLogger("kling_nb.emulator")


class Api:
    """The endpoints below `https://api.kie.ai/api/v1`."""

    def __init__(self, books: Books, studio: Studio, addresses: Addresses, seconds: float) -> None:
        """Work on these books; a clip takes `seconds`."""
        self.books = books
        self.studio = studio
        self.addresses = addresses
        self.seconds = seconds
        self.when_owed: Callable[[], None] = lambda: None
        """Called when a task was made that asks to be called back."""

    def routes(self) -> list[BaseRoute]:
        """The paths of the host."""
        return [
            route("/api/v1/jobs/createTask", "POST", self.create_task),
            route("/api/v1/jobs/recordInfo", "GET", self.record_info),
            route("/api/v1/chat/credit", "GET", self.credit),
            route("/api/v1/common/download-url", "POST", self.download_url),
        ]

    def create_task(self, call: Call) -> Response:
        """Make a task: `taskId` and `recordId` are the same 32 hex characters. Source: L."""
        if accepted_key(call) is None:
            return envelope(401, NO_ACCESS)
        try:
            task = self.books.open_task(check_order(call.json(), self.studio.measure), self.seconds)
        except Refusal as refusal:
            return envelope(refusal.code, refusal.msg)
        except TooOften:
            return envelope(429, TOO_OFTEN)
        except CreditsInsufficient:
            return envelope(402, "Credits insufficient")
        if task.ended_at is None:
            self.studio.order(task)
        self.promise(task)
        return envelope(200, "success", {"taskId": task.task_id, "recordId": task.task_id})

    def promise(self, task: Task) -> None:
        """See that a task's end is told to whoever asked for it; to this machine only."""
        if is_this_machine(task.callback_url):
            self.when_owed()
        elif task.callback_url:
            LOGGER.info("emulator: task %s: only this machine is called back", task.task_id)

    def record_info(self, call: Call) -> Response:
        """The record of a task; 422 for one that is not known. Source: L."""
        key = accepted_key(call)
        if key is None:
            return envelope(401, NO_ACCESS)
        try:
            self.books.note_question(key)
        except TooOften:
            return envelope(429, TOO_OFTEN)
        task = self.books.task(call.query.get("taskId", ""))
        if task is None or task.state == "unseen":
            return envelope(422, "recordInfo is null")
        task = self.see_to_clip(task)
        return envelope(200, "success", record_of(task, self.addresses.clip_url(clip_name(task))))

    def see_to_clip(self, task: Task) -> Task:
        """Have a missing clip made anew; until it is there the task is still generating."""
        wanted = task.ended_at is None or (task.clip and self.studio.file_of(task) is None)
        if not wanted:
            return task
        self.studio.order(task)
        return dataclasses.replace(task, state="generating") if task.clip else task

    def credit(self, call: Call) -> Response:
        """The balance, a float. Source: D, L."""
        if accepted_key(call) is None:
            return envelope(401, NO_ACCESS)
        return envelope(200, "success", self.books.balance())

    def download_url(self, call: Call) -> Response:
        """Another URL of a result, good for 20 minutes; the data is a bare string. Source: D."""
        if accepted_key(call) is None:
            return envelope(401, NO_ACCESS)
        body = call.json()
        name = own_clip_name(str(body.get("url"))) if isinstance(body, dict) else None
        task = self.books.task(name.partition("_")[0]) if name else None
        if task is None or task.state != "success" or name not in result_names(task):
            return envelope(422, "url is wrong")
        until = int(self.books.clock() + self.books.terms.link_life_s)
        return envelope(200, "success", f"{self.addresses.clip_url(name)}?until={until}")
