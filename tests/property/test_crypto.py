"""Laws of keys, encryption and actions, for any text."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from guardrails_plugin.actions.defang import Defang
from guardrails_plugin.actions.encrypt import Encrypt
from guardrails_plugin.actions.hash import Hash
from guardrails_plugin.actions.mask import Mask
from guardrails_plugin.actions.partial_mask import PartialMask
from guardrails_plugin.checksums import IBAN_LENGTHS, luhn, luhn_digit, mod97_digits
from guardrails_plugin.crypto.ff1 import FF1
from guardrails_plugin.crypto.format_preserving import decrypt, encrypt
from guardrails_plugin.crypto.fpe_context import Entry, entry, open_, restore, seal
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding
from guardrails_plugin.unicode_tables import DROPPED

RING = Keyring({"k1": bytes(range(32)), "k2": bytes(range(32, 64))})
TYPES = st.sampled_from(["CREDIT_CARD", "IBAN_CODE", "EMAIL_ADDRESS", "US_SSN", "PERSON", "API_KEY"])
ANY_TEXT = st.text(st.characters(), max_size=60)
VALUES = ANY_TEXT | st.text(string.printable, min_size=1, max_size=80) | st.text(string.digits + " -", min_size=6)
TWEAKS = st.binary(max_size=20)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """Luhn-valid, grouped or not."""
    body = draw(st.text(string.digits, min_size=11, max_size=18))
    digits = body + luhn_digit(body)
    return draw(st.sampled_from(["", " ", "-"])).join(digits[at : at + 4] for at in range(0, len(digits), 4))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    """Valid, of any country, either case, grouped or not."""
    country, length = draw(st.sampled_from(sorted(IBAN_LENGTHS.items())))
    bban = draw(st.text(string.digits + string.ascii_uppercase, min_size=int(length) - 4, max_size=int(length) - 4))
    plain = country + mod97_digits(country, bban) + bban
    plain = plain if draw(st.booleans()) else plain.lower()
    return draw(st.sampled_from(["", " "])).join(plain[at : at + 4] for at in range(0, len(plain), 4))


def char_class(char: str) -> str:
    """What encryption keeps of a character: its class, or itself."""
    classes = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
    return next((members for members in classes if char in members), char)


def numbers() -> Call:
    """A call with ordinals of its own."""
    seen: dict[str, list[str]] = {}

    def ordinal(entity_type: str, value: str) -> int:
        known = seen.setdefault(entity_type, [])
        if value not in known:
            known.append(value)
        return known.index(value) + 1

    return Call(ordinal, RING, "acme", b"12345678")


@given(
    data=st.data(), radix=st.integers(2, 2**16), key=st.sampled_from([bytes(16), bytes(24), bytes(32)]), tweak=TWEAKS
)
def test_ff1_is_a_permutation(data: st.DataObject, radix: int, key: bytes, tweak: bytes) -> None:
    """decrypt(encrypt(x)) == x == encrypt(decrypt(x)), same length, same radix."""
    numerals = data.draw(st.lists(st.integers(0, radix - 1), min_size=20, max_size=60))
    cipher = FF1(key, radix)
    assert cipher.decrypt(cipher.encrypt(numerals, tweak), tweak) == numerals
    assert cipher.encrypt(cipher.decrypt(numerals, tweak), tweak) == numerals
    assert all(0 <= numeral < radix for numeral in cipher.encrypt(numerals, tweak))


@settings(max_examples=300)
@given(value=VALUES, entity_type=TYPES, tweak=TWEAKS, tenant=ANY_TEXT)
def test_decrypt_undoes_encrypt(value: str, entity_type: str, tweak: bytes, tenant: str) -> None:
    """Same length, same class at every place, another value, reversible; or declined."""
    hidden = encrypt(value, entity_type, RING, tenant=tenant, tweak=tweak)
    if hidden is None:
        return
    assert hidden != value
    assert [char_class(char) for char in hidden] == [char_class(char) for char in value]
    assert decrypt(hidden, entity_type, RING, tenant=tenant, tweak=tweak) == value


@given(
    st.from_regex(r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}", fullmatch=True, alphabet="0123456789-"),
    TWEAKS,
)
def test_social_security_numbers_stay_ones_that_may_be_issued(value: str, tweak: bytes) -> None:
    """Those of the 900s are taxpayers' numbers: a value would be of another type for the next guard."""
    hidden = encrypt(value, "US_SSN", RING, tweak=tweak)
    assert hidden is not None
    area, group, serial = hidden.split("-")
    assert area not in ("000", "666")
    assert area < "900"
    assert group != "00"
    assert serial != "0000"
    assert decrypt(hidden, "US_SSN", RING, tweak=tweak) == value


@given(value=cards(), tweak=TWEAKS)
def test_cards_keep_luhn(value: str, tweak: bytes) -> None:
    """And come back."""
    hidden = encrypt(value, "CREDIT_CARD", RING, tweak=tweak) or ""
    assert luhn(hidden) or set(hidden) <= set("0 -")
    assert decrypt(hidden, "CREDIT_CARD", RING, tweak=tweak) == value


