"""Test `wire` for createTask: the id, the exception, and whether a task may exist.

`MEANINGS` is the table of the answers that decide about money: a refusal may be sent again by
hand, an unknown must never be sent again by itself.
"""

from __future__ import annotations

import json

import pytest

from kling_nb import errors
from kling_nb.core.charge_evidence import ANSWER_LIMIT
from kling_nb.errors import Problem, ServiceError
from kling_nb.kie import wire
from kling_nb.kie.wire import Answer
from kling_nb.models.catalog import CATALOGUE, IMAGE_TO_VIDEO
from kling_nb.models.spec import ModelSpec, review, validate
from tests.support.sample_files import answer, document, envelope
from tests.support.sample_requests import given_of

LIVE_ID = "56074f12319c68b246e5a03e05608f31"
VALUES = {"prompt": "A red fox", "image": "fox.png", "duration": "5", "sound": False}
FIELDS = review(IMAGE_TO_VIDEO, VALUES)

CREATE_ERRORS = {
    "create.code-400.json": errors.BadRequest,
    "create.code-401.json": errors.Unauthorized,
    "create.code-402.json": errors.InsufficientCredits,
    "create.code-404.json": errors.EndpointNotFound,
    "create.code-408.json": errors.ServerFault,
    "create.code-422.json": errors.BadRequest,
    "create.code-422-blank.json": errors.BadRequest,
    "create.code-429.json": errors.RateLimited,
    "create.code-433.json": errors.KeyLimitReached,
    "create.code-455.json": errors.Maintenance,
    "create.code-500.json": errors.ServerFault,
    "create.code-500-credits.json": errors.InsufficientCredits,
    "create.code-500-required.json": errors.BadRequest,
    "create.code-500-options.json": errors.BadRequest,
    "create.code-500-aspect-ratio.json": errors.BadRequest,
    "create.code-501.json": errors.ServerFault,
    "create.code-505.json": errors.ServerFault,
    "create.code-524.json": errors.ServerFault,
}
REFUSED, UNKNOWN = False, True
MEANINGS = [
    # HTTP 200: `code` decides
    *[
        (answer(name), UNKNOWN if kind is errors.ServerFault else REFUSED, name)
        for name, kind in CREATE_ERRORS.items()
    ],
    *[(envelope(code), REFUSED, f"200 code {code}") for code in (403, 409, 410, 418, 451, 499)],
    *[(envelope(code), UNKNOWN, f"200 code {code}") for code in (0, -1, 100, 302, 503, 504, 520)],
    (envelope(500, "Internal Error, Please try again later."), UNKNOWN, "200 code 500 internal"),
    (envelope(500, ""), UNKNOWN, "200 code 500 no text"),
    (envelope(501, "Credits insufficient"), UNKNOWN, "200 code 501 credits"),
    (envelope(200), UNKNOWN, "200 data null"),
    (Answer(200, b""), UNKNOWN, "200 empty"),
    (Answer(200, b"OK"), UNKNOWN, "200 no JSON"),
    (Answer(200, b"[]"), UNKNOWN, "200 list"),
    (Answer(200, b'{"msg":"success","data":{"taskId":"a"}}'), UNKNOWN, "200 no code"),
    (Answer(200, b'{"code":200,"msg":"success","data":{}}'), UNKNOWN, "200 no id"),
    (Answer(200, b'{"code":200,"data":{"taskId":"  "}}'), UNKNOWN, "200 blank id"),
    (Answer(200, b'{"code":200,"data":{"taskId":17}}'), UNKNOWN, "200 id no text"),
    (Answer(200, b'{"code":200,"msg":"success","da'), UNKNOWN, "200 cut"),
    (answer("gateway.502.html"), UNKNOWN, "200 HTML"),
    # other HTTP statuses: these five speak for the service, with a body or without
    *[(envelope(s, "their words", s), REFUSED, f"{s} body") for s in (401, 402, 404, 422, 429)],
    *[(Answer(s, b""), REFUSED, f"{s} empty") for s in (401, 402, 404, 422, 429)],
    *[(answer("gateway.502.html", s), REFUSED, f"{s} HTML") for s in (401, 402, 404, 422, 429)],
    # everything else may be a gateway that gave up on a request which goes on behind it
    *[
        (Answer(s, b""), UNKNOWN, f"{s} empty")
        for s in (201, 204, 301, 302, 307, 400, 403, 405, 408, 409, 413, 433, 455)
    ],
    *[(Answer(s, b""), UNKNOWN, f"{s} empty") for s in (500, 501, 502, 503, 504, 505, 520, 524)],
    (answer("gateway.403.txt", 403), UNKNOWN, "403 Cloudflare"),
    (answer("gateway.502.html", 502), UNKNOWN, "502 HTML"),
    (envelope(422, "This field is required", 500), UNKNOWN, "500 with a refusing body"),
    (envelope(400, "bad input", 400), UNKNOWN, "400 body"),
    (envelope(403, "no", 403), UNKNOWN, "403 body"),
    (envelope(408, "late", 408), UNKNOWN, "408 body"),
    # what contradicts itself; `tests/integration/test_odd_answers.py` sends each over a socket
    (Answer(200, b'{"code":429,"data":{"taskId":"a"}}'), UNKNOWN, "429 with a task"),
    (Answer(422, b'{"msg":"no","recordId":"a"}'), UNKNOWN, "422 with a task and no code"),
    (Answer(429, b'{"code":429,"msg":"a","msg":"a"}'), UNKNOWN, "429 with a key twice"),
    (envelope(422, "no", 429), UNKNOWN, "429 with code 422"),
    (envelope(200, "success", 401), UNKNOWN, "401 with code 200"),
    (Answer(429, b'{"code":429'), UNKNOWN, "429 cut"),
    (Answer(200, b'{"code":429,"data":{"taskId":{"id":"a"}}}'), UNKNOWN, "429 with an object"),
    (Answer(200, b'{"code":429,"data":{"taskId":-5}}'), UNKNOWN, "429 with a negative id"),
    (Answer(200, b'{"code":429,"taskId":"%s"}' % (b"a" * 300)), UNKNOWN, "429 with a long id"),
    (Answer(429, rb'{"code":429,"data":"{\"taskIds\":[[7]]}"}'), UNKNOWN, "429 with a list"),
    (Answer(200, rb'{"code":422,"data":{"recordId":"a\\b"}}'), UNKNOWN, "422 with a backslash"),
    (Answer(200, b'{"code":429,"data":{"taskId":{},"recordId":[]}}'), REFUSED, "429 with nothing"),
    (Answer(200, b'{"code":429,"data":{"taskId":""}}'), REFUSED, "429 with a blank id"),
]


