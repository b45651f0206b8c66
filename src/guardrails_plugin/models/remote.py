"""A classifier behind HTTP in place of the embedded model: Text Embeddings Inference, vLLM, KServe V2 (Triton).

Needs the extra ``remote`` (httpx). Requests that may succeed later are tried again; a server that keeps failing them is
left alone for a while, so that guarded traffic fails at once instead of waiting for a timeout each. Wire formats:
TEI OpenAPI 1.7 ``/predict``, vLLM ``/classify``, Open Inference Protocol V2 ``/v2/models/{model}/infer``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic, sleep
from typing import Any

from guardrails_plugin.errors import ConfigError, DetectorError
from guardrails_plugin.models.classifier import Document, Reading
from guardrails_plugin.models.settings import RemoteSettings, named_threshold
from guardrails_plugin.types import Origin

__all__ = ["RemoteClassifier"]

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a server in trouble, which may be gone at the next try."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
"""Seconds before the second try, doubled each time; and the most that a server may ask for (Retry-After)."""

_NAME = "prompt_injection"


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    text: str
    start: int


class RemoteClassifier:
    """See `Classifier`. Every failure is a `DetectorError` that says what went wrong and holds no text.

    Raises:
        ConfigError: the extra or the token is missing.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        try:
            import httpx
        except ModuleNotFoundError:
            raise ConfigError("a remote model needs httpx: pip install 'guardrails-plugin[remote]'") from None
        self._settings = settings
        self._httpx = httpx
        self._url = settings.remote.rstrip("/") + (settings.path or _path(settings))
        self._client = httpx.Client(timeout=settings.timeout, headers=_headers(settings), follow_redirects=False)
        self._breaker = _Breaker(settings.breaker_failures, settings.breaker_seconds)

    @property
    def id(self) -> str:
        """See `Classifier`: the model's name, or the host."""
        return self._settings.model or str(self._httpx.URL(self._settings.remote).host)

    @property
    def version(self) -> str:
        """See `Classifier`."""
        return self._settings.version or "remote"

    def threshold(self, point: str, origin: Origin) -> float:
        """See `Classifier`."""
        return named_threshold(self._settings.thresholds, point, origin, self.id)

    def read(self, documents: Sequence[Document]) -> list[Reading]:
        """See `Classifier`."""
        windows = [window for index, document in enumerate(documents) for window in self._windows(index, document.text)]
        readings = [Reading(0.0, 0, len(document.text)) for document in documents]
        for first in range(0, len(windows), self._settings.batch):
            batch = windows[first : first + self._settings.batch]
            for window, probability in zip(batch, self._asked([window.text for window in batch]), strict=True):
                if probability > readings[window.document].probability:
                    end = window.start + len(window.text)
                    readings[window.document] = Reading(probability, window.start, end)
        return readings

    def _windows(self, index: int, text: str) -> list[_Window]:
        size, stride = self._settings.window_chars, self._settings.stride_chars
        firsts = range(0, max(len(text) - (size - stride), 1), stride)
        # A lone surrogate cannot travel as UTF-8.
        plain = text.encode("utf-8", "replace").decode()
        return [_Window(index, plain[first : first + size], first) for first in firsts if text]

    def _asked(self, texts: Sequence[str]) -> list[float]:
        """One probability per text of a batch."""
        self._breaker.check()
        try:
            shares = _parsed(self._settings, self._answer(_request(self._settings, texts)), len(texts))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration):
            raise DetectorError(_NAME, f"{self._settings.protocol} server: answer has another form") from None
        return [self._probability(own) for own in shares]

    def _probability(self, shares: dict[str, float]) -> float:
        unknown = self._settings.attack - shares.keys()
        if unknown:
            raise DetectorError(
                _NAME, f"remote model has no label {min(unknown)!r}; it has {', '.join(sorted(shares))}"
            )
        total = sum(shares[label] for label in self._settings.attack)
        if not -1e-6 <= total <= 1 + 1e-3:
            raise DetectorError(_NAME, "remote model answered no probabilities")
        return min(1.0, max(0.0, total))

    def _answer(self, body: Any) -> Any:
        response = self._response(body)
        # A server that refuses a text is there: texts that it can read must not wait because of others.
        self._breaker.answered()
        if response.status_code != 200:
            raise DetectorError(_NAME, f"{self._settings.protocol} server: HTTP {response.status_code}")
        return response.json()

    def _response(self, body: Any) -> Any:
        """A response that no further try would change."""
        wait, failure = _FIRST_WAIT, ""
        for tried in range(self._settings.retries + 1):
            if tried:
                sleep(min(wait, _LONGEST_WAIT))
            wait = _FIRST_WAIT * 2**tried
            try:
                response = self._client.post(self._url, json=body)
            except self._httpx.HTTPError as error:
                failure = type(error).__name__
                continue
            if response.status_code not in _PASSING:
                return response
            failure = f"HTTP {response.status_code}"
            wait = _asked_wait(response.headers.get("retry-after")) or wait
        self._breaker.failed()
        raise DetectorError(_NAME, f"{self._settings.protocol} server: {failure}")


