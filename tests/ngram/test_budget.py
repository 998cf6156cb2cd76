"""Estimation within a budget of memory."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lmfast import NgramModel, TokenArray
from lmfast.ngram.budget import as_bytes, budget

OPTIONS = {"discount_fallback": (0.5, 1, 1.5)}


def text_of(lines, words=300, seed=1):
    draw = random.Random(seed)
    return [
        " ".join(f"w{min(int(draw.paretovariate(0.6)), words)}" for _ in range(draw.randrange(20)))
        for _ in range(lines)
    ]


def saved(model, path):
    model.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "option",
    [{}, {"prune": (0, 0, 1)}, {"vocabulary": ["w1", "w2", "w5"]}, {"interpolate_unigrams": False}, {"threads": 3}],
)
@pytest.mark.parametrize("ending", ["arpa", "lmn"])
def test_the_model_is_the_same(tmp_path, option, ending):
    folder = tmp_path / "working"
    folder.mkdir()
    text = text_of(2000)
    expected = saved(NgramModel.train(text, 4, **OPTIONS, **option), tmp_path / f"a.{ending}")
    model = NgramModel.train(text, 4, memory="16M", temporary_folder=folder, **OPTIONS, **option)
    assert saved(model, tmp_path / f"b.{ending}") == expected
    assert list(folder.iterdir()) == []
    assert model.score(text[0]) == NgramModel.train(text, 4, **OPTIONS, **option).score(text[0])


def test_tokens(tmp_path):
    ids = np.random.default_rng(1).geometric(0.1, 5000).astype(np.uint16)
    tokens = TokenArray(ids, np.array([0, 10, 10, 3000, 5000], np.uint64))
    expected = saved(NgramModel.train(tokens, 3, **OPTIONS), tmp_path / "a.arpa")
    model = NgramModel.train(tokens, 3, memory=1, temporary_folder=tmp_path, **OPTIONS)
    assert saved(model, tmp_path / "b.arpa") == expected


def test_sizes_of_memory():
    assert as_bytes("2k") == as_bytes(" 2 KiB ") == 2048
    assert as_bytes("0.5G") == 2**29
    assert 0 < as_bytes("50%") < as_bytes("100%")
    assert budget(None, "anywhere") is None
    for wrong in ("", "1X", "-1", 0, -5, True, "G", "1.2.3", "0K"):
        with pytest.raises(ValueError, match="memory="):
            as_bytes(wrong)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="absent"):
        NgramModel.train(["a b"], 2, memory="16M", temporary_folder=tmp_path / "absent")


TRAIN = """
import sys, resource
from lmfast import NgramModel
if sys.argv[3]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
print("start", flush=True)
try:
    NgramModel.train(sys.argv[1], 5, memory="16M", temporary_folder=sys.argv[2])
except (OSError, KeyboardInterrupt) as error:
    print(type(error).__name__, error)
"""


def child(text, folder, largest_file=""):
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, text, folder, largest_file], stdout=subprocess.PIPE, text=True
    )


def test_a_full_disk(tmp_path):
    folder = tmp_path / "working"
    folder.mkdir()
    (tmp_path / "text.txt").write_text("\n".join(text_of(3000)))
    output, _ = child(tmp_path / "text.txt", folder, "50000").communicate(timeout=60)
    assert output.startswith(f"start\nOSError [Errno 27] File too large: '{folder}'")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped(tmp_path, how):
    folder = tmp_path / "working"
    folder.mkdir()
    (tmp_path / "text.txt").write_text("\n".join(text_of(20_000)) * 10)
    process = child(tmp_path / "text.txt", folder)
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert list(folder.iterdir()) == []


def test_a_small_budget_is_kept(tmp_path):
    """The peak with a budget is far under that in memory."""
    (tmp_path / "text.txt").write_text("\n".join(text_of(60_000, words=10**6)))
    program = (
        "import sys; from lmfast import NgramModel; m = NgramModel.train(sys.argv[1], 4, memory=eval(sys.argv[2])); "
    )
    program += (
        "m.save(sys.argv[3]); print([line for line in open('/proc/self/status') if 'VmHWM' in line][0].split()[1])"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("peaks are read as Linux tells them")

    def peak(memory):
        command = [sys.executable, "-c", program, tmp_path / "text.txt", memory, tmp_path / "m.arpa"]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak("'16M'") + 5_000 < peak("None")
