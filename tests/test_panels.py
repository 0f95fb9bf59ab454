"""What the panel promises: a form from the spec alone, one validator, several clips at once."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
from PIL import Image

from kling_nb import models, panels
from kling_nb.errors import AlreadyPaid, BadRequest, InvalidInput
from kling_nb.jobs import Job
from kling_nb.kinds import Choice, Flag, Media, Number, Text
from kling_nb.panels import Panel, panel
from kling_nb.specs import ModelSpec, Parameter, Price, PriceList
from kling_nb.states import Failed, Saved

WAIT_S = 30.0

INVENTED = ModelSpec(
    name="invented-9/all-kinds",
    title="Invented 9, all kinds",
    parameters=(
        Parameter("prompt", Text(50), "what happens"),
        Parameter("mood", Text(20), "how it feels", required=False),
        Parameter("image", Media(("image/png",), 1_000_000), "the first frame"),
        Parameter(
            "references", Media(("image/png",), 1_000_000, max_count=3), "more", required=False
        ),
        Parameter("duration", Choice(("3", "4"), unit="s"), "length", default="3"),
        Parameter("ratio", Choice(tuple("abcdefg")), "shape", default="a"),
        Parameter("sound", Flag("sound", "no sound"), "sound", default=False),
        Parameter("shots", Number(1, 5, integer=True), "how many", default=2),
        Parameter("cfg_scale", Number(0, 1, 0.1), "how close", required=False),
    ),
    prices=PriceList((Price(7, {"duration": "3"}), Price(9)), date(2026, 11, 1), "invented"),
    usual_s=10.0,
    source="invented",
)
"""A model that does not exist, with every kind."""


class Beside(ThreadPoolExecutor):
    """The threads of clicks, which tests can wait for."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.begun: list[Future[Any]] = []

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Note what was begun."""
        self.begun.append(super().submit(*args, **kwargs))
        return self.begun[-1]

    def rest(self) -> None:
        """Wait until all is done."""
        while any(not one.done() for one in self.begun):
            wait(tuple(self.begun), WAIT_S)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """The panel's threads."""
    with Beside() as threads:
        monkeypatch.setattr(panels, "_beside", threads)
        yield threads


@pytest.fixture
def make(open_session: Callable[..., Any], beside: Beside) -> Callable[..., Panel]:
    """Makes panels that share a session."""
    session = open_session()

    def begin(model: str = models.IMAGE_TO_VIDEO.name, **values: Any) -> Panel:
        made = panel(model, session=session, **values)
        beside.rest()
        return made

    return begin


@pytest.fixture
def fox(tmp_path: Path) -> Path:
    """A picture on disk."""
    path = tmp_path / "fox.png"
    path.write_bytes(png())
    return path


def png(size: tuple[int, int] = (400, 300), colour: str = "orange") -> bytes:
    """A picture as bytes."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def uploaded(content: bytes, name: str = "chosen.png") -> dict[str, Any]:
    """What a FileUpload holds of one file."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return {
        "name": name,
        "type": "image/png",
        "size": len(content),
        "content": memoryview(content),
        "last_modified": at,
    }


