"""FF1 against NIST's samples and a literal transcription of the standard."""

from __future__ import annotations

import random
import threading
from math import ceil, log2

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from guardrails_plugin.crypto.ff1 import FF1
from guardrails_plugin.errors import ConfigError

KEY = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
DIGITS = "0123456789"
BASE36 = "0123456789abcdefghi"
TWEAK10 = "39383736353433323130"
TWEAK36 = "3737373770717273373737"

NIST_SAMPLES = [
    (16, 10, "", DIGITS, "2433477484"),
    (16, 10, TWEAK10, DIGITS, "6124200773"),
    (16, 36, TWEAK36, BASE36, "a9tv40mll9kdu509eum"),
    (24, 10, "", DIGITS, "2830668132"),
    (24, 10, TWEAK10, DIGITS, "2496655549"),
    (24, 36, TWEAK36, BASE36, "xbj3kv35jrawxv32ysr"),
    (32, 10, "", DIGITS, "6657667009"),
    (32, 10, TWEAK10, DIGITS, "1001623463"),
    (32, 36, TWEAK36, BASE36, "xs8a0azh2avyalyzuwd"),
]
"""https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/FF1samples.pdf"""


@pytest.mark.parametrize(("size", "radix", "tweak", "plain", "cipher"), NIST_SAMPLES)
def test_the_nine_nist_samples(size: int, radix: int, tweak: str, plain: str, cipher: str) -> None:
    """Samples 1 to 9, both ways."""
    ff1 = FF1(bytes.fromhex(KEY)[:size], radix)
    assert ff1.encrypt(plain, bytes.fromhex(tweak)) == cipher
    assert ff1.decrypt(cipher, bytes.fromhex(tweak)) == plain


def literal_ff1(key: bytes, radix: int, tweak: bytes, numerals: list[int]) -> list[int]:
    """Algorithm 7 of SP 800-38G, step by step."""
    n, t = len(numerals), len(tweak)
    u, v = n // 2, n - n // 2
    a, b_half = numerals[:u], numerals[u:]
    b = ceil(ceil(v * log2(radix)) / 8)
    d = 4 * ceil(b / 4) + 4
    p = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, u % 256]) + n.to_bytes(4, "big") + t.to_bytes(4, "big")
    for i in range(10):
        q = tweak + bytes((-t - b - 1) % 16) + bytes([i]) + num(b_half, radix).to_bytes(b, "big")
        r = Cipher(AES(key), CBC(bytes(16))).encryptor().update(p + q)[-16:]
        ecb = Cipher(AES(key), ECB()).encryptor()
        s = r
        for j in range(1, ceil(d / 16)):
            s += ecb.update(bytes(x ^ y for x, y in zip(r, j.to_bytes(16, "big"), strict=True)))
        m = u if i % 2 == 0 else v
        c = (num(a, radix) + int.from_bytes(s[:d], "big")) % radix**m
        a, b_half = b_half, [c // radix**k % radix for k in reversed(range(m))]
    return a + b_half


def num(numerals: list[int], radix: int) -> int:
    """NUM_radix of the standard."""
    number = 0
    for numeral in numerals:
        number = number * radix + numeral
    return number


@pytest.mark.parametrize("radix", [2, 3, 10, 26, 36, 62, 256, 65536])
def test_equals_the_literal_algorithm(radix: int) -> None:
    """Any length and tweak, over one block and more, halves of equal and unequal size."""
    rng = random.Random(radix)
    for length in (20, 21, 33, 48, 77, 130, 301):
        key = rng.randbytes(rng.choice([16, 24, 32]))
        numerals = [rng.randrange(radix) for _ in range(length)]
        tweak = rng.randbytes(rng.choice([0, 1, 8, 15, 16, 17, 40]))
        cipher = FF1(key, radix).encrypt(numerals, tweak)
        assert cipher == literal_ff1(key, radix, tweak, numerals)
        assert FF1(key, radix).decrypt(cipher, tweak) == numerals


@pytest.mark.parametrize(("radix", "enough"), [(2, 20), (10, 6), (26, 5), (36, 4), (62, 4), (1000, 2)])
def test_a_domain_below_a_million_is_refused(radix: int, enough: int) -> None:
    """SP 800-38G rev. 1 draft: radix**length >= 10**6."""
    cipher = FF1(bytes(16), radix)
    cipher.encrypt([1] * enough)
    with pytest.raises(ConfigError, match="too few, 1000000 needed"):
        cipher.encrypt([1] * (enough - 1))


@pytest.mark.parametrize(
    ("key", "radix", "numerals", "message"),
    [
        (bytes(15), 10, "123456", "key of 15 bytes"),
        (bytes(16), 1, "123456", "radix 1"),
        (bytes(16), 65537, "123456", "radix 65537"),
        (bytes(16), 10, "12345x", "outside radix 10"),
        (bytes(16), 10, "12345é", "outside radix 10"),
        (bytes(16), 10, [1, 2, 3, 4, 5, 10], "outside radix 10"),
        (bytes(16), 10, [1, 2, 3, 4, 5, -1], "outside radix 10"),
        (bytes(16), 100, "123456", "give integers"),
        (bytes(16), 10, "", "too few"),
    ],
)
def test_what_is_wrong_is_said_without_quoting(key: bytes, radix: int, numerals: str | list[int], message: str) -> None:
    """Bad keys, radices and numerals are config errors that never hold the value."""
    with pytest.raises(ConfigError, match=message) as caught:
        FF1(key, radix).encrypt(numerals)
    assert "1234" not in str(caught.value)


def test_a_number_outside_the_domain_is_refused() -> None:
    """Neither negative nor too large."""
    for number in (-1, 10**6):
        with pytest.raises(ConfigError, match="more than 6 numerals"):
            FF1(bytes(16), 10).encrypt_number(number, 6)


def test_threads_share_one_cipher() -> None:
    """Each thread has an AES context of its own, so results do not mix."""
    cipher = FF1(bytes(32), 10)
    bad: list[int] = []
    expected = {n: FF1(bytes(32), 10).encrypt(f"{n:08}") for n in range(200)}

    def work() -> None:
        bad.extend(n for n in range(200) if cipher.encrypt(f"{n:08}") != expected[n])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad
