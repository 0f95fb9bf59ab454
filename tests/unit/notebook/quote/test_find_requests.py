"""Finding the requests of a notebook without running it."""

from __future__ import annotations

import pytest

from kling_nb.notebook.quote.find_requests import (
    UNCERTAIN,
    CallRequest,
    CellRequest,
    UnpricedCall,
    find_requests,
)

IMPORTS = "import kling_nb as kling\nfrom kling_nb import text_to_video as make"

COMPUTED = "its arguments are not literals"
OTHER = "called on another object"
RENAMED = "its name may mean another function"
UNCALLED = "used without a call"


def found(*sources: str) -> list[CellRequest | CallRequest | UnpricedCall]:
    """Return the requests of these cells, after the imports."""
    return find_requests([IMPORTS, *sources])


def test_a_cell_is_read_as_it_is_run() -> None:
    """Comments above it are dropped, braces and quotes stay, empty cells have no number."""
    source = "# mine\n\n%%kling -i fox.png -d 10\nA \"fox\" {x} 100 %\nand 'more'\n"
    (request,) = found("", source)
    assert isinstance(request, CellRequest)
    assert (request.cell, request.line) == (2, "-i fox.png -d 10")
    assert request.body == "A \"fox\" {x} 100 %\nand 'more'\n"


def test_a_continued_line_is_read_whole() -> None:
    """The options of all its lines are read; the prompt comes after them."""
    (request,) = found("%%kling -i fox.png \\\n  -d 10 \\\n  -o fox\nrain")
    assert isinstance(request, CellRequest)
    assert (request.line, request.body.strip()) == ("-i fox.png -d 10 -o fox", "rain")


@pytest.mark.parametrize(
    "source",
    [
        "make('a')",
        "job = kling.text_to_video('a')",
        "job: kling.Job = make('a')",
        "jobs = [make('a'), 1]",
        "job, n = make('a'), 1",
        "clip = await make('a')",
        "clip = kling.text_to_video('a').result()",
        "display(make('a').result())",
        "from kling_nb import *\ntext_to_video('a')",
        "import kling_nb\nkling_nb.text_to_video('a')",
        "shot = 'a'\nmake(shot)",
        "shot = 'a'\nother = shot\nshot = other\nmake(other)",
    ],
)
def test_a_literal_call_at_the_top_level_is_a_request(source: str) -> None:
    """The imported name, the context that runs it once and literal variables do not matter."""
    assert found(source) == [CallRequest(2, "text_to_video", ("a",), {})]


def test_the_arguments_of_a_call_are_read() -> None:
    """By position and by name; a variable may come from an earlier cell."""
    first, second = found(
        "shot = 'a fox'",
        "job = kling.image_to_video('fox.png', shot, duration=5, sound=True)",
        "kling.generate('kling-3.0/video', shots=[{'prompt': 'b', 'duration': 2}])",
    )
    values = {"duration": 5, "sound": True}
    assert first == CallRequest(3, "image_to_video", ("fox.png", "a fox"), values)
    shots = [{"prompt": "b", "duration": 2}]
    assert second == CallRequest(4, "generate", ("kling-3.0/video",), {"shots": shots})