def refusal(given: Answer, fields: tuple[Problem, ...] = ()) -> ServiceError:
    """The exception that createTask's answer becomes."""
    with pytest.raises(ServiceError) as caught:
        wire.parse_created(given, fields)
    return caught.value


def test_a_callback_is_sent_with_capital_b_and_u() -> None:
    """The service reads `callBackUrl` (source: the specification), and only when it is wanted."""
    assert wire.create_body("m", {"a": 1}, "https://x/y") == {
        "model": "m",
        "callBackUrl": "https://x/y",
        "input": {"a": 1},
    }
    assert wire.create_body("m", {"a": 1}) == {"model": "m", "input": {"a": 1}}


@pytest.mark.parametrize(
    ("given", "task_id"),
    [
        (answer("create.documented.json"), "task_12345678"),
        (answer("create.documented-msg.json"), "task_12345678"),
        (answer("create.success.json"), LIVE_ID),
        (Answer(200, b'{"code":200,"data":{"recordId":"only"}}'), "only"),
    ],
    ids=["documented", "documented with msg", "live", "recordId alone"],
)
def test_an_accepted_task_has_its_id(given: Answer, task_id: str) -> None:
    """Live answers have the id twice; either is enough, so that no paid task is lost."""
    assert wire.parse_created(given) == task_id


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('{"taskId": "a", "recordId": "b"}', ("a", "b")),
        ('{"data": "{\\"taskId\\": \\"a\\"}"}', ("a",)),
        ('{"x": {"task_ids": ["a"]}, "RECORDID": 17}', ("a", "17")),
        ('{"taskId": "a", "taskId": "b"', ("a", "b")),
        ('{"taskId": "", "recordId": null, "task": "a", "id": "b", "mytaskId": "c"}', ()),
        ("<p>taskId = a-1</p> record_id: b_2, taskid=a-1", ("a-1", "b_2")),
        ('{"msg": "queued as taskId=a1"}', ("a1",)),
        ('{"msg": "queued as taskId=\\"a1\\""}', ("a1",)),
        ("{'taskId': 'a1', 'recordId': 'b2'}", ("a1", "b2")),
        ("Task ID: a1.b:2. Record id = c3", ("a1.b:2", "c3")),
        ("<taskId>a1</taskId>", ("a1",)),
        ("the task id is blank; taskId: ; mytaskId=c1", ()),
        ("task_id: is required; taskId: null, recordId=undefined", ()),
        ("taskId=" + "1" * 201, ()),
        ("taskId" + " " * 500_000, ()),
        ('"taskId":,' * 50_000, ()),
        ('"taskId' + "\\" * 500_000, ()),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_id_is_found_wherever_it_is_named(text: str, ids: tuple[str, ...]) -> None:
    """In any depth and form; a megabyte of nonsense names none, and is searched at once."""
    assert wire.named_ids(text) == ids


