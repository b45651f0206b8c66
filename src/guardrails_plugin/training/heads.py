"""What the network is asked besides prompt injection, and what a training row says about it.

One forward pass answers everything: one logit a label, and an embedding. A row that says nothing about a label
has NaN there and teaches nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.evaluation.split import bucket, normal_form
from guardrails_plugin.training.data import UNKNOWN, Example, family, placed_rows

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOXICITY = (
    "toxicity",
    "severe_toxicity",
    "obscene",
    "sexually_explicit",
    "insult",
    "threat",
    "identity_attack",
)
"""The seven categories of features S77-S83, in the order of the graph's logits behind the one of injection."""

DEMOGRAPHIC = tuple(
    f"demographic_{kind}"
    for kind in "age disability ethnicity gender nationality politics religion sexual_orientation".split()
)

HEADS: dict[str, tuple[str, ...]] = {
    "injection": ("injection",),
    "toxicity": TOXICITY,
    "self_harm": ("self_harm_intent", "self_harm_instructions"),
    "sentiment": ("sentiment_negative", "sentiment_positive"),
    "refusal": ("refusal",),
    "role_play": ("role_play",),
    "demographic": DEMOGRAPHIC,
    "gibberish": ("gibberish",),
}
LABELS = tuple(label for labels in HEADS.values() for label in labels)

CALM = frozenset(
    "clinc sgd-user sgd-toolresult sgd-dialogue stdlib python-doc postgresql-doc xquad xquad-question wikipedia "
    "BFCL-v4 pypi-readme pypi-code octokit-openapi-example gnome-user-docs spdx-license-list PIQA HealthSearchQA "
    "NQ-open tau2-airline CWE git".split()
)
"""Families of benign rows that hold no abuse: they teach that requests, documents, code and logs are not toxic."""

ABSENT = ("self_harm_intent", "self_harm_instructions", "refusal", "role_play", "gibberish")
"""What those rows do not hold either; one in `_ABSENT_EVERY` says so, or they would drown the rows that do."""

_ABSENT_EVERY = 8

_PLAYED = re.compile("obf|role|persona|jailbreak|game|fiction|hypothetical")

_SYNONYMS = {"profanity": "obscene", "offensive": "toxicity"}
_TOXIC = 0.5


def targets(example: Example) -> NDArray[np.float32]:
    """The wanted probability of every label of `LABELS`; NaN where the row says nothing."""
    known = dict(example.also)
    if example.label != UNKNOWN:
        known["injection"] = float(example.label)
    if example.label == 1 and not example.also and _reads_plainly(example):
        known |= dict.fromkeys(ABSENT, 0.0)
    if not example.also and not example.label and family(example.source) in CALM:
        known |= dict.fromkeys(TOXICITY, 0.0)
        if bucket(normal_form(example.text), _ABSENT_EVERY) == 0:
            known |= dict.fromkeys(ABSENT, 0.0)
    return np.asarray([known.get(label, np.nan) for label in LABELS], np.float32)


def _reads_plainly(example: Example) -> bool:
    """Whether an attack teaches what these labels are not: every few, none in disguise, none that plays a part.

    Without such rows all that is unlike calm text looks alike to a head: version 0.6 took most attacks for refusals.
    """
    played = _PLAYED.search(example.category) is not None
    return not played and bucket(normal_form(example.text), _ABSENT_EVERY) == 0


def toxicity_labels(row: Mapping[str, Any]) -> dict[str, float]:
    """Shares of the seven categories as far as a row gives them.

    A missing share is unknown, except in a row that is not toxic at all: it is no threat and no insult either.

    >>> toxicity_labels({"label": 1, "labels": {"profanity": 1}})
    {'toxicity': 1.0, 'obscene': 1.0}
    """
    given = {_SYNONYMS.get(name, name): float(share) for name, share in (row.get("labels") or {}).items()}
    known = {name: given[name] for name in TOXICITY if name in given}
    known = {"toxicity": float(row["label"])} | known
    if not row["label"] and known["toxicity"] < _TOXIC:
        known = dict.fromkeys(TOXICITY, 0.0) | known
    return known


def row_labels(row: Mapping[str, Any]) -> dict[str, float]:
    """What a row of a file for the further heads says: a row with a ``label`` is about toxicity.

    Raises:
        ConfigError: a label that there is not, or a share that is none.
    """
    if "label" in row:
        return toxicity_labels(row)
    unknown = row["labels"].keys() - set(LABELS)
    if unknown:
        raise ConfigError(f"label {min(unknown)!r} is none of {', '.join(LABELS[1:])}")
    for name, share in row["labels"].items():
        if not (isinstance(share, (int, float)) and 0 <= share <= 1):
            raise ConfigError(f"label {name!r} is {repr(share)[:40]}; valid: a share from 0 to 1")
    return {name: float(share) for name, share in row["labels"].items()}


def labelled_rows(path: Path) -> Iterator[Example]:
    """Rows of a file for the further heads; what they are as injections is not asked."""
    for place, row in placed_rows(path, of_heads=True):
        try:
            labels = row_labels(row)
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{place}: {error}") from None
        yield Example(
            text=str(row["text"]),
            label=UNKNOWN,
            origin=str(row.get("origin", "")),
            category=str(row.get("category", "")),
            lang=str(row.get("lang", "en")),
            source=str(row.get("source", path.name.split(".")[0])),
            licence=str(row.get("licence", "")),
            pair=str(row.get("pair", "")),
            split=str(row.get("split", "")),
            also=tuple(sorted(labels.items())),
        )


def stacked(examples: Sequence[Example]) -> NDArray[np.float32]:
    """Targets of all rows, ``[rows, labels]``."""
    return np.stack([targets(example) for example in examples]) if examples else np.zeros((0, len(LABELS)), np.float32)
