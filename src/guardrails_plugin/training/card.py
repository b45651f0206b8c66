"""The model card, written from the facts of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrails_plugin.training import evaluate
from guardrails_plugin.training.data import family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from guardrails_plugin.training.data import Example
    from guardrails_plugin.training.export import QuantisationLoss

INTENDED = """\
Scores how likely a text tries to give a language model orders it must not take: overrides, jailbreaks,
extraction of hidden instructions, and instructions to an agent hidden in documents, mails, pages and tool
results. It does not judge whether a request is harmful, rude or wrong. It is one layer of a defence: an
attacker who may try often will find a wording that passes.
"""

COUNTING = """\
Counts are of the mixture: hand-written rows stand in it several times (`MixtureConfig`), some rows a second time
with another origin, disguised or roughened. Rows of public evaluation sets are left out by source name
(`training/data.py`, `BENCHMARKS`).
"""

HOW_MEASURED = """\
Scores of the shipped int8 graph on texts not trained on; recall / false-positive rate at each point. The same texts
fitted the calibration, and the benign ones of them set the thresholds: their false-positive rates are met by
construction and say little about new sources. AUC says more; nothing here was measured on a public benchmark. The
balanced point is set on the ordinary benign texts alone; the hand-written twins count for the other two.
"""

LABELS_MEASURED = """\
Rows of the dev part of the toxicity file and hand-written rows held back; calm texts are the benign rows held back
above, where they are known to hold none of the label. Labels other than toxicity, obscene and identity_attack have few
positives; of the toxicity file's own, most were scored by a machine.
"""

WEAKNESSES = """\
- The dev file shares its composer with part of the training rows and over-estimates recall on documents. The
  hand-written held-back texts, each with a benign twin of nearly the same words, are far harder than ordinary
  text: many twins are flagged, innocent role play most of all.
- Thresholds hold on average over the benign sources above, not on each: sources under 40 texts count as one.
- Attacks that read like the surrounding document (a readme, a transcript, a ticket) are often missed.
- Persuasion without any order, and innocent talk about instructions, are told apart least well.
- Languages other than English have few attacks in training, most of them composed or hand-written here.
- Base64, hex, zero-width characters and look-alike letters are expected to be undone before the model reads; leet
  and spaced letters in documents are found less often than plain ones.
- Rows were cut at 2,000 characters in training; longer texts are judged window by window, and the highest window
  counts: the longer a text, the likelier a false alarm, and an attack that shares its window with the document around
  it scores lower than alone. Judge chunks, not whole books.
"""


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """One label of another head: probabilities and truth of labelled rows, probabilities of calm texts."""

    label: str
    scores: NDArray[np.float64]
    truth: NDArray[np.int64]
    calm: NDArray[np.float64]
    limit: float


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the card tells.

    Args:
        settings: the artifact's ``config.json``.
        trained_on: training examples.
        further: training examples of the further heads, with label 1 for those that hold any of their labels.
        results: held-back examples and their probabilities, by name of the set.
        labels: the labels of the other heads.
        loss: what rounding cost.
        mixture: settings of the mixture.
        loop: settings of the training loop.
        run: what the run did, if it is known.
    """

    settings: Mapping[str, Any]
    trained_on: Sequence[Example]
    further: Sequence[Example]
    results: Mapping[str, tuple[Sequence[Example], NDArray[np.float64]]]
    labels: Sequence[LabelFacts]
    loss: QuantisationLoss
    mixture: Mapping[str, Any]
    loop: Mapping[str, Any]
    run: Mapping[str, Any]


