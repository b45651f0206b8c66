"""The toxicity head as a detector: labels, windows, views. How good it is: tests/quality."""

from __future__ import annotations

import pytest

from guardrails_plugin import Engine, Verdict
from guardrails_plugin.detectors.toxicity import Toxicity
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

ABUSE = "You are a worthless stupid idiot and everybody hates you, you disgusting piece of shit."
CALM = "Could you please send me the opening hours of the library on Saturday?"


def found(text: str, detector: Toxicity | None = None) -> dict[str, Finding]:
    findings = (detector or Toxicity()).detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)[0]
    return {finding.entity_type: finding for finding in findings}


class TestLabels:
    def test_each_label_is_an_entity_type(self) -> None:
        labels = load_encoder(EMBEDDED).config.labels
        assert {label.upper() for label in labels} > Toxicity.entity_types
        assert len(Toxicity.entity_types) == 7

    def test_abuse_scores_far_above_a_request(self) -> None:
        assert found(ABUSE)["TOXICITY"].score > 0.75
        assert found(CALM).get("TOXICITY") is None or found(CALM)["TOXICITY"].score < 0.3

    def test_an_insult_is_one_and_no_threat(self) -> None:
        scores = {name: finding.score for name, finding in found(ABUSE).items()}
        assert scores["INSULT"] > scores.get("THREAT", 0.0)


class TestDisguises:
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("leet", "y0u 4r3 4 w0rthl355 5tup1d 1d10t 4nd 3v3ryb0dy h4t35 y0u"),
            ("capitals", "yOu aRe a wOrThLeSs sTuPiD IdIoT AnD EvErYbOdY HaTeS YoU."),
            ("rot13", "lbh ner n jbeguyrff fghcvq vqvbg naq rirelobql ungrf lbh"),
        ],
    )
    def test_it_is_read_without_them(self, kind: str, text: str) -> None:
        insult = found(text)["INSULT"]
        assert insult.score > 0.5
        assert insult.evidence["view"] == kind

    @pytest.mark.parametrize(
        "text",
        [
            "c0uld y0u pl3453 53nd m3 th3 0p3n1ng h0ur5 0f th3 l1br4ry?",
            "cOuLd yOu pLeAsE SeNd mE ThE OpEnInG HoUrS Of tHe lIbRaRy?",
            "My MacBook runs PyTorch and LaTeX; my iPad came from eBay.",
            "Plugs h4 and e5 go to room b12 at 4 pm.",
        ],
    )
    def test_a_calm_text_in_disguise_is_calm(self, text: str) -> None:
        assert all(finding.score < 0.5 for finding in found(text).values())


LABELLED = [
    (
        "TOXICITY",
        "You are all so stupid, shut up and get lost, you losers.",
        "That was a stupid mistake of mine, sorry.",
    ),
    (
        "SEVERE_TOXICITY",
        "I hope you rot, you filthy worthless piece of shit, you should be put down like a dog.",
        "You lazy liar.",
    ),
    ("OBSCENE", "What the fuck is this shit? Fucking hell.", "The farm smells of manure and cow dung."),
    (
        "SEXUALLY_EXPLICIT",
        "She moaned as he thrust his cock into her wet pussy.",
        "He trained as a gynaecologist and lectures on breast cancer.",
    ),
    ("INSULT", "You are a pathetic ugly moron.", "I feel stupid for having missed the train."),
    (
        "THREAT",
        "I will find you and kill you, you are dead tonight.",
        "This exercise will kill my legs, but I will do it.",
    ),
    (
        "IDENTITY_ATTACK",
        "All Muslims are subhuman vermin and should be thrown out of the country.",
        "Our mosque and the church next door share a garden.",
    ),
]


class TestEachLabel:
    def test_every_label_has_its_texts(self) -> None:
        assert {label for label, _, _ in LABELLED} == Toxicity.entity_types

    @pytest.mark.parametrize(("label", "abuse", "near"), LABELLED)
    def test_abuse_has_its_label_and_a_near_miss_does_not(self, label: str, abuse: str, near: str) -> None:
        assert found(abuse)[label].score > 0.7
        other = found(near).get(label)
        assert other is None or other.score < 0.5


class TestPlace:
    def test_the_finding_covers_the_window_that_is_abusive(self) -> None:
        calm = " ".join(f"Paragraph {n} describes how the harbour was built in stone." for n in range(60))
        finding = found(f"{calm}\n{ABUSE}\n{calm}")["TOXICITY"]
        assert finding.start < len(calm) + 40 < finding.end
        assert finding.end - finding.start < len(calm)

    def test_zero_width_characters_hide_nothing(self) -> None:
        hidden = "\u200b".join(ABUSE)
        assert found(hidden)["TOXICITY"].score > 0.75

    @pytest.mark.parametrize("text", ["", "  ", "42", "!?"])
    def test_texts_without_words_are_not_judged(self, text: str) -> None:
        assert not found(text)


class TestInARecipe:
    def test_severe_abuse_can_be_blocked_and_the_rest_reported(self) -> None:
        engine = Engine()
        result = engine.check(
            ABUSE, stage="response", recipe="financial", overrides={"prompt_injection": {"disabled": True}}
        )
        assert result.blocked
        assert any("toxicity" in reason for reason in result.reasons)
        assert engine.check(CALM, stage="response", recipe="financial").verdict is Verdict.ALLOW

    def test_operating_points_are_the_models(self) -> None:
        strict, permissive = (Toxicity().operating_point(name, Origin.USER) for name in ("strict", "permissive"))
        assert 0 < strict <= permissive <= 1
        with pytest.raises(ConfigError, match="no operating point 'loose'; valid: strict, balanced, permissive"):
            Toxicity().operating_point("loose", Origin.USER)

    def test_texts_are_scored(self) -> None:
        low, high = Engine().score("toxicity", [CALM, ABUSE])
        assert low < 0.3
        assert high > 0.75


def test_injection_and_toxicity_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(EMBEDDED)
    passes: list[int] = []
    forward = encoder._forward

    def counted(window: tuple[int, ...]) -> object:
        passes.append(len(window))
        return forward(window)

    monkeypatch.setattr(encoder, "_forward", counted)
    document = Document("A text that no other test has read: the ferry to Inishmore leaves at ten.", Origin.USER)
    encoder.read([document])
    encoder.read_labels([document], ["toxicity", "threat"])
    encoder.embed([document])
    assert len(passes) == 1


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ConfigError, match="has no label 'rudeness'; valid: toxicity"):
        load_encoder(EMBEDDED).read_labels([Document("x", Origin.USER)], ["rudeness"])
