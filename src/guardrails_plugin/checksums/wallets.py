"""Check sums of wallet addresses: base 58 (Bitcoin and its kin), bech32, Monero, without dependencies."""

from __future__ import annotations

from hashlib import sha256
from string import hexdigits

from guardrails_plugin.checksums.keccak import keccak256

__all__ = ["base58check", "bech32", "bech32_long", "eip55", "monero", "wif"]

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def base58check(text: str) -> bool:
    """Bitcoin-like address: 25 bytes in base 58, the last four from a double SHA-256."""
    if not 25 <= len(text) <= 35 or not set(text) <= set(_BASE58):
        return False
    number = _number(text)
    if number >= 1 << 200 or len(text) - len(text.lstrip("1")) != 25 - max(1, (number.bit_length() + 7) // 8):
        return False
    data = number.to_bytes(25, "big")
    return sha256(sha256(data[:21]).digest()).digest()[:4] == data[21:]


def _number(text: str) -> int:
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    return number


def wif(text: str) -> bool:
    """Bitcoin private key in wallet import format: 0x80, 32 bytes, 1 for compressed ones, four of a double SHA-256."""
    if len(text) not in (51, 52) or not set(text) <= set(_BASE58):
        return False
    number, size = _number(text), len(text) - 14
    if number >= 1 << 8 * size:
        return False
    data = number.to_bytes(size, "big")
    return data[0] == 0x80 and sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


def bech32(text: str) -> bool:
    """Segregated-witness address: BIP 173 (bech32) or BIP 350 (bech32m), in one case."""
    return len(text) <= 90 and bech32_long(text)


def bech32_long(text: str) -> bool:
    """Likewise, of any length: Cardano's addresses (CIP 19)."""
    lower = text.lower()
    prefix, _, data = lower.rpartition("1")
    if text not in (lower, text.upper()) or not prefix or len(text) < 8 or not set(data) <= set(_BECH32):
        return False
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = 1
    for value in (*expanded, *map(_BECH32.index, data)):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


_MONERO_BLOCK = {11: 8, 7: 5}
"""Bytes of a block of so many base 58 characters; the last block of an address is the short one."""

_MONERO_NETWORKS = (18, 19, 42)


def monero(text: str) -> bool:
    """Monero's main network: standard, integrated and sub-addresses; the last four bytes are of a Keccak-256."""
    if len(text) not in (95, 106) or not set(text) <= set(_BASE58):
        return False
    data = b""
    for start in range(0, len(text), 11):
        block = text[start : start + 11]
        number, size = _number(block), _MONERO_BLOCK[len(block)]
        if number >> 8 * size:
            return False
        data += number.to_bytes(size, "big")
    return data[0] in _MONERO_NETWORKS and keccak256(data[:-4])[:4] == data[-4:]


def eip55(text: str) -> bool:
    """Ethereum: 40 hex digits; where their case is mixed, it is that of the Keccak-256 of the small ones (EIP-55).

    >>> [eip55("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA" + end) for end in ("ed", "eD", "ED")]
    [True, False, False]
    """
    body = text.removeprefix("0x").removeprefix("0X")
    if len(body) != 40 or not all(char in hexdigits for char in body):
        return False
    if body in (body.lower(), body.upper()):
        return True
    digest = keccak256(body.lower().encode()).hex()
    shown = (char.upper() if digit >= "8" else char.lower() for char, digit in zip(body, digest, strict=False))
    return body == "".join(shown)
