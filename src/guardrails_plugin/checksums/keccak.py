"""Keccak-256 as it was before NIST's padding made SHA3-256 of it: what Monero and Ethereum hash with.

Source: Bertoni, Daemen, Peeters, Van Assche, "The Keccak reference" (2011). Pure Python, about half a
millisecond a block of 136 bytes: for short messages only.
"""

from __future__ import annotations

__all__ = ["keccak256"]

_RATE, _MASK = 136, (1 << 64) - 1


def _round_constants() -> list[int]:
    """The 24 constants, from their shift register."""
    constants, state = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            constant |= (state & 1) << ((1 << power) - 1)
            state = (state << 1) ^ (0x171 if state >> 7 else 0)
        constants.append(constant)
    return constants


_CONSTANTS = _round_constants()


def keccak256(message: bytes) -> bytes:
    """The digest of a message.

    >>> keccak256(b"").hex()[:16]
    'c5d2460186f7233c'
    """
    padded = bytearray(message + b"\x01" + bytes(-len(message) % _RATE or _RATE))[
        : len(message) // _RATE * _RATE + _RATE
    ]
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), _RATE):
        for place in range(_RATE // 8):
            lane = padded[start + 8 * place : start + 8 * place + 8]
            lanes[place % 5][place // 5] ^= int.from_bytes(lane, "little")
        lanes = _permuted(lanes)
    return b"".join(lanes[x][0].to_bytes(8, "little") for x in range(4))


def _permuted(lanes: list[list[int]]) -> list[list[int]]:
    """Keccak-f[1600]: lanes are ``[x][y]``."""
    for constant in _CONSTANTS:
        parity = [lane[0] ^ lane[1] ^ lane[2] ^ lane[3] ^ lane[4] for lane in lanes]
        spread = [parity[x - 1] ^ _turned(parity[(x + 1) % 5], 1) for x in range(5)]
        lanes = [[lane ^ spread[x] for lane in lanes[x]] for x in range(5)]
        x, y, current = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, lanes[x][y] = lanes[x][y], _turned(current, (step + 1) * (step + 2) // 2 % 64)
        lanes = [[lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        lanes[0][0] ^= constant
    return lanes


def _turned(lane: int, by: int) -> int:
    return ((lane << by) | (lane >> (64 - by))) & _MASK
