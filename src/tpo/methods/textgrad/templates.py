"""TextGrad's templates put together as TextGrad does it for one response and one loss.

What stands here is the order of the parts alone; every word comes from the installed package. The prompts
are those of ``TextLoss(instruction)(response)``, ``loss.backward()`` and ``TGD([response]).step()``, the
response being a ``Variable`` that requires a gradient; constraints are those of ``TGD`` (a test compares).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tpo.methods.textgrad.installed import installed_version, moved, package_folder, run_file
from tpo.types import Messages, plain_text, system, user

ENDS_SHOWN = 10
"""Words at each end of a long variable that TextGrad shows where it quotes it in short."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of a response: what it was told to look at, the response, its role and the verdict."""

    instruction: str
    response: str
    role: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Templates:
    """The texts of an installed textgrad; made by :func:`load_templates`, which proves that they fit."""

    version: str
    backward: ModuleType
    optimizer: ModuleType
    defaults: ModuleType

    @property
    def opening(self) -> str:
        """The tag before an improved variable, as the update's prompt names it."""
        found = re.search(r"<\w+>", self.optimizer.TGD_PROMPT_SUFFIX)
        if found is None:
            raise moved("its update prompt names no tag", self.version)
        return found[0]

    @property
    def closing(self) -> str:
        """The tag behind an improved variable."""
        return self.opening.replace("<", "</")

    def gradient(self, evaluation: Evaluation) -> Messages:
        """Ask for feedback to the response; no feedback to the verdict itself is known."""
        at, values = self.backward, self._values(evaluation)
        parts = (
            at.CONVERSATION_START_INSTRUCTION_BASE,
            at.OBJECTIVE_INSTRUCTION_BASE,
            at.EVALUATE_VARIABLE_INSTRUCTION,
        )
        request = "".join(part.format(conversation=self._conversation(values), **values) for part in parts)
        return (system(at.BACKWARD_SYSTEM_PROMPT), user(request))

    def update(self, evaluation: Evaluation, feedback: str, constraints: Sequence[str] = ()) -> Messages:
        """Ask for the response improved by *feedback*, within *constraints*."""
        at, values = self.optimizer, self._values(evaluation)
        tags = {"new_variable_start_tag": self.opening, "new_variable_end_tag": self.closing}
        gradient = at.GRADIENT_TEMPLATE.format(
            feedback=feedback, context=self._conversation(values), **_descriptions(values)
        )
        request = at.construct_tgd_prompt(
            variable_desc=values["variable_desc"],
            variable_short=values["variable_short"],
            variable_value=evaluation.response,
            variable_grad=gradient,
            do_constrained=bool(constraints),
            constraint_text="\n".join(f"Constraint {i}: {text}" for i, text in enumerate(constraints, 1)),
            in_context_examples="",
            gradient_memory="",
            **tags,
        )
        return (system(at.OPTIMIZER_SYSTEM_PROMPT.format(**tags)), user(request))

    def read(self, reply: str) -> tuple[str | None, bool]:
        """The improved response as TextGrad cuts it out of *reply*, and whether its closing tag was there.

        It stands behind the first opening tag, up to the closing one, or up to whatever comes first of
        another opening tag and the end. None where no tag opens.
        """
        pieces = reply.split(self.opening)
        if len(pieces) == 1:
            return None, False
        response, closed, _ = pieces[1].partition(self.closing)
        return response.strip(), bool(closed)

    @property
    def digest(self) -> str:
        """A short hash that changes when any text of the two calls does."""
        specimen = Evaluation("instruction", "response", "role", "verdict")
        said = self.gradient(specimen) + self.update(specimen, "feedback", ["constraint"])
        joined = "\0".join([*map(plain_text, said), self.opening])
        return hashlib.sha256(joined.encode()).hexdigest()[:16]

    def _values(self, evaluation: Evaluation) -> dict[str, str]:
        return {
            "system_prompt": evaluation.instruction,
            "prompt": evaluation.response,
            "response_value": evaluation.verdict,
            "response_desc": self.defaults.VARIABLE_OUTPUT_DEFAULT_ROLE,
            "variable_desc": evaluation.role,
            "variable_short": in_short(evaluation.response),
        }

    def _conversation(self, values: dict[str, str]) -> str:
        return str(self.backward.CONVERSATION_TEMPLATE.format(**values))


def load_templates(folder: Path | None = None) -> Templates:
    """The templates of the installed textgrad, or of its files in *folder*; tried out before they are given.

    Raises:
        MissingExtra: textgrad is not installed.
        ConfigError: its names are other than in the version that was tested.
    """
    found = installed_version()
    folder = folder or package_folder()
    files = ("autograd/llm_backward_prompts.py", "optimizer/optimizer_prompts.py", "defaults.py")
    templates = Templates(found, *(run_file(folder, name) for name in files))
    try:
        _ = templates.digest
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise moved(f"its prompts have other names ({type(error).__name__}: {error})", found) from error
    return templates


def in_short(text: str) -> str:
    """*text*, or where it is long the words at its two ends: what TextGrad quotes of a variable."""
    words = text.split(" ")
    if len(words) <= 2 * ENDS_SHOWN:
        return text
    return " ".join([*words[:ENDS_SHOWN], "(...)", *words[-ENDS_SHOWN:]])


def _descriptions(values: dict[str, str]) -> dict[str, str]:
    return {name: values[name] for name in ("response_desc", "variable_desc")}
