"""The training loop: bf16 autocast, AdamW, warm-up and linear decay, resumable checkpoints."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity
from tqdm import tqdm

from guardrails_plugin.training.heads import HEADS
from guardrails_plugin.training.model import WindowClassifier, collate, row_logits
from guardrails_plugin.training.windows import Row, batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guardrails_plugin.training.config import LoopConfig


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Windows of every text with what is wanted of them, found by a row's index.

    Args:
        rows: windows of the texts.
        labels: ``[texts, labels]``, NaN where nothing is known.
        pad_id: token that fills short windows.
        vectors: what the embedding of a text should be, for some texts.
    """

    rows: Sequence[Row]
    labels: NDArray[np.float32]
    pad_id: int
    vectors: Mapping[int, NDArray[np.float16]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did: steps taken of those planned, and texts seen (a text twice counts twice)."""

    steps: int
    planned: int
    texts: int


@dataclass(slots=True)
class _Progress:
    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0

    def add(self, loss: float) -> None:
        """One more step; the loss shown is a running mean over about fifty."""
        self.loss = loss if self.step == 0 else 0.98 * self.loss + 0.02 * loss
        self.step += 1


def fit(
    model: WindowClassifier,
    texts: TrainingSet,
    config: LoopConfig,
    *,
    checkpoint: Path | None = None,
) -> Report:
    """Trains `model` in place.

    Args:
        model: what is trained.
        texts: what it is trained on.
        config: rates, length and seed of the run.
        checkpoint: where state is kept; a run that finds one there goes on from it.
    """
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    optimizer = _optimizer(model, config)
    progress = _restore(checkpoint, model, optimizer)
    plan = list(_plan(texts.rows, config))
    began = time.monotonic() - progress.seconds
    kept = time.monotonic()
    model.train()
    with tqdm(total=len(plan), initial=progress.step, desc="train", unit="batch", mininterval=5.0) as bar:
        for batch in plan[progress.step :]:
            progress.seconds = time.monotonic() - began
            done = _done(progress, len(plan), config)
            if done >= 1.0:
                break
            _set_rate(optimizer, done, config)
            progress.add(_step(model, optimizer, texts, batch=batch, config=config))
            bar.update()
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            if checkpoint and time.monotonic() - kept > 60 * config.checkpoint_minutes:
                _keep(checkpoint, model, optimizer, progress)
                kept = time.monotonic()
    if checkpoint:
        _keep(checkpoint, model, optimizer, progress)
    return Report(progress.step, len(plan), sum(map(len, plan[: progress.step])))


def predict(
    model: WindowClassifier, rows: Sequence[Row], *, pad_id: int, tokens: int = 8192, bf16: bool = True
) -> NDArray[np.float32]:
    """The injection logit of every row, by the row's index."""
    logits = np.zeros(max(row.index for row in rows) + 1, np.float32)
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for batch in batches(rows, tokens=tokens):
            ids, mask, owner = collate(batch, pad_id)
            scores = row_logits(model(ids, mask)[0].float(), owner, len(batch))
            for row, score in zip(batch, scores[:, 0].tolist(), strict=True):
                logits[row.index] = score
    return logits


def _plan(rows: Sequence[Row], config: LoopConfig) -> Iterator[list[Row]]:
    for epoch in range(config.epochs):
        yield from batches(rows, tokens=config.batch_tokens, seed=config.seed + epoch)


def _done(progress: _Progress, steps: int, config: LoopConfig) -> float:
    """Share of the run behind us: by steps, or by the clock if that is further."""
    by_clock = 0.0 if config.minutes is None else progress.seconds / max(60 * config.minutes, 1e-9)
    return max(progress.step / steps, by_clock)


def _set_rate(optimizer: torch.optim.Optimizer, done: float, config: LoopConfig) -> None:
    factor = min(done / config.warmup, (1 - done) / (1 - config.warmup), 1.0) if config.warmup else 1 - done
    for group in optimizer.param_groups:
        group["lr"] = group["top_rate"] * max(factor, 1e-3)


def _step(
    model: WindowClassifier,
    optimizer: torch.optim.Optimizer,
    texts: TrainingSet,
    *,
    batch: list[Row],
    config: LoopConfig,
) -> float:
    ids, mask, owner = collate(batch, texts.pad_id)
    with torch.autocast("cpu", torch.bfloat16):
        window_logits, window_vectors = model(ids, mask)
    logits = row_logits(window_logits.float(), owner, len(batch))
    loss = _label_loss(logits, torch.from_numpy(texts.labels[[row.index for row in batch]]), config)
    loss = loss + config.embedding * _vector_loss(window_vectors.float(), batch, texts.vectors)
    value = float(loss.item())
    if not math.isfinite(value):
        raise FloatingPointError(f"loss is {value} at a batch of {len(batch)} rows")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    return value


def _label_loss(logits: Tensor, wanted: Tensor, config: LoopConfig) -> Tensor:
    """Cross entropy over what is known: of the first head, plus that of each other by its weight.

    Head by head: one with few rows would be drowned by one with many in a common mean.
    """
    known = ~wanted.isnan()
    target = wanted.nan_to_num(0.0) * (1 - config.smoothing) + config.smoothing / 2
    losses = binary_cross_entropy_with_logits(logits, target, reduction="none") * known
    total = torch.zeros(())
    at = 0
    for labels in HEADS.values():
        own = slice(at, at + len(labels))
        weight = 1.0 if at == 0 else config.other_heads
        total = total + weight * losses[:, own].sum() / known[:, own].sum().clamp(min=1)
        at += len(labels)
    return total


def _vector_loss(vectors: Tensor, batch: Sequence[Row], wanted: Mapping[int, NDArray[np.float16]]) -> Tensor:
    """Mean cosine distance to the wanted vectors, over texts of one window that have one."""
    places, rows, at = [], [], 0
    for row in batch:
        if len(row.windows) == 1 and row.index in wanted:
            places.append(at)
            rows.append(row.index)
        at += len(row.windows)
    if not places:
        return vectors.sum() * 0.0
    target = torch.from_numpy(np.stack([wanted[row] for row in rows]).astype(np.float32))
    return (1 - cosine_similarity(vectors[places], target)).mean()


def _optimizer(model: WindowClassifier, config: LoopConfig) -> torch.optim.Optimizer:
    decayed: list[Parameter] = []
    plain: list[Parameter] = []
    head: list[Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        (head if name.startswith(("head", "embed")) else decayed if parameter.ndim > 1 else plain).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay, "top_rate": config.learning_rate},
        {"params": plain, "weight_decay": 0.0, "top_rate": config.learning_rate},
        {"params": head, "weight_decay": config.weight_decay, "top_rate": config.head_rate},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _keep(path: Path, model: WindowClassifier, optimizer: torch.optim.Optimizer, progress: _Progress) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": progress.step,
        "seconds": progress.seconds,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(path: Path | None, model: WindowClassifier, optimizer: torch.optim.Optimizer) -> _Progress:
    if path is None or not path.exists():
        return _Progress()
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return _Progress(int(state["step"]), float(state["seconds"]))
