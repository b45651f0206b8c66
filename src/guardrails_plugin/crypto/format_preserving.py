"""Encrypts a value so that it keeps its length and, at every place, its class of character.

Digits become digits, lower-case letters lower-case letters, capitals capitals; all else stays where it is. The value
is ranked among all values of its shape, the rank is encrypted with FF1, and the result is the value of that rank
(rank-encipher-unrank: Bellare, Ristenpart, Rogaway, Stegers, "Format-Preserving Encryption", SAC 2009). So a shape is
large enough when all its letters and digits together are, not each class alone. Shapes of one class are FF1 in that
radix; mixed ones are FF1 in radix 2, walked along its cycle back into the domain (section 4 there).

Cards stay valid under Luhn, IBANs under mod 97 and in their country, e-mail addresses keep their top-level domain.
US social security numbers stay ones that may be issued: nine digits that may not are another type, a taxpayer's number,
say. Invalid cards, IBANs and such numbers become invalid ones, again by walking: thus decryption can tell which way a
value went. A first digit that is
no zero becomes none either: JSON has no number 0123.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

from guardrails_plugin.checksums import luhn_digit, mod97_digits
from guardrails_plugin.crypto.ff1 import MINIMUM_DOMAIN
from guardrails_plugin.crypto.keyring import Keyring

__all__ = ["decrypt", "encrypt", "is_surrogate", "surrogate", "surrogate_number"]

_FIRST = {char: ord(first) for first, last in ("09", "az", "AZ") for char in map(chr, range(ord(first), ord(last) + 1))}
"""Every character that is encrypted, and the first of its class."""

_RADIX = {ord("0"): 10, ord("a"): 26, ord("A"): 26}
_LONGEST = 1024
"""Letters and digits in one value; longer ones become surrogates, since the cost grows with the square."""

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_SSN = re.compile(r"(?!000|666|9)[0-9]{3}(?!00)[0-9]{2}(?!0000)[0-9]{4}")
"""Those that the Social Security Administration may issue: no area 000, 666 or 900 up, no group 00, no serial 0000."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which characters are encrypted, and which are computed from them afterwards."""

    places: Sequence[int]
    checked: str = ""
    zero: bool = False
    """The first of all letters and digits is a zero."""


@dataclass(frozen=True, slots=True)
class _Permutation:
    """FF1 on numbers below a product of radices, in one direction."""

    keyring: Keyring
    entity_type: str
    tenant: str
    tweak: bytes = field(repr=False)
    key_id: str | None = None
    inverse: bool = False

    def __call__(self, number: int, radices: Sequence[int]) -> int:
        if len(set(radices)) == 1:
            return self._ff1(radices[0])(number, len(radices), self.tweak)
        domain = prod(radices)
        bits, ff1 = (domain - 1).bit_length(), self._ff1(2)
        number = ff1(number, bits, self.tweak)
        while number >= domain:
            number = ff1(number, bits, self.tweak)
        return number

    def _ff1(self, radix: int) -> Callable[[int, int, bytes], int]:
        cipher = self.keyring.ff1(self.entity_type, radix, tenant=self.tenant, key_id=self.key_id)
        return cipher.decrypt_number if self.inverse else cipher.encrypt_number


def encrypt(value: str, entity_type: str, keyring: Keyring, *, tenant: str = "", tweak: bytes = b"") -> str | None:
    """The ciphertext, never equal to the value; the same for the same key, tenant, type and tweak.

    Returns:
        None for what cannot be hidden this way: fewer than 10**6 values of its shape (about six digits or five
        letters), characters outside ASCII that are not punctuation or space, or a value that FF1 maps to itself
        (once in as many times as there are values of its shape).
    """
    if not _coverable(value):
        return None
    plan = _plan(value, entity_type)
    if len(plan.places) > _LONGEST or prod(_radices(value, plan)) < MINIMUM_DOMAIN:
        return None
    hidden = _walked(value, plan, _Permutation(keyring, entity_type, tenant, tweak))
    return None if hidden == value else hidden


