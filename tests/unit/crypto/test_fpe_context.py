"""The token: opened by whom it is for, whole or not at all."""

from __future__ import annotations

import base64
import zlib

import pytest

from guardrails_plugin.actions.encrypt import Encrypt
from guardrails_plugin.crypto import fpe_context
from guardrails_plugin.crypto.fpe_context import Entry, entry, merge, open_, restore, seal
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError, ContentError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding

K1, K2 = bytes(range(32)), bytes(range(32, 64))
RING = Keyring({"k1": K1})
TWEAK = b"\x00\xff345678"
VALUES = [
    ("4111 1111 1111 1111", "CREDIT_CARD"),
    ("078-05-1120", "US_SSN"),
    ("José", "PERSON"),
    ("Ann", "PERSON"),
    ("lone \ud800", "NOTE"),
    ("jane.doe@example.com", "EMAIL_ADDRESS"),
]


class Numbers:
    """Ordinals of one call."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def __call__(self, entity_type: str, value: str) -> int:
        """1 for the first distinct value of a type."""
        known = self.seen.setdefault(entity_type, [])
        if value not in known:
            known.append(value)
        return known.index(value) + 1


def encrypted(
    values: list[tuple[str, str]], ring: Keyring = RING, tenant: str = "", tweak: bytes = TWEAK
) -> list[Entry]:
    """What the engine collects after rewriting."""
    call = Call(Numbers(), ring, tenant, tweak)
    entries = []
    for value, entity_type in values:
        finding = Finding("pii", entity_type, 1.0, 0, len(value))
        entries.append(entry(value, Encrypt().apply(value, finding, call), finding))
    return entries


def test_a_reworded_text_gets_its_originals_back() -> None:
    """Ciphertexts and surrogates alike, in another order."""
    entries = encrypted(VALUES)
    token = seal(entries, TWEAK, RING)
    text = " / ".join(f"the {item.text}" for item in reversed(entries))
    assert restore(text, token, RING) == " / ".join(f"the {value}" for value, _ in reversed(VALUES))
    assert restore("unrelated", token, RING) == "unrelated"


def test_entries_hold_plaintext_only_of_surrogates() -> None:
    """All else is computed back from the ciphertext."""
    assert [item.plaintext for item in encrypted(VALUES)] == [None, None, "José", "Ann", "lone \ud800", None]


def test_nothing_readable_is_in_token_or_repr() -> None:
    """Not the plaintext, not the ciphertext; only the key's id."""
    entries = encrypted(VALUES)
    token = seal(entries, TWEAK, RING, "acme")
    raw = base64.urlsafe_b64decode(token + "==")
    shown = repr(entries) + repr(open_(token, RING, "acme")) + repr(open_(token, RING, "acme").find(entries[0].text))
    for value, item in zip((value for value, _ in VALUES), entries, strict=True):
        for secret in (value, item.text, item.text.replace(" ", "")):
            assert secret not in token
            assert secret not in shown
            assert secret.encode("utf-8", "surrogatepass") not in raw
    assert b"acme" not in raw
    assert raw[2:4] == b"k1"


def test_two_seals_of_the_same_values_differ() -> None:
    """The nonce is random."""
    entries = encrypted(VALUES)
    assert seal(entries, TWEAK, RING) != seal(entries, TWEAK, RING)


def test_every_changed_character_is_noticed() -> None:
    """Authenticated from the first byte to the last; nothing is restored from a changed token."""
    token = seal(encrypted(VALUES[:2]), TWEAK, RING)
    for index, char in enumerate(token):
        changed = token[:index] + ("A" if char != "A" else "B") + token[index + 1 :]
        with pytest.raises(ConfigError, match="fpe_context: "):
            open_(changed, RING)


@pytest.mark.parametrize(
    "token",
    ["", "x", "garbage", "=" * 40, "A" * 1000, "AQ", "AQJrMQ", "Aé", None, 7, b"AQJrMQ", "A" * 41, "  ", "AQJr\nMQ=="],
)
def test_garbage_is_refused(token: str) -> None:
    """With one clear message."""
    with pytest.raises(ConfigError, match="fpe_context: "):
        open_(token, RING)


def test_padding_newlines_and_cuts_are_refused() -> None:
    """One token has one spelling."""
    token = seal(encrypted(VALUES[:1]), TWEAK, RING)
    for changed in (token + "=", token + "\n", " " + token, token[:-1], token[:-4], token[4:], token * 2):
        with pytest.raises(ConfigError, match="fpe_context: "):
            open_(changed, RING)


