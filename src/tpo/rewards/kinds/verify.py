"""``--reward verify:NAME``: checks by program, told by the row or by the kind's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tpo.errors import ConfigError
from tpo.registry import ModelOptions, ModelSpec
from tpo.rewards.base import Reward
from tpo.user_objects import files_digest

if TYPE_CHECKING:
    from tpo.rewards.verify.reward import Check

NAMES = ("ifeval", "json", "regex", "python")


@dataclass(frozen=True)
class VerifyOptions:
    """Options of the verifiers.

    Attributes:
        schema: file with the JSON Schema of ``verify:json``.
        schema_column: column with a row's own schema, where no file is named.
        pattern: regular expression of ``verify:regex``.
        pattern_column: column with a row's own expressions, where none is given.
        tests_column: column with a row's tests, for ``verify:python``.
        seconds: time limit of a response's code and tests together.
        memory_mb: memory limit of the same, in megabytes.
    """

    schema: str | None = None
    schema_column: str = "schema"
    pattern: str | None = None
    pattern_column: str = "pattern"
    tests_column: str = "tests"
    seconds: float = 10.0
    memory_mb: int = 1024


@dataclass(frozen=True)
class Verify(ModelSpec[Reward]):
    """A verifier by name."""

    usage: ClassVar[str] = "verify:NAME"
    summary: ClassVar[str] = "checks by program: ifeval, json, regex, or python to run the row's tests"
    Options: ClassVar[type | None] = VerifyOptions

    def check(self, option: str) -> None:
        """Refuse a name that is no verifier's."""
        if self.value not in NAMES:
            raise ConfigError(f"{option} {self.name}: unknown; there are verify:{', verify:'.join(NAMES)}")

    def resolve(self, options: ModelOptions) -> None:
        """Find the libraries and the files that the checks need."""
        _checks(self.value, _options(options))

    def build(self, options: ModelOptions) -> Reward:
        """Make the reward."""
        from tpo.rewards.verify import VerifierReward

        return VerifierReward(_checks(self.value, _options(options)), self.name, self.columns(options))

    def columns(self, options: ModelOptions) -> Mapping[str, bool]:
        """Return the columns that tell what to check; options may take their place."""
        own = _options(options)
        if self.value == "json":
            return {own.schema_column: False} if own.schema is None else {}
        if self.value == "regex":
            return {own.pattern_column: True} if own.pattern is None else {}
        if self.value == "python":
            return {own.tests_column: True, "entry_point": False}
        from tpo.rewards.verify.ifeval import ARGUMENTS, IDS

        return {IDS: True, ARGUMENTS: True}

    def details(self, options: ModelOptions) -> dict[str, Any]:
        """Return a digest of the schema's file."""
        schema = _options(options).schema
        return {} if schema is None else {"schema": files_digest([Path(schema)])}


def _options(options: ModelOptions) -> VerifyOptions:
    return options.own if isinstance(options.own, VerifyOptions) else VerifyOptions()


def _checks(name: str, own: VerifyOptions) -> Check:
    """Return the checks *name*; one function a verifier, each importing what it needs."""
    if name == "json":
        from tpo.rewards.verify.text_checks import JsonChecks, read_schema

        return JsonChecks(None if own.schema is None else read_schema(Path(own.schema)), own.schema_column)
    if name == "regex":
        from tpo.rewards.verify.text_checks import RegexChecks

        return RegexChecks(own.pattern, own.pattern_column)
    if name == "python":
        from tpo.rewards.verify.python_tests import PythonTests

        return PythonTests(own.tests_column, own.seconds, own.memory_mb)
    from tpo.rewards.verify.ifeval import ifeval_checks, load_checks

    load_checks()
    return ifeval_checks
