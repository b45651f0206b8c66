"""A small text classifier on onnxruntime: windows, calibrated probabilities. No network, no torch.

A model is a folder with ``model.onnx``, ``tokenizer.json`` and ``config.json`` (see `EncoderConfig`). Long texts are
read in overlapping windows and count as their worst window.
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
from pydantic import BaseModel, ConfigDict, ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Origin

__all__ = ["Document", "Encoder", "EncoderConfig", "Reading", "load_encoder"]

_REMEMBERED = 4096
"""Windows whose logits are kept: agents send the same messages again with every step."""


class Calibration(BaseModel):
    """p = sigmoid(a * logit + b)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    a: float
    b: float


class EncoderConfig(BaseModel):
    """``config.json`` of a model folder.

    Attributes:
        origins: what the model is told about who wrote the text, as the first segment of the pair.
        calibration: from logit to probability, by origin.
        thresholds: probability at each operating point, by origin.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    version: str
    window_tokens: int
    stride_tokens: int
    origins: dict[str, str]
    calibration: dict[str, Calibration]
    thresholds: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Document:
    """A text to classify and who wrote it."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reading:
    """The worst window of a document: its probability and its characters."""

    probability: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    ids: tuple[int, ...]
    start: int
    end: int


class Encoder:
    """A loaded model. Thread-safe; deterministic.

    Args:
        folder: with model.onnx, tokenizer.json and config.json.
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
        self._frames = {name: self._frame(words) for name, words in self.config.origins.items()}
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._lock = Lock()

    def read(self, documents: Sequence[Document]) -> list[Reading]:
        """The worst window of every document, in order."""
        windows = [window for index, doc in enumerate(documents) for window in self._windows(index, doc)]
        readings = [Reading(0.0, 0, len(document.text)) for document in documents]
        for window, logit in zip(windows, self._logits([window.ids for window in windows]), strict=True):
            probability = self._calibrated(logit, documents[window.document].origin)
            if probability > readings[window.document].probability:
                readings[window.document] = Reading(probability, window.start, window.end)
        return readings

    def threshold(self, point: str, origin: Origin) -> float:
        """The probability at an operating point."""
        try:
            return self.config.thresholds[point][self._voice(origin)]
        except KeyError:
            valid = ", ".join(self.config.thresholds)
            raise ConfigError(f"model {self.config.id!r} has no operating point {point!r}; valid: {valid}") from None

    def _voice(self, origin: Origin) -> str:
        return origin.value if origin.value in self.config.origins else Origin.USER.value

    def _calibrated(self, logit: float, origin: Origin) -> float:
        scale = self.config.calibration[self._voice(origin)]
        return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, scale.a * logit + scale.b))))

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

    def _logits(self, windows: Sequence[tuple[int, ...]]) -> list[float]:
        keys = [hashlib.blake2b(np.asarray(ids, np.int32).tobytes(), digest_size=16).digest() for ids in windows]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: ids for key, ids in zip(keys, windows, strict=True) if key not in known}
        known |= {key: self._forward(ids) for key, ids in missing.items()}
        with self._lock:
            for key in missing:
                self._known[key] = known[key]
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return [known[key] for key in keys]

    def _forward(self, window: tuple[int, ...]) -> float:
        """One window a pass: on CPU a batch is no faster (measured), and dynamic int8 scales depend on the batch."""
        ids = np.asarray([window], np.int64)
        outputs: Any = self._session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return float(outputs[0][0][0])


@cache
def load_encoder(folder: Path) -> Encoder:
    """The model in a folder, loaded once per process.

    Raises:
        ConfigError: files are missing or do not fit together.
    """
    return Encoder(folder)
