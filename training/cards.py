"""The model cards that lie beside the weights."""

from __future__ import annotations

from pathlib import Path

COMMON = """
## What it is not

It was trained from scratch on synthetic text of a few sentence patterns and knows nothing else. It proves
that the machinery works with real weights; its figures say nothing about the paper or about models that
people use. It writes wrong details and rude lines on purpose: the loop needs something to mend. Do not use
it to write messages.

## How it was made

`python -m training.make --out src/tpo/tiny` makes tokenizer, policy and reward on a CPU; `training/README.md`
tells how, and in which steps these very weights were made. All training text comes from the grammar in
`training/`; no other text, model or data set took part. `python -m training.evaluate` measures it; the
figures of the shipped weights are in `training/results/pair.md`.

Weights are stored in float16 and load in float32 and float64 as well. The tokenizer is byte-level, so it
reads any text; the chat template writes the opening token itself.
"""

POLICY = """---
license: mit
library_name: transformers
pipeline_tag: text-generation
---
# Tiny policy

A `LlamaForCausalLM` of 4.3 million parameters (width 256, 5 layers, 4 heads of 64, vocabulary 2,048) for
tests and demonstrations of test-time preference optimization. It writes short messages (invitations, thanks,
apologies, reminders, requests, congratulations, good wishes) from a query such as

> Invite Mia to a picnic on Sunday at 3 pm by the lake. It is from Leo.

with flaws at random: wrong or missing details, a missing greeting, kind line or closing, repeated, rude or
off-topic lines. It also plays the other roles of the protocol, in the wording of the shipped recipes: it says
point by point what is right and wrong with a response, gives instructions line by line, and rewrites a
response by instructions. To most other queries it answers with a short polite sentence, but a bare "Hello"
can still set it rambling.

An ordered change is made in nine of ten cases, and its own instructions mend more than they spoil: on
held-out queries an update by them is clearly better than one without any. Now and then its criticism leaves
a line out, or takes a wrong name for the right one.
"""

REWARD = """---
license: mit
library_name: transformers
pipeline_tag: text-classification
---
# Tiny reward model

A `LlamaForSequenceClassification` of 2.8 million parameters with one label, for tests and demonstrations of
test-time preference optimization. It reads a query and a response through the chat template, and its number
is larger for the better response: right details copied from the query, greeting, kind line and closing, no
repeated, rude or off-topic line. It began as the policy's lower layers and was trained by Bradley-Terry on
noisy votes, on synthetic responses and the policy's own; it errs as learned rewards do.
"""


def write_cards(folder: Path) -> None:
    """Write a ``README.md`` beside each model's weights."""
    for name, card in (("policy", POLICY), ("reward", REWARD)):
        (folder / name / "README.md").write_text(card + COMMON, "utf-8")
