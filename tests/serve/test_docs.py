"""The page on serving and the deployment examples name what is there."""

import json
import re
from dataclasses import fields
from pathlib import Path

import typer.main

from tpo.cli.main import app
from tpo.serve.metrics import Metrics
from tpo.serve.request import Controls

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serve.md").read_text("utf-8")
DEPLOY = ROOT / "examples" / "deploy"


def options() -> set[str]:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}


def metric_names() -> set[str]:
    text = Metrics().text().decode()
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    parts = {"histogram": ("", "_bucket", "_count"), "counter": ("",), "gauge": ("",)}
    return {name + part for name, kind in families for part in parts[kind]}


def test_every_metric_of_the_dashboard_exists_and_every_metric_is_on_it() -> None:
    panels = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    used = {name for query in queries for name in re.findall(r"tpo:\w+", query)}
    assert used <= metric_names()
    named = {re.sub("_bucket$", "", name) for name in used}
    created = {name for name in metric_names() if name.endswith("_created")}
    assert named == {re.sub("_(bucket|count)$", "", name) for name in metric_names() - created}


def test_metrics_that_vllm_has_too_have_its_names_and_the_others_are_about_rewards_and_errors() -> None:
    of_vllm = {
        *("num_requests_running", "num_requests_waiting", "request_success_total"),
        *("prompt_tokens_total", "prompt_tokens_cached_total", "generation_tokens_total"),
        *("e2e_request_latency_seconds", "time_to_first_token_seconds"),
    }
    own = {"best_reward", "reward_gain", "request_error_total"}
    text = Metrics().text().decode()
    families = set(re.findall(r"^# TYPE tpo:(\S+) ", text, re.MULTILINE))
    assert {name for name in families if not name.endswith("_created")} == of_vllm | own


def test_every_metric_of_the_page_exists() -> None:
    assert set(re.findall(r"`(tpo:\w+)`", PAGE)) <= metric_names()


def test_every_option_of_the_page_and_the_deployment_exists() -> None:
    texts = [
        PAGE,
        *(re.sub(r"serve \$\{MODEL\}.*|command: \[.*", "", p.read_text()) for p in DEPLOY.iterdir()),
    ]
    for text in texts:
        for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--max-num-seqs"}:
            assert flag in options(), flag


def test_every_control_is_on_the_page() -> None:
    for field in fields(Controls):
        assert f"`{field.name}`" in PAGE
