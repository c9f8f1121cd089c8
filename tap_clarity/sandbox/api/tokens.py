"""Seals for what clients carry around and bring back: continuation tokens and file links."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from typing import Any, Final

_SEAL_BYTES: Final = 16


def seal(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()[: 2 * _SEAL_BYTES]


def pack(key: bytes, content: dict[str, Any]) -> str:
    """Write a token that needs no memory on the server's side."""
    body = base64.urlsafe_b64encode(zlib.compress(json.dumps(content).encode())).decode()
    return f"{body}.{seal(key, body.encode())}"


def unpack(key: bytes, token: str) -> dict[str, Any] | None:
    """Read a token; nothing when it is not one of ours."""
    body, _, mark = token.rpartition(".")
    if not hmac.compare_digest(mark.encode(), seal(key, body.encode()).encode()):
        return None
    try:
        content: dict[str, Any] = json.loads(zlib.decompress(base64.urlsafe_b64decode(body)))
    except (ValueError, binascii.Error, zlib.error):
        return None
    return content
