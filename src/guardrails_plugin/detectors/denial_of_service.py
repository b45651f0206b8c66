"""Finds contents that cost out of proportion: too long, repeated, made of signs, or asking for an answer without end.

- TOKEN_LIMIT: the content's estimated tokens exceed ``token_threshold`` (4096). The estimate needs no tokenizer: a
  token for every 5 letters or part of them in a word, every 3 digits, every sign, every character of scripts without
  spaces, every 3 letters of other scripts (`estimate_tokens`). Against a WordPiece
  tokenizer of 30,522 pieces the median ratio was 0.97 to 1.12 in 13 kinds of ordinary text (lists of hashes 0.86), and
  four of five texts lay between 0.88 and 1.33; other tokenizers were not compared.
- REPETITION: blocks of 4 KB that deflate to under 5 % of their size; ordinary text comes to 35 % or more, logs and
  tables to 10 %.
- SPECIAL_CHARACTERS: more than 60 % signs, or 30 % combining marks, in 200 characters or more.
- RUNAWAY_REQUEST: requests to repeat, count or go on without end (``data/denial_of_service.toml``), or for an answer
  of an estimated ``answer_threshold`` (50,000) tokens or more (`runaway`).

Source: OWASP LLM10:2025 (unbounded consumption); Nasr et al., "Scalable Extraction" (2023), for endless repetition;
RFC 1951. Thresholds are judgement; of about 1,300 ordinary mails, documents, source files and tool outputs two were
found, both made of signs.
Limits: tasks in stages and tools called again are known in English only, the rest in nine languages; what looks short
and costs much (hard problems) is not seen.
Cost: grows with the large numbers that have a verb that may ask in the 250 characters before them, about 0.6 ms each in
a text full of both; others cost next to nothing.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors import runaway
from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Context, Finding, Text

__all__ = ["TOKEN_THRESHOLD", "DenialOfService", "estimate_tokens"]

TOKEN_THRESHOLD = 4096
ANSWER_THRESHOLD = 50_000

_SHORT = 512
"""Characters of contents that are not worth an estimate: most prompts."""

_BLOCK = 4096
_SHORTEST_BLOCK = 600
"""Characters under which a few repeated words are no burden."""

_REPEATED = 0.05
_SIGNS_FROM = 200
_SIGNS, _MARKS = 0.6, 0.3
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_DIGITS = re.compile(r"[0-9]+")
_SIGN = re.compile(r"[!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u2bff\u3000-\u3020\U0001f000-\U0001faff]")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002ffff]")
_OTHER_LETTER = re.compile(r"[\u0250-\u1fff\ua000-\uabff\ufb50-\ufeff]")
_ASCII_SIGNS = bytes(code for code in range(33, 127) if not chr(code).isalnum())


def estimate_tokens(text: str) -> int:
    """About how many tokens a model reads, without a tokenizer.

    >>> estimate_tokens("The quick brown fox, 12345 times.")
    9
    """
    words = sum((len(word) + 4) // 5 for word in _LATIN_WORD.findall(text))
    digits = sum((len(run) + 2) // 3 for run in _DIGITS.findall(text))
    signs = len(_SIGN.findall(text))
    if text.isascii():
        return words + digits + signs
    others = len(_IDEOGRAPH.findall(text)) + (len(_OTHER_LETTER.findall(text)) + 2) // 3
    return words + digits + signs + others


@dataclass(frozen=True, config=SETTINGS)
class DenialOfService(PatternBase):
    """Contents that cost out of proportion.

    Attributes:
        token_threshold: tokens that a content (all its strings together) may have.
        answer_threshold: tokens from which on the answer that is asked for is too long, by an estimate of its units.
    """

    token_threshold: Annotated[int, Field(ge=1)] = TOKEN_THRESHOLD
    answer_threshold: Annotated[int, Field(ge=1)] = ANSWER_THRESHOLD

    name: ClassVar[str] = "denial_of_service"
    judges: ClassVar[bool] = True
    entity_types: ClassVar[frozenset[str]] = frozenset(  # type: ignore[misc]
        {"TOKEN_LIMIT", "REPETITION", "SPECIAL_CHARACTERS", "RUNAWAY_REQUEST"}
    )
    categories: ClassVar[Mapping[str, frozenset[str]]] = {  # type: ignore[misc]
        "size": frozenset({"TOKEN_LIMIT"}),
        "flooding": frozenset({"REPETITION", "SPECIAL_CHARACTERS"}),
        "runaway": frozenset({"RUNAWAY_REQUEST"}),
    }

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The rules."""
        return (*load_table("denial_of_service"), *runaway.patterns())

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        if not match.pattern.extra.get("runaway"):
            asks_how = runaway.questioned(match.view.text, match.start)
            return None if asks_how else match.finding(self.name, score=match.pattern.score)
        begun = runaway.begins(match, self.answer_threshold)
        if begun is None:
            return None
        return replace(match, start=min(begun, match.start)).finding(self.name, score=match.pattern.score)

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """What the sizes and the characters say, beside the rules."""
        del context
        added: list[list[Finding]] = [[*own, *self._flooding(text)] for text, own in zip(texts, found, strict=True)]
        for members in _contents(texts):
            if too_long := self._too_long([texts[index] for index in members]):
                added[members[-1]].append(too_long)
        return [by_place(own) for own in added]

    def _too_long(self, texts: Sequence[Text]) -> Finding | None:
        """Stands on the last string of the content, the one that was too much."""
        if sum(len(text.original) for text in texts) <= min(self.token_threshold, _SHORT):
            return None  # no estimate is more than a token a character
        tokens = sum(estimate_tokens(text.original) for text in texts)
        if tokens <= self.token_threshold:
            return None
        evidence = {"embeddings_length": float(tokens), "token_threshold": float(self.token_threshold)}
        last = texts[-1]
        return Finding(self.name, "TOKEN_LIMIT", 0.99, 0, len(last.original), last.segment, evidence)

    def _flooding(self, text: Text) -> Iterator[Finding]:
        original = text.original
        if len(original) >= _SIGNS_FROM:
            share, kind = _signs(original)
            if score := _above(share, _MARKS if kind == "marks" else _SIGNS):
                facts: dict[str, str | float] = {"share": round(share, 3), "kind": kind}
                yield Finding(self.name, "SPECIAL_CHARACTERS", score, 0, len(original), text.segment, facts)
        if len(original) >= _SHORTEST_BLOCK:
            for start, end, ratio in _repeated(original):
                facts = {"ratio": round(ratio, 4)}
                yield Finding(self.name, "REPETITION", 0.8, start, end, text.segment, facts)


