"""Progress of an attempt as short lines of text, for reasoning deltas."""

from __future__ import annotations

from tpo.events import CandidateScored, CritiqueWritten, Event, PairChosen, StepStarted, UpdateMalformed

SHOWN = 280
"""Characters of a critique that are shown."""


def progress_line(event: Event) -> str | None:
    """Return *event* as one line that ends with a line break; None where there is nothing to show."""
    match event:
        case StepStarted():
            return f"Step {event.step}\n"
        case CandidateScored():
            return f"{event.candidate.id}: reward {event.candidate.reward:+.3f}\n"
        case UpdateMalformed():
            return f"{event.step}.{event.malformed.index}: no readable response\n"
        case PairChosen():
            rejected = event.pair.rejected
            other = "" if rejected is None else f", rejected {rejected.id}"
            return f"chosen {event.pair.chosen.id}{other}\n"
        case CritiqueWritten():
            text = " ".join(event.call.text.split())
            return f"{event.call.place}: {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}\n"
    return None
