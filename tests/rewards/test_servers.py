"""Clients of reward servers and the errors that their failures become."""

from __future__ import annotations

import pytest

from tpo.errors import RewardError, RewardRefused, RewardUnavailable
from tpo.http import HttpFailure
from tpo.rewards.servers import reward_clients, reward_error
from tpo.types import Scope

SCOPE = Scope("q7", 1, "reward", 2)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (HttpFailure("no key", fatal=True), RewardRefused),
        (HttpFailure("busy", passes=True), RewardUnavailable),
        (HttpFailure("gone", unreachable=True), RewardUnavailable),
        (HttpFailure("too long"), RewardError),
    ],
)
def test_a_failure_becomes_the_error_of_its_kind(failure: HttpFailure, kind: type[RewardError]) -> None:
    assert type(reward_error(failure, SCOPE)) is kind


def test_an_error_names_its_response_unless_it_concerns_all() -> None:
    assert str(reward_error(HttpFailure("too long"), SCOPE)) == "query 'q7', response 1.2: too long"
    assert str(reward_error(HttpFailure("too long"), name="judge")) == "judge: too long"
    assert str(reward_error(HttpFailure("no key", fatal=True), SCOPE, "judge")) == "judge: no key"


async def test_one_url_or_several_give_a_client_each() -> None:
    assert [each.address for each in reward_clients("http://127.0.0.1:1/v1", None)] == [
        "http://127.0.0.1:1/v1"
    ]
    several = reward_clients(["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"], "key", most=3)
    assert [each.address for each in several] == ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
