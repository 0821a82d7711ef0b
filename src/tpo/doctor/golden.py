"""The reward against golden scores: of a file, or of the same weights in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tpo.config import build_reward, reward_specs
from tpo.doctor.finding import failure, good, unknown
from tpo.doctor.patient import BRIEF, Notes, Patient
from tpo.entry_points import REWARDS
from tpo.errors import TpoError
from tpo.http import Balancer, HttpClient
from tpo.http.address import root_address
from tpo.registry import find_kind, parse
from tpo.rewards.cards import chosen_card, read_cards
from tpo.rewards.diagnosis import Fault
from tpo.rewards.golden import Golden, check_golden, golden_scores, read_golden
from tpo.rewards.hf import HFReward
from tpo.rewards.misreading import misread_scores

CHECK = "golden scores"
LIGHT = 2_000_000_000
"""Bytes of weights that are loaded for a comparison without being asked to."""


async def check_golden_scores(patient: Patient, notes: Notes) -> None:
    """Compare, where there is something to compare with."""
    if notes.reward is None:
        return
    source = patient.golden or await _same_weights(patient, notes)
    if source is None:
        return
    try:
        golden, misreadings = await _golden(source, patient, notes)
    except TpoError as error:
        if patient.golden is not None:
            raise
        notes.tell(unknown(CHECK, f"not compared with {source}: {error}"))
        return
    comparison = await check_golden(notes.reward, golden, misreadings)
    values = {"fault": comparison.fault, "largest_difference": comparison.largest}
    sentence = f"against {source}: {comparison}"
    if comparison.fine:
        notes.tell(good(CHECK, sentence, **values))
    else:
        advice = "see the page on rewards for how this model is to be served"
        notes.tell(failure(CHECK, sentence, advice, **values))


async def _golden(
    source: str, patient: Patient, notes: Notes
) -> tuple[list[Golden], Mapping[Fault, Sequence[Sequence[float]]]]:
    """Of a file, or of a model that is loaded for it; with what that model says of what is misread."""
    if find_kind(REWARDS, source) is None or parse(REWARDS, source, "--golden").location is None:
        return read_golden(Path(source)), {}
    given = patient.settings
    reward = build_reward(
        source, device=given.device, dtype=given.dtype, trust_remote_code=given.trust_remote_code
    )
    notes.close_later(reward)
    golden = await golden_scores(reward)
    return golden, await misread_scores(reward, golden) if isinstance(reward, HFReward) else {}


async def _same_weights(patient: Patient, notes: Notes) -> str | None:
    """The files of a served reward model, if they are on this machine and not large."""
    served, *others = reward_specs(patient.settings.reward)
    if others or not (served.urls and served.gives_logits):
        return None
    client = HttpClient(served.urls[0], patient.reward_key, address=root_address)
    notes.close_later(client)
    balancer = Balancer([(client.address, client)], retry=BRIEF)
    cards = await balancer.ask("", lambda it: it.request("GET", "/v1/models", read=read_cards))
    card = chosen_card(cards, served.model, client.address)
    model = card.root or card.name
    if _is_light(Path(model)):
        return f"hf:{model}"
    advice = f"--golden hf:{model} loads the same weights here and compares"
    notes.tell(unknown(CHECK, "the served reward was not compared with the same weights", advice))
    return None


def _is_light(folder: Path) -> bool:
    """Whether a model's files lie in *folder*, and are soon loaded."""
    return folder.is_dir() and sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) <= LIGHT
