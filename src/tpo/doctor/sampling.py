"""Checks of a policy's sampling: several samples per request, seeds, and finish reasons."""

from __future__ import annotations

from dataclasses import replace

from tpo.doctor.data import EXAMPLE
from tpo.doctor.finding import good, warning
from tpo.doctor.setup import CheckState, ProbedPolicy, Setup
from tpo.errors import PolicyError
from tpo.policies.wrapper import closing
from tpo.types import Completion, Messages, Sampling, Scope

QUESTION = EXAMPLE.messages
PROBE_TOKENS = 48
"""Maximum tokens of a probe's reply: long enough for two samples to differ."""
CUT_TOKENS = 4
"""Maximum tokens of a reply that must be cut off."""
SEED = 4096


async def sample_all(policy: ProbedPolicy, messages: Messages, sampling: Sampling) -> list[Completion]:
    """Return all samples of one call, in order.

    Raises:
        PolicyError: the call failed, or returned fewer samples than requested.
    """
    scope = Scope("doctor", 0, "sample")
    async with closing(policy.policy.sample(messages, sampling, scope)) as completions:
        found = {completion.index: completion async for completion in completions}
    if sorted(found) != list(range(sampling.n)):
        raise PolicyError(f"{policy.name} returned {len(found)} of {sampling.n} samples")
    return [found[index] for index in sorted(found)]


async def check_samples(setup: Setup, state: CheckState) -> None:
    """Draw two samples with one call, then again, then each with its own; then as many as the run draws."""
    for probed in state.policies:
        await _check_samples(probed, setup, state)


async def _check_samples(probed: ProbedPolicy, setup: Setup, state: CheckState) -> None:
    method = setup.method
    max_tokens = min(PROBE_TOKENS, method.max_tokens)
    sampling = Sampling(2, method.temperature, method.top_p, max_tokens, SEED)
    both = await sample_all(probed, QUESTION, sampling)
    again = await sample_all(probed, QUESTION, sampling)
    single = [(await sample_all(probed, QUESTION, sampling.only(index)))[0] for index in (0, 1)]
    count = max(2, method.sample_size)
    many = await sample_all(probed, QUESTION, replace(sampling, n=count, max_tokens=CUT_TOKENS))
    _report_n(probed, _calls(both), count, _calls(many), method.temperature, state)
    _report_seed(probed, _texts(both), _texts(again), _texts(single), state)


def _texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


def _calls(completions: list[Completion]) -> int:
    return sum(completion.usage.calls for completion in completions)


def _report_n(
    probed: ProbedPolicy, calls: int, count: int, all_calls: int, temperature: float, state: CheckState
) -> None:
    """Report how many requests (*calls*) two samples took, and *count* samples (*all_calls*)."""
    if all_calls <= 1:
        sentence = f"{probed.name} returns {count} samples per request (n)"
        state.report(good("n", sentence, calls=calls))
    elif temperature == 0:
        state.report(good("n", "at temperature 0 each sample is a separate request", calls=calls))
    elif calls <= 1:
        state.report(
            warning(
                "n",
                f"{probed.name} returns fewer than {count} samples per request, so each sample is a separate"
                " request",
                f"raise the server's limit of samples: llama-server --parallel {count}",
                calls=all_calls,
            )
        )
    else:
        state.report(
            warning(
                "n",
                f"{probed.name} returns one sample per request, so each sample is a separate request",
                "this works, but costs more prompt tokens; vLLM and SGLang support n",
                calls=calls,
            )
        )


def _report_seed(
    probed: ProbedPolicy, both: list[str], again: list[str], single: list[str], state: CheckState
) -> None:
    values = {"repeats": both == again, "adds_the_index": both == single}
    if both != again:
        sentence = f"{probed.name} returned different texts for the same seed"
        advice = "a run can be resumed, but a new run will not reproduce its texts"
        state.report(warning("seed", sentence, advice, **values))
    elif both != single:
        sentence = f"{probed.name} does not use seed + i for sample i of a request"
        advice = "a resumed run may draw different texts for interrupted requests; everything else repeats"
        state.report(warning("seed", sentence, advice, **values))
    else:
        sentence = f"{probed.name} repeats a seed, and uses seed + i for sample i of a request"
        state.report(good("seed", sentence, **values))


async def check_finish_reasons(setup: Setup, state: CheckState) -> None:
    """Check that a reply cut off by ``max_tokens`` has the finish reason ``length``."""
    method = setup.method
    for probed in state.policies:
        sampling = Sampling(1, method.temperature, method.top_p, CUT_TOKENS, SEED)
        reason = (await sample_all(probed, QUESTION, sampling))[0].finish_reason
        if reason == "length":
            sentence = f"{probed.name} reports when a reply was cut off"
            state.report(good("finish reasons", sentence, cut=reason))
            continue
        state.report(
            warning(
                "finish reasons",
                f"{probed.name} ended a reply of {CUT_TOKENS} tokens with {reason!r} instead of 'length'",
                "choose a large --max-tokens: a reply that is cut off looks like a complete one",
                cut=reason,
            )
        )
