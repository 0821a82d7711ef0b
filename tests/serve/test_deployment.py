"""The deployment examples: their files parse, and their commands start."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]

from tests.cli.test_serve import post, serving_process
from tests.openai_server import OpenAIServer
from tests.rewards.vllm.pooling_server import PoolingServer
from tpo.cli.main import app
from tpo.config import load_settings
from tpo.config.settings import OPTIONS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
REPLICAS = DEPLOY / "replicas.yaml"
UNITS = sorted(DEPLOY.glob("*.service"))
PAGE = ROOT / "docs" / "serve.md"


def compose(path: Path) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["services"]
    return services


def compose_command(path: Path) -> list[str]:
    """Arguments of ``tpo serve`` in a compose file."""
    shell, flag, script = compose(path)["tpo"]["command"]
    assert (shell, flag) == ("sh", "-c")
    words = shlex.split(script.replace("$$", "$").partition("exec ")[2])
    assert words[:2] == ["tpo", "serve"]
    return words[2:]


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text("utf-8").replace("\\\n", " "))
    return parser


def unit_command() -> list[str]:
    words = shlex.split(unit(DEPLOY / "tpo-serve.service")["Service"]["ExecStart"])
    assert (Path(words[0]).name, words[1]) == ("tpo", "serve")
    return words[2:]


def page_commands() -> Iterator[list[str]]:
    for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("tpo serve"):
                yield shlex.split(line, comments=True)[2:]


COMMANDS = [compose_command(COMPOSE), compose_command(REPLICAS), unit_command(), *page_commands()]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_has_valid_options_and_values(arguments: list[str]) -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    context = command.make_context("serve", list(arguments))
    flags = {name: value for name, value in context.params.items() if name in OPTIONS and value}
    settings = load_settings(flags, {})
    assert settings.policy == tuple(flags.get("policy", ("tiny",)))


def test_the_page_has_commands() -> None:
    assert len(list(page_commands())) >= 2


@pytest.mark.parametrize("path", [COMPOSE, REPLICAS], ids=lambda path: path.name)
def test_a_compose_file_names_services_secrets_and_volumes_that_are_there(path: Path) -> None:
    base = yaml.safe_load(COMPOSE.read_text("utf-8"))
    services = base["services"] | compose(path)
    tpo = services["tpo"]
    hosts = set(re.findall(r"http://([\w.-]+):\d+", str(tpo["command"])))
    assert hosts <= services.keys()
    assert set(tpo.get("depends_on", {})) <= services.keys()
    assert set(base["services"]["tpo"]["secrets"]) == base["secrets"].keys()
    assert {each.partition(":")[0] for each in base["services"]["tpo"]["volumes"]} >= base["volumes"].keys()


def test_the_endpoint_with_replicas_waits_for_every_policy_and_asks_each() -> None:
    services = compose(COMPOSE) | compose(REPLICAS)
    policies = {name for name in services if name.startswith("policy")}
    assert len(policies) > 1
    asked = [value for flag, value in zip(COMMANDS[1], COMMANDS[1][1:], strict=False) if flag == "--policy"]
    assert {url.split("//")[1].split(":")[0] for url in asked} == policies
    waits = compose(COMPOSE)["tpo"]["depends_on"] | compose(REPLICAS)["tpo"]["depends_on"]
    assert policies <= waits.keys()


@pytest.mark.parametrize("path", [COMPOSE, REPLICAS], ids=lambda path: path.name)
def test_no_two_servers_share_a_gpu(path: Path) -> None:
    services = compose(COMPOSE) | compose(path)
    reserved = [each["deploy"]["resources"]["reservations"] for each in services.values() if "deploy" in each]
    cards = [card for each in reserved for device in each["devices"] for card in device["device_ids"]]
    assert len(set(cards)) == len(cards) == len(services) - 1


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_has_its_sections_and_names_units_that_are_there(path: Path) -> None:
    parsed = unit(path)
    assert set(parsed.sections()) == {"Unit", "Service", "Install"}
    service = parsed["Service"]
    assert Path(shlex.split(service["ExecStart"])[0]).is_absolute()
    assert service["Restart"] == "on-failure"
    named = re.findall(r"tpo-[\w-]+\.service", str(dict(parsed["Unit"])))
    assert set(named) <= {each.name for each in UNITS}


def test_the_units_time_to_stop_outlasts_the_drain() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    drain = command.make_context("serve", unit_command()).params["drain"]
    assert int(unit(DEPLOY / "tpo-serve.service")["Service"]["TimeoutStopSec"]) > drain
    assert compose(COMPOSE)["tpo"]["stop_grace_period"] == f"{drain // 60}m"


def test_the_compose_files_command_serves(tmp_path: Path) -> None:
    """Its own arguments, with addresses and paths of this machine."""
    (tmp_path / "keys").write_text("alpha\n")
    with OpenAIServer() as policy, PoolingServer() as reward:
        here = {
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - replaced
            "8080": "0",
            "http://policy:8000/v1": policy.url,
            "vllm:http://reward:8000": f"vllm:{reward.url}",
            "/run/secrets/keys": str(tmp_path / "keys"),
            "/data/served": str(tmp_path / "served"),
        }
        arguments = compose_command(COMPOSE)
        assert here.keys() <= set(arguments)
        with serving_process(tmp_path, [here.get(each, each) for each in arguments]) as (url, _):
            body = {"model": policy.model, "messages": [{"role": "user", "content": "Why?"}]}
            reply: Any = post(f"{url}/chat/completions", body, "alpha")
            with urllib.request.urlopen(url.replace("/v1", "/ready")) as ready:  # noqa: S310 - the loopback
                assert json.loads(ready.read()) == {"status": "ok"}
    assert reply["tpo"]["stop_reason"] == "max_iterations"
    assert reply["choices"][0]["message"]["content"].startswith("An improved answer")
    assert (tmp_path / "served" / "trajectories.jsonl").read_text().count("\n") == 1
