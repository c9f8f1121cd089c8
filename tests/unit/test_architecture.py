"""The imports between packages and modules are those that CONTRIBUTING.md allows."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from graphlib import TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tap_clarity.tap import TapClarity
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PACKAGE = "tap_clarity"
ENTRY_POINTS = {"__init__", "__main__"}
MAX_ROOT_MODULES = 5


def documented_imports() -> dict[str, set[str]]:
    """Read the table of CONTRIBUTING.md, highest package first."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*) ?\|$", text, re.MULTILINE)
    return {package: set(re.findall(r"`(\w+)`", imports)) for package, imports in rows}


def modules() -> Iterator[Path]:
    return (ROOT / PACKAGE).rglob("*.py")


def imported(node: ast.AST) -> Iterator[str]:
    """Give the modules of the package that an import statement names."""
    if isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = []
    return (name for name in names if name.split(".")[0] == PACKAGE)


def statements(nodes: Iterable[ast.AST], *, for_types: bool) -> Iterator[ast.AST]:
    """Give all statements, those under `if TYPE_CHECKING` only on request."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not for_types:
            continue
        yield node
        yield from statements(ast.iter_child_nodes(node), for_types=for_types)


def imports_of(path: Path, *, for_types: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = statements([tree], for_types=for_types)
    return set(chain.from_iterable(map(imported, found)))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def actual_imports() -> dict[str, set[str]]:
    """Sum up the imports of each package of the root, those for types included."""
    packages: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        package = path.relative_to(ROOT / PACKAGE).with_suffix("").parts[0]
        if package in ENTRY_POINTS:
            continue
        used = {name.split(".")[1] for name in imports_of(path, for_types=True) if "." in name}
        packages[package] |= used - {package}
    return packages


def test_packages_import_what_the_table_says() -> None:
    assert actual_imports() == documented_imports()


def test_packages_import_only_from_lower_ones() -> None:
    order = [*documented_imports()]
    for package, used in documented_imports().items():
        assert all(order.index(package) < order.index(other) for other in used), package


@pytest.mark.parametrize("part", ["", "sandbox", "page", "demo"])
def test_no_modules_import_each_other_in_a_circle(part: str) -> None:
    names = {module_name(path) for path in modules()}
    graph = {
        module_name(path): imports_of(path, for_types=False) & names - {module_name(path)}
        for path in modules()
        if path.is_relative_to(ROOT / PACKAGE / part) and path.name != "__init__.py"
    }
    assert [*TopologicalSorter(graph).static_order()]


def test_the_root_holds_few_modules() -> None:
    assert len([*(ROOT / PACKAGE).glob("*.py")]) <= MAX_ROOT_MODULES


def test_streams_have_at_most_three_classes_of_the_tap() -> None:
    tap = TapClarity(config={"org": "exampleAB12", "api_key": "key"})
    for stream in tap.streams.values():
        own = [each for each in type(stream).__mro__ if each.__module__.startswith(PACKAGE)]
        assert len(own) <= 3, stream.name
