"""Cells queued at once, as Run All does it: none is lost, none waits for a clip."""

from __future__ import annotations

import pytest

from tests.kernel.kernels import Kernel
from tests.support.service import Served

pytestmark = pytest.mark.kernel


def test_a_plain_cell_does_not_wait_for_clips(kernel: Kernel) -> None:
    """Its output comes before either clip is there, and both clips come."""
    cells = ["%%kling -i fox.png\nfirst", "%%kling -i fox.png\nsecond", "print('plain')"]
    first, second, plain = kernel.send(*cells)
    kernel.finish(first, second, plain)
    printed = kernel.place(plain, lambda message: message.text == "plain\n")
    assert printed is not None
    for request in (first, second):
        assert kernel.messages.index(kernel.final(request)) > printed


def test_progress_goes_on_while_a_cell_sleeps(kernel: Kernel, service: Served) -> None:
    """A cell that keeps the kernel's thread does not hold up an earlier cell's card."""
    service.account.inject("download-slow", argument="3")  # not over before the cell begins
    clip, sleep = kernel.send(
        "%%kling -i fox.png -o fox\nwhile the kernel sleeps",
        "import time\nwhile not fox.done():\n    time.sleep(0.05)\ntime.sleep(1)",
    )
    kernel.finish(clip, sleep)
    begin = kernel.place(sleep, lambda message: message.kind == "execute_input")
    end = kernel.place(sleep, kernel.is_idle)
    assert begin is not None
    assert end is not None
    during = [m for m in kernel.messages[begin:end] if m.request == clip]
    final = next(number for number, message in enumerate(during) if message.is_final)
    # The card may have been drawn before; its live part shows the download.
    assert any("kling-live" in str(message.told) for message in during[:final])
