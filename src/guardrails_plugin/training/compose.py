"""Puts attacks into benign documents, and for every one makes the twin with a harmless sentence in that place.

The twin has the same document, the same wrapper and the same place: nothing but the meaning of the inserted
sentence tells the two apart, so neither the seam nor the length nor the wrapper can be learnt as a cue.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardrails_plugin.training.data import EXTERNAL, Example
from guardrails_plugin.training.phrases import (
    AGENT_FRAMES,
    AGENT_TASKS,
    HUMAN_FRAMES,
    HUMAN_TASKS,
    SLOTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WRAPPERS: tuple[str, ...] = (
    "{}",
    "{}",
    "{}",
    "\n{}\n",
    "\n\n{}\n\n",
    "\n> {}\n",
    "\n- {}\n",
    "\n* {}",
    "\n<!-- {} -->\n",
    "\n# {}\n",
    "\n// {}\n",
    "\n**{}**\n",
    " ({})",
    " [{}]",
    '\n"{}"\n',
    "\nNote: {}\n",
    "\nPS: {}\n",
    "\n---\n{}\n---\n",
    "\n<p style='color:white'>{}</p>\n",
    "\n| {} |\n",
    "\n[1] {}\n",
    "\n{}\nKind regards\n",
)
"""Ways in which a sentence stands in a document; half of them are plain."""

TASKS_SHARE, PHRASES_SHARE = 0.3, 0.5
"""Share of composed attacks, and of their twins, that are put together from phrases rather than quoted."""

_BOUNDARY = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[।。！？])")
_JSON_STRING = re.compile(r'(?<=: ")[^"\\]{3,}(?=")')


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes pairs from carriers (benign documents), attacks and harmless sentences."""

    carriers: Sequence[Example]
    attacks: Sequence[Example]
    harmless: Sequence[Example]
    longest: int = 1700

    def pairs(self, count: int, rng: random.Random) -> Iterator[tuple[Example, Example]]:
        """`count` pairs of a document with an attack and its twin."""
        for number in range(count):
            carrier = rng.choice(self.carriers)
            body = self._excerpt(carrier.text, rng)
            seed = rng.random()
            attack, attack_source, lang = self._attack(rng)
            made = (
                (attack, 1, "indirect/composed", attack_source),
                (self._harmless(rng), 0, "benign_document/composed", "harmless"),
            )
            first, second = (
                Example(
                    text=insert(body, payload, random.Random(seed)),
                    label=label,
                    origin=EXTERNAL,
                    category=category,
                    lang=lang if label else carrier.lang,
                    source=f"composed[{source}]→{carrier.source}",
                    pair=f"composed-{number}",
                )
                for payload, label, category, source in made
            )
            yield first, second

    def _excerpt(self, text: str, rng: random.Random) -> str:
        size = int(min(self.longest, 150 * 2.718 ** (rng.random() * 2.8)))
        if len(text) <= size or text.lstrip()[:1] in "{[":
            return text[: self.longest]
        begin = rng.randrange(0, len(text) - size)
        return text[begin : begin + size]

    def _attack(self, rng: random.Random) -> tuple[str, str, str]:
        if not self.attacks or rng.random() < TASKS_SHARE:
            return phrase(rng, agent=True), "tasks", "en"
        chosen = rng.choice(self.attacks)
        return chosen.text, chosen.source, chosen.lang

    def _harmless(self, rng: random.Random) -> str:
        if not self.harmless or rng.random() < PHRASES_SHARE:
            return phrase(rng, agent=False)
        return rng.choice(self.harmless).text


def phrase(rng: random.Random, *, agent: bool) -> str:
    """An instruction to the language model (`agent`) or to a human reader."""
    tasks, frames = (AGENT_TASKS, AGENT_FRAMES) if agent else (HUMAN_TASKS, HUMAN_FRAMES)
    template = rng.choice(frames).replace("{task}", rng.choice(tasks))
    values = {name: rng.choice(options) for name, options in SLOTS.items()}
    text = template.format(**values)
    return text[0].upper() + text[1:]


def insert(body: str, payload: str, rng: random.Random) -> str:
    """`body` with `payload` in a drawn wrapper at a drawn place; inside a string if `body` is JSON."""
    if body.lstrip()[:1] in ("{", "["):
        inside = _into_json(body, payload, rng)
        if inside is not None:
            return inside
    places = [0, len(body), *(match.end() for match in _BOUNDARY.finditer(body))]
    place = rng.choice(places)
    wrapped = rng.choice(WRAPPERS).replace("{}", payload)
    before, after = body[:place], body[place:]
    glue = "" if not before or before[-1].isspace() or wrapped[0].isspace() else " "
    tail = "" if not after or after[0].isspace() or wrapped[-1].isspace() else " "
    return f"{before}{glue}{wrapped}{tail}{after}"


def _into_json(body: str, payload: str, rng: random.Random) -> str | None:
    strings = list(_JSON_STRING.finditer(body))
    if not strings:
        return None
    chosen = rng.choice(strings)
    quoted = json.dumps(payload, ensure_ascii=False)[1:-1]
    value = rng.choice((chosen.group(), ""))
    joined = f"{value} {quoted}".strip()
    return body[: chosen.start()] + joined + body[chosen.end() :]
