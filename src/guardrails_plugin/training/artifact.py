"""Writes the artifact folder: int8 graph, tokenizer, config with calibration and thresholds, model card.

All scores here come from the exported int8 graph, for that is what runs.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training import calibrate, card, export, head_rows, loop, windows
from guardrails_plugin.training.config import REPORT, command
from guardrails_plugin.training.data import EXTERNAL, ORIGINS, USER, Example, family
from guardrails_plugin.training.heads import ABSENT, HEADS, LABELS, TOXICITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guardrails_plugin.training.backbone import Backbone
    from guardrails_plugin.training.config import TrainConfig
    from guardrails_plugin.training.model import WindowClassifier
    from guardrails_plugin.training.pipeline import Corpus

MOST_HELD_BENIGN = 4000
"""Benign texts scored for the thresholds beside dev: enough for a rate of .001, few enough for two minutes."""

LEAST_GROUP = 40
"""Benign texts below which a source is no group of its own: one false alarm there would weigh over 2 %."""

QUANTISATION_ROWS = 300

TWINS_FLAGGED = 0.06
"""Share of the hand-written benign twins that the balanced point may flag: about what the points of version 0.7, set by
hand, flag of them."""

PRIORS = {**dict.fromkeys(TOXICITY, 0.2), "toxicity": 1 / 3}
"""Share of texts with a label that its probabilities assume, where that is not a half: most texts are not abusive."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Examples with their logits ``[examples, labels]``."""

    examples: list[Example]
    logits: NDArray[np.float32]

    @property
    def injection(self) -> NDArray[np.float32]:
        """Logits of the main head."""
        return self.logits[:, 0]

    def where(self, origin: str) -> Scored:
        """The part of one origin."""
        chosen = [number for number, example in enumerate(self.examples) if ORIGINS[example.origin] == origin]
        return Scored([self.examples[number] for number in chosen], self.logits[chosen])


