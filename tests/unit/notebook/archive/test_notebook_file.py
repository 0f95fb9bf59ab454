"""Notebooks as files: found, read, written back with nothing touched, and trusted as before."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from kling_nb.errors import InvalidInput
from kling_nb.notebook.archive.notebook_file import (
    WIDGET_STATE,
    WIDGET_VIEW,
    NotebookFile,
    current_notebook,
    told_notebooks,
)


def book(**metadata: Any) -> Any:
    """A notebook with outputs of several kinds."""
    output = nbformat.v4.new_output
    outputs = [
        output("stream", name="stdout", text="ä\n\u2028…\n"),
        output("display_data", data={"text/html": "<b>a</b>\n<i>b</i>", "text/plain": "a"}),
        output("execute_result", data={"application/json": {"a": [1.5, None, "é"]}}),
    ]
    cell = nbformat.v4.new_code_cell("x = 1\ny", outputs=outputs, metadata={"tags": ["t"]})
    return nbformat.v4.new_notebook(cells=[cell], metadata=metadata)


def with_outputs(outputs: object) -> dict[str, Any]:
    """A notebook as JSON with these outputs, valid or not."""
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": outputs}
    return {"metadata": {}, "nbformat": 4, "nbformat_minor": 4, "cells": [cell]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One that Jupyter saved."""
    path = tmp_path / "film.ipynb"
    nbformat.write(book(kernelspec={"name": "python3", "display_name": "P"}), path)
    return path


def test_the_state_of_widgets_that_no_output_shows_is_dropped(tmp_path: Path) -> None:
    """What an output shows stays, with everything that its state names."""
    views = {"text/plain": "x", WIDGET_VIEW: {"model_id": "shown"}}
    cell = nbformat.v4.new_code_cell("x", outputs=[nbformat.v4.new_output("display_data", views)])
    names = {"shown": ["IPY_MODEL_child"], "child": ["IPY_MODEL_style"], "style": [], "dead": []}
    state = {name: {"state": {"children": inside}} for name, inside in names.items()}
    widgets = {WIDGET_STATE: {"version_major": 2, "version_minor": 0, "state": state}}
    path = tmp_path / "film.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": widgets}), path)
    read = NotebookFile.read(path)
    assert read.drop_unshown_widgets() == 1
    read.write(path, replace=True)
    kept = nbformat.read(path, 4).metadata.widgets[WIDGET_STATE].state
    assert set(kept) == {"shown", "child", "style"}
    assert NotebookFile.read(path).drop_unshown_widgets() == 0


@pytest.mark.parametrize("metadata", [{"widgets": []}, {"widgets": {WIDGET_STATE: {"state": 1}}}])
def test_widget_state_that_is_none_is_left_alone(tmp_path: Path, metadata: Any) -> None:
    """Whatever a program wrote there."""
    path = tmp_path / "film.ipynb"
    path.write_text(json.dumps({**book(), "metadata": metadata}), encoding="utf-8")
    assert NotebookFile.read(path).drop_unshown_widgets() == 0


def test_dead_state_takes_its_metadata_with_it(tmp_path: Path) -> None:
    """Nothing is left where nothing is shown."""
    widgets = {WIDGET_STATE: {"state": {"dead": {}}}}
    path = tmp_path / "film.ipynb"
    nbformat.write(nbformat.v4.new_notebook(metadata={"widgets": widgets}), path)
    read = NotebookFile.read(path)
    assert read.drop_unshown_widgets() == 1
    read.write(path, replace=True)
    assert "widgets" not in nbformat.read(path, 4).metadata


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's Jupyter, in which nothing was signed so far."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    (tmp_path / "jupyter").mkdir()
    return tmp_path / "jupyter"


def is_trusted(path: Path, data: Path) -> bool:
    """Whether a server of that person's trusts a notebook."""
    with NotebookNotary(data_dir=str(data)) as notary:
        return bool(notary.check_signature(nbformat.read(path, as_version=4)))


