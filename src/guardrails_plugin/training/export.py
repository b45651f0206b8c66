"""Writes a trained classifier as an int8 ONNX graph and measures what the rounding cost."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from guardrails_plugin.training.model import WindowClassifier
    from guardrails_plugin.training.windows import Row

OPSET = 17

_SMALL_TENSOR = 1024
"""Bytes below which a tensor stays in the graph."""


LEAST_CORRELATION = 0.98
"""Of the logits before and after rounding. Below, rounding moves a logit by more than a fifth of their own spread
(sqrt(1 / .98**2 - 1) = .20). The models of this package were shipped with .997 and .998."""


@dataclass(frozen=True, slots=True)
class QuantisationLoss:
    """Difference between the logits before and after rounding to int8."""

    rows: int
    largest: float
    mean: float
    correlation: float

    @property
    def small(self) -> bool:
        """Whether the graph says what the network said; a correlation that is no number tells nothing good."""
        return self.correlation >= LEAST_CORRELATION

    @property
    def warning(self) -> str:
        """What to say if it is not."""
        return (
            f"rounding to int8 changed the model: the correlation of its logits before and after is "
            f"{self.correlation:.3f}, and should be {LEAST_CORRELATION} or more. Do not use it unmeasured"
        )


def to_onnx(model: WindowClassifier, target: Path, *, optimise: bool = True) -> None:
    """Writes `model` to `target` with int8 weights, one scale a channel, and inputs of any shape.

    The weights are a file of their own beside it (``.data``): onnxruntime maps it instead of copying it, so that rows
    of the vocabulary that no text uses are never read, and processes share the rest (24 of 194 MB less at the peak).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        to_float_onnx(model, plain)
        source = _fused(plain) if optimise else plain
        rounded = Path(folder) / "rounded.onnx"
        quantize_dynamic(source, rounded, per_channel=True, weight_type=QuantType.QInt8)
        with_data_beside(rounded, target)


def with_data_beside(graph: Path, target: Path) -> None:
    """Writes a graph to `target` and its weights to a file beside it, with ``.data`` behind its name."""
    import onnx

    beside = target.with_name(f"{target.name}.data")
    beside.unlink(missing_ok=True)  # onnx would append
    loaded = onnx.load(str(graph))
    onnx.save_model(loaded, str(target), save_as_external_data=True, location=beside.name, size_threshold=_SMALL_TENSOR)
    beside.chmod(target.stat().st_mode)  # onnx makes it readable for its owner alone


def to_float_onnx(model: WindowClassifier, target: Path) -> None:
    """Writes `model` to `target` as fp32."""
    model.eval()
    ids = torch.full((2, 8), 5, dtype=torch.long)
    mask = torch.ones_like(ids)
    axes = {0: "windows", 1: "tokens"}
    names = ["logits", "embedding"]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.float(),
            (ids, mask),
            str(target),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=names,
            dynamic_axes={"input_ids": axes, "attention_mask": axes} | {name: {0: "windows"} for name in names},
        )


def _fused(plain: Path) -> Path:
    """The graph with constants folded, so that weights are plain initialisers which the quantiser sees."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    fused = plain.with_name("fused.onnx")
    options.optimized_model_filepath = str(fused)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    return fused


def session(path: Path, *, threads: int = 1) -> Any:
    """An onnxruntime session as the runtime opens it: one thread, no spinning."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def row_scores(runner: Any, rows: Sequence[Row]) -> NDArray[np.float32]:
    """The highest injection logit of every row, in the order of `rows`."""
    return row_logits(runner, rows)[:, 0]


def row_logits(runner: Any, rows: Sequence[Row]) -> NDArray[np.float32]:
    """The highest window logit of every row and label; one window a call, as costs least on CPU."""
    if not rows:
        return np.zeros((0, runner.get_outputs()[0].shape[1]), np.float32)
    return np.stack([np.max([_window_logits(runner, window) for window in row.windows], axis=0) for row in rows])


def _window_logits(runner: Any, window: Sequence[int]) -> NDArray[np.float32]:
    ids = np.asarray([window], np.int64)
    (logits,) = runner.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return np.asarray(logits[0], np.float32)


def quantisation_loss(before: NDArray[np.float32], after: NDArray[np.float32]) -> QuantisationLoss:
    """How far the logits of the same rows moved."""
    gap = np.abs(before - after)
    correlation = float(np.corrcoef(before, after)[0, 1]) if len(before) > 1 else 1.0
    return QuantisationLoss(len(before), float(gap.max()), float(gap.mean()), correlation)
