"""The fixtures of the emulator's tests are in `tests.support.emulator_service`."""

from tests.support.emulator_service import *  # noqa: F403
