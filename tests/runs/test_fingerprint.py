import json

from tpo.methods.catalog import bon, tpo
from tpo.rewards.calibration import Scale
from tpo.runs import fingerprint, measured, scales_in


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


def test_what_is_measured_goes_through_json_and_back() -> None:
    scales = {"tiny": Scale(0.5, 2.0), "vllm:http://h of mine": Scale(-1.0, 0.25)}
    values = json.loads(json.dumps(measured({"policy tiny": "ab12", "reward hf:x": None}, scales)))
    assert values["weights of policy tiny"] == "ab12"
    assert "weights of reward hf:x" not in values
    assert scales_in(values) == scales
    assert measured({}, None) == {}
