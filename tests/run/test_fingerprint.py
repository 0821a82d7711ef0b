import json

from tpo.method.recipes import bon, tpo
from tpo.run import fingerprint


def test_it_is_plain_json_and_names_what_may_not_change() -> None:
    shape = fingerprint(tpo(), seed=7, data="abc", policy="tiny", reward="tiny")
    assert json.loads(json.dumps(shape)) == shape
    assert {"method.name", "method.sample_size", "method.max_iterations", "method.wording"} <= set(shape)
    assert {"seed": 7, "data": "abc", "policy": "tiny", "reward": "tiny"}.items() <= shape.items()


def test_another_method_seed_or_model_gives_another() -> None:
    shape = fingerprint(tpo(), seed=7, data=None, policy="a")
    assert fingerprint(tpo(), seed=7, data=None, policy="a") == shape
    assert fingerprint(bon(), seed=7, data=None, policy="a") != shape
    assert fingerprint(tpo(temperature=0.1), seed=7, data=None, policy="a") != shape
    assert fingerprint(tpo(), seed=8, data=None, policy="a") != shape
    assert fingerprint(tpo(), seed=7, data=None, policy="b") != shape
