"""The API host: createTask, recordInfo, credit, download-url.

Contains no connections and no faults of the transport.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from kling_nb.emulator.account.account import CreditsInsufficient, EmulatedAccount, TooOften
from kling_nb.emulator.account.tasks import Task, clip_name, record_of, result_names
from kling_nb.emulator.faults import TOO_OFTEN
from kling_nb.emulator.hosts import PublicUrls, is_this_machine, own_clip_name
from kling_nb.emulator.render.worker import RenderWorker

from .routes import Call, envelope, route
from .validate import Refusal, check_request

_LOGGER = logging.getLogger("kling_nb.emulator")


class Api:
    """The endpoints below `https://api.kie.ai/api/v1`."""

    def __init__(
        self, account: EmulatedAccount, renderer: RenderWorker, urls: PublicUrls, seconds: float
    ) -> None:
        """Serve this account; a clip takes `seconds`."""
        self.account = account
        self.renderer = renderer
        self.urls = urls
        self.seconds = seconds
        self.on_callback_due: Callable[[], None] = lambda: None
        """Called after the creation of a task with a callback URL on this machine."""

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the host."""
        return [
            route("/api/v1/jobs/createTask", "POST", self.create_task, _no_access),
            route("/api/v1/jobs/recordInfo", "GET", self.record_info, _no_access),
            route("/api/v1/chat/credit", "GET", self.credit, _no_access),
            route("/api/v1/common/download-url", "POST", self.download_url, _no_access),
        ]

    def create_task(self, call: Call) -> Response:
        """Create a task; `taskId` and `recordId` are the same 32 hex characters. Source: L."""
        try:
            request = check_request(call.json(), self.renderer.measure)
            task = self.account.open_task(request, self.seconds)
        except Refusal as refusal:
            return envelope(refusal.code, refusal.msg)
        except TooOften:
            return envelope(429, TOO_OFTEN)
        except CreditsInsufficient:
            return envelope(402, "Credits insufficient")
        if task.ended_at is None:
            self.renderer.add(task)
        if is_this_machine(task.callback_url):
            self.on_callback_due()
        elif task.callback_url:
            _LOGGER.info("emulator: task %s: only this machine is called back", task.task_id)
        return envelope(200, "success", {"taskId": task.task_id, "recordId": task.task_id})

    def record_info(self, call: Call) -> Response:
        """Return the record of a task; 422 for an unknown one. Source: L."""
        try:
            self.account.count_status_request(call.key)
        except TooOften:
            return envelope(429, TOO_OFTEN)
        task = self.account.task(call.query.get("taskId", ""))
        if task is None or task.state == "unseen":
            return envelope(422, "recordInfo is null")
        task = self.render_missing(task)
        return envelope(200, "success", record_of(task, self.urls.clip_url(clip_name(task))))

    def render_missing(self, task: Task) -> Task:
        """Render a missing clip; until it exists the task is generating."""
        if task.ended_at is None:
            self.renderer.add(task)
        elif task.clip and self.renderer.file_of(task) is None:
            self.renderer.add(task)
            return dataclasses.replace(task, state="generating")
        return task

    def credit(self, _call: Call) -> Response:
        """Return the balance, a float. Source: D, L."""
        return envelope(200, "success", self.account.balance())

    def download_url(self, call: Call) -> Response:
        """Return another URL of a result, valid for 20 minutes, as a bare string. Source: D."""
        body = call.json()
        name = own_clip_name(str(body.get("url"))) if isinstance(body, dict) else None
        task = self.account.task(name.partition("_")[0]) if name else None
        if task is None or task.state != "success" or name not in result_names(task):
            return envelope(422, "url is wrong")
        until = int(self.account.clock() + self.account.limits.link_life_s)
        return envelope(200, "success", f"{self.urls.clip_url(name)}?until={until}")


def _no_access() -> JSONResponse:
    """Return the API's answer to a bad key. Source: L."""
    return envelope(401, "You do not have access permissions")
