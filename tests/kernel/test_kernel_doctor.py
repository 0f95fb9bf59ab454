"""`%kling doctor` in a kernel: there at once, filled in behind the cell, and never with the key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernel.kernels import WIDGET, Kernel
from tests.support.service import KEY

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def live(start: Callable[..., Kernel]) -> Kernel:
    """A kernel with a key, for the served emulator."""
    return start(KIE_API_KEY=KEY, KLING_NB_MODE="live")


def test_the_report_is_filled_in_behind_the_cell(live: Kernel) -> None:
    """The cell does not wait for the service; its output is the one that is updated."""
    (request,) = live.send("%kling doctor")
    live.finish(request)
    (shown,) = [m for m in live.shown(request) if m.kind == "display_data"]
    assert "checking  Widgets" in shown.text
    assert WIDGET not in shown.bundle

    def filled() -> bool:
        updates = [m for m in live.messages if m.kind == "update_display_data"]
        return any(m.display_id == shown.display_id and "balance" in m.text for m in updates)

    live.until(filled)


def test_the_key_is_in_no_message(live: Kernel) -> None:
    """Neither shown nor sent to a page."""
    live.run("%kling doctor", "%kling doctor")
    assert not [m for m in live.messages if KEY in str(m.content)]
