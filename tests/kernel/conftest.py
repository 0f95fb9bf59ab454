"""Kernels for the tests of a file, and one served emulator for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from tests.kernel.kernels import Kernel, environment, open_kernel
from tests.support.service import Served, serve


@pytest.fixture(scope="session")
def service(nobodys_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An emulator that makes a clip in 1.5 seconds; count differences."""
    with serve(tmp_path_factory.mktemp("service"), seconds=1.5) as service:
        yield service


@pytest.fixture(autouse=True)
def no_faults_left(service: Served) -> Iterator[None]:
    """No fault of one test waits for the next."""
    yield
    service.account.clear_faults()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with an image in it."""
    return make_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def start(
    service: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Kernel]]:
    """Start kernels that end with the tests of a file; one in a folder goes on where it was."""
    with ExitStack() as open_kernels:

        def begin(folder: Path | None = None, **settings: object) -> Kernel:
            folder = folder or make_folder(tmp_path_factory)
            env = environment(folder.parent, **(service.environment() | settings))
            return open_kernels.enter_context(open_kernel(folder, env))

        yield begin


@pytest.fixture(scope="module")
def kernel(start: Callable[..., Kernel]) -> Kernel:
    """One kernel for the tests of a file."""
    return start()


def make_folder(factory: pytest.TempPathFactory) -> Path:
    """Make a working folder with an image in it, in a home of its own."""
    folder = factory.mktemp("home") / "work"
    folder.mkdir()
    Image.new("RGB", (64, 36), "firebrick").save(folder / "fox.png")
    return folder
