import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def lmplz():
    """Runs KenLM's lmplz, from the folder that LMFAST_KENLM names; options may begin with fallback discounts."""
    program = shutil.which("lmplz", path=os.environ.get("LMFAST_KENLM", ""))
    if not program:
        pytest.skip("LMFAST_KENLM does not name the folder of KenLM's programs")

    def run(text: Path, order: int, *options: str) -> bytes:
        target = text.with_suffix(".lmplz.arpa")
        command = [program, "-o", str(order), "-S", "400M", "-T", f"{text.parent}/", "--discount_fallback", *options]
        subprocess.run([*command, "--text", str(text), "--arpa", str(target)], check=True, capture_output=True)
        return target.read_bytes()

    return run


@pytest.fixture(scope="session")
def data():
    """The folder of corpora and vocabularies."""
    folder = Path(os.environ.get("LMFAST_DATA", Path(__file__).resolve().parents[3] / "shared"))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"{folder} holds no corpora: set LMFAST_DATA")
    return folder
