"""Check of the reward against golden scores, from a file or from the same weights loaded in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tpo.config import build_reward, reward_specs
from tpo.doctor.finding import failure, good, unknown
from tpo.doctor.setup import BRIEF_RETRY, CheckState, Setup
from tpo.entry_points import REWARDS
from tpo.errors import TpoError
from tpo.http import Balancer, HttpClient
from tpo.http.address import root_address
from tpo.http.model_cards import request_card
from tpo.registry import ModelSpec, find_kind, parse
from tpo.rewards.base import Reward
from tpo.rewards.diagnosis import Fault
from tpo.rewards.golden import Golden, check_golden, golden_scores, read_golden
from tpo.rewards.hf import HFReward
from tpo.rewards.misread_formats import misread_scores

CHECK = "golden scores"
SMALL_MODEL_BYTES = 2_000_000_000
"""Size of weights, in bytes, up to which a model is loaded for comparison without ``--golden``."""


async def check_golden_scores(setup: Setup, state: CheckState) -> None:
    """Compare the reward with ``--golden``, or with the served model's own weights if they are here."""
    if state.reward is None:
        return
    source = setup.golden or await _local_weights(setup, state)
    if source is None:
        return
    try:
        golden, misreadings = await _golden(source, setup, state)
    except TpoError as error:
        if setup.golden is not None:
            raise
        state.report(unknown(CHECK, f"not compared with {source}: {error}"))
        return
    comparison = await check_golden(state.reward, golden, misreadings)
    values = {"fault": comparison.fault, "largest_difference": comparison.largest}
    sentence = f"against {source}: {comparison}"
    if comparison.fine:
        state.report(good(CHECK, sentence, **values))
    else:
        advice = "see the page on rewards for how to serve this model"
        state.report(failure(CHECK, sentence, advice, **values))


async def _golden(
    source: str, setup: Setup, state: CheckState
) -> tuple[list[Golden], Mapping[Fault, Sequence[Sequence[float]]]]:
    """Return golden scores of a file or of a model loaded here, and that model's scores of misread inputs."""
    if find_kind(REWARDS, source) is None or parse(REWARDS, source, "--golden").location is None:
        return read_golden(Path(source)), {}
    given = setup.settings
    reward = build_reward(
        source, device=given.device, dtype=given.dtype, trust_remote_code=given.trust_remote_code
    )
    state.close_later(reward)
    golden = await golden_scores(reward)
    return golden, await misread_scores(reward, golden) if isinstance(reward, HFReward) else {}


async def _local_weights(setup: Setup, state: CheckState) -> str | None:
    """Return the name of a served reward model whose weights are on this machine and small."""
    served, *others = reward_specs(setup.settings.reward)
    if others or not (served.urls and served.gives_logits):
        return None
    model = await served_model_name(setup, state, served)
    if _is_small(Path(model)):
        return f"hf:{model}"
    advice = f"--golden hf:{model} loads the same weights in this process and compares"
    state.report(unknown(CHECK, "the served reward was not compared with its weights", advice))
    return None


async def served_model_name(setup: Setup, state: CheckState, served: ModelSpec[Reward]) -> str:
    """Return the place of a served reward model's files as its server names it, or its name there."""
    client = HttpClient(served.urls[0], setup.reward_key, address=root_address)
    state.close_later(client)
    balancer = Balancer([(client.address, client)], retry=BRIEF_RETRY)
    card = await balancer.ask("", lambda it: request_card(it, served.model, "/v1/models"))
    return card.root or card.name


def _is_small(folder: Path) -> bool:
    """Return whether *folder* holds a model of at most :data:`SMALL_MODEL_BYTES`."""
    return (
        folder.is_dir()
        and sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) <= SMALL_MODEL_BYTES
    )
