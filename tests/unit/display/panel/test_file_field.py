"""What the picture's field promises: any way to give one, and what the service will get."""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path

from PIL import Image

from kling_nb.core.stored_input import StoredInput
from kling_nb.display.panel import panel
from kling_nb.display.panel.file_field import FileValue
from kling_nb.jobs.background_loop import background_loop
from kling_nb.models import catalog
from tests.support.panes import WAIT_S, actions, choose_file, find, png, press, read_all, text_of


def shown(made, label: str = "Image") -> list[dict[str, str]]:
    """What is shown of the pictures, once they are read."""
    read_all(made)
    pictures: list[dict[str, str]] = find(made, label).pictures
    return pictures


def size_of(src: str) -> tuple[int, int]:
    """Width and height of a picture in a `data:` address."""
    return Image.open(io.BytesIO(b64decode(src.partition(",")[2]))).size


def gif() -> bytes:
    """A picture that the service does not take."""
    out = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(out, "GIF")
    return out.getvalue()


def test_a_picture_is_shown_as_the_service_gets_it(make, fox) -> None:
    """Thumbnail, name, size in pixels and bytes, and that it is untouched."""
    (view,) = shown(make(image=fox))
    assert view["src"].startswith("data:image/jpeg;base64,")
    assert view["name"] == "fox.png"
    assert view["facts"].startswith("400 × 300 px · PNG · ")
    assert view["how"] == "sent unchanged"


def test_a_picture_alone_is_shown_large(make, invented) -> None:
    """Sharp at the width of its column; one of several is a tile."""
    made, content = make(invented), png((1600, 900))
    for label in ("Image", "References"):
        choose_file(find(made, label), content, "fox.png")
    (alone,), (one,) = shown(made), shown(made, "References")
    assert size_of(alone["src"]) == (640, 360)
    assert size_of(one["src"]) == (240, 135)


def test_a_converted_picture_is_shown_as_such(make) -> None:
    """What the service does not take is converted, and a person is told."""
    made = make()
    choose_file(find(made, "Image"), gif(), "fox.gif")
    (view,) = shown(made)
    assert view["facts"].startswith("60 × 40 px · PNG")
    assert view["how"] == "converted to PNG for the service"


def test_a_missing_file_is_told_before_anything_is_sent(make, fox) -> None:
    """A wrong path names the nearest file, beside the field."""
    made = make()
    find(made, "Image").value = str(fox.with_name("fix.png"))
    read_all(made)
    assert "did you mean 'fox.png'" in find(made, "Image").problem
    assert [problem.field for problem in made.problems] == ["image"]


def test_a_mended_path_takes_the_problem_away(make, fox) -> None:
    """The fault belongs to the picture that was there, not to the field."""
    made = make()
    find(made, "Image").value = "nowhere.png"
    read_all(made)
    find(made, "Image").value = str(fox)
    assert made.problems == ()  # also while the new one is read
    read_all(made)
    assert made.problems == ()


def test_a_file_is_one_of_the_folder_then(make, dance) -> None:
    """It is kept as it came, with its ending: the cell can name it and is the same request."""
    made = make(catalog.motion_and_avatar.MOTION_2_6.name)
    clip = dance.read_bytes()
    files = {"Image": ("dropped.png", png((400, 320))), "Video": ("<dropped>.mp4", clip)}
    for label, (name, content) in files.items():
        choose_file(find(made, label), content, name, piece_bytes=100)
        assert [view["name"] for view in shown(made, label)] == [name]
        held = made.values[label.lower()]
        assert isinstance(held, StoredInput)
        assert held.name == name
        assert Path(held.path).suffix == Path(name).suffix
        assert Path(held.path).read_bytes() == content
        press(made, "copy")
        assert held.path in made._actions.cell


def test_a_file_and_its_cell_are_the_same_request(make, beside) -> None:
    """Running the copied cell joins what the panel made: 0 credits."""
    made = make(prompt="go")
    choose_file(find(made, "Image"), gif(), "fox.gif")
    read_all(made)
    path = made.values["image"].path  # type: ignore[attr-defined]
    first = made.generate()
    find(made, "Image").value = path
    read_all(made)
    assert made.generate().id == first.id


