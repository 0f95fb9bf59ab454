"""The notebooks as they are committed: executed, true, self-contained, free of machine and key."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from kling_nb.core.money import format_price
from kling_nb.models.catalog import CATALOGUE
from kling_nb.models.cell import read_line
from kling_nb.models.lookup import needed_media, offer_of
from kling_nb.models.spec import ModelSpec
from tests.execute_notebooks import NOTEBOOKS, WIDGET
from tests.support.tutorials import TUTORIALS, contradictions

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def outputs(path: Any) -> list[Any]:
    """Every output of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_each_notebook_states_what_it_shows() -> None:
    """Every notebook, also a new one, has facts to check; README opens the quickstart."""
    assert {path.stem for path in ALL} == set(TUTORIALS)
    assert "quickstart" in TUTORIALS


@each_notebook
def test_every_cell_was_run_in_order(path: Any) -> None:
    """Execution counts are 1, 2, 3 … and no output is an error."""
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not [output for output in outputs(path) if output.output_type == "error"]


@each_notebook
def test_the_text_agrees_with_the_outputs(path: Any) -> None:
    """Cards, clips and each claim of the text; the browser tests check the same after Run All."""
    notebook = nbformat.read(path, as_version=4)
    assert contradictions(notebook, TUTORIALS[path.stem]) == []


@each_notebook
def test_clips_are_inside_and_say_that_they_are_emulated(path: Any) -> None:
    """Videos are data on `<video src>`, each card has its badge, prompt and price as text."""
    html = "\n".join(output.get("data", {}).get("text/html", "") for output in outputs(path))
    videos = re.findall(r'<video src="data:video/mp4;base64,', html)
    assert len(videos) == TUTORIALS[path.stem].cards["saved"]
    assert "<source" not in html
    assert html.lower().count(">emulated</span>") >= len(videos)
    for output in outputs(path):
        data = output.get("data", {})
        if "<video" in data.get("text/html", ""):
            assert re.search("would cost|0 credits now", data["text/plain"])
            assert "H.264" in data["text/plain"]


@each_notebook
def test_no_widget_is_needed(path: Any) -> None:
    """No output is a widget view, and no widget state is stored."""
    assert not [output for output in outputs(path) if WIDGET in output.get("data", {})]
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


@each_notebook
def test_nothing_of_the_machine_is_inside(path: Any) -> None:
    """No absolute path, no key, no address of a server."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert not re.search(r"Bearer |\bsk-[A-Za-z0-9]{8}|127\.0\.0\.1", text)


@each_notebook
def test_it_pins_the_emulator(path: Any) -> None:
    """With a key in the environment it spends nothing."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert 'mode="emulator"' in first.source


ROW = re.compile(r"^\| ([^|]+) \| `([^`]+)` \| (?:`([^`]+)`)? ?\| ([^|]+) \|$", re.MULTILINE)
"""A row of the table of models: need, model, options and price."""


def table_of_models() -> dict[str, tuple[str, str, str]]:
    """Model, options and price by need, as models.ipynb lists them."""
    notebook = nbformat.read(NOTEBOOKS / "models.ipynb", as_version=4)
    (table,) = (cell.source for cell in notebook.cells if cell.id == "models-which")
    return {need: (model, options, price) for need, model, options, price in ROW.findall(table)}


@pytest.mark.parametrize(("need", "row"), table_of_models().items())
def test_a_price_in_the_table_is_that_of_the_catalogue(need: str, row: Any) -> None:
    """Also the options exist, and the date is that of the price list."""
    model, options, price = row
    cell = read_line(f"--model {model} {options}")
    assert cell.spec.name == model
    assert f"{cell.spec.prices.as_of:%B %Y}" == "October 2026"
    line = cell.spec.prices.line(cell.spec.defaults | dict(cell.values))
    assert line is not None
    unit = {"": "for 5 s", "duration": "per second"}
    assert price == f"{format_price(line.credits)} " + unit.get(
        line.per_s_of, f"per second of the {line.per_s_of}"
    )


def test_the_table_has_a_row_for_each_need() -> None:
    """The pattern above misses none."""
    assert len(table_of_models()) == 12


@pytest.mark.parametrize(
    ("need", "takes"),
    [
        ("the lowest price, from an image", [("image",)]),
        ("the lowest price, from text", []),
    ],
)
def test_the_cheapest_model_is_named(need: str, takes: list[tuple[str, ...]]) -> None:
    """No other model with these inputs has a standard clip for less."""
    clips = {
        spec.name: offer_of(spec).credits or 0.0
        for spec in CATALOGUE.values()
        if needed_media(spec) == takes
    }
    assert table_of_models()[need][0] == min(clips, key=lambda name: clips[name])


def test_no_model_with_sound_costs_less() -> None:
    """Of those that make a clip with sound from one image."""
    model, _, _ = table_of_models()["sound"]
    prices = {name: price for name, spec in CATALOGUE.items() if (price := price_with_sound(spec))}
    assert prices[model] == min(prices.values())


def price_with_sound(spec: ModelSpec) -> float | None:
    """The price of 5 s with sound; None for a model without sound, or one that needs a video."""
    values = spec.defaults
    if "sound" not in values:
        return None
    return spec.prices.credits(values | {"sound": True}, {})
