"""Pseudo-random numbers without state: the same input always gives the same number."""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1
_FRACTION_STEP = 2.0**-53
_ID_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTVWXYZ"


def mix(value: int) -> int:
    """Mix 64 bits (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def combine(*parts: int) -> int:
    """Mix several numbers into one; their order counts."""
    state = 0
    for part in parts:
        state = mix(state ^ (part & _MASK))
    return state


def hash_text(text: str) -> int:
    """Hash a name to a number; slow, only for set-up."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction(value: int) -> float:
    """Convert 64 mixed bits to a fraction in [0, 1)."""
    return (value >> 11) * _FRACTION_STEP


def encode(value: int, length: int, alphabet: str = _ID_ALPHABET) -> str:
    """Write a number in an alphabet, for ids."""
    letters = []
    for _ in range(length):
        value, digit = divmod(value, len(alphabet))
        letters.append(alphabet[digit])
    return "".join(letters)
