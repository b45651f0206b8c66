"""Whether a work folder holds this very run, stopped before its end: with no other is gone on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training.config import STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from guardrails_plugin.training.config import TrainConfig
    from guardrails_plugin.training.data import Example

MARK = "fingerprint"
"""File that says of which rows and settings the work folder is."""


def claim(config: TrainConfig, rows: Iterable[Example]) -> None:
    """Marks the work folder as this run's.

    Raises:
        ConfigError: there is a run of other rows or settings, or one that left no mark.
    """
    mark, own = config.work / MARK, fingerprint(config, rows)
    begun = any((config.work / name).exists() for name in (STATE, "backbone"))
    if begun and not (mark.exists() and mark.read_text(encoding="ascii") == own):
        raise ConfigError(
            f"{config.work} holds a run of other rows or settings, with which this one cannot go on: "
            f"give another --out, or remove {config.work} to train anew"
        )
    mark.write_text(own, encoding="ascii")


def fingerprint(config: TrainConfig, rows: Iterable[Example]) -> str:
    """A digest of all that decides what a run learns: settings, the weights it starts from, its rows in their order."""
    base = "" if config.finished else config.base
    settings = (base, config.layers, config.cut, config.mixture, config.loop, config.taught, config.deeper)
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
    for path in _weights(config):
        digest.update(path.read_bytes())
    for row in rows:
        digest.update(repr((row.text, row.label, row.origin, row.also)).encode())
    return digest.hexdigest()


def _weights(config: TrainConfig) -> Iterator[Path]:
    folder = config.finished
    names = ("config.json", "model.onnx", "model.onnx.data")
    files = [folder / name for name in names] if folder else []
    files += [config.start] if config.start else []
    return (path for path in files if path.exists())
