from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy
from tpo.serve import tracing


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_a_request_its_calls_and_its_scores_are_spans_with_the_conventions_names() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with served(ScriptedPolicy(SCRIPT)) as client:
        usage = (await client.chat()).json["usage"]
    spans = exporter.get_finished_spans()
    (request,) = [span for span in spans if span.name == "invoke_agent m"]
    calls = [span for span in spans if span.name == "chat m"]
    assert [attributes(span)[tracing.PHASE] for span in calls] == ["sample", "loss", "gradient", "update"]
    assert (
        sum(int(str(attributes(span)["gen_ai.usage.input_tokens"])) for span in calls)
        == usage["prompt_tokens"]
    )
    scores = [event for span in spans for event in span.events if event.name == "gen_ai.evaluation.result"]
    assert sorted(float(str((e.attributes or {})[tracing.EVALUATION_SCORE])) for e in scores) == [4, 4, 8, 8]
    for span in (request, *calls):
        assert {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"} <= set(
            attributes(span)
        )
    assert attributes(calls[0])["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert request.context is not None
    assert {span.parent.span_id for span in calls if span.parent} == {request.context.span_id}
