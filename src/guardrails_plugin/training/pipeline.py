"""From files of labelled texts to an artifact: mixture, training, calibration, export, model card."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.evaluation.split import normal_form
from guardrails_plugin.training import (
    backbone,
    data,
    head_rows,
    heads,
    loop,
    mining,
    mixture,
    resume,
    shipped,
    teacher,
    windows,
)
from guardrails_plugin.training.artifact import check_held_back, write_artifact
from guardrails_plugin.training.config import OTHER_TASKS, REPORT, STATE, TOXICITY
from guardrails_plugin.training.model import WindowClassifier, blend, freeze_embeddings, mean, warm_start

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from guardrails_plugin.training.config import TrainConfig
    from guardrails_plugin.training.data import Example

HELD_SOURCES = ("osv-advisory", "TruthfulQA", "MedicationQA", "debian-handbook", "sotu")
"""Benign sources that are never trained on, so that thresholds are set on sources the model has not seen."""

REHEARSED_HEADS = 3
"""Of so many rehearsed rows one more is drawn for the further heads."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All examples of a run by what they are for; `own` are the distinct hand-written ones that are trained on."""

    train: list[Example]
    dev: list[Example]
    held_back_own: list[Example]
    held_back_benign: list[Example]
    heads: head_rows.HeadRows = head_rows.NOTHING
    blind: Sequence[Example] = ()
    own: Sequence[Example] = ()


def train(config: TrainConfig) -> Path:
    """Runs everything and returns the artifact folder."""
    torch.set_num_threads(config.threads)
    config.work.mkdir(parents=True, exist_ok=True)
    corpus = load_corpus(config)
    if not config.finished:
        check_held_back(corpus)
    if not config.runs:
        resume.claim(config, [*corpus.train, *corpus.heads.train])
    base, weights, settings = prepared(config, corpus)
    model = WindowClassifier(base.encoder)
    if weights:
        warm_start(model, weights)
    freeze_embeddings(model)
    before = {name: value.clone() for name, value in model.state_dict().items()} if config.keep else {}
    if config.runs:
        _take_mean(model, config.runs)
    else:
        _fit(model, base, corpus, config)
    if config.keep:
        blend(model, before, config.keep)
    return write_artifact(model, base, corpus, config, previous=settings)


def prepared(config: TrainConfig, corpus: Corpus) -> tuple[backbone.Backbone, shipped.Weights, shipped.Settings]:
    """The backbone; weights and settings to begin with, if there are any: of an earlier run or a finished artifact."""
    if config.finished:
        return shipped.take_up(config.finished, deeper=config.deeper)
    return prepared_backbone(config, corpus), _weights(config.start) if config.start else {}, {}


def _weights(path: Path) -> shipped.Weights:
    try:
        weights: shipped.Weights = torch.load(path, map_location="cpu", weights_only=True)["model"]
    except Exception as error:  # torch's reader raises whatever the bytes lead it to
        raise ConfigError(f"{path} is not what a training left: {type(error).__name__}") from error
    return weights


def _take_mean(model: WindowClassifier, runs: Sequence[Path]) -> None:
    try:
        model.load_state_dict(mean([_weights(path) for path in runs]))
    except (KeyError, RuntimeError) as error:
        raise ConfigError(
            "the runs at --runs have another encoder or other labels than one another or --base; "
            "valid: runs that began with the same --base"
        ) from error