def decrypt(
    hidden: str,
    entity_type: str,
    keyring: Keyring,
    *,
    tenant: str = "",
    tweak: bytes = b"",
    key_id: str | None = None,
) -> str:
    """The value behind a ciphertext of `encrypt`.

    Raises:
        ConfigError: the keyring does not hold the key, or this cannot be such a ciphertext.
    """
    step = _Permutation(keyring, entity_type, tenant, tweak, key_id, inverse=True)
    return _walked(hidden, _plan(hidden, entity_type), step)


def surrogate(entity_type: str, number: int) -> str:
    """What stands for a value that cannot be encrypted in its format.

    >>> surrogate("PERSON", 1)
    '<PERSON_1>'
    """
    return f"<{entity_type}_{number}>"


def is_surrogate(text: str, entity_type: str) -> bool:
    """True when this is a `surrogate` of that type."""
    return surrogate_number(text, entity_type) is not None


def surrogate_number(text: str, entity_type: str) -> int | None:
    """The number in a `surrogate` of that type; None for any other text."""
    number = text.removeprefix(f"<{entity_type}_").removesuffix(">")
    return int(number) if number.isdecimal() and text == f"<{entity_type}_{number}>" else None


def _coverable(value: str) -> bool:
    """False when a character would survive that is neither punctuation nor space: José must not become Xqzé."""
    return value.isascii() or all(char.isascii() or unicodedata.category(char)[0] in "PZ" for char in value)


def _plan(value: str, entity_type: str) -> _Plan:
    places = [index for index, char in enumerate(value) if char in _FIRST]
    zero = bool(places) and value[places[0]] == "0"
    if entity_type == "CREDIT_CARD" and _luhn_holds(value, places):
        return _Plan(places[:-1], entity_type, zero)
    if entity_type == "IBAN_CODE" and _mod97_holds(value, places):
        return _Plan(places[4:], entity_type, zero)
    if entity_type == "US_SSN" and _SSN.fullmatch("".join(value[place] for place in places)):
        return _Plan(places, entity_type, zero)
    if entity_type == "EMAIL_ADDRESS":
        dot = value.rfind(".", value.rfind("@") + 1)
        return _Plan(places if dot < 0 else [place for place in places if place < dot], "", zero)
    return _Plan(places, "", zero)


def _radices(value: str, plan: _Plan) -> list[int]:
    return [_RADIX[_FIRST[value[place]]] for place in plan.places]


def _walked(value: str, plan: _Plan, step: _Permutation) -> str:
    """One step, or as many as it takes to come back to a value with the same plan."""
    value = _stepped(value, plan, step)
    while _plan(value, step.entity_type) != plan:
        value = _stepped(value, plan, step)
    return value


def _stepped(value: str, plan: _Plan, step: _Permutation) -> str:
    chars, radices, number = list(value), _radices(value, plan), 0
    for place, radix in zip(plan.places, radices, strict=True):
        number = number * radix + ord(chars[place]) - _FIRST[chars[place]]
    number = step(number, radices)
    for place, radix in zip(reversed(plan.places), reversed(radices), strict=True):
        number, digit = divmod(number, radix)
        chars[place] = chr(_FIRST[chars[place]] + digit)
    if plan.checked == "CREDIT_CARD":
        last = max(index for index, char in enumerate(chars) if char in _FIRST)
        chars[last] = luhn_digit("".join(chars[place] for place in plan.places))
    elif plan.checked == "IBAN_CODE":
        head = [index for index, char in enumerate(chars) if char in _FIRST][:4]
        bban = "".join(chars[place] for place in plan.places)
        chars[head[2]], chars[head[3]] = tuple(mod97_digits(chars[head[0]] + chars[head[1]], bban))
    return "".join(chars)


def _luhn_holds(value: str, places: Sequence[int]) -> bool:
    digits = "".join(value[place] for place in places)
    return digits.isdecimal() and luhn_digit(digits[:-1]) == digits[-1]


def _mod97_holds(value: str, places: Sequence[int]) -> bool:
    """True when the check digits are those that mod 97-10 gives; 00, 01 and 99 would fit too but are never issued."""
    plain = "".join(value[place] for place in places).upper()
    return _IBAN.fullmatch(plain) is not None and mod97_digits(plain[:2], plain[4:]) == plain[2:4]
