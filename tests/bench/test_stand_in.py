"""The stand-in server answers like the real services."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.stand_in import serve_stand_in

CREATE = "/api/v1/jobs/createTask"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file to download."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(CONTENT)
    return path


def test_a_range_is_sent_if_the_file_is_the_same(clip: Path) -> None:
    """A range request for a changed file, or a request without a range, gets the whole file."""
    with serve_stand_in("--clip", clip) as service, httpx.Client(base_url=service.url) as http:
        whole = http.get("/clips/1.mp4")
        ranged = {"Range": "bytes=1000-", "If-Range": whole.headers["etag"]}
        rest = http.get("/clips/1.mp4", headers=ranged)
        other = http.get("/clips/1.mp4", headers=ranged | {"If-Range": '"other"'})
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert (other.status_code, other.content) == (200, CONTENT)


def test_the_first_transfer_is_cut(clip: Path) -> None:
    """The first transfer is cut; the next one is complete."""
    with serve_stand_in("--clip", clip, "--cut", 999) as service:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{service.url}/clips/1.mp4")
        assert httpx.get(f"{service.url}/clips/1.mp4").content == CONTENT
        sizes = [each["size_bytes"] for each in service.report()["transfers"]]
    assert sizes == [999, len(CONTENT)]


def test_more_requests_than_allowed_are_refused() -> None:
    """The answer is 429, with the whole seconds until the next request is allowed."""
    with serve_stand_in("--limit", 2, 60) as service, httpx.Client(base_url=service.url) as http:
        answers = [http.post(CREATE, json={}) for _ in range(3)]
        refusals = service.report()["refusals"]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert refusals[0]["in_flight"] == 1


def test_a_task_ends_after_its_duration() -> None:
    """The report has the end time and the number of status requests."""
    with serve_stand_in("--fail") as service, httpx.Client(base_url=service.url) as http:
        task_id = http.post(CREATE, json={}).json()["data"]["taskId"]
        record = http.get("/api/v1/jobs/recordInfo", params={"taskId": task_id}).json()
        task = service.report()["tasks"][task_id]
    assert record["data"]["state"] == "fail"
    assert (task["polls"], task["noticed_at"] >= task["ends_at"]) == (1, True)