def write_artifact(
    model: WindowClassifier,
    base: Backbone,
    corpus: Corpus,
    config: TrainConfig,
    *,
    previous: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Exports, calibrates and describes `model`; returns the folder.

    Args:
        model: what was trained.
        base: its backbone.
        corpus: texts to measure by.
        config: of the run.
        previous: settings of the artifact that was trained further; they stay where there are too few texts to fit new.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    export.to_onnx(model, config.out / "model.onnx")
    base.tokenizer.save(str(config.out / "tokenizer.json"), pretty=False)
    runner = export.session(config.out / "model.onnx", threads=config.threads)
    dev = score(runner, base, corpus.dev, config)
    own = score(runner, base, corpus.held_back_own, config)
    held = score(runner, base, _sample(corpus.held_back_benign, config), config)
    blind = score(runner, base, corpus.blind, config)
    every = (dev, own, held)  # what is called blind is measured by and nothing else
    kept = [origin for origin in (USER, EXTERNAL) if previous and not _enough(origin, corpus)]
    fitted = {
        origin: calibrate.Platt(**previous["calibration"][origin]) if origin in kept else _fit_origin(origin, every)
        for origin in (USER, EXTERNAL)
    }
    fitted["model"] = fitted[EXTERNAL]
    thresholds = _thresholds(fitted, own, dev, held, kept=dict.fromkeys(kept, previous.get("thresholds")))
    settings = _settings(base, config, fitted, thresholds) | {"licence": _licence(base, corpus, previous)}
    further = score(runner, base, [*corpus.heads.dev, *corpus.heads.own_held_back], config)
    fresh = {label: _label(label, further, held) for label in LABELS[1:] if _answers(label, further) == {0, 1}}
    settings["labels"] = {**previous.get("labels", {}), **fresh}
    (config.out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    loss = _quantisation(model, base, runner, dev.examples or own.examples or corpus.train, config=config)
    if not loss.small:
        print(f"warning: {loss.warning}", file=sys.stderr)
    parts = {card.DEV: dev, card.OWN: own, card.CALM: held, card.BLIND: blind}
    facts = card.Facts(
        settings=settings,
        trained_on=corpus.train,
        written=corpus.own,
        held_back=corpus.held_back_own,
        further=[replace(row, label=int(head_rows.holds_any(row))) for row in corpus.heads.train],
        results={name: (part.examples, probabilities(part, fitted)) for name, part in parts.items() if part.examples},
        labels=_label_facts(further, held, fresh),
        loss=loss,
        kept=kept,
        twins_flagged=TWINS_FLAGGED,
        command=command(config),
        runs=len(config.runs),
        mixture=asdict(config.mixture),
        loop=asdict(config.loop),
        run=_run(config),
    )
    (config.out / "MODEL_CARD.md").write_text(card.model_card(facts))
    return config.out


def _run(config: TrainConfig) -> dict[str, Any]:
    path = config.work / REPORT
    return dict(json.loads(path.read_text())) if path.exists() else {}


def score(runner: Any, base: Backbone, examples: Sequence[Example], config: TrainConfig) -> Scored:
    """Logits of the int8 graph for `examples`."""
    rows = _rows(base, examples, config)
    return Scored(list(examples), export.row_logits(runner, rows))


def probabilities(scored: Scored, fitted: Mapping[str, calibrate.Platt]) -> NDArray[np.float64]:
    """Calibrated probability of every example."""
    pairs = zip(scored.examples, scored.injection, strict=True)
    return np.asarray([fitted[example.origin].probability([logit])[0] for example, logit in pairs], np.float64)


def _rows(base: Backbone, examples: Sequence[Example], config: TrainConfig) -> list[windows.Row]:
    origins = [ORIGINS[example.origin] for example in examples]
    return windows.encode(base.tokenizer, [example.text for example in examples], origins, config.cut)


def _sample(examples: Sequence[Example], config: TrainConfig) -> list[Example]:
    rng = random.Random(config.loop.seed)
    return rng.sample(list(examples), min(MOST_HELD_BENIGN, len(examples)))


def _fit_origin(origin: str, parts: Sequence[Scored]) -> calibrate.Platt:
    chosen = [part.where(origin) for part in parts]
    logits = np.concatenate([part.injection for part in chosen])
    labels = [example.label for part in chosen for example in part.examples]
    return calibrate.fit(logits.tolist(), labels)


def check_held_back(corpus: Corpus) -> None:
    """Checks before a training that there will be something to calibrate it by.

    Raises:
        ConfigError: there is not.
    """
    for origin in (USER, EXTERNAL):
        benign, attacks = _held_back(origin, corpus)
        if not (benign and attacks):
            raise ConfigError(
                f"nothing to calibrate texts of origin {origin!r} by: {attacks} attacks and {benign} benign ones are "
                "held back; valid: some of both, in dev.jsonl.gz of --data or among --own, of which every fifth pair "
                "is held back. A finished model at --base needs none"
            )


def _enough(origin: str, corpus: Corpus) -> bool:
    """Whether there are texts enough for a calibration: of both labels, as many as tell a rate."""
    return min(_held_back(origin, corpus)) >= LEAST_GROUP


def _held_back(origin: str, corpus: Corpus) -> tuple[int, int]:
    """How many benign texts and attacks of an origin are held back."""
    parts = (corpus.dev, corpus.held_back_own, corpus.held_back_benign)
    labels = [row.label for part in parts for row in part if ORIGINS[row.origin] == origin]
    return labels.count(0), labels.count(1)


def _thresholds(
    fitted: Mapping[str, calibrate.Platt],
    own: Scored,
    *ordinary: Scored,
    kept: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, dict[str, float]]:
    """Operating points by origin, from benign scores grouped by the family of their source.

    The hand-written benign twins were written to be mistaken for their attack; they count for the strict and the
    permissive point, which without them would promise too much. The balanced point is set on ordinary text, where its
    rate is met on the mean of the groups and of all texts together, but is no lower than where `TWINS_FLAGGED` of the
    twins are flagged: ordinary text is too easy to tell where it lies.
    """
    result: dict[str, dict[str, float]] = defaultdict(dict)
    for origin in (USER, EXTERNAL):
        if origin in kept:
            for point, limits in kept[origin].items():
                result[point][origin] = limits[origin]
            continue
        twins = _benign(fitted, origin, (own,))
        plain = _benign(fitted, origin, ordinary) or twins
        calm = calibrate.operating_points(merged(plain))
        points = calibrate.operating_points(merged(_benign(fitted, origin, (own, *ordinary))))
        rate = calibrate.FALSE_POSITIVE_RATES["balanced"]
        balanced = max(calm["balanced"], _at_most(rate, plain), _at_most(TWINS_FLAGGED, twins))
        strict, permissive = min(points["strict"], balanced), max(points["permissive"], balanced)
        for point, limit in zip(points, (strict, balanced, permissive), strict=True):
            result[point][origin] = round(limit, 6)
    for by_origin in result.values():
        by_origin["model"] = by_origin[EXTERNAL]
    return dict(result)


def _at_most(rate: float, benign: Mapping[str, Sequence[float]]) -> float:
    """Where this share of all the texts together is flagged."""
    every = [score for scores in benign.values() for score in scores]
    return calibrate.threshold(every, rate) if every else 0.0


def _benign(fitted: Mapping[str, calibrate.Platt], origin: str, parts: Sequence[Scored]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for part in parts:
        chosen = part.where(origin)
        for example, probability in zip(chosen.examples, probabilities(chosen, fitted), strict=True):
            if not example.label:
                groups[family(example.source)].append(float(probability))
    return groups


def _answers(label: str, labelled: Scored) -> set[int]:
    """Which answers there are to calibrate a label by."""
    return {answer for _, answer in head_rows.shares(labelled.examples, label)}


def _label(label: str, labelled: Scored, benign: Scored) -> dict[str, Any]:
    """Calibration and operating points of one label of another head."""
    logits, truth, groups = _label_scores(label, labelled, benign)
    fitted = calibrate.fit(logits.tolist(), truth.tolist(), prior=PRIORS.get(label, 0.5))
    grouped = {name: fitted.probability(values).tolist() for name, values in groups.items()}
    points = calibrate.operating_points(merged(grouped))
    return {"a": round(fitted.a, 6), "b": round(fitted.b, 6), "thresholds": {k: round(v, 6) for k, v in points.items()}}


def _label_scores(
    label: str, labelled: Scored, benign: Scored
) -> tuple[NDArray[np.float32], NDArray[np.int64], dict[str, NDArray[np.float32]]]:
    """Logits and truth of the rows that say whether they are `label`, and the logits of benign groups."""
    column = LABELS.index(label)
    answers = dict(head_rows.shares(labelled.examples, label))
    known = [number for number, row in enumerate(labelled.examples) if row in answers]
    truth = np.asarray([answers[labelled.examples[number]] for number in known], np.int64)
    logits = labelled.logits[known, column]
    groups: dict[str, list[float]] = defaultdict(list)
    calm = _without(label, benign)
    for row, logit in zip(calm.examples, calm.logits[:, column].tolist(), strict=True):
        groups[family(row.source)].append(logit)
    for number, answer in zip(known, truth.tolist(), strict=True):
        if not answer:
            groups[family(labelled.examples[number].source)].append(float(labelled.logits[number, column]))
    return logits, truth, {name: np.asarray(values, np.float32) for name, values in groups.items()}


def _without(label: str, benign: Scored) -> Scored:
    """The texts that are known to hold none of this label: ordinary ones do have moods and speak of people."""
    return benign if label in TOXICITY or label in ABSENT else Scored([], benign.logits[:0])


def _label_facts(labelled: Scored, benign: Scored, settings: Mapping[str, Any]) -> list[card.LabelFacts]:
    facts = []
    for label, chosen in settings.items():
        logits, truth, _groups = _label_scores(label, labelled, benign)
        fitted = calibrate.Platt(chosen["a"], chosen["b"])
        limit = chosen["thresholds"]["balanced"]
        calm = fitted.probability(_without(label, benign).logits[:, LABELS.index(label)])
        facts.append(card.LabelFacts(label, fitted.probability(logits), truth, calm, limit))
    return facts


def merged(groups: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """The groups, those too small to tell a rate put together."""
    result = {name: scores for name, scores in groups.items() if len(scores) >= LEAST_GROUP}
    rest = [score for scores in groups.values() if len(scores) < LEAST_GROUP for score in scores]
    return result | {"other": rest} if rest else result


def _settings(
    base: Backbone,
    config: TrainConfig,
    fitted: Mapping[str, calibrate.Platt],
    thresholds: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    return {
        "id": "prompt-injection",
        "version": config.version,
        "backbone": base.name,
        "pair": True,
        "window_tokens": config.cut.size,
        "stride_tokens": config.cut.stride,
        "max_windows": config.cut.most,
        "combine": "max",
        "origins": {"user": USER, "external": EXTERNAL, "model": EXTERNAL},
        "heads": {head: list(labels) for head, labels in HEADS.items()},
        "calibration": {origin: {"a": round(p.a, 6), "b": round(p.b, 6)} for origin, p in fitted.items()},
        "thresholds": thresholds,
        "attention_heads": int(base.encoder.config.num_attention_heads),
        "layer_norm_eps": float(base.encoder.config.layer_norm_eps),
    }


def _licence(base: Backbone, corpus: Corpus, previous: Mapping[str, Any]) -> str:
    """Share-alike if any row or the model at the start is; of all else the rows' own licences decide."""
    named = {row.licence for row in (*corpus.train, *corpus.heads.train)} | {str(previous.get("licence", ""))}
    alike = any("-SA" in licence for licence in named)
    weights = "CC-BY-SA-4.0 (share-alike training data)" if alike else "as the training data allow"
    return f"weights: {weights}; backbone: {base.licence}"


def _quantisation(
    model: WindowClassifier, base: Backbone, runner: Any, examples: Sequence[Example], *, config: TrainConfig
) -> export.QuantisationLoss:
    rng = random.Random(config.loop.seed)
    chosen = rng.sample(list(examples), min(QUANTISATION_ROWS, len(examples)))
    rows = _rows(base, chosen, config)
    before = loop.predict(model, rows, pad_id=base.pad_id, bf16=False)
    return export.quantisation_loss(before, export.row_scores(runner, rows))
