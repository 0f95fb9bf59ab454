"""The doctor asks the page, and its report is filled in with what the page and the service say."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import av
import pytest

from kling_nb import __main__
from kling_nb.display import comm
from kling_nb.display.comm import Hub, Page
from kling_nb.notebook.doctor import browser, report
from tests.support.service import Open
from tests.support.shells import PATIENCE_S, htmls, open_shell, texts, updates_of

LAB = Page("JupyterLab", "4.6.6")
PLAYS = {
    "pictures": {"plays": True, "said": "320×180 decoded and played"},
    "sound": {"plays": True, "said": "1.0 s of audio decoded"},
}


# --- the page ----------------------------------------------------------------------------------


def test_before_the_page_answers_it_is_asked() -> None:
    """Its first message is there already."""
    found = browser.judge_page("notebook", LAB, None, waited_s=None)
    assert [each.status for each in found] == ["ok", "asking", "asking", "asking"]
    assert found[0].message == "JupyterLab 4.6.6"


def test_a_page_that_plays() -> None:
    """Widgets answer, and both kinds of data are decoded."""
    found = browser.judge_page("notebook", LAB, PLAYS, waited_s=None)
    assert {each.status for each in found} == {"ok"}


def test_a_page_without_a_decoder_has_a_fix() -> None:
    """In the page's own words, and with what to do."""
    answer = PLAYS | {"sound": {"plays": False, "said": "Unable to decode audio data"}}
    *_, sound = browser.judge_page("notebook", LAB, answer, waited_s=None)
    assert (sound.status, sound.message) == ("bad", "Unable to decode audio data")
    assert "Chrome" in sound.fix


def test_a_page_that_never_answers_has_a_fix() -> None:
    """Widgets are broken; whether clips play is not known, which is no fault."""
    found = browser.judge_page("notebook", None, None, waited_s=10)
    assert [each.status for each in found] == ["ok", "bad", "warn", "warn"]
    assert "anywidget" in found[1].fix


def test_an_old_front_end_is_a_warning() -> None:
    """There a click waits for the cell."""
    old = browser.judge_page("notebook", Page("JupyterLab", "4.2.5"), PLAYS, waited_s=None)[0]
    assert (old.status, old.message) == ("warn", "JupyterLab 4.2.5")


@pytest.mark.parametrize("place", ["terminal", "headless"])
def test_where_there_is_no_page_none_is_asked(place: Any) -> None:
    """One finding says where it is."""
    (only,) = browser.judge_page(place, None, None, waited_s=None)
    assert only.status == "ok"
    assert place in only.message


@pytest.mark.parametrize("told", [{}, {"pictures": 1}, {"sound": {"plays": "yes"}}])
def test_an_answer_of_another_kind_plays_nothing(told: dict[str, Any]) -> None:
    """Whatever a page sends, it raises nothing."""
    found = browser.judge_page("notebook", LAB, told, waited_s=None)
    assert [each.status for each in found[2:]] == ["bad", "bad"]


def test_the_clip_is_like_those_that_are_made() -> None:
    """H.264 and AAC, and small enough for a comm."""
    clip = browser.make_clip()
    assert len(clip) < 60_000
    with av.open(io.BytesIO(clip)) as film:
        assert [stream.codec_context.name for stream in film.streams] == ["h264", "aac"]


# --- the report --------------------------------------------------------------------------------


@pytest.fixture
def own_hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub that no other test has talked to, and a clip that costs nothing to make."""
    own = Hub()
    monkeypatch.setattr(comm, "_hubs", [own])
    monkeypatch.setattr(report, "make_clip", lambda: b"a clip")
    return own


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[browser.Probe]:
    """The probes that were sent, to answer for the page."""
    sent: list[browser.Probe] = []

    class Kept(browser.Probe):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            sent.append(self)

    monkeypatch.setattr(report, "Probe", Kept)
    return sent


def wait_for(shell: Any, words: str) -> dict[str, str]:
    """The update of the first display that says it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for bundle in updates_of(shell, 0):
            if words in bundle["text/plain"]:
                return bundle
        assert time.monotonic() < deadline, texts(shell)
        time.sleep(0.005)


def answer_for_the_page(probe: browser.Probe) -> None:
    """Say that everything plays; nothing is waited for any more."""
    told = {"plays": True, "said": "decoded"}
    probe._handle_custom_msg({"pictures": told, "sound": told}, [])


def test_the_report_is_there_at_once_and_filled_in(
    shell: Any, own_hub: Hub, probes: list[browser.Probe], open_session: Open
) -> None:
    """First it asks; then the service has answered, then the page."""
    report.show_report(open_session, "notebook")
    assert "checking  Widgets: waiting for the page…" in texts(shell)[0]
    assert f'data-kling-hub="{own_hub.hub_id}"' in htmls(shell)[0]
    assert "widget" not in shell.display_pub.outputs[0]["data"]
    wait_for(shell, "balance 5,916")
    answer_for_the_page(probes[0])
    text = wait_for(shell, "the page answers")["text/plain"]
    assert "asking" not in text
    assert probes[0].comm is None, "a probe that has answered is closed"
    before = len(updates_of(shell, 0))
    own_hub.page = LAB
    assert len(updates_of(shell, 0)) == before, "nobody is told of pages any more"


def test_a_page_that_does_not_answer_becomes_a_finding(
    shell: Any, own_hub: Hub, probes: list[browser.Probe], open_session: Open
) -> None:
    """And it may still answer later, when the cells before it have ended."""
    report.show_report(open_session, "notebook", timeout_s=0.01)
    wait_for(shell, "Widgets: no answer from the page")
    answer_for_the_page(probes[0])
    wait_for(shell, "Widgets: the page answers")


def test_a_reloaded_page_gets_what_it_missed(
    shell: Any,
    own_hub: Hub,
    probes: list[browser.Probe],
    open_session: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub sends the report as it stands to a page that asks for it."""
    report.show_report(open_session, "notebook")
    wait_for(shell, "balance 5,916")
    sent: list[Any] = []
    monkeypatch.setattr(own_hub, "send", sent.append)
    place = htmls(shell)[0].partition('data-kling-place="')[2].partition('"')[0]
    own_hub._handle_custom_msg({"do": "show", "place": place}, [])
    (told,) = [message for message in sent if "bundle" in message]
    assert told["place"] == place
    assert told["version"] >= 1
    assert "balance 5,916" in told["bundle"]["text/html"]
    answer_for_the_page(probes[0])


@pytest.mark.parametrize("place", ["terminal", "headless"])
def test_without_a_page_the_report_is_complete_at_once(
    place: Any, open_session: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that comes after the cell would be seen there."""
    with open_shell(place) as shell:
        report.show_report(open_session, place)
        told = capsys.readouterr().out + "".join(texts(shell))
    assert "balance 5,916" in told
    assert "asking" not in told


@pytest.mark.parametrize(("mode", "code"), [("emulator", 0), ("live", 1)])
def test_the_command_line_ends_with_1_when_something_is_broken(
    mode: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    """Live mode without a key is broken; and it says how to mend it."""
    from kling_nb.jobs import default_session

    monkeypatch.setenv("KLING_NB_MODE", mode)
    monkeypatch.setenv("KLING_NB_FOLDER", str(tmp_path / "clips"))
    monkeypatch.setattr(default_session, "_current", None)
    assert __main__.main(["doctor"]) == code
    told = capsys.readouterr().out
    assert ("broken" in told) == bool(code)
    if default_session._current is not None:
        default_session._current.close()
