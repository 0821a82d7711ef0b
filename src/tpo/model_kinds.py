"""Base classes of model kinds: a checkpoint in this process, a model behind servers, a Python function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tpo.errors import ConfigError
from tpo.inprocess.formats import gguf_refusal
from tpo.registry import ModelOptions, ModelSpec, is_url, refuse_secrets
from tpo.user_objects import load_object, source_digest

ModelT_co = TypeVar("ModelT_co", covariant=True)


@dataclass(frozen=True)
class CheckpointSpec(ModelSpec[ModelT_co]):
    """``hf:ID-OR-PATH``: a checkpoint in Hugging Face format, in this process."""

    usage: ClassVar[str] = "hf:ID-OR-PATH"

    @property
    def location(self) -> str:
        """The directory or hub id of the checkpoint."""
        return self.value

    def short_name(self, options: ModelOptions) -> str:
        """Return the directory's name, or the hub id without its organization."""
        del options
        return self.location.rstrip("/").rpartition("/")[2]

    def check(self, option: str) -> None:
        """Refuse a name without a checkpoint."""
        if not self.location:
            raise ConfigError(f"{option} {self.name}: name a model, as in {self.usage}")

    def resolve(self, options: ModelOptions) -> None:
        """Refuse a GGUF file and a path that is no directory; a hub id is looked up at load."""
        del options
        if (foreign := gguf_refusal(str(Path(self.location).expanduser()))) is not None:
            raise ConfigError(foreign)
        if _is_path(self.location) and not Path(self.location).expanduser().is_dir():
            raise ConfigError(f"{self.name}: no such directory; name a checkpoint's directory or a hub id")


@dataclass(frozen=True)
class ServedSpec(ModelSpec[ModelT_co]):
    """``KIND:URL[,URL...][#MODEL]``: one model behind one server or several."""

    key_variable: ClassVar[str]
    """The environment variable that holds the servers' key."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers' base URLs."""
        return tuple(url for url in self.value.partition("#")[0].split(",") if url)

    @property
    def model(self) -> str | None:
        """The model's name at the servers, if the name tells it."""
        return self.value.partition("#")[2] or None

    def check(self, option: str) -> None:
        """Refuse what is no URL, and URLs that hold a secret."""
        for url in self.urls:
            refuse_secrets(option, url, self.key_variable)
        if not self.urls or not all(map(is_url, self.urls)):
            raise ConfigError(
                f"{option} {self.name}: write the server's URL, as in {self.kind}:http://127.0.0.1:8001"
            )

    def identity(self, options: ModelOptions) -> str:
        """A named model may move to another server; of an unnamed one only the address is known."""
        del options
        return self.name if self.model is None else f"{self.kind}:#{self.model}"


@dataclass(frozen=True)
class FunctionSpec(ModelSpec[ModelT_co]):
    """``python:MODULE:FUNCTION``: the user's own Python."""

    usage: ClassVar[str] = "python:MODULE:FUNCTION"
    summary: ClassVar[str] = "a Python function of your own"
    noun: ClassVar[str]
    """Role of the function in errors: ``policy`` or ``reward``."""

    @property
    def source(self) -> str | None:
        """A digest of the module's source."""
        return source_digest(self.value.partition(":")[0])

    def check(self, option: str) -> None:
        """Refuse a name without a module or a function."""
        module, _, path = self.value.partition(":")
        if not (module and path):
            raise ConfigError(f"{option} {self.name}: write {self.usage}")

    def resolve(self, options: ModelOptions) -> None:
        """Import the module and look the function up."""
        del options
        self.load()

    def load(self) -> Any:
        """Import what the name means.

        Raises:
            ConfigError: there is no such module or function, or the module fails as it is imported.
        """
        self.check(self.noun)
        return load_object(self.value, f"{self.noun} {self.name}")


def _is_path(location: str) -> bool:
    """Return whether *location* can be no id of the hub, which is ``NAME`` or ``ORGANIZATION/NAME``."""
    return location.startswith((".", "/", "~")) or location.count("/") > 1
