"""IPython in a terminal: text, and only when something has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.kernels import PATIENCE_S, environment
from tests.support.service import Served

pytestmark = pytest.mark.kernel

TYPED = """%load_ext kling_nb
%%kling -i fox.png --wait
a fox in a terminal


%%kling -i fox.png -n
a dry run


%kling jobs
"""


def test_a_job_is_told_in_text(folder: Path, service: Served) -> None:
    """Each state once, without markup, and the file's name at the end."""
    told = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input=TYPED,
        capture_output=True,
        cwd=folder,
        env=environment(folder.parent, **service.environment()),
        text=True,
        timeout=PATIENCE_S,
        check=True,
    ).stdout
    (clip,) = (folder / "kling_clips").glob("*.mp4")
    heads = [
        line.split(" · ")[0].split(": ")[-1] for line in told.splitlines() if "EMULATED" in line
    ]
    assert heads[0] == "Preparing"
    assert heads[-1] == "Saved"
    assert len(set(heads)) == len(heads)
    assert f"The clip is saved: {clip.name}" in told
    assert "Nothing was sent." in told
    assert "a fox in a terminal" in told.partition("Dry run")[2]
    assert "<" not in told
    assert "Traceback" not in told


SCRIPT = """%load_ext kling_nb
get_ipython().run_cell_magic("kling", "-o job", "rain to snow")
print(job.result(60))
%kling jobs
"""


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii"])
def test_output_that_is_not_utf8(folder: Path, service: Served, encoding: str) -> None:
    """A log on Windows: the clip is made, and no character ends a cell."""
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input=SCRIPT.encode(),
        capture_output=True,
        cwd=folder,
        env=environment(folder.parent, **service.environment(), PYTHONIOENCODING=encoding),
        timeout=PATIENCE_S,
        check=True,
    )
    told = done.stdout.decode(encoding)
    (clip,) = (folder / "kling_clips").glob("*.mp4")
    assert f"The clip is saved: {clip.name}" in told
    assert f"<Clip {clip.name}" in told
    assert "UnicodeEncodeError" not in told + done.stderr.decode(encoding)