def test_a_long_answer_is_kept_with_its_ids() -> None:
    """What is cut off at the end is not the one thing that a person needs."""
    body = json.dumps({"code": 429, "noise": "x" * 9000, "taskId": LIVE_ID}).encode()
    kept = Answer(200, body).text
    assert len(kept) == ANSWER_LIMIT
    assert wire.named_ids(kept) == (LIVE_ID,)


@pytest.mark.parametrize(("name", "kind"), CREATE_ERRORS.items())
def test_every_documented_code_is_its_exception(name: str, kind: type[ServiceError]) -> None:
    """Each documented answer raises its class, with the service's text and the class's advice."""
    error = refusal(answer(name), () if kind is errors.BadRequest else FIELDS)
    assert type(error) is kind
    assert error.code == document(name)["code"]
    assert error.message == document(name)["msg"]
    assert repr(error.message) in str(error)
    assert str(error).endswith(f" {error.advice}")
    assert "duration: given" not in str(error)


@pytest.mark.parametrize(
    "name", [name for name, kind in CREATE_ERRORS.items() if kind is errors.BadRequest]
)
@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_a_refused_value_comes_with_what_the_model_allows(name: str, spec: ModelSpec) -> None:
    """The service's sentence has no rule in it; ours names every field with what it allows."""
    given = validate(spec, given_of(spec))
    fields = review(spec, given)
    text = str(refusal(answer(name), fields))
    assert "Nothing was charged." in text
    assert [field.field for field in fields] == [p.name for p in spec.parameters if p.name in given]
    for field in fields:
        assert f"{field.field}: {field.given}; {field.allowed}" in text


@pytest.mark.parametrize(
    ("given", "may_exist"), [case[:2] for case in MEANINGS], ids=[case[2] for case in MEANINGS]
)
def test_what_an_answer_means_for_the_money(given: Answer, may_exist: bool) -> None:
    """Refused only if the service certainly refused; no unknown task is said to be free."""
    assert wire.create_may_exist(given, refusal(given)) is may_exist
    if may_exist:
        assert "Nothing was charged" not in str(refusal(given, FIELDS))


def test_code_and_message_are_read_leniently() -> None:
    """`message` is the older spelling (source: D); a code may be text; long texts are cut."""
    body = json.dumps({"code": "401", "message": "old words"}).encode()
    error = refusal(Answer(200, body))
    assert (error.code, error.message) == (401, "old words")
    assert len(refusal(envelope(455, "x" * 9000)).message) == 500
