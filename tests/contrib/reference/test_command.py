"""The reference's command from its flags to its files, against a server on the loopback."""

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.contrib.reference.chat_server import ChatServer, by_role
from tpo.contrib.reference.arguments import parse
from tpo.contrib.reference.command import execute, optimize, run_plan
from tpo.contrib.reference.files import Files
from tpo.contrib.reference.remaining import read_work
from tpo.events import Event, Listener, QueryEnded
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import Summary
from tpo.runs.models import Models

NAME = (
    "data.json_model_model_mode_{mode}_rm_python:tests.contrib.reference.scores:length"
    "_max_iters2_sample_size3_seed7"
)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


class Command:
    """The command in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.data = folder / "data.json"
        self.data.write_text(json.dumps(["Why?", "How?"]))
        self.said = ""

    def __call__(self, flags: str = "", environment: Mapping[str, str] | None = None) -> int:
        """Run it with *flags* besides the usual ones; the exit code."""
        arguments = parse(
            f"--data_path {self.data} --output_path {self.folder}/results --ip 127.0.0.1 --port {self.port}"
            " --server_model server-org/model --reward_model python:tests.contrib.reference.scores:length"
            f" --sample_size 3 --max_iterations 2 {flags}".split()
        )
        said = io.StringIO()
        self.files = Files.of(arguments, self.folder / "logs")
        code = execute(arguments, self.files, Console(file=said, width=999), environment or {})
        self.said = said.getvalue()
        return code

    @property
    def results(self) -> list[dict[str, float]]:
        """The result file's objects."""
        loaded: list[dict[str, float]] = json.loads(self.files.result.read_text("utf-8"))
        return loaded

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The answers file's rows."""
        return [json.loads(line) for line in self.files.answers.read_text("utf-8").split("\n")[:-1]]

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The only log's queries."""
        (path,) = (self.folder / "logs").iterdir()
        loaded: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return loaded


@pytest.fixture
def command(tmp_path: Path, server: ChatServer) -> Command:
    return Command(tmp_path, server.port)


def keys(result: Mapping[str, float]) -> list[str]:
    return [key.split("<SEP>")[0] for key in result]


def test_the_result_file_has_the_references_name_and_shape(command: Command) -> None:
    assert command() == 0
    assert command.files.result == command.folder / "results" / f"{NAME.format(mode='tpo')}.json"
    assert len(command.results) == 2
    why, how = command.results
    assert keys(why) == ["INDEX-1"] * 3 + ["INDEX0"] * 3 + ["INDEX1"] * 3
    assert why["INDEX-1<SEP>Why?<SEP>reply 2 to Why?"] == pytest.approx(15 + 0.063)
    assert all(key.split("<SEP>")[1] == "How?" for key in how)


def test_requests_are_as_the_references_users_know_them(command: Command, server: ChatServer) -> None:
    assert command("--temperature 0.5 --max_tokens_response 99") == 0
    assert len(server.bodies) == 2 * (1 + 3 * 2)
    samples = [body for body in server.bodies if body["max_tokens"] == 99]
    assert {body["n"] for body in samples} == {3}
    assert {body["temperature"] for body in samples} == {0.5}
    assert [message["role"] for message in samples[0]["messages"]] == ["system", "user"]
    critiques = [body for body in server.bodies if body["max_tokens"] != 99]
    assert len(critiques) == 2 * 2 * 2
    assert {body["temperature"] for body in critiques} == {0.7}
    assert all(99 < body["max_tokens"] < 8192 for body in critiques)
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies)


def test_answers_are_written(command: Command) -> None:
    command()
    best = [max(result, key=lambda key: result[key]) for result in command.results]
    assert [row["prompt"] for row in command.answers] == ["Why?", "How?"]
    assert [key.split("<SEP>")[2] for key in best] == [row["response"] for row in command.answers]


def test_logs_hold_the_four_items_of_each_iteration(command: Command) -> None:
    command()
    assert [entry["query"] for entry in command.logs] == ["Why?", "How?"]
    for entry in command.logs:
        assert len(entry["iterations"]) == 2
        for iteration in entry["iterations"]:
            assert iteration["loss"]["input"]
            assert iteration["loss"]["output"]
            assert iteration["gradient_input"]
            assert iteration["gradient_output"]
            assert iteration["update_input"]


@pytest.mark.parametrize(("mode", "responses"), [("revision", 9), ("bon", 3)])
def test_the_other_modes_work(command: Command, server: ChatServer, mode: str, responses: int) -> None:
    assert command(f"--tpo_mode {mode}") == 0
    assert [len(result) for result in command.results] == [responses] * 2
    assert "rejected" not in json.dumps(server.bodies)
    assert command.files.result.name == f"{NAME.format(mode=mode)}.json"


def test_one_sample_is_a_whole_response(command: Command) -> None:
    assert command("--sample_size 1") == 0
    assert keys(command.results[0]) == ["INDEX-1", "INDEX0", "INDEX1"]
    assert "INDEX-1<SEP>Why?<SEP>reply 0 to Why?" in command.results[0]


def test_a_separator_in_query_and_response_breaks_nothing(command: Command, server: ChatServer) -> None:
    command.data.write_text(json.dumps(["a<SEP>b", "a"]))
    server.answer = lambda body, index: by_role(body, index) + "<SEP>"
    assert command() == 0
    assert [row["prompt"] for row in command.answers] == ["a<SEP>b", "a"]
    assert command() == 0
    assert len(command.results) == 2


