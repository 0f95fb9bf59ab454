"""Widgets' modules from their parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kling_nb.display.assets import join_scripts
from kling_nb.display.comm import Hub
from kling_nb.display.gallery import Gallery
from kling_nb.display.panel.widgets import Actions, Control, Picker, Recents, Rows

WIDGETS = (Hub, Gallery, Actions, Control, Picker, Recents, Rows)


def test_parts_stay_in_their_order(tmp_path: Path) -> None:
    """The last has the module's export."""
    for name in "ab":
        (tmp_path / name).write_text(f"const {name} = 1;", encoding="utf-8")
    assert join_scripts(tmp_path / "b", tmp_path / "a") == "const b = 1;\nconst a = 1;"


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_module_has_each_name_and_one_way_to_the_clipboard(widget: type) -> None:
    """A second name would be a syntax error; the older clipboard API stands beside the newer."""
    script = str(widget._esm)  # type: ignore[attr-defined]
    found = re.findall(r"^(?:async )?(?:function\*?|class|const|let) (\w+)", script, re.MULTILINE)
    assert len(found) == len(set(found))
    assert script.count("navigator.clipboard") == 1
    assert "execCommand" in script
