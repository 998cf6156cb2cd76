"""What every test shares: where real data lies, if it does, and a text that needs none."""

from __future__ import annotations

import os
import random
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded; see lmfast.errors.require

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real corpora and vocabularies; skips where it is not."""
    folder = Path(os.environ.get("LMFAST_DATA", ROOT.parent / "shared"))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"no corpora in {folder}: name their folder with LMFAST_DATA")
    return folder


def made_text(documents: int = 60, seed: int = 0) -> list[str]:
    """Documents that a model can learn from: words of Zipf's frequencies, in sentences of a simple grammar."""
    generator = random.Random(0)  # every seed speaks the same language
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(generator.choices(letters, range(26, 0, -1), k=generator.randint(2, 8))) for _ in range(400)]
    weights = [1 / rank for rank in range(1, 401)]
    generator.seed(seed)

    def sentence() -> str:
        chosen = generator.choices(words, weights, k=generator.randint(4, 12))
        return f"The {' '.join(chosen)} {generator.choice(['is', 'was'])} {chosen[0]}.\n"

    return ["".join(sentence() for _ in range(generator.randint(5, 40))) for _ in range(documents)]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A file of made text, one document."""
    path = tmp_path / "text.txt"
    path.write_text("".join(made_text()), encoding="utf-8")
    return path
