import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.http.failures import HttpFailure, HttpReply, Server, read_json, status_failure

SERVER = Server("http://host/v1", key="sk-hidden")


def failure(status: int, body: object = "", **headers: str) -> HttpFailure:
    text = body if isinstance(body, str) else json.dumps(body)
    return status_failure(HttpReply(status, headers, text.encode()), SERVER)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_passes(status: int) -> None:
    assert failure(status).passes
    assert not failure(status).fatal


@pytest.mark.parametrize("status", [400, 413, 422, 501])
def test_a_refused_request_ends_its_call_alone(status: int) -> None:
    assert not failure(status).passes
    assert not failure(status).fatal


@pytest.mark.parametrize("status", [301, 308, 401, 402, 403, 404, 405])
def test_what_no_request_survives_is_fatal(status: int) -> None:
    assert failure(status).fatal


def test_an_exhausted_quota_is_not_waited_for() -> None:
    assert failure(429, {"error": {"message": "pay", "code": "insufficient_quota"}}).fatal


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too long"}},
        {"error": "too long"},
        {"message": "too long"},
        {"detail": "too long"},
        "too long",
    ],
)
def test_the_servers_own_words_are_quoted(body: object) -> None:
    assert str(failure(400, body)) == "the server at http://host/v1 refused the request (400): too long"


def test_a_missing_key_is_asked_for_and_a_wrong_one_named_as_such() -> None:
    keyless = status_failure(HttpReply(401, {}, b""), Server("http://host/v1"))
    assert str(keyless) == "the server at http://host/v1 asks for an API key: set TPO_API_KEY"
    assert str(failure(401)) == "the server at http://host/v1 refused the API key: set TPO_API_KEY"


@settings(deadline=None, max_examples=50)
@given(status=st.integers(300, 599), before=st.text(max_size=600), after=st.text(max_size=600))
def test_no_failure_shows_the_key_or_a_control_character(status: int, before: str, after: str) -> None:
    reason = str(failure(status, {"error": {"message": f"{before}sk-hidden{after}"}}))
    assert "sk-hidden" not in reason
    assert reason.isprintable()


def test_a_key_at_the_edge_of_what_is_kept_is_not_cut_into_a_leak() -> None:
    assert "sk-" not in str(failure(400, "x" * 495 + "sk-hidden"))


def test_the_key_is_in_no_representation() -> None:
    assert "sk-hidden" not in repr(SERVER)


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    assert failure(429, **{"Retry-After": "7"}).retry_after == 7
    assert failure(503, **{"Retry-After": later}).retry_after == pytest.approx(100, abs=60)


@pytest.mark.parametrize("value", ["", "soon", "-3", "inf", "nan"])
def test_a_retry_after_without_sense_is_left_out(value: str) -> None:
    assert failure(429, **{"Retry-After": value}).retry_after is None


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_a_body_that_is_no_json_is_a_failure_that_passes(body: bytes) -> None:
    with pytest.raises(HttpFailure, match="no JSON") as caught:
        read_json(HttpReply(200, {}, b"<" + body), SERVER)
    assert caught.value.passes
    assert str(caught.value).isprintable()


def test_an_error_inside_a_success_is_one() -> None:
    body = json.dumps({"error": {"code": 429, "message": "slow down"}}).encode()
    with pytest.raises(HttpFailure, match="slow down") as caught:
        read_json(HttpReply(200, {}, body), SERVER)
    assert caught.value.passes
    assert caught.value.status == 429
