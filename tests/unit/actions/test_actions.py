"""Every action in one table, and its options."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from guardrails_plugin import registry
from guardrails_plugin.actions.block import Block
from guardrails_plugin.actions.defang import Defang
from guardrails_plugin.actions.encrypt import Encrypt
from guardrails_plugin.actions.hash import Hash
from guardrails_plugin.actions.mask import Mask
from guardrails_plugin.actions.partial_mask import PartialMask
from guardrails_plugin.actions.redact import Redact
from guardrails_plugin.actions.replace import Replace
from guardrails_plugin.actions.report import Report
from guardrails_plugin.checksums import luhn
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.normalize import normalize
from guardrails_plugin.protocols import Action, Call
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment, Verdict

SSN = Finding("pii", "US_SSN", 1.0, 0, 11)
RING = Keyring({"k1": bytes(range(32))})


def ordinal(entity_type: str, value: str) -> int:
    """A number that depends on type and value, as the engine's does."""
    return len(entity_type) + len(value)


CALL = Call(ordinal, RING, "acme", b"12345678")
KEYLESS = Call(ordinal)


@pytest.mark.parametrize(
    ("action", "value", "expected"),
    [
        (Report(), "078-05-1120", "078-05-1120"),
        (Block(), "078-05-1120", ""),
        (Redact(), "078-05-1120", ""),
        (Replace(), "078-05-1120", "<US_SSN>"),
        (Replace(numbered=True), "078-05-1120", "<US_SSN_17>"),
        (Mask(), "078-05-1120", "***********"),
        (Mask(char="•"), "ab c\n王", "••••••"),
        (Mask(), "", ""),
        (PartialMask(), "078-05-1120", "*******1120"),
        (PartialMask(), "4111 1111 1111 1234", "***************1234"),
        (PartialMask(), "jane@acme.com", "********e.com"),
        (PartialMask(), "12345678", "****5678"),
        (PartialMask(), "1234567", "******7"),
        (PartialMask(), "1234", "***4"),
        (PartialMask(), "123", "***"),
        (PartialMask(), "1-2-3-4-5-6-7-8)", "********5-6-7-8*"),
        (PartialMask(), "-- --", "*****"),
        (PartialMask(), "", ""),
        (PartialMask(visible=2, char="#"), "078-05-1120", "#########20"),
        (PartialMask(visible=0), "078-05-1120", "***********"),
        (PartialMask(visible=10), "078-05-1120", "*********20"),
        (PartialMask(), "王小明 李小龙 张三", "*****小龙 张三"),
    ],
)
def test_what_stands_in_the_text(action: Action, value: str, expected: str) -> None:
    """No keyring needed."""
    assert action.apply(value, SSN, KEYLESS) == expected


@pytest.mark.parametrize("name", registry.names("actions"))
def test_every_registered_action_keeps_the_contract(name: str) -> None:
    """Built without options, named as registered, a verdict, pure."""
    action = registry.load("actions", name)()
    assert isinstance(action, Action)
    assert action.name == name
    assert action.verdict in (Verdict.REPORT, Verdict.TRANSFORM, Verdict.BLOCK)
    assert getattr(action, "requires_keyring", False) == (name in ("encrypt", "hash"))
    assert action.apply("078-05-1120", SSN, CALL) == action.apply("078-05-1120", SSN, CALL)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Replace, {"numbered": "yes"}, "replace.numbered: expected true or false, got str"),
        (Mask, {"char": ""}, "mask.char: expected one printable character"),
        (Mask, {"char": "**"}, "mask.char"),
        (Mask, {"char": "x"}, "mask.char"),
        (Mask, {"char": "7"}, "mask.char"),
        (Mask, {"char": " "}, "mask.char"),
        (Mask, {"char": "\n"}, "mask.char"),
        (Mask, {"char": 7}, "mask.char: .* got int"),
        (PartialMask, {"char": "x"}, "partial_mask.char"),
        (PartialMask, {"visible": -1}, "partial_mask.visible: .* got -1"),
        (PartialMask, {"visible": "4"}, "partial_mask.visible: .* got str"),
        (PartialMask, {"visible": True}, "partial_mask.visible"),
        (PartialMask, {"visible": 2.0}, "partial_mask.visible: .* got float"),
    ],
)
def test_wrong_options_are_config_errors(make: Callable[..., Action], options: dict[str, object], message: str) -> None:
    """The message names action, option, what was expected and given."""
    with pytest.raises(ConfigError, match=message):
        make(**options)


@pytest.mark.parametrize("action", [Encrypt(), Hash()])
def test_keyed_actions_without_a_keyring_are_config_errors(action: Action) -> None:
    """There is no built-in key; the message says how to give one and does not quote the value."""
    with pytest.raises(ConfigError, match=rf"{action.name} needs a keyring: Engine\(keyring=") as caught:
        action.apply("078-05-1120", SSN, KEYLESS)
    assert "078" not in str(caught.value)


