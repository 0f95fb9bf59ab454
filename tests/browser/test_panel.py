"""The panel in a page: keys, drop, paste, two jobs at once, and what a saved notebook keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from .conftest import Opener
from .lab import APPS, Lab
from .notebook import CARD, Notebook
from .stories import PROMPT, setup, tasks_made, write_notebook

pytestmark = pytest.mark.parametrize("lab", APPS, indirect=True)

PANEL, BUSY, JOBS, ELSEWHERE = 1, 2, 3, 4
FOLDER = "panel"
CELLS = [
    setup(2),
    "made = kling.panel()\nmade",
    "import time\ntime.sleep(3)",
    "[(job.record.prompt, job.record.inputs['duration']) for job in made.jobs]",
    "kling.configure(folder='my 100% clips');",
]
GENERATE = "Generate"
IMAGE = "Image: path, URL or variable"
FILE = """async (type) => {
  const answer = await fetch("/files/panel/lake.png");
  const data = new DataTransfer();
  data.items.add(new File([await answer.blob()], `${type}.png`, { type: "image/png" }));
  const place = document.querySelector(".kling-field-picture .kling-zone");
  const event = type === "drop"
    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  place.dispatchEvent(event);
  return event.defaultPrevented;
}"""


FOLDER_DROP = """() => {
  const data = new DataTransfer();
  const folder = new File([], "holidays");
  // As a browser gives a folder: a file that nobody can read.
  const refuse = () => Promise.reject(new DOMException("", "NotFoundError"));
  folder.slice = () => ({ arrayBuffer: refuse });
  Object.defineProperty(data, "files", { value: [folder] });
  const place = document.querySelector(".kling-field-picture .kling-zone");
  const event = new DragEvent("drop", { bubbles: true, cancelable: true });
  Object.defineProperty(event, "dataTransfer", { value: data });
  place.dispatchEvent(event);
  return event.defaultPrevented;
}"""


TALLEST_PX = 590
"""Without clips to start from, which take some 60 px."""


@pytest.fixture(scope="module")
def day(lab: Lab, opened: Opener) -> Iterator[Notebook]:
    """A notebook with a panel in a folder of its own, set up; no cell of it may raise."""
    write_notebook(lab.folder / FOLDER / "panel.ipynb", CELLS)
    notebook = opened(lab, f"{FOLDER}/panel.ipynb")
    notebook.run(0)
    yield notebook
    assert notebook.errors() == []


@pytest.fixture
def panel(day: Notebook, request: pytest.FixtureRequest) -> Any:
    """A new panel, as a locator; its name keeps the clips of other tests away."""
    day.write(PANEL, f"made = kling.panel(name={request.node.name!r})\nmade")
    day.run(PANEL)
    output = day.output(PANEL)
    output.get_by_role("button", name=GENERATE).wait_for()
    return output


def tasks(lab: Lab) -> int:
    """How many tasks were made in this folder."""
    try:
        return tasks_made(lab.folder / FOLDER)
    except ValueError:  # no task was made there
        return 0


def make_clip(panel: Any, prompt: str) -> None:
    """Fill the form in, click *Generate*, and wait for the clip."""
    panel.get_by_role("textbox", name="Prompt").fill(prompt)
    panel.get_by_role("textbox", name=IMAGE).fill("lake.png")
    panel.get_by_role("button", name=GENERATE).click()
    panel.locator(".kling-result video").wait_for()


def sizes(panel: Any) -> dict[str, tuple[int, int]]:
    """Width and height of the sheet, its fields and its buttons."""
    boxes = panel.locator(".kling-sheet").evaluate("sheet => kling.boxes(sheet)")
    return {name: (box["width"], box["height"]) for name, box in boxes.items()}


def focused(notebook: Notebook) -> str:
    """The field that has the focus."""
    name: str = notebook.page.evaluate(
        "() => document.activeElement.closest('[data-kling-field]')?.dataset.klingField ?? ''"
    )
    return name


def tab_to(notebook: Notebook, field: str) -> None:
    """Press Tab until a field has the focus."""
    for _ in range(12):
        notebook.page.keyboard.press("Tab")
        if focused(notebook) == field:
            return
    raise AssertionError(f"Tab does not reach {field}")


def test_wrong_values_show_beside_their_field_and_nothing_is_sent(
    day: Notebook, panel: Any, lab: Lab
) -> None:
    """The first wrong field has the focus, and says what is wrong to a screen reader, too."""
    before, counts = tasks(lab), day.execution_counts()
    prompt = panel.get_by_role("textbox", name="Prompt")
    prompt.fill("x" * 1001)
    panel.get_by_text("1,001 / 1,000").wait_for()
    panel.get_by_role("alert").filter(has_text="Prompt has 1,001 characters").wait_for()
    assert prompt.get_attribute("aria-invalid") == "true"
    prompt.fill("")
    prompt.press("Control+Enter")
    panel.get_by_role("alert").filter(has_text="Prompt is missing").wait_for()
    panel.get_by_role("alert").filter(has_text="Image is missing").wait_for()
    panel.get_by_text("Fix Image, Prompt above.").wait_for()
    assert focused(day) == "image"
    described = prompt.get_attribute("aria-describedby").split()
    texts = [day.page.locator(f"[id='{each}']").text_content() for each in described]
    assert any(text.startswith("Prompt is missing") for text in texts)
    assert panel.locator(f"{CARD}:visible").count() == 0
    assert tasks(lab) == before
    assert day.execution_counts() == counts, "Ctrl+Enter ran a cell"


def test_the_whole_form_is_in_sight(day: Notebook, panel: Any) -> None:
    """From title to Generate; picture and prompt beside each other, of one height; all in order."""
    boxes = panel.locator(".kling-sheet").evaluate("sheet => kling.boxes(sheet)")
    assert boxes["sheet"]["width"] >= 560
    assert boxes["sheet"]["height"] <= TALLEST_PX
    image, prompt = boxes["image"], boxes["prompt"]
    assert image["right"] <= prompt["left"]
    assert (image["top"], image["height"]) == (prompt["top"], prompt["height"])
    places = [(box["top"], box["left"]) for name, box in boxes.items() if name != "sheet"]
    assert places == sorted(places), "the Tab key jumps"


def test_a_narrow_form_is_one_column(day: Notebook, panel: Any) -> None:
    """Picture above prompt; nothing is wider than the sheet, and nothing is cut off."""
    with day.width(480):
        day.output(PANEL)
        boxes = panel.locator(".kling-sheet").evaluate("sheet => kling.boxes(sheet)")
        cut = panel.locator(".kling-sheet").evaluate("sheet => kling.cut(sheet)")
    assert boxes["image"]["bottom"] <= boxes["prompt"]["top"]
    assert cut == []


@pytest.mark.parametrize("width", [900, 480])
def test_a_picture_is_seen_well_and_nothing_jumps(day: Notebook, panel: Any, width: int) -> None:
    """As wide as its column, and sharp; the fields and buttons are as large as they were."""
    with day.width(width):
        day.output(PANEL)
        panel.get_by_text("balance").wait_for()
        empty = sizes(panel)
        panel.get_by_role("textbox", name=IMAGE).fill("lake.png")
        panel.get_by_role("textbox", name=IMAGE).press("Enter")
        panel.get_by_text("sent unchanged").wait_for()
        filled, picture = sizes(panel), panel.locator(".kling-pictures img")
        shown = picture.evaluate("each => [each.offsetWidth, each.offsetHeight]")
        pixels = picture.evaluate("each => each.decode().then(() => each.naturalWidth)")
    assert filled == empty
    assert shown[0] == filled["image"][0]
    assert 160 <= shown[1] <= 180
    assert pixels >= 2 * 300


def test_a_clip_by_keyboard_alone(day: Notebook, panel: Any, lab: Lab, screenshots: Any) -> None:
    """From the first control to the clip that plays, with Tab, arrows, letters and Ctrl+Enter."""
    before, keys = tasks(lab), day.page.keyboard
    panel.get_by_role("combobox", name="Model").focus()
    tab_to(day, "image")
    assert day.page.evaluate("() => document.activeElement.tagName") == "BUTTON"
    keys.press("Tab")
    keys.type("lake.png")
    keys.press("Enter")
    panel.get_by_text("640 × 360 px · PNG").wait_for()
    panel.get_by_text("sent unchanged").wait_for()
    tab_to(day, "prompt")
    keys.type(PROMPT)
    tab_to(day, "duration")
    keys.press("ArrowRight")
    panel.get_by_text("10 s · no sound · would cost 110 credits").wait_for()
    tab_to(day, "sound")
    keys.press("Space")
    panel.get_by_text("10 s · sound · would cost 220 credits").wait_for()
    day.page.screenshot(path=screenshots / "panel-filled.png")
    keys.press("Control+Enter")
    # The button and what is below it were not in sight.
    day.page.wait_for_function("given => kling.isInSight(given)", arg=f".kling-result {CARD}")
    clip = day.wait_for_clip(PANEL)
    assert clip["currentTime"] > 0
    assert round(clip["duration"]) == 10
    assert tasks(lab) == before + 1


def test_what_is_on_the_screen_is_made(day: Notebook, panel: Any) -> None:
    """A busy kernel has not received the latest text; the clip is made of it all the same."""
    panel.get_by_role("textbox", name=IMAGE).fill("lake.png")
    panel.get_by_role("textbox", name=IMAGE).press("Enter")
    panel.get_by_text("640 × 360 px").wait_for()
    day.begin_cell(BUSY)
    prompt = panel.get_by_role("textbox", name="Prompt")
    prompt.press_sequentially("mist over the lake")
    panel.get_by_text("18 / 1,000").wait_for(timeout=2000)
    panel.get_by_role("radio", name="10 s").check()
    panel.get_by_role("radio", name="5 s").check()
    panel.get_by_role("radio", name="10 s").check()
    prompt.press("Control+Enter")
    panel.locator(CARD).first.wait_for()
    day.run(JOBS)
    assert "[('mist over the lake', '10 s')]" in day.words(JOBS)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_comes_by_drop_and_paste(day: Notebook, panel: Any, way: str) -> None:
    """It is shown as the service gets it, and JupyterLab does nothing else with it."""
    assert day.page.evaluate(FILE, way)
    panel.locator(".kling-pictures").get_by_text(f"{way}.png").wait_for()
    panel.get_by_text("640 × 360 px · PNG").wait_for()
    image = panel.locator(".kling-pictures img")
    assert image.evaluate("each => each.decode().then(() => each.naturalWidth)") > 100
    panel.get_by_role("button", name=f"Remove {way}.png").click()
    image.wait_for(state="detached")


def test_a_file_is_chosen_in_the_dialog(day: Notebook, panel: Any, lab: Lab) -> None:
    """Enter on the zone opens it; a large file comes whole, what is no picture is refused."""
    large = lab.folder / FOLDER / "notes.txt"
    large.write_text("no picture", encoding="utf-8")
    zone = panel.get_by_role("button", name="choose a file")
    zone.focus()
    with day.page.expect_file_chooser() as chooser:
        zone.press("Enter")
    chooser.value.set_files(large)
    panel.get_by_role("alert").filter(has_text="notes.txt is text/plain, not an image").wait_for()
    picture = lab.folder / FOLDER / "large.bmp"
    Image.effect_noise((1600, 1200), 90).convert("RGB").save(picture)
    panel.locator("input[type=file]").set_input_files(picture)
    panel.get_by_text("1,600 × 1,200 px").wait_for()
    panel.get_by_text("for the service").wait_for()


def test_the_cell_is_copied(day: Notebook, panel: Any) -> None:
    """The clipboard has a cell with the same request."""
    day.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    day.page.bring_to_front()  # the clipboard is only given to the page that has the focus
    panel.get_by_role("textbox", name="Prompt").fill("a heron lands")
    panel.get_by_role("textbox", name=IMAGE).fill("lake.png")
    panel.get_by_role("button", name="Copy cell").first.click()
    panel.get_by_text("Copied", exact=True).wait_for()
    copied = day.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "%%kling --image lake.png\na heron lands"


def test_a_recent_clip_fills_the_form(day: Notebook, panel: Any) -> None:
    """Its settings, or its last frame, from a row of posters."""
    posters = panel.locator(".kling-recents li button")
    posters.first.wait_for()
    posters.first.click()
    panel.get_by_role("button", name="Its settings").click()
    panel.locator(".kling-pictures").get_by_text("lake.png").wait_for()
    posters.first.click()
    panel.get_by_role("button", name="Its last frame as image").click()
    panel.locator(".kling-pictures").get_by_text("last frame of").wait_for()


def test_the_page_loaded_anew_has_the_panel_as_it_was(day: Notebook, panel: Any) -> None:
    """What was typed is still there, and it still works."""
    panel.get_by_role("textbox", name="Prompt").fill("a heron lands")
    panel.get_by_role("textbox", name=IMAGE).fill("lake.png")
    panel.get_by_role("textbox", name=IMAGE).press("Enter")
    panel.get_by_text("640 × 360 px").wait_for()
    day.save()
    day.reload()
    again = day.output(PANEL)
    again.get_by_role("button", name=GENERATE).wait_for()
    assert again.get_by_role("textbox", name="Prompt").input_value() == "a heron lands"
    again.get_by_role("textbox", name="Prompt").press("Control+Enter")
    again.locator(".kling-result video").wait_for()
    day.wait_until_kept(PANEL, "data:video/mp4")


def test_a_folder_that_is_dropped_is_refused(day: Notebook, panel: Any) -> None:
    """Like a file that cannot be read; and the panel goes on."""
    assert day.page.evaluate(FOLDER_DROP)
    panel.get_by_role("alert").filter(has_text="holidays cannot be read").wait_for()
    make_clip(panel, "a heron lands")


def test_a_link_leads_to_the_file_itself(day: Notebook, panel: Any) -> None:
    """And not to a page of the server, whatever the folder's name is."""
    day.run(ELSEWHERE)
    make_clip(panel, "a heron lands")
    panel.get_by_role("button", name="Show file").first.click()
    link = panel.get_by_role("link", name="Open the file").first
    link.wait_for()
    found = day.page.evaluate(
        "async (link) => { const answer = await fetch(link.href);"
        " return [answer.status, answer.headers.get('content-type'), link.href] }",
        link.element_handle(),
    )
    assert found[:2] == [200, "video/mp4"], found
    assert "my%20100%25%20clips" in found[2]


def test_a_notebook_without_its_kernel_shows_the_clips(day: Notebook, panel: Any) -> None:
    """The saved form: what to do, and the clips that the panel made; nothing dead, no error."""
    make_clip(panel, "the last light")
    assert not panel.get_by_text("Run this cell again to use it").is_visible()
    assert panel.locator("video:visible").count() == 1
    day.page.locator(".kling-panel-saved video").wait_for(state="attached")
    day.save()
    day.restart()
    panel.get_by_text("Run this cell again to use it").wait_for()
    panel.get_by_role("button", name=GENERATE).wait_for(state="detached")
    words = day.words(PANEL)
    assert "the last light" in words
    assert "widget" not in words.lower()
    assert day.wait_for_clip(PANEL)["currentTime"] > 0
