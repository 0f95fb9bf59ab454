"""The gallery in the kernel: which clips, what the page is sent, and what a click leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kling_nb.core.job_state import Stage
from kling_nb.display import gallery as galleries
from kling_nb.display.gallery import Gallery, gallery, parse_filter
from kling_nb.errors import MediaError
from kling_nb.jobs import default_session
from kling_nb.jobs.job import Job
from kling_nb.jobs.session import Session
from kling_nb.media import clips
from kling_nb.media.images import shrink
from kling_nb.storage.clip_search import ClipFilter, ClipPage
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from tests.support.service import Open
from tests.support.shells import htmls, open_shell, texts

PATIENCE_S = 20.0
VIEW = "application/vnd.jupyter.widget-view+json"
PROMPTS = ("A red fox", "A BLUE whale sings", "Mist <b>over</b> the lake")


@pytest.fixture
def session(session: Session) -> Session:
    """A session with three saved clips, the last of them newest."""
    for prompt in PROMPTS:
        session.text_to_video(prompt, sound=prompt == PROMPTS[1]).result(PATIENCE_S)
    return session


@pytest.fixture
def rows(session: Session) -> list[JobRecord]:
    """Its clips, newest first."""
    return session.ledger.clips()


def path_of(row: JobRecord) -> Path:
    """Return the file of a job's clip."""
    return Path(row.clip.path)  # type: ignore[union-attr]


class Page:
    """A page that shows a gallery: what it asks and what it gets."""

    def __init__(self, shown: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown = shown
        self.got: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(shown, "send", lambda *sent: self.got.append(sent))

    def ask(self, **asked: Any) -> tuple[dict[str, Any], list[bytes]]:
        """Send a message as the page does, and wait for the answer."""
        before = len(self.got)
        self.shown._handle_custom_msg(asked, [])
        self.wait_for(before + 1)
        return self.got[-1]

    def wait_for(self, count: int) -> None:
        """Wait until so many answers have come."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.got) < count:
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def prompts(self, **selection: Any) -> list[str]:
        """The prompts of the clips that it is sent for a selection."""
        reply, _ = self.ask(do="list", **selection)
        return [clip["prompt"] for clip in reply["clips"]]


@pytest.fixture
def page(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that shows the gallery of the session."""
    shown = gallery(session=session)
    yield Page(shown, monkeypatch)
    shown.close()


# --- which clips --------------------------------------------------------------------------------


def test_nonsense_from_a_page_selects_everything() -> None:
    """A page can send what it wants."""
    assert parse_filter({"words": 7, "model": None, "starred": "yes", "x": 1}) == ClipFilter()
    sent = {"words": "a", "model": "b", "starred": True, "hidden": True}
    assert parse_filter(sent) == ClipFilter("a", "b", starred=True, hidden=True)


# --- what is read ------------------------------------------------------------------------------


def test_a_still_is_small_and_comes_from_the_poster(rows: list[JobRecord]) -> None:
    """Two dozen of them have to fit into a notebook."""
    still = galleries.read_poster(rows[0])
    assert still.startswith(b"\xff\xd8")
    assert len(still) <= galleries.POSTER_BYTES


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"broken")])
def test_without_a_poster_the_image_comes_from_the_clip(
    rows: list[JobRecord], harm: Callable[[Path], object]
) -> None:
    """Or, without a clip, from the ledger's thumbnail."""
    row = replace(rows[0], thumbnail=b"the thumbnail")
    harm(path_of(row).with_suffix(".jpg"))
    assert galleries.read_poster(row).startswith(b"\xff\xd8")
    harm(path_of(row))
    assert galleries.read_poster(row) == b"the thumbnail"


def test_a_small_clip_is_sent_whole(rows: list[JobRecord]) -> None:
    """Byte by byte."""
    assert galleries.read_video(rows[0]) == (path_of(rows[0]).read_bytes(), False)


