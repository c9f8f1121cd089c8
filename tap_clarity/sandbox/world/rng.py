"""Randomness without state: the same parts always give the same number."""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1
_UNIT = 2.0**-53


def mix(value: int) -> int:
    """Scatter 64 bits (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def blend(*parts: int) -> int:
    """Scatter several numbers, their order included, into one."""
    state = 0
    for part in parts:
        state = mix(state ^ (part & _MASK))
    return state


def salt(text: str) -> int:
    """Turn a name into a number to blend; for set-up, not for the hot path."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def unit(value: int) -> float:
    """Read 64 scattered bits as a fraction in [0, 1)."""
    return (value >> 11) * _UNIT


def code(value: int, alphabet: str, length: int) -> str:
    """Spell a number in an alphabet, for ids."""
    letters = []
    for _ in range(length):
        value, digit = divmod(value, len(alphabet))
        letters.append(alphabet[digit])
    return "".join(letters)
