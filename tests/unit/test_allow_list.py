"""Allow-lists: values, domains, wildcards; whatever merely contains a listed value is found all the same."""

from __future__ import annotations

import re
from pathlib import Path
from time import perf_counter

import pytest

from guardrails_plugin import ConfigError, Engine, Recipe, Rule
from guardrails_plugin.allow_list import AllowList

OWN = ("@example.com", "*.example.com")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("Help@Example.com", "help@example.COM"),
        ("@example.com", "ann.lee+x@Example.com"),
        ("@example.com", "https://example.com"),
        ("@example.com", "http://EXAMPLE.com:8080/a?b=c#d"),
        ("@example.com", "example.com/a"),
        ("*.example.com", "ann@mail.example.com"),
        ("*.example.com", "https://a.b.example.com/x"),
        ("*@example.com", "ann.lee@example.com"),
        ("*@*.example.com", "ann@mail.example.com"),
        ("support-*@example.com", "support-north.east@example.com"),
        ("https://example.com/docs/*", "https://example.com/docs/a/b?c=d"),
        ("https://*.example.com/*", "https://a.b.example.com/x"),
        ("HD-*", "hd-58213"),
        ("10.0.0.*", "10.0.0.17"),
        ("@straße.example", "ann@straße.example"),
    ],
)
def test_an_entry_covers(entry: str, value: str) -> None:
    assert AllowList([entry]).covers(value)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("example.com", "ann@example.com"),  # a bare name is that value alone
        ("@example.com", "ann@sub.example.com"),
        ("*.example.com", "ann@example.com"),
        *[
            (entry, value)
            for entry in ("@example.com", "*.example.com", "*@example.com", "https://example.com/*")
            for value in (
                "ann@example.com.evil.org",
                "ann@evilexample.com",
                "ann@example.com@evil.org",
                "https://example.com@evil.org/",
                "https://ann:secret@example.com/",
                "https://evil.org\\@example.com/",
                "https://example.com\\@evil.org/",
                "https://evil.org/@example.com",
                "https://evil.org/?x=a.example.com",
                "https://evil.org/.example.com",
                "https://example.com.evil.org/",
                "https://example.com:80@evil.org/",
                "https://example.com/login?next=https://evil.org",
                "https://example.com/login?next=%2F%2Fevil.org",
                "javascript:alert(1)//example.com",
                "ann@example.com ann@evil.org",
                "ann@ex\u200bample.com.evil.org",
                "postgres://u:p@a.example.com/db",
            )
        ],
        ("*@example.com", "https://evil.org/?x=ann@example.com"),
        ("https://*.example.com/*", "https://evil.org/.example.com/"),
        ("https://*.example.com/*", "https://evil.org?.example.com/"),
        ("example.co*", "example.co.evil.org"),
        ("HD-*", "HD-1 HD-2"),
        ("HD-*", "x HD-1"),
        ("HD-*", "HD-1\u00a0x"),
        ("10.0.0.*", "10.0.0.1.2"),
        ("@straße.example", "ann@strasse.example"),
    ],
)
def test_an_entry_does_not_cover(entry: str, value: str) -> None:
    assert not AllowList([entry]).covers(value)


@pytest.mark.parametrize("entry", ["*", "**", "*@*", "*.*", "https://*", "https://example.com*", "a@example*"])
def test_a_wildcard_that_says_too_much_is_refused_with_its_place(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"overrides\['pii'\]\.allow: the entry"):
        Engine().check("x", stage="prompt", overrides={"pii": {"allow": [entry]}})
    with pytest.raises(ValueError, match=re.escape(entry)):
        Rule(detector="pii", allow=frozenset({entry}))


def test_time_is_linear() -> None:
    allowed = AllowList(["*a*a*a*a*a*@example.com", "https://example.com/*a*a*a*a/*", *OWN])
    began = perf_counter()
    for value in ("a" * 200_000, "a." * 100_000, "https://" + "a." * 100_000, "a@" * 100_000):
        assert not allowed.covers(value)
    assert perf_counter() - began < 2


def desk(**rule: object) -> Engine:
    data = {"detector": "pii", "action": "replace", **rule}
    return Engine(recipes=[Recipe(name="desk", rules=[Rule.model_validate(data)])])


def output(engine: Engine, text: str, **options: object) -> object:
    return engine.check(text, stage="post_tool", recipe="desk", **options).output  # type: ignore[arg-type]


def test_a_domain_in_a_rule_keeps_its_addresses() -> None:
    text = "ann@example.com, bob@mail.example.com, eve@evil.org, ann@example.com.evil.org"
    assert output(desk(allow=OWN), text) == text.replace("eve@evil.org", "<EMAIL_ADDRESS>").replace(
        "ann@example.com.evil.org", "<EMAIL_ADDRESS>"
    )


def test_what_an_allowed_address_holds_is_found() -> None:
    """An allowed address does not swallow another finding inside it."""
    engine = desk(allow=OWN)
    assert "eve@evil.org" not in str(output(engine, "see https://example.com/?mail=eve@evil.org now"))
    assert "536-90-4399" not in str(output(engine, "my SSN: https://example.com/?ssn=536-90-4399 now"))


def test_an_allowed_value_inside_something_found_goes_with_it() -> None:
    engine = desk(detector="secrets", allow=[*OWN, "ann@example.com"])
    text = "postgres://ann:hunter2pass@db.example.com/x"
    assert "hunter2pass" not in str(output(engine, text))


def test_an_override_adds_to_the_rules_own_list() -> None:
    engine = desk(allow=["help@example.org"])
    text = "help@example.org ann@example.com eve@evil.org"
    overrides = {"pii": {"allow": ["@example.com"]}}
    assert output(engine, text, overrides=overrides) == "help@example.org ann@example.com <EMAIL_ADDRESS>"
    assert output(engine, text) == "help@example.org <EMAIL_ADDRESS> <EMAIL_ADDRESS>"


@pytest.mark.parametrize("given", ["ann@example.com", 7, {"a": "b"}, [1]])
def test_an_override_that_is_no_list_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match=r"overrides\['pii'\]\.allow.*expected a (list|text)"):
        Engine().check("x", stage="prompt", overrides={"pii": {"allow": given}})


def test_a_pack_allows_at_every_stage_and_more_at_one(tmp_path: Path) -> None:
    (tmp_path / "bank.toml").write_text("""
name = "bank"
description = "x"
[change.pii]
contact = "replace"
allow = ["@example.com"]
[stages.response.pii]
allow = ["@example.org"]
""")
    engine = Engine(recipes=tmp_path / "bank.toml")
    text = "ann@example.com ann@example.org"
    assert engine.check(text, stage="post_tool", recipe="bank").output == "ann@example.com <EMAIL_ADDRESS>"
    assert engine.check(text, stage="response", recipe="bank").output == text


def test_a_stream_keeps_the_same_addresses() -> None:
    engine = desk(allow=OWN)
    text = "Write to ann@example.com or ann@example.com.evil.org or https://example.com/?m=eve@evil.org today. Bye."
    stream = engine.stream(stage="response", recipe="desk")
    released = "".join([stream.feed(char) for char in text]) + stream.finish()
    assert released == output(engine, text)


def test_the_policy_has_the_same_fingerprint_in_every_process() -> None:
    entries = [f"u{number}@example.com" for number in range(50)]
    one, other = (Recipe(name="x", rules=[Rule(detector="pii", allow=frozenset(e))]) for e in (entries, entries[::-1]))
    assert one.model_dump_json() == other.model_dump_json()
    assert sorted(entries) == one.model_dump(mode="json")["rules"][0]["allow"]
