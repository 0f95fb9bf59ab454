"""Reading what a notebook asks for, without running it."""

from __future__ import annotations

import pytest

from kling_nb.aliases import UNCERTAIN
from kling_nb.inventory import CallWanted, CellWanted, Unclear, take_inventory

IMPORTS = "import kling_nb as kling\nfrom kling_nb import text_to_video as make"


def found(*sources: str) -> list[object]:
    """What these cells ask for, after the imports."""
    return list(take_inventory([IMPORTS, *sources]))


def test_a_cell_is_read_as_it_is_run() -> None:
    """With comments above it, braces and quotes raw; empty cells have no number."""
    source = "# mine\n\n%%kling -i fox.png -d 10\nA \"fox\" {x} 100 %\nand 'more'\n"
    (wanted,) = found("", source)
    assert isinstance(wanted, CellWanted)
    assert (wanted.number, wanted.line) == (2, "-i fox.png -d 10")
    assert wanted.body == "A \"fox\" {x} 100 %\nand 'more'\n"


def test_cells_within_cells_that_run_once_are_read() -> None:
    """`%%time` and `%%capture` change nothing of what is asked for."""
    for magic in ("%%time", "%%capture out"):
        (wanted,) = found(f"{magic}\n%%kling\na fox")
        assert isinstance(wanted, CellWanted)
        assert wanted.body.strip() == "a fox"
    (wanted,) = found("%time job = kling.text_to_video('a fox')")
    assert isinstance(wanted, CallWanted)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("for shot in shots:\n    kling.text_to_video(shot)", "in a loop"),
        ("while True:\n    make('a')", "in a loop"),
        ("[make(shot) for shot in shots]", "in a loop"),
        ("jobs = {s: make(s) for s in shots}", "in a loop"),
        ("def go():\n    return make('a')", "in a function"),
        ("go = lambda: make('a')", "in a function"),
        ("if cheap:\n    make('a')", "under a condition"),
        ("cheap and make('a')", "under a condition"),
        ("try:\n    make('a')\nexcept Exception:\n    pass", "under a condition"),
        ("list(map(make, shots))", "handed to other code"),
        ("pool.submit(kling.generate, 'm', prompt='a')", "handed to other code"),
        ("make(f'a {fox}')", "its values are computed"),
        ("make(*args)", "its values are computed"),
        ("make('a', **{'duration': 5})", "its values are computed"),
        ("job.another_take()", "a new take each time it runs"),
        ("kling.Session().text_to_video('a')", "called on an object of the notebook's own"),
        ("%%timeit\nmake('a')\n# kling", "inside %%timeit"),
        ("%%bash\npython -m kling_nb", "inside %%bash"),
        ("%timeit kling.text_to_video('a')", "inside %timeit"),
        ("%run shots.py", "another file"),
        ("for s in shots:\n    get_ipython().run_cell_magic('kling', '', 'a')", "in a loop"),
        ("get_ipython().run_cell_magic('kling', '', text)", "its text is computed"),
        ("kling.text_to_video('a'", "it cannot be read as Python"),
    ],
)
def test_what_only_running_it_tells_is_named(source: str, why: str) -> None:
    """With the reason."""
    (wanted,) = found(source)
    assert isinstance(wanted, Unclear)
    assert (wanted.number, wanted.why) == (2, why)


@pytest.mark.parametrize(
    "source",
    [
        "print('kling')",
        "model.generate('a')",
        "%kling balance",
        "%kling quote",
        "%load_ext kling_nb",
        "%matplotlib inline",
        "!ls kling_clips",
        "kling.balance?",
        "kling.panel()",
        "%%html\n<b>kling</b>",
        "%%writefile kling.txt\nkling.text_to_video('a')",
        "%%bash\nls",
        "job.result()",
        "with open('x') as file:\n    text = file.read()",
    ],
)
def test_what_costs_nothing_is_left_out(source: str) -> None:
    """No false alarm."""
    assert found(source) == []


def test_a_call_with_literals_is_certain() -> None:
    """Also with names that hold some, inside other calls, and awaited."""
    first, second, third = found(
        "shot = 'a fox'\njob = kling.image_to_video('fox.png', shot, duration=5, sound=True)",
        "clip = await kling.generate('kling-2.6/text-to-video', prompt='b')",
        "print(make('c').result())",
    )
    assert first == CallWanted(
        2, "image_to_video", ("fox.png", "a fox"), {"duration": 5, "sound": True}
    )
    assert second == CallWanted(3, "generate", ("kling-2.6/text-to-video",), {"prompt": "b"})
    assert third == CallWanted(4, "text_to_video", ("c",), {})


def test_a_cell_knows_what_was_set_before_it() -> None:
    """Literals, and what only running tells: loops, results, an output name."""
    first, second = found(
        "shot = 'a fox'\npicture = load()\nfor other in 'ab':\n    late = 'x'",
        "%%kling -o job\n{{shot}}",
        "shot = 'a bear'",
        "%%kling\n{{shot}}",
    )
    assert isinstance(first, CellWanted)
    assert first.names["shot"] == "a fox"
    assert {first.names[name] for name in ("picture", "other", "late", "kling")} == {UNCERTAIN}
    assert isinstance(second, CellWanted)
    assert second.names["shot"] == "a bear"
    assert second.names["job"] is UNCERTAIN
