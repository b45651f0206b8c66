"""Finds data on its way out that is not a link: commands, instructions, drops, DNS tunnels, encoded blobs.

Links and images that carry data are found by ``malicious_url`` (`url_exfiltration`); this detector adds what remains.
How: rows of the one pass (``data/data_exfiltration.toml``). A command that sends something is ordinary; it counts when
what it sends is private (keys, credentials, environment, private files, results of other commands) or where it goes is
a drop (request bins, tunnels, paste sites, chat webhooks): facts combine as independent evidence. Blobs: runs of
base64 or hex that decode to text, `MIN_BLOB` characters and more, weighed by what they say.

Source: MITRE ATT&CK TA0010 (T1041, T1048, T1567, T1132); OWASP LLM02:2025. Scores are judgement, not fitted.
Limits: encrypted or compressed blobs do not decode and are left alone, as are signed tokens and data URLs of images;
what a script does over several lines is not followed.
Quality: in 1,500 ordinary mails, documents and source files five names of hosts in back-ticks passed for DNS tunnels
(mended since), nothing else was found; recall was only tested on own examples.
Cost: 0.1 ms/KB of a README full of links, alone; in a recipe the one pass is shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, PatternBase, by_place
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.detectors.url_private import speaking_host
from guardrails_plugin.matching import Match, Pattern
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["MIN_BLOB", "DataExfiltration"]

MIN_BLOB = 160
"""Decoded characters from which a blob is more than a sample or an identifier: two lines of text."""

_PRIVATE = re.compile(
    r"/etc/(?:passwd|shadow|hosts|ssl)|\.ssh\b|id_(?:rsa|ed25519|ecdsa)|\.aws\b|\.env\b|\.kube\b|\.netrc|\.npmrc|\.pypirc"
    r"|\.git-credentials|\.bash_history|wallet|keychain|credentials?|passw(?:or)?d|secret|token|api[_-]?key|private[_-]?key"
    r"|\benv\b|\bprintenv\b|\bhistory\b"
    r"|\$\((?!date|pwd)|`\w|\$\{?[A-Z_]*(?:KEY|TOKEN|SECRET|PASS)|AKIA[A-Z0-9]{12}"
    r"|\bsk-\w{12}"
    r"|gh[pousr]_\w{20}|_dump\b|mysqldump|cookies?\b|/var/lib|/home/|~/|C:\\Users|customer|\.sqlite|\.pem\b|\.key\b",
    re.IGNORECASE,
)
_DROP = re.compile(
    r"webhook\.site|requestbin|pipedream\.net|ngrok|burpcollaborator|oastify|interact\.sh|oast\.|requestcatcher|hookbin"
    r"|beeceptor|transfer\.sh|file\.io|0x0\.st|anonfiles|gofile\.io|paste\.ee|pastebin|termbin|ix\.io|trycloudflare"
    r"|discord(?:app)?\.com/api/webhooks|hooks\.slack\.com|api\.telegram\.org|evil|attacker|exfil|//\d{1,3}(?:\.\d{1,3}){3}",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"//(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal)\b")
_AUTHORISATION = re.compile(r"(?:-H|--header|-u|--user)\s{0,2}(?:\"[^\"\n]*\"|'[^'\n]*'|\S+)")
_PRIVATE_WEIGHT, _DROP_WEIGHT = 0.6, 0.55
_BLOB_WORD = re.compile(r"[^\W\d_]{2,}")
_MACHINE = ('{"alg', '{"typ', "<svg", "<?xml", "%PDF", "-----BEGIN CERT")
_SENSITIVE = re.compile(
    r"passw|secret|credential|api[_ -]?key|token|BEGIN \w* ?PRIVATE|\bssn\b"
    r"|@[\w-]+\.\w|user:|assistant:|\d{3}-\d{2}-\d{4}",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"data:(?:image|font|audio|video|application/(?:font|pdf))[^,\s]{0,60},\s?\Z", re.IGNORECASE)


_FORBIDDEN = re.compile(
    r"(?:\b(?:never|not|don['’]t|won['’]t|cannot|can['’]t|niemals|nie|nunca|jamais|mai|não|no|non|nigdy|nie|nikdy|nooit)"
    r"|никогда(?: не)?|не)\s(?:\w+\s)?$",
    re.IGNORECASE,
)
_FORBIDDEN_WITHIN = re.compile(r"\b(?:niemals|nicht an|nunca|jamais|nigdy|nikdy|nooit)\b|никогда", re.IGNORECASE)
_FROM = re.compile(
    r"(?:\b(?:from|von|aus|depuis|desde|see|siehe|voir|docs|documentation)|\sde|\sdal?|\sdo|\sz|\sze|\sиз|\sс)[:\s(]{1,3}"
    r"(?=https?://)|\bheaders?\b",
    re.IGNORECASE,
)
"""A secret that is fetched there, or goes into a request's header as interfaces want it."""