def test_large_clips_are_previews(rows: list[JobRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once."""
    made = []
    monkeypatch.setattr(clips, "WHOLE_BYTES", 10)
    monkeypatch.setattr(clips, "make_preview", lambda path, **_: made.append(path) or b"smaller")
    assert galleries.read_video(rows[0]) == (b"smaller", True)
    assert galleries.read_video(rows[0]) == (b"smaller", True)
    assert len(made) == 1


@pytest.mark.parametrize("content", [None, b"", b"no clip at all"], ids=["gone", "empty", "broken"])
def test_a_clip_that_does_not_play_says_why(rows: list[JobRecord], content: bytes | None) -> None:
    """By the file's name."""
    path = path_of(rows[0])
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=path.name):
        galleries.read_video(rows[0])


def test_shrinking_keeps_the_shape(photo: bytes) -> None:
    """An image of 96×64 fits into a box of 48×48×32."""
    from io import BytesIO

    from PIL import Image

    small = Image.open(BytesIO(shrink(photo, (48, 48), max_bytes=10_000)))
    assert (small.format, small.size) == ("JPEG", (48, 32))
    with pytest.raises(MediaError):
        shrink(b"no picture", (48, 48), max_bytes=10_000)


# --- what the page gets ------------------------------------------------------------------------


def test_the_first_clips_are_there_before_the_page_asks(page: Page) -> None:
    """With an image each: a busy kernel answers no message."""
    first = page.shown.first
    assert [clip["prompt"] for clip in first["clips"]] == [*reversed(PROMPTS)]
    assert all(still.startswith(b"\xff\xd8") for still in first["stills"])
    assert first["heading"] == "3 clips"


def test_a_page_gets_what_its_card_says(page: Page, rows: list[JobRecord]) -> None:
    """Words to show, the path, the cell, and no more of the row."""
    reply, stills = page.ask(do="list", view="v", turn=4)
    clip = reply["clips"][0]
    assert (reply["view"], reply["turn"], len(stills)) == ("v", 4, 3)
    assert (clip["id"], clip["emulated"], clip["starred"]) == (rows[0].id, True, False)
    assert clip["price"] == "would cost 55 credits ($0.28)"
    assert clip["cell"].startswith("%%kling")
    assert Path(clip["path"]).is_file()
    assert [clip["sound"] for clip in reply["clips"]] == [False, True, False]


def test_clips_come_a_page_at_a_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are on show, and more on demand: always from the newest on."""
    monkeypatch.setattr(galleries, "PAGE_SIZE", 2)
    assert page.prompts() == [PROMPTS[2], PROMPTS[1]]
    assert page.prompts(count=3) == [*reversed(PROMPTS)]
    assert page.prompts(count=-7) == page.prompts(count="x") == [PROMPTS[2], PROMPTS[1]]


def test_a_still_that_a_page_has_is_not_sent_again(page: Page, rows: list[JobRecord]) -> None:
    """Of hundreds they would be megabytes after each click."""
    reply, stills = page.ask(do="list", known=[rows[0].id, rows[2].id, "gone"])
    assert (reply["framed"], len(stills), len(reply["clips"])) == ([rows[1].id], 1, 3)
    reply, stills = page.ask(do="list", known=[["nonsense"], 7])
    assert reply["framed"] == [row.id for row in rows]
    assert len(stills) == 3


def test_a_page_that_fits_nothing_says_what_to_do(page: Page) -> None:
    """The folder is not called empty."""
    reply, _ = page.ask(do="list", words="no such clip")
    assert reply["nothing"][0] == "No clip matches"
    assert reply["heading"] == "0 of 3 clips"


def test_a_film_comes_as_bytes(page: Page, rows: list[JobRecord]) -> None:
    """On demand, beside what was asked."""
    reply, (film,) = page.ask(do="film", id=rows[0].id, view="v")
    assert reply == {"do": "film", "id": rows[0].id, "view": "v", "preview": False}
    assert film == path_of(rows[0]).read_bytes()


def test_marks_are_in_the_ledger(page: Page, session: Session, rows: list[JobRecord]) -> None:
    """So another kernel sees them, and they can be taken back."""
    reply, _ = page.ask(do="star", id=rows[0].id, on=True)
    assert (reply["starred"], reply["hidden"]) == (True, False)
    page.ask(do="hide", id=rows[1].id, on=True)
    assert [clip.request.id for clip in session.clips()] == [rows[0].id, rows[2].id]
    assert session.ledger.row(rows[0].id).starred
    assert page.prompts(starred=True) == [PROMPTS[2]]
    page.ask(do="hide", id=rows[1].id, on=False)
    assert len(session.clips()) == 3


def test_a_clip_that_is_gone_breaks_no_list(page: Page, rows: list[JobRecord]) -> None:
    """It says what happened; its neighbours are as they were."""
    path_of(rows[1]).unlink()
    reply, stills = page.ask(do="list")
    faults = [clip["fault"] for clip in reply["clips"]]
    assert "no longer exists" in faults[1]
    assert (faults[0], faults[2], len(stills)) == ("", "", 3)
    reply, films = page.ask(do="film", id=rows[1].id)
    assert "no longer exists" in reply["fault"]
    assert films == []


@pytest.mark.parametrize("job_id", ["ffffffff", None, "<b>"])
def test_an_unknown_clip_is_a_fault_in_words(page: Page, job_id: object) -> None:
    """And no traceback in some cell."""
    reply, _ = page.ask(do="star", id=job_id, on=True)
    assert "job" in reply["fault"]
    assert "broke" not in reply["fault"]


def test_a_fault_of_ours_is_told_and_logged(
    page: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says that something broke; the log has the traceback."""

    def breaks() -> Session:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(page.shown, "_session", breaks)
    reply, _ = page.ask(do="list")
    assert "ZeroDivisionError: oops" in reply["fault"]
    assert "could not answer 'list'" in caplog.text


@pytest.mark.parametrize("message", ["text", {"do": "erase"}, {}, None])
def test_other_messages_are_passed_over(page: Page, message: Any) -> None:
    """Nothing is answered."""
    page.shown._handle_custom_msg(message, [])
    page.ask(do="list")
    assert len(page.got) == 1


def test_a_list_says_how_many_there_are_to_see(page: Page, rows: list[JobRecord]) -> None:
    """Hidden clips count where they are shown, and each model is offered once."""
    page.ask(do="hide", id=rows[0].id, on=True)
    reply, _ = page.ask(do="list")
    assert (reply["matching"], reply["heading"]) == (2, "2 clips")
    assert (reply["models"], reply["nothing"]) == (["kling-2.6/text-to-video"], [])
    reply, _ = page.ask(do="list", hidden=True)
    assert (reply["matching"], reply["heading"]) == (3, "3 clips")
    assert [clip["hidden"] for clip in reply["clips"]] == [True, False, False]


def test_a_film_that_takes_long_keeps_no_star_waiting(
    page: Page, rows: list[JobRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are being made smaller."""
    free = threading.Event()
    monkeypatch.setattr(
        galleries, "read_video", lambda row: (str(free.wait(PATIENCE_S)).encode(), False)
    )
    for row in rows:
        page.shown._handle_custom_msg({"do": "film", "id": row.id}, [])
    reply, _ = page.ask(do="star", id=rows[0].id, on=True)
    assert (reply["do"], reply["starred"]) == ("star", True)
    free.set()
    page.wait_for(4)


def test_a_list_knows_of_the_star_before_it(page: Page, rows: list[JobRecord]) -> None:
    """Both were sent while the kernel was busy, and come at once."""
    for row in rows:
        page.shown._handle_custom_msg({"do": "star", "id": row.id, "on": True}, [])
    page.shown._handle_custom_msg({"do": "list", "starred": True}, [])
    page.wait_for(4)
    assert [reply["do"] for reply, _ in page.got] == ["star"] * 3 + ["list"]
    assert page.got[-1][0]["matching"] == 3


def test_its_repr_is_a_line(page: Page) -> None:
    """Not all its stills."""
    assert len(repr(page.shown)) < 200
    assert repr(page.shown).startswith("<Gallery of 3 clips in ")


# --- clips that change while it is on show ------------------------------------------------------


class Screen:
    """A page with several views of a gallery, and what they were told of changes."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def look(self, name: str, **selection: Any) -> None:
        """Show the list in a view, with a filter."""
        self.page.ask(do="list", view=name, **selection)

    @property
    def changes(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        """The messages about changes, once all that was queued before has been sent."""
        galleries._list_thread.submit(int).result(PATIENCE_S)
        return [sent for sent in self.page.got if sent[0]["do"] == "change"]

    def change(self) -> dict[str, Any]:
        """The only message about a change."""
        ((message, _),) = self.changes
        return message


@pytest.fixture
def screen(page: Page) -> Screen:
    """A page whose only view shows all clips."""
    screen = Screen(page)
    screen.look("all")
    return screen


def test_a_new_clip_is_sent_once(screen: Screen, session: Session) -> None:
    """With its image and the numbers of clips, however many steps its job takes."""
    clip = session.text_to_video("An owl").result(PATIENCE_S)
    ((message, (still,)),) = screen.changes
    assert (message["id"], message["clip"]["prompt"]) == (clip.request.id, "An owl")
    assert message["views"] == {"all": {"fits": True, "matching": 4, "heading": "4 clips"}}
    assert still.startswith(b"\xff\xd8")
    reply, _ = screen.page.ask(do="list", view="all")
    assert reply["clips"][0] == message["clip"]
    assert reply["heading"] == "4 clips"


def test_each_view_gets_what_fits_its_filter(screen: Screen, session: Session) -> None:
    """The filter is judged as in a list."""
    for name, words in (("owls", "OWL"), ("foxes", "fox")):
        screen.look(name, words=words)
    screen.look("stars", starred=True)
    session.text_to_video("An owl").result(PATIENCE_S)
    views = screen.change()["views"]
    assert {name: view["fits"] for name, view in views.items()} == {
        "all": True,
        "owls": True,
        "foxes": False,
        "stars": False,
    }
    assert views["foxes"]["heading"] == "1 of 4 clips"


def test_a_mark_from_elsewhere_is_shown(
    screen: Screen, session: Session, rows: list[JobRecord]
) -> None:
    """By Python or by another gallery; its image is there already."""
    session.star(rows[1].id)
    ((message, stills),) = screen.changes
    assert (message["clip"]["starred"], stills) == (True, [])
    session.star(rows[1].id)
    assert len(screen.changes) == 1  # nothing has changed
    session.hide(rows[0].id)
    assert screen.changes[-1][0]["views"]["all"]["fits"] is False
    assert screen.changes[-1][0]["views"]["all"]["heading"] == "2 clips"


def test_a_clip_that_is_lost_goes(screen: Screen, session: Session, rows: list[JobRecord]) -> None:
    """It is in no list any more."""
    session.ledger.advance(rows[2].id, Stage.SUCCEEDED)
    message = screen.change()
    assert (message["id"], message["clip"]) == (rows[2].id, {})
    assert message["views"]["all"] == {"fits": False, "matching": 2, "heading": "2 clips"}


def test_nothing_is_sent_where_nothing_is_on_show(page: Page, session: Session) -> None:
    """Before a page shows it, after the last view has gone, and when it is closed."""
    screen = Screen(page)
    session.text_to_video("An owl").result(PATIENCE_S)
    screen.look("all")
    page.shown._handle_custom_msg({"do": "leave", "view": "all"}, [])
    session.text_to_video("A crow").result(PATIENCE_S)
    screen.look("all")
    page.shown.close()
    session.text_to_video("A heron").result(PATIENCE_S)
    assert screen.changes == []


def test_clips_of_another_folder_are_not_its_own(
    screen: Screen, open_session: Open, tmp_path: Path
) -> None:
    """A session of the same folder counts, whichever it is."""
    open_session(folder=tmp_path / "elsewhere").text_to_video("An owl").result(PATIENCE_S)
    assert screen.changes == []
    open_session().text_to_video("A crow").result(PATIENCE_S)
    assert screen.change()["clip"]["prompt"] == "A crow"


def test_a_fault_while_a_change_is_shown_is_logged(
    screen: Screen,
    session: Session,
    rows: list[JobRecord],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The star is set all the same."""
    monkeypatch.setattr(screen.page.shown, "send", lambda *_: 1 / 0)
    assert session.star(rows[0].id).starred
    galleries._list_thread.submit(int).result(PATIENCE_S)
    assert f"could not show a change of job {rows[0].id}" in caplog.text


def test_clips_of_other_kernels_are_there_on_demand(
    screen: Screen, session: Session, rows: list[JobRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is searched only if its file has changed, or for a view that has no list yet."""
    searched = []
    find = session.ledger.clip_search.find
    monkeypatch.setattr(
        session.ledger.clip_search, "find", lambda *given: searched.append(1) or find(*given)
    )
    reply, stills = screen.page.ask(do="check", view="all", turn=3)
    assert reply == {"do": "check", "view": "all", "turn": 3, "same": True, "known": []}
    assert stills == searched == []
    other = Ledger(session.ledger.folder)
    with monkeypatch.context() as patch:
        # As in another kernel, nobody is told.
        patch.setattr("kling_nb.storage.ledger.report_changes", lambda _: None)
        other.mark(rows[0].id, hidden=True)
    other.close()
    assert screen.changes == []
    reply, _ = screen.page.ask(do="check", view="all")
    assert reply["heading"] == "2 clips"
    assert "same" not in reply
    assert screen.page.ask(do="check", view="all")[0]["same"]
    assert screen.page.ask(do="check", view="new")[0]["heading"] == "2 clips"


# --- what a notebook keeps ---------------------------------------------------------------------


def test_the_output_is_pictures_and_text(session: Session) -> None:
    """No view of a widget, which would be dead when the notebook is opened again."""
    bundle = gallery(session=session)._repr_mimebundle_()
    assert VIEW not in bundle
    assert bundle["text/html"].count("data:image/jpeg") == 3
    assert "Mist &lt;b&gt;over" in bundle["text/html"]
    assert bundle["text/plain"].startswith("3 clips\n")
    assert len(bundle["text/html"]) < 600_000


@pytest.fixture
def hundreds(session: Session, rows: list[JobRecord], monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session with 400 clips, their prompts and images as large as allowed."""
    many = [
        replace(rows[0], id=f"{number:08x}", values={"prompt": '"<é ' * 625})
        for number in range(400)
    ]
    numbers = [*range(400, 0, -1)]
    monkeypatch.setattr(
        session.ledger.clip_search,
        "find",
        lambda _, count: ClipPage(many[:count], 400, 400, [], numbers[:count]),
    )
    monkeypatch.setattr(galleries, "read_poster", lambda row: b"\xff" * galleries.POSTER_BYTES)
    return session


def test_what_is_saved_is_bounded_however_many_clips_there_are(hundreds: Session) -> None:
    """Two dozen stills as text and their prompts; the rest is counted."""
    bundle = gallery(session=hundreds)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("The newest 17 of 400 clips\n")
    assert "The newest 24 of 400 clips" in bundle["text/html"]
    assert sum(len(text.encode()) for text in bundle.values()) < 1_000_000


def test_what_is_sent_at_first_is_bounded(hundreds: Session) -> None:
    """The first two dozen, once: the page's own question brings no still again."""
    shown = gallery(session=hundreds)
    assert len(shown.first["clips"]) == len(shown.first["stills"]) == galleries.PAGE_SIZE
    reply, stills = shown._list({"known": shown.first["framed"]})
    assert (len(reply["clips"]), stills) == (galleries.PAGE_SIZE, [])
    assert shown.first["heading"] == "400 clips"


def test_an_empty_folder_is_no_error(open_session: Open) -> None:
    """It says what to do, in the page and in the notebook."""
    session = open_session()
    shown = gallery(session=session)
    title = shown.first["nothing"][0]
    assert title.startswith("No clips yet in ")
    assert title.endswith(session.settings.folder.name)
    assert shown._repr_mimebundle_()["text/plain"].startswith(f"{title}\nMake one in a")


def test_hidden_clips_are_mentioned(session: Session, rows: list[JobRecord]) -> None:
    """The text says how to show them."""
    for row in rows:
        session.hide(row.id)
    title, *lines = gallery(session=session).first["nothing"]
    assert title == "No clip matches"
    assert any("gallery(hidden=True)" in line for line in lines)


def test_a_lost_ledger_is_reported(session: Session, open_session: Open, tmp_path: Path) -> None:
    """Its clips are counted, and the text says how to recover them."""
    folder = tmp_path / "lost"
    folder.mkdir()
    for row in session.ledger.clips():
        (folder / path_of(row).name).touch()
    shown = gallery(session=open_session(folder=folder))
    assert shown.first["nothing"][0].startswith("3 clips in ")
    assert "%kling recover" in shown._repr_mimebundle_()["text/plain"]


def test_the_magic_filters_by_words(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """`%kling gallery red fox`; alone it shows all."""
    from kling_nb.notebook.commands import Commands

    monkeypatch.setattr(default_session, "_current", session)
    with open_shell("notebook") as shell:
        assert Commands(shell).run("gallery red fox") is None
        assert Commands(shell).run("gallery") is None
        assert texts(shell)[0].startswith("1 of 3 clips\n")
        assert texts(shell)[1].startswith("3 clips\n")
        assert htmls(shell)[0].count("data:image/jpeg") == 1


def test_the_function_is_public() -> None:
    """`kling.gallery` is the function: no room of that name hides it."""
    import kling_nb

    assert kling_nb.gallery is gallery


def test_the_gallery_follows_configure(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the session each time."""
    monkeypatch.setattr(default_session, "_current", session)
    shown = gallery()
    job: Job = session.text_to_video("A fourth clip")
    job.result(PATIENCE_S)
    reply, _ = shown._list({})
    assert reply["heading"] == "4 clips"
