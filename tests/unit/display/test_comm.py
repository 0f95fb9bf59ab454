"""The hub: places that hear and are told, and saved forms that widgets replace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import pytest

from kling_nb.display import comm
from kling_nb.display.comm import VIEW_MIME, CardContainer, Hub, Page, hub, mount_widget
from tests.support.html_outline import Outline
from tests.support.shells import open_shell


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub of this test's own, as the process's."""
    own = Hub()
    monkeypatch.setattr(comm, "_hubs", [own])
    return own


def hear(hub: Hub, content: object) -> None:
    """A message from a page."""
    hub._handle_custom_msg(content, [])


def test_there_is_one_hub(own: Hub) -> None:
    """For all cards of a kernel; a page sees by its id that its comm was lost."""
    assert hub() is hub() is own
    assert own.hub_id == own.model_id


def test_a_closed_hub_is_replaced(own: Hub) -> None:
    """Somebody closed all widgets: the next card lives again."""
    own.close()
    assert hub() is not own
    assert hub().comm is not None


def test_a_place_hears_what_is_said_there(own: Hub) -> None:
    """And nothing else does."""
    first: list[Mapping[str, Any]] = []
    second: list[Mapping[str, Any]] = []
    place = own.add_container(first.append)
    own.add_container(second.append)
    hear(own, {"do": "detach", "place": place, "job": "k7f2qd"})
    assert [message["do"] for message in first] == ["detach"]
    assert second == []


def test_a_page_asks_for_many_places_at_once(own: Hub) -> None:
    """Each hears which version of it is on the screen; one that is unknown is passed over."""
    heard: list[Mapping[str, Any]] = []
    places = [own.add_container(heard.append) for _ in range(2)]
    hear(own, {"do": "seen", "places": {places[0]: 3, "strange": 1, places[1]: 5}})
    assert [message["version"] for message in heard] == [3, 5]


@pytest.mark.parametrize(
    "content", [None, 7, "detach", [], {}, {"place": 7}, {"do": "seen", "places": 7}]
)
def test_nonsense_from_a_page_does_nothing(own: Hub, content: object) -> None:
    """A page is not trusted to be ours."""
    heard: list[object] = []
    own.add_container(heard.append)
    hear(own, content)
    assert heard == []


def test_an_answer_that_breaks_is_logged(own: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """And the next one is given."""

    def broken(_message: object) -> None:
        raise RuntimeError("no answer")

    hear(own, {"do": "detach", "place": own.add_container(broken)})
    assert "no answer" in caplog.text


def test_a_place_is_told_until_it_is_dropped(own: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody is asked there and nothing is sent."""
    sent: list[object] = []
    monkeypatch.setattr(own, "send", sent.append)
    heard: list[object] = []
    place = own.add_container(heard.append)
    own.send_update(place, version=1)
    own.remove_container(place)
    own.send_update(place, version=2)
    hear(own, {"do": "detach", "place": place})
    assert sent == [{"place": place, "version": 1}]
    assert heard == []


def test_a_page_tells_of_itself(own: Hub) -> None:
    """What it says is there to be observed; before, there is none."""
    assert own.page is None
    seen: list[Page] = []
    own.observe(lambda change: seen.append(change["new"]), "page")
    hear(own, {"do": "hello", "page": {"front_end": "JupyterLab", "version": "4.6.6"}})
    assert own.page == Page("JupyterLab", "4.6.6")
    assert seen == [own.page]


def test_a_page_reports_cards_of_earlier_kernels(own: Hub) -> None:
    """They are kept until an observer takes them; what is not ours is passed over."""
    hear(own, {"do": "earlier", "places": {"p1": {"k7f2qd": "waiting"}, "p2": 7}})
    hear(own, {"do": "earlier", "places": {"p3": {"k7f2qd": 7}, "p4": {}}})
    hear(own, {"do": "earlier", "places": 7})
    assert own.earlier == {"p1": {"k7f2qd": "waiting"}, "p4": {}}
    assert "earlier" not in own.keys


@pytest.mark.parametrize(
    ("sent", "page"),
    [
        (None, Page()),
        ([], Page()),
        ("x", Page()),
        ({"front_end": 7, "reduced_motion": "yes", "other": 1}, Page()),
        ({"agent": "x" * 10_000}, Page(agent="x" * 400)),
    ],
    ids=["none", "list", "text", "other types", "long"],
)
def test_what_a_page_sends_of_itself_is_checked_and_cut(sent: object, page: Page) -> None:
    """What cannot be read keeps its default; a page cannot fill the memory."""
    assert Page.parse(sent) == page


@pytest.mark.parametrize(
    ("front_end", "is_mounted", "has_view"),
    [("notebook", True, False), ("VS Code", True, True), ("headless", False, False)],
)
def test_a_mounted_widget_is_saved_as_its_fallback(
    own: Hub, front_end: str, is_mounted: bool, has_view: bool
) -> None:
    """Only where widgets need to be displayed (VS Code, Colab) is a view in the output.

    A headless run gets the saved form alone: without a kernel a saved widget would be dead.
    """
    saved = {"text/html": "<p>saved</p>", "text/plain": "saved"}
    with open_shell(front_end):
        box = widgets.VBox()
        bundle = mount_widget(box, saved)
    view = bundle.pop(VIEW_MIME, {})
    assert view.get("model_id") == (box.model_id if has_view else None)
    assert set(bundle) == set(saved)
    if is_mounted:
        mount = Outline(bundle["text/html"]).only("kling-mount")
        assert mount["data-kling-mount"] == box.model_id
        assert mount["data-kling-hub"] == own.hub_id
        assert "<p>saved</p>" in bundle["text/html"]
    else:
        assert bundle == saved


def test_a_place_has_versions(own: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message says which is the newest; the bundle goes to those that are behind."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(own, "send", sent.append)
    place = CardContainer(lambda _: None, "run it again")
    place.start_version()
    wrapped = place.wrap({"text/html": "<p>clip</p>", "text/plain": "clip"})
    mark = Outline(wrapped["text/html"]).only("kling-place")
    assert (mark["data-kling-place"], mark["data-kling-version"]) == (place.id, "1")
    assert wrapped["text/plain"] == "clip"
    place.send_update(feet={})
    place.send_update(wrapped)
    assert sent == [
        {"place": place.id, "version": 1, "feet": {}},
        {"place": place.id, "version": 1, "bundle": wrapped, "missed": "run it again"},
    ]


def test_a_place_moves_to_the_hub_that_is_there(own: Hub) -> None:
    """With its next version; in the hub that was closed nobody hears it."""
    heard: list[object] = []
    place = CardContainer(heard.append)
    own.close()
    place.start_version()
    hear(hub(), {"do": "detach", "place": place.id})
    assert len(heard) == 1
    place.close()
    hear(hub(), {"do": "detach", "place": place.id})
    assert len(heard) == 1


def test_the_module_is_one_file() -> None:
    """What a widget brings along cannot import anything."""
    assert "export default" in str(Hub._esm)
    assert "import " not in str(Hub._esm).replace("cannot import", "")
