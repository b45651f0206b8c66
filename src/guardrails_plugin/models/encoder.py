"""A small text encoder on onnxruntime with several heads: one pass, windows, calibrated probabilities.

A model is a folder with ``model.onnx``, its weights beside it (``model.onnx.data``, if they are not in the graph),
``tokenizer.json`` and ``config.json`` (see `EncoderConfig`), perhaps ``kinds.npz`` (see `models.kinds`). Long texts are
read in overlapping windows and count as their worst window; their embedding is the mean of their windows'. What a
window gave is remembered, so that a second head asking about the same text costs nothing. No network, no torch.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.classifier import Document, Reading
from guardrails_plugin.models.kinds import load_kinds
from guardrails_plugin.types import Origin

__all__ = ["EMBEDDED", "Document", "Encoder", "EncoderConfig", "Reading", "load_encoder"]

EMBEDDED = Path(__file__).parent / "injection"
"""The model in the wheel."""

_REMEMBERED = 4096
"""Windows whose logits are kept: agents send the same messages again with every step."""


class Calibration(BaseModel):
    """p = sigmoid(a * logit + b)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    a: float
    b: float


class LabelConfig(Calibration):
    """One label of a further head: its calibration, and its probability at each operating point."""

    thresholds: dict[str, float]


class EncoderConfig(BaseModel):
    """``config.json`` of a model folder.

    Attributes:
        origins: what the model is told about who wrote the text, as the first segment of the pair.
        calibration: from logit to probability, by origin.
        thresholds: probability at each operating point, by origin.
        heads: all labels by head, in the order of the graph's logits.
        labels: calibrated labels of further heads; without `heads` in the order of the logits behind the first one.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    version: str
    window_tokens: int
    stride_tokens: int
    origins: dict[str, str]
    calibration: dict[str, Calibration]
    thresholds: dict[str, dict[str, float]]
    heads: dict[str, tuple[str, ...]] = {}
    labels: dict[str, LabelConfig] = {}

    def column(self, label: str) -> int:
        """Of a further head's label, among the graph's logits."""
        logits = [name for names in self.heads.values() for name in names] or ["", *self.labels]
        return logits.index(label)


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    ids: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Output:
    """What the graph says of a window: a logit a label, and an embedding if it has one."""

    logits: tuple[float, ...]
    embedding: NDArray[np.float32] | None


class Encoder:
    """A loaded model. Thread-safe; deterministic.

    Args:
        folder: with model.onnx, its weights, tokenizer.json and config.json.
    """

    def __init__(self, folder: Path) -> None:
        # Deferred: together half of the package's import time, and only needed where a model runs.
        import onnxruntime
        from tokenizers import Tokenizer

        try:
            self.config = EncoderConfig.model_validate_json((folder / "config.json").read_bytes())
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # parallelism comes from workers; more threads cost more CPU (measured)
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except ValidationError as error:
            raise ConfigError(f"model {folder.name!r}: config.json: {error.errors()[0]['msg']}") from None
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all mean the files are wrong
            raise ConfigError(f"model {folder.name!r} cannot be loaded: {type(error).__name__}: {error}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._kinds = load_kinds(folder)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._frames = {name: self._frame(words) for name, words in self.config.origins.items()}
        self._known: OrderedDict[bytes, _Output] = OrderedDict()
        self._lock = Lock()

    @property
    def id(self) -> str:
        """See `Classifier`."""
        return self.config.id

    @property
    def version(self) -> str:
        """See `Classifier`."""
        return self.config.version

    def read(self, documents: Sequence[Document]) -> list[Reading]:
        """The worst window of every document by the first head, in order; its kind where the model's folder tells."""
        return self._worst(documents, self._windows_of(documents))

    def read_labels(self, documents: Sequence[Document], labels: Sequence[str]) -> list[dict[str, Reading]]:
        """The worst window of every document by each of these labels of further heads, in order."""
        windows = self._windows_of(documents)
        by_label = {label: self._worst(documents, windows, label) for label in labels}
        return [{label: by_label[label][index] for label in labels} for index in range(len(documents))]

    def embed(self, documents: Sequence[Document]) -> NDArray[np.float32]:
        """Unit vectors ``[documents, dimensions]``, more alike for texts of like meaning, in any language.

        How well: ``training.meaning``; alone too little for topics (`detectors.topic_vectors`).
        A document without words has a zero vector.

        Raises:
            ConfigError: the model has no embeddings.
        """
        if "embedding" not in self._outputs:
            raise ConfigError(f"model {self.config.id!r} has no embeddings")
        sums = np.zeros((len(documents), self._session.get_outputs()[1].shape[1]), np.float32)
        windows = self._windows_of(documents)
        for window, output in zip(windows, self._read([window.ids for window in windows]), strict=True):
            sums[window.document] += output.embedding
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.where(lengths > 0, lengths, 1), np.float32)

    def forget(self) -> None:
        """Drops what earlier windows gave, so that they are read again: for measurements."""
        with self._lock:
            self._known.clear()

    def threshold(self, point: str, origin: Origin) -> float:
        """The probability at an operating point."""
        try:
            return self.config.thresholds[point][self._voice(origin)]
        except KeyError:
            valid = ", ".join(self.config.thresholds)
            raise ConfigError(f"model {self.config.id!r} has no operating point {point!r}; valid: {valid}") from None

    def label_threshold(self, point: str, label: str) -> float:
        """The probability of a further head's label at an operating point."""
        self._column(label)
        try:
            return self.config.labels[label].thresholds[point]
        except KeyError:
            valid = ", ".join(self.config.labels[label].thresholds)
            raise ConfigError(f"label {label!r} has no operating point {point!r}; valid: {valid}") from None

    def _column(self, label: str) -> int:
        if label not in self.config.labels:
            valid = ", ".join(self.config.labels) or "none"
            raise ConfigError(f"model {self.config.id!r} has no label {label!r}; valid: {valid}")
        return self.config.column(label)

    def _windows_of(self, documents: Sequence[Document]) -> list[_Window]:
        return [window for index, document in enumerate(documents) for window in self._windows(index, document)]

    def _worst(
        self, documents: Sequence[Document], windows: Sequence[_Window], label: str | None = None
    ) -> list[Reading]:
        column = 0 if label is None else self._column(label)
        readings = [Reading(0.0, 0, len(document.text)) for document in documents]
        for window, output in zip(windows, self._read([window.ids for window in windows]), strict=True):
            scale = self._scale(label, documents[window.document].origin)
            probability = _sigmoid(scale.a * output.logits[column] + scale.b)
            if probability > readings[window.document].probability:
                kind = self._kinds.of(output.embedding) if self._kinds and label is None else ""
                readings[window.document] = Reading(probability, window.start, window.end, kind)
        return readings

    def _scale(self, label: str | None, origin: Origin) -> Calibration:
        return self.config.calibration[self._voice(origin)] if label is None else self.config.labels[label]

    def _voice(self, origin: Origin) -> str:
        return origin.value if origin.value in self.config.origins else Origin.USER.value

    def _frame(self, words: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Token ids before and behind a window: ``[CLS] who [SEP]`` and ``[SEP]``, or as the tokenizer has it."""
        pair = self._tokenizer.encode(words, "x")
        content = [index for index, sequence in enumerate(pair.sequence_ids) if sequence == 1]
        return tuple(pair.ids[: content[0]]), tuple(pair.ids[content[-1] + 1 :])

    def _windows(self, index: int, document: Document) -> Iterator[_Window]:
        encoded = self._tokenizer.encode(document.text, add_special_tokens=False)
        before, behind = self._frames[self._voice(document.origin)]
        ids, offsets, total = encoded.ids, encoded.offsets, len(encoded.ids)
        size, stride = self.config.window_tokens - len(before) - len(behind), self.config.stride_tokens
        for start in range(0, max(total - (size - stride), 1), stride):
            end = min(start + size, total)
            if start < end:
                yield _Window(index, (*before, *ids[start:end], *behind), offsets[start][0], offsets[end - 1][1])

    def _read(self, windows: Sequence[tuple[int, ...]]) -> list[_Output]:
        keys = [hashlib.blake2b(np.asarray(ids, np.int32).tobytes(), digest_size=16).digest() for ids in windows]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
            for key in known:
                self._known.move_to_end(key)
        missing = {key: ids for key, ids in zip(keys, windows, strict=True) if key not in known}
        known |= {key: self._forward(ids) for key, ids in missing.items()}
        with self._lock:
            for key in missing:
                self._known[key] = known[key]
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return [known[key] for key in keys]

    def _forward(self, window: tuple[int, ...]) -> _Output:
        """One window a pass: on CPU a batch is no faster (measured), and dynamic int8 scales depend on the batch."""
        ids = np.asarray([window], np.int64)
        outputs: Any = self._session.run(self._outputs, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        found = dict(zip(self._outputs, outputs, strict=True))
        embedding = found.get("embedding")
        return _Output(tuple(found["logits"][0].tolist()), None if embedding is None else embedding[0])


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, value))))


@cache
def load_encoder(folder: Path) -> Encoder:
    """The model in a folder, loaded once per process.

    Raises:
        ConfigError: files are missing or do not fit together.
    """
    return Encoder(folder)