def _contents(texts: Sequence[Text]) -> Iterator[list[int]]:
    """Indices of the texts of one content: segment numbers rise within it."""
    group: list[int] = []
    for index, text in enumerate(texts):
        if group and text.segment <= texts[group[-1]].segment:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _above(share: float, threshold: float) -> float:
    """0.6 at the threshold, rising to 0.95 when there is nothing else."""
    return 0.0 if share <= threshold else round(0.6 + 0.35 * (share - threshold) / (1 - threshold), 3)


def _signs(text: str) -> tuple[float, str]:
    """The share of signs among what is not white space, or of combining marks when these are the trouble."""
    if text.isascii():
        data = text.encode()
        dense = len(data) - sum(map(data.count, (b" ", b"\n", b"\t", b"\r")))
        return (len(data) - len(data.translate(None, _ASCII_SIGNS))) / max(dense, 1), "signs"
    kinds = [unicodedata.category(char)[0] for char in text if not char.isspace()]
    total = max(len(kinds), 1)
    marks = sum(unicodedata.category(char) in ("Mn", "Me") and unicodedata.combining(char) == 230 for char in text)
    if marks / total > _MARKS:
        return marks / total, "marks"
    return sum(kind in "PS" for kind in kinds) / total, "signs"


def _repeated(text: str) -> Iterator[tuple[int, int, float]]:
    """Blocks that deflate to next to nothing; neighbours are one."""
    begun, end, worst = -1, 0, 0.0
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        if len(block) < _SHORTEST_BLOCK:
            break  # a rest tells too little
        data = block.encode("utf-8", "replace")
        ratio = len(zlib.compress(data, 1)) / len(data)
        if ratio >= _REPEATED or not block.strip():
            if begun >= 0:
                yield begun, end, worst
            begun = -1
            continue
        begun, worst = (start, ratio) if begun < 0 else (begun, max(worst, ratio))
        end = start + len(block)
    if begun >= 0:
        yield begun, end, worst