_SIGN_IN = re.compile(
    r"(?:enter|type|provide|put|geben|gib|introdu\w+|ingres\w+|saisi\w+|inseri\w+|insira|digite|podaj|wpisz|zadejte|vul"
    r"|введи\w*)\s(?!.*(?:recovery|seed|backup|private|\.env|wiederherstell|privat|recup|récup|сид-))",
    re.IGNORECASE | re.DOTALL,
)
_BEFORE = 40


def _no_order(match: Match) -> bool:
    """True where handing a secret over is forbidden, it comes from there, or it is what one signs in with."""
    before = match.view.text[max(0, match.start - _BEFORE) : match.start]
    said = match.value
    if _FORBIDDEN.search(before) or _FORBIDDEN_WITHIN.search(said) or _FROM.search(said):
        return True
    return match.pattern.id == "ask_secret" and "://" in said and _SIGN_IN.match(said) is not None


@dataclass(frozen=True, config=SETTINGS)
class DataExfiltration(PatternBase):
    """Data on its way out.

    Attributes:
        min_blob: decoded characters from which an encoded run counts.
        allowed_hosts: hosts that data may be sent to; a command that names one of them is ordinary.
    """

    min_blob: Annotated[int, Field(ge=16)] = MIN_BLOB
    allowed_hosts: tuple[str, ...] = ()

    name: ClassVar[str] = "data_exfiltration"
    judges: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    entity_types: ClassVar[frozenset[str]] = frozenset(  # type: ignore[misc]
        {"EXFILTRATION_COMMAND", "EXFILTRATION_INSTRUCTION", "DNS_TUNNEL", "DROP_SITE", "ENCODED_DATA"}
    )
    categories: ClassVar[Mapping[str, frozenset[str]]] = {  # type: ignore[misc]
        "command": frozenset({"EXFILTRATION_COMMAND", "DNS_TUNNEL"}),
        "instruction": frozenset({"EXFILTRATION_INSTRUCTION", "DROP_SITE"}),
        "blob": frozenset({"ENCODED_DATA"}),
    }

    @cached_property
    def patterns(self) -> Sequence[Pattern]:  # type: ignore[override]
        """The rows."""
        return load_table("data_exfiltration")

    @cached_property
    def _allowed(self) -> re.Pattern[str] | None:
        hosts = "|".join(re.escape(host.lower().lstrip(".")) for host in self.allowed_hosts)
        return re.compile(rf"(?:^|[/@.\s\"'])(?:{hosts})(?![\w.-]*\w\.)(?=[/:?\s\"']|$)") if hosts else None

    def confirm(self, match: Match) -> Finding | None:
        """See `protocols.PatternDetector`."""
        said = match.value
        if _LOCAL.search(said) or (self._allowed and self._allowed.search(said.lower())):
            return None
        if match.pattern.entity_type == "EXFILTRATION_INSTRUCTION" and _no_order(match):
            return None
        if match.pattern.id == "dns_label" and not speaking_host(said):
            return None
        doubt, facts = 1 - match.pattern.score, [match.pattern.id]
        if match.pattern.entity_type == "EXFILTRATION_COMMAND":
            # Logging in with a token is not sending it away.
            if _PRIVATE.search(_AUTHORISATION.sub("", said)):
                doubt *= 1 - _PRIVATE_WEIGHT
                facts.append("private data")
            if _DROP.search(said):
                doubt *= 1 - _DROP_WEIGHT
                facts.append("drop")
        return match.finding(self.name, score=round(1 - doubt, 3), evidence={"reason": ", ".join(facts)})

    def judge(
        self, texts: Sequence[Text], context: Context, found: Sequence[Sequence[Finding]]
    ) -> Sequence[Sequence[Finding]]:
        """Encoded blobs beside the commands."""
        del context
        return [
            by_place([*own, *self._blobs(text)]) if len(text.views) > 1 else own
            for text, own in zip(texts, found, strict=True)
        ]

    def _blobs(self, text: Text) -> Iterator[Finding]:
        best: dict[tuple[int, int], Finding] = {}
        for view in text.views[1:]:
            score = self._weight(view, text) if view.kind in ("base64", "hex") else 0.0
            if score <= 0:
                continue
            span = view.span(0, len(view.text))
            evidence: dict[str, str | float] = {
                "reason": "encoded text",
                "view": view.kind,
                "length": float(len(view.text)),
            }
            if (span.start, span.end) not in best or best[span.start, span.end].score < score:
                best[span.start, span.end] = Finding(
                    self.name, "ENCODED_DATA", score, span.start, span.end, text.segment, evidence
                )
        yield from best.values()

    def _weight(self, view: View, text: Text) -> float:
        """How surely a decoded run is data that someone wrapped up."""
        said = view.text
        if len(said) < self.min_blob or said.startswith(_MACHINE) or len(_BLOB_WORD.findall(said)) < len(said) / 40:
            return 0.0
        start = view.span(0, 1).start
        if _IMAGE.search(text.original[max(0, start - 100) : start]):
            return 0.0
        return 0.8 if _SENSITIVE.search(said) else 0.55
