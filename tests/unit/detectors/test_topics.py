"""Topics by description and examples."""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin import Engine, Recipe, Rule
from guardrails_plugin.detectors.topics import Topic, Topics
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin

OWN = {
    "gardening": Topic(
        description="plants, soil and gardens",
        examples=("When do I plant tomatoes?", "My roses have black spots.", "How deep do tulip bulbs go?"),
    ),
    "chess": Topic(
        description="the game of chess",
        examples=("Is the Sicilian good for beginners?", "Mate in two for white?", "How does a knight move?"),
    ),
}


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("How often should I water my basil plant?", "gardening"),
        ("Which fertiliser suits potatoes?", "gardening"),
        ("Should I castle before moving my queen?", "chess"),
        ("What is the best reply to the king's gambit?", "chess"),
        ("Wann soll ich die Tomaten pflanzen?", "gardening"),
    ],
)
def test_a_text_is_nearest_to_its_topic(text: str, topic: str) -> None:
    near = Topics(topics=dict(OWN)).nearness([text])[0]
    assert max(near, key=lambda name: near[name]) == topic


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("I have had a fever and a cough since Monday, what should I do?", "health"),
        ("Please transfer two hundred euros from my savings account.", "banking"),
        ("Write a Python function that sorts a list of dates.", "programming"),
        ("Book me a flight to Rome and a hotel near the station.", "travel"),
        ("Who will win the election, and what do the parties promise?", "politics"),
    ],
)
def test_built_in_topics_need_no_settings(text: str, topic: str) -> None:
    near = Topics().nearness([text])[0]
    assert topic in sorted(near, key=lambda name: -near[name])[:2]


def test_what_is_near_no_allowed_topic_is_off_topic() -> None:
    rule = Rule(
        detector="topics",
        action="block",
        settings={"topics": {name: topic.model_dump() for name, topic in OWN.items()}, "allow": ["gardening", "chess"]},
    )
    engine = Engine(recipes=Recipe(name="club", rules=[rule]))
    assert engine.check("Please write my tax return for last year.", stage="prompt", recipe="club").blocked
    assert not engine.check("When do I plant the tomatoes?", stage="prompt", recipe="club").blocked


@pytest.mark.parametrize("text", ["", "ok", "12:30", "thanks!"])
def test_texts_of_few_letters_are_not_judged(text: str) -> None:
    rule = Rule.model_validate(
        {"detector": "topics", "action": "block", "threshold": 0.0, "settings": {"allow": ["sport"]}}
    )
    engine = Engine(recipes=Recipe(name="x", rules=[rule]))
    assert not engine.check(text, stage="prompt", recipe="x").findings


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="topics: 'empty' has neither a description nor examples"):
        Topics(topics={"empty": Topic()})
    with pytest.raises(ConfigError, match="allow names golf; valid: gardening, chess"):
        Topics(topics=dict(OWN), allow=("golf",))


def test_embeddings_are_unit_vectors_and_alike_across_languages() -> None:
    texts = ("The cat sleeps on the sofa.", "Die Katze schläft auf dem Sofa.", "Interest rates rose by half a point.")
    vectors = load_encoder(EMBEDDED).embed([Document(text, Origin.USER) for text in texts])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