@given(value=ibans(), tweak=TWEAKS)
def test_ibans_keep_country_and_mod97(value: str, tweak: bytes) -> None:
    """And come back."""
    hidden = encrypt(value, "IBAN_CODE", RING, tweak=tweak) or ""
    plain = hidden.replace(" ", "").upper()
    assert hidden[:2] == value[:2]
    assert plain[2:4] == mod97_digits(plain[:2], plain[4:])
    assert decrypt(hidden, "IBAN_CODE", RING, tweak=tweak) == value


@settings(max_examples=150)
@given(
    values=st.lists(st.tuples(VALUES | cards() | ibans(), TYPES), max_size=8),
    words=st.lists(st.sampled_from(["the ", " and (", ", ", "\n", "。", "\u00a0", "'"]), min_size=9, max_size=9),
    data=st.data(),
)
def test_a_reworded_text_is_restored(values: list[tuple[str, str]], words: list[str], data: st.DataObject) -> None:
    """Whatever the values, their order and the words between them."""
    entries = [(value, _entry(value, kind, call)) for call in [numbers()] for value, kind in values]
    token = seal([item for _, item in entries], b"12345678", RING, "acme")
    shuffled = data.draw(st.permutations(entries))
    hidden, plain = words[0], words[0]
    for (value, item), word in zip(shuffled, words[1:], strict=False):
        hidden += f"[[{item.text}]]" + word
        plain += f"[[{value}]]" + word
    # Spaces at the ends of values let neighbours grow together into one number, which is then no longer the value.
    assume(all(value == value.strip() for value, _ in values))
    assert restore(hidden, token, RING, "acme") == plain


def _entry(value: str, kind: str, call: Call) -> Entry:
    finding = Finding("pii", kind, 1.0, 0, len(value))
    return entry(value, Encrypt().apply(value, finding, call), finding)


@given(values=st.lists(ANY_TEXT, unique=True, max_size=12))
def test_distinct_values_stand_apart(values: list[str]) -> None:
    """No two values of a call share a ciphertext or a surrogate."""
    call, finding = numbers(), Finding("pii", "PERSON", 1.0, 0, 1)
    assert len({Encrypt().apply(value, finding, call) for value in values}) == len(values)


@given(values=st.lists(st.tuples(VALUES, TYPES), max_size=4), at=st.integers(0), bit=st.integers(0, 7), data=st.data())
def test_tampered_and_foreign_tokens_open_nothing(
    values: list[tuple[str, str]], at: int, bit: int, data: st.DataObject
) -> None:
    """One flipped bit, or another tenant: an error that holds nothing of the values."""
    call = numbers()
    token = seal([_entry(value, kind, call) for value, kind in values], b"12345678", RING, "acme")
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[at % len(raw)] ^= 1 << bit
    changed = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    tenant = data.draw(ANY_TEXT.filter(lambda name: name != "acme"))
    for attempt in ((changed, "acme"), (token, tenant)):
        with pytest.raises(ConfigError, match="fpe_context: ") as caught:
            open_(attempt[0], RING, attempt[1])
        assert not any(len(value) > 3 and value in str(caught.value) for value, _ in values)


@given(
    token=ANY_TEXT
    | st.text("ABCDwxyz0189-_", max_size=80)
    | st.binary(max_size=90).map(lambda raw: base64.urlsafe_b64encode(b"\x01\x02k1" + raw).rstrip(b"=").decode())
)
def test_any_garbage_is_a_config_error(token: str) -> None:
    """Nothing else is ever raised."""
    with pytest.raises(ConfigError, match="fpe_context: "):
        open_(token, RING)


@given(text=ANY_TEXT | VALUES)
def test_texts_without_hidden_values_stay(text: str) -> None:
    """Restoring never raises and never changes anything else."""
    call = numbers()
    token = seal([_entry("078-05-1120", "US_SSN", call), _entry("José", "PERSON", call)], b"12345678", RING, "acme")
    assume("<PERSON_1>" not in text)
    assert restore(text, token, RING, "acme") == text


@given(value=ANY_TEXT | VALUES)
def test_masks_keep_length_and_hide(value: str) -> None:
    """Full masks show nothing; partial ones at most half of the letters and digits, at their end."""
    finding, call = Finding("pii", "US_SSN", 1.0, 0, 1), numbers()
    assert Mask().apply(value, finding, call) == "*" * sum(char not in DROPPED for char in value)
    masked = PartialMask().apply(value, finding, call)
    assert len(masked) == len(value)
    assert all(new in ("*", old) for new, old in zip(masked, value, strict=True))
    assert sum(char.isalnum() for char in masked) <= min(4, sum(char.isalnum() for char in value) // 2)


@given(value=ANY_TEXT | st.text("httpsx:/.@[](){} jav", max_size=40))
def test_defanging_is_idempotent_and_leaves_no_live_scheme(value: str) -> None:
    """Twice is once."""
    finding, call = Finding("malicious_url", "URL", 1.0, 0, 1), numbers()
    once = Defang().apply(value, finding, call)
    assert Defang().apply(once, finding, call) == once
    assert "http:" not in once.lower()
    assert "https:" not in once.lower()


@given(value=ANY_TEXT)
def test_hashes_are_one_shape(value: str) -> None:
    """Whatever the value."""
    hashed = Hash().apply(value, Finding("pii", "US_SSN", 1.0, 0, 1), numbers())
    assert len(hashed) == len("<US_SSN#0123456789abcdef>")