def load_corpus(config: TrainConfig) -> Corpus:
    """Reads, caps, composes and splits."""
    public = _public(config.data) if config.data else []
    held = data.split_sources([e for e in public if not e.label], HELD_SOURCES).held_back
    held += [example for example in public if example.split == "dev" and not example.label]
    out = set(held)
    rest = [example for example in public if example not in out]
    files = data.files(config.own) if config.own else []
    fresh = [path for path in files if config.new and path.match(config.new)]
    old = data.split_pairs(data.read_all(path for path in files if path not in fresh))
    new = data.split_pairs(data.read_all(fresh))
    own = data.Split([*old.train, *new.train], [*old.held_back, *new.held_back])
    rows = _rows(rest, old.train, new.train, config)
    if config.mine_with:
        seen = {normal_form(row.text) for row in rows}
        unused = [example for example in rest if normal_form(example.text) not in seen]
        rows += mining.mined(config.mine_with, unused, count=config.mined_rows, seed=config.loop.seed)
    blind = data.read_all(data.files(config.blind)) if config.blind else []
    blocked = {normal_form(example.text) for example in (*own.held_back, *blind)}
    rows = [row for row in rows if normal_form(row.text) not in blocked]
    if not {0, 1} <= {row.label for row in rows}:
        raise ConfigError(f"nothing to train on: {len(rows)} rows of one label; give attacks and benign texts")
    further = head_rows.NOTHING
    if config.data and (config.data / TOXICITY).exists():
        further = head_rows.read_head_rows(
            config.data / TOXICITY,
            config.own_heads,
            [example for example in rest if not example.label],
            data.deduplicated(held),
            seed=config.mixture.seed,
            new=config.new,
            rehearsed=config.mixture.rehearsed // REHEARSED_HEADS,
        )
    dev = list(data.read(config.data / "dev.jsonl.gz")) if config.data else []
    return Corpus(rows, dev, own.held_back, data.deduplicated(held), further, blind, own.train)


def _rows(
    rest: Sequence[Example], old: Sequence[Example], new: Sequence[Example], config: TrainConfig
) -> list[Example]:
    if not config.new:
        return mixture.mixture(rest, old, config.mixture)
    return mixture.taught(rest, old, new, config.mixture)


def _public(folder: Path) -> list[Example]:
    rows = data.read_all([folder / "injection_train.jsonl.gz", folder / "benign_train.jsonl.gz"])
    others = (folder / name for name in OTHER_TASKS if (folder / name).exists())
    return data.deduplicated([*rows, *data.read_all(others, benign=True)])


def prepared_backbone(config: TrainConfig, corpus: Corpus) -> backbone.Backbone:
    """The backbone, kept in the work folder so that a resumed run, or a mean of runs, has the same vocabulary."""
    kept = (config.runs[0].parent if config.runs else config.work) / "backbone"
    if (kept / "tokenizer.json").exists():
        return backbone.restore(kept)
    texts = (example.text for example in corpus.train[::2])
    base = backbone.load(config.base, texts, layers=config.layers)
    if not config.runs:
        backbone.keep(base, kept)
    return base


def restored(config: TrainConfig) -> tuple[WindowClassifier, backbone.Backbone]:
    """Model and backbone of a run that stopped or still goes on, from its last checkpoint."""
    base = backbone.restore(config.work / "backbone")
    model = WindowClassifier(base.encoder)
    state = torch.load(config.work / STATE, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    return model, base


def _fit(model: WindowClassifier, base: backbone.Backbone, corpus: Corpus, config: TrainConfig) -> None:
    rows = [*corpus.train, *corpus.heads.train]
    origins = [data.ORIGINS[row.origin] for row in rows]
    encoded = windows.encode(base.tokenizer, [row.text for row in rows], origins, config.cut)
    texts = loop.TrainingSet(encoded, heads.stacked(rows), base.pad_id, _taught(encoded, rows, config))
    report = loop.fit(model, texts, config.loop, checkpoint=config.work / STATE)
    padded = sum(row.padded * len(row.windows) for row in encoded)
    summary = {"mixture_texts": len(rows), "tokens_an_epoch": padded} | asdict(report)
    (config.work / REPORT).write_text(json.dumps(summary, indent=1))


def _taught(
    encoded: Sequence[windows.Row], rows: Sequence[Example], config: TrainConfig
) -> dict[int, NDArray[np.float16]]:
    """Embeddings to learn, for a sample of the texts of one window; only e5 has a teacher."""
    if config.base != "e5" or not config.taught:
        return {}
    short = [row.index for row in encoded if len(row.windows) == 1]
    chosen = random.Random(config.loop.seed).sample(short, min(config.taught, len(short)))
    return teacher.embeddings({index: rows[index].text for index in chosen})
