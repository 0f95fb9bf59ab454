"""Fixtures of the emulator: in process and served, and a clock that tests move."""

from tests.support.emulator_service import (  # noqa: F401
    clock,
    local,
    photo,
    receiver,
    served,
    service,
    start,
)
