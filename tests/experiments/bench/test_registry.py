import pytest

from tpo.errors import ConfigError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.registry import load_benchmark


@pytest.mark.parametrize("name", ["hh-rlhf", "beavertails", "xstest", "math-500"])
def test_a_benchmark_is_found_by_its_name(name: str) -> None:
    assert load_benchmark(name).name == name


def test_one_of_the_users_own_is_found_by_module_and_object() -> None:
    assert isinstance(load_benchmark("tpo.experiments.bench.xstest:XSTEST"), Benchmark)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mmlu", "unknown; there are .*hh-rlhf"),
        ("tpo.experiments.bench.xstest:SAFE", "it must be a Benchmark"),
        ("nowhere:X", "no module 'nowhere'"),
    ],
)
def test_what_is_none_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load_benchmark(name)
