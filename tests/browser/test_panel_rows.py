"""Rows, frames and media of the panel in a page: by keyboard, and nothing that is typed is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.service import Served, serve

from .axe import AXE, MISSING, faults
from .conftest import Opener
from .filled import FILLED, filled_panel
from .lab import Lab
from .notebook import Notebook
from .stories import write_notebook

FOLDER = "rows"
SET_UP, PANEL, VALUES = 0, 1, 2
FOCUSED = """() => {
  const at = document.activeElement;
  const row = at.closest("[role=group].kling-row")?.querySelector("strong").textContent ?? "";
  const label = at.labels?.[0]?.firstChild.textContent ?? at.getAttribute("aria-label");
  return [row, label ?? at.textContent];
}"""
WATCH = """() => {
  const rows = document.querySelector("[data-kling-field=shots]");
  const heights = (window.klingHeights = [rows.offsetHeight]);
  new ResizeObserver(() => {
    if (heights.at(-1) !== rows.offsetHeight) heights.push(rows.offsetHeight);
  }).observe(rows);
}"""
"""Note each height that the shots take."""
LATE = """() => {
  const { setTimeout, Blob } = window;
  window.klingRender = async (render, given) => {
    while (given.model.get("kind") === "text") {
      const row = given.el.closest(".kling-row-fields");
      if (row?.querySelector("input, select")) break;
      await new Promise(requestAnimationFrame);
    }
    return render(given);
  };
  const late = "export default { render: (given) => window.klingRender(render, given) };";
  window.Blob = class extends Blob {
    constructor(parts, ...rest) {
      const isControl = parts?.length === 1 && String(parts[0]).includes("textControl");
      super(isControl ? [parts[0].replace("export default { render };", late)] : parts, ...rest);
    }
  };
  window.setTimeout = (act, ms, ...rest) => setTimeout(act, ms === 2000 ? 0 : ms, ...rest);
  return () => Object.assign(window, { setTimeout, Blob });
}"""
"""Show new rows before their controls are drawn, and draw their text last; returns what ends it."""
LARGE_DROP = """() => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(50_100_000)], "large.mp4", { type: "video/mp4" }));
  const place = document.querySelector("[data-kling-field=video] .kling-zone");
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  place.dispatchEvent(event);
  return event.defaultPrevented;
}"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The emulator as a server of its own."""
    with serve(tmp_path_factory.mktemp("service")) as served:
        yield served


@pytest.fixture(scope="module")
def day(lab: Lab, opened: Opener, service: Served) -> Iterator[Notebook]:
    """A notebook whose clips come from that server; no cell of it may raise."""
    settings = {**service.settings(lab.folder), "folder": "kling_clips"}
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    cells = [
        f"%load_ext kling_nb\nimport kling_nb as kling\nkling.configure({given});",
        "made = kling.panel('kling/v3-turbo-text-to-video')\nmade",
        "made.values",
    ]
    write_notebook(lab.folder / FOLDER / "rows.ipynb", cells)
    notebook = opened(lab, f"{FOLDER}/rows.ipynb")
    notebook.run(SET_UP)
    yield notebook
    assert notebook.errors() == []


@pytest.fixture
def panel(day: Notebook, request: pytest.FixtureRequest) -> Any:
    """A new panel, as a locator; its name keeps the clips of other tests away."""
    given = f"'kling/v3-turbo-text-to-video', name={request.node.name!r}"
    day.write(PANEL, f"made = kling.panel({given})\nmade")
    day.run(PANEL)
    output = day.output(PANEL)
    output.get_by_role("button", name="Generate").wait_for()
    return output


def choose_model(panel: Any, name: str = "kling-3.0/video") -> None:
    """Choose a model that takes shots."""
    panel.get_by_role("combobox", name="Model").select_option(name)
    panel.get_by_role("button", name="Add an element").wait_for()
    wait_for_form(panel)


