# ruff: noqa: INP001 - a script, not a package
"""Writes ``docs/detectors.md``: what each detector finds, where it is used, how well and at what cost.

    python docs/make_detectors.py            # measure and write
    python docs/make_detectors.py --check    # say whether names, types, stages and packs are as in the file

Names, types, stages and packs come from the code, quality from the detectors' own documentation (shortened in
``quality.toml``), cost from a measurement: processor time of one `detect` on 20 KB of prose with nothing to find, the
best of five, normalisation not counted; of detectors of tool calls, of one call (`CALL`) in a run of ten. A detector
that is not registered keeps its row and has no cost.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from guardrails_plugin import Context, Engine, Origin, Recipe, Rule, Segment, registry
from guardrails_plugin.conversation import segments
from guardrails_plugin.models.encoder import EMBEDDED, load_encoder
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Stage, Text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
FILE = HERE / "detectors.md"
ROWS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "quality.toml").read_text("utf-8"))
MOST_TYPES = 12
STAGES = {stage.value for stage in Stage}

SENTENCE = (
    ("The ferry", "Our neighbour", "A small bakery", "The second report", "Every long winter", "The old library"),
    ("crosses", "remembers", "repairs", "describes", "welcomes", "measures", "forgets", "paints"),
    ("the narrow bridge", "a quiet morning", "its wooden roof", "most of the visitors", "a new idea", "the valley"),
    ("before the rain comes.", "without any hurry.", "as it did in 2019.", "for about three weeks.", "with care."),
)
CONTEXT = Context(
    prompt="Please tell me how the town is doing.",
    system="You answer questions about the town. Never speak of the budget before it has been published.",
    untrusted=["From: Dana Reed <dana@acme.example>. The ferry office asks to write to office@ferry.example."],
    calls=[{"name": "read_mail", "args": {"folder": "inbox", "page": page}} for page in range(9)],
)
CALL = {
    "name": "send_email",
    "args": {"to": "office@ferry.example", "subject": "The ferry", "body": "It will be late, without any hurry. " * 5},
}
"""What the model wants to do, for detectors of tool calls."""


def main() -> int:
    """Writes the file, or compares it; exit code 1 when it is out of date."""
    if "--check" in sys.argv:
        old, new = without_cost(FILE.read_text("utf-8")), without_cost(page(measure=False))
        sys.stdout.write("up to date\n" if old == new else "out of date: run python docs/make_detectors.py\n")
        return int(old != new)
    FILE.write_text(page(measure=True), "utf-8")
    return 0


def without_cost(text: str) -> str:
    """The page with an empty cost column: the only part that differs from machine to machine."""
    lines = (line.split(" | ") for line in text.splitlines())
    return "\n".join(" | ".join([*cells[:-2], "", cells[-1]] if len(cells) > 6 else cells) for cells in lines)


def page(*, measure: bool) -> str:
    """The whole page."""
    rows = "\n".join(row(name, measure=measure) for name in sorted({*ROWS, *registry.names("detectors")}))
    return f"""# Detectors

Written by `make_detectors.py`; change the code or [quality.toml](quality.toml) and run it again.

Stages are those of the built-in recipes that use the detector, with its action there; packs are those that add it or
change its rule ([recipes.md](recipes.md)). A rule that says nothing else reports. Cost is processor time per KB of
prose with nothing to find that it has not read before, for the detector alone: those that ask the classifier share one
reading of a text, however many they are; pattern detectors share one pass in a recipe and cost less together. It
differs between machines by a factor of two and more. Detectors of tool calls look at nothing else and cost nothing
on prose: theirs is for one call with three arguments, after nine others.
Quality is what was measured, and on what. Numbers on a project's own examples say little about other texts; where no
measurement is named, none was made. "Blind" numbers were measured on texts written without sight of the code
([data/blind](../data/blind/README.md), `python tests/quality/measure_blind.py`): as the detectors were, and behind
"now" after mending the kinds of mistakes that this had shown: no longer blind, and flattering.
The sets are small (30 positives: a recall of .90 may be .74 to .97) and made of hard cases and near misses.

| detector | finds | stages and default action | packs | quality | ms/KB | extra |
|---|---|---|---|---|---|---|
{rows}

`code`, `pii` and `secrets` know more types than fit here:
`python -c "from guardrails_plugin.detectors.pii import Pii; print(sorted(Pii().entity_types))"`.