def test_a_cell_has_the_literal_variables_set_before_it() -> None:
    """A variable set in a loop, by a call or by `--output` is uncertain."""
    first, second = found(
        "shot = 'a fox'\nimage = load()\nfor other in 'ab':\n    late = 'x'",
        "%%kling -o job\n{{shot}}",
        "shot = 'a bear'\nnote: str",
        "%%kling\n{{shot}}",
    )
    assert isinstance(first, CellRequest)
    assert first.variables["shot"] == "a fox"
    assert {first.variables[name] for name in ("image", "other", "late", "kling")} == {UNCERTAIN}
    assert isinstance(second, CellRequest)
    assert second.variables["shot"] == "a bear"
    assert second.variables["job"] is UNCERTAIN


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("for shot in shots:\n    kling.text_to_video(shot)", "in a loop"),
        ("while True:\n    make('a')", "in a loop"),
        ("[make(shot) for shot in shots]", "in a loop"),
        ("jobs = {s: make(s) for s in shots}", "in a loop"),
        ("def go():\n    return make('a')", "in a function"),
        ("async def go():\n    await make('a')", "in a function"),
        ("go = lambda: make('a')", "in a function"),
        ("if cheap:\n    make('a')", "under a condition"),
        ("cheap and make('a')", "under a condition"),
        ("try:\n    make('a')\nexcept Exception:\n    pass", "under a condition"),
        ("with lock:\n    make('a')", "not at the top level of the cell"),
        ("for s in shots:\n    get_ipython().run_cell_magic('kling', '', 'a')", "in a loop"),
        ("make(f'a {fox}')", COMPUTED),
        ("make(unknown)", COMPUTED),
        ("make(*args)", COMPUTED),
        ("make('a', **{'duration': 5})", COMPUTED),
        ("shot = 'a'\nshot += 'b'\nmake(shot)", COMPUTED),
        ("list(map(make, shots))", UNCALLED),
        ("pool.submit(kling.generate, 'm', prompt='a')", UNCALLED),
        ("later(to=session.generate)", UNCALLED),
        ("now = make\nnow('a')", UNCALLED),
        ("getattr(kling, name)('a')", "called by a computed name"),
        ("getattr(session, 'generate')('m')", "called by a computed name"),
        # What may be ours: a session, a job, a panel, or another library.
        ("s = kling.Session()\ns.text_to_video('a')", OTHER),
        ("kling.Session().image_to_video('fox.png', 'a')", OTHER),
        ("s = kling.Session()\ns.submit(s.reserve(wish))", OTHER),
        ("s.submitting(wish).__enter__()", OTHER),
        ("form = kling.panel()\nform.generate()", OTHER),
        ("model.generate('a')", OTHER),
        ("found[0].text_to_video('a')", OTHER),
        ("job.another_take()", OTHER),
        ("kling = load()\nkling.generate('m')", OTHER),
        ("from shots import text_to_video\ntext_to_video('a')", RENAMED),
        ("from shots import *\nimage_to_video('fox.png', 'a')", RENAMED),
        ("def go():\n    make = other\nmake('a')", RENAMED),
        ("if live:\n    make = other\nmake('a')", RENAMED),
        # Text that is run: magics, `exec`, `run_cell`; and a cell with a syntax error.
        ("%time job = kling.text_to_video('a')", "inside %time"),
        ("%%time\n%%kling\na fox", "inside %%time"),
        ("%%capture out\nmake('a')", "inside %%capture"),
        ("%timeit -n 3 -r 1 make('a')", "inside %timeit"),
        ("%%timeit make('a')\npass", "inside %%timeit"),
        ("%%bash\npython -c 'from kling_nb import image_to_video as f; f()'", "inside %%bash"),
        ("for s in shots:\n    %time make('a')", "in a loop"),
        ("exec('make(\"a\")')", "inside exec"),
        ("eval('make(\"a\")')", "inside eval"),
        ("get_ipython().run_cell('%%kling\\na')", "inside run_cell"),
        ("exec(open('shots.py').read())", "its code is computed"),
        ("get_ipython().run_cell_magic('kling', line='', cell='a')", "its code is computed"),
        ("get_ipython().run_line_magic('time', text)", "its code is computed"),
        ("%run shots.py", "another file"),
        ("kling.text_to_video('a'", "it cannot be read as Python"),
    ],
)
def test_a_call_that_may_run_otherwise_is_not_priced(source: str, reason: str) -> None:
    """It is listed with its cell and the reason."""
    (request,) = found(source)
    assert isinstance(request, UnpricedCall)
    assert (request.cell, request.reason) == (2, reason)


def test_deeply_nested_code_is_not_priced() -> None:
    """Code that is too deep to be walked does not end the quote."""
    chain = "x = " + "+".join(["1"] * 3000)
    (request,) = found(f"{chain}\nmake('a')")
    assert isinstance(request, UnpricedCall)
    assert request.reason == "it cannot be read as Python"


def test_each_call_is_counted() -> None:
    """Several in a cell, also one on the result of another."""
    first, *others = found("make('a').another_take()\njob.another_take()\njob.another_take()")
    assert isinstance(first, UnpricedCall)
    assert others[0] == CallRequest(2, "text_to_video", ("a",), {})
    assert others[1:] == [UnpricedCall(2, "job.another_take()", OTHER)] * 2


@pytest.mark.parametrize(
    "source",
    [
        "print('kling')",
        "config.generate = True",
        "pool.submit(work)",
        "df.eval('a + b')",
        "app.exec(x)",
        "%pip install kling_nb",
        "%load_ext kling_nb",
        "%matplotlib inline",
        "%kling pack kling film.ipynb",
        "%kling quote",
        "%timeit kling.balance()",
        "!ls kling_clips",
        "kling.generate?",
        "kling.panel()",
        "%%html\n<b>kling</b>",
        "%%writefile kling.txt\nkling.text_to_video('a')",
        "%%bash\npython -m kling_nb jobs",
        "job.result()",
        "with open('x') as file:\n    text = file.read()",
    ],
)
def test_code_that_cannot_submit_is_not_listed(source: str) -> None:
    """Other commands, other libraries, text that is not run."""
    assert found(source) == []