class _Breaker:
    """Counts failures in a row; after too many, refuses for a while, then lets one through to see."""

    def __init__(self, failures: int, seconds: float) -> None:
        self._most, self._seconds = failures, seconds
        self._failures = 0
        self._until = 0.0
        self._lock = Lock()

    def check(self) -> None:
        with self._lock:
            if self._failures < self._most:
                return
            if monotonic() < self._until:
                raise DetectorError(_NAME, "remote server failed repeatedly and is left alone for a while")
            self._until = monotonic() + self._seconds  # the others wait while one tries

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._until = monotonic() + self._seconds

    def answered(self) -> None:
        with self._lock:
            self._failures = 0


def _headers(settings: RemoteSettings) -> dict[str, str]:
    if settings.token_env is None:
        return {}
    token = os.environ.get(settings.token_env, "")
    if not token:
        raise ConfigError(f"remote model: environment variable {settings.token_env!r} (token_env) is not set")
    return {"authorization": f"Bearer {token}"}


def _path(settings: RemoteSettings) -> str:
    if settings.protocol == "kserve":
        version = f"/versions/{settings.version}" if settings.version else ""
        return f"/v2/models/{settings.model}{version}/infer"
    return {"tei": "/predict", "vllm": "/classify"}[settings.protocol]


def _request(settings: RemoteSettings, texts: Sequence[str]) -> Any:
    if settings.protocol == "tei":
        return {"inputs": [[text] for text in texts], "raw_scores": False, "truncate": True}
    if settings.protocol == "vllm":
        return {"model": settings.model, "input": list(texts)}
    tensor = {"name": settings.input, "shape": [len(texts), 1], "datatype": "BYTES", "data": list(texts)}
    return {"inputs": [tensor], "outputs": [{"name": settings.output}]}


def _parsed(settings: RemoteSettings, answer: Any, texts: int) -> list[dict[str, float]]:
    """Share of every label, one mapping per text."""
    parse = {"tei": _parsed_tei, "vllm": _parsed_vllm, "kserve": _parsed_kserve}[settings.protocol]
    shares = parse(settings, answer)
    if len(shares) != texts:
        raise ValueError(f"{len(shares)} answers for {texts} texts")
    return shares


def _parsed_tei(_: RemoteSettings, answer: Any) -> list[dict[str, float]]:
    return [{str(row["label"]): float(row["score"]) for row in rows} for rows in answer]


def _parsed_vllm(settings: RemoteSettings, answer: Any) -> list[dict[str, float]]:
    rows = sorted(answer["data"], key=lambda row: int(row["index"]))
    shares = [dict(zip(settings.labels, map(float, row["probs"]), strict=True)) for row in rows]
    for row, own in zip(rows, shares, strict=True):
        if own[str(row["label"])] < max(own.values()):
            raise ValueError("labels are in another order than the server's")
    return shares


def _parsed_kserve(settings: RemoteSettings, answer: Any) -> list[dict[str, float]]:
    tensor = next(row for row in answer["outputs"] if row["name"] == settings.output)
    size = len(settings.labels)
    if int(tensor["shape"][-1]) != size:
        raise ValueError(f"{tensor['shape']} for {size} labels")
    values = [float(value) for value in tensor["data"]]
    rows = [values[at : at + size] for at in range(0, len(values), size)]
    return [dict(zip(settings.labels, _softmax(row) if settings.logits else row, strict=True)) for row in rows]


def _asked_wait(header: str | None) -> float | None:
    """Seconds of a Retry-After header; dates are not waited for."""
    try:
        return max(0.0, float(header or ""))
    except ValueError:
        return None


def _softmax(logits: Sequence[float]) -> list[float]:
    highest = max(logits)
    parts = [math.exp(value - highest) for value in logits]
    return [part / sum(parts) for part in parts]