def test_a_notebook_of_jupyter_is_written_byte_by_byte(path: Path, tmp_path: Path) -> None:
    """A notebook without changes is the same file."""
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert (tmp_path / "copy.ipynb").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("minor", [0, 2, 4, 5])
@pytest.mark.parametrize("layout", [{}, {"indent": 4, "ensure_ascii": False}])
def test_no_content_is_lost(path: Path, tmp_path: Path, minor: int, layout: Any) -> None:
    """Minor version, unknown metadata and keys, attachments and cells without ids stay."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= {"nbformat_minor": minor, "of another program": [1.5, None, {"ä": "\u2028"}]}
    content["metadata"]["unknown"] = {"deep": [{}]}
    attachments = {"fox.png": {"image/png": "iVBORw0KGgo=", "text/plain": ["a\n", "b"]}}
    text = {"cell_type": "markdown", "metadata": {}, "source": "", "attachments": attachments}
    content["cells"].append(text)
    content["cells"][0].pop("id")
    path.write_text(json.dumps(content, **layout), encoding="utf-8")
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    copy = json.loads((tmp_path / "copy.ipynb").read_text(encoding="utf-8"))
    assert copy["cells"][-1].pop("source") == []
    assert content["cells"][-1].pop("source") == ""
    assert copy == content


def test_bundles_are_changed_in_place(path: Path, tmp_path: Path) -> None:
    """And only what was changed differs."""
    file = NotebookFile.read(path)
    first, second = file.bundles()
    assert second == {"application/json": {"a": [1.5, None, "é"]}}
    first["text/html"] = "<p>new</p>"
    size = file.write(tmp_path / "copy.ipynb")
    assert size == (tmp_path / "copy.ipynb").stat().st_size
    old, new = (nbformat.read(each, as_version=4) for each in (path, tmp_path / "copy.ipynb"))
    assert new.cells[0].outputs[1].data["text/html"] == "<p>new</p>"
    new.cells[0].outputs[1].data["text/html"] = old.cells[0].outputs[1].data["text/html"]
    assert new == old


def test_nothing_is_overwritten_unasked(path: Path, tmp_path: Path) -> None:
    """The way on is told."""
    other = tmp_path / "other.ipynb"
    other.write_text("mine")
    with pytest.raises(InvalidInput, match=r"other\.ipynb' exists; `--replace` overwrites it"):
        NotebookFile.read(path).write(other)
    assert other.read_text() == "mine"
    NotebookFile.read(path).write(other, replace=True)
    assert other.read_bytes() == path.read_bytes()


def test_a_full_disk_leaves_what_was_there(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half a notebook nor a piece of one."""
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InvalidInput, match=r"cannot be written \(No space left on device"):
        NotebookFile.read(path).write(path, replace=True)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.glob("*film*")] == ["film.ipynb"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    """What it leads to is written."""
    link = tmp_path / "link.ipynb"
    link.symlink_to(path)
    file = NotebookFile.read(link)
    next(file.bundles())["text/html"] = "<p>new</p>"
    file.write(link, replace=True)
    assert link.is_symlink()
    assert "<p>new</p>" in path.read_text(encoding="utf-8")


def test_permissions_are_kept(path: Path, tmp_path: Path) -> None:
    """A private notebook's copy is private, and a shared one's is shared."""
    for mode in (0o600, 0o644):
        path.chmod(mode)
        NotebookFile.read(path).write(tmp_path / "copy.ipynb", replace=True)
        assert (tmp_path / "copy.ipynb").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not appear to be JSON"),
        (b"\xff\xfe", "invalid start byte"),
        (b"[]", "no attribute 'get'"),
        (b'{"metadata": {}, "nbformat": 4}', "missing an expected key: cells"),
        (b'{"metadata": {}, "nbformat": 4, "cells": 7}', "not iterable"),
        (b'{"metadata": {}, "nbformat": 4, "cells": [7]}', "not iterable"),
        (b'{"metadata": {}, "nbformat": 3, "worksheets": []}', "its format is 3, not 4"),
        (b'{"metadata": {}, "nbformat": 5}', "Unsupported nbformat version 5"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_error(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """With the file's name and the reason."""
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=reason) as error:
        NotebookFile.read(path)
    assert "broken.ipynb cannot be read as a notebook" in str(error.value)


@pytest.mark.parametrize("outputs", [7, [7], [{"output_type": "display_data", "data": 7}]])
def test_outputs_without_their_form_are_one_error(tmp_path: Path, outputs: object) -> None:
    """Jupyter cannot open such a notebook either."""
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps(with_outputs(outputs)))
    with pytest.raises(InvalidInput, match="cannot be read as a notebook"):
        NotebookFile.read(path)


def test_a_missing_notebook_is_told(tmp_path: Path) -> None:
    """As the file system says it."""
    with pytest.raises(InvalidInput, match="No such file"):
        NotebookFile.read(tmp_path / "none.ipynb")


@pytest.mark.parametrize("saved", ["other", "same size"])
def test_what_was_saved_meanwhile_is_not_written_over(
    path: Path, tmp_path: Path, saved: str
) -> None:
    """However alike it looks from outside; nothing is left beside it."""
    file, before = NotebookFile.read(path), path.stat()
    newer = path.read_bytes().replace(b"x = 1", b"x = 2")
    path.write_bytes(newer if saved == "same size" else newer + b"\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "link.ipynb").symlink_to(path)
    for target in (path, tmp_path / "link.ipynb"):
        with pytest.raises(InvalidInput, match="was saved by another program"):
            file.write(target, replace=True)
    assert b"x = 2" in path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["film.ipynb", "link.ipynb"]


def test_half_characters_are_escaped(tmp_path: Path) -> None:
    """JSON may hold half a surrogate pair, also after a backslash; UTF-8 has none."""
    path, source = tmp_path / "film.ipynb", "\u00e9 \\\ud83d"
    cell = nbformat.v4.new_code_cell(source)
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=[cell])))
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert list(NotebookFile.read(tmp_path / "copy.ipynb").sources()) == [source]


