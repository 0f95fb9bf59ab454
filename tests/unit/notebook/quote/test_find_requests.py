"""Reading what a notebook asks for, without running it."""

from __future__ import annotations

import pytest

from kling_nb.notebook.quote.find_requests import CallWanted, CellWanted, Unclear, take_inventory
from kling_nb.notebook.quote.read_code import UNCERTAIN

IMPORTS = "import kling_nb as kling\nfrom kling_nb import text_to_video as make"


OWN = "called on an object of the notebook's own"
SENT = "what it sends is only known when it runs"
MAYBE = "it may be this package's"


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


def test_a_line_that_goes_on_is_read_whole() -> None:
    """Its output and its options, wherever they stand; the prompt comes after it."""
    (wanted,) = found("%%kling -i fox.png \\\n  -d 10 \\\n  -o fox\nrain")
    assert isinstance(wanted, CellWanted)
    assert (wanted.line, wanted.body.strip()) == ("-i fox.png -d 10 -o fox", "rain")


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
        ("job.another_take()\njob.another_take()", "a new take each time it runs"),
        ("s = kling.Session(folder='x')\ns.text_to_video('a')", OWN),
        ("form = kling.panel()\nform.generate()", OWN),
        ("s = kling.Session()\ns.submit(s.prepare(wish))", SENT),
        ("with kling.default_session().submitting(wish) as job:\n    pass", SENT),
        ("make.delay('a')", "handed to other code"),
        ("form.hook = kling.generate", "handed to other code"),
        ("a, form.hook = 1, kling.generate", "handed to other code"),
        ("later = [make]", "handed to other code"),
        ("later(getattr(kling, 'generate'))", "handed to other code"),
        ("later(session.generate, 'm')", "handed to other code"),
        ("later(to=session.generate)", "handed to other code"),
        ("getattr(kling, name)('a')", "its name is computed"),
        ("for n in names:\n    getattr(kling, n)('a')", "in a loop, its name is computed"),
        ("model.generate('a')", MAYBE),
        ("model.generate('a')\nmodel.generate('a')", MAYBE),
        ("self.s.generate('m', prompt='a')", MAYBE),
        ("find().generate('m', prompt='a')", MAYBE),
        ("found[0].text_to_video('a')", MAYBE),
        ("s: kling.Session = find()\ns.image_to_video('fox.png', 'a')", MAYBE),
        ("s, n = find()\ns.text_to_video('a')", MAYBE),
        ("with find() as s:\n    s.text_to_video('a')", MAYBE),
        ("if live:\n    s = kling.Session()\ns.text_to_video('a')", MAYBE),
        ("def go():\n    make = other\nmake('a')", MAYBE),
        ("from shots import text_to_video\ntext_to_video('a')", MAYBE),
        ("for b in batches:\n    model.generate(b)", "in a loop, it may be this package's"),
        ("async def go():\n    await make('a')", "in a function"),
        ("%%timeit\nmake('a')\n# kling", "inside %%timeit"),
        ("%%bash\npython -m kling_nb", "inside %%bash"),
        ("%timeit kling.text_to_video('a')", "inside %timeit"),
        ("%timeit -n 3 -r 1 make('a')", "inside %timeit"),
        ("%%timeit make('a')\npass", "inside %%timeit"),
        ("%%prun\nmake('a')", "inside %%prun"),
        ("%%memray\n%%kling\na fox", "inside %%memray"),
        ("%memray make('a')", "inside %memray"),
        ("for s in shots:\n    %timeit make(s)", "in a loop, inside %timeit"),
        ("for s in shots:\n    %time make('a')", "in a loop"),
        ("def go():\n    %time make('a')", "in a function"),
        ("if cheap:\n    %time make('a')", "under a condition"),
        ("%time for s in shots: make('a')", "in a loop"),
        ("%%time\nfor s in shots:\n    make('a')", "in a loop"),
        ("%%capture\nif cheap:\n    make('a')", "under a condition"),
        ("for s in shots:\n    ip.run_cell_magic('time', '', 'make(\"a\")')", "in a loop"),
        ("for s in shots:\n    ip.run_cell_magic('time', '', '%%kling\\na')", "in a loop"),
        ("def go():\n    ip.run_cell_magic('capture', '', '%%kling\\na')", "in a function"),
        ("for s in shots:\n    ip.run_cell('%%kling\\na')", "in a loop"),
        ("for s in shots:\n    exec('make(\"a\")')", "in a loop"),
        ("ip.run_cell(text)", "its text is computed"),
        ("ip.run_cell_magic('time', '', text)", "its text is computed"),
        ("ip.run_line_magic('time', text)", "its text is computed"),
        (
            "for s in shots:\n    ip.run_cell_magic('kling', '', s)",
            "in a loop, its text is computed",
        ),
        ("exec(open('shots.py').read())", "its text is computed"),
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
        "model.generate",
        "if config.generate:\n    pass",
        "config.generate = True",
        "'text'.generate('a')",
        "pool.submit(work)",
        "def make(shot):\n    pass\nmake('a')",
        "async def make(shot):\n    pass\nmake('a')",
        "class make:\n    pass\nmake('a')",
        "df.eval('a + b')",
        "app.exec(x)",
        "%pip install kling_nb",
        "%kling pack kling film.ipynb",
        "kling.generate?",
        "%timeit kling.balance()",
        "get_ipython().run_line_magic('matplotlib', backend)",
        "get_ipython().run_cell_magic('html', '', text)",
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