def test_a_file_that_grows_too_large_is_dropped(make) -> None:
    """A page cannot fill the kernel's memory."""
    made = make()
    picker = find(made, "Image")
    picker.most_bytes = 1000
    choose_file(picker, b"x" * 2000, "big.png", piece_bytes=600)
    assert "image" not in made.values


def test_a_file_that_is_no_picture_is_told(make) -> None:
    """What the page refused, or what cannot be read, is one problem beside the field."""
    made = make()
    picker = find(made, "Image")
    picker._handle_custom_msg({"do": "refuse", "words": "notes.pdf is no picture; give one"}, [])
    assert picker.problem == "notes.pdf is no picture; give one"
    choose_file(picker, b"not a picture", "notes.png")
    read_all(made)
    assert "notes.png: cannot be read as an image" in picker.problem
    choose_file(picker, png(), "fine.png")
    read_all(made)
    assert picker.problem == ""


def test_the_last_way_to_give_a_picture_counts(make, fox) -> None:
    """A path that is typed replaces the chosen file, and the other way round."""
    made = make()
    picker = find(made, "Image")
    choose_file(picker, png(), "a.png")
    picker.value = str(fox)
    assert made.values["image"] == str(fox)
    choose_file(picker, png(), "b.png")
    read_all(made)
    assert isinstance(made.values["image"], StoredInput)
    assert picker.value == ""


def test_several_pictures_come_in_any_way(make, invented, fox) -> None:
    """Files and paths together; each can be taken away by itself."""
    made = make(invented)
    picker = find(made, "References")
    choose_file(picker, png(colour="red"), "red.png")
    read_all(made)
    picker.value = f"{fox}\n"
    assert [view["name"] for view in shown(made, "References")] == ["red.png", "fox.png"]
    picker._handle_custom_msg({"do": "remove", "at": 1}, [])
    assert [view["name"] for view in shown(made, "References")] == ["red.png"]
    picker._handle_custom_msg({"do": "remove", "at": 0}, [])
    assert "references" not in made.values


def test_a_variable_is_found_by_its_name(make, monkeypatch) -> None:
    """The name of a variable gives what it holds, and stands in the cell as it is."""
    made, picture = make(), Image.new("RGB", (320, 200))
    variables = {"frame": picture}
    monkeypatch.setattr(
        made._form._fields["image"],
        "_context",
        panel.FileContext(lambda: variables, lambda: True, Path),
    )
    find(made, "Image").value = "frame"
    (view,) = shown(made)
    assert made.values["image"] is picture
    assert "320 × 200 px" in view["facts"]
    press(made, "copy")
    assert "--image frame" in made._actions.cell


def test_a_picture_can_be_taken_away(make) -> None:
    """An object given from Python stays until it is removed."""
    made = make(image=Image.new("RGB", (320, 200)))
    read_all(made)
    find(made, "Image")._handle_custom_msg({"do": "remove", "at": 0}, [])
    assert "image" not in made.values
    assert find(made, "Image").pictures == []


def test_a_url_that_cannot_be_fetched_is_no_fault_in_the_emulator(make) -> None:
    """The emulator generates an image instead, and the preview says so."""
    made = make()
    find(made, "Image").value = "http://127.0.0.1:9/fox.png"
    read_all(made)
    assert made.problems == ()
    assert "The emulator generates one instead" in text_of(made)


def test_a_reading_that_was_overtaken_shows_nothing(make) -> None:
    """Only the last picture that was given is shown, whatever order readings end in."""
    made = make()
    field = made._form._fields["image"]
    choose_file(find(made, "Image"), png(colour="red"), "red.png")
    read_all(made)
    late = field._read(field._turn - 1, (FileValue(png(), "picture", "old.png"),))
    background_loop().submit(late).result(WAIT_S)
    assert [view["name"] for view in shown(made)] == ["red.png"]


# --- several, and other media --------------------------------------------------------------------