def wait_for_form(panel: Any) -> None:
    """Wait until the kernel has sent the whole form of the chosen model, which is inert before."""
    panel.locator(".kling-fields:not([inert])").wait_for()


def focus(notebook: Notebook) -> tuple[str, str]:
    """The row and the name of what has the focus."""
    row, name = notebook.page.evaluate(FOCUSED)
    return row, " ".join(name.split())


def wait_for_focus(notebook: Notebook, row: str, name: str) -> None:
    """Wait until it is there: the kernel has to answer first."""
    notebook.page.wait_for_function(
        f"([row, name]) => {{ const [at, is] = ({FOCUSED})();"
        " return at === row && is.trim().startsWith(name) }",
        arg=[row, name],
    )


def tab_to(notebook: Notebook, row: str, name: str, key: str = "Tab") -> None:
    """Press a key until that control has the focus."""
    for _ in range(30):
        notebook.page.keyboard.press(key)
        if focus(notebook) == (row, name):
            return
    raise AssertionError(f"{key} does not reach {row} {name}")


def test_a_new_shot_has_its_price(day: Notebook, panel: Any) -> None:
    """And the clip its length, before anything is typed."""
    choose_model(panel)
    cost = panel.locator(".kling-cost")
    for seconds, price in ((3, "42 credits"), (6, "84 credits")):
        panel.get_by_role("button", name="Add a shot").press("Enter")
        cost.get_by_text(price).wait_for()
        assert panel.get_by_role("combobox", name="Duration").input_value() == f"{seconds}"
    assert panel.get_by_role("alert").filter(has_text="is").count() == 0


def type_shot(notebook: Notebook, number: int, prompt: str, length: str) -> None:
    """Add a shot and fill it in, from wherever the focus is."""
    tab_to(notebook, "", "Add a shot")
    notebook.page.keyboard.press("Enter")
    wait_for_focus(notebook, f"Shot {number}", "Prompt")
    notebook.page.keyboard.type(prompt)
    tab_to(notebook, f"Shot {number}", "Duration")
    notebook.page.keyboard.type(length)


def test_shots_by_keyboard_alone(day: Notebook, panel: Any, service: Served) -> None:
    """From the choice of the model to the clip that plays; the service gets what was typed."""
    keys, model = day.page.keyboard, panel.get_by_role("combobox", name="Model")
    model.focus()
    for _ in range(20):
        if model.input_value() == "kling-3.0/video":
            break
        keys.press("ArrowDown")
    # No model on the way has both.
    panel.locator("[data-kling-field=image]").wait_for()
    panel.get_by_role("button", name="Add an element").wait_for()
    wait_for_form(panel)
    type_shot(day, 1, "A fox shakes off the snow", "3")
    type_shot(day, 2, "A fox steps out of the fog", "4")
    panel.get_by_text("std \u00b7 2 shots").wait_for()
    total = panel.get_by_role("combobox", name="Duration").element_handle()
    day.page.wait_for_function("total => total.value === '7'", arg=total)
    tab_to(day, "Shot 2", "Move shot 2 up", "Shift+Tab")
    keys.press("Enter")
    wait_for_focus(day, "Shot 1", "Move shot 1 down")
    keys.press("Control+Enter")
    assert day.wait_for_clip(PANEL)["currentTime"] > 0
    (sent,) = [task.input for task in service.account.tasks() if task.input.get("multi_prompt")]
    assert sent["multi_shots"] is True
    assert sent["duration"] == "7"
    assert sent["multi_prompt"] == [
        {"prompt": "A fox steps out of the fog", "duration": 4},
        {"prompt": "A fox shakes off the snow", "duration": 3},
    ]


def add_three_shots(day: Notebook, panel: Any) -> Any:
    """By the button that adds one, which is given back."""
    adder = panel.get_by_role("button", name="Add a shot")
    for number in range(1, 4):
        adder.press("Enter")
        wait_for_focus(day, f"Shot {number}", "Prompt")
    return adder


