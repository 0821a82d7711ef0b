"""TextGrad's own loss and optimizer on one of our policies, with a journal: run it twice, pay once.

python examples/textgrad_engine.py                                    # scripted, no model needed
python examples/textgrad_engine.py http://127.0.0.1:8000/v1           # a server's model

Needs the extra: pip install 'tpo[textgrad]'
"""

from __future__ import annotations

import sys
from pathlib import Path

from tpo import Policy, Sampling, ScriptedPolicy, load_policy
from tpo.contrib.textgrad import PolicyEngine, import_textgrad
from tpo.policies.scripted import PolicyCall


def reply(call: PolicyCall, index: int) -> str:
    """What a model might say: a rewrite where TextGrad asks for its tags, else a critique."""
    if "<IMPROVED_VARIABLE>" not in str(call.messages):
        return "It never says what the thanks are for."
    better = ["Thank you for the scarf.", "Thank you, Mia, for the blue scarf. It is lovely."]
    return f"<IMPROVED_VARIABLE>{better[index % 2]}</IMPROVED_VARIABLE>"


def improve(policy: Policy, name: str, journal: Path, draft: str) -> str:
    """One step of textual gradient descent; of two answers to each call, the longer is taken."""
    tg = import_textgrad()
    sampling = Sampling(n=2, max_tokens=512)
    with PolicyEngine(
        policy, name=name, sampling=sampling, reward=lambda _, text: len(text), journal=journal
    ) as engine:
        note = tg.Variable(draft, role_description="thank-you note to Mia for a blue scarf")
        loss = tg.TextLoss("Judge this thank-you note. Be brief and critical.", engine=engine)(note)
        loss.backward(engine)
        tg.TGD([note], engine=engine).step()
    return str(note.value)


def main(arguments: list[str], journal: Path = Path("textgrad-calls")) -> None:
    """Improve one note, and show it."""
    policy = load_policy(arguments[0]) if arguments else ScriptedPolicy(reply)
    name = arguments[0] if arguments else "scripted"
    print(improve(policy, name, journal, "Thanks!"))


if __name__ == "__main__":
    main(sys.argv[1:])
