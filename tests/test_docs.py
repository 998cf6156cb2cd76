"""The code in the documents and docstrings runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import lmfast

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "FORMATS.md", "CONTRIBUTING.md", "benches/README.md"]


def modules() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.walk_packages(lmfast.__path__, "lmfast.")
        if not module.name.endswith("__main__")
    )


@pytest.mark.parametrize("name", modules())
def test_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module = importlib.import_module(name)
    except lmfast.MissingDependencyError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def python_blocks(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_code_in_documents(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = python_blocks(document)
    if not blocks:
        pytest.skip("no Python in it")
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "python/lmfast").glob("*.py")))
    Path("corpus.txt").write_text(text[:12_000], encoding="utf-8")
    scope: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a small corpus has no discounts of its own
        for block in blocks:
            exec(compile(block, document, "exec"), scope)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", (ROOT / document).read_text(encoding="utf-8")):
        if "://" not in target:
            assert (ROOT / document).parent.joinpath(target).exists(), target


def test_unsafe_code_is_where_we_say() -> None:
    named = re.findall(
        r"^\| `(lmfast-\S+\.rs)` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    sources = {path.relative_to(ROOT / "rust").as_posix(): path for path in (ROOT / "rust").rglob("*.rs")}
    found = [name for name, path in sources.items() if "unsafe_code" in path.read_text(encoding="utf-8")]
    assert sorted(found) == sorted(named)
