"""Takes a finished artifact up again: its int8 graph becomes a network that can be trained further.

The weights are those of the graph times their scales, so the network begins where the artifact stands (but for the
rounding of activations), with all its heads. This is how the model in the wheel is tuned on examples of one's own.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training import growth
from guardrails_plugin.training.backbone import FAST, Backbone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Weights = dict[str, torch.Tensor]
Settings = dict[str, Any]

HEAD_SIZE = 32
"""Width of an attention head where the artifact does not say how many there are: that of all MiniLM-like encoders."""

_SUFFIXES = ("_quantized", "_scale", "_zero_point")
_LAYERS = re.compile(r"\d+(?= of 12 layers)")
_OPERATIONS = ("MatMulInteger", "Gemm", "MatMul")


def take_up(folder: Path, *, deeper: bool = False) -> tuple[Backbone, Weights, Settings]:
    """The backbone of an artifact, the weights of its whole network (`WindowClassifier`), and its ``config.json``.

    Args:
        folder: of the artifact.
        deeper: with two layers more (`growth`).
    """
    settings = json.loads((folder / "config.json").read_text())
    weights = {name: torch.from_numpy(array) for name, array in _read(folder / "model.onnx").items()}
    if deeper:
        weights = growth.deepened(weights)
    own = {name.removeprefix("encoder."): value for name, value in weights.items() if name.startswith("encoder.")}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoder = BertModel(_config(own, tokenizer, settings), add_pooling_layer=False)
    missing, unexpected = encoder.load_state_dict(own, strict=False)
    wrong = [name for name in (*missing, *unexpected) if "position_ids" not in name]
    if wrong:
        raise ConfigError(f"model {folder.name!r} was not trained by this package: no or unknown {wrong[:3]}")
    layers = str(encoder.config.num_hidden_layers)
    name = _LAYERS.sub(layers, str(settings.get("backbone", settings["id"])))
    licence = str(settings.get("licence", "")).rpartition("backbone: ")[2] or "see its model card"
    return Backbone(name, encoder, tokenizer, licence), weights, settings


def _config(weights: Mapping[str, torch.Tensor], tokenizer: Tokenizer, settings: Mapping[str, Any]) -> BertConfig:
    words, size = weights["embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    pads = (tokenizer.token_to_id(name) for name in ("<pad>", "[PAD]"))
    return BertConfig(
        vocab_size=words,
        hidden_size=size,
        num_hidden_layers=len(layers),
        num_attention_heads=int(settings.get("attention_heads", max(1, size // HEAD_SIZE))),
        intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
        layer_norm_eps=float(settings.get("layer_norm_eps", 1e-12)),
        pad_token_id=next((pad for pad in pads if pad is not None), 0),
        **FAST,
    )


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Weights of the graph by the names that torch gave them."""
    import onnx  # deferred: only this function needs it
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    names = {name.removesuffix("_quantized") for name in values if name.endswith("_quantized")}
    full = {name: _widened(values, name) for name in names}
    full |= {name: value for name, value in values.items() if not name.endswith(_SUFFIXES)}
    found = {name: array for name, array in full.items() if name.endswith((".bias", "LayerNorm.weight", "gs.weight"))}
    for node in graph.node:
        weight = next((name.removesuffix("_quantized") for name in node.input[1:2]), "")
        if node.op_type in _OPERATIONS and weight in full and full[weight].ndim > 1:
            module = node.name.strip("/").rpartition("/")[0].replace("/", ".")
            found[f"{module}.weight"] = np.ascontiguousarray(full[weight].T)
    return {name: np.array(array, np.float32) for name, array in found.items() if array.ndim}


def _widened(values: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Rounded weights back in their own scale; one scale a column, or one for all."""
    rounded = values[f"{name}_quantized"].astype(np.float32) - values[f"{name}_zero_point"].astype(np.float32)
    return np.asarray(rounded * values[f"{name}_scale"], np.float32)
