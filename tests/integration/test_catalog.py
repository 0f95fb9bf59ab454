"""The whole family, from the catalogue to a clip: the emulator was written from the same pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kling_nb.display.cards.placeholder import Placeholder
from kling_nb.emulator.http.validate import Refusal, check_request
from kling_nb.jobs.session import Session
from kling_nb.kie.wire import create_body
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import write_cell
from kling_nb.models.clip_request import media_of, request_input, with_media
from kling_nb.models.parameter_kind import Medium
from kling_nb.models.parameters import Choice, Media, Number
from kling_nb.models.records import Records
from kling_nb.models.rules import PresenceFlag
from kling_nb.models.spec import ModelSpec, Parameter, validate
from kling_nb.notebook.input_transformers import CellClock
from kling_nb.notebook.magics import KlingMagics
from tests.support.reels import sound, video
from tests.support.sample_requests import BROKEN, body_of, given_of, least
from tests.support.service import Open

SPECS = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
PATIENCE_S = 120
PLACES = {"image": "https://example.com/a.png", "video": "https://example.com/a.mp4",
          "audio": "https://example.com/a.mp3"}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Medium, Path]:
    """An image, a video of 4 s and a sound of 3 s that every model takes."""
    folder = tmp_path_factory.mktemp("files")
    found: dict[Medium, Path] = {
        "image": folder / "fox.png", "video": folder / "dance.mp4", "audio": folder / "speech.wav",
    }  # fmt: skip
    Image.new("RGB", (400, 320), "orangered").save(found["image"])
    found["video"].write_bytes(video(4.0, (1280, 720), rate=24))
    found["audio"].write_bytes(sound("audio/wav", 3.0))
    return found


def with_files(spec: ModelSpec, files: dict[Medium, Path]) -> dict[str, Any]:
    """The sample's values, each of its sources a file that is there."""
    values = validate(spec, given_of(spec))
    places = media_of(spec, values).items()
    several = {path: [str(files[m.kind.medium])] * len(m.given) for path, m in places}
    paths = {path: each[0] if len(each) == 1 else each for path, each in several.items()}
    return with_media(spec, values, paths)


def sent(parameter: Parameter, value: Any) -> Any:
    """A value as it would be sent without validation."""
    match parameter.kind:
        case Media(as_list=True):
            return [PLACES["image"]] * (len(value) if isinstance(value, list) else 1)
        case Records(columns=columns):
            names = {column.name: column.field for column in columns}
            return [{names[name]: each for name, each in record.items()} for record in value]
        case Choice():
            return str(value)
        case _:
            return value


def broken_body(spec: ModelSpec, changes: dict[str, Any]) -> dict[str, Any]:
    """The body of the least request with these changes, which no validator has seen."""
    values = validate(spec, least(spec))
    urls = {path: [PLACES[m.kind.medium]] for path, m in media_of(spec, values).items()}
    body = request_input(spec, values, urls)
    known = {parameter.name: parameter for parameter in spec.parameters}
    for name, value in changes.items():
        field = known[name].field if name in known else name
        body.pop(field, None)
        if value != "":
            body[field] = sent(known[name], value) if name in known else value
    told = {
        each.sent_as: each.of in changes for each in spec.implied if isinstance(each, PresenceFlag)
    }
    return create_body(spec.name, body | told)


# --- the emulator ------------------------------------------------------------------------------


@SPECS
def test_the_emulator_accepts_the_sample(spec: ModelSpec) -> None:
    """Each field of it, as it is written there."""
    assert check_request(body_of(spec)).model == spec.name


@pytest.mark.parametrize(("name", "changes", "field", "_words"), BROKEN)
def test_the_emulator_refuses_each_broken_rule(
    name: str, changes: dict[str, Any], field: str, _words: str
) -> None:
    """With the documented code: 500 for what is missing or out of range, 422 for the rest."""
    spec = CATALOGUE[name]
    kind = next((each.kind for each in spec.parameters if each.name == field), None)
    said = "422 "
    if changes[field] == "":
        said = "500 This field is required"
    elif isinstance(kind, Choice | Number):
        said = "500 .* is not within the range of allowed options"
    elif isinstance(kind, Records):
        said = f"(422|500) {spec.parameter(field).field}"
    with pytest.raises(Refusal, match=said):
        check_request(broken_body(spec, changes))


@SPECS
def test_the_emulator_refuses_a_field_that_the_model_does_not_have(spec: ModelSpec) -> None:
    """As the service does, in its words (C)."""
    body = body_of(spec)
    with pytest.raises(Refusal, match="422 generate playground failed, task id is blank"):
        check_request({**body, "input": {**body["input"], "seed": 7}})


# --- a clip ------------------------------------------------------------------------------------


@SPECS
def test_a_clip_comes_back(spec: ModelSpec, open_session: Open, files: dict[Medium, Path]) -> None:
    """Every field of the sample, with files: uploaded, accepted, made, saved, at our price."""
    session = open_session()
    before = session.balance()
    job = session.generate(spec.name, **with_files(spec, files))
    clip = job.result(PATIENCE_S)
    assert clip.path.is_file()
    (row,) = session.jobs()
    assert row.price_credits == pytest.approx(before - session.balance())


@SPECS
def test_its_cell_costs_nothing(
    spec: ModelSpec, session: Session, shell: Any, files: dict[Medium, Path]
) -> None:
    """What Python asked for, the cell that is written of it asks for again: the same job."""
    job = session.generate(spec.name, **with_files(spec, files))
    job.result(PATIENCE_S)
    (row,) = session.jobs()
    line, _, body = row.cell.partition("\n")
    magics = KlingMagics(shell, CellClock(shell))
    again = magics.run_cell(line.removeprefix("%%kling"), body, Placeholder())
    again.result(PATIENCE_S)
    assert [each.id for each in session.jobs()] == [row.id]
    assert write_cell(spec, with_files(spec, files)) == row.cell
