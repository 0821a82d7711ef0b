"""Values that all packages share: plain values and back, failures, representations, immutability."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from tpo.errors import DataError, PolicyError, RewardError, TpoError
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, FailureKind, Message, Query, Score, Trajectory, user

QUERY = Query("q7", (user("Say hello."),), reference="Hi.", metadata={"topic": {"a": [1]}}, position=3)


def optimized(policy: ScriptedPolicy | None = None) -> Trajectory:
    method = build_method("tpo", sample_size=2, max_iterations=1)
    return asyncio.run(Optimizer(policy or ScriptedPolicy(), ScriptedReward(), method).optimize(QUERY))


class TestPlainValues:
    def test_a_trajectory_comes_back_from_json_as_it_was(self) -> None:
        trajectory = optimized()
        again = Trajectory.from_dict(json.loads(json.dumps(trajectory.to_dict())))
        assert again == trajectory
        assert again.query.position == 3
        assert again.answer == trajectory.answer

    def test_a_failed_one_too_and_a_text_that_utf_8_cannot_hold(self) -> None:
        trajectory = optimized(ScriptedPolicy({"sample": "half \ud83d", "loss": PolicyError("gone")}))
        again = Trajectory.from_dict(json.loads(json.dumps(trajectory.to_dict())))
        assert again == trajectory
        assert again.answer == "half \ud83d"

    def test_what_json_has_no_form_for_becomes_its_text(self) -> None:
        trajectory = replace(optimized(), query=replace(QUERY, metadata={"day": date(2026, 1, 2)}))
        assert trajectory.to_dict()["query"]["metadata"] == {"day": "2026-01-02"}

    def test_the_plain_value_is_the_callers_own(self) -> None:
        trajectory = optimized()
        plain = trajectory.to_dict()
        plain["query"]["metadata"]["topic"]["a"].append(2)
        assert trajectory.query.metadata == {"topic": {"a": [1]}}

    @pytest.mark.parametrize("wrong", [{}, {"query": {"id": 1}}, [], None])
    def test_another_value_is_refused_with_the_place_of_the_fault(self, wrong: Any) -> None:
        with pytest.raises(DataError, match="no trajectory: "):
            Trajectory.from_dict(wrong)

    def test_values_stand_in_models_of_pydantic(self) -> None:
        class Reply(BaseModel):
            trajectory: Trajectory
            asked: list[Message]

        trajectory = optimized()
        reply = Reply(trajectory=trajectory, asked=[user("Hi.")])
        again = Reply.model_validate_json(reply.model_dump_json())
        assert again.trajectory == trajectory
        assert "trajectory" in Reply.model_json_schema()["properties"]

    def test_pydantic_keeps_further_keys_of_a_message(self) -> None:
        turn = {"role": "tool", "content": "4", "tool_call_id": "c1"}
        assert TypeAdapter(Message).validate_python(turn) == turn


class TestFailures:
    def test_a_finished_trajectory_has_no_exception_and_is_handed_on(self) -> None:
        trajectory = optimized()
        assert trajectory.exception is None
        assert trajectory.raise_for_status() is trajectory

    def test_a_failed_one_raises_what_it_failed_of(self) -> None:
        gone = PolicyError("query 'q7': gone")
        trajectory = optimized(ScriptedPolicy({"sample": gone}))
        assert trajectory.exception is gone
        with pytest.raises(PolicyError, match="gone") as caught:
            trajectory.raise_for_status()
        assert caught.value is gone

    def test_a_bug_is_the_cause_of_an_error_of_this_package(self) -> None:
        trajectory = optimized(ScriptedPolicy({"sample": KeyError("weights")}))
        assert isinstance(trajectory.exception, KeyError)
        with pytest.raises(TpoError, match="query 'q7': unexpected KeyError: 'weights'") as caught:
            trajectory.raise_for_status()
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize(
        ("failure", "kind"), [("server", PolicyError), ("reward", RewardError), ("data", DataError)]
    )
    def test_one_from_a_file_raises_the_kind_that_its_record_names(
        self, failure: FailureKind, kind: type[TpoError]
    ) -> None:
        trajectory = replace(optimized(), status="failed", error="query 'q7': gone", failure=failure)
        assert type(trajectory.exception) is kind
        with pytest.raises(kind, match=r"^query 'q7': gone$"):
            trajectory.raise_for_status()

    def test_the_exception_is_no_part_of_the_value(self) -> None:
        trajectory = optimized(ScriptedPolicy({"sample": PolicyError("gone")}))
        again = pickle.loads(pickle.dumps(trajectory))  # noqa: S301 - our own bytes
        assert again == trajectory
        assert str(again.exception) == "query 'q7': gone"


class TestRepresentations:
    def test_they_are_short(self) -> None:
        trajectory = optimized()
        long = replace(trajectory, query=replace(QUERY, messages=(user("word " * 1000),)))
        for value in (long, long.query, trajectory.first, trajectory.first.candidates[0], trajectory.steps):
            assert len(repr(value)) < 200

    def test_a_trajectory_shows_its_query_method_end_and_best_reward(self) -> None:
        trajectory = optimized()
        assert trajectory.best is not None
        shown = f"Trajectory('q7', tpo, 4 candidates, best {trajectory.best.reward:+.3f}, finished)"
        assert repr(trajectory) == shown
        failed = replace(trajectory, status="failed", error="gone")
        assert repr(failed).endswith(", failed: 'gone')")

    def test_a_query_and_a_candidate_show_id_and_the_start_of_their_text(self) -> None:
        assert repr(QUERY) == "Query('q7', 'Say hello.')"
        assert repr(Candidate(0, 1, "Hi.\n", Score(0.5))) == "Candidate('0.1', +0.500, 'Hi.\\n')"
        assert repr(Candidate(0, 1, "x" * 500, None)).startswith("Candidate('0.1', no score, 'xxx")


class TestImmutability:
    def test_metadata_and_messages_are_immutable_to_the_bottom(self) -> None:
        given: dict[str, Any] = {"topic": {"a": [1]}}
        query = Query("q7", ({"role": "user", "content": [{"type": "text", "text": "Hi."}]},), metadata=given)
        given["topic"]["a"].append(2)
        assert query.metadata == {"topic": {"a": [1]}}
        messages: Any = query.messages
        changes: list[Callable[[], object]] = [
            lambda: query.metadata["topic"]["a"].append(2),
            lambda: messages[0].update(role="system"),
            lambda: messages[0]["content"].append({}),
        ]
        for change in changes:
            with pytest.raises(TypeError, match="immutable"):
                change()
        assert len({query, replace(query)}) == 1

    def test_parts_of_a_score_and_usage_are_too(self) -> None:
        score = Score(1.0, parts={"a": 1.0}, criteria={"b": 2.0})
        mappings: list[Any] = [score.parts, score.criteria, optimized().usage]
        for mapping in mappings:
            with pytest.raises(TypeError, match="immutable"):
                mapping.update(x=1)