The judge of plain words ([agents.md](agents.md), [scanners.md](scanners.md)) is no registered detector: it needs a
chat model, which is handed to the engine.
"""


def row(name: str, *, measure: bool) -> str:
    """One line of the table."""
    about = ROWS.get(name, {})
    quality = " Blind: ".join(filter(None, (about.get("quality"), about.get("blind"))))
    extra = about.get("extra", "")
    stages = "; ".join(uses(name)) or "no stage by itself: `report`"
    packs = ", ".join(f"`{pack}`" for pack in packs_with(name))
    measured = measure and name in registry.names("detectors")
    cost = f"{milliseconds(name):.2g}{' a call' if about.get('calls') else ''}" if measured else ""
    return f"| {' | '.join([f'`{name}`', finds(name), stages, packs, quality, cost, extra])} |"


def finds(name: str) -> str:
    """Entity types, or categories when there are too many; what the settings decide is said in words."""
    about = ROWS.get(name, {})
    if "finds" in about:
        return str(about["finds"])
    detector = built(name)
    if len(detector.entity_types) <= MOST_TYPES:
        return ", ".join(f"`{kind}`" for kind in sorted(detector.entity_types))
    groups = ", ".join(f"`{group}`" for group in detector.categories)
    return f"{len(detector.entity_types)} types" + (f" in categories {groups}" if groups else "")


def uses(name: str) -> list[str]:
    """Actions of the built-in recipes' rules, each with its stages."""
    stages: dict[str, list[str]] = {}
    for recipe in recipes():
        for rule in recipe.rules:
            if recipe.name == recipe.stage and rule.detector == name:
                stages.setdefault(actions(rule), []).append(f"`{recipe.name}`")
    return [f"{', '.join(where)}: {action}" for action, where in stages.items()]


def actions(rule: Rule) -> str:
    """A rule's action, and those of single types and categories; the bar of a table's cell is spelt out."""
    single = ", ".join(f"`{kind}` {action.replace('|', ' or ')}" for kind, action in rule.actions.items())
    return f"{rule.action} ({single})" if single else rule.action


def packs_with(name: str) -> list[str]:
    """Packs and policies with a rule of the detector that the stage's own recipe lacks or has otherwise."""
    own = {recipe.stage: rules(recipe, name) for recipe in recipes() if recipe.name in STAGES}
    others = [recipe for recipe in recipes() if recipe.name not in STAGES]
    return sorted({recipe.name for recipe in others if rules(recipe, name) != own.get(recipe.stage, [])})


def rules(recipe: Recipe, name: str) -> list[Rule]:
    """The rules of a detector."""
    return [rule for rule in recipe.rules if rule.detector == name]


@cache
def recipes() -> tuple[Recipe, ...]:
    """Every built-in recipe."""
    return tuple(Engine().recipes())


@cache
def built(name: str) -> Any:
    """The detector, with the settings of its row."""
    return registry.load("detectors", name)(**ROWS.get(name, {}).get("settings", {}))


@cache
def prose() -> Text:
    """20 KB of sentences, all of them made of the same parts, none of them the same for long."""
    source = random.Random(7)  # noqa: S311 - filler
    sentences = (" ".join(source.choice(part) for part in SENTENCE) for _ in range(400))
    return normalize(Segment(" ".join(sentences)[:20_000], Origin.MODEL))


@cache
def call() -> tuple[Text, ...]:
    """The tool call, as the detectors get it."""
    return tuple(normalize(segment, number) for number, segment in enumerate(segments(CALL, Origin.MODEL)))


def sample(name: str) -> tuple[Sequence[Text], float]:
    """What a detector is timed on, and what the time is divided by: KB of prose, or one call."""
    return (call(), 1) if ROWS.get(name, {}).get("calls") else ([prose()], 20)


def forget() -> None:
    """Empties the encoder's memory: a text that is read again costs nothing, and says nothing of the cost."""
    load_encoder(EMBEDDED).forget()


def milliseconds(name: str) -> float:
    """Best of five, per KB or call."""
    detector, (texts, units) = built(name), sample(name)
    detector.detect(texts, CONTEXT)
    best = float("inf")
    for _ in range(5):
        forget()
        began = time.process_time()
        detector.detect(texts, CONTEXT)
        best = min(best, time.process_time() - began)
    return best * 1000 / units


if __name__ == "__main__":
    sys.exit(main())