def test_pictures_change_places(make, invented, fox) -> None:
    """Whether they were dropped or named; what they are called in a cell goes along."""
    made = make(invented)
    picker = find(made, "References")
    choose_file(picker, png(colour="red"), "red.png")
    read_all(made)
    picker.value = str(fox)
    read_all(made)
    picker._handle_custom_msg({"do": "move", "at": 1, "to": 0}, [])
    assert [view["name"] for view in shown(made, "References")] == ["fox.png", "red.png"]
    first, second = made.values["references"]  # type: ignore[misc]
    assert (first, second.name) == (str(fox), "red.png")
    picker._handle_custom_msg({"do": "move", "at": 1, "to": 2}, [])
    assert [view["name"] for view in shown(made, "References")] == ["fox.png", "red.png"]


def test_a_pair_says_which_is_which(make) -> None:
    """By what its help says; where that says nothing, only the order counts."""
    assert find(make(catalog.kling_3.VIDEO.name), "Image").roles == ["First frame", "Last frame"]
    assert find(make(catalog.kling_3.OMNI_REFERENCE.name), "Image").roles == []
    assert find(make(), "Image").roles == []


def test_several_pictures_stand_in_the_cell(make, invented, fox) -> None:
    """Each as an option of its own, in their order."""
    made = make(invented, references=[str(fox), "b.png"])
    press(made, "copy")
    cell = made._actions.cell
    assert cell.count("--references") == 2
    assert cell.index("fox.png") < cell.index("b.png")


def test_a_video_is_shown_with_its_length(make, dance) -> None:
    """Its first frame, size, duration and bytes; until it is there, the price is for a second."""
    made = make(catalog.motion_and_avatar.MOTION_2_6.name)
    assert "11 credits per second of the video" in made._actions.price
    find(made, "Video").value = str(dance)
    (view,) = shown(made, "Video")
    assert view["src"].startswith("data:image/jpeg;base64,")
    assert view["facts"].startswith("640 × 480 px · 4.0 s · MP4 · ")
    assert view["how"] == "sent unchanged"
    assert "would cost 44 credits" in made._actions.price


def test_audio_is_shown_without_an_image(make, speech) -> None:
    """Its name, duration and bytes."""
    (view,) = shown(make(catalog.motion_and_avatar.AVATAR_STANDARD.name, audio=speech), "Audio")
    assert (view["src"], view["name"]) == ("", "speech.wav")
    assert view["facts"].startswith("2.0 s · WAV · ")


def test_a_video_that_is_too_long_for_another_setting_is_told(make, long_dance) -> None:
    """A rule about its length is judged once it was read."""
    made = make(catalog.motion_and_avatar.MOTION_2_6.name, video=long_dance)
    read_all(made)
    assert "lasts 12.0 s" in find(made, "Video").problem
    find(made, "Character orientation").value = "video"
    assert find(made, "Video").problem == ""


def test_a_picker_takes_files_of_its_medium(make) -> None:
    """In the file dialog and in its words; pictures of any kind, since they are converted."""
    made = make(catalog.motion_and_avatar.MOTION_2_6.name)
    image, video = find(made, "Image"), find(made, "Video")
    assert (image.medium, image.accept) == ("image", "image/*")
    assert (video.medium, video.accept) == ("video", "video/mp4,video/quicktime")
    assert image.most_bytes == video.most_bytes == 50_000_000


def test_a_file_that_is_read_at_once_is_told_too(make, monkeypatch) -> None:
    """However fast: also before the form is there to hear of it."""
    submit = background_loop().submit

    def at_once(work: object) -> object:
        done = submit(work)
        done.result(WAIT_S)
        return done

    monkeypatch.setattr(type(background_loop()), "submit", lambda _, work: at_once(work))
    made = make(catalog.kling_3.VIDEO.name, image="nowhere.png")
    assert "no file 'nowhere.png'" in find(made, "Image").problem
    assert [problem.field for problem in made.problems] == ["image"]


def test_a_file_that_may_not_be_accepted_is_warned_of_before_generate(make) -> None:
    """Beside the price, once the file was read; it goes with the file, and nothing is refused."""
    made = make()
    picker = find(made, "Image")
    choose_file(picker, png((8, 8)), "tiny.png")
    read_all(made)
    (warning,) = actions(made).warnings
    assert warning.startswith("Warning: image: 8 × 8 px. Kling's own limits")
    assert made.problems == ()
    choose_file(picker, png((640, 360)), "fox.png")
    read_all(made)
    assert actions(made).warnings == []
