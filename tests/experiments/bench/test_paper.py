import pytest

from tpo.errors import ConfigError
from tpo.experiments.bench.paper import closest_model, is_model, paper_number, published
from tpo.experiments.bench.registry import benchmark_names, load_benchmark

SFT = "allenai/Llama-3.1-Tulu-3-70B-SFT"
FSFAIRX = "hf:sfairXC/FsfairX-LLaMA3-RM-v0.1"


@pytest.mark.parametrize(
    ("policy", "model", "same"),
    [
        (SFT, "LLaMA-3.1-70B-SFT", True),
        (f"hf:{SFT}", "LLaMA-3.1-70B-SFT", True),
        ("/models/Llama-3.1-Tulu-3-70B-SFT/", "LLaMA-3.1-70B-SFT", True),
        ("meta-llama/Llama-3.1-8B-Instruct", "LLaMA-3.1-70B-Instruct", False),
        ("allenai/Llama-3.1-Tulu-3-8B-DPO", "LLaMA-3.1-70B-DPO", False),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral-Small-Instruct-2409", False),
    ],
)
def test_the_closest_model_is_told_with_whether_it_is_the_same(policy: str, model: str, same: bool) -> None:
    assert closest_model(policy) == (model, same)


@pytest.mark.parametrize("policy", ["tiny", "Qwen/Qwen3-8B", "hf:google/gemma-3"])
def test_a_model_of_another_family_stands_beside_none(policy: str) -> None:
    assert closest_model(policy) is None
    assert paper_number(policy, "xstest") is None


def test_a_user_may_choose_the_row() -> None:
    assert closest_model("tiny", "LLaMA-3.1-70B-SFT") == ("LLaMA-3.1-70B-SFT", False)
    with pytest.raises(ConfigError, match="--paper-model GPT: not in the paper's table; models: LLaMA"):
        closest_model("tiny", "GPT")


@pytest.mark.parametrize(
    ("shape", "reward", "value"),
    [
        (None, "", 87.8),
        ("D2-N5", FSFAIRX, 90.4),
        ("D2-N5", "vllm:http://h#sfairXC/FsfairX-LLaMA3-RM-v0.1", 90.4),
        ("D2-N5", "hf:allenai/Llama-3.1-Tulu-3-8B-RM", 89.8),
        ("D5-N20", FSFAIRX, 89.6),
    ],
)
def test_each_row_of_the_table_is_found_by_shape_and_reward(
    shape: str | None, reward: str, value: float
) -> None:
    number = paper_number(SFT, "xstest", shape=shape, reward=reward)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize(("shape", "reward"), [("D3-N5", FSFAIRX), ("D2-N5", "tiny"), ("D5-N20", "tiny")])
def test_a_shape_or_reward_that_the_paper_lacks_has_no_number(shape: str, reward: str) -> None:
    assert paper_number(SFT, "xstest", shape=shape, reward=reward) is None


def test_the_table_is_whole() -> None:
    table = published()
    assert "2501.12895" in table["source"]
    assert {row["model"] for row in table["rows"]} == set(table["models"])
    assert all(len(row["values"]) == len(table["columns"]) for row in table["rows"])


@pytest.mark.parametrize("name", ["hh-rlhf", "beavertails", "xstest", "math-500"])
def test_every_benchmark_names_a_column_of_it(name: str) -> None:
    assert name in benchmark_names()
    benchmark = load_benchmark(name)
    assert benchmark.paper
    assert {column for _, column in benchmark.paper} <= set(published()["columns"])


def test_a_model_is_known_wherever_it_lies() -> None:
    assert is_model("judge:http://x#allenai/wildguard", "allenai/wildguard")
    assert is_model("hf:/models/wildguard/", "allenai/wildguard")
    assert not is_model("gpt-4", "allenai/wildguard")
