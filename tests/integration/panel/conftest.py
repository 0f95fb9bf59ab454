"""Fixtures of the panel, and files for its fields."""

from tests.support.panel_fixtures import (  # noqa: F401
    beside,
    dance,
    fox,
    invented,
    long_dance,
    make,
    speech,
)
