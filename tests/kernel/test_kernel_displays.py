"""Cards in a kernel: few messages, an empty live part at the end, the clip in every place."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import WIDGET, Kernel
from tests.kernel.service import Service

pytestmark = pytest.mark.kernel

EMPTY = {"text/html": "", "text/plain": ""}


@pytest.mark.parametrize("seconds", [3, 8])
def test_a_job_costs_a_handful_of_messages(kernel: Kernel, seconds: int) -> None:
    """At most twelve once its card is on screen, however long it takes."""
    kernel.run(
        "import kling_nb, os",
        f"kling_nb.configure(emulator_seconds={seconds}, api_url='https://api.kie.ai');",
    )
    (request,) = kernel.send(f"%%kling -i fox.png\nfor {seconds} seconds")
    ended(kernel, request)
    shown = kernel.shown(request)
    first = next(n for n, message in enumerate(shown) if message.kind == "display_data")
    assert len(shown[first + 1 :]) <= 12, kernel.told()
    kernel.run("kling_nb.configure(emulator_seconds=None, api_url=None);")


def ended(kernel: Kernel, request: str) -> None:
    """Wait until a request's live part has gone, which is the last thing that is sent."""
    kernel.until(lambda: any(dict(m.bundle) == EMPTY for m in kernel.shown(request)))


def test_the_record_becomes_the_clip_and_the_live_part_goes(kernel: Kernel) -> None:
    """The first output is updated to the clip, the second to nothing."""
    (request,) = kernel.send("%%kling -i fox.png\nbecomes a clip")
    ended(kernel, request)
    shown = kernel.shown(request)
    record, live = [message for message in shown if message.kind == "display_data"]
    updates = [message for message in shown if message.kind == "update_display_data"]
    assert WIDGET not in record.bundle
    assert WIDGET in live.bundle
    last = {message.display_id: message for message in updates}
    assert last[record.display_id].is_final
    assert dict(last[live.display_id].bundle) == EMPTY


def test_a_job_shown_twice_ends_twice(kernel: Kernel) -> None:
    """Each cell has a card of its own, and both become the clip."""
    requests = kernel.send("%%kling -i fox.png -o fox\nshown twice", "fox", "display(fox)")
    cards = [kernel.final(request) for request in requests]
    assert len({card.display_id for card in cards}) == 3


def test_a_cell_shows_a_job_once(kernel: Kernel) -> None:
    """The magic has shown it already when its value is displayed."""
    (request,) = kernel.send("%%kling -i fox.png\nshown once")
    ended(kernel, request)
    records = [m for m in kernel.shown(request) if m.kind == "display_data" and m.state]
    assert len(records) == 1


def test_a_reloaded_page_gets_the_clip(kernel: Kernel) -> None:
    """A live part that is still on screen after the end asks for the card, and gets it."""
    (request,) = kernel.send("%%kling -i fox.png\nafter a reload")
    ended(kernel, request)
    asking = kernel.click(kernel.live_part(request), "show")

    def answer() -> str:
        for message in kernel.shown(asking):
            if message.kind == "comm_msg" and message.content["data"]["method"] == "custom":
                return str(message.content["data"]["content"]["card"])
        return ""

    assert '<video src="data:video/mp4;base64,' in kernel.until(answer)


def test_a_clip_is_displayed_by_itself(kernel: Kernel) -> None:
    """`job.result()` as the last line of a cell shows the video."""
    requests = kernel.send("%%kling -i fox.png -o fox\na clip by itself", "fox.result()")
    kernel.finish(*requests)
    (shown,) = kernel.shown(requests[1])
    assert shown.kind == "execute_result"
    assert shown.is_final


def test_the_prompt_is_with_the_clip(kernel: Kernel, service: Service) -> None:
    """The record has picture, prompt, price and task id, in HTML and in text."""
    (request,) = kernel.send("%%kling -i fox.png\nfacts of a record")
    final = kernel.final(request)
    task = service.books.tasks()[-1].task_id
    for words in ("facts of a record", "55 credits", task, ".mp4", "Emulated"):
        assert words in final.html
        assert words.lower() in final.text.lower()
