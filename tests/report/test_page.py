"""The written page, taken apart as a browser would, without one."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.report import runs
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.report import ReportOptions, page, write_report
from tpo.report.prices import Prices
from tpo.rewards.scripted import ScriptedReward
from tpo.store import read_trajectories
from tpo.store.runfile import read_run, write_run
from tpo.types import Query, Usage, user


class Parts(HTMLParser):
    """Elements and the content of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, dict[str, str | None], str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

        self.inside = tag in ("script", "style")
        if self.inside:
            self.contents.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        """A long content comes in pieces."""
        if self.inside:
            tag, attributes, before = self.contents.pop()
            self.contents.append((tag, attributes, before + data))


def parts(path: Path) -> Parts:
    return Parts(path.read_text("utf-8"))


def blocks(path: Path) -> dict[str, Any]:
    return {
        str(attributes["id"]): json.loads(zlib.decompress(base64.b64decode(data)))
        for tag, attributes, data in parts(path).contents
        if tag == "script" and attributes.get("type") == "application/zlib"
    }


def test_nothing_on_the_page_points_elsewhere(tmp_path: Path) -> None:
    write_report([runs.ordinary(tmp_path / "run", 3)], tmp_path / "page.html")
    for tag, attributes in parts(tmp_path / "page.html").tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "form", "base")
        assert "src" not in attributes
        assert all(not name.startswith("on") and name != "style" for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else(tmp_path: Path) -> None:
    write_report([runs.ordinary(tmp_path / "run", 3)], tmp_path / "page.html")
    found = parts(tmp_path / "page.html")
    policy = next(str(a["content"]) for t, a in found.tags if t == "meta" and "http-equiv" in a)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (
        rules["default-src"] == rules["connect-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    )

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    scripts = [data for tag, attributes, data in found.contents if tag == "script" and not attributes]
    styles = [data for tag, _, data in found.contents if tag == "style"]
    assert rules["script-src"] == digest("".join(scripts))
    assert rules["style-src"] == digest("".join(styles))


@pytest.mark.parametrize("name", [*page.STYLES, *page.LIBRARIES, page.EMBEDDED, page.LIVE, *page.PARTS])
def test_no_part_of_the_page_ends_the_element_that_it_stands_in(name: str) -> None:
    text = resources.files("tpo.report").joinpath(name).read_text("utf-8").lower()
    assert "</script" not in text
    assert "</style" not in text
    assert "<!--" not in text


def test_no_part_of_the_page_parses_markup() -> None:
    for name in (page.EMBEDDED, page.LIVE, *page.PARTS):
        text = resources.files("tpo.report").joinpath(name).read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text
        ), name


def test_vendored_libraries_carry_their_licences() -> None:
    for name in page.LIBRARIES:
        folder = Path(name).parent
        licence = resources.files("tpo.report").joinpath(f"{folder}/LICENSE").read_text("utf-8")
        assert "Copyright" in licence


def test_every_text_is_in_the_page_whatever_it_is(tmp_path: Path) -> None:
    text = "</script><!-- \u2028 \u202e \ud800 \x00 " + "x" * 200_000
    policy = ScriptedPolicy({"sample": ["a", text], "loss": "l", "gradient": "g", "update": improved("b")})
    queries = [Query(text[:20], (user(text),), text, {"key": text})]
    run = runs.make_run(
        tmp_path / "run", queries, policy, ScriptedReward(len), runs.recipe(samples=2, iterations=1)
    )
    write_report([run], tmp_path / "page.html")
    raw = (tmp_path / "page.html").read_bytes()
    assert b"\xe2\x80\xa8" not in raw[raw.index(b'id="summary"') : raw.index(b"<script>")]
    (record,) = blocks(tmp_path / "page.html")["texts-0-0"]
    texts = record["texts"]
    assert texts[record["messages"][0][1]] == text
    assert texts[record["reference"]] == text
    assert text in [texts[candidate["text"]] for candidate in record["candidates"]]


def test_a_text_that_occurs_often_is_kept_once(tmp_path: Path) -> None:
    write_report([runs.ordinary(tmp_path / "run", 1)], tmp_path / "page.html")
    (record,) = blocks(tmp_path / "page.html")["texts-0-0"]
    assert len(set(record["texts"])) == len(record["texts"])


def test_the_head_holds_totals_costs_and_failures(tmp_path: Path) -> None:
    policy = ScriptedPolicy(runs.say)
    reward = ScriptedReward(runs.worth(0.5), failures={"never": RuntimeError()})
    queries = [*runs.questions(3), Query("bad", (user("x"),))]
    policy = ScriptedPolicy(
        lambda call, index: ValueError("broken") if call.scope.query == "bad" else runs.say(call, index)
    )
    run = runs.make_run(tmp_path / "run", queries, policy, reward, runs.recipe())
    write_report([run], tmp_path / "page.html", ReportOptions(prices=Prices(1.0, 2.0)))
    summary = blocks(tmp_path / "page.html")["summary"]
    head = summary["runs"][0]
    assert (head["name"], head["finished"], head["failed"]) == ("run", 3, 1)
    assert head["failures"] == [["unexpected ValueError: broken", 1]]
    phases = {row["phase"]: row for row in head["phases"]}
    whole = phases.pop("all")
    assert whole["calls"] == sum(row["calls"] for row in phases.values())
    assert whole["cost"] == pytest.approx((whole["prompt_tokens"] + 2 * whole["completion_tokens"]) / 1e6)
    assert head["currency"] == "USD"
    assert (head["method"], head["policy"], head["reward_name"]) == ("tpo D2-N5", "scripted", "scripted")
    assert dict(head["configuration"])["policy"] == "scripted"
    assert head["tiny"] is None
    highest = [
        max(each.reward for each in found.pool) for found in read_trajectories(run) if found.error is None
    ]
    assert head["answer_mean"] == pytest.approx(fmean(highest))


def test_the_mean_reward_of_the_answers_is_that_of_the_selected_ones(tmp_path: Path) -> None:
    run = runs.worst(tmp_path / "run", 4)
    write_report([run], tmp_path / "page.html")
    (head,) = blocks(tmp_path / "page.html")["summary"]["runs"]
    lowest = [min(each.reward for each in found.pool) for found in read_trajectories(run)]
    assert head["answer_mean"] == pytest.approx(fmean(lowest))
    assert head["answer_mean"] < head["by_step"][-1]["best_mean"]


@pytest.mark.parametrize(
    "values", [{"policy": ["tiny"]}, {"reward": "tiny"}, {"reward": ["tiny", "verify:regex"]}]
)
def test_runs_of_the_embedded_pair_have_a_note(tmp_path: Path, values: dict[str, Any]) -> None:
    run = runs.make_run(
        tmp_path / "run",
        runs.questions(1),
        ScriptedPolicy(runs.say),
        ScriptedReward(len),
        runs.recipe(),
        values,
    )
    write_report([run], tmp_path / "page.html")
    assert "do not reproduce the paper" in blocks(tmp_path / "page.html")["summary"]["runs"][0]["tiny"]


def test_a_run_in_which_nothing_finished_has_a_page(tmp_path: Path) -> None:
    policy = ScriptedPolicy(ValueError("no"))
    run = runs.make_run(tmp_path / "run", runs.questions(2), policy, ScriptedReward(len), runs.recipe())
    written = write_report([run], tmp_path / "page.html", ReportOptions(figures=tmp_path / "figures"))
    assert written.figures == ()
    assert blocks(tmp_path / "page.html")["summary"]["figures"] == []


def test_an_empty_run_has_a_page_and_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "trajectories.jsonl").write_bytes(b"")
    written = write_report([tmp_path], tmp_path / "page.html")
    assert written.queries == 0
    assert any("run.json" in note for _, note in written.notes)


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    paths = [runs.ordinary(tmp_path / place / "run", 1) for place in ("a", "b")]
    write_report(paths, tmp_path / "page.html")
    assert [run["name"] for run in blocks(tmp_path / "page.html")["summary"]["runs"]] == ["a/run", "b/run"]


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 3)
    write_report([run], tmp_path / "a.html")
    write_report([run], tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_same_run_in_another_order_gives_the_same_page_and_figures(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 12)
    lines = (run / "trajectories.jsonl").read_bytes().splitlines(keepends=True)
    for place in ("a", "b"):
        write_report([run], tmp_path / f"{place}.html", ReportOptions(figures=tmp_path / place))
        (run / "trajectories.jsonl").write_bytes(b"".join(lines[::-1]))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert blocks(tmp_path / "a.html")["index-0"]["id"] == [f"q{n}" for n in range(12)]


def test_runs_of_different_rewards_are_told_apart_on_the_page(tmp_path: Path) -> None:
    paths = [runs.ordinary(tmp_path / name, 3) for name in ("one", "two")]
    record = read_run(paths[1])
    other = {"reward": "another"}
    write_run(
        paths[1],
        replace(
            record,
            configuration={**record.configuration, **other},
            fingerprint={**record.fingerprint, **other},
        ),
    )
    write_report(paths, tmp_path / "page.html")
    summary = blocks(tmp_path / "page.html")["summary"]
    assert [run["reward_name"] for run in summary["runs"]] == ["scripted", "another"]
    assert [run["method"] for run in summary["runs"]] == ["tpo D2-N5", "tpo D2-N5"]
    assert summary["comparisons"] == []
    assert all(len({s["run"] for s in figure["series"]}) == 1 for figure in summary["figures"])


def test_cached_tokens_have_their_price() -> None:
    usage = Usage(1, 1_000_000, 400_000, 2_000_000)
    assert Prices(1.0, 3.0).cost(usage) == pytest.approx(7.0)
    assert Prices(1.0, 3.0, 0.5).cost(usage) == pytest.approx(6.8)


def test_a_large_run_shows_a_sample_and_totals_of_all(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 60)
    whole = write_report([run], tmp_path / "whole.html")
    assert (whole.queries, whole.notes) == (60, ())
    pages = [tmp_path / name for name in ("one.html", "two.html")]
    written = [write_report([run], page, ReportOptions(max_queries=20)) for page in pages]
    assert 8 <= written[0].queries <= 32
    assert pages[0].read_bytes() == pages[1].read_bytes()
    note = f"show {written[0].queries} of 60 queries, drawn by a hash of their ids; the totals cover all."
    assert note in written[0].notes[0][1]
    assert blocks(pages[0])["summary"]["runs"][0]["finished"] == 60
    assert len(blocks(pages[0])["index-0"]["id"]) == written[0].queries


def test_the_head_warns_of_a_method_without_effect_and_tells_usage_by_role(tmp_path: Path) -> None:
    policy = ScriptedPolicy({"sample": "a b", "loss": "l", "gradient": "g", "update": "no tags"})
    configuration = {"critic": ["http://c/v1"]}
    run = runs.make_run(
        tmp_path / "run", runs.questions(3), policy, ScriptedReward(), runs.recipe(), configuration
    )
    prices = Prices(1.0, 2.0, roles={"critic": Prices(10.0, 20.0)})
    write_report([run], tmp_path / "page.html", ReportOptions(prices=prices))
    (head,) = blocks(tmp_path / "page.html")["summary"]["runs"]
    (warning,) = head["warnings"]
    assert warning.startswith("no update could be read in 3 of 3 queries (0 of 30 updates were readable)")
    roles = {row["role"]: row for row in head["roles"]}
    assert roles.keys() == {"writer", "critic", "editor"}
    critic = roles["critic"]
    assert critic["cost"] == pytest.approx(
        (10 * critic["prompt_tokens"] + 20 * critic["completion_tokens"]) / 1e6
    )
    assert head["phases"][-1]["cost"] == pytest.approx(sum(row["cost"] for row in roles.values()))
