"""Errors that clients see: status, type, and no address in the text."""

import pytest

from tests.http.test_outage import Run, gone
from tpo.errors import PolicyError, PolicyRefused, PromptTooLong, RewardError, RewardUnavailable
from tpo.http import HttpFailure
from tpo.serve.api_error import ApiError, invalid, model_failure


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error")]
)
def test_the_type_follows_the_status(status: int, kind: str) -> None:
    assert ApiError(status, "x").type == kind


def test_an_invalid_request_names_its_field() -> None:
    error = invalid("n is 0", "n", "out_of_range")
    assert (error.status, error.param, error.code, str(error)) == (400, "n", "out_of_range", "n is 0")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_the_models_server_refused_is_the_clients_fault(status: int) -> None:
    refused = caused(PolicyError("too long"), HttpFailure("too long", status=status))
    assert model_failure(refused, "too long", ()).status == 400


def test_a_model_that_is_away_is_an_outage_without_its_address() -> None:
    error = model_failure(PolicyError("x"), "no server answers at http://inner:1/v1", ("http://inner:1/v1",))
    assert (error.status, error.retry_after) == (503, 5)
    assert error.message.endswith("no server answers at (address)")


def test_of_a_refusal_of_every_request_the_client_learns_no_details() -> None:
    error = model_failure(PolicyRefused("key sk-1 is wrong"), "key sk-1 is wrong", ())
    assert (error.status, error.retry_after) == (503, 30)
    assert "sk-1" not in error.message


def test_a_server_that_asks_for_fewer_requests_is_no_outage() -> None:
    for failure in (
        caused(PolicyError("slow down"), HttpFailure("slow down", status=429, retry_after=2.5)),
        HttpFailure("slow down", status=429, retry_after=2.5),
    ):
        error = model_failure(failure, "slow down", ())
        assert (error.status, error.type, error.retry_after) == (429, "rate_limit_error", 3)
    unpaid = HttpFailure("asks for payment", status=429, fatal=True)
    assert model_failure(unpaid, "asks for payment", ()).status == 503


def test_an_outage_is_told_from_a_refusal_of_every_request() -> None:
    """It ends a run, and here the next request may meet a server that is back."""
    for status, expected in ((429, 429), (None, 503)):
        judged = HttpFailure("no server has answered for 9 s", passes=True, fatal=True, status=status)
        error = model_failure(caused(PolicyRefused("x"), judged), "no server has answered for 9 s", ())
        assert (error.status, error.retry_after) == (expected, 5)
        assert "refuses every request" not in error.message


def test_advice_for_the_user_of_a_command_does_not_reach_clients() -> None:
    run = Run(gone()).execute()
    judged = run.failures[0][1]
    assert "--retry-timeout" in judged.reason
    error = model_failure(judged, judged.reason, ())
    assert error.status == 503
    assert "no server has answered for" in error.message
    assert "again" not in error.message
    assert "--retry" not in error.message


def test_a_prompt_too_long_is_the_clients_fault_and_named_as_openai_names_it() -> None:
    error = model_failure(PromptTooLong("takes 9,000 tokens"), "takes 9,000 tokens", ())
    assert (error.status, error.param, error.code) == (400, "messages", "context_length_exceeded")
    assert error.retry_after is None


def test_a_rewards_refusal_is_no_fault_of_the_request() -> None:
    refused = caused(RewardError("too long"), HttpFailure("too long", status=400))
    assert model_failure(refused, "too long", ()).status == 503
    busy = caused(RewardUnavailable("busy"), HttpFailure("busy", status=429, passes=True, retry_after=7.0))
    assert (model_failure(busy, "busy", ()).status, model_failure(busy, "busy", ()).retry_after) == (429, 7)
