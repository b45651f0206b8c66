"""A model folder is complete, or its loading says what is missing: weights lie in a file beside the graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails_plugin import ConfigError
from guardrails_plugin.models.encoder import EMBEDDED, Encoder

DATA = "model.onnx.data"


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer; numbers and lengths under 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    content = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(content)]) + content


def graph() -> bytes:
    """An ONNX model that adds one float, which stands in another file, to its input (fields: ``onnx.proto``)."""
    one_float = field(1, field(1, 1) + field(2, field(1, field(1, 1))))
    place = field(13, field(1, "location") + field(2, DATA)) + field(14, 1)
    weight = field(1, 1) + field(2, 1) + field(8, "w") + place
    node = field(1, "x") + field(1, "w") + field(2, "logits") + field(4, "Add")
    values = field(11, field(1, "x") + field(2, one_float)) + field(12, field(1, "logits") + field(2, one_float))
    return field(1, 8) + field(7, field(1, node) + field(2, "g") + field(5, weight) + values) + field(8, field(2, 17))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All files of a model, its graph a tiny one."""
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((EMBEDDED / name).read_bytes())
    (tmp_path / "model.onnx").write_bytes(graph())
    (tmp_path / DATA).write_bytes(bytes(4))
    return tmp_path


def test_a_folder_with_all_files_is_loaded(folder: Path) -> None:
    assert Encoder(folder).version


@pytest.mark.parametrize("missing", [DATA, "model.onnx", "config.json"])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(ConfigError, match=rf"cannot be loaded.*{missing}\b"):
        Encoder(folder)


def test_a_missing_tokenizer_is_a_wrong_setting_too(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Encoder(folder)


def test_weights_that_were_cut_off_are_not_read(folder: Path) -> None:
    (folder / DATA).write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Encoder(folder)