def model_card(facts: Facts) -> str:
    """The whole card as Markdown."""
    settings, loop, loss = facts.settings, facts.loop, facts.loss
    shape = (
        f"Windows of {settings['window_tokens']} tokens, a new one each {settings['stride_tokens']}; the highest "
        "window score counts. The origin of the text is the first segment of the pair."
    )
    run = (
        f"Mixture seed {facts.mixture['seed']}, training seed {loop['seed']}, learning rate {loop['learning_rate']}, "
        f"at most {loop['epochs']} epochs or {loop['minutes']} minutes, whichever ended first; {_seen(facts.run)}. "
        "The seeds fix the mixture and the order of rows, not the last digits of bf16 sums nor how many steps fit "
        "into the minutes."
    )
    rounding = (
        f"{loss.rows} dev texts: largest change of a logit {loss.largest:.3f}, mean {loss.mean:.4f}, "
        f"correlation {loss.correlation:.5f}."
    )
    points = {name: {o: round(v, 4) for o, v in limits.items()} for name, limits in settings["thresholds"].items()}
    parts = [
        f"# Model card: {settings['id']} {settings['version']}",
        INTENDED,
        f"Backbone: {settings['backbone']}. Licence: {settings['licence']}.",
        shape,
        "## Training data",
        sources_table(facts.trained_on),
        COUNTING,
        *([sources_table(facts.further, "no label", "some label")] if facts.further else []),
        "## Quality",
        HOW_MEASURED,
        "\n".join(f"- {name}: {limits}" for name, limits in points.items()),
        *(_section(name, *result, settings["thresholds"]) for name, result in facts.results.items()),
        *([] if not facts.labels else ["## Further heads", labels_table(facts.labels)]),
        "## Rounding to int8",
        rounding,
        "## Known weaknesses",
        WEAKNESSES,
        "## How to repeat",
        "`guardrails-plugin train --data DIR --out DIR`. " + run,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _seen(run: Mapping[str, Any]) -> str:
    if not run:
        return "steps not recorded"
    return f"{run['texts']:,} texts seen in {run['steps']:,} steps, of a mixture of {run['mixture_texts']:,} texts"


def sources_table(examples: Sequence[Example], negative: str = "benign", positive: str = "attacks") -> str:
    """Rows by family of source and label, with the licences their files name."""
    counts: Counter[tuple[str, int]] = Counter()
    licences: dict[str, set[str]] = {}
    for example in examples:
        name = _maker(example)
        counts[name, example.label] += 1
        licences.setdefault(name, set()).update({example.licence} - {""})
    lines = [f"| source | {negative} | {positive} | licence |", "|---|---|---|---|"]
    order = sorted(licences, key=lambda name: -counts[name, 0] - counts[name, 1])
    for name in order:
        named = ", ".join(sorted(licences[name])) or "this project"
        lines.append(f"| {name} | {counts[name, 0]} | {counts[name, 1]} | {named} |")
    total = f"| all | {sum(not e.label for e in examples)} | {sum(e.label for e in examples)} | |"
    return "\n".join([*lines, total])


def _maker(example: Example) -> str:
    """Who wrote a row: its source, or how it was made here."""
    made = example.pair.partition("-")[0]
    if made in ("composed", "surrounded"):
        return "composed here"
    if made == "gibberish" and "→" in example.source:
        return "taken apart here"
    return "hand-written here" if example.pair else family(example.source)


def labels_table(labels: Sequence[LabelFacts]) -> str:
    """Quality of the other heads' labels on rows not trained on, at the balanced point."""
    lines = [
        LABELS_MEASURED,
        "| label | positive | negative | AUC | recall | flagged of the negative | flagged of calm texts |",
        "|---|---|---|---|---|---|---|",
    ]
    for fact in labels:
        found = evaluate.quality(
            fact.label, fact.scores, fact.truth, {"balanced": np.full(len(fact.truth), fact.limit)}
        )
        calm = float((fact.calm >= fact.limit).mean()) if len(fact.calm) else None
        numbers = (found.auc, found.recall["balanced"], found.false_positives["balanced"], calm)
        cells = " | ".join("-" if number is None else f"{number:.3f}" for number in numbers)
        lines.append(f"| {fact.label} | {found.attacks} | {found.benign} | {cells} |")
    return "\n".join(lines)


def _section(
    name: str,
    examples: Sequence[Example],
    scores: NDArray[np.float64],
    thresholds: Mapping[str, Mapping[str, float]],
) -> str:
    keys: dict[str, Callable[[Example], str]] = {
        "all": lambda _: "all",
        "origin": lambda example: example.origin,
        "language": lambda example: example.lang,
        "category": lambda example: example.category,
    }
    groups = [
        group
        for title, key in keys.items()
        for group in _titled(
            title, evaluate.by_group(examples, scores, thresholds, key, least=1 if title == "all" else 10)
        )
    ]
    return f"### {name}\n\n{evaluate.table(groups)}"


def _titled(title: str, groups: Sequence[evaluate.Quality]) -> list[evaluate.Quality]:
    if title in ("all", "category"):
        return list(groups)
    return [
        evaluate.Quality(f"{title} {g.name}", g.attacks, g.benign, g.auc, g.recall, g.false_positives) for g in groups
    ]
