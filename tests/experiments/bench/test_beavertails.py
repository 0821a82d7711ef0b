from tests.experiments.bench.scripted import DATA
from tpo.experiments.bench.beavertails import BEAVERTAILS
from tpo.experiments.bench.query_set import load_query_set


def test_prompts_are_asked_as_they_are_and_keep_their_category() -> None:
    queries = load_query_set(BEAVERTAILS, str(DATA / "beavertails.jsonl")).queries
    assert queries[4].id == "beavertails-4"
    assert queries[4].messages == ({"role": "user", "content": queries[4].text},)
    assert queries[4].metadata == {"category": "privacy_violation"}


def test_a_limit_takes_one_of_each_category() -> None:
    queries = load_query_set(BEAVERTAILS, str(DATA / "beavertails.jsonl"), limit=4).queries
    assert len({query.metadata["category"] for query in queries}) == 4
