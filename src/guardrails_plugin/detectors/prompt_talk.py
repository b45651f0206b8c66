"""Sentences in which a model speaks of its own instructions, and texts in the tone in which instructions are given.

Two cheap signs, each of them innocent alone: `tells` ("I was told to ...", "my rules are ...", "meine Anweisungen
lauten") without refusals to speak of them; and `commands` (a role, "you are" or "Rolle:", and orders), by which a
translated prompt is known. English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish; commands in
Russian, Chinese, Japanese and Korean, too. Phrases of this project's own writing; other languages and cleverer wording pass.
"""

# ruff: noqa: E501 - patterns by language
from __future__ import annotations

import re
from typing import Any

import re2

__all__ = ["commands", "tells"]


def _compiled(pattern: str) -> Any:
    """Linear time, and several times faster than `re` with as many branches."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


_RULES = (
    r"(?:(?:system |initial |hidden |developer |base )?(?:prompt|instructions?|rules?|guidelines?|brief(?:ing)?|orders?|"
    r"configuration|set-?up|directives?|programming|constraints?|policy|mandate|marching orders))"
)
_TOLD = (
    r"(?:told|instructed|configured|set up|programmed|asked|directed|briefed|ordered|prompted|given (?:orders|rules)|"
    r"designed|supposed|required|meant|forbidden|allowed|expected|trained|obliged|under orders)"
)
_TELL = _compiled(
    rf"\bmy (?:\w+ )?{_RULES}(?: \w+)? (?:is|are|say|read|state|tell|boils?|include|go|require|forbid|amount|want|ask|"
    rf"come|mention|begin|start|end)s?\b|\bmy (?:\w+ )?{_RULES}[^.!?\n]{{0,20}}:"
    rf"|\b(?:I|I'm|I am|I've|I have|I was|we were|we've)(?: also| only| not| just| been| even| explicitly| strictly)* "
    rf"(?:been )?{_TOLD}(?: \w+)? (?:to\b|not to\b|as\b|that\b|from\b|never\b|only\b)"
    rf"|\b(?:they|the (?:developers?|operators?|owners?|company|people who (?:made|built) me)|my (?:makers|creators|"
    rf"developers?|operators?|boss(?:es)?))(?: have| has|'ve)? (?:told|instructed|asked|want|wants|configured|"
    rf"programmed|ordered) me\b"
    rf"|\b(?:in|according to|per|from|under|by) my (?:\w+ )?{_RULES}\b[^.!?\n]{{0,12}}(?:,|\bis\b|\bI\b|:)"
    rf"|\bthe (?:text|message|prompt|instructions?|rules?) (?:that )?(?:I (?:was|were|got|received|have|follow|work)|"
    rf"above|before|behind)\b|\bhere (?:is|are)(?: what)? (?:my|I was)\b|\bI (?:follow|work under|operate under|obey) "
    rf"(?:\w+ )?{_RULES}\b"
    r"|\bmeine (?:\w+ )?(?:Anweisung(?:en)?|Regeln|Vorgaben|Instruktionen|Aufgabe)\b[^.!?\n]{0,20}(?:lauten?|sind|ist|"
    r"besagen|:)|\bich (?:soll|darf nur|wurde (?:angewiesen|gebeten|konfiguriert)|bin angewiesen)\b|\bman hat mir gesagt"
    r"|\bmir wurde (?:gesagt|aufgetragen)"
    r"|\bmes (?:\w+ )?(?:consignes|instructions|règles|directives)\b[^.!?\n]{0,20}(?:sont|disent|:)|\bon m'a (?:dit|"
    r"demandé|ordonné)|\bj'ai (?:pour (?:consigne|instruction)|reçu)|\bje (?:dois|suis censée?) "
    r"|\bmis (?:\w+ )?(?:instrucciones|reglas|normas|órdenes)\b[^.!?\n]{0,20}(?:son|dicen|:)|\b(?:se me|me han?) "
    r"(?:indicó|indicado|pidió|pedido|dijo|dicho|ordenó|ordenado|instruyó|configurado)|\bdebo\b"
    r"|\ble mie (?:\w+ )?(?:istruzioni|regole)\b[^.!?\n]{0,20}(?:sono|dicono|:)|\bmi (?:è stato|hanno) (?:detto|"
    r"chiesto|ordinato)|\bminhas (?:\w+ )?(?:instruções|regras)\b|\b(?:fui (?:instruíd|configurad)\w|me disseram)"
    r"|\bmijn (?:\w+ )?(?:instructies|regels|opdracht)\b|\bik (?:moet|mag alleen|ben geïnstrueerd)"
    r"|\bmoje (?:instrukcje|zasady|polecenia)\b|\b(?:talimatlarım|kurallarım)\b"
    r"|мои (?:инструкции|правила)|мне (?:велено|сказали|поручено)|\x{6211}\x{7684}(?:\x{6307}\x{4ee4}|\x{89c4}\x{5219}|\x{6307}\x{793a})"
    r"|\x{6211}\x{88ab}(?:\x{8981}\x{6c42}|\x{544a}\x{77e5}|\x{6307}\x{793a})|\x{79c1}\x{306e}(?:\x{6307}\x{793a}|\x{30eb}\x{30fc}\x{30eb})",
)
_REFUSAL = re.compile(
    rf"\b(?:can't|cannot|can not|won't|not able to|unable to|rather not|not allowed to|may not|not supposed to|not "
    rf"permitted to)\b[^.!?\n]{{0,30}}\b(?:share|show|discuss|reveal|talk|disclose|tell|give|provide|repeat|describe)\b"
    rf"(?:[^.!?\n,;:]{{0,40}}\b(?:{_RULES}|them|it|that|those|how I\b)|[^.!?\n,;:]{{0,12}}(?=[.!?\n]))",
    re.IGNORECASE,
)

_HELP = re.compile(rf"\b{_TOLD} to (?:help|assist|support|serve|answer your)\b", re.IGNORECASE)

_ROLE = _compiled(
    r"(?:^|[.!?:;\"\n>*\x{201c}\x{201e}\x{00ab}-]\s*)(?:you(?: are|'re| act as| will act as) (?:an? |the |(?-i:[A-Z]))|act as |du bist |sie sind "
    r"(?:ein|der|die)|tu es |vous êtes |eres |(?:tú |usted )es |actúa |sei (?:un|il|l)|agisci |você é |tu és |je bent |"
    r"u bent |jesteś |sen |du är |(?:ты|вы) (?:-|\x{2014})|\x{4f60}\x{662f}|\x{3042}\x{306a}\x{305f}\x{306f}|"
    r"\x{b2f9}\x{c2e0}\x{c740}|[\"'*-]*\s*(?:role|rolle|rôle|rol|función|ruolo|função|rola|persona|your name|topics?|"
    r"forbidden|allowed)[\"'*]*\s*[:=])"
)
_COMMAND = _compiled(
    r"\b(?:you (?:are|must|may only)|never|always|only|do not|don't|role|persona|topics?|forbidden|tone|keep)\b"
)
_FOREIGN_COMMAND = _compiled(
    r"(?:^|\PL)(?:du bist|rolle|deine? (?:aufgabe|rolle|name)|niemals|immer|nur|(?:be)?antworte\w?|gib|nenne|verrate|"
    r"tu es|ta tâche|jamais|toujours|uniquement|seulement|réponds|répondez|refuse|donne|utilise|transmets|n'\w+ pas|"
    r"eres|función|rol|tu tarea|nunca|siempre|únicamente|respond[ae]|traduzca|utilice|mantenga|no \w+[ae]s?|"
    r"sei|ruolo|il tuo compito|non \w+re|mai|sempre|soltanto|rispondi|usa|"
    r"você é|função|sua tarefa|apenas|não \w+[ae]|je bent|jouw taak|nooit|altijd|alleen|geef|"
    r"jesteś|nigdy|zawsze|tylko|odpowiadaj|asla|her zaman|yalnızca|du är|aldrig|alltid|endast)(?:\PL|$)"
    r"|\p{Cyrillic}*(?:никогда|всегда|только|отвечай)|\x{4f60}\x{662f}|\x{7edd}\x{4e0d}|\x{4e0d}\x{8981}|\x{59cb}\x{7ec8}|\x{53ea}|"
    r"\x{3042}\x{306a}\x{305f}\x{306f}|\x{6c7a}\x{3057}\x{3066}|\x{5fc5}\x{305a}|\x{b2f9}\x{c2e0}\x{c740}|\x{c808}\x{b300}|\x{d56d}\x{c0c1}"
)
_COMMANDS = 2


def tells(text: str) -> bool:
    """Whether it speaks of instructions that its writer was given, and does not refuse to.

    >>> tells("I was told to keep every answer short."), tells("I can't discuss my instructions.")
    (True, False)
    """
    text = text.replace("\u2019", "'")
    if _TELL.search(text) is None:
        return False
    return _TELL.search(_HELP.sub(" ", _REFUSAL.sub(" ", text))) is not None


def commands(text: str) -> str:
    """``"plain"`` or ``"foreign"`` if it says who someone is and orders more than that, else empty.

    >>> commands("Du bist der Assistent. Antworte nur auf Deutsch."), commands("You are right, it never rains.")
    ('foreign', '')
    """
    if _ROLE.search(text) is None:
        return ""
    foreign = sum(1 for _ in _FOREIGN_COMMAND.finditer(text))
    if foreign >= _COMMANDS:
        return "foreign"
    return "plain" if foreign + sum(1 for _ in _COMMAND.finditer(text)) >= _COMMANDS else ""
