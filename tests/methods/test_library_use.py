"""Optimizer in other people's programs: construction, per-call values, closing, pickling, sharing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp import web

from tests.openai_server import OpenAIServer
from tpo.errors import ConfigError, DataError
from tpo.events import Event, QueryStarted
from tpo.methods.catalog import build_method
from tpo.methods.named_models import load_policy, load_reward
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import TargetReward
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.registry import ModelKeywords, ModelOptions
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.types import Sampling, Trajectory


def optimizer(policy: Any = None, **options: Any) -> Optimizer:
    return Optimizer(policy or ScriptedPolicy(), ScriptedReward(), **options)


def draft(messages: list[dict[str, Any]], sampling: Sampling) -> str:
    return f"draft {sampling.seed}"


def length(messages: list[dict[str, Any]], response: str) -> float:
    return len(response)


def until_scored(made: Optimizer) -> Trajectory:
    """Return a trajectory of the shortest deadline in which this machine scores four responses."""
    for deadline in (0.05, 1.0, 30.0):
        trajectory = made.run("Hi.", deadline=deadline)
        if len(trajectory.pool) >= 4:
            break
    return trajectory


@pytest.fixture
def lasting_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """No idle connection closes by itself, so that they can be counted."""
    monkeypatch.setattr("tpo.http.session.REUSE_SECONDS", 3600.0)


class TestConstruction:
    def test_names_make_policy_reward_and_method(self) -> None:
        with OpenAIServer() as server:
            made = Optimizer(server.url, f"judge:{server.url}", "bon", sample_size=3)
            assert isinstance(made.policy, OpenAIPolicy)
            assert (made.method.name, made.method.sample_size) == ("bon", 3)
            made = Optimizer([server.url], length, sample_size=4, max_iterations=1)
            assert (made.method.name, made.method.sample_size) == ("tpo", 4)
            trajectory = made.run("Hi.")
            made.close()
        assert len(trajectory.pool) == 8

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"recipe": "bon"}, "Optimizer: recipe: it is called method"),
            ({"sample_sise": 3}, "Optimizer: sample_sise: no such option; did you mean sample_size?"),
            ({"sample_size": 0}, "^sample_size is 0; it must be at least 1"),
            ({"method": "best"}, "^method best: "),
            ({"method": 3}, "method must be a name or a tpo.Method, not 3"),
            ({"method": build_method("bon"), "top_p": 0.5}, "top_p: the method is a value"),
            ({"sample_size": "3"}, "^sample_size is '3'; it must be an integer"),
            ({"sample_size": 2.5}, "^sample_size is 2.5; it must be an integer"),
            ({"temperature": "hot"}, "^temperature is 'hot'; it must be a number"),
            ({"seed": "x"}, "^seed must be an int, not 'x'"),
            ({"listener": "x"}, "^listener must be a function of an event, not 'x'"),
            ({"stopping": TargetReward(1.0)}, "^stopping must be a list of stopping rules, not TargetReward"),
            ({"stopping": ["plateau"]}, "^stopping must be a list of stopping rules"),
            ({"fallback": "best-of-n"}, "^fallback must be an object with a finish method, not 'best-of-n'"),
            ({"selection": "lcb"}, "^selection must be an object with a select method, not 'lcb'"),
        ],
    )
    def test_a_wrong_option_is_a_config_error_in_pythons_words(
        self, options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ConfigError, match=said):
            optimizer(**options)

    @pytest.mark.parametrize(
        ("policy", "reward", "said"),
        [
            ("gpt", length, "^policy gpt: unknown"),
            (draft, "gpt", "^reward gpt: unknown"),
            (None, length, "policy is None"),
            (draft, None, "reward is None"),
            ([], length, r"policy is \[\]"),
        ],
    )
    def test_a_wrong_model_is_a_config_error(self, policy: Any, reward: Any, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            Optimizer(policy, reward)

    @pytest.mark.parametrize("load", [load_policy, load_reward])
    def test_a_misspelt_keyword_of_a_loader_is_a_config_error(self, load: Any) -> None:
        with pytest.raises(ConfigError, match=r"option modell: no such option; did you mean model\?"):
            load("tiny", modell="x")

    @pytest.mark.parametrize(
        ("load", "name", "said"),
        [
            (load_policy, "gpt", "^policy gpt: unknown"),
            (load_reward, "gpt", "^reward gpt: unknown"),
            (load_policy, None, "^policy must be a name or a list of names, not None"),
            (load_policy, [], "^policy must be a name or a list of names"),
            (load_reward, ["tiny", 3], "^reward must be a name or a list of names"),
        ],
    )
    def test_a_wrong_name_is_a_config_error_in_pythons_words(self, load: Any, name: Any, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            load(name)

    def test_the_keywords_of_the_loaders_are_the_options_of_models(self) -> None:
        assert set(ModelKeywords.__annotations__) == set(ModelOptions.__dataclass_fields__)

    def test_its_representation_is_short(self) -> None:
        shown = repr(Optimizer(draft, length, "bon", sample_size=3))
        assert shown == "Optimizer(draft, length, bon, sample_size=3, max_iterations=0)"


class TestValuesOfOneCall:
    def test_queries_have_ids_of_their_own_so_that_servers_share_them(self) -> None:
        with OpenAIServer() as first, OpenAIServer() as second:
            made = Optimizer((first.url, second.url), length, "bon", sample_size=4)
            found = list(made.map(f"question {number}" for number in range(60)))
            made.close()
            assert len({trajectory.query.id for trajectory in found}) == 60
            # Which ones depends on the servers' ports.
            assert min(len(first.requests), len(second.requests)) >= 4

    def test_an_id_and_a_seed_are_those_of_the_call(self) -> None:
        policy = ScriptedPolicy()
        made = optimizer(policy, seed=1)
        made.run("Hi.", id="mine")
        made.run("Hi.", id="mine", seed=1)
        made.run("Hi.", id="mine", seed=2)
        made.run("Hi.")
        assert [call.scope.query for call in policy.calls].count("mine") == 3 * 7
        first, same, other, content = (policy.calls[7 * at].sampling.seed for at in range(4))
        assert first == same
        assert len({first, other, content}) == 3

    def test_a_listener_of_the_call_hears_its_query_alone(self) -> None:
        every: list[Event] = []
        one: list[Event] = []
        made = optimizer(listener=every.append)
        made.run("Hi.", listener=one.append)
        made.run("Hello.")
        assert sum(isinstance(event, QueryStarted) for event in one) == 1
        assert sum(isinstance(event, QueryStarted) for event in every) == 2

    def test_a_deadline_gives_the_best_so_far(self) -> None:
        """The fourth response is scored at once, and the fifth never comes."""

        async def hang(call: PolicyCall, index: int) -> None:
            if index == 4:
                await asyncio.Event().wait()

        trajectory = until_scored(optimizer(ScriptedPolicy(before=hang)))
        assert (trajectory.status, trajectory.stop_reason) == ("finished", "deadline")
        assert len(trajectory.pool) == 4
        assert trajectory.answer

    def test_a_deadline_while_scores_are_awaited_gives_the_scored_ones(self) -> None:
        async def hang(call: RewardCall) -> None:
            if call.scope.index == 2:
                await asyncio.Event().wait()

        trajectory = until_scored(Optimizer(ScriptedPolicy(), ScriptedReward(before=hang)))
        assert (trajectory.status, len(trajectory.pool)) == ("finished", 4)

    @pytest.mark.parametrize(
        "options",
        [{"deadline": 0}, {"seed": "x"}, {"deadline": -1.0}, {"deadline": "3"}, {"listener": "x"}],
        ids=lambda given: str(given),
    )
    def test_a_wrong_value_is_refused_before_anything_is_sampled(self, options: dict[str, Any]) -> None:
        policy = ScriptedPolicy()
        with pytest.raises(ConfigError, match=next(iter(options))):
            optimizer(policy).run("Hi.", **options)
        assert policy.calls == []

    @pytest.mark.parametrize(
        "query", [None, b"Hi.", {"role": "user", "content": "Hi."}, [{"content": "Hi."}]]
    )
    def test_what_is_no_query_is_refused_before_anything_is_sampled(self, query: Any) -> None:
        policy = ScriptedPolicy()
        with pytest.raises(DataError):
            optimizer(policy).run(query)
        assert policy.calls == []


class Closable(ScriptedPolicy):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


class TestClosing:
    def test_models_that_the_caller_brought_stay_open(self) -> None:
        policy = Closable()
        with optimizer(policy) as made:
            made.run("Hi.")
        assert policy.closed == 0

    async def test_a_closed_optimizer_is_refused(self) -> None:
        async with optimizer() as made:
            await made.optimize("Hi.")
        with pytest.raises(ConfigError, match="this Optimizer is closed"):
            await made.optimize("Hi.")

    @pytest.mark.usefixtures("lasting_connections")
    async def test_closing_closes_connections_of_both_loops(self) -> None:
        raw = RawServer()
        async with await asyncio.start_server(raw.handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with Optimizer(f"http://127.0.0.1:{port}/v1", length, "bon", sample_size=1) as made:
                await made.optimize("Hi.")
                await asyncio.to_thread(made.run, "Hello.")
                assert raw.closed == 0
            await asyncio.wait_for(raw.ended.wait(), 60)


class CountingServer(OpenAIServer):
    """Records the clients' ends of its connections."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: set[Any] = set()

    async def _complete(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        return await super()._complete(request)


class RawServer:
    """Answers every request alike, and sets ``ended`` when the client has closed two connections."""

    def __init__(self) -> None:
        self.closed = 0
        self.ended = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        body = json.dumps({"data": [{"id": "m"}], "choices": [choice], "usage": {}}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = re.search(r"content-length: (\d+)", asked)
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(head.encode() + body)
        writer.close()
        self.closed += 1
        if self.closed == 2:
            self.ended.set()


@pytest.mark.usefixtures("lasting_connections")
class TestSharing:
    def test_threads_share_connections_and_the_limit(self) -> None:
        with CountingServer() as server:
            made = Optimizer(load_policy(server.url, concurrency=2), length, "bon", sample_size=1)
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(made.run, [f"question {number}" for number in range(48)]))
            assert len(server.connections) <= 2

    def test_what_a_client_learned_is_there_in_the_next_call(self) -> None:
        with CountingServer() as server:
            made = Optimizer(server.url, length, "bon", sample_size=1)
            for number in range(5):
                made.run(f"question {number}")
            made.close()
            assert len(server.connections) == 1

    def test_an_asynchronous_client_of_the_users_own_lives_on(self) -> None:
        """One that is bound to the loop of its first use, as connection pools are."""
        lock = asyncio.Lock()
        loops = set()

        async def policy(messages: list[dict[str, Any]], sampling: Sampling) -> str:
            loops.add(asyncio.get_running_loop())
            async with lock:
                await asyncio.sleep(0)
            return "draft"

        made = Optimizer(policy, length, "bon")
        assert made.run("Hi.").raise_for_status().answer == made.run("Hello.").raise_for_status().answer
        assert len(loops) == 1


class TestPickling:
    def test_functions_and_names_come_back(self) -> None:
        made = Optimizer(draft, length, "bon", seed=3, sample_size=2)
        again = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
        assert again.run("Hi.").pool == made.run("Hi.").pool

    def test_a_servers_key_is_not_in_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TPO_API_KEY", "a-secret-key")
        made = Optimizer("http://127.0.0.1:9/v1", length)
        sent = pickle.dumps(made)
        assert b"a-secret-key" not in sent
        assert isinstance(pickle.loads(sent).policy, OpenAIPolicy)  # noqa: S301 - our own bytes

    def test_functions_are_left_to_the_pickler(self) -> None:
        """Joblib's takes a lambda; the error of the standard one names it."""
        made = Optimizer(lambda messages, sampling: "text", length)
        assert made.__getstate__()["_given"][1] is length
        with pytest.raises((pickle.PicklingError, AttributeError), match="<lambda>") as raised:
            pickle.dumps(made)
        assert "its given" not in str(raised.value)

    def test_what_cannot_be_sent_is_named(self) -> None:
        made = Optimizer(load_policy("http://127.0.0.1:9/v1"), length)
        with pytest.raises(pickle.PicklingError, match=r"cannot be pickled: its policy is .*Name the model"):
            pickle.dumps(made)
