"""The model card, written from the facts of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrails_plugin.training import evaluate
from guardrails_plugin.training.data import ORIGINS, family
from guardrails_plugin.training.mixture import LONGEST

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
(`training/data.py`, `BENCHMARKS`). A dash: the rows name no licence.
"""

WRITTEN = """\
The hand-written rows themselves, each counted once; every fifth pair of an attack and its innocent twin is held back.
"""

LABELS_MEASURED = """\
Rows of the dev part of the toxicity file and hand-written rows held back; calm texts are the benign rows held back
above, where they are known to hold none of the label. Few positives tell little: their numbers may be chance.
"""

DEV, OWN, CALM, BLIND = "dev", "hand-written, held back", "benign, held back", "blind"
"""Sets that are measured by."""

WEAKNESSES = f"""\
- An attack that reads like the text around it (a readme, a transcript, a ticket) is missed more often than one that
  stands apart; persuasion without any order, and innocent talk about instructions, are told apart least well.
- Hand-written texts with a twin of nearly the same words are harder than ordinary ones, texts made by the program that
  also made training rows easier: neither is what a user of the model will see.
- Thresholds hold on average over the benign sources they were set by, not on each, and not on others.
- Languages with few rows in training are judged less well than their share of the tables suggests.
- Base64, hex, zero-width characters and look-alike letters are expected to be undone before the model reads.
- Public rows were cut at {LONGEST:,} characters in training; longer texts are judged window by window, and the highest
  window counts: the longer a text, the likelier a false alarm, and an attack that shares its window with the document
  around it scores lower than alone. Judge chunks, not whole books.
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
        written: the distinct hand-written examples among them.
        held_back: hand-written examples that were not trained on.
        further: training examples of the further heads, with label 1 for those that hold any of their labels.
        results: held-back examples and their probabilities, by name of the set.
        labels: the labels of the other heads.
        loss: what rounding cost.
        mixture: settings of the mixture.
        loop: settings of the training loop.
        run: what the run did, if it is known.
        kept: origins whose calibration and thresholds are those of the model at the start.
        twins_flagged: share of the hand-written benign twins that the balanced point may flag.
        command: the command line.
        runs: of how many finished runs this is the mean; 0 of none.
    """

    settings: Mapping[str, Any]
    trained_on: Sequence[Example]
    written: Sequence[Example]
    held_back: Sequence[Example]
    further: Sequence[Example]
    results: Mapping[str, tuple[Sequence[Example], NDArray[np.float64]]]
    labels: Sequence[LabelFacts]
    loss: QuantisationLoss
    mixture: Mapping[str, Any]
    loop: Mapping[str, Any]
    run: Mapping[str, Any]
    kept: Sequence[str]
    twins_flagged: float
    command: str
    runs: int = 0


def model_card(facts: Facts) -> str:
    """The whole card as Markdown."""
    settings, loss = facts.settings, facts.loss
    shape = (
        f"Windows of {settings['window_tokens']} tokens, a new one each {settings['stride_tokens']}; the highest "
        "window score counts. The origin of the text is the first segment of the pair."
    )
    rounding = (
        f"{loss.rows} texts: largest change of a logit {loss.largest:.3f}, mean {loss.mean:.4f}, "
        f"correlation {loss.correlation:.5f}."
    ) + ("" if loss.small else f" **Warning: {loss.warning}.**")
    points = {name: {o: round(v, 4) for o, v in limits.items()} for name, limits in settings["thresholds"].items()}
    parts = [
        f"# Model card: {settings['id']} {settings['version']}",
        INTENDED,
        f"Backbone: {settings['backbone']}. Licence: {settings['licence']}.",
        shape,
        "## Training data",
        sources_table(facts.trained_on),
        COUNTING,
        *([WRITTEN, written_table(facts.written, facts.held_back)] if facts.written else []),
        *([sources_table(facts.further, "no label", "some label")] if facts.further else []),
        "## Quality",
        how_measured(facts),
        "\n".join(f"- {name}: {limits}" for name, limits in points.items()),
        *(_section(name, *result, settings["thresholds"]) for name, result in facts.results.items()),
        *([] if not facts.labels else ["## Further heads", labels_table(facts.labels)]),
        "## Rounding to int8",
        rounding,
        "## Known weaknesses",
        WEAKNESSES,
        "## How to repeat",
        f"`{facts.command}`",
        how_made(facts),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def how_measured(facts: Facts) -> str:
    """What was fitted by the texts that the tables are of, and what was not."""
    fitted = [origin for origin in dict.fromkeys(ORIGINS.values()) if origin not in facts.kept]
    said = ["Scores of the int8 graph on texts not trained on; recall / false-positive rate at each point."]
    if facts.kept:
        said.append(
            f"Too few of origin {' and '.join(facts.kept)} are held back to fit anything: calibration and thresholds "
            "there are those of the model that was trained further."
        )
    if fitted:
        said.append(
            f"The same texts fitted the calibration of origin {' and '.join(fitted)}, and the benign ones set its "
            "thresholds: their false-positive rates are met by construction and say little about new sources. AUC says "
            "more."
        )
    if fitted and OWN in facts.results and facts.results.keys() & {DEV, CALM}:
        said.append(
            "The balanced point is set on benign texts without the hand-written twins, but is no lower than where "
            f"{facts.twins_flagged:.0%} of the twins are flagged; they count for the other two like all others."
        )
    if BLIND in facts.results:
        said.append(f"Nothing was trained on, fitted or set by the rows under {BLIND!r}.")
    return " ".join(said)


def how_made(facts: Facts) -> str:
    """What the command line does not say of the run."""
    if facts.runs:
        return f"The weights are the mean of those of {facts.runs} finished runs; this run trained nothing."
    loop, run = facts.loop, facts.run
    end = "" if loop["minutes"] is None else f" or {loop['minutes']} minutes, whichever ended first"
    seen = "steps not recorded"
    if run:
        seen = f"{run['texts']:,} texts seen in {run['steps']:,} steps, of a mixture of {run['mixture_texts']:,} texts"
    return (
        f"Mixture seed {facts.mixture['seed']}, at most {loop['epochs']} epochs{end}; {seen}. The seeds fix the "
        "mixture and the order of rows, not the last digits of bf16 sums nor how many steps fit into the minutes."
    )


def written_table(written: Sequence[Example], held_back: Sequence[Example] = ()) -> str:
    """Distinct hand-written rows by origin and label, how many are held back, and in how many languages they are."""
    lines = ["| origin | attacks | benign | held back of both | languages |", "|---|---|---|---|---|"]
    for name in (*ORIGINS, "all"):
        rows, held = ([row for row in rows if name in (row.origin, "all")] for rows in (written, held_back))
        attacks, languages = sum(row.label for row in (*rows, *held)), len({row.lang for row in (*rows, *held)})
        benign = len(rows) + len(held) - attacks
        lines.append(f"| {name} | {attacks} | {benign} | {len(held)} | {languages} |")
    return "\n".join(lines)


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
        named = ", ".join(sorted(licences[name])) or "-"
        lines.append(f"| {name} | {counts[name, 0]} | {counts[name, 1]} | {named} |")
    total = f"| all | {sum(not e.label for e in examples)} | {sum(e.label for e in examples)} | |"
    return "\n".join([*lines, total])


def _maker(example: Example) -> str:
    """Who wrote a row: its source, or how it was made."""
    made = example.pair.partition("-")[0]
    if made in ("composed", "surrounded"):
        return "composed by the program"
    if made == "gibberish" and "→" in example.source:
        return "taken apart by the program"
    return "hand-written" if example.pair else family(example.source)


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
