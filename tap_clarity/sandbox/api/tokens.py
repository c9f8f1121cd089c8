"""Continuation tokens, which carry their own content, and the signatures of tokens and links."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from typing import Any, Final

_SIGNATURE_BYTES: Final = 16


def sign(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()[: 2 * _SIGNATURE_BYTES]


def encode(key: bytes, content: dict[str, Any]) -> str:
    """Return a signed token; the server keeps nothing."""
    body = base64.urlsafe_b64encode(zlib.compress(json.dumps(content).encode())).decode()
    return f"{body}.{sign(key, body.encode())}"


def decode(key: bytes, token: str) -> dict[str, Any] | None:
    """Return the content of a token, or nothing if the signature is wrong."""
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), sign(key, body.encode()).encode()):
        return None
    try:
        content: dict[str, Any] = json.loads(zlib.decompress(base64.urlsafe_b64decode(body)))
    except (ValueError, binascii.Error, zlib.error):
        return None
    return content
