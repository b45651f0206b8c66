"""How a recipe names a classifier in place of the embedded one.

``model = "folder"`` (see `models.encoder`), or a table with ``transformers`` or ``remote`` in it::

    [rules.settings.model]
    transformers = "/models/my-classifier"      # a folder, or a hub id with its revision
    attack = ["INJECTION"]
    thresholds = { balanced = 0.97 }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.classifier import Classifier
from guardrails_plugin.types import Origin

__all__ = ["ModelSettings", "RemoteSettings", "TransformersSettings", "load_classifier"]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_Probability = Annotated[float, Field(ge=0, le=1)]


class _Foreign(BaseModel):
    """What every classifier by others needs to be told.

    Attributes:
        attack: labels that mean an attack; their probabilities are added up.
        thresholds: probability at each operating point, for every origin: such a model is not told who wrote a text.
            There are none by default, because nobody but its maker, or ``guardrails-plugin eval --calibrate``, can tell
            what a score of this model means.
    """

    model_config = _STRICT

    attack: Annotated[frozenset[str], Field(min_length=1)]
    thresholds: Mapping[Literal["strict", "balanced", "permissive"], _Probability] = Field(default_factory=dict)


class TransformersSettings(_Foreign):
    """A sequence classifier of the ``transformers`` library, run in this process.

    Attributes:
        transformers: a local folder, or a hub id.
        revision: commit of a hub id, 40 hexadecimal digits; a name that can move is refused.
        download: whether a hub id may be fetched; else it must be in the local cache already.
        device: as torch names it; torch has to be installed for it.
        window_tokens: tokens a window, special ones included; the model's own limit when that is less.
        stride_tokens: from the start of a window to that of the next.
        batch: windows a forward pass.
    """

    transformers: str = Field(min_length=1)
    revision: str | None = None
    download: bool = False
    device: str = "cpu"
    window_tokens: int = Field(default=256, ge=16)
    stride_tokens: int = Field(default=192, ge=8)
    batch: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _pinned(self) -> TransformersSettings:
        if not Path(self.transformers).exists() and not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(f"revision: {self.transformers!r} is no local folder, so its commit is needed (40 hex)")
        if self.stride_tokens > self.window_tokens - 4:
            raise ValueError("stride_tokens: windows would leave gaps; expected less than window_tokens")
        return self


class RemoteSettings(_Foreign):
    """A classifier behind HTTP.

    Attributes:
        remote: base URL of the server.
        protocol: ``tei`` (``/predict``), ``vllm`` (``/classify``; SGLang too, with ``path``), ``kserve`` (V2 infer).
        path: in place of the protocol's own.
        model: name that the server knows the model by; vllm and kserve need it.
        version: of the model, where the server has several.
        labels: of each number in an answer, in order; vllm and kserve need them, tei names them itself.
        input: kserve: name of the input tensor.
        output: kserve: name of the output tensor, of shape [texts, labels].
        logits: kserve: the output holds logits, not probabilities.
        token_env: environment variable with a bearer token. Tokens do not belong into recipes.
        timeout: seconds for one request.
        retries: further tries after a failure that may pass (no connection, 408, 425, 429, 500, 502, 503, 504).
        batch: texts a request.
        window_chars: characters a window; a server truncates longer ones.
        stride_chars: from the start of a window to that of the next.
        breaker_failures: requests failing so in a row, after all tries, after which none is sent for a while; what the
            server refuses (400, 413, 422) does not count ...
        breaker_seconds: ... this long.
    """

    remote: str = Field(pattern=r"^https?://[^\s/]+")
    protocol: Literal["tei", "vllm", "kserve"]
    path: str | None = Field(default=None, pattern=r"^/")
    model: str = ""
    version: str = ""
    labels: tuple[str, ...] = ()
    input: str = "text"
    output: str = "probabilities"
    logits: bool = False
    token_env: str | None = None
    timeout: float = Field(default=10.0, gt=0)
    retries: int = Field(default=2, ge=0, le=10)
    batch: int = Field(default=32, ge=1)
    window_chars: int = Field(default=1_200, ge=64)
    stride_chars: int = Field(default=900, ge=32)
    breaker_failures: int = Field(default=5, ge=1)
    breaker_seconds: float = Field(default=30.0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> RemoteSettings:
        if self.protocol != "tei" and not self.model:
            raise ValueError(f"model: protocol {self.protocol!r} needs the name of the model")
        if self.protocol != "tei" and not self.attack <= set(self.labels):
            raise ValueError(f"labels: {self.protocol!r} answers bare numbers: name all, those of attack among them")
        if self.stride_chars > self.window_chars:
            raise ValueError("stride_chars: windows would leave gaps; expected at most window_chars")
        return self


def _chosen(value: Any) -> Any:
    """Which kind of model is meant, so that an error speaks of that kind alone."""
    if isinstance(value, Mapping):
        kinds: dict[str, type[_Foreign]] = {"transformers": TransformersSettings, "remote": RemoteSettings}
        meant = [kind for key, kind in kinds.items() if key in value]
        if len(meant) != 1:
            raise ValueError("expected a folder, or a table with either 'transformers' or 'remote'")
        return meant[0].model_validate(value)
    return value


ModelSettings = Annotated[Path | TransformersSettings | RemoteSettings, BeforeValidator(_chosen)]
"""A setting that names a classifier."""


def load_classifier(settings: Path | TransformersSettings | RemoteSettings) -> Classifier:
    """The classifier that a recipe asks for.

    Raises:
        ConfigError: an extra is missing, or the model cannot be loaded.
    """
    # Deferred: each brings a library of its own.
    if isinstance(settings, TransformersSettings):
        from guardrails_plugin.models.transformers_classifier import TransformersClassifier

        return TransformersClassifier(settings)
    if isinstance(settings, RemoteSettings):
        from guardrails_plugin.models.remote import RemoteClassifier

        return RemoteClassifier(settings)
    from guardrails_plugin.models.encoder import load_encoder

    return load_encoder(settings)


def named_threshold(thresholds: Mapping[Any, float], point: str, origin: Origin, model: str) -> float:
    """The threshold of a foreign model at an operating point, the same for every origin."""
    del origin
    if point not in thresholds:
        raise ConfigError(
            f"model {model!r} has no threshold for {point!r}: give thresholds = {{ {point} = ... }} in its settings, "
            f"or a number as the rule's threshold; `guardrails-plugin eval --calibrate` finds one"
        )
    return thresholds[point]
