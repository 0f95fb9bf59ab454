"""Cards in a kernel: few messages, plain outputs, one hub."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import WIDGET, Kernel, Message

pytestmark = pytest.mark.kernel

MOST_MESSAGES = 10


@pytest.mark.parametrize("seconds", [3, 8])
def test_a_job_costs_a_handful_of_messages(kernel: Kernel, seconds: int) -> None:
    """At most ten of any kind once its card is on screen, however long it takes."""
    kernel.run(
        "import kling_nb, os",
        f"kling_nb.configure(emulator_seconds={seconds}, api_url='https://api.kie.ai');",
    )
    (request,) = kernel.send(f"%%kling -i fox.png\nfor {seconds} seconds")
    ended(kernel, request)
    begun = kernel.place(request, lambda message: bool(message.marks))
    assert begun is not None
    count = len(kernel.messages) - begun - 1
    print(f"{count} messages for a job of {seconds} s once its card was on screen")
    assert count <= MOST_MESSAGES, kernel.told()
    kernel.run("kling_nb.configure(emulator_seconds=None, api_url=None);")


def of_card(kernel: Kernel, request: str) -> list[Message]:
    """All messages about a request's card: its outputs, and those to the pages."""
    display = next(m.display_id for m in kernel.shown(request) if m.marks)
    place = kernel.card(request)["place"]
    return [m for m in kernel.messages if display == m.display_id or place == m.told.get("place")]


def ended(kernel: Kernel, request: str) -> None:
    """Wait until the pages get the end, and then the record becomes the clip."""
    kernel.until(lambda: any('data-kling-do="take"' in foot for foot in kernel.feet(request)))
    kernel.final(request)


def test_the_record_becomes_the_clip_in_its_place(kernel: Kernel) -> None:
    """One output, from the placeholder on; each version is newer than the one before."""
    (request,) = kernel.send("%%kling -i fox.png\nbecomes a clip")
    ended(kernel, request)
    placeholder, *shown = [m for m in of_card(kernel, request) if m.bundle]
    assert (placeholder.kind, placeholder.is_placeholder) == ("display_data", True)
    assert {m.kind for m in shown} == {"update_display_data"}
    assert shown[-1].is_final
    versions = [int(m.marks["version"]) for m in shown]
    assert versions == sorted(set(versions))
    assert len([m for m in kernel.shown(request) if m.kind == "display_data"]) == 1


def test_no_output_holds_a_widget(kernel: Kernel) -> None:
    """Nor anything that needs one: a saved notebook is HTML, text and our JSON."""
    requests = kernel.send("%%kling -i fox.png -o plain\nno widget", "plain", "plain.result()")
    kernel.finish(*requests)
    ended(kernel, requests[0])
    kinds = {kind for message in kernel.messages for kind in message.bundle}
    assert WIDGET not in kinds
    assert kinds <= {"text/html", "text/plain", "application/vnd.kling-nb.card+json"}


def test_there_is_one_hub_for_all_cards(kernel: Kernel) -> None:
    """A notebook of fifty cards has one connection to its page."""
    requests = kernel.send("%%kling -i fox.png\none", "%%kling -i fox.png\ntwo")
    assert len({kernel.card(request)["hub"] for request in requests}) == 1
    for request in requests:
        ended(kernel, request)


def test_a_job_shown_twice_ends_twice(kernel: Kernel) -> None:
    """Each cell has a card of its own, and both become the clip."""
    requests = kernel.send("%%kling -i fox.png -o fox\nshown twice", "fox", "display(fox)")
    cards = [kernel.final(request) for request in requests]
    assert len({card.display_id for card in cards}) == 3


def test_a_clip_is_displayed_by_itself(kernel: Kernel) -> None:
    """`job.result()` as the last line of a cell shows the video."""
    requests = kernel.send("%%kling -i fox.png -o fox\na clip by itself", "fox.result()")
    kernel.finish(*requests)
    (shown,) = kernel.shown(requests[1])
    assert shown.kind == "execute_result"
    assert shown.is_final
