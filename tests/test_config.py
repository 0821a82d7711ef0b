"""Where settings come from, which wins, and what is refused with which words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.options_table import table
from tpo.cli.main import app
from tpo.config import Settings, build_policy, build_reward, load_axes, load_settings, make_method
from tpo.config.command_line import settings_words
from tpo.config.settings import OPTIONS, TINY_MAX_TOKENS
from tpo.config.specs import policy_options
from tpo.errors import ConfigError
from tpo.methods.named_models import api_key
from tpo.rewards.function import FunctionReward

TEXTS = {
    "policy": "http://h/v1",
    "policy_extra": '{"top_k": 20}',
    "chat_template_kwargs": '{"enable_thinking": false}',
    "kind_options": '{"tiny": {}}',
    "token_weights": '{"cached": 1}',
    "stop": '{"plateau": 2}',
    "reward": "hf:x",
    "reward_weights": '{"tiny": 2.0}',
    "gate": "verify:json",
    "combine": "min",
    "critic": "http://c/v1",
    "critic_extra": '{"top_k": 20}',
    "editor": "http://e/v1",
    "editor_extra": '{"top_k": 20}',
    "select": "consensus",
    "select_judge": "http://j/v1",
    "check_reward": "hf:x",
    "fallback": "revision",
    "dtype": "float16",
    "method": "bon",
}
"""Values of options that take not just any."""
TABLES = {
    "critic_extra": "{top_k = 20}",
    "editor_extra": "{top_k = 20}",
    "policy_extra": "{top_k = 20}",
    "chat_template_kwargs": "{enable_thinking = false}",
    "reward_weights": "{tiny = 2.0}",
    "kind_options": "{tiny = {}}",
    "token_weights": "{cached = 1}",
    "stop": "{plateau = 2}",
}
SERVER = {"policy": ["http://h/v1"], "reward": ["tiny"]}
BASE = {
    "critic_model": {"critic": ["http://c/v1"]},
    "critic_extra": {"critic": ["http://c/v1"]},
    "editor_model": {"editor": ["http://e/v1"]},
    "editor_extra": {"editor": ["http://e/v1"]},
    "policy": {"reward": ["tiny"]},
    "model": SERVER,
    "policy_extra": SERVER,
    "chat_template_kwargs": SERVER,
    "rubric": {"reward": ["judge:http://h"]},
}


def refusal(flags: Mapping[str, Any] = {}, env: Mapping[str, str] = {}, file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(flags, env, file)
    return str(caught.value)


def toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, "utf-8")
    return path


def test_values_of_the_chat_template_are_fields_of_the_policys_requests() -> None:
    flags = {"policy": ["http://h/v1"], "reward": ["tiny"]}
    extra = '{"top_k": 20, "chat_template_kwargs": {"enable_thinking": true, "other": 1}}'
    settings = load_settings(
        flags | {"policy_extra": extra, "chat_template_kwargs": '{"enable_thinking": false}'}, {}
    )
    wanted = {"top_k": 20, "chat_template_kwargs": {"enable_thinking": False, "other": 1}}
    assert settings.policy_fields == policy_options(settings).extra == wanted
    assert load_settings(flags, {}).policy_fields == {}
    assert "--chat-template-kwargs" in refusal({"chat_template_kwargs": '{"a": 1}'})


def test_without_anything_the_embedded_pair_is_used() -> None:
    settings = load_settings({}, {})
    assert (settings.policy, settings.reward) == (("tiny",), ("tiny",))
    assert settings.uses_tiny
    assert settings.max_tokens == TINY_MAX_TOKENS


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, "sample-size = 2\nmax_iterations = 3\nseed = 4")
    settings = load_settings(
        {"sample_size": 9, "seed": None}, {"TPO_SAMPLE_SIZE": "8", "TPO_MAX_ITERATIONS": "6"}, file
    )
    assert (settings.sample_size, settings.max_iterations, settings.seed) == (9, 6, 4)


@pytest.mark.parametrize(
    ("flags", "env", "places"),
    [
        ({}, {}, 64),
        ({"sequences": 256}, {}, 512),
        ({}, {"TPO_SEQUENCES": "256"}, 512),
        ({"sequences": 4}, {}, 64),
        ({"sequences": 256}, {"TPO_CONCURRENCY": "100"}, 100),
    ],
)
def test_there_are_twice_as_many_places_as_sequences_unless_told(
    flags: Mapping[str, Any], env: Mapping[str, str], places: int
) -> None:
    assert load_settings(flags, env).concurrency == places


def test_the_environment_gives_every_type_of_value() -> None:
    env = {
        "TPO_TEMPERATURE": "0.1",
        "TPO_LIMIT": "3",
        "TPO_QUIET": "true",
        "TPO_OUT": "a/b",
        "TPO_POLICY": "http://h/v1",
        "TPO_REWARD": "hf:x",
        "TPO_POLICY_EXTRA": '{"top_k": 20}',
        "TPO_TRUST_REMOTE_CODE": "1",
        "TPO_TIMEOUT": "90",
        "TPO_RETRY_TIMEOUT": "0",
    }
    settings = load_settings({}, env)
    assert (settings.temperature, settings.limit, settings.quiet) == (0.1, 3, True)
    assert settings.out == Path("a/b")
    assert (settings.trust_remote_code, settings.timeout, settings.retry_timeout) == (True, 90.0, 0.0)
    assert settings.policy == ("http://h/v1",)
    assert settings.policy_extra == {"top_k": 20}


@pytest.mark.parametrize("out", ["s3://bucket/run", Path("gs://bucket/run")])
def test_a_url_is_no_run_directory(out: str | Path) -> None:
    assert "name a path, not a URL: object stores have no append and no locks" in refusal({"out": out})


def test_an_empty_path_is_refused_wherever_it_is_given(tmp_path: Path) -> None:
    assert "--out is ''; name a path; . is the working directory" in refusal({"out": ""})
    assert "name a path" in refusal(file=toml(tmp_path, 'out = " "'))


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({}, {"TPO_SEED": ""}).seed == 7


def test_a_file_gives_tables_and_lists(tmp_path: Path) -> None:
    file = toml(
        tmp_path, 'policy = ["http://h/v1"]\nreward = "hf:x"\ntemperature = 1\n[policy_extra]\ntop_k = 20'
    )
    settings = load_settings({}, {}, file)
    assert settings.policy_extra == {"top_k": 20}
    assert settings.temperature == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("samplesize = 4", "samplesize: no such setting; did you mean sample_size?"),
        ("zzz = 1", "zzz: no such setting; there are policy, model"),
        ('sample_size = "5"', "sample_size is '5'; it must be a valid integer"),
        ("seed = true", "seed is True; it must be a valid integer"),
        ("top_p = 1.5", "top_p is 1.5; it must be less than or equal to 1"),
        ("temperature = nan", "temperature is nan; it must be a finite number"),
        ("policy = [1]", "policy is 1; it must be a valid string"),
        ("policy = []", "policy is []"),
        ("policy_extra = [1]", "policy_extra"),
        ('dtype = "int3"', "dtype is 'int3'; it must be 'float32', 'bfloat16' or 'float16'"),
        ("api_key = 'sk-1'", "api_key: keys come from the environment only; set TPO_API_KEY"),
        ("a = [", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    message = refusal(file=toml(tmp_path, text))
    assert "settings.toml" in message
    assert words in message
    assert "sk-1" not in message


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(file=tmp_path / "none.toml")
    assert "cannot be read" in refusal(file=tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'model = "\xe9"')
    assert "cannot be read" in refusal(file=tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sample_size", 0, "--sample-size is 0; it must be greater than or equal to 1"),
        ("max_iterations", -1, "--max-iterations is -1"),
        ("timeout", 0.0, "--timeout is 0.0; it must be greater than 0"),
        ("retry_timeout", -1.0, "--retry-timeout is -1.0; it must be greater than or equal to 0"),
        ("temperature", -0.1, "--temperature is -0.1"),
        ("top_p", 0.0, "--top-p is 0.0"),
        ("max_tokens", 0, "--max-tokens is 0"),
        ("concurrency", 0, "--concurrency is 0"),
        ("limit", 0, "--limit is 0"),
        ("policy_extra", "{1", "--policy-extra: it must be a JSON object"),
        ("policy_extra", "[1]", "--policy-extra: it must be a JSON object"),
    ],
)
def test_a_flag_out_of_range_is_refused_by_its_name(name: str, value: object, words: str) -> None:
    assert words in refusal({name: value})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("max_deadline", "max_deadline: no such setting; did you mean deadline?"),
        ("zzz", "zzz: no such setting; there are policy, model"),
        ("api_key", "api_key: keys come from the environment only; set TPO_API_KEY there"),
    ],
)
def test_an_unknown_name_is_refused_with_advice(name: str, words: str) -> None:
    assert refusal({name: 120, "policy": ["tiny"]}).startswith(words)
    assert refusal({name: None}).startswith(words)


def test_a_wrong_variable_is_refused_by_its_name() -> None:
    assert refusal(env={"TPO_SEED": "x"}) == "TPO_SEED is 'x'; it must be a valid integer"


def test_a_near_miss_of_a_variable_is_refused_and_a_strange_one_left_alone() -> None:
    assert "did you mean TPO_SAMPLE_SIZE?" in refusal(env={"TPO_SAMPLESIZE": "3"})
    assert load_settings({}, {"TPO_SHARED_DRIVE": "/x", "TPO_API_KEY": "sk"}) == load_settings({}, {})


def test_a_real_policy_needs_a_reward_by_name() -> None:
    assert "name a reward too" in refusal({"policy": ["http://h/v1"]})
    assert "name a reward too" in refusal({"policy": ["hf:org/model"]})
    assert load_settings({"policy": ["hf:org/model"], "reward": "tiny"}, {}).uses_tiny


URLS = ("http://a:8000/v1", "http://b:8000/v1")


def test_several_servers_may_be_named_everywhere(tmp_path: Path) -> None:
    reward = {"reward": ["tiny"]}
    file = tmp_path / "options.toml"
    file.write_text(f"policy = {list(URLS)}")
    assert load_settings(reward | {"policy": list(URLS)}, {}).policy == URLS
    assert load_settings(reward, {"TPO_POLICY": ", ".join(URLS)}).policy == URLS
    assert load_settings(reward, {}, file).policy == URLS


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["tiny", URLS[0]], "--policy tiny: several policies must all be servers' URLs"),
        ([URLS[0], URLS[0]], "name each server once"),
        ([URLS[0], "b"], "--policy b: unknown"),
    ],
)
def test_several_policies_that_are_not_servers_of_one_model_are_refused(
    names: list[str], expected: str
) -> None:
    assert expected in refusal({"policy": names, "reward": ["tiny"]})


def test_a_model_may_have_a_comma_in_its_path() -> None:
    assert load_settings({"reward": ["tiny"]}, {"TPO_POLICY": "hf:models/a,b"}).policy == ("hf:models/a,b",)


def test_the_recipe_has_the_settings_values() -> None:
    recipe = make_method(load_settings({"method": "revision", "sample_size": 3, "max_iterations": 1}, {}))
    assert (recipe.name, recipe.sample_size, recipe.max_iterations) == ("revision", 3, 1)
    with pytest.raises(ConfigError, match="--method nope: unknown; there are tpo"):
        make_method(Settings(method="nope"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/model", "did you mean hf:org/model?"),
        ("localhost:8000", "did you mean http://localhost:8000?"),
        ("gpt", "there are tiny, hf:ID-OR-PATH"),
        ("hf:", "name a model"),
        ("http://me:secret@h/v1", "set TPO_API_KEY"),
        ("http://h/v1?api_key=secret", "a key belongs into TPO_API_KEY"),
        ("me:secret@h", "there are tiny"),
    ],
)
def test_an_unknown_policy_is_refused_with_advice(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match="--policy") as caught:
        build_policy(name)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("option", [{"model": "m"}, {"extra": {"a": 1}}])
def test_options_of_a_server_are_refused_for_a_model_in_process(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is for a server's base URL"):
        build_policy("tiny", **option)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vllm:", "write the server's URL, as in vllm:http://"),
        ("judge:localhost:8000", "write the server's URL, as in judge:http://"),
        ("vllm:http://h,b", "write the server's URL"),
        ("judge:http://me:hidden@h", "TPO_REWARD_API_KEY"),
        ("judge:me:hidden@h", "TPO_REWARD_API_KEY"),
        ("vllm:http://h?key=hidden#m", "TPO_REWARD_API_KEY"),
        ("org/model", "did you mean hf:org/model?"),
        ("hf:", "name a model"),
        ("python:nothing", "write python:MODULE:FUNCTION"),
    ],
)
def test_an_unknown_reward_is_refused_with_advice(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_reward(name)
    assert words in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "flags",
    [
        {"policy": "http://me:secret@h/v1"},
        {"policy": "http://h/v1?key=secret"},
        {"policy": "http://h/v1", "reward": "tiny", "policy_extra": '{"api-key": "secret"}'},
        {"policy": "http://h/v1", "reward": "tiny", "policy_extra": '{"Authorization": "secret"'},
        {
            "policy": "http://h/v1",
            "reward": "tiny",
            "policy_extra": '{"metadata": [{"authorization": "secret"}]}',
        },
        {"policy": "http://h/v1", "reward": "tiny", "policy_extra": '{"headers": {"X-Api-Key": "secret"}}'},
    ],
)
def test_a_key_where_it_would_be_recorded_is_refused_and_not_repeated(flags: dict[str, Any]) -> None:
    assert "secret" not in refusal(flags)


def test_a_name_that_no_policy_has_is_told_before_a_reward_is_missed() -> None:
    assert "--policy foo: unknown" in refusal({"policy": "foo"})


def test_a_function_is_a_reward() -> None:
    assert isinstance(build_reward("python:statistics:mean"), FunctionReward)


def test_the_key_comes_from_our_variable_first() -> None:
    assert api_key({"TPO_API_KEY": "a", "OPENAI_API_KEY": "b"}) == "a"
    assert api_key({"TPO_API_KEY": "", "OPENAI_API_KEY": "b"}) == "b"
    assert api_key({}) is None


def test_the_documented_file_is_read_and_every_setting_is_documented(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf-8")
    settings = load_settings({}, {}, toml(tmp_path, page.partition("```toml\n")[2].partition("```")[0]))
    assert settings.policy_extra == {"top_k": 20}
    assert table() in page, "python -m tests.options_table writes it"
    for name in OPTIONS:
        assert f"--{name.replace('_', '-')}`" in page, name


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_comes_from_a_variable_and_a_file_alike(name: str, tmp_path: Path) -> None:
    text = TEXTS.get(name, {int: "3", float: "0.5", bool: "true"}.get(OPTIONS[name].value_type, "x"))
    plain = text if OPTIONS[name].value_type in (int, float, bool) or text[0] in "{[" else f'"{text}"'
    plain = TABLES.get(name, plain)
    base = BASE.get(name, {})
    assert OPTIONS[name].variable == f"TPO_{name.upper()}"
    by_variable = load_settings(base, {OPTIONS[name].variable: text})
    assert by_variable == load_settings(base, {}, toml(tmp_path, f"{name.replace('_', '-')} = {plain}"))
    assert by_variable != load_settings(base, {})


@pytest.mark.parametrize("name", OPTIONS)
def test_the_words_of_settings_give_the_same_settings(name: str) -> None:
    text = TEXTS.get(name, {int: "3", float: "0.5", bool: "true"}.get(OPTIONS[name].value_type, "x"))
    settings = load_settings(BASE.get(name, {}), {OPTIONS[name].variable: text})
    assert parsed_words(settings_words(settings, {})) == settings


def test_words_name_a_default_that_a_variable_would_change() -> None:
    words = settings_words(
        load_settings({"seed": 7}, {"TPO_SEED": "3"}), {"TPO_SEED": "3"}, without=("policy",)
    )
    assert words[words.index("--seed") + 1] == "7"
    assert "--policy" not in words
    assert "--seed" not in settings_words(load_settings({}, {}), {})


def parsed_words(words: list[str]) -> Settings:
    command: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    given = command.make_context("run", words).params
    flags = {key: value for key, value in given.items() if key in OPTIONS and value not in (None, ())}
    return load_settings(flags, {})


def test_a_former_name_works_everywhere_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    file = toml(tmp_path, "patience = 3")
    assert load_settings({}, {}, file, said.append).retry_timeout == 3.0
    assert load_settings({}, {"TPO_PATIENCE": "4"}, file, said.append).retry_timeout == 4.0
    both = {"TPO_PATIENCE": "4", "TPO_RETRY_TIMEOUT": "5"}
    assert load_settings({}, both, None, said.append).retry_timeout == 5.0
    assert said[0] == f"{file}: patience is now called {file}: retry_timeout"
    assert said[1:] == [said[0], *["TPO_PATIENCE is now called TPO_RETRY_TIMEOUT"] * 2]
    assert "TPO_RETRY_TIMEOUT is '-1'" in refusal(env={"TPO_PATIENCE": "-1"})


AXES = ("method", "sample_size", "seed")


def test_where_a_command_takes_several_values_every_source_may_list_them(tmp_path: Path) -> None:
    file = toml(tmp_path, 'sample_size = [3, 5]\nseed = 1\nmethod = "tpo, bon"')
    settings, axes = load_axes({}, {"TPO_SEED": "8,9"}, file, AXES)
    assert axes == {"method": ("tpo", "bon"), "sample_size": (3, 5), "seed": (8, 9)}
    assert (settings.method, settings.sample_size, settings.seed) == ("tpo", 3, 8)
    settings, axes = load_axes({"sample_size": " 4, 10 "}, {}, None, AXES)
    assert (axes["sample_size"], axes["seed"], axes["method"]) == ((4, 10), (7,), ("tpo",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3,x", "--sample-size is 'x'; it must be a valid integer"),
        ("3.5", "--sample-size is '3.5'"),
        ("3;5", "--sample-size is '3;5'"),
        ("5,0", "--sample-size is '0'; it must be greater than or equal to 1"),
        (",", "--sample-size is empty"),
    ],
)
def test_a_wrong_value_of_several_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_axes({"sample_size": text}, {}, None, AXES)
    assert words in str(caught.value)


def test_plain_json_gives_every_value_of_the_settings() -> None:
    values = Settings(out=Path("a/b"), policy=URLS, policy_extra={"a": None}).to_json()
    assert json.loads(json.dumps(values)) == values
    assert values.keys() == OPTIONS.keys()
    assert (values["out"], values["policy"], values["policy_extra"]) == ("a/b", list(URLS), {"a": None})
