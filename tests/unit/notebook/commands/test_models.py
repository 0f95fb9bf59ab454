"""`%kling models`: a table of the models with prices, and the options of one."""

from __future__ import annotations

from typing import Any

import pytest

from kling_nb.errors import InvalidInput
from kling_nb.models.catalog import CATALOGUE
from kling_nb.notebook.commands import models


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Collect the tables that are shown, while prices are recent."""
    monkeypatch.setattr(models, "about_prefix", lambda *_: "")
    shown: list[tuple[Any, ...]] = []
    monkeypatch.setattr(models, "show_table", lambda *table: shown.append(table))
    return shown


def test_every_model_is_a_row(tables: list[tuple[Any, ...]]) -> None:
    """Name, price, standard clip, inputs and confidence; the header has the date of the prices."""
    models.show_models()
    ((headers, rows, _),) = tables
    assert [row[0] for row in rows] == list(CATALOGUE)
    assert all(len(row) == len(headers) for row in rows)
    by_name = {row[0]: row for row in rows}
    assert by_name["kling-3.0/video"] == (
        "kling-3.0/video",
        "70 credits ($0.35)",
        "5 s · no sound · std",
        "words (image, shots, elements)",
        "recorded",
    )
    assert headers[1] == "price of 2026-10-31"
    avatar = by_name["kling/ai-avatar-pro"]
    assert avatar[1:3] == ("16 credits ($0.08) per second of audio", "as long as its audio")


def test_one_model_is_its_options(tables: list[tuple[Any, ...]]) -> None:
    """A part of the name is enough if it is unique."""
    models.show_models("3.0/video")
    ((_, rows, caption),) = tables
    assert caption == "Kling 3.0 (kling-3.0/video)"
    assert [row[0] for row in rows] == [
        "the cell's body",
        "--image, -i",
        "--duration, -d",
        "--sound, --no-sound",
        "--aspect-ratio",
        "--mode",
        "--shots",
        "--elements",
    ]


def test_several_matches_are_listed(tables: list[tuple[Any, ...]]) -> None:
    """A part of a name that several models have lists them."""
    models.show_models("avatar")
    ((_, rows, _),) = tables
    assert [row[0] for row in rows] == ["kling/ai-avatar-standard", "kling/ai-avatar-pro"]


def test_an_unknown_name_is_refused(tables: list[tuple[Any, ...]]) -> None:
    """The error names the closest model."""
    with pytest.raises(InvalidInput, match="did you mean kling/v2-1-pro"):
        models.show_models("kling/v2-1-por")
    assert tables == []


def test_an_old_price_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old price may have changed."""
    monkeypatch.setattr(models, "about_prefix", lambda *_: "about")
    spec = CATALOGUE["kling-2.6/image-to-video"]
    assert models.format_offer(spec) == "about 55 credits ($0.28)"