def test_another_tenant_cannot_open_it() -> None:
    """Neither no tenant nor a like-named one."""
    token = seal(encrypted(VALUES, tenant="acme"), TWEAK, RING, "acme")
    assert len(open_(token, RING, "acme").entries) == len(VALUES)
    for tenant in ("", "acm", "acme ", "Acme"):
        with pytest.raises(ConfigError, match="belongs to another tenant"):
            open_(token, RING, tenant)


def test_rotation_keeps_old_tokens_until_their_key_is_removed() -> None:
    """The key id in the token chooses the key."""
    entries = encrypted(VALUES)
    token = seal(entries, TWEAK, RING)
    text = " ".join(item.text for item in entries)
    rotated = Keyring({"k1": K1, "k2": K2}, primary="k2")
    assert restore(text, token, rotated) == restore(text, token, RING)
    assert seal(entries, TWEAK, rotated)[:6] != token[:6]
    with pytest.raises(ConfigError, match=r"fpe_context: key 'k1' is not in this keyring \(it holds: k2\)"):
        open_(token, Keyring({"k2": K2}))
    with pytest.raises(ConfigError, match="cannot be opened with key 'k1'"):
        open_(token, Keyring({"k1": K2}))


def test_merged_tokens_serve_a_conversation() -> None:
    """Different turns, tweaks and keys; repeated entries once; still one token."""
    ring = Keyring({"k1": K1, "k2": K2}, primary="k2")
    first = encrypted(VALUES[:3])
    second = encrypted([("Bob", "CITY"), *VALUES[1:2]], ring, tweak=b"second..")
    old, new = seal(first, TWEAK, RING), seal(second, b"second..", ring)
    token = merge([old, new, old], ring)
    assert len(open_(token, ring).entries) == 5
    text = " | ".join(item.text for item in first + second)
    assert restore(text, token, ring) == "4111 1111 1111 1111 | 078-05-1120 | José | Bob | 078-05-1120"
    assert open_(merge([], ring), ring).entries == ()
    with pytest.raises(ConfigError, match="'k1' is not in this keyring"):
        open_(token, Keyring({"k2": K2}))


def test_merging_surrogates_that_mean_different_values_is_refused() -> None:
    """``<PERSON_1>`` of one call is not that of another; no value is quoted."""
    one, other = (seal(encrypted([(name, "PERSON")]), TWEAK, RING) for name in ("Ann", "Bob"))
    with pytest.raises(ContentError, match="two different values") as caught:
        merge([one, other], RING)
    assert not any(name in str(caught.value) for name in ("Ann", "Bob"))


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one made with the right key."""
    monkeypatch.setattr(fpe_context, "_LARGEST", 10_000)
    assert fpe_context._unpacked(zlib.compress(b"x" * 10_000)) == b"x" * 10_000
    with pytest.raises(ConfigError, match="unpacks to more than 10000 bytes"):
        fpe_context._unpacked(zlib.compress(b"x" * 10_000_000))
    with pytest.raises(ContentError, match="at most 10000 fit"):
        seal([Entry("NOTE", f"<NOTE_{n}>", "y" * 100) for n in range(200)], TWEAK, RING)


def test_only_trusted_types_are_restored() -> None:
    """For tools that may see some types."""
    entries = encrypted(VALUES[:2])
    text = " ".join(item.text for item in entries)
    token = seal(entries, TWEAK, RING)
    assert restore(text, token, RING, types={"US_SSN"}) == f"{entries[0].text} 078-05-1120"


def test_surrogates_of_one_call_do_not_collide() -> None:
    """Distinct values, distinct surrogates; the same value, the same one."""
    names = ["Ann", "Bob", "Ann", "Eve", "José"]
    texts = [item.text for item in encrypted([(name, "PERSON") for name in names])]
    assert texts == ["<PERSON_1>", "<PERSON_2>", "<PERSON_1>", "<PERSON_3>", "<PERSON_4>"]


def test_entries_are_kept_once_and_the_payload_is_small() -> None:
    """A value found a hundred times costs the token nothing more."""
    entries = encrypted(VALUES[:2])
    assert len(seal(entries * 100, TWEAK, RING)) == len(seal(entries, TWEAK, RING)) < 250
    assert list(open_(seal(entries * 100, TWEAK, RING), RING).entries) == entries
