"""Every option of a run, defined once.

The command line, the environment variables, the TOML keys and the table in the documentation all follow from
the fields of :class:`Settings`. This module imports nothing heavy, so that ``--help`` is quick; values are
checked in :mod:`tpo.config.sources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from tpo.config.option import Option, read_options

TINY = "tiny"
"""The name of the embedded pair, as policy and as reward."""

CONCURRENCY = 64
MAX_TOKENS = 2048
TINY_MAX_TOKENS = 256
"""The embedded policy replies in under 150 tokens; its context must hold a whole conversation."""

MODELS = "Models"
METHOD = "Method"
SAMPLING = "Sampling"
DATA = "Data and results"
RUNNING = "Running"
SCALE = "Several machines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of a run. API keys are not among them: they come from the environment alone."""

    policy: Annotated[
        tuple[str, ...],
        Option(
            help="Policy model: {kinds}. Repeat it for several servers of one model.",
            group="tpo.policies",
            panel=MODELS,
            metavar="MODEL",
            default="tiny",
            docs="[Policies](policies.md).",
        ),
    ] = (TINY,)
    model: Annotated[
        str | None,
        Option(
            help="Model name at the server.",
            panel=MODELS,
            metavar="NAME",
            default="the only model that the server lists",
        ),
    ] = None
    policy_extra: Annotated[
        dict[str, Any],
        Option(
            help="Fields added to each request to the policy server, such as '{\"top_k\": 20}'.",
            panel=MODELS,
            metavar="JSON",
        ),
    ] = field(default_factory=dict)
    chat_template_kwargs: Annotated[
        dict[str, Any],
        Option(
            help="Values for the policy's chat template, such as '{\"enable_thinking\": false}'.",
            panel=MODELS,
            metavar="JSON",
        ),
    ] = field(default_factory=dict)
    critic: Annotated[
        tuple[str, ...],
        Option(
            help="Model of the critic, which writes losses and gradients, named as --policy. Repeat it for"
            " several servers.",
            panel=MODELS,
            metavar="MODEL",
            default="the policy",
            docs="[Roles](policies.md#roles).",
        ),
    ] = ()
    critic_model: Annotated[
        str | None,
        Option(
            help="Model name at the critic's server.",
            panel=MODELS,
            metavar="NAME",
            default="the only model that the server lists",
        ),
    ] = None
    critic_extra: Annotated[
        dict[str, Any],
        Option(help="Fields added to each request to the critic's server.", panel=MODELS, metavar="JSON"),
    ] = field(default_factory=dict)
    editor: Annotated[
        tuple[str, ...],
        Option(
            help="Model of the editor, which writes updates, named as --policy. Repeat it for several"
            " servers.",
            panel=MODELS,
            metavar="MODEL",
            default="the policy",
            docs="[Roles](policies.md#roles).",
        ),
    ] = ()
    editor_model: Annotated[
        str | None,
        Option(
            help="Model name at the editor's server.",
            panel=MODELS,
            metavar="NAME",
            default="the only model that the server lists",
        ),
    ] = None
    editor_extra: Annotated[
        dict[str, Any],
        Option(help="Fields added to each request to the editor's server.", panel=MODELS, metavar="JSON"),
    ] = field(default_factory=dict)
    reward: Annotated[
        tuple[str, ...],
        Option(
            help="Reward model: {kinds}. #NAME after a URL names the model there. Repeat it for an ensemble.",
            group="tpo.rewards",
            panel=MODELS,
            metavar="MODEL",
            default="tiny, for the tiny policy only",
            docs="[Rewards](rewards.md).",
        ),
    ] = (TINY,)
    check_reward: Annotated[
        str | None,
        Option(
            help="Second reward, named as --reward, that guides nothing: where it falls, the method exploits"
            " its reward.",
            panel=MODELS,
            metavar="MODEL",
            docs="[Over-optimization](rewards.md#over-optimization).",
        ),
    ] = None
    combine: Annotated[
        Literal["mean", "min", "lcb"],
        Option(
            help="How an ensemble combines rewards: mean, min, or lcb (mean minus the standard deviation).",
            panel=MODELS,
            metavar="HOW",
        ),
    ] = "mean"
    reward_weights: Annotated[
        dict[str, float],
        Option(
            help="Weights of an ensemble's rewards by name, 1 unless given: '{\"verify:json\": 2}'.",
            panel=MODELS,
            metavar="JSON",
            docs="[Weights](rubrics.md#weights-and-gates).",
        ),
    ] = field(default_factory=dict)
    gate: Annotated[
        tuple[str, ...],
        Option(
            help="Reward that acts as a gate: a response that fails it ranks below every response that"
            " passes. Repeatable.",
            panel=MODELS,
            metavar="MODEL",
            docs="[Gates](rubrics.md#gates).",
        ),
    ] = ()
    calibration: Annotated[
        Path | None,
        Option(
            help="File with the scales of an ensemble's rewards: read if it exists, else written.",
            panel=MODELS,
            metavar="FILE",
        ),
    ] = None
    reward_tokenizer: Annotated[
        str | None,
        Option(
            help="Tokenizer of a vllm: reward: an id or a directory; none sends messages.",
            panel=MODELS,
            metavar="ID-OR-PATH",
            default="the one that the server names",
        ),
    ] = None
    rubric: Annotated[
        Path | None,
        Option(
            help="Text file with a judge's criteria.",
            panel=MODELS,
            metavar="FILE",
            default="a built-in rubric",
        ),
    ] = None
    votes: Annotated[
        int,
        Option(
            help="Samples per score of a judge whose server returns no log-probabilities.",
            panel=MODELS,
            metavar="K",
            ge=1,
        ),
    ] = 5
    kind_options: Annotated[
        dict[str, dict[str, Any]],
        Option(
            help='Options of model kinds that other packages add, by kind: \'{"KIND": {"NAME": VALUE}}\'.',
            panel=MODELS,
            metavar="JSON",
            docs="[Kinds of your own](library.md#kinds-of-your-own).",
        ),
    ] = field(default_factory=dict)
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        Option(
            help="Data type of models in this process: float32, bfloat16 or float16.",
            panel=MODELS,
            metavar="TYPE",
            default="bfloat16 on CUDA, float32 on a CPU",
        ),
    ] = None
    device: Annotated[
        str | None,
        Option(
            help="Device of models in this process: cpu, cuda, cuda:1 or mps; auto for all GPUs,"
            " cuda:0,cuda:1 for these.",
            panel=MODELS,
            metavar="NAME",
            default="the fastest available",
            docs="[Several GPUs](rewards.md#several-gpus).",
        ),
    ] = None
    trust_remote_code: Annotated[
        bool,
        Option(help="Run Python code that comes with an hf: model, with your rights.", panel=MODELS),
    ] = False

    method: Annotated[
        str,
        Option(
            help="Method: {kinds}, or MODULE:CLASS (your own).",
            group="tpo.methods",
            panel=METHOD,
            metavar="NAME",
            docs="[Methods](methods.md).",
        ),
    ] = "tpo"
    sample_size: Annotated[
        int, Option(help="N: responses per step.", panel=METHOD, metavar="N", short="-n", ge=1)
    ] = 5
    max_iterations: Annotated[
        int,
        Option(
            help="D: iterations after the first samples; 0 is best-of-N.",
            panel=METHOD,
            metavar="D",
            short="-d",
            ge=0,
        ),
    ] = 2
    prompts: Annotated[
        Path | None,
        Option(
            help="Directory of prompt texts that replace the method's.",
            panel=METHOD,
            metavar="DIR",
        ),
    ] = None

    target_reward: Annotated[
        float | None,
        Option(
            help="Stop a query at the next step once its best reward is at least this.",
            panel=METHOD,
            metavar="R",
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None
    plateau: Annotated[
        int | None,
        Option(
            help="Stop a query when K steps together have not improved its best reward.",
            panel=METHOD,
            metavar="K",
            ge=1,
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None
    plateau_share: Annotated[
        float,
        Option(
            help="Improvement that --plateau counts, as a share of the standard deviation of the pool's"
            " rewards.",
            panel=METHOD,
            metavar="SHARE",
            ge=0,
        ),
    ] = 0.1
    token_budget: Annotated[
        int | None,
        Option(
            help="Stop a query before a step that would exceed this many weighted tokens.",
            panel=METHOD,
            metavar="TOKENS",
            ge=1,
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None
    token_weights: Annotated[
        dict[str, Any],
        Option(
            help="Weights of --token-budget for prompt tokens, prompt tokens from the server's cache and"
            " completion tokens: prompt, cached, completion.",
            panel=METHOD,
            metavar="JSON",
            default='{"prompt": 1, "cached": 0.1, "completion": 1}',
        ),
    ] = field(default_factory=dict)
    sample_cost: Annotated[
        float | None,
        Option(
            help="Draw the first samples in rounds, until one more is expected to raise the best reward by"
            " less than this many standard deviations.",
            panel=METHOD,
            metavar="COST",
            gt=0,
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None
    when_needed: Annotated[
        Path | None,
        Option(
            help="Optimize a query only if its first samples promise a gain, by this file of tpo tune.",
            panel=METHOD,
            metavar="FILE",
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None
    stop: Annotated[
        dict[str, Any],
        Option(
            help="Further stopping rules with their values, such as '{\"module:Rule\": 3}'.",
            panel=METHOD,
            metavar="JSON",
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = field(default_factory=dict)
    deadline: Annotated[
        float | None,
        Option(
            help="Stop a query this many seconds after its start; the best response so far is the answer.",
            panel=METHOD,
            metavar="SECONDS",
            gt=0,
            docs="[Stopping rules](methods.md#stopping-rules).",
        ),
    ] = None

    fallback: Annotated[
        Literal["none", "best-of-n", "revision"],
        Option(
            help="Use of a query's remaining budget when no update of its first step is readable: none,"
            " best-of-n or revision.",
            panel=METHOD,
            metavar="HOW",
            docs="[Fallback](methods.md#fallback).",
        ),
    ] = "none"

    select: Annotated[
        str,
        Option(
            help="Choice of the answer from the pool: {kinds}, or MODULE:CLASS (your own).",
            group="tpo.selection",
            panel=METHOD,
            metavar="NAME",
            docs="[Selection](methods.md#selection).",
        ),
    ] = "reward"
    select_judge: Annotated[
        str | None,
        Option(
            help="Server of --select tournament: a language model that compares two responses; #NAME after"
            " the URL names the model there.",
            panel=METHOD,
            metavar="URL",
            docs="[Selection](methods.md#selection).",
        ),
    ] = None

    temperature: Annotated[
        float,
        Option(help="Sampling temperature; 0 is greedy.", panel=SAMPLING, metavar="T", ge=0),
    ] = 0.7
    top_p: Annotated[
        float,
        Option(
            help="Nucleus sampling of responses; loss and gradient calls use the method's own value.",
            panel=SAMPLING,
            metavar="P",
            gt=0,
            le=1,
        ),
    ] = 0.95
    max_tokens: Annotated[
        int,
        Option(
            help="Maximum tokens per completion.",
            panel=SAMPLING,
            metavar="K",
            default=f"{MAX_TOKENS}; {TINY_MAX_TOKENS} for tiny",
            ge=1,
        ),
    ] = MAX_TOKENS
    critique_temperature: Annotated[
        float,
        Option(
            help="Sampling temperature of loss and gradient calls, which --temperature leaves as it is.",
            panel=SAMPLING,
            metavar="T",
            ge=0,
        ),
    ] = 0.7
    seed: Annotated[
        int,
        Option(
            help="Random seed; the seed of every call derives from it.",
            panel=SAMPLING,
            metavar="SEED",
        ),
    ] = 7

    column: Annotated[
        str | None,
        Option(
            help="Column or key with the prompt or the messages.",
            panel=DATA,
            metavar="NAME",
            default="prompt, else messages",
        ),
    ] = None
    template: Annotated[
        str | None,
        Option(
            help="Prompt text with columns in braces, such as '{instruction}\\n\\n{input}'.",
            panel=DATA,
            metavar="TEXT",
            docs="[Data](data.md).",
        ),
    ] = None
    system: Annotated[
        str | None,
        Option(help="System text of conversations that have none.", panel=DATA, metavar="TEXT"),
    ] = None
    delimiter: Annotated[
        str | None,
        Option(
            help="Delimiter of CSV files: a character, or tab, comma, semicolon, pipe.",
            panel=DATA,
            metavar="D",
            default="detected",
        ),
    ] = None
    skip_invalid: Annotated[
        bool, Option(help="Skip rows that cannot be read instead of refusing the data.", panel=DATA)
    ] = False
    drop_last_assistant: Annotated[
        bool, Option(help="Drop assistant turns at the end of a conversation.", panel=DATA)
    ] = False
    limit: Annotated[
        int | None, Option(help="Maximum number of queries, from the first.", panel=DATA, metavar="K", ge=1)
    ] = None
    out: Annotated[
        Path | None,
        Option(
            help="Run directory.",
            panel=DATA,
            metavar="DIR",
            default="in runs/, named after the options",
        ),
    ] = None

    concurrency: Annotated[
        int,
        Option(
            help="Maximum queries in flight, and calls in flight per server; at least twice --sequences"
            " by default.",
            panel=RUNNING,
            metavar="K",
            ge=1,
        ),
    ] = CONCURRENCY
    sequences: Annotated[
        int | None,
        Option(
            help="Sequences that the servers run at a time (vLLM's --max-num-seqs); other calls wait.",
            panel=RUNNING,
            metavar="K",
            ge=1,
            docs="[How calls wait](performance.md#how-calls-wait).",
        ),
    ] = None
    timeout: Annotated[
        float,
        Option(
            help="Read timeout of a server in seconds; it must outlast the longest completion.",
            panel=RUNNING,
            metavar="SECONDS",
            gt=0,
        ),
    ] = 1200.0
    retry_timeout: Annotated[
        float,
        Option(
            help="Seconds during which a failing request is retried; 0 never retries.",
            panel=RUNNING,
            metavar="SECONDS",
            former=("patience",),
            ge=0,
            docs="[Failures](failures.md).",
        ),
    ] = 300.0
    quiet: Annotated[bool, Option(help="Print the result only.", panel=RUNNING, short="-q")] = False

    shard: Annotated[
        str | None,
        Option(
            help="Run one of COUNT shards of the data, from 1/COUNT to COUNT/COUNT; tpo merge joins them.",
            panel=SCALE,
            metavar="NUMBER/COUNT",
            docs="[Shards](scale.md#shards).",
        ),
    ] = None

    ray: Annotated[
        str | None,
        Option(
            help="Run on the Ray cluster at ADDRESS; without one on the running cluster, else here.",
            panel=SCALE,
            metavar="[ADDRESS]",
            bare="auto",
            docs="[Ray](scale.md#ray).",
        ),
    ] = None
    workers: Annotated[
        str,
        Option(
            help="Ray workers: a number, or MIN:MAX for a pool that grows and shrinks.",
            panel=SCALE,
            metavar="NUMBER",
        ),
    ] = "1"
    worker_cpus: Annotated[
        float, Option(help="CPUs that Ray reserves for a worker.", panel=SCALE, metavar="K", ge=0)
    ] = 1.0
    worker_gpus: Annotated[
        float, Option(help="GPUs that Ray reserves for a worker.", panel=SCALE, metavar="K", ge=0)
    ] = 0.0
    block_size: Annotated[
        int,
        Option(
            help="Queries per block, which one Ray worker runs at a time.",
            panel=SCALE,
            metavar="K",
            ge=1,
        ),
    ] = 512
    keep_parts: Annotated[
        bool,
        Option(
            help="Leave the trajectories of a run on Ray in its blocks, with an index, instead of one file.",
            panel=SCALE,
            docs="[Parts](scale.md#parts).",
        ),
    ] = False

    @property
    def uses_tiny(self) -> bool:
        """Return whether the embedded policy or reward is used."""
        return TINY in self.policy or TINY in self.reward

    @property
    def policy_fields(self) -> dict[str, Any]:
        """The fields added to each request to the policy: ``policy_extra`` and ``chat_template_kwargs``."""
        if not self.chat_template_kwargs:
            return self.policy_extra
        name = "chat_template_kwargs"
        return self.policy_extra | {name: self.policy_extra.get(name, {}) | self.chat_template_kwargs}

    def to_json(self) -> dict[str, Any]:
        """Return every value as plain JSON, for a run's record."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {name: str(value) for name, value in values.items() if isinstance(value, Path)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return values | plain | lists


OPTIONS = read_options(Settings)
"""The settings by name."""

DATA_OPTIONS = ("column", "template", "system", "delimiter", "skip_invalid", "drop_last_assistant", "limit")
"""Settings that tell how a data set is read."""

FORMER: Mapping[str, str] = {old: new for new, each in OPTIONS.items() for old in each.option.former}
"""The current name of each former name."""