def walk(widget: Any) -> Iterator[Any]:
    """The widget and all within it, in the order of the Tab key."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def find(place: Any, description: str, kind: type = widgets.Widget) -> Any:
    """The control with that label."""
    found = [
        one
        for one in walk(place)
        if getattr(one, "description", "") == description and isinstance(one, kind)
    ]
    assert len(found) == 1, f"{description}: {found}"
    return found[0]


def text_of(place: Any) -> str:
    """All HTML that is shown there."""
    shown = [
        one.value
        for one in walk(place)
        if isinstance(one, widgets.HTML) and one.layout.display != "none"
    ]
    return re.sub("<style>.*?</style>", "", "\n".join(shown), flags=re.DOTALL)


def price_of(made: Panel) -> str:
    """The price line."""
    return next(line for line in text_of(made).splitlines() if 'class="kling-cost"' in line)


def read_all(made: Panel) -> None:
    """Wait until every picture that is there was read."""
    for field in made._form._fields.values():
        if getattr(field, "reading", None) is not None:
            field.reading.result(WAIT_S)


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about; it fails when that never happens."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def clip(job: Job) -> None:
    """Wait for a job and for its card."""
    job.result(WAIT_S)


# --- the form ----------------------------------------------------------------------------------


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> str:
    """The invented model in the catalogue; its name."""
    monkeypatch.setitem(models.CATALOGUE, INVENTED.name, INVENTED)  # type: ignore[arg-type]
    return INVENTED.name


def test_a_new_model_has_a_working_form(make, invented) -> None:
    """A spec in the catalogue is all that a form needs; each kind has its control."""
    made = make(invented)
    find(made, "Prompt", widgets.Textarea).value = "go"
    find(made, "Duration", widgets.ToggleButtons).value = "4"
    find(made, "Ratio", widgets.Dropdown).value = "g"
    find(made, "Sound", widgets.Checkbox).value = True
    find(made, "Shots", widgets.BoundedIntText).value = 4
    find(made, "References", widgets.Textarea).value = "a.png\nb.png"
    assert made.values == {
        "prompt": "go",
        "references": ["a.png", "b.png"],
        "duration": "4",
        "ratio": "g",
        "sound": True,
        "shots": 4,
    }


def test_fields_stand_in_the_order_of_the_spec(make, invented) -> None:
    """The Tab key goes through the parameters as the spec lists them."""
    labels = [str(getattr(one, "description", "")) for one in walk(make(invented))]
    names = ["Prompt", "Mood", "Image", "References", "Duration", "Ratio", "Sound", "Shots"]
    assert [label for label in labels if label in names] == names


def test_an_optional_number_is_left_out_until_it_is_let_in(make, invented) -> None:
    """A number without a default is not sent because its control must show one."""
    made = make(invented)
    assert "cfg_scale" not in made.values
    find(made, "send Cfg scale").value = True
    find(made, "Cfg scale").value = 0.3
    assert made.values["cfg_scale"] == 0.3


@pytest.mark.parametrize("model", [*models.CATALOGUE, INVENTED.name])
def test_every_control_has_a_label(make, invented, model) -> None:
    """Nothing a person works with is without a name, and nothing hides what is typed."""
    for one in walk(make(model)):
        is_control = isinstance(one, widgets.ValueWidget | widgets.Button)
        if is_control and not isinstance(one, widgets.HTML):
            assert one.description
        assert not isinstance(one, widgets.Password)


def test_what_may_be_left_out_says_so(make, invented) -> None:
    """An optional field is told from one that must be filled."""
    made = make(invented)
    assert find(made, "Mood").placeholder == "how it feels (optional)"
    assert find(made, "Prompt").placeholder == "what happens"
    assert "more (optional); give 3 PNG" in text_of(made)


def test_values_that_are_given_are_in_the_form(make, fox) -> None:
    """What the call names is what the fields hold; a number counts as its option."""
    made = make(prompt="a fox", image=fox, duration=10, sound=True)
    wanted = {"prompt": "a fox", "image": str(fox), "duration": "10", "sound": True}
    assert made.values == wanted


@pytest.mark.parametrize(
    ("model", "values", "word"),
    [
        ("kling-2.6/image-to-video", {"duration": 7}, "duration"),
        ("kling-2.6/image-to-video", {"mood": "calm"}, "mood"),
        ("kling-2.6/imag-to-video", {}, "did you mean"),
    ],
)
def test_wrong_arguments_are_refused_at_once(make, model, values, word) -> None:
    """A model or a value that is not allowed is an error in the cell, as everywhere."""
    with pytest.raises(InvalidInput, match=word):
        make(model, **values)


def test_the_prompt_is_counted_while_it_is_typed(make) -> None:
    """The count follows each key and turns when the limit is passed."""
    made = make()
    box = find(made, "Prompt")
    box.value = "x" * 132
    assert "132 / 1,000" in text_of(made)
    assert "kling-over" not in text_of(made)
    box.value = "x" * 1001
    assert "1,001 / 1,000" in text_of(made)
    assert "kling-over" in text_of(made)


# --- the price ---------------------------------------------------------------------------------


def test_the_price_follows_each_change(make) -> None:
    """Every choice shows at once what it costs."""
    made = make()
    assert "55 credits ($0.28)" in price_of(made)
    find(made, "Sound").value = True
    assert "110 credits" in price_of(made)
    find(made, "Duration").value = "10"
    assert "220 credits" in price_of(made)


def test_the_price_stands_while_other_fields_are_wrong(make) -> None:
    """A prompt that is too long does not hide what the clip would cost."""
    made = make()
    find(made, "Prompt").value = "x" * 2000
    assert made.problems
    assert "55 credits" in price_of(made)


def test_the_balance_comes_by_itself(make) -> None:
    """The price line tells the balance without anybody asking."""
    assert "balance" in price_of(make())


def test_the_balance_follows_a_job(make, fox, beside) -> None:
    """Once a clip is paid the line starts from what is left."""
    made = make(prompt="go", image=fox)
    before = price_of(made)
    clip(made.generate())
    beside.rest()
    assert price_of(made) != before


def test_credits_that_come_back_are_seen(make, fox, beside) -> None:
    """A failed task is paid back at its end, and the line tells so by itself."""
    made = make(prompt="go", image=fox)
    before = price_of(made)
    made._session().emulator.books.inject("fail-generation")
    made.generate().exception(WAIT_S)
    until(lambda: price_of(made) == before)


# --- problems ----------------------------------------------------------------------------------


def test_nobody_is_told_of_fields_not_touched(make) -> None:
    """An empty form is not a wrong one."""
    assert make().problems == ()


def test_a_problem_stands_beside_its_field(make) -> None:
    """The validator's words are in the field's own box, and go when it is mended."""
    made = make()
    box = find(made, "Prompt")
    field = next(one for one in walk(made) if box in getattr(one, "children", ()))
    box.value = "x" * 1001
    assert "1 to 1,000 characters are allowed" in text_of(field)
    box.value = "fine"
    assert "allowed" not in text_of(field)
    assert made.problems == ()


def test_a_click_shows_all_problems_and_sends_nothing(make, beside) -> None:
    """What is missing shows beside each field; no job is made."""
    made = make()
    find(made, "Generate").click()
    beside.rest()
    assert [problem.field for problem in made.problems] == ["prompt", "image"]
    assert "Look at Prompt, Image above." in text_of(made)
    assert made.jobs == ()
    assert not find(made, "Generate").disabled


def test_generate_raises_what_is_wrong(make) -> None:
    """From Python the same problems are an exception."""
    made = make()
    with pytest.raises(InvalidInput) as caught:
        made.generate()
    assert {problem.field for problem in caught.value.problems} == {"prompt", "image"}
    assert len(made.problems) == 2


def test_what_is_written_is_escaped(make) -> None:
    """Nothing a person types or a file is called becomes markup."""
    made = make()
    evil = "<img src=x onerror=alert(1)>"
    find(made, "Image", widgets.Text).value = f"{evil}.png"
    read_all(made)
    find(made, "Prompt").value = f"{evil}</textarea>"
    find(made, "Copy cell").value = True
    assert "&lt;img src=x" in text_of(made)
    assert "<img src=x" not in text_of(made)


# --- the picture -------------------------------------------------------------------------------


def test_a_picture_is_shown_as_the_service_gets_it(make, fox) -> None:
    """Thumbnail, name, size in pixels and bytes."""
    made = make(image=fox)
    read_all(made)
    shown = text_of(made)
    assert "data:image/jpeg;base64," in shown
    assert "fox.png" in shown
    assert "400 × 300 px · PNG" in shown


def test_a_missing_file_is_told_before_anything_is_sent(make, fox) -> None:
    """A wrong path names the nearest file, beside the field."""
    made = make()
    find(made, "Image", widgets.Text).value = str(fox.with_name("fix.png"))
    read_all(made)
    assert "did you mean &#x27;fox.png&#x27;" in text_of(made)
    assert [problem.field for problem in made.problems] == ["image"]


def test_a_mended_path_takes_the_problem_away(make, fox) -> None:
    """The fault belongs to the picture that was there, not to the field."""
    made = make()
    box = find(made, "Image", widgets.Text)
    box.value = "nowhere.png"
    read_all(made)
    box.value = str(fox)
    assert made.problems == ()  # also while the new one is read
    read_all(made)
    assert made.problems == ()


def test_a_chosen_file_is_given_as_bytes(make) -> None:
    """The file's content is the value; its name is shown but is no path in the cell."""
    made, content = make(), png()
    find(made, "Choose a file").value = (uploaded(content),)
    read_all(made)
    assert made.values["image"] == content
    assert "chosen.png" in text_of(made)
    find(made, "Copy cell").value = True
    assert "--image picture" in text_of(made)


