"""The raw provider samples in `tests/samples/`, read as the service would send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kling_nb.kie.wire import Answer

__all__ = ["SAMPLES", "answer", "document", "envelope", "sample", "sample_names"]

SAMPLES = Path(__file__).parents[1] / "samples"


def sample_names() -> list[str]:
    """Every sample's file name, sorted; the table of sources is none of them."""
    files = (path for path in SAMPLES.iterdir() if path.is_file())
    return sorted(path.name for path in files if path.name != "README.md")


def sample(name: str) -> bytes:
    """A sample as it stands."""
    return (SAMPLES / name).read_bytes()


def document(name: str) -> Any:
    """A sample that is JSON, parsed."""
    return json.loads(sample(name))


def answer(name: str, status: int = 200) -> Answer:
    """A sample as the body of an HTTP answer; the service's own status is nearly always 200."""
    return Answer(status, sample(name))


def envelope(code: int, message: str = "", status: int = 200) -> Answer:
    """An envelope that no sample has, for the corners of a table."""
    return Answer(status, json.dumps({"code": code, "msg": message, "data": None}).encode())
