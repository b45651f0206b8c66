"""Finds an application's own system prompt in what its model answers.

How, cheapest first. Canaries: random tokens that one puts into the prompt (`make_canary`) and that have no other way
into an answer; found whatever stands between their letters. Overlap: runs of words that stand in the prompt in the same
order, compared as shingles of five words without case, punctuation and markup, also in decoded views (base64, spaced
letters). Bullets in another order, new numbering and up to three changed words in a place do not break a run.

The score grows with the run's length: p = 1 - exp(-(words - 4) / k). Facts that a prompt holds (opening hours, prices)
are there to be told, so k is 24 and a run is .5 from 21 words on; instructions to the model are not, so k is 7 and a
run with one of their words ("you are", "never", "must") is .5 from 9 words on. Both k are judgement, not fitted.

The prompt comes from ``Context(system=...)``, from ``metadata["system_prompt"]``, or from the settings. Without
a prompt and without canaries nothing is done.

Then the prompt in disguise: what it calls secret itself, in any spelling (`prompt_secrets`), its letters shifted or
backwards (`prompt_cipher`), and, where the answer speaks of instructions or commands, its meaning in other words or
another language (`prompt_meaning`), which may ask the encoder.

Source: shingles after Broder, "On the resemblance and containment of documents" (1997); canaries after Carlini et al.,
"The Secret Sharer" (2019), and common practice (Rebuff).
Limits: those of the parts; a paraphrase that neither speaks of instructions nor commands is only found by a canary or a
secret that survived. Runs of words and letters need prompts of eight words or more.
Measured: on 72 rows that were read while it was made, 31 of 33 leaks, none of 39 answers; of 1,000 ordinary e-mails,
documents and tool outputs against twenty prompts, 4: a prompt, a tool's help, and two e-mails ("how am I supposed to").
Cost: nothing without a prompt; 0.5 ms/KB of answer with one; where the encoder is asked (4 of 1,000 ordinary texts)
about 15 ms a passage, at most four, and some 0.3 s once.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors import prompt_secrets
from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.prompt_cipher import enciphered
from guardrails_plugin.detectors.prompt_meaning import retold
from guardrails_plugin.detectors.prompt_secrets import told_secret
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Origin, Text, View

__all__ = ["SystemPromptLeak", "make_canary"]

_SHINGLE = 5
"""Words of a shingle: shorter ones are common phrases, longer ones break at every changed word."""

_GAP = 3
"""Changed words that do not end a run."""

_SHORTEST_PROMPT = 8
_FACTS, _ORDERS = 24.0, 7.0
_REACH = 320
"""Characters a stream holds back: 21 words, few of which are longer than 15."""

_LEAST_CANARY = 8
_CANARY_SCORE = 0.99
_CIPHER_SCORE = 0.95
_LEAST_MEANING = 0.2
"""Below it a likeness is nobody's concern."""

# Scripts without spaces: every character counts as a word.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_ORDER = re.compile(
    r"\b(?:you (?:are|must|should|will|may|can|have)|your (?:role|task|job|instructions?|goal|name|answers?|responses?)"
    r"|never|always|must|do not|don't|(?:respond|reply|answer) (?:only|with|in|as|to)|the user|confidential"
    r"|instructions?|system prompt|niemals|immer|du bist|jamais|toujours|tu es|nunca|siempre|eres)\b"
    r"|\u4f60\u662f|\u4e0d\u8981|\u5fc5\u987b",
    re.IGNORECASE,
)


_SIGNS = re.compile(r"[^\w\s'\u2019]+")
"""What may stand between words instead of spaces, or with them."""


def make_canary(length: int = 16) -> str:
    """A random token to put into a system prompt and into this detector's ``canaries``.

    Args:
        length: hexadecimal digits, 8 or more; 16 are 64 bits, so that no text holds it by chance.
    """
    if length < _LEAST_CANARY:
        raise ConfigError(f"canary: expected a length of {_LEAST_CANARY} or more, got {length}")
    return f"canary-{secrets.token_hex(length)[:length]}"