def test_the_last_way_to_give_a_picture_counts(make, fox) -> None:
    """A path that is typed replaces the chosen file, and the other way round."""
    made = make()
    find(made, "Choose a file").value = (uploaded(png()),)
    find(made, "Image", widgets.Text).value = str(fox)
    assert made.values["image"] == str(fox)
    assert find(made, "Choose a file").value == ()
    find(made, "Choose a file").value = (uploaded(png()),)
    assert isinstance(made.values["image"], bytes)
    assert find(made, "Image", widgets.Text).value == ""


def test_a_variable_is_found_by_its_name(make, monkeypatch) -> None:
    """The name of a variable gives what it holds, and stands in the cell as it is."""
    picture = Image.new("RGB", (320, 200))
    monkeypatch.setattr(panels, "_variables", lambda: {"frame": picture})
    made = make()
    find(made, "Image", widgets.Text).value = "frame"
    read_all(made)
    assert made.values["image"] is picture
    assert "320 × 200 px" in text_of(made)
    find(made, "Copy cell").value = True
    assert "--image frame" in text_of(made)


def test_a_picture_can_be_taken_away(make) -> None:
    """An object given from Python stays until it is removed."""
    made = make(image=Image.new("RGB", (320, 200)))
    read_all(made)
    find(made, "Remove").click()
    assert "image" not in made.values
    assert "320 × 200" not in text_of(made)


