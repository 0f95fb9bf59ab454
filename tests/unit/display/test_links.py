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


@pytest.mark.parametrize(
    ("file", "path", "link"),
    [
        ("my 100% clips/a:b#1?.mp4", "my 100% clips/a:b#1?.mp4",
         "my%20100%25%20clips/a%3Ab%231%3F.mp4"),
        ("../clips/a.mp4", "../clips/a.mp4", "../clips/a.mp4"),
    ],
)  # fmt: skip
def test_a_link_is_quoted_and_a_path_is_not(
    tmp_path: Path, file: str, path: str, link: str
) -> None:
    """A space, a percent sign or a colon has another meaning in a link, none in a cell."""
    clip = Path(os.path.normpath(tmp_path / file))
    assert (relative_path(clip), relative_link(clip)) == (path, link)


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
