"""The emulator against the provider's own samples: same fields, same types, same words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.sample_files import document
from tests.support.sample_requests import EXAMPLES, FORMS


def shape(value: Any) -> Any:
    """A document with its values replaced by their kinds; null fits anything."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize("sample", [*EXAMPLES.values(), *FORMS])
def test_a_documented_request_is_accepted(service: Any, sample: str) -> None:
    """The answer has the fields of a live one, and both ids are 32 hex characters."""
    answer = service.post_task(document(sample)).json()
    assert shape(answer) == shape(document("create.success.json"))
    task_id = answer["data"]["taskId"]
    assert task_id == answer["data"]["recordId"]
    assert len(task_id) == 32
    assert set(task_id) <= set("0123456789abcdef")


def test_a_finished_record_has_the_live_fields(service: Any) -> None:
    """The same fields and kinds as a live success, with one URL in a JSON string."""
    data = service.make()
    live = document("record.success.json")["data"]
    assert {key: shape(data[key]) for key in live} == shape(live)
    assert shape(json.loads(data["resultJson"])) == shape(json.loads(live["resultJson"]))
