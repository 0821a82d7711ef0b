import pytest

from tests.openai_server import OpenAIServer
from tpo.errors import ConfigError, PolicyError
from tpo.experiments.bench.graders.load_judge import JudgeSpec, load_judge
from tpo.types import user


@pytest.mark.parametrize(
    ("name", "place", "model"),
    [
        ("http://h:1/v1#allenai/wildguard", "http://h:1/v1", "allenai/wildguard"),
        ("http://h:1", "http://h:1", None),
        ("hf:org/model", "hf:org/model", None),
        ("tiny", "tiny", None),
    ],
)
def test_a_judge_is_a_server_or_a_model_here(name: str, place: str, model: str | None) -> None:
    assert JudgeSpec.of(name) == JudgeSpec(place, model)


@pytest.mark.parametrize("name", ["gpt-4", "judge:http://x", "", "#model"])
def test_what_names_no_judge_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--judge"):
        JudgeSpec.of(name)


def test_a_password_in_a_url_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="TPO_JUDGE_API_KEY") as error:
        JudgeSpec.of("http://me:secret@h:1/v1#m")
    assert "secret" not in str(error.value)


async def test_a_servers_only_model_gives_the_judge_its_name() -> None:
    with OpenAIServer(lambda body, index: "7") as server:
        judge = await load_judge(server.url, {})
        assert judge.name == "scripted"
        verdict = await judge.ask((user("?"),), lambda text: text or None, "q0")
        assert verdict.value == "7"


async def test_a_model_that_is_named_is_asked() -> None:
    with OpenAIServer(lambda body, index: "7") as server:
        judge = await load_judge(f"{server.url}#other", {})
        await judge.ask((user("?"),), lambda text: text or None, "q0")
        assert judge.name == "other"
        assert {body["model"] for body in server.requests} == {"other"}


async def test_a_judge_that_does_not_answer_is_known_at_once() -> None:
    with OpenAIServer() as server:
        url = server.url
    with pytest.raises(PolicyError):
        await load_judge(f"{url}#m", {})
