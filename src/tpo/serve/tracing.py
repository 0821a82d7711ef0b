"""OpenTelemetry spans by the GenAI semantic conventions, where the package is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.serve.request import ServedRequest
from tpo.types import Completion, Messages, Sampling, Scope, Score, Usage

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
AGENT = "gen_ai.agent.name"
MODEL = "gen_ai.request.model"
CHOICES = "gen_ai.request.choice.count"
TEMPERATURE = "gen_ai.request.temperature"
TOP_P = "gen_ai.request.top_p"
SEED = "gen_ai.request.seed"
MAX_TOKENS = "gen_ai.request.max_tokens"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"
ERROR = "error.type"
EVALUATION = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
QUERY = "tpo.query"
PHASE = "tpo.phase"
STEP = "tpo.step"
OURS = "tpo"
"""The provider: the conventions leave the names of those that they do not list free."""

try:
    from opentelemetry import trace
except ImportError:
    _tracer: Any = None
else:
    _tracer = trace.get_tracer("tpo")


def _span(name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Any]:
    if _tracer is None:
        return nullcontext()
    given = {key: value for key, value in attributes.items() if value is not None}
    span: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=given)
    return span


@contextmanager
def request_span(model: str, request: ServedRequest) -> Iterator[None]:
    """Trace one client's request while the block lasts."""
    values = {
        OPERATION: "invoke_agent",
        PROVIDER: OURS,
        AGENT: model,
        MODEL: model,
        TEMPERATURE: request.temperature,
    }
    with _span(f"invoke_agent {model}", values):
        yield


class TracedPolicy:
    """Middleware: a span for each call to *policy*, which serves *model*."""

    def __init__(self, policy: Policy, model: str) -> None:
        self._policy = policy
        self._model = model

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the policy's completions."""
        if _tracer is None:
            async with closing(self._policy.sample(messages, sampling, scope)) as completions:
                async for completion in completions:
                    yield completion
            return
        values = {
            OPERATION: "chat",
            PROVIDER: OURS,
            MODEL: self._model,
            CHOICES: sampling.n,
            TEMPERATURE: sampling.temperature,
            TOP_P: sampling.top_p,
            SEED: sampling.seed,
            MAX_TOKENS: sampling.max_tokens,
            QUERY: scope.query,
            PHASE: scope.phase,
            STEP: scope.step,
        }
        usage, reasons = Usage(), list[str]()
        span = _tracer.start_span(f"chat {self._model}", attributes=values, kind=trace.SpanKind.CLIENT)
        try:
            async with closing(self._policy.sample(messages, sampling, scope)) as completions:
                async for completion in completions:
                    usage += completion.usage
                    reasons.append(completion.finish_reason)
                    yield completion
        except Exception as failure:
            span.record_exception(failure)
            span.set_attribute(ERROR, type(failure).__qualname__)
            raise
        finally:
            span.set_attribute(INPUT_TOKENS, usage.prompt_tokens)
            span.set_attribute(OUTPUT_TOKENS, usage.completion_tokens)
            span.set_attribute(FINISH_REASONS, reasons)
            span.end()


class TracedReward:
    """Middleware: a span for each score of *reward*, with the score as an evaluation event."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the reward's score."""
        values = {QUERY: scope.query, PHASE: scope.phase, STEP: scope.step}
        with _span("evaluate reward", values) as span:
            score = await self._reward.score(messages, response, scope)
            if span is not None:
                span.add_event(EVALUATION, {EVALUATION_NAME: "reward", EVALUATION_SCORE: score.value})
        return score