def test_encrypt_keeps_the_format_or_numbers_the_value() -> None:
    """Ciphertext where the format allows, else a surrogate."""
    assert re.fullmatch(r"\d{3}-\d\d-\d{4}", Encrypt().apply("078-05-1120", SSN, CALL))
    assert Encrypt().apply("José", Finding("pii", "PERSON", 1.0, 0, 4), CALL) == "<PERSON_10>"


def test_hash_is_stable_and_separate_by_value_type_tenant_and_key() -> None:
    """Equal values of one type and tenant are equal across calls, so they can be joined; nothing else is."""
    other_type = Finding("pii", "US_ITIN", 1.0, 0, 11)
    hashed = Hash().apply("078-05-1120", SSN, CALL)
    assert re.fullmatch(r"<US_SSN#[0-9a-f]{16}>", hashed)
    assert hashed == Hash().apply("078-05-1120", SSN, Call(ordinal, RING, "acme", b"another tweak"))
    digests = {
        text.split("#")[1]
        for text in (
            hashed,
            Hash().apply("078-05-1121", SSN, CALL),
            Hash().apply("078-05-1120", other_type, CALL),
            Hash().apply("078-05-1120", SSN, Call(ordinal, RING, "other")),
            Hash().apply("078-05-1120", SSN, Call(ordinal, Keyring({"k1": bytes(32)}), "acme")),
        )
    }
    assert len(digests) == 5
    Hash().apply("lone \ud800", SSN, CALL)


def test_hashes_hold_no_number() -> None:
    """No run of digits that a card, phone or account detector could start from."""
    for number in range(2000):
        hashed = Hash().apply(str(number), SSN, CALL)
        assert not re.search(r"\d{5}", hashed)
        assert not luhn(hashed)


@pytest.mark.parametrize("detector", ["pii", "secrets"])
@pytest.mark.parametrize("template", ["{}", "password: {}", 'api_key = "{}"', "SSN {} account", "my card {} 12/27"])
def test_hashes_are_not_found_again(detector: str, template: str) -> None:
    """Whatever the type's name says and whatever stands before it."""
    made = registry.load("detectors", detector)()
    findings = [Finding("any", entity_type, 1.0, 0, 1) for entity_type in sorted(made.entity_types)]
    texts = [template.format(Hash().apply("value", finding, CALL)) for finding in findings]
    found = made.detect([normalize(Segment(text, Origin.USER), 0) for text in texts], NO_CONTEXT)
    assert not [item for items in found for item in items]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://evil.com", "hxxp://evil[.]com"),
        ("https://evil.com/a.php?x=1", "hxxps://evil[.]com/a[.]php?x=1"),
        ("HTTPS://EVIL.COM", "HXXPS://EVIL[.]COM"),
        ("http://user:pw@evil.com:8080/", "hxxp://user[:]pw[@]evil[.]com[:]8080/"),
        ("ftp://evil.com", "ftp[:]//evil[.]com"),
        ("data:text/html;base64,PHNjcmlwdD4=", "data[:]text/html;base64,PHNjcmlwdD4="),
        ("JavaScript:alert(1)", "JavaScript[:]alert(1)"),
        ("java\tscript:alert(1)", "java\tscript[:]alert(1)"),
        ("mailto:a@evil.com", "mailto[:]a[@]evil[.]com"),
        ("//evil.com/x", "//evil[.]com/x"),
        ("evil.com", "evil[.]com"),
        ("evil\u3002com", "evil[.]com"),
        ("evil\uff0ecom", "evil[.]com"),
        ("10.4.2.1", "10[.]4[.]2[.]1"),
        ("fe80::1", "fe80[:][:]1"),
        ("http://[::1]/", "hxxp://[[:][:]1]/"),
        ("a@evil.com", "a[@]evil[.]com"),
        ("[click](https://evil.com)", "[click](hxxps://evil[.]com)"),
        ("https://a.com?next=http://b.com", "hxxps://a[.]com?next=hxxp://b[.]com"),
        ("hxxps://evil[.]com", "hxxps://evil[.]com"),
        ("hxxp[:]//evil(.)com", "hxxp[:]//evil(.)com"),
        ("hxxp://evil.com", "hxxp://evil[.]com"),
        ("a[@]evil{.}com", "a[@]evil{.}com"),
        ("evil[dot]com", "evil[dot]com"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_defang(value: str, expected: str) -> None:
    """No scheme, dot or at stays live; what is defanged already stays, and twice is once."""
    assert Defang().apply(value, SSN, KEYLESS) == expected
    assert Defang().apply(expected, SSN, KEYLESS) == expected
