"""Fuzzing: the number of examples, and what they are generated from."""

from __future__ import annotations

import functools
import importlib
import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULES = (
    "tests.unit.measurements.test_fuzzing",
    "tests.integration.faults.test_fuzz_responses",
    "tests.integration.cli.test_fuzz_settings",
    "tests.integration.cli.test_fuzz_times",
    "tests.integration.recovery.test_state",
)
EXAMPLES: Counter[str] = Counter()
"""How many examples each test has tried in this process."""

Json = Any


def fuzz(
    *positional: st.SearchStrategy[Any], in_ci: int = 200, **named: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Try a test with what is drawn: so often in CI, ten thousand times with `--thorough`."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def counted(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            EXAMPLES[test.__name__] += 1
            test(*args, **kwargs)

        max_examples = max(in_ci, settings().max_examples)
        return settings(max_examples=max_examples)(given(*positional, **named)(counted))

    return decorate


def try_all(examples: int) -> Counter[str]:
    """Run all fuzzing here, and give how many examples each test has tried; a failure is raised.

    The modules must not have been imported before.
    """
    settings.register_profile("here", max_examples=examples, deadline=None)
    settings.load_profile("here")
    for name in MODULES:
        for test in vars(importlib.import_module(name)).values():
            if hasattr(test, "hypothesis"):
                test()
    return EXAMPLES


texts = st.text(st.characters()) | st.sampled_from(["", "\0", "\ud800", "\udc00a", "😀", "é\n"])
"""Any, those that are no texts included."""
documents: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
"""Any JSON, and what is none: texts and numbers beyond what it should hold."""
ids = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=9)


def to_json_bytes(document: Json, *, plain: bool) -> bytes:
    """Write a document as a server might, right or wrong."""
    return json.dumps(document, ensure_ascii=plain).encode("utf-8", "surrogatepass")


def is_storable(document: Json) -> bool:
    """Whether a database could hold all of it."""
    return all(_is_storable_leaf(leaf) for leaf in leaves(document))


def leaves(document: Json) -> Iterator[Json]:
    """Give all texts, names and numbers of a document."""
    if isinstance(document, dict):
        yield from document
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            yield from leaves(item)
    else:
        yield document


def _is_storable_leaf(leaf: Json) -> bool:
    if isinstance(leaf, str):
        return "\0" not in leaf and not any("\ud800" <= each <= "\udfff" for each in leaf)
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return not isinstance(leaf, int) or -(2**63) <= leaf < 2**63


@st.composite
def mutants(draw: st.DrawFn, content: bytes, pieces: tuple[bytes, ...] = ()) -> bytes:
    """Cut, double, drop or replace a few bytes."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 20)))
        replacement = draw(
            st.sampled_from([b"", content[start:end] * 2, *pieces]) | st.binary(max_size=4)
        )
        content = content[:start] + replacement + content[end:]
    return content
