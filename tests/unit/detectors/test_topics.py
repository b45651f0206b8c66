"""Topics by examples: found, told apart, denied, allowed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from pydantic import ValidationError

from guardrails_plugin import Engine, Recipe, Rule
from guardrails_plugin.detectors.topics import Topic, Topics, probability
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

OWN: dict[str, Any] = {
    "gardening": {
        "description": "plants, soil, beds and the work in a garden",
        "examples": [
            "When do I plant tomatoes outside?",
            "My roses have black spots on the leaves.",
            "How deep do tulip bulbs go into the soil?",
            "Which fertiliser is good for cucumbers in a greenhouse?",
            "The hedge needs cutting, is March too late?",
            "How often should I water the seedlings on the window sill?",
            "Slugs are eating my lettuce, what can I do?",
            "Can I put coffee grounds on the compost?",
            "What grows in the shade under an old apple tree?",
            "How do I prune raspberries after the harvest?",
        ],
    },
    "chess": {
        "description": "the game of chess",
        "examples": [
            "Is the Sicilian a good opening for beginners?",
            "White to move, mate in two, rook on e1.",
            "How does the knight move?",
            "When may I castle queenside?",
            "Is a bishop worth more than a knight in the endgame?",
            "What is a good reply to the queen's gambit?",
            "My opponent sacrificed the rook and I lost my queen.",
            "Explain en passant with a pawn on e5.",
            "How do grandmasters calculate so many moves ahead?",
            "Which endgame should I study first, king and pawn or rook?",
        ],
    },
    "money": {
        "description": "bank accounts, transfers and cards",
        "examples": [
            "How do I move money from my savings to my current account?",
            "Why was a fee taken from my account yesterday?",
            "I lost my card, please block it.",
            "The transfer to my sister has not arrived yet.",
            "What interest rate do you pay on savings?",
            "Raise the limit of my credit card to two thousand.",
            "There is a payment on my statement that I do not know.",
            "Can I set up a standing order for the rent?",
            "My card was declined at the supermarket.",
            "What does it cost to pay abroad with the debit card?",
        ],
    },
}

ABOUT = [
    ("Which fertiliser suits potatoes in a raised bed?", "gardening"),
    ("How often should I water basil plants in a pot?", "gardening"),
    ("The leaves of my lemon tree are turning yellow.", "gardening"),
    ("Should I castle before I move the queen out?", "chess"),
    ("What is the best opening against the Sicilian with the bishop?", "chess"),
    ("How do I checkmate with a rook and a king?", "chess"),
    ("Please transfer two hundred from my savings account to my daughter's account.", "money"),
    ("Someone used my credit card, please block it at once.", "money"),
    ("What is the fee for a transfer abroad?", "money"),
]
NEITHER = [
    "Write a poem about the sea for my grandmother.",
    "Which train goes to Vienna on Sunday morning?",
    "Fix the bug in this function, it returns None.",
    "My son has a fever and a rash, should I see a doctor?",
    "Translate this letter into French, please.",
    "How many goals did she score last season?",
    "Plant a flag on the map where the office is.",
    "The king of Sweden visited the queen of Denmark.",
    "Is this transfer student good at maths?",
    "Who played the bishop in that film about the abbey?",
    "Savings of time are what this new software is about.",
    "Turn off the light in the bedroom at eleven.",
    "What is the capital of Mongolia?",
    "Summarise the minutes of yesterday's meeting.",
    "Do we have enough eggs for a cake?",
    "Why is the sky red in the evening?",
    "Schreib mir eine Einladung zum Geburtstag.",
    "Recommend a crime novel for the holidays.",
    "The printer says that the paper is jammed.",
    "Set an alarm for half past six.",
]
"""Far away, and near by a word."""


def found(detector: Topics, text: str) -> dict[str, float]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    assert all((finding.start, finding.end) == (0, len(text)) for finding in findings)
    return {finding.entity_type: finding.score for finding in findings}


@pytest.fixture(scope="module")
def own() -> Topics:
    return Topics(topics=OWN)


@pytest.fixture(scope="module")
def wide() -> Topics:
    """Expects every topic often."""
    return Topics(topics={name: Topic(**topic, share=0.3) for name, topic in OWN.items()})


def surely(detector: Topics, text: str) -> set[str]:
    """Types found with a probability of at least .5."""
    return {kind for kind, score in found(detector, text).items() if score >= 0.5}


def test_texts_are_found_as_their_topic_and_no_other(own: Topics, wide: Topics) -> None:
    right = [surely(wide, text) == {f"TOPIC_{topic.upper()}"} for text, topic in ABOUT]
    assert sum(right) >= len(ABOUT) - 1
    wrong = [surely(own, text) - {f"TOPIC_{topic.upper()}"} for text, topic in ABOUT]
    assert not any(wrong)


def test_texts_about_something_else_are_not(own: Topics) -> None:
    assert sum(bool(surely(own, text)) for text in NEITHER) <= 3


@pytest.mark.parametrize(
    "text",
    [
        "How do I check\u200bmate with a ro\u200bok and a ki\u200bng?",
        "SG93IGRvIEkgY2hlY2ttYXRlIHdpdGggYSByb29rIGFuZCBhIGtpbmc/",
        "Ｈｏｗ ｄｏ Ｉ ｃｈｅｃｋｍａｔｅ ｗｉｔｈ ａ ｒｏｏｋ ａｎｄ ａ ｋｉｎｇ？",
    ],
)
def test_disguise_hides_no_topic(wide: Topics, text: str) -> None:
    (findings,) = wide.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    assert max((finding.score for finding in findings if finding.entity_type == "TOPIC_CHESS"), default=0) >= 0.5


@pytest.mark.parametrize("text", ["", "ok", "12:30", "thanks!", "好的。"])
def test_texts_of_few_letters_are_not_judged(text: str) -> None:
    assert not found(Topics(topics=OWN, allow=("chess",)), text)


def test_only_denied_topics_are_found(wide: Topics) -> None:
    detector = Topics(topics=wide.topics, deny=("chess",))
    assert detector.entity_types == {"TOPIC_CHESS"}
    assert surely(detector, "How do I checkmate with a rook and a king?") == {"TOPIC_CHESS"}
    assert not surely(detector, "How often should I water basil plants in a pot?")


def test_what_is_about_no_allowed_topic_is_off_topic() -> None:
    detector = Topics(topics=OWN, allow=("gardening", "chess"))
    assert detector.entity_types == {"OFF_TOPIC"}
    right = [surely(detector, text) == ({"OFF_TOPIC"} if topic == "money" else set()) for text, topic in ABOUT]
    assert sum(right) >= len(ABOUT) - 2
    assert sum(surely(detector, text) == {"OFF_TOPIC"} for text in NEITHER) >= 12


@pytest.mark.parametrize("stage", ["prompt", "response"])
def test_prompts_and_answers_are_reported_by_topic_and_denied_ones_blocked(stage: str, wide: Topics) -> None:
    topics = {name: topic.model_dump() for name, topic in wide.topics.items()}
    rules = [
        Rule(detector="topics", settings={"topics": topics}),
        Rule(detector="topics", name="no_money", action="block", settings={"topics": topics, "deny": ["money"]}),
    ]
    engine = Engine(recipes=Recipe(name="club", rules=rules))
    chess = engine.check("How do I checkmate with a rook and a king?", stage=stage, recipe="club")
    assert [finding.entity_type for finding in chess.findings] == ["TOPIC_CHESS"]
    assert not chess.blocked
    assert engine.check("Someone used my credit card, please block it at once.", stage=stage, recipe="club").blocked


def test_a_larger_share_finds_more(own: Topics, wide: Topics) -> None:
    for text, topic in ABOUT:
        assert found(own, text)[f"TOPIC_{topic.upper()}"] < found(wide, text)[f"TOPIC_{topic.upper()}"]
    assert probability(3.0, 0.5) / (1 - probability(3.0, 0.5)) == pytest.approx(
        9 * probability(3.0) / (1 - probability(3.0))
    )


class Colours(Embeddings):
    """Knows red from blue."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0, 0.1] if "red" in text.lower() else [0.0, 1.0, 0.1] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_any_langchain_embeddings_will_do() -> None:
    detector = Topics(topics={"red": Topic(examples=("red paint", "a red wall"))}, embedder=Colours())
    assert found(detector, "something REDDISH and loud").get("TOPIC_RED", 0.0) >= 0.5
    assert not found(detector, "something bluish and loud")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"topics": {"empty": {}}}, "'empty' has neither a description nor examples with words"),
        ({"topics": {"empty": {"examples": ["!?"]}}}, "'empty' has neither"),
        ({"topics": OWN, "allow": ["golf"]}, "topics.allow: unknown topic 'golf'; valid: chess, gardening, money"),
        ({"topics": OWN, "deny": ["golf"]}, "topics.deny: unknown topic 'golf'"),
        ({"topics": OWN, "allow": ["chess"], "deny": ["chess"]}, "both denied and allowed: chess"),
        ({"topics": {"a b": OWN["chess"], "a-b": OWN["money"]}}, "'a-b' and 'a b' would both be found as TOPIC_A_B"),
        ({"topics": {"!": OWN["chess"]}}, "expected a name with letters"),
        ({"topics": OWN, "embedder": 7}, "expected LangChain embeddings"),
        ({"topics": {str(i): {"examples": [f"text {i} {j}" for j in range(150)]} for i in range(7)}}, "1050 examples"),
    ],
)
def test_mistakes_are_named(settings: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Topics(**settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"topics": {}}, {"topics": {"a": {"example": ["x"]}}}, {"topics": {"a": {"examples": ["x y"], "share": 1}}}],
)
def test_wrong_shapes_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigError):
        Engine(recipes=Recipe(name="x", rules=[Rule(detector="topics", settings=settings)])).check(
            "a", stage="prompt", recipe="x"
        )


def test_examples_are_not_shown() -> None:
    topic = Topic(description="private words", examples=("more private words",))
    assert "private" not in repr(topic) + repr(Topics(topics={"a": topic}))
