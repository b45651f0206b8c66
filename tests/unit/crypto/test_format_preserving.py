"""Values keep their format, and come back."""

from __future__ import annotations

import pytest

from guardrails_plugin.checksums import card, iban
from guardrails_plugin.crypto.format_preserving import decrypt, encrypt, is_surrogate, surrogate
from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError

RING = Keyring({"k1": bytes(range(32)), "k2": bytes(range(16))})
TWEAK = b"12345678"


def shape(text: str) -> str:
    """Each character's class; what is kept stays."""
    return "".join("0" if c.isdigit() else "a" if c.islower() else "A" if c.isupper() else c for c in text)


@pytest.mark.parametrize(
    ("value", "entity_type"),
    [
        ("4111 1111 1111 1111", "CREDIT_CARD"),
        ("4111-1111-1111-1112", "CREDIT_CARD"),
        ("378282246310005", "CREDIT_CARD"),
        ("card4111111111111111", "CREDIT_CARD"),
        ("078-05-1120", "US_SSN"),
        ("DE89 3704 0044 0532 0130 00", "IBAN_CODE"),
        ("GB29NWBK60161331926819", "IBAN_CODE"),
        ("gb29 nwbk 6016 1331 9268 19", "IBAN_CODE"),
        ("DE00 3704 0044 0532 0130 00", "IBAN_CODE"),
        ("jane.doe+news@mail.example.co.uk", "EMAIL_ADDRESS"),
        ("JANE@ACME.COM", "EMAIL_ADDRESS"),
        ("someone@localhost", "EMAIL_ADDRESS"),
        ("Jane Doe", "PERSON"),
        ("O\u2019Brien\u2013Smith", "PERSON"),
        ("+1 (415) 555-0132", "PHONE_NUMBER"),
        ("192.168.10.24", "IP_ADDRESS"),
        ("2001:db8::8a2e:370:7334", "IP_ADDRESS"),
        ("1985-03-12", "DATE_OF_BIRTH"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS_KEY"),
        ("<AB_CDEFG_12>", "AB"),
        ("line one\n\tline two\x00", "NOTE"),
        ("x" * 1024, "SECRET"),
    ],
)
def test_length_and_classes_are_kept_and_the_value_comes_back(value: str, entity_type: str) -> None:
    """At every place a digit stays a digit, a lower-case letter one, a capital one, all else itself."""
    hidden = encrypt(value, entity_type, RING, tweak=TWEAK)
    assert hidden is not None
    assert hidden != value
    assert shape(hidden) == shape(value)
    assert decrypt(hidden, entity_type, RING, tweak=TWEAK) == value
    assert hidden == encrypt(value, entity_type, RING, tweak=TWEAK)


@pytest.mark.parametrize(
    ("value", "entity_type"),
    [
        ("", "NOTE"),
        ("-- / --", "NOTE"),
        ("90210", "ZIP"),
        ("12", "AGE"),
        ("Anna", "PERSON"),
        ("a@b.co", "EMAIL_ADDRESS"),
        ("José Maria", "PERSON"),
        ("Jose\u0301 Maria", "PERSON"),
        ("\u0661\u0662\u0663 123456", "PHONE_NUMBER"),
        ("\uff11234567890", "PHONE_NUMBER"),
        ("王小明 123456", "PERSON"),
        ("zero\u200bwidth", "PERSON"),
        ("smile \U0001f600 smile", "PERSON"),
        ("lone \ud800 surrogate", "PERSON"),
        ("x" * 1025, "SECRET"),
        ("123 455", "CREDIT_CARD"),
    ],
)
def test_what_cannot_be_hidden_in_its_format_is_declined(value: str, entity_type: str) -> None:
    """Too few values of the shape, a character that would survive, too long (the last is a Luhn-valid card of 5+1)."""
    assert encrypt(value, entity_type, RING, tweak=TWEAK) is None


def test_checked_numbers_stay_valid_and_others_stay_invalid() -> None:
    """So the ciphertext alone tells how it was made."""
    cards = [(f"4111 1111 1111 {number:04}", "CREDIT_CARD", card) for number in range(200)]
    ibans = [(f"DE89 3704 0044 0532 013{n % 10} {n // 10:02}", "IBAN_CODE", iban) for n in range(400)]
    validities = set()
    for value, entity_type, valid in cards + ibans:
        hidden = encrypt(value, entity_type, RING, tweak=TWEAK)
        assert hidden is not None
        assert valid(hidden) == valid(value)
        assert decrypt(hidden, entity_type, RING, tweak=TWEAK) == value
        validities.add((entity_type, valid(value)))
    assert len(validities) == 4


@pytest.mark.parametrize("entity_type", ["CREDIT_CARD", "US_SSN", "ACCOUNT"])
def test_a_number_never_comes_to_begin_with_a_zero(entity_type: str) -> None:
    """Bare numbers in JSON stay numbers; those that begin with a zero keep it, or they would not come back."""
    for number in range(300):
        for value in (f"4{number:08}", f"0{number:08}", f"({number + 1}) 0000000"):
            hidden = encrypt(value, entity_type, RING, tweak=TWEAK) or ""
            assert (hidden.lstrip("(")[0] == "0") == (value[0] == "0")
            assert decrypt(hidden, entity_type, RING, tweak=TWEAK) == value


def test_ibans_keep_their_country_and_emails_their_top_level_domain() -> None:
    """What is kept by design; nothing else."""
    hidden = encrypt("GB29NWBK60161331926819", "IBAN_CODE", RING) or ""
    assert hidden[:2] == "GB"
    assert "NWBK" not in hidden
    hidden = encrypt("jane.doe@example.co.uk", "EMAIL_ADDRESS", RING) or ""
    assert hidden.endswith(".uk")
    assert not any(part in hidden for part in ("jane", "doe", "example"))


def test_key_tenant_type_and_tweak_all_matter() -> None:
    """Six ways to encrypt one value, six ciphertexts."""
    value = "078-05-1120"
    made = {
        encrypt(value, "US_SSN", RING),
        encrypt(value, "US_ITIN", RING),
        encrypt(value, "US_SSN", RING, tenant="acme"),
        encrypt(value, "US_SSN", RING, tweak=TWEAK),
        encrypt(value, "US_SSN", Keyring({"k1": bytes(16)})),
        decrypt(value, "US_SSN", RING, key_id="k2"),
    }
    assert len(made | {value}) == 7


def test_separators_do_not_change_the_digits() -> None:
    """So a value found with other separators still decrypts."""
    with_dashes = encrypt("078-05-1120", "US_SSN", RING, tweak=TWEAK) or ""
    assert with_dashes.replace("-", "") == encrypt("078051120", "US_SSN", RING, tweak=TWEAK)


def test_a_fixed_point_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permutation maps some values to themselves, and walking on would not move them."""
    monkeypatch.setattr("guardrails_plugin.crypto.ff1.FF1.encrypt_number", lambda _self, number, *_: number)
    assert encrypt("078-05-1120", "US_SSN", RING) is None


def test_decrypting_what_is_no_ciphertext_is_an_error() -> None:
    """Too short for any ciphertext; unknown keys too. The value is not quoted."""
    with pytest.raises(ConfigError) as caught:
        decrypt("77-31", "ZIP", RING)
    assert "77" not in str(caught.value)
    with pytest.raises(ConfigError, match="'k9' is not in this keyring"):
        decrypt("078-05-1120", "US_SSN", RING, key_id="k9")


@pytest.mark.parametrize(
    ("text", "entity_type", "expected"),
    [
        (surrogate("PERSON", 1), "PERSON", True),
        (surrogate("US_SSN", 12), "US_SSN", True),
        ("<PERSON_1>", "PER", False),
        ("<PERSON_>", "PERSON", False),
        ("<PERSON_x>", "PERSON", False),
        ("<PERSON_1", "PERSON", False),
        ("PERSON_1>", "PERSON", False),
        ("1", "PERSON", False),
        ("<PERSON>", "PERSON", False),
    ],
)
def test_is_surrogate(text: str, entity_type: str, *, expected: bool) -> None:
    """Only the exact form, of that type."""
    assert is_surrogate(text, entity_type) is expected
