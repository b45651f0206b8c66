"""Any Hugging Face sequence classifier in place of the embedded model. Needs the extra ``transformers``.

Nothing is downloaded unless the settings say so, no code of a model repository is ever run, and a model from a hub
needs the commit it is at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.classifier import Document, Reading
from guardrails_plugin.models.settings import TransformersSettings, named_threshold
from guardrails_plugin.types import Origin

__all__ = ["TransformersClassifier"]


@dataclass(frozen=True, slots=True)
class _Window:
    document: int
    ids: list[int]
    start: int
    end: int


class TransformersClassifier:
    """See `Classifier`. Texts are cut into windows of tokens and count as their worst window.

    Raises:
        ConfigError: the extra is missing, the model cannot be loaded, or it has no such labels.
    """

    def __init__(self, settings: TransformersSettings) -> None:
        self._settings = settings
        self._torch, self._tokenizer, self._model = _loaded(settings)
        labels = {int(index): str(label) for index, label in self._model.config.id2label.items()}
        unknown = settings.attack - set(labels.values())
        if unknown:
            raise ConfigError(
                f"model {settings.transformers!r}: unknown label {', '.join(sorted(unknown))} in attack; "
                f"valid: {', '.join(labels.values())}"
            )
        self._attack = [index for index, label in labels.items() if label in settings.attack]
        self._frame = self._special_tokens()
        self._size = self._window_size()
        # Tokenizers keep truncation and padding as state, and a model on one device gains nothing from two threads.
        self._lock = Lock()

    @property
    def id(self) -> str:
        """See `Classifier`: the last part of the folder or hub id."""
        return self._settings.transformers.rstrip("/").rpartition("/")[2]

    @property
    def version(self) -> str:
        """See `Classifier`: the commit, or "local"."""
        return (self._settings.revision or "local")[:12]

    def threshold(self, point: str, origin: Origin) -> float:
        """See `Classifier`."""
        return named_threshold(self._settings.thresholds, point, origin, self.id)

    def read(self, documents: Sequence[Document]) -> list[Reading]:
        """See `Classifier`."""
        with self._lock:
            windows = [window for index, doc in enumerate(documents) for window in self._windows(index, doc.text)]
            # Sorted by length, so that little is padded.
            order = sorted(range(len(windows)), key=lambda number: len(windows[number].ids))
            readings = [Reading(0.0, 0, len(document.text)) for document in documents]
            for first in range(0, len(order), self._settings.batch):
                batch = [windows[number] for number in order[first : first + self._settings.batch]]
                for window, probability in zip(batch, self._probabilities(batch), strict=True):
                    if probability > readings[window.document].probability:
                        readings[window.document] = Reading(probability, window.start, window.end)
        return readings

    def _windows(self, index: int, text: str) -> Iterator[_Window]:
        encoded = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        before, behind = self._frame
        size = self._size - len(before) - len(behind)
        stride = min(self._settings.stride_tokens, size)
        for first in range(0, max(len(ids) - (size - stride), 1), stride):
            end = min(first + size, len(ids))
            if first < end:
                yield _Window(index, [*before, *ids[first:end], *behind], offsets[first][0], offsets[end - 1][1])

    def _probabilities(self, batch: Sequence[_Window]) -> list[float]:
        torch = self._torch
        longest = max(len(window.ids) for window in batch)
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*window.ids, *[pad] * (longest - len(window.ids))] for window in batch])
        mask = torch.tensor([[1] * len(window.ids) + [0] * (longest - len(window.ids)) for window in batch])
        with torch.inference_mode():
            device = self._model.device
            logits = self._model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float().cpu()
        # One output is a logistic score, several are a softmax.
        shares = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
        return [min(1.0, float(value)) for value in shares[:, self._attack].sum(dim=1)]

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """What stands before and behind the tokens of a text."""
        example = self._tokenizer("x")
        own = [place for place, sequence in enumerate(example.sequence_ids(0)) if sequence is not None]
        ids = example["input_ids"]
        return ids[: own[0]], ids[own[-1] + 1 :]

    def _window_size(self) -> int:
        limits = [self._settings.window_tokens, int(self._tokenizer.model_max_length)]
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions:
            # RoBERTa numbers positions from behind the padding id.
            limits.append(int(positions) - (self._tokenizer.pad_token_id or 0) - 1)
        return max(min(limits), len(self._frame[0]) + len(self._frame[1]) + 1)


def _loaded(settings: TransformersSettings) -> tuple[Any, Any, Any]:
    name, local = settings.transformers, not settings.download
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ModuleNotFoundError as error:
        raise ConfigError(f"model {name!r} needs {error.name}: pip install 'guardrails-plugin[transformers]'") from None
    options = {"revision": settings.revision, "local_files_only": local, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, **options)
        model = AutoModelForSequenceClassification.from_pretrained(name, **options).eval()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        hint = " (downloads are off: download = true)" if local and not Path(name).exists() else ""
        raise ConfigError(f"model {name!r} cannot be loaded: {type(error).__name__}{hint}") from None
    if not tokenizer.is_fast:
        raise ConfigError(f"model {name!r} has no fast tokenizer; offsets of its windows cannot be told")
    try:
        return torch, tokenizer, model.to(settings.device)
    except (AssertionError, RuntimeError, ValueError) as error:  # a torch without CUDA asserts that it has it
        message = f"model {name!r}: device {settings.device!r} cannot be used ({type(error).__name__}); valid here: "
        raise ConfigError(message + ", ".join(_devices(torch))) from None


def _devices(torch: Any) -> list[str]:
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    return ["cpu", *(name for name, available in there.items() if available())]
