"""Where weights go: parted by accelerate as on several cards, and the same numbers; or one sentence."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.models import save_policy, save_reward
from tpo.errors import ConfigError, RewardRefused
from tpo.inprocess.devices import Device, placement, spilled
from tpo.inprocess.loading import Checkpoint, load_checkpoint
from tpo.policies.local import HFPolicy
from tpo.rewards.hf import HFReward
from tpo.types import Messages, Sampling, Scope, user

QUERY: Messages = (user("Dear Anna, please come on Friday."),)
SCOPE = Scope("q", 0, "reward", 0)
PARTED = {
    "model.embed_tokens": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "cpu",
    "model.rotary_emb": "cpu",
    "score": "cpu",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reward(tmp_path_factory.mktemp("reward"))


def load(folder: Path, device: Device) -> Checkpoint:
    return load_checkpoint(folder, "classifier", RewardRefused, device=device)


@pytest.mark.parametrize("device", ["auto", "sequential", "balanced", {"": "cpu"}, PARTED])
async def test_however_a_model_is_parted_its_scores_are_the_same(folder: Path, device: Device) -> None:
    whole = HFReward(folder, device="cpu", dtype="float32")
    parted = HFReward(folder, device=device, dtype="float32")
    expected = await whole.score(QUERY, "Thank you", SCOPE)
    assert (await parted.score(QUERY, "Thank you", SCOPE)).value == pytest.approx(expected.value, abs=1e-5)


def test_a_parted_model_is_known_as_such_and_told_of_where_it_is_slow(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not load(folder, "auto").spread
    assert not caplog.records
    assert load(folder, PARTED).spread
    assert "of its 6 parts 1 on disk: they are fetched for every batch" in caplog.text


def test_weights_that_found_no_room_on_the_cards_are_told_of() -> None:
    model = SimpleNamespace(hf_device_map={"a": 0, "b": 1, "c": "cpu", "d": "disk"})
    assert spilled(model) == (
        "of its 4 parts 1 on cpu and 1 on disk: they are fetched for every batch, which is slow"
    )
    assert spilled(SimpleNamespace(hf_device_map={"a": 0, "b": 1})) is None
    assert spilled(SimpleNamespace(hf_device_map={"": "cpu"})) is None
    assert spilled(SimpleNamespace()) is None


async def test_a_small_parted_model_is_not_converted_to_double(folder: Path) -> None:
    score = await HFReward(folder, device=PARTED).score(QUERY, "Thank you", SCOPE)
    assert score.value == pytest.approx(
        (await HFReward(folder).score(QUERY, "Thank you", SCOPE)).value, abs=1e-4
    )


def test_one_device_takes_no_parting() -> None:
    assert placement(torch, "cpu").options == {}


@pytest.mark.parametrize("device", ["cpu,cpu", "cpu,meta", " cpu , cpu "])
def test_several_devices_must_be_different_cards(device: str) -> None:
    with pytest.raises(ConfigError, match="must be different cards, as in cuda:0,cuda:1"):
        placement(torch, device)


def test_several_cards_share_what_is_free_on_them() -> None:
    cuda = SimpleNamespace(mem_get_info=lambda card: (1000 * (card.index + 1), 5000))
    fake: Any = SimpleNamespace(cuda=cuda, device=torch.device, empty=lambda *_, **__: None)
    options = placement(fake, "cuda:0, cuda:2").options
    assert options == {"device_map": "auto", "max_memory": {0: 900, 2: 2700}}


def test_by_default_all_cards_are_taken_where_there_are_several() -> None:
    cuda = SimpleNamespace(is_available=lambda: True, device_count=lambda: 2)
    fake: Any = SimpleNamespace(cuda=cuda)
    assert placement(fake, None).options == {"device_map": "auto"}
    assert placement(fake, None).device == "cuda"


PARTED_POLICY = {name.replace("score", "lm_head"): place for name, place in PARTED.items()}


@pytest.mark.parametrize("device", ["auto", PARTED_POLICY])
async def test_however_a_policy_is_parted_it_writes_the_same(tmp_path: Path, device: Device) -> None:
    folder = save_policy(tmp_path)
    texts = []
    for place in ("cpu", device):
        policy = HFPolicy(folder, device=place)
        sampling = Sampling(n=2, temperature=0.0, max_tokens=8)
        texts.append([one.text async for one in policy.sample(QUERY, sampling, Scope("q", 0, "sample"))])
        await policy.aclose()
    assert texts[0] == texts[1]