@dataclass(frozen=True, config=SETTINGS)
class SystemPromptLeak:
    """Leaked system prompts.

    Attributes:
        canaries: tokens that stand in the system prompt and must not stand in an answer.
        system_prompt: the prompt, when it is the same for all calls; else see ``Context.system``.
        public: parts of the prompt that may be told, such as the greeting.
        meaning: whether the encoder may be asked about answers that speak of instructions or command.
    """

    canaries: tuple[str, ...] = ()
    system_prompt: str = ""
    public: tuple[str, ...] = ()
    meaning: bool = True

    name: ClassVar[str] = "system_prompt_leak"
    entity_types: ClassVar[frozenset[str]] = frozenset({"SYSTEM_PROMPT", "CANARY"})
    categories: ClassVar[Mapping[str, frozenset[str]]] = {}
    local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for index, canary in enumerate(self.canaries):
            if len("".join(_WORD.findall(canary))) < _LEAST_CANARY:
                raise ConfigError(
                    f"system_prompt_leak: canaries[{index}]: expected {_LEAST_CANARY} or more letters and digits; "
                    "make_canary() makes one"
                )

    @property
    def quick(self) -> bool:
        """Whether no model is asked about a text whose context names no prompt."""
        return not (self.meaning and self.system_prompt)

    def reach(self, context: Context) -> int:
        """Characters a stream has to hold back: a run's, when there is anything to compare with."""
        return _REACH if self.canaries or self._prompts(context) else 0

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        prompts = self._prompts(context)
        if not prompts and not self.canaries:
            return [()] * len(texts)
        known = frozenset().union(*map(_shingles, prompts)) - self._told
        return [by_place([*self._findings(text, known), *self._disguised(text, prompts)]) for text in texts]

    def _prompts(self, context: Context) -> tuple[str, ...]:
        given = (self.system_prompt, context.system, context.metadata.get("system_prompt", ""))
        return tuple(filter(None, given))

    @cached_property
    def _told(self) -> frozenset[tuple[str, ...]]:
        return frozenset().union(*map(_shingles, self.public))

    @cached_property
    def _marks(self) -> tuple[re.Pattern[str], ...]:
        """Canaries, with anything but letters and digits between their letters and digits."""
        spelt = (re.sub(r"[\W_]", "", canary) for canary in self.canaries)
        return tuple(re.compile(r"[\W_]{0,4}".join(map(re.escape, letters)), re.IGNORECASE) for letters in spelt)

    def _findings(self, text: Text, known: frozenset[tuple[str, ...]]) -> tuple[Finding, ...]:
        if text.origin is Origin.SYSTEM:
            return ()  # the prompt itself
        best: dict[tuple[int, int, str], Finding] = {}
        for view in text.views:
            for finding in (*self._canaries(text, view), *self._overlaps(text, view, known)):
                place = finding.start, finding.end, finding.entity_type
                if place not in best or best[place].score < finding.score:
                    best[place] = finding
        return by_place(best.values())

    def _disguised(self, text: Text, prompts: Sequence[str]) -> Iterator[Finding]:
        """What the prompt says, in other letters, words or languages."""
        if text.origin is Origin.SYSTEM:
            return
        view = text.views[0]
        whole = len(view.text) - len(view.text.lstrip()), len(view.text.rstrip())
        for prompt in prompts:
            if any(told_secret(each.text, prompt, self.public) for each in text.views):
                yield _finding(text, view, whole, "SYSTEM_PROMPT", prompt_secrets.SCORE, kind="secret")
            if (place := enciphered(view.text, prompt)) is not None:
                yield _finding(text, view, place, "SYSTEM_PROMPT", _CIPHER_SCORE, kind="cipher")
            for passage in retold(view.text, prompt, meaning=self.meaning):
                if passage.score >= _LEAST_MEANING and passage.start < passage.end:
                    place = passage.start, passage.end
                    yield _finding(text, view, place, "SYSTEM_PROMPT", passage.score, kind=passage.kind)

    def _canaries(self, text: Text, view: View) -> Iterator[Finding]:
        for number, mark in enumerate(self._marks, start=1):
            for match in mark.finditer(view.text):
                yield _finding(text, view, match.span(), "CANARY", _CANARY_SCORE, canary=float(number))

    def _overlaps(self, text: Text, view: View, known: frozenset[tuple[str, ...]]) -> Iterator[Finding]:
        for run in _runs(view.text, known):
            orders = _ORDER.search(_SIGNS.sub(" ", view.text[run.start : run.end])) is not None
            score = 1 - math.exp((_SHINGLE - 1 - run.words) / (_ORDERS if orders else _FACTS))
            kind = "instructions" if orders else "facts"
            place = run.start, run.end
            yield _finding(text, view, place, "SYSTEM_PROMPT", round(score, 3), words=float(run.words), kind=kind)


def _finding(
    text: Text, view: View, place: tuple[int, int], entity_type: str, score: float, **evidence: str | float
) -> Finding:
    span = view.span(*place)
    if view.kind != "canonical":
        evidence["view"] = view.kind
    return Finding(SystemPromptLeak.name, entity_type, score, span.start, span.end, text.segment, evidence)


class _Run(NamedTuple):
    """Words of a text that stand in a prompt, too."""

    start: int
    end: int
    words: int


def _runs(text: str, known: frozenset[tuple[str, ...]]) -> Iterator[_Run]:
    if not known:
        return
    places = [match.span() for match in _WORD.finditer(text)]
    words = [text[start:end].casefold() for start, end in places]
    first = last = -1  # the open run's words, last excluded
    covered = 0
    for at in range(len(words) - _SHINGLE + 1):
        if tuple(words[at : at + _SHINGLE]) not in known:
            continue
        if first >= 0 and at > last + _GAP:
            yield _Run(places[first][0], places[last - 1][1], covered)
            first = -1
        if first < 0:
            first, last, covered = at, at, 0
        covered += at + _SHINGLE - max(last, at)
        last = at + _SHINGLE
    if first >= 0:
        yield _Run(places[first][0], places[last - 1][1], covered)


@lru_cache(maxsize=64)
def _shingles(prompt: str) -> frozenset[tuple[str, ...]]:
    """Every five words in a row; kept, since an application has few prompts and many answers."""
    words = [word.casefold() for word in _WORD.findall(prompt)]
    if len(words) < _SHORTEST_PROMPT:
        return frozenset()
    return frozenset(tuple(words[at : at + _SHINGLE]) for at in range(len(words) - _SHINGLE + 1))
