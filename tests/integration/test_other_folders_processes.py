"""Two kernels in two folders that ask for the same in the same moment: one of them pays."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from kling_nb.core.job_state import Stage
from kling_nb.storage.job_record import JobRecord
from kling_nb.storage.ledger import Ledger
from kling_nb.storage.user_index import UserIndex
from tests.support.processes import go_on, python, read_line
from tests.support.service import KEY, Served

BUYER = """
import sys

from kling_nb.errors import AlreadyPaid
from kling_nb.jobs.upload_inputs import InputUploader
from kling_nb.jobs.session import Session

deliver = InputUploader.deliver


async def upload(self, job, media):
    urls = await deliver(self, job, media)
    print("uploaded", flush=True)
    sys.stdin.readline()
    return urls


InputUploader.deliver = upload
session = Session()
try:
    session.image_to_video("fox.png", "A red fox")
    print("paid", flush=True)
except AlreadyPaid as error:
    print("refused:", error, flush=True)
session.close()
"""
"""Asks for a clip; waits for a signal when its picture is uploaded, then says how it ended."""


def rows_in(folder: Path) -> list[JobRecord]:
    """The jobs of a folder."""
    ledger = Ledger(folder)
    rows = ledger.rows()
    ledger.close()
    return rows


def test_of_two_folders_at_once_one_pays(served: Served, tmp_path: Path, photo: bytes) -> None:
    """Both have uploaded before either sends; the error of the other names the paying folder."""
    (tmp_path / "fox.png").write_bytes(photo)
    before = served.account.count_tasks()
    folders = [tmp_path / "one", tmp_path / "two"]
    live = {"KLING_NB_MODE": "live", "KIE_API_KEY": KEY}
    with ExitStack() as stack:
        kernels = [
            stack.enter_context(python(BUYER, cwd=tmp_path, **served.environment(folder) | live))
            for folder in folders
        ]
        assert [read_line(kernel) for kernel in kernels] == ["uploaded", "uploaded"]
        go_on(*kernels)
        ends = [read_line(kernel) for kernel in kernels]
    assert served.account.count_tasks() - before == 1
    winner = ends.index("paid")
    assert ends[1 - winner].startswith("refused: The same request is being, or was just now, paid")
    assert f"in {folders[winner]}. Copy the clip here" in ends[1 - winner]
    [paid], [lost] = rows_in(folders[winner]), rows_in(folders[1 - winner])
    assert (lost.stage, lost.task_id, lost.sent_at) == (Stage.DISCARDED, "", None)
    assert paid.task_id
    known = UserIndex().find(paid.fingerprint)
    assert known.folder == folders[winner]