def test_a_notebook_that_cannot_be_written_is_one_error(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too deep nesting, or an output without its type; no file is made."""

    def too_deep(*_: object) -> str:
        raise RecursionError("maximum recursion depth exceeded")

    file = NotebookFile.read(path)
    with monkeypatch.context() as patch:
        patch.setattr("nbformat.v4.writes", too_deep)
        with pytest.raises(InvalidInput, match="cannot be written as a notebook"):
            file.write(tmp_path / "copy.ipynb")
    path.write_text(json.dumps(with_outputs([{}])))
    with pytest.raises(InvalidInput, match="cannot be written as a notebook"):
        NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert not (tmp_path / "copy.ipynb").exists()


def test_what_was_trusted_stays_trusted(path: Path, tmp_path: Path, jupyter: Path) -> None:
    """Else a slimmed notebook would lose its style sheets."""
    with NotebookNotary(data_dir=str(jupyter)) as notary:
        notary.sign(nbformat.read(path, as_version=4))
    file = NotebookFile.read(path)
    next(file.bundles())["text/html"] = "<p>new</p>"
    file.write(tmp_path / "copy.ipynb")
    assert is_trusted(tmp_path / "copy.ipynb", jupyter)


def test_what_was_not_trusted_is_not(path: Path, tmp_path: Path, jupyter: Path) -> None:
    """A stranger's notebook is still one after it was packed."""
    with NotebookNotary(data_dir=str(jupyter)) as notary:
        notary.sign(book())
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert not is_trusted(tmp_path / "copy.ipynb", jupyter)


def test_without_jupyter_nothing_is_signed(path: Path, tmp_path: Path, jupyter: Path) -> None:
    """No secret and no database are made."""
    NotebookFile.read(path).write(tmp_path / "copy.ipynb")
    assert list(jupyter.iterdir()) == []


def test_the_front_end_tells_the_notebook(path: Path) -> None:
    """Jupyter Server by a variable of the environment, VS Code by one of the namespace."""
    assert current_notebook({}, {"JPY_SESSION_NAME": str(path)}) == path
    assert current_notebook({"__vsc_ipynb_file__": str(path)}, {}) == path


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "unknown to this front end"),
        ({"JPY_SESSION_NAME": "/somewhere/Console 1"}, "unknown to this front end"),
        (
            {"JPY_SESSION_NAME": "/nowhere/film.ipynb"},
            r"film.ipynb does not exist; was it renamed\?",
        ),
    ],
)
def test_where_it_is_not_told_the_name_is_asked_for(environ: dict[str, str], said: str) -> None:
    """With an example."""
    with pytest.raises(InvalidInput, match=said) as error:
        current_notebook({}, environ)
    assert "`%kling pack NOTEBOOK.ipynb`" in str(error.value)


def test_a_notebook_is_told_whether_it_is_there_or_not() -> None:
    """One that was renamed keeps the name that its kernel was started with; others are none."""
    told = told_notebooks({"__vsc_ipynb_file__": "a.ipynb"}, {"JPY_SESSION_NAME": "/gone/b.ipynb"})
    assert told == ["a.ipynb", "/gone/b.ipynb"]
    assert told_notebooks({}, {"JPY_SESSION_NAME": "console-1"}) == []


def test_the_text_of_code_cells(tmp_path: Path) -> None:
    """As one text or as lines; other cells are left out."""
    cells = [
        {"cell_type": "code", "source": ["a\n", "b"]},
        {"cell_type": "markdown", "source": "# no"},
        {"cell_type": "code", "source": "c"},
        {"cell_type": "code", "source": 7},
        {"cell_type": "raw", "outputs": [7, {"data": 7}]},
    ]
    path, book = tmp_path / "film.ipynb", with_outputs([])
    book["cells"] = [{"metadata": {}} | cell for cell in cells]
    path.write_text(json.dumps(book), encoding="utf-8")
    assert list(NotebookFile.read(path).sources()) == ["a\nb", "c", ""]
    assert list(NotebookFile.read(path).bundles()) == []


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
@pytest.mark.parametrize("bits", [0o644, 0o600])
def test_a_new_notebook_follows_the_umask(tmp_path: Path, umask: int, bits: int) -> None:
    """As a copy by `cp`: no more than the original allows. One that is changed keeps its bits."""
    path, target = tmp_path / "film.ipynb", tmp_path / "packed.ipynb"
    path.write_text(json.dumps({"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    path.chmod(bits)
    book = NotebookFile.read(path)
    before = os.umask(umask)
    try:
        book.write(target)
        assert stat.S_IMODE(target.stat().st_mode) == bits & ~umask
        book.write(path, replace=True)
        assert stat.S_IMODE(path.stat().st_mode) == bits
    finally:
        os.umask(before)
    assert sorted(each.name for each in tmp_path.glob(".*")) == []