def test_a_url_that_cannot_be_fetched_is_no_fault_in_the_emulator(make) -> None:
    """The emulator draws a picture in its place, and the preview says so."""
    made = make()
    find(made, "Image", widgets.Text).value = "http://127.0.0.1:9/fox.png"
    read_all(made)
    assert made.problems == ()
    assert "The emulator draws one in its place" in text_of(made)


# --- clips -------------------------------------------------------------------------------------


def test_a_click_makes_a_clip(make, fox, beside) -> None:
    """The card is in the panel from the start and ends as the clip."""
    made = make(prompt="A red fox", image=fox)
    find(made, "Generate").click()
    beside.rest()
    (job,) = made.jobs
    clip(job)
    made._results[0].settled.result(WAIT_S)
    assert isinstance(job.state, Saved)
    assert 'data-kling-state="saved"' in text_of(made)
    assert "<video" in text_of(made)
    assert job.facts.cell.startswith("%%kling --image ")


def test_several_clips_run_at_once_newest_first(make, fox, beside) -> None:
    """Nobody waits for the first clip before asking for the second."""
    made = make(prompt="one", image=fox)
    first = made.generate()
    find(made, "Prompt").value = "two"
    find(made, "Generate").click()
    beside.rest()
    assert [job.facts.prompt for job in made.jobs] == ["two", "one"]
    assert made.jobs[1] is first
    for job in made.jobs:
        clip(job)


def test_the_same_request_again_costs_nothing_and_has_one_card(make, fox) -> None:
    """Generate pressed twice shows the clip that is there."""
    made = make(prompt="go", image=fox)
    first = made.generate()
    clip(first)
    again = made.generate()
    assert again.id == first.id
    assert made.jobs == (again,)
    assert "0 credits now" in text_of(made)


