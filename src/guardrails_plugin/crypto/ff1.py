"""FF1, the format-preserving mode of AES in NIST SP 800-38G (2016), section 5.1.

Its draft revision 1 (2019) asks for a domain of at least 10**6, which is enforced here. FF3 is broken and FF3-1 on its
way out of the standard; neither is offered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import overload

from guardrails_plugin.errors import ConfigError

__all__ = ["FF1", "MINIMUM_DOMAIN"]

MINIMUM_DOMAIN = 10**6
"""Smallest radix**length, SP 800-38G rev. 1 draft, section 5: below it, guessing attacks become practical."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ROUNDS = range(10)
_BLOCK = 16


class FF1:
    """A permutation of the strings of one length over an alphabet, chosen by key and tweak.

    Args:
        key: 16, 24 or 32 bytes.
        radix: 2 to 65536 symbols.

    >>> cipher = FF1(bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"), 10)
    >>> cipher.encrypt("0123456789")
    '2433477484'
    """

    def __init__(self, key: bytes, radix: int) -> None:
        if len(key) not in (16, 24, 32):
            raise ConfigError(f"FF1: key of {len(key)} bytes, expected 16, 24 or 32")
        if not 2 <= radix <= 2**16:
            raise ConfigError(f"FF1: radix {radix}, expected 2 to 65536")
        self.radix = radix
        self._context = _Context(key)

    @overload
    def encrypt(self, numerals: str, tweak: bytes = ...) -> str: ...
    @overload
    def encrypt(self, numerals: Sequence[int], tweak: bytes = ...) -> list[int]: ...
    def encrypt(self, numerals: str | Sequence[int], tweak: bytes = b"") -> str | list[int]:
        """As many numerals as given. A string is read and written over ``0-9a-zA-Z``, as far as the radix goes.

        Raises:
            ConfigError: a numeral outside the radix, or fewer than the minimum domain needs.
        """
        return self._converted(numerals, lambda number, length: self.encrypt_number(number, length, tweak))

    @overload
    def decrypt(self, numerals: str, tweak: bytes = ...) -> str: ...
    @overload
    def decrypt(self, numerals: Sequence[int], tweak: bytes = ...) -> list[int]: ...
    def decrypt(self, numerals: str | Sequence[int], tweak: bytes = b"") -> str | list[int]:
        """The inverse of `encrypt` with the same tweak."""
        return self._converted(numerals, lambda number, length: self.decrypt_number(number, length, tweak))

    def encrypt_number(self, number: int, length: int, tweak: bytes = b"") -> int:
        """`encrypt` for numerals that are already one number (``0 <= number < radix**length``)."""
        sizes, round_function = self._rounds(number, length, tweak)
        a, b = divmod(number, sizes[1])
        for index in _ROUNDS:
            a, b = b, (a + round_function(index, b)) % sizes[index % 2]
        return a * sizes[1] + b

    def decrypt_number(self, number: int, length: int, tweak: bytes = b"") -> int:
        """The inverse of `encrypt_number`."""
        sizes, round_function = self._rounds(number, length, tweak)
        a, b = divmod(number, sizes[1])
        for index in reversed(_ROUNDS):
            a, b = (b - round_function(index, a)) % sizes[index % 2], a
        return a * sizes[1] + b

    def _rounds(self, number: int, length: int, tweak: bytes) -> tuple[tuple[int, int], Callable[[int, int], int]]:
        """Steps 1 to 5 of the standard: sizes of both halves, and its round function (step 6.i to 6.iv)."""
        low: int = self.radix ** (length // 2)
        high = low * self.radix if length % 2 else low
        if low * high < MINIMUM_DOMAIN:
            raise ConfigError(f"FF1: {length} numerals of radix {self.radix} are too few, {MINIMUM_DOMAIN} needed")
        if not 0 <= number < low * high:
            raise ConfigError(f"FF1: the number has more than {length} numerals of radix {self.radix}")
        aes = self._context.update
        half = ((high - 1).bit_length() + 7) // 8
        wide = 4 * ((half + 3) // 4) + 4
        header = bytes((1, 2, 1)) + self.radix.to_bytes(3, "big") + bytes((10, length // 2 % 256))
        header += length.to_bytes(4, "big") + len(tweak).to_bytes(4, "big")
        fixed = tweak + bytes(-(len(tweak) + half + 1) % _BLOCK)
        whole = len(fixed) // _BLOCK * _BLOCK
        state = _cbc_mac(aes, 0, header + fixed[:whole])
        rest = fixed[whole:]

        def round_function(index: int, half_number: int) -> int:
            mac = _cbc_mac(aes, state, rest + bytes((index,)) + half_number.to_bytes(half, "big"))
            if wide <= _BLOCK:
                return mac >> 8 * (_BLOCK - wide)
            more = b"".join((mac ^ count).to_bytes(_BLOCK, "big") for count in range(1, -(-wide // _BLOCK)))
            return int.from_bytes((mac.to_bytes(_BLOCK, "big") + aes(more))[:wide], "big")

        return (low, high), round_function

    @overload
    def _converted(self, numerals: str, change: Callable[[int, int], int]) -> str: ...
    @overload
    def _converted(self, numerals: Sequence[int], change: Callable[[int, int], int]) -> list[int]: ...
    def _converted(self, numerals: str | Sequence[int], change: Callable[[int, int], int]) -> str | list[int]:
        if isinstance(numerals, str) and self.radix > len(_ALPHABET):
            raise ConfigError(f"FF1: strings need a radix up to {len(_ALPHABET)}, not {self.radix}; give integers")
        values = [_ALPHABET.find(char) for char in numerals] if isinstance(numerals, str) else numerals
        number = 0
        for value in values:
            if not 0 <= value < self.radix:
                raise ConfigError(f"FF1: a numeral outside radix {self.radix}")
            number = number * self.radix + value
        number = change(number, len(values))
        result = []
        for _ in values:
            number, value = divmod(number, self.radix)
            result.append(value)
        result.reverse()
        return "".join(_ALPHABET[value] for value in result) if isinstance(numerals, str) else result


class _Context(threading.local):
    """One expanded AES key a thread: OpenSSL contexts may not be shared while in use."""

    def __init__(self, key: bytes) -> None:
        # Deferred: the package exports `Keyring`, and OpenSSL costs more to import than all the rest.
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        # ECB of single blocks is the bare AES function that FF1 is built on, not a mode that data is encrypted in.
        self.update = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305


def _cbc_mac(aes: Callable[[bytes], bytes], state: int, blocks: bytes) -> int:
    """PRF of the standard (algorithm 6), carried on from ``state``."""
    for at in range(0, len(blocks), _BLOCK):
        block = (state ^ int.from_bytes(blocks[at : at + _BLOCK], "big")).to_bytes(_BLOCK, "big")
        state = int.from_bytes(aes(block), "big")
    return state
