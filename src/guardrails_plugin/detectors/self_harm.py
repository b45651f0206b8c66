"""Finds people who speak of killing or hurting themselves, and requests or instructions for it.

How: forms of speech (``data/self_harm.toml``) propose; `SelfHarm.confirm` reads what stands round the match. Idioms ("I
nearly killed myself laughing"), titles ("Suicide Squad"), prevention and research ("hotline", "risk factors"), fiction
("in my novel the hero") and other people ("my friend told me she") lower the score, negation ("I would never") too;
despair, a plan or a means near it ("pills", "tonight", "can't go on") raise it. ``SELF_HARM_INTENT`` is a person in
danger: answer with help rather than a refusal. ``SELF_HARM_INSTRUCTIONS`` is a method asked for, told or urged on
somebody.

A head of the encoder that also judges prompt injection is asked beside the forms (`label_heads`). These are English;
the plainest wordings in Spanish, French, German, Italian, Portuguese, Russian, Polish, Turkish, Dutch, Japanese,
Chinese, Korean, Arabic and Hindi.

The forms alone, measured on texts written for this project after the rules (``tests/quality/test_self_harm.py``): 38 of
40 found, 3 of 60 harmless ones with the same words taken for danger. On 73 texts written
without sight of the rules .14 of the dangerous ones were found, without a false alarm: people rarely say the words.
Rows for what they say instead (not waking up, last letters, easy ways out, what they do to themselves) were added
since. On a second blind set of 80 they find .12 of 40 with .02 false alarms, with the head .72 with .15.
Source: the forms were written for this project; the head's model card.
Limits: every fourth allusion ("soon it won't hurt anymore") is not found; the forms' scores are judgements, not
calibrated on data; it is no clinical instrument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.label_heads import HeadedPatterns
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern, compile_pattern
from guardrails_plugin.types import Finding

__all__ = ["SelfHarm"]

_AROUND = 160
"""Characters on either side that are read for another meaning."""


def _words(text: str) -> str:
    return "|".join(part.strip() for part in text.split(";"))


_READINGS = {
    "idiom": (
        0.25,
        compile_pattern(
            r"\b(?:"
            + _words(
                "laugh\\w*; (?:of|from) (?:embarrassment|boredom|shame|laughter|hunger); "
                "lol; lmao; haha\\w*; in (?:the |this )?(?:game|match|level); respawn\\w*; speedrun\\w*; minecraft; "
                "life (?:jackets?|vests?|insurance|savings|story|coach|partner|hacks?|lessons?); "
                "live (?:in|at|near|with|on|by|there|here|from); die on (?:this|that) hill; die of old age; "
                "suicide (?:squad|squeeze|door\\w*|burnout|run\\w*|gene|inhibit\\w*|king|mission); "
                "career suicide; political suicide; commercial suicide; social suicide; (?:die|died|dying) (?:for|to) "
                "(?:know|see|try|meet|have|get|chocolate|pizza|a)"
            )
            + r")\b",
            ignore_case=True,
        ),
    ),
    "prevention": (
        0.3,
        compile_pattern(
            r"\b(?:"
            + _words(
                "prevent\\w*; hotlines?; helplines?; lifelines?; crisis (?:line|text|team|centre|center); awareness; "
                "statistics; rates?; risk factors?; warning signs?; research\\w*; stud(?:y|ies); epidemiolog\\w*; "
                "patients?; clinicians?; therapists? should; counsell?ors?; training for; screening; policy; "
                "training data; classif\\w+; colleagues?; detector\\w*; moderat\\w+; intervention\\w*; survivors?; "
                "bereave\\w*; support groups?; article; journalis\\w*; law; legal; history; sermon; essay; "
                "psycholog(?:y|ist|ists)"
            )
            + r")\b",
            ignore_case=True,
        ),
    ),
    "fiction": (
        0.3,
        compile_pattern(
            r"\b(?:"
            + _words(
                "novel; character; characters; protagonist; movie; film; lyrics?; song; album; episode; season \\d; "
                "chapter; screenplay; script; scene; poem by; plot; Romeo; Juliet; Shakespeare; Werther; Hamlet; band; "
                "quote from; translate; translation; story about"
            )
            + r")\b",
            ignore_case=True,
        ),
    ),
    "other": (
        0.35,
        compile_pattern(
            r"\b(?:"
            + _words(
                "(?:he|she|they|who|friend|sister|brother|son|daughter|patient|student|user|caller|someone|"
                "classmate|colleague|wife|husband|mother|father|mom|dad)(?: \\w+){0,3} (?:said|says|told|tells|texted|"
                "wrote|keeps saying|is|was|feels|felt|wants?|wanted|tried|talks|has been)"
            )
            + r")\b",
            ignore_case=True,
        ),
    ),
    "negated": (
        0.3,
        compile_pattern(
            r"\b(?:never|not|n't|don'?t|wouldn'?t|didn'?t|won'?t|no longer|used to|without)\b"
            r"(?: (?:ever|want to|wanna|going to|planning to|have any plans? to|think about|be|feel(?:ing)?|actually|"
            r"really)){0,3} ?$",
            ignore_case=True,
        ),
    ),
}
"""What else a match may mean: by how much its score is multiplied, and the words that say so."""

_DESPAIR = compile_pattern(
    r"\b(?:tonight|today|tomorrow|right now|pills?|rope|noose|gun|bridge|razor|blade|overdose|goodbye|"
    r"can'?t (?:take|do|go on|stand|cope)|cannot go on|hopeless|worthless|a burden|alone|no one (?:cares|would)|"
    r"nobody (?:cares|would)|depress\w*|i'?m done|painless\w*|please help me|plan(?:ned|ning)?|anymore|hate my life)\b",
    ignore_case=True,
)
_SAFE_ASK = compile_pattern(
    r"\b(?:how (?:can|do|should|could) (?:I|we|you|one) (?:help|support|talk|stop|prevent|respond)|"
    r"what (?:should|can) I (?:do|say)|signs? (?:of|that)|stop(?:s|ped|ping)? (?:people|someone|teens|him|her|them)|"
    r"talk (?:him|her|them) out)\b",
    ignore_case=True,
)


@dataclass(frozen=True, config=SETTINGS)
class SelfHarm(HeadedPatterns):
    """See the module and `HeadedPatterns`. The classifier's word counts early: a person overlooked is worse."""

    point: Literal["strict", "balanced", "permissive"] = "strict"

    name: ClassVar[str] = "self_harm"
    entity_types = frozenset({"SELF_HARM_INTENT", "SELF_HARM_INSTRUCTIONS"})
    labels = MappingProxyType(
        {"self_harm_intent": "SELF_HARM_INTENT", "self_harm_instructions": "SELF_HARM_INSTRUCTIONS"}
    )
    categories = MappingProxyType(
        {"intent": frozenset({"SELF_HARM_INTENT"}), "instructions": frozenset({"SELF_HARM_INSTRUCTIONS"})}
    )

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The forms of speech."""
        return load_table("self_harm")

    def confirm(self, match: Match) -> Finding | None:
        """The finding, with the score that its surroundings leave it."""
        reading, factor = _reading(match)
        score = match.pattern.score
        before, after = _surroundings(match)
        if reading == "plain" and _DESPAIR.search(f"{before} \n {after}".encode()):
            score = 1 - (1 - score) / 2
        evidence: Mapping[str, str | float] = {"speech": str(match.pattern.extra["speech"]), "reading": reading}
        return match.finding(self.name, score=round(score * factor, 4), evidence=evidence)


def _surroundings(match: Match) -> tuple[str, str]:
    text = match.view.text
    before = text[max(0, match.start - _AROUND) : match.start]
    after = text[match.end : match.end + _AROUND]
    return " ".join(before.split()), " ".join(after.split())


def _reading(match: Match) -> tuple[str, float]:
    """What the words round a match make of it: the reading that leaves least of its score."""
    before, after = _surroundings(match)
    around = f"{before} {' '.join(match.value.split())} {after}".encode()
    found = [("plain", 1.0)]
    for name, (factor, pattern) in _READINGS.items():
        where = f"{before} ".encode() if name == "negated" else around
        if name == "idiom" and match.pattern.extra.get("earnest"):
            continue
        if name == "other" and match.pattern.extra["speech"] == "first" and not pattern.search(f"{before} ".encode()):
            continue
        if pattern.search(where):
            found.append((name, factor))
    if _SAFE_ASK.search(around):
        found.append(("prevention", 0.3))
    return min(found, key=lambda reading: (reading[1], reading[0]))
