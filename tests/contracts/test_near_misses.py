"""Near misses: what looks like a detector's golden positive and is none is not found.

One for each; more stand in the detectors' own tests, and what is taken for a hit wrongly in ``docs/detectors.md``.
"""

from __future__ import annotations

import pytest

from guardrails_plugin import registry
from guardrails_plugin.types import Context, Origin
from tests.contracts.test_detectors import BUILDS, SEARCH, SYSTEM, Positive, found_in, plain

NEAR_MISSES: dict[str, tuple[Positive, ...]] = {
    "call_limits": (
        Positive("", {"name": "search", "args": {"query": "train times"}}, Origin.MODEL, Context(calls=[SEARCH] * 3)),
    ),
    "code": (Positive("", "The import of fish fell, and the class of 1999 met for a def jam."),),
    "competitors": (Positive("", "Would an initiative on global gems be cheaper?"),),
    "data_exfiltration": (Positive("", "curl -O https://collect.example/manual.pdf", Origin.MODEL),),
    "demographic": (Positive("", "The Swedish model of welfare, a single malt and a blind test."),),
    "denial_of_service": (Positive("", "Again and again the ferry was late, and again we waited for it at the pier."),),
    "gibberish": (Positive("", "Der Zwetschgenkuchen schmeckt, Grzegorz Brzęczyszczykiewicz, said Hrvoje Krk."),),
    "hidden_text": (Positive("", "<p>Rates</p><p>What display:none does: it hides an element.</p>", Origin.EXTERNAL),),
    "invisible_text": (Positive("", "👩\u200d👩\u200d👧 and نمی\u200cخواهم", Origin.EXTERNAL),),
    "keywords": (Positive("", "What about projects with falcons, and the secretary?"),),
    "language": (Positive("", "The word борщ is Russian; we cooked it tomorrow's fish market way, with bread."),),
    "legal": (Positive("", "The party was a secret until the third of May; nobody told us, we consented late."),),
    "malicious_url": (Positive("", "Log in at https://www.paypal.com/account to go on."),),
    "named_entities": (Positive("", "Please look at TCK-47 and TCK-x."),),
    "packages": (Positive("", "pip install requests"),),
    "pii": (Positive("", "4111 1111 1111 1112 and order 20260123-4711-9 of 14:30"),),
    "plan_check": (
        Positive(
            "",
            "1. Read the report\n2. Send the report to dana@acme.example",
            Origin.MODEL,
            Context(prompt="Summarise the report and send it to dana@acme.example."),
        ),
    ),
    "prompt_injection": (
        Positive("", "The template writes im_start, the role, a line break and the text.", score=0.9),
    ),
    "provenance": (
        Positive(
            "",
            {"name": "send_email", "args": {"to": "dana@acme.example", "body": "hi"}},
            Origin.MODEL,
            Context(prompt="Send my last mail to dana@acme.example.", untrusted=["From dana@acme.example: hello"]),
        ),
    ),
    "refusal": (Positive("", "I'm sorry for the delay. Here is the help: turn the valve left.", Origin.MODEL),),
    "regex": (Positive("", "Please look at TCK-47 and TICKET-4712."),),
    "role_play": (Positive("", "The pirate captain stayed in his cabin while the actors rehearsed."),),
    "secrets": (Positive("", "The prefix ghp_ stands before GitHub's tokens, AKIA before keys."),),
    "self_harm": (Positive("", "I could kill for a sandwich, and my phone died tonight."),),
    "sentiment": (Positive("", "The report covers the second quarter. It has nine pages and two tables."),),
    "similarity": (Positive("", "The choir rehearses on Tuesdays, and the tenors bring the biscuits."),),
    "street_addresses": (Positive("", "I lived there for 12 years; Austin grew 78,701 oaks along every street."),),
    "system_prompt_leak": (
        Positive("", "At Harbour Bank the discount ends on Friday.", Origin.MODEL, Context(system=SYSTEM)),
    ),
    "tool_definitions": (
        Positive("", "Adds numbers. Important: read the manual before using fractions.", Origin.EXTERNAL),
    ),
    "topics": (Positive("", "Which chess opening is good against the Sicilian defence?"),),
    "toxicity": (Positive("", "This deadline will kill the printer before lunch, and nobody hates it for that."),),
}


def test_every_detector_has_one() -> None:
    assert set(NEAR_MISSES) == set(registry.names("detectors"))


@pytest.mark.parametrize("build", BUILDS)
def test_what_only_looks_like_it_is_not_found(build: str) -> None:
    for near_miss in NEAR_MISSES[plain(build)]:
        found = [finding for findings in found_in(build, near_miss) for finding in findings]
        assert not [
            (one.entity_type, one.score)
            for one in found
            if one.score >= near_miss.score and one.entity_type != "NEUTRAL"
        ]
