"""Test `progress`: a display is not flooded, and the end is always reported."""

from __future__ import annotations

from kling_nb.kie.progress import ProgressReport


def test_progress_is_reported_ten_times_a_second() -> None:
    """The first and the last are reported at once."""
    reported: list[tuple[int, int | None]] = []
    now = iter(at / 64 for at in range(640))
    report = ProgressReport(lambda *at: reported.append(at), clock=lambda: next(now))
    for done in range(1, 641):
        report.reach(done, 640)
    assert reported[0] == (1, 640)
    assert reported[-1] == (640, 640)
    assert 80 <= len(reported) <= 101


def test_progress_is_optional() -> None:
    """A caller may show none."""
    ProgressReport(None).reach(1, 2)
