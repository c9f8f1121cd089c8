"""A document read piece by piece is the document, wherever the pieces end."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.measurements import json_stream
from tap_clarity.measurements.json_stream import read_members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def gathered(content: bytes) -> dict[str, Any]:
    """Put a document together again from what is read of it."""
    document: dict[str, Any] = {}
    for name, is_list, value, number, _ in read_members(io.BytesIO(content)):
        if not is_list:
            document[name] = value
        elif number:
            document[name].append(value)
            assert number == len(document[name])
        else:
            document[name] = []
    return document


@settings(deadline=None, print_blob=True)
@given(
    document=st.dictionaries(st.text(), VALUES, max_size=4),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
    plain=st.booleans(),
)
def test_any_document_is_read_whole(
    document: dict[str, Any], chunk: int, indent: int | None, *, plain: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=not plain)
    content = text.encode("utf-8", "surrogatepass" if plain else "strict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert gathered(content) == json.loads(text)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"null", b"[]", b"{", b'{"a"', b'{"a":', b'{"a": 1', b'{"a": 1,', b'{"a": 1,}'),
        *(
            b"{a: 1}",
            b"{1: 1}",
            b'{"a" 1}',
            b'{"a": 1} {}',
            b'{"a": 1}}',
            b'{"a": [1}',
            b'{"a": [1,]}',
        ),
        *(b'{"a": [1 2]}', b'{"a": [,]}', b'{"a": "\xff"}', b'{"a": "b'),
    ],
)
def test_what_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        gathered(content)


def test_a_value_without_an_end_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE_LENGTH", 1000)
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    endless = io.BytesIO(b'{"a": "' + b"x" * 10_000 + b'"}')
    with pytest.raises(ValueError, match="too long"):
        list(read_members(endless))
    assert endless.tell() < 2000


def test_a_long_value_is_decoded_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = list[int]()

    def decode(text: str, position: int) -> tuple[Any, int]:
        decoded.append(len(text))
        return json.JSONDecoder().raw_decode(text, position)

    monkeypatch.setattr(json_stream, "CHUNK", 100)
    monkeypatch.setattr(json_stream, "_decode", decode)
    document = {"a": ["x" * 50_000] * 4}
    assert gathered(json.dumps(document).encode()) == document
    assert len(decoded) < 40
    assert sum(decoded) < 1_000_000


def test_a_long_list_needs_no_memory() -> None:
    item = {"datasourceId": "DAAAA0001", "metric": "pm2_5ConcMass1HourMean", "raw": 1.5}
    content = io.BytesIO(json.dumps({"data": [item] * 100_000}).encode())
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_members(content)) == 100_001
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000  # of nearly 8 million bytes
