"""The model cards that lie beside the weights."""

from __future__ import annotations

from pathlib import Path

COMMON = """
## What it is not

It was trained from scratch on synthetic text of a few patterns and knows nothing else. It proves that the
machinery works with real weights, and what the loop does for a policy that can criticise better than it
writes; its figures say nothing about the paper or about models that people use. It writes wrong details and
rude lines on purpose: the loop needs something to mend. Do not use it to write notices.

## How it was made

`python -m training.make --out src/tpo/tiny` makes tokenizer, policy and reward on a CPU; `training/README.md`
tells how. All training text comes from the grammar in `training/` and the prompts of the methods, those of
the textgrad package included; no other text, model or data set took part. `python -m training.evaluate`
measures it; the figures of the shipped weights are in `training/results/pair.md`.

Weights are stored in float16 and load in float32 and float64 as well. The tokenizer is byte-level, so it
reads any text; the chat template writes the opening token itself.
"""

POLICY = """---
license: mit
library_name: transformers
pipeline_tag: text-generation
---
# Tiny policy

A `LlamaForCausalLM` of 2.5 million parameters (width 192, 5 layers, 4 heads of 64, vocabulary 2,048) for
tests and demonstrations of test-time preference optimization. It writes notices (invitations, announcements,
reminders, plans, programmes) from a list of 12 to 15 details such as

> Write an invitation: to Omar, event wedding, day Sunday, month June, time 5pm, place castle, guests 45,
> food cake, drink wine, music jazz, colour white, from Lily.

one line a detail, and a kind line. About a third of the details are wrong or missing at temperature 0.7; some
notices have an off-topic or a rude line. It also plays the other roles of the protocol, in the wording of the
shipped methods: it says of each detail what was asked, what stands there and whether it is right, gives one
instruction a line, rewrites a response by instructions, and makes one response of several. To most other
queries it answers with a short polite sentence.

About one update in twenty changes a line that no instruction names. It does not use the rejected response, so
`tpo` is no better than `revision`. One step mends nearly all faults, so further steps show little. At 1,000
and 1,750 tokens, `aggregate`, `ab-mcts`, `feedback-history` and `tmpc` are below best-of-n by its reward.
"""

REWARD = """---
license: mit
library_name: transformers
pipeline_tag: text-classification
---
# Tiny reward model

A `LlamaForSequenceClassification` of 2.5 million parameters with one label, for tests and demonstrations of
test-time preference optimization. It reads a query and a response through the chat template, and its number
is larger for the better response: details as the query has them, a kind line, no repeated, rude or off-topic
line. It began as the policy, whose three lower layers it keeps, and was trained by Bradley-Terry on shares of
votes, on synthetic responses and the policy's own. It errs as learned rewards do: of the pairs of the
policy's own first samples it orders one in six wrongly, so the best of many samples is worse than it seems.
Edits at random that it prefers raise it, and make the response worse (`docs/rewards.md`).
"""


def write_cards(folder: Path) -> None:
    """Write a ``README.md`` beside each model's weights."""
    for name, card in (("policy", POLICY), ("reward", REWARD)):
        (folder / name / "README.md").write_text(card + COMMON, "utf-8")