def test_a_second_click_under_way_is_one_request(make, fox, beside, monkeypatch) -> None:
    """A double click asks once."""
    made = make(prompt="go", image=fox)
    asked: list[object] = []
    monkeypatch.setattr(made, "_answer_click", asked.append)
    button = find(made, "Generate")
    button.click()
    button.click()
    beside.rest()
    assert len(asked) == 1


def test_an_error_without_a_card_is_a_notice(make, fox, beside, monkeypatch) -> None:
    """What stops a request before there is a job stands above the cards."""
    made = make(prompt="go", image=fox)

    def refuse(_: object) -> Job:
        raise AlreadyPaid("The same request was paid for on <1 November> elsewhere.")

    monkeypatch.setattr(made._session(), "prepare", refuse)
    find(made, "Generate").click()
    beside.rest()
    assert "paid for on &lt;1 November&gt; elsewhere" in text_of(made)
    assert made.jobs == ()
    assert not find(made, "Generate").disabled


def test_a_refusal_is_told_by_its_card(make, fox, beside) -> None:
    """The service's no is the job's own card, and an exception from Python."""
    made = make(prompt="go", image=fox)
    made._session().emulator.books.inject("refuse")
    with pytest.raises(BadRequest):
        made.generate()
    made._results[0].settled.result(WAIT_S)
    assert text_of(made).count("task id is blank") == 1
    assert 'data-kling-state="refused"' in text_of(made)


def test_our_own_fault_is_shown_too(make, fox, beside, monkeypatch) -> None:
    """A bug in a background thread is not lost, and the button works again."""
    made = make(prompt="go", image=fox)

    def break_down(_: object) -> Job:
        raise RuntimeError("the <b>bug</b>")

    monkeypatch.setattr(made._session(), "prepare", break_down)
    find(made, "Generate").click()
    beside.rest()
    assert "RuntimeError: the &lt;b&gt;bug" in text_of(made)
    assert not find(made, "Generate").disabled


# --- in a notebook -----------------------------------------------------------------------------


def test_the_cell_asks_for_the_same(make, fox) -> None:
    """Copy cell shows a cell that is read back as the form's values."""
    made = make(prompt="A fox", image=fox, duration=10)
    assert "%%kling" not in text_of(made)
    find(made, "Copy cell").value = True
    assert f"%%kling --image {fox} --duration 10\nA fox" in text_of(made)
    find(made, "Sound").value = True
    assert "--sound" in text_of(made)


def test_a_saved_notebook_says_what_to_do(make) -> None:
    """Where no kernel answers the widget, text and HTML are left."""
    bundle = make()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Run this cell again" in bundle["text/plain"]
    assert "Run this cell again" in bundle["text/html"]


def test_the_default_session_is_asked_anew(monkeypatch, open_session, beside) -> None:
    """After `configure` the panel works with the session that is the default then."""
    monkeypatch.setattr(panels, "default_session", open_session)
    made = panel()
    beside.rest()
    assert made._session() is not made._session()


def test_invented_prices_count(make, invented) -> None:
    """The price line derives from the spec's own table."""
    made = make(invented)
    assert "7 credits" in price_of(made)
    find(made, "Duration").value = "4"
    assert "9 credits" in price_of(made)


def test_an_optional_choice_can_stay_unset(make, monkeypatch) -> None:
    """A choice without a default has one more option, which sends nothing."""
    open_choice = Parameter("mode", Choice(("std", "pro")), "quality", required=False)
    spec = replace(INVENTED, name="invented-9/open", parameters=(open_choice,))
    monkeypatch.setitem(models.CATALOGUE, spec.name, spec)  # type: ignore[arg-type]
    made = make(spec.name)
    assert made.values == {}
    find(made, "Mode").value = "pro"
    assert made.values == {"mode": "pro"}


def test_failed_jobs_keep_their_card(make, fox, beside) -> None:
    """A failure is shown as such; the panel goes on."""
    made = make(prompt="go", image=fox)
    made._session().emulator.books.inject("fail-generation")
    job = made.generate()
    assert job.exception(WAIT_S) is not None
    made._results[0].settled.result(WAIT_S)
    assert isinstance(job.state, Failed)
    assert 'data-kling-state="failed"' in text_of(made)
