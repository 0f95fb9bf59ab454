"""What the panel promises for every model that there is: it is made from the spec alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kling_nb.display.panel.records_field import RowsField
from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_cell
from kling_nb.models.cell_variables import resolve
from kling_nb.models.clip_request import ClipRequest, media_of, request_input
from kling_nb.models.parameters import Choice, Flag, Media, Number, Text
from kling_nb.models.records import Records
from kling_nb.models.spec import ModelSpec, Parameter, validate
from tests.support.panes import actions, press, read_all
from tests.support.reels import sound, video

EVERY = pytest.mark.parametrize("name", CATALOGUE)
SAMPLES = {"image": "lake.png", "video": "dance.mp4", "audio": "speech.wav"}
FREE = {"duration"}
"""What may depend on what else is filled in: left as it is."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image, a video of 4 s and a sound."""
    folder = tmp_path_factory.mktemp("samples")
    Image.new("RGB", (640, 480), "teal").save(folder / SAMPLES["image"])
    (folder / SAMPLES["video"]).write_bytes(video(4.0, (1280, 720), rate=24))
    (folder / SAMPLES["audio"]).write_bytes(sound(seconds=2.0))
    return folder


@pytest.fixture(autouse=True)
def in_folder(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are short, as in a cell."""
    monkeypatch.chdir(samples)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClipRequest]:
    """What `kling.generate` would ask for."""

    def ask(made: Any, name: str, values: dict[str, Any]) -> ClipRequest:
        session, wishes = made._session(), list[ClipRequest]()

        def sending(wish: ClipRequest) -> Any:
            wishes.append(wish)
            return contextlib.nullcontext()

        monkeypatch.setattr(session, "submitting", sending)
        session.generate(name, **values)
        return wishes[0]

    return ask


def sample(kind: Any) -> Any:
    """A value that this kind allows, and that is no default where there is another."""
    match kind:
        case Text():
            return "mist rises"
        case Choice(options=options):
            return options[-1]
        case Flag():
            return True
        case Number(high=high):
            return high
        case Media():
            file = SAMPLES[kind.medium]
            return [file] * kind.min_count if kind.min_count > 1 else file
        case Records(columns=columns, one_of=either, rising=rising):
            left_out = {*either[1:], *rising[:-1]}
            return [{c.name: sample(c.kind) for c in columns if c.name not in left_out}]
    raise AssertionError(kind)


def least(spec: ModelSpec) -> dict[str, Any]:
    """What has to be given, and the prompt."""
    wanted = [p for p in spec.parameters if p.name == "prompt" or is_needed(p)]
    given = {p.name: sample(p.kind) for p in wanted}
    return given if goes(spec, given) else given | {"image": SAMPLES["image"]}


def goes(spec: ModelSpec, given: dict[str, Any]) -> bool:
    """Whether a model takes these values together."""
    with contextlib.suppress(InvalidInput):
        validate(spec, given)
        return True
    return False


def is_needed(parameter: Parameter) -> bool:
    """Whether it has to be filled in."""
    return parameter.required and parameter.default is None


def all_of(spec: ModelSpec) -> dict[str, Any]:
    """Everything that can be given at once."""
    given = least(spec)
    for parameter in spec.parameters:
        more = given | {parameter.name: sample(parameter.kind)}
        if parameter.name not in FREE and goes(spec, more):
            given = more
    return given


FILLED = pytest.mark.parametrize("given", [least, all_of])


def fill(made: Any, values: dict[str, Any]) -> None:
    """Fill in by hand: what a page sends for each control."""
    for name, value in values.items():
        field = made._form._fields[name]
        if not isinstance(field, RowsField):
            set_control(field.control, value)
            continue
        for at, cells in enumerate(value):
            field.control._handle_custom_msg({"do": "add"}, [])
            row = field._rows[at]
            for column, cell in cells.items():
                set_control(row[column].control, cell)
    read_all(made)


def set_control(control: Any, value: Any) -> None:
    """Put a value into a control, as its page does."""
    control.value = "\n".join(value) if isinstance(value, list) else value


def sent(spec: ModelSpec, values: Any) -> dict[str, object]:
    """The request's input; media by what they were given as."""
    checked = validate(spec, values)
    places = media_of(spec, checked)
    return request_input(spec, checked, {at: [*map(str, p.given)] for at, p in places.items()})


@EVERY
def test_the_panel_builds(make, name: str) -> None:
    """A field for each parameter, what it costs, and nothing wrong yet."""
    made = make(name)
    assert list(made._form._fields) == [p.name for p in CATALOGUE[name].parameters]
    assert made.problems == ()
    price = actions(made).price
    assert "credits" in price.partition("emulated")[0]


@EVERY
@FILLED
def test_a_filled_panel_asks_for_what_python_asks_for(make, asked, name: str, given: Any) -> None:
    """Field by field: the same request, and so the same clip."""
    spec = CATALOGUE[name]
    values = given(spec)
    made = make(name)
    fill(made, values)
    assert made.problems == ()
    wish = asked(made, name, values)
    assert sent(spec, made.values) == sent(spec, wish.values)
    press(made, "copy")
    line, _, body = actions(made).cell.removeprefix("%%kling").partition("\n")
    cell = read_cell(line, body, {})
    assert cell.spec is spec
    assert sent(spec, resolve(spec, cell.values, {}).values) == sent(spec, wish.values)


@EVERY
def test_a_filled_panel_knows_its_price(make, name: str) -> None:
    """Also where the seconds of a video or a sound are paid: they were read."""
    spec = CATALOGUE[name]
    made = make(name)
    fill(made, least(spec))
    assert made._form.price_credits is not None
    assert "price not known" not in actions(made).price


@EVERY
def test_what_is_missing_is_told(make, name: str) -> None:
    """Each field that has to be filled says so, and nothing is asked for."""
    made = make(name)
    made._form.validate_all()
    missing = {p.name for p in CATALOGUE[name].parameters if is_needed(p)}
    assert missing <= {problem.field for problem in made.problems}
    assert made.problems