def test_the_focus_stays_near_when_a_row_goes(day: Notebook, panel: Any) -> None:
    """On the next row, then on the one before, at last on the button that adds one."""
    choose_model(panel)
    add_three_shots(day, panel)
    for left, gone, row in ((2, 2, "Shot 2"), (1, 2, "Shot 1"), (0, 1, "")):
        panel.get_by_role("button", name=f"Remove shot {gone}", exact=True).press("Enter")
        panel.get_by_text(f"{left} of 5", exact=True).wait_for()
        wait_for_focus(day, row, f"Remove {row.lower()}" if row else "Add a shot")


def test_a_row_goes_once(day: Notebook, panel: Any) -> None:
    """Two quick clicks do not take the next row along."""
    choose_model(panel)
    adder = add_three_shots(day, panel)
    remove = panel.get_by_role("button", name="Remove shot 1", exact=True)
    remove.evaluate("button => { button.click(); button.click() }")
    panel.get_by_text("2 of 5", exact=True).wait_for()
    adder.press("Enter")
    panel.get_by_text("3 of 5", exact=True).wait_for()


def test_a_row_is_typed_in_while_others_come_and_go(day: Notebook, panel: Any) -> None:
    """The others keep what they hold; at the limit there is no more to add."""
    choose_model(panel)
    adder = panel.get_by_role("button", name="Add a shot")
    for number in range(1, 6):
        adder.press("Enter")
        wait_for_focus(day, f"Shot {number}", "Prompt")
        day.page.keyboard.type(f"shot {number}")
    adder.wait_for(state="hidden")
    panel.get_by_text("5 of 5").wait_for()
    panel.get_by_role("button", name="Remove shot 3", exact=True).click()
    panel.get_by_text("4 of 5").wait_for()
    prompts = panel.get_by_role("group", name="Shot").get_by_role("textbox", name="Prompt")
    values = [prompts.nth(at).input_value() for at in range(4)]
    assert values == ["shot 1", "shot 2", "shot 4", "shot 5"]


def test_a_new_row_is_there_at_once(day: Notebook, panel: Any) -> None:
    """The form grows once for it, and does not jump while its fields are drawn."""
    choose_model(panel)
    day.page.evaluate(WATCH)
    panel.get_by_role("button", name="Add a shot").press("Enter")
    wait_for_focus(day, "Shot 1", "Prompt")
    before, *after = day.page.evaluate("() => window.klingHeights")
    assert len(after) == 1, (before, after)


def test_a_row_that_is_drawn_late_gets_the_focus(day: Notebook, panel: Any) -> None:
    """A busy page shows the row before its controls are drawn, in any order."""
    choose_model(panel)
    patient = day.page.evaluate_handle(LATE)
    try:
        for number in range(1, 4):
            panel.get_by_role("button", name="Add a shot").press("Enter")
            wait_for_focus(day, f"Shot {number}", "Prompt")
    finally:
        patient.evaluate("patient => patient()")


def test_a_new_row_fits_into_a_narrow_form(day: Notebook, panel: Any) -> None:
    """Its empty places for pictures, too."""
    choose_model(panel)
    panel.get_by_role("button", name="Add an element").press("Enter")
    wait_for_focus(day, "Element 1", "Name")
    with day.width(480):
        day.output(PANEL)
        assert panel.locator(".kling-sheet").evaluate("sheet => kling.cut(sheet)") == []


