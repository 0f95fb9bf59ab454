"""How free a kernel is while clips are made."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.kernel.kernels import Kernel, environment, open_kernel
from tests.support.service import serve

from .free_kernel import answer_s

pytestmark = pytest.mark.kernel

JOBS = 50
CELLS = 200
MOST = 2.0

SETUP = "import kling_nb as kling; jobs = []"
# In cells of their own, since the service takes twenty new tasks in ten seconds.
START = [
    f"""
for n in range({first}, {first + 10}):
    jobs.append(kling.image_to_video("fox.png", f"Scene {{n}}"))
    display(jobs[-1])
"""
    for first in range(0, JOBS, 10)
]
RUNNING = "print(sum(not job.done() for job in jobs))"
STOP = "for job in jobs: job.detach()"


@pytest.fixture
def kernel(nobodys_machine: None, tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with an image beside it; its tasks take longer than the measurement."""
    folder = tmp_path / "home" / "work"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 36), "firebrick").save(folder / "fox.png")
    with (
        serve(tmp_path / "service", seconds=120) as service,
        open_kernel(folder, environment(folder.parent, **service.environment())) as kernel,
    ):
        yield kernel


def test_fifty_running_jobs_leave_the_kernel_free(kernel: Kernel) -> None:
    """A trivial cell is answered within twice its time with no jobs (medians of 200)."""
    answer_s(kernel)
    alone_s = statistics.median(answer_s(kernel) for _ in range(CELLS))
    kernel.run(SETUP)
    for cell in START:
        kernel.run(cell)
    busy_s = statistics.median(answer_s(kernel) for _ in range(CELLS))
    running = kernel.run(RUNNING)[0].text
    kernel.run(STOP)
    assert running.strip() == str(JOBS)
    print(f"a trivial cell: {1000 * alone_s:.2f} ms alone, {1000 * busy_s:.2f} ms with {JOBS} jobs")
    assert busy_s <= MOST * alone_s
