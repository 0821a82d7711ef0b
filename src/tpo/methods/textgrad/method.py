"""``--method textgrad``: TPO's loop in TextGrad's words (Yuksekgonul et al. 2024, arXiv 2406.07496).

The chosen response is the variable. The loss is an evaluation of it whose instruction, ours as it would be
any user's, shows the rejected response; the gradient and the update are TextGrad's own prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.methods.paper import behind_system_text, transcript
from tpo.methods.textgrad.templates import Evaluation, Templates, load_templates
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording
from tpo.types import Call, Completion, Messages, Pair, Query, system, user


@dataclass(frozen=True, kw_only=True)
class TextGrad(Tpo):
    """Independent calls, made of *templates*; with *shows_rejected* off, the response is judged alone."""

    name: str = "textgrad"
    templates: Templates

    def first_prompt(self, query: Query) -> Messages:
        """Return the user's messages behind a short system text, unless they bring their own."""
        return behind_system_text(self.wording, query)

    def loss_prompt(self, query: Query, pair: Pair) -> Messages:
        """The evaluation's instruction, and the chosen response as it stands."""
        return (system(self._instruction(query, pair)), user(pair.chosen.text))

    def gradient_prompt(self, query: Query, pair: Pair, loss: Call) -> Messages:
        """TextGrad's backward call through that evaluation."""
        return self.templates.gradient(self._evaluation(query, pair, loss))

    def update_prompt(self, query: Query, pair: Pair, loss: Call, gradient: Call) -> Messages:
        """TextGrad's optimizer call for the chosen response."""
        constraints = self.wording.fill("constraints", query=query.text, chosen=pair.chosen.text)
        return self.templates.update(
            self._evaluation(query, pair, loss), gradient.text, constraints.splitlines()
        )

    def read_update(self, completion: Completion) -> str | None:
        """The improved response between TextGrad's tags, or None where there is none.

        As TextGrad reads it, but for two cases in which the text would be no response: it is empty, or it
        was cut at its token limit before its closing tag.
        """
        response, closed = self.templates.read(completion.text)
        return (response or None) if closed or completion.finish_reason == "stop" else None

    def describe(self) -> dict[str, Any]:
        """Return the method's values; of the templates the package's version and the digest of its texts."""
        values = {name: value for name, value in super().describe().items() if name != "templates"}
        return values | {"textgrad": self.templates.version, "textgrad_wording": self.templates.digest}

    def _instruction(self, query: Query, pair: Pair) -> str:
        values = {"query": transcript(query), "chosen": pair.chosen.text}
        if self.shows_rejected and pair.rejected is not None:
            return self.wording.fill("loss_system", rejected=pair.rejected.text, **values)
        return self.wording.fill("loss_single_system", **values)

    def _evaluation(self, query: Query, pair: Pair, loss: Call) -> Evaluation:
        role = self.wording.fill("role", query=query.text, chosen=pair.chosen.text)
        return Evaluation(self._instruction(query, pair), pair.chosen.text, role, loss.text)


def textgrad(prompts: Path | None = None, **shape: Any) -> TextGrad:
    """TPO in the words of the installed textgrad package."""
    return _of("textgrad", prompts, shape)


def textgrad_revision(prompts: Path | None = None, **shape: Any) -> TextGrad:
    """The same without the rejected response: an ordinary TextGrad optimization of the best answer so far."""
    return _of("textgrad-revision", prompts, shape | {"shows_rejected": False})


def _of(name: str, prompts: Path | None, shape: dict[str, Any]) -> TextGrad:
    wording = load_wording("textgrad", prompts)
    return TextGrad(name=name, wording=wording, templates=load_templates(), **shape)
