"""The counters of vLLM as its ``/metrics`` tells them."""

from tpo.doctor.prefix_cache import parse_cache_counters

METRICS = """\
# HELP vllm:prefix_cache_queries_total Prefix cache queries, in tokens.
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1200.0
vllm:prefix_cache_queries_total{engine="1",model_name="m"} 1.0e+03
vllm:prefix_cache_queries_created{engine="0",model_name="m"} 1.7e+09
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 640.0
vllm:prefix_cache_hits_total{engine="1",model_name="m"} nan?
"""


def test_counters_are_summed_over_engines() -> None:
    assert parse_cache_counters(METRICS) == {"queries": 2200.0, "hits": 640.0}


def test_other_servers_have_none() -> None:
    assert parse_cache_counters("llamacpp:prompt_tokens_total 12\n") is None
    assert parse_cache_counters("<html>\x00") is None
