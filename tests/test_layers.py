"""The direction of imports, and what `import lmfast` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lmfast

PACKAGE = Path(lmfast.__file__).parent
CORE = {"__init__", "errors", "source", "cleaning", "tokenizer", "ngram", "data"}
ALLOWED = {
    "errors": set(),
    "progress": set(),
    "source": set(),
    "cleaning": {"errors", "progress", "source"},
    "tokenizer": {"errors", "progress", "source", "cleaning", "data"},
    "ngram": {"errors", "progress", "source"},
    "data": {"errors", "progress", "source"},
    "models": {"errors"},
    "saving": {"errors", "models", "ngram"},
    "generation": {"errors", "models"},
    "evaluation": {"errors", "progress", "source", "models", "data"},
    "interpolation": {"errors", "progress", "source", "ngram", "evaluation"},
    "training": {"errors", "progress", "models", "data", "evaluation"},
    "comparison": {"errors", "progress", "source", "tokenizer", "data", "evaluation", "saving"},
    "report": {"errors"},
    "demo": None,
    "cli": None,
}
"""What each part may import of the others; None: anything."""


def part_of(module: str) -> str | None:
    """The part of the package that a module's full name belongs to."""
    names = module.split(".")
    return None if names[0] != "lmfast" or len(names) < 2 else names[1]


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere, but for type checking only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "lmfast":
                found |= {lmfast._HOMES.get(alias.name, f"lmfast.{alias.name}") for alias in node.names}
            else:
                found.add(node.module)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    assert own in ALLOWED, f"{own} is not in the picture of the layers: add it to ALLOWED and to ARCHITECTURE.md"
    found = imports(path)
    assert own in CORE or "lmfast._core" not in found, "only the faces of the Rust crates import the compiled core"
    if ALLOWED[own] is not None:
        parts = {part_of(module) for module in found} - {None, own, "_core", "__version__"}
        assert parts <= ALLOWED[own], f"{own} may not import {sorted(parts - ALLOWED[own])}"


HEAVY = ("torch", "numpy", "rich", "matplotlib", "jinja2", "safetensors")


def test_import_is_light() -> None:
    code = f"import sys, lmfast; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_is_fast() -> None:
    code = "import time; start = time.perf_counter(); import lmfast; print(time.perf_counter() - start)"
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )
    assert seconds < 0.15


def test_public_names_are_there() -> None:
    pytest.importorskip("torch")
    for name in lmfast.__all__:
        assert getattr(lmfast, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lmfast.no_such_name