def test_a_problem_stands_in_its_row(day: Notebook, panel: Any) -> None:
    """Said beside the field; Generate puts the focus there, and sends nothing."""
    choose_model(panel)
    for number in (1, 2):
        panel.get_by_role("button", name="Add a shot").press("Enter")
        wait_for_focus(day, f"Shot {number}", "Prompt")
    second = panel.get_by_role("group", name="Shot 2")
    first = panel.get_by_role("group", name="Shot 1")
    first.get_by_role("textbox", name="Prompt").fill("fog")
    second.get_by_role("spinbutton", name="Duration").fill("")
    second.get_by_role("alert").filter(has_text="Duration is missing").wait_for()
    second.get_by_role("textbox", name="Prompt").fill("x" * 501)
    words = "Prompt has 501 characters"
    second.get_by_role("alert").filter(has_text=words).wait_for()
    assert first.get_by_role("alert").filter(has_text=words).count() == 0
    panel.get_by_role("combobox", name="Model").focus()
    panel.get_by_role("combobox", name="Model").press("Control+Enter")
    wait_for_focus(day, "Shot 2", "Prompt")
    panel.get_by_text("Fix Shots above.").wait_for()


def test_frames_are_swapped_by_keyboard(day: Notebook, panel: Any) -> None:
    """First and last are named; the focus goes along with the picture that moves."""
    choose_model(panel)
    text = panel.get_by_role("textbox", name="Image: path, URL or variable, one per line")
    text.fill("lake.png\nhttp://127.0.0.1:9/fox.png")
    text.blur()
    items = panel.locator(".kling-pictures li")
    items.nth(1).wait_for()
    assert "First frame" in items.nth(0).inner_text()
    assert "Last frame" in items.nth(1).inner_text()
    down = panel.get_by_role("button", name="Move lake.png down")
    down.press("Enter")
    items.nth(1).get_by_text("lake.png").wait_for()
    wait_for_focus(day, "", "Move lake.png up")
    day.run(VALUES)
    assert day.words(VALUES).index("fox.png") < day.words(VALUES).index("lake.png")


def test_a_file_that_is_too_large_for_a_page_is_refused(day: Notebook, panel: Any) -> None:
    """Before any of it is sent; it is to be given as a path."""
    panel.get_by_role("combobox", name="Model").select_option("kling-2.6/motion-control")
    video = panel.locator("[data-kling-field=video]")
    video.get_by_text("Drop a video here or choose a file").wait_for()
    wait_for_form(panel)
    assert day.page.evaluate(LARGE_DROP)
    words = "large.mp4 is 50.1 MB; for files over 50 MB, enter a path"
    video.get_by_role("alert").filter(has_text=words).wait_for()


def test_the_page_loaded_anew_has_its_rows(day: Notebook, panel: Any) -> None:
    """With what was typed, and they still work."""
    choose_model(panel)
    panel.get_by_role("button", name="Add a shot").press("Enter")
    wait_for_focus(day, "Shot 1", "Prompt")
    day.page.keyboard.type("a heron lands")
    panel.get_by_text("13 / 500").wait_for()
    day.save()
    day.reload()
    again = day.output(PANEL)
    prompt = again.get_by_role("group", name="Shot 1").get_by_role("textbox", name="Prompt")
    prompt.wait_for()
    assert prompt.input_value() == "a heron lands"
    again.get_by_role("button", name="Remove shot 1", exact=True).click()
    again.get_by_text("0 of 5").wait_for()


@pytest.mark.skipif(not AXE.exists(), reason=MISSING)
@pytest.mark.parametrize("name", FILLED)
def test_filled_panels_have_no_fault(lab: Lab, opened: Opener, name: str) -> None:
    """Rows, frames, a video, a sound, and faults in rows: what axe finds, in light and dark."""
    write_notebook(lab.folder / "filled" / f"{name}.ipynb", filled_panel(name))
    notebook = opened(lab, f"filled/{name}.ipynb")
    notebook.command("notebook:run-all-cells")
    output = notebook.output(PANEL)
    output.locator(".kling-pictures li").first.wait_for()
    for theme in ("light", "dark"):
        notebook.theme(theme)
        output.get_by_role("button", name="Generate").first.wait_for()
        assert faults(notebook.page, notebook.mark(PANEL)) == []