@pytest.mark.parametrize(
    "source",
    [
        "kling.Session().text_to_video('a')",
        "kling.default_session().text_to_video('a')",
        "s = kling.Session()\ns.text_to_video('a')",
        "s: kling.Session = kling.Session()\ns.text_to_video('a')",
        "s, n = kling.Session(), 5\ns.text_to_video('a')",
        "s = t = kling.Session()\nt.text_to_video('a')",
        "(s := kling.Session()).text_to_video('a')",
        "print(s := kling.Session())\ns.text_to_video('a')",
        "(now := make)('a')",
        "now: object = make\nnow('a')",
        "getattr(kling, 'text_to_video')('a')",
        "now = getattr(kling, 'text_to_video')\nnow('a')",
        "job: kling.Job = make('a')",
        "print((job := make('a')))",
        "exec('make(\"a\")')",
        "get_ipython().run_cell('make(\"a\")')",
        "get_ipython().run_line_magic(magic_name='time', line='make(\"a\")')",
        "%time --no-raise-error make('a')",
    ],
)
def test_a_call_on_what_is_surely_ours_is_certain(source: str) -> None:
    """However it got its name."""
    assert found(source) == [CallWanted(2, "text_to_video", ("a",), {})]


def test_a_cell_may_be_run_by_hand() -> None:
    """With its arguments by name, and its text under one."""
    (wanted,) = found(
        "text = 'a fox'\nip.run_cell_magic('kling', line='-d 10', cell=text)",
    )
    assert isinstance(wanted, CellWanted)
    assert (wanted.line, wanted.body) == ("-d 10", "a fox")


def test_what_a_call_is_made_on_may_pay_itself() -> None:
    """Two requests in one expression."""
    first, second = found("make('a').another_take()")
    assert first == CallWanted(2, "text_to_video", ("a",), {})
    assert second == Unclear(2, "make('a').another_take()", "a new take each time it runs")


def test_names_swap_at_once() -> None:
    """What a name stands for is what it stood for before the line."""
    (wanted,) = found("a, b = 'x', 'y'\na, b = b, a\nmake(a)")
    assert wanted == CallWanted(2, "text_to_video", ("y",), {})


def test_what_is_run_who_knows_how_often_sets_no_name() -> None:
    """`%%timeit` has names of its own."""
    (wanted,) = found("shot = 'a'", "%%timeit\nshot = 'b'", "make(shot)")
    assert wanted == CallWanted(4, "text_to_video", ("a",), {})
