"""Clips to start from: the newest of the folder, their last frame, their settings."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from kling_nb.display.panel.panel import Panel
from kling_nb.display.panel.results import RECENT_CLIPS
from kling_nb.display.panel.widgets import Actions, Recents
from kling_nb.media.image_sources import find_source
from kling_nb.models.catalog import TEXT_TO_VIDEO, kling_3
from tests.support.panes import WAIT_S, find, press, read_all, text_of, walk


def start(made, word: str, job_id: str) -> None:
    """Choose a clip and a way on."""
    made._recents._handle_custom_msg({"do": word, "id": job_id}, [])


def make_clip(made, beside, **values):
    """A saved clip of this panel's folder."""
    for name, value in values.items():
        find(made, name.capitalize()).value = value
    job = made.generate()
    job.result(WAIT_S)
    made._results[0].settled.result(WAIT_S)
    beside.rest()
    return job


def test_a_folder_without_clips_offers_none(make) -> None:
    """The row is not there at all then."""
    assert make()._recents.clips == []


def test_the_newest_clips_are_offered(make, fox, beside) -> None:
    """Each with poster and prompt, newest first, also in a new panel; a few are enough."""
    made = make(prompt="clip 0", image=fox)
    for number in range(RECENT_CLIPS + 1):
        make_clip(made, beside, prompt=f"clip {number}")
    offered = make()._recents.clips
    assert offered == made._recents.clips
    assert [clip["prompt"] for clip in offered] == [f"clip {n}" for n in range(RECENT_CLIPS, 0, -1)]
    assert all(clip["src"].startswith("data:image/jpeg;base64,") for clip in offered)


def test_their_place_is_kept_until_they_are_read(make, fox, beside, monkeypatch) -> None:
    """Above the form if there are clips when the panel opens, else below: the form never moves."""
    first = make(prompt="go", image=fox)
    assert rows(first) == ["Actions", "Recents"]
    make_clip(first, beside)
    assert (rows(first), len(first._recents.clips)) == (["Actions", "Recents"], 1)
    with monkeypatch.context() as patch:
        patch.setattr("kling_nb.display.panel.panel.work_later", lambda *_: None)
        reading = Panel(TEXT_TO_VIDEO, first._session, {}, dict)
    assert rows(reading) == ["Recents", "Actions"]
    assert (reading._recents.expected, reading._recents.clips) == (1, [])
    reading._update_recents()
    assert (reading._recents.expected, len(reading._recents.clips)) == (0, 1)


def rows(made) -> list[str]:
    """The order of the recent clips and the actions on the page."""
    return [type(one).__name__ for one in walk(made) if isinstance(one, Actions | Recents)]


def test_a_broken_poster_breaks_nothing(make, fox, beside) -> None:
    """A clip without a readable poster is left out."""
    made = make(prompt="go", image=fox)
    job = make_clip(made, beside)
    Path(job.result().path).with_suffix(".jpg").write_bytes(b"broken")
    assert make()._recents.clips == []


def test_the_settings_of_a_clip_fill_the_form(make, fox, beside) -> None:
    """Model, prompt, length, sound and the image that was sent, though its file is gone."""
    made = make(prompt="first", image=fox, duration=10)
    job = make_clip(made, beside)
    fox.unlink()
    other = make(TEXT_TO_VIDEO.name, prompt="something else")
    start(other, "settings", job.id)
    beside.rest()
    read_all(other)
    assert other.model == job.record.model
    assert find(other, "Prompt").value == "first"
    assert find(other, "Duration").value == "10"
    assert find(other, "Image").pictures[0]["name"] == "fox.png"
    assert other.generate().id == job.id  # the same request: 0 credits


def test_the_settings_of_a_clip_are_all_of_them(make, fox, beside, invented) -> None:
    """What it did not have is as in a new form, also what another model had before."""
    made = make(TEXT_TO_VIDEO.name, prompt="first")
    job = make_clip(made, beside)
    other = make(invented, prompt="x", mood="calm", image=fox, cfg_scale=0.3, sound=True)
    start(other, "settings", job.id)
    beside.rest()
    assert other.values == made.values
    other.choose(invented)
    assert other.values["prompt"] == "first"
    assert not {"mood", "image", "cfg_scale"} & other.values.keys()


def test_the_settings_empty_a_form_of_the_same_model(make, fox, beside) -> None:
    """A switch goes back, and so does an image that the clip did not have."""
    made = make(TEXT_TO_VIDEO.name, prompt="first")
    job = make_clip(made, beside)
    find(made, "Sound").value = True
    find(made, "Duration").value = "10"
    start(made, "settings", job.id)
    beside.rest()
    assert find(made, "Sound").value is False
    assert find(made, "Duration").value == "5"
    assert made._form.problems == ()


def test_the_last_frame_of_a_clip_is_a_picture(make, fox, beside) -> None:
    """A clip can go on where another ended; the cell that is copied can name the frame."""
    made = make(prompt="first", image=fox)
    clip = make_clip(made, beside).result()
    start(made, "frame", made.jobs[0].id)
    beside.rest()
    read_all(made)
    (view,) = find(made, "Image").pictures
    assert view["name"] == f"last frame of {Path(clip.path).name}"
    kept = made.values["image"]
    with Image.open(kept.path) as frame:
        assert frame.size == (clip.width_px, clip.height_px)
    named = find_source(kept.path)
    assert kept.source_sha256 == named.sha256 == find_source(clip).sha256, "it is one request"


def test_a_clip_whose_file_is_gone_says_so(make, fox, beside) -> None:
    """The panel shows the error, and how to fix it."""
    made = make(prompt="first", image=fox)
    job = make_clip(made, beside)
    Path(job.result().path).unlink()
    start(made, "frame", job.id)
    beside.rest()
    assert f"resume {job.id}" in text_of(made)


def test_a_model_without_pictures_offers_no_frame(make) -> None:
    """There would be no place for it."""
    assert make()._recents.takes_pictures
    assert not make(TEXT_TO_VIDEO.name)._recents.takes_pictures


def test_the_settings_of_a_clip_with_rows_fill_them(make, fox, beside) -> None:
    """Shots, and elements with the images that were sent: the same request again."""
    shots = [{"prompt": "fog", "duration": 3}, {"prompt": "snow", "duration": 4}]
    images = [str(fox), str(fox)]
    elements = [{"name": "fox", "description": "red", "images": images}]
    made = make(kling_3.VIDEO.name, shots=shots, elements=elements)
    job = make_clip(made, beside)
    other = make(TEXT_TO_VIDEO.name, prompt="something else")
    start(other, "settings", job.id)
    beside.rest()
    read_all(other)
    assert other.values["shots"] == shots
    (element,) = other.values["elements"]
    assert [image.name for image in element["images"]] == ["fox.png", "fox.png"]
    assert other.generate().id == job.id  # 0 credits
    press(other, "copy")
    assert '"images": ["' in other._actions.cell
