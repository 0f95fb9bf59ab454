"""How a notebook names a file near it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kling_nb.display.links import relative_link, relative_path


@pytest.fixture(autouse=True)
def notebooks_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel starts beside its notebook."""
    monkeypatch.chdir(tmp_path)


def test_a_link_is_quoted(tmp_path: Path) -> None:
    """A space, a percent sign or a colon in a name would be read in another way."""
    clip = tmp_path / "my 100% clips" / "a:b#1?.mp4"
    assert relative_link(clip) == "my%20100%25%20clips/a%3Ab%231%3F.mp4"


def test_a_path_is_as_it_is(tmp_path: Path) -> None:
    """For a cell, where nothing is quoted."""
    assert relative_path(tmp_path / "my 100% clips" / "a.mp4") == "my 100% clips/a.mp4"


def test_a_folder_above_is_reached(tmp_path: Path) -> None:
    """The folder of clips may be the project's."""
    assert relative_link(tmp_path.parent / "clips" / "a.mp4") == "../clips/a.mp4"


def test_another_notebooks_folder_is_where_its_links_start(tmp_path: Path) -> None:
    """A copy that goes elsewhere."""
    clip = tmp_path / "my 100% clips" / "a#1.mp4"
    assert relative_path(clip, tmp_path / "b" / "c") == "../../my 100% clips/a#1.mp4"
    assert relative_link(clip, tmp_path / "b" / "c") == "../../my%20100%25%20clips/a%231.mp4"


def test_another_drive_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows cannot name a way there."""

    def refuse(*_: object) -> str:
        raise ValueError

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert relative_link(Path("a.mp4")) == ""
