"""Check of a policy's completions against the protocol, where they enter: a policy may be the user's own."""

from __future__ import annotations

from typing import Any, NoReturn

from tpo.errors import PolicyError
from tpo.types import Completion, Scope


def place_of(scope: Scope) -> str:
    """Return the place of *scope*, with which error messages begin."""
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}"


class CompletionCheck:
    """Check of the completions of one call of *policy* for *n* samples at *scope*."""

    def __init__(self, policy: object, n: int, scope: Scope) -> None:
        self.name = type(policy).__name__
        self._n = n
        self._scope = scope
        self._seen: set[int] = set()

    def take(self, completion: Any) -> Completion:
        """Return *completion* if it is the next one that the protocol allows.

        Raises:
            PolicyError: it is no completion, has no text, or an index that was not requested or came before.
        """
        if not isinstance(completion, Completion):
            self._refuse(f"must yield Completion values; it yielded {completion!r:.200}")
        index = completion.index
        if not isinstance(completion.text, str):
            self._refuse(f"must give texts; sample {index!r} is {completion.text!r:.200}")
        if not isinstance(index, int) or not 0 <= index < self._n:
            self._refuse(f"gave sample {index!r}; {self._n} were requested, from 0 to {self._n - 1}")
        if index in self._seen:
            self._refuse(f"gave sample {index} twice")
        self._seen.add(index)
        return completion

    def _refuse(self, fault: str) -> NoReturn:
        raise PolicyError(f"{place_of(self._scope)}: {self.name} {fault}")