def test_updates_that_vanish_are_counted(command: Command, server: ChatServer) -> None:
    server.answer = lambda body, index: f"no tags {index}"
    assert command() == 0
    assert [keys(result) for result in command.results] == [["INDEX-1"] * 3] * 2
    assert "12 updates held no response" in command.said
    assert [row["stop_reason"] for row in command.answers] == ["max_iterations"] * 2


def test_a_query_that_fails_loses_nothing_and_is_tried_again(command: Command, server: ChatServer) -> None:
    server.broken = "How?"
    assert command() == 1
    assert [key.split("<SEP>")[1] for key in command.results[0]] == ["Why?"] * 9
    assert len(command.results) == 1
    assert "queries failed" in command.said
    assert [row["status"] for row in command.answers] == ["finished", "failed"]
    server.broken = None
    asked = len(server.bodies)
    assert command() == 0
    assert len(command.results) == 2
    assert len(server.bodies) - asked == 7  # the failed query's own calls


def test_retries_are_counted_in_the_record(command: Command, server: ChatServer) -> None:
    server.busy = 2
    assert command("--num_threads 1") == 0
    record = json.loads((command.files.run / "run.json").read_text())
    assert record["totals"]["retries"] == {"sample": 2}


def test_a_finished_run_is_not_asked_again_and_needs_no_server(tmp_path: Path) -> None:
    with ChatServer() as server:
        command = Command(tmp_path, server.port)
        assert command() == 0
    before = command.results
    assert command() == 0
    assert command.results == before
    assert "2 of 2 queries are finished" in command.said


def test_results_of_the_reference_itself_are_gone_on_from(command: Command, server: ChatServer) -> None:
    command("--tpo_mode bon")
    theirs = {"INDEX-1<SEP>Why?<SEP>Therefore.": 4.5}
    path = command.folder / "results" / f"{NAME.format(mode='tpo')}.json"
    path.write_text(json.dumps([theirs], indent=4))
    server.bodies.clear()
    for _ in range(2):
        assert command() == 0
        assert command.results[0] == theirs
        assert [key.split("<SEP>")[1] for key in command.results[1]] == ["How?"] * 9
        assert "1 queries have their results" in command.said
    assert not any("Why?" in json.dumps(body) for body in server.bodies)


def test_a_result_file_that_is_none_is_left_alone(command: Command) -> None:
    command("--tpo_mode bon")
    path = command.folder / "results" / f"{NAME.format(mode='tpo')}.json"
    path.write_text("precious")
    assert command() == 2
    assert "not valid JSON" in command.said
    assert path.read_text() == "precious"


def test_other_values_are_not_mixed_into_the_same_file(command: Command) -> None:
    assert command() == 0
    before = command.results
    assert command("--temperature 0.1") == 2
    assert "another --output_path, or remove" in command.said
    assert command.results == before


@pytest.mark.parametrize("variable", ["TPO_API_KEY", "OPENAI_API_KEY"])
def test_the_key_comes_from_the_environment_and_goes_nowhere_else(
    command: Command, server: ChatServer, variable: str
) -> None:
    server.key = "sk-secret"
    assert command(environment={variable: "sk-secret"}) == 0
    written = [path for path in command.folder.rglob("*") if path.is_file()]
    assert written
    assert not any(b"sk-secret" in path.read_bytes() for path in written)


def test_a_wrong_key_is_one_sentence(command: Command) -> None:
    assert command(environment={"TPO_API_KEY": "sk-wrong"}) == 2
    assert command.said.startswith("error: ")
    assert "sk-wrong" not in command.said


def test_a_wrong_model_is_one_sentence_with_those_there_are(command: Command) -> None:
    assert command("--server_model nobody/nothing") == 2
    assert "'org/model'" in command.said


def test_wrong_data_are_told_before_anything_runs(command: Command, server: ChatServer) -> None:
    command.data.write_text('["a",\n""]')
    assert command() == 2
    assert "data.json:2 (element 2): the query is empty" in command.said
    assert server.bodies == []


async def test_an_interrupted_run_leaves_its_files_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('["Why?", "How?"]')
    arguments = parse(f"--data_path {tmp_path}/data.json --output_path {tmp_path} --ip localhost".split())
    files = Files.of(arguments, tmp_path / "logs")
    never = asyncio.Event()

    async def before(call: PolicyCall, index: int) -> None:
        if call.scope.query == "q1":
            await never.wait()

    def interrupt(event: Event) -> None:
        if isinstance(event, QueryEnded):
            task.cancel()

    async def start(policy: ScriptedPolicy, show: Listener) -> Summary:
        work = read_work(arguments.data_path, files)
        plan, console = run_plan(arguments, files, work, {}), Console(file=io.StringIO())
        return await optimize(plan, Models(policy, ScriptedReward()), files, work, console, show)

    task = asyncio.create_task(start(ScriptedPolicy(before=before), interrupt))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(json.loads(files.result.read_text())) == 1
    again = ScriptedPolicy()
    assert (await start(again, lambda event: None)).finished == 2
    assert {call.scope.query for call in again.calls} == {"q1"}
    assert len(json.loads(files.result.read_text())) == 2
