"""Models that a server lists: names, contexts, and the choice of one."""

import pytest

from tpo.http import HttpFailure
from tpo.http.model_cards import ModelCard, chosen_card, read_cards


@pytest.mark.parametrize("value", [None, {}, {"data": None}, []])
def test_a_list_of_models_of_another_shape_is_a_failure(value: object) -> None:
    with pytest.raises(HttpFailure, match="--model"):
        read_cards(value)


def test_a_list_of_models_tells_their_contexts_where_servers_do() -> None:
    rows = [
        {"id": "vllm", "max_model_len": 8192},
        {"id": "openrouter", "context_length": 32768},
        {"id": "ollama"},
        {"id": "odd", "max_model_len": "long"},
        {"no": "id"},
    ]
    assert read_cards({"data": rows}) == [
        ModelCard("vllm", 8192, counts=True),
        ModelCard("openrouter", 32768),
        ModelCard("ollama"),
        ModelCard("odd"),
    ]


def test_llama_cpp_tells_its_context_below_meta_and_counts_tokens() -> None:
    rows = [{"id": "gguf", "meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, {"id": "loading", "meta": None}]
    assert read_cards({"data": rows}) == [ModelCard("gguf", 4096, counts=True), ModelCard("loading")]


def test_vllm_tells_the_place_of_the_files() -> None:
    (card,) = read_cards({"data": [{"id": "m", "root": "/models/m"}]})
    assert card.root == "/models/m"


CARDS = [ModelCard("a"), ModelCard("b")]


def test_the_named_model_is_chosen_and_else_the_only_one() -> None:
    assert chosen_card(CARDS, "b", "http://x").name == "b"
    assert chosen_card(CARDS[:1], None, "http://x").name == "a"


@pytest.mark.parametrize(
    ("cards", "model", "sentence"),
    [
        (CARDS, None, "the server at http://x serves 'a', 'b': name one with --model"),
        (CARDS, "c", "the server at http://x has no model 'c'; it serves 'a', 'b'"),
        ([], None, "the server at http://x lists no model: name one with --model"),
        ([], "c", "has no model 'c'; it lists no model"),
    ],
)
def test_no_choice_is_a_fatal_failure_that_lists_the_models(
    cards: list[ModelCard], model: str | None, sentence: str
) -> None:
    with pytest.raises(HttpFailure, match=sentence) as caught:
        chosen_card(cards, model, "http://x", advice="name one with --model")
    assert caught.value.fatal


def test_a_refusal_only_ever_lowers_the_limits() -> None:
    card = ModelCard("m", context=1000).learned(2000, 50)
    assert card == ModelCard("m", context=1000, reply=50)
    assert card.learned(500, 80) == ModelCard("m", context=500, reply=50)
