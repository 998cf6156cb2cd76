"""`Tokenizer.encode_files`: sources, and going on after an interruption."""

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tests.conftest import made_text

import lmfast
from lmfast import NgramModel, Tokenizer

SUFFIXES = (".bin", ".idx", ".lmfast.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    Tokenizer.train(made_text(), 400).save(folder / "tokenizer.json")
    with (folder / "text.jsonl").open("w", encoding="utf-8") as file:
        for seed in range(60):
            for document in made_text(60, seed):
                file.write(json.dumps({"text": document * 4}) + "\n")
    return folder


def bytes_of(out):
    return [out.with_suffix(suffix).read_bytes() for suffix in SUFFIXES]


def left(out):
    return sorted(path.name for path in out.parent.glob(f".{out.stem}.*"))


RUN = """
import sys
import lmfast.tokenizer.codec
lmfast.tokenizer.codec.CHECKPOINT_SECONDS = 0.0
tokenizer = lmfast.Tokenizer.from_file(sys.argv[1])
tokenizer.encode_files(sys.argv[2], sys.argv[3], threads=2)
"""


def interrupted(folder, text, out, signal_number, after=1):
    """Run until the journal notes `after` documents or more, then send a signal; gives the journal."""
    journal = out.parent / f".{out.stem}.journal"
    words = [sys.executable, "-c", RUN, str(folder / "tokenizer.json"), str(text), str(out)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and json.loads(journal.read_text())["documents"] >= after:
            process.send_signal(signal_number)
            break
        time.sleep(0.001)
    process.communicate()
    if process.returncode == 0:
        pytest.skip("the run was over before it could be interrupted")
    return json.loads(journal.read_text())


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, 9], ids=str)
def test_an_interrupted_run_goes_on_to_the_same_bytes(folder, tmp_path, number):
    tokenizer = Tokenizer.from_file(folder)
    whole, out = tmp_path / "whole", tmp_path / "out"
    tokenizer.encode_files(folder / "text.jsonl", whole, resume=False)
    first = interrupted(folder, folder / "text.jsonl", out, number)
    assert not out.with_suffix(".bin").exists()
    assert left(out)[:3] == [".out.bin.partial", ".out.idx.partial", ".out.journal"]
    second = interrupted(folder, folder / "text.jsonl", out, number, after=first["documents"] + 1)
    assert second["documents"] > first["documents"]
    assert second["key"] == first["key"]
    store = tokenizer.encode_files(folder / "text.jsonl", out)
    assert bytes_of(out) == bytes_of(whole)
    store.verify()
    assert left(out) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_changed_source_or_other_arguments_begin_anew(folder, tmp_path):
    tokenizer = Tokenizer.from_file(folder)
    text, out, other = tmp_path / "text.jsonl", tmp_path / "out", tmp_path / "other"
    text.write_bytes((folder / "text.jsonl").read_bytes())
    interrupted(folder, text, out, 9)
    lines = text.read_text("utf-8").splitlines()
    text.write_text("\n".join(reversed(lines)), "utf-8")
    store = tokenizer.encode_files(text, out)
    expected = tokenizer.encode_files([json.loads(line)["text"] for line in reversed(lines)], tmp_path / "whole")
    assert np.array_equal(store.tokens, expected.tokens)
    interrupted(folder, text, other, 9)
    store = tokenizer.encode_files(text, other, append_token=None)
    assert store.num_tokens == expected.num_tokens - len(expected)
    assert left(other) == []


def test_a_mistake_in_the_source_leaves_nothing(folder, tmp_path):
    tokenizer = Tokenizer.from_file(folder)
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "fine"}\n' * 1000 + "{broken\n")
    with pytest.raises(lmfast.FormatError, match="line 1001"):
        tokenizer.encode_files(text, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["text.jsonl"]


@pytest.mark.parametrize("resume", [True, False])
def test_two_runs_at_once_are_refused(folder, tmp_path, resume):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / ".out.idx.partial").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process is writing"):
            Tokenizer.from_file(folder).encode_files(folder / "text.jsonl", tmp_path / "out", resume=resume)
    assert left(tmp_path / "out") == [".out.idx.partial"]


@contextlib.contextmanager
def room_for(file_bytes):
    """Files cannot become longer, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def checkpoints(monkeypatch):
    """Set how many seconds pass between two checkpoints."""
    return lambda seconds: monkeypatch.setattr("lmfast.tokenizer.codec.CHECKPOINT_SECONDS", seconds)


def test_on_a_full_disk_the_work_stays(folder, tmp_path, checkpoints):
    tokenizer = Tokenizer.from_file(folder)
    text, out, whole = folder / "text.jsonl", tmp_path / "out", tmp_path / "whole"
    tokenizer.encode_files(text, whole, resume=False)
    size = whole.with_suffix(".bin").stat().st_size

    checkpoints(0.0)
    with room_for(size // 2), pytest.raises(OSError, match=r"out\.bin"):
        tokenizer.encode_files(text, out, threads=2)
    journal = json.loads((tmp_path / ".out.journal").read_text())
    lengths = np.fromfile(tmp_path / ".out.idx.partial", np.uint32)[: journal["documents"]]
    assert 0 < lengths.sum() == journal["tokens"]
    checkpoints(1e6)
    # Without checkpoints a run that began anew would leave no journal, or another.
    with room_for(size * 3 // 4), pytest.raises(OSError, match=r"out\.bin"):
        tokenizer.encode_files(text, out, threads=2)
    assert json.loads((tmp_path / ".out.journal").read_text()) == journal
    tokenizer.encode_files(text, out)
    assert bytes_of(out) == bytes_of(whole)
    assert left(out) == []


def test_a_disk_that_is_full_in_the_end_leaves_the_work(folder, tmp_path, checkpoints):
    tokenizer = Tokenizer.from_file(folder)
    text, out, whole = tmp_path / "text.txt", tmp_path / "out", tmp_path / "whole"
    text.write_text("a\n" * 20_000)
    tokenizer.encode_files(text, whole, lines=True, resume=False)
    index, tokens = (whole.with_suffix(suffix).stat().st_size for suffix in (".idx", ".bin"))
    assert index > 2 * tokens
    checkpoints(1e6)
    with room_for(index // 2), pytest.raises(OSError, match=r"out\.idx"):
        tokenizer.encode_files(text, out, lines=True)
    assert left(out) == [".out.bin.partial", ".out.idx.partial", ".out.journal"]
    assert json.loads((tmp_path / ".out.journal").read_text())["documents"] == 20_000
    assert [path.name for path in tmp_path.glob("out*")] == []
    tokenizer.encode_files(text, out, lines=True)
    assert bytes_of(out) == bytes_of(whole)
    assert left(out) == []


def test_without_resume_nothing_of_an_earlier_run_stays(folder, tmp_path):
    tokenizer = Tokenizer.from_file(folder)
    text, out, whole = folder / "text.jsonl", tmp_path / "out", tmp_path / "whole"
    tokenizer.encode_files(text, whole, resume=False)
    interrupted(folder, text, out, 9)
    (tmp_path / ".out.journal.next").write_text("half a jour")
    tokenizer.encode_files(text, out, resume=False)
    assert left(out) == []
    assert bytes_of(out) == bytes_of(whole)


def test_what_a_killed_process_leaves_beside_the_journal_goes(folder, tmp_path):
    (tmp_path / ".out.journal.next").write_text("half a jour")
    Tokenizer.from_file(folder).encode_files(folder / "text.jsonl", tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_the_same_documents_from_every_kind_of_file(folder, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    documents = [line * (number % 3) for number, line in enumerate(made_text())]
    table = pyarrow.table({"number": list(range(len(documents))), "content": documents})
    parquet.write_table(table, tmp_path / "text.parquet", row_group_size=7)
    lines = "".join(json.dumps({"content": document}) + "\n" for document in documents)
    with gzip.open(tmp_path / "text.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    tokenizer = Tokenizer.from_file(folder)
    expected = tokenizer.encode_array(documents)
    names = {"text_field": "content", "text_column": "content"}
    for name in ("text.parquet", "text.jsonl.gz"):
        store = tokenizer.encode_files(tmp_path / name, tmp_path / "store", append_token=None, **names)
        assert np.array_equal(store.tokens, expected.ids)
        assert np.array_equal(store.offsets, expected.offsets)
        assert Tokenizer.train(tmp_path / name, 300, **names) == Tokenizer.train(documents, 300)
        model = NgramModel.train(tmp_path / name, 2, **names)
        assert model.counts == NgramModel.train(documents, 2).counts
        counts = lmfast.count_ngrams(tmp_path / name, 2, **names)
        assert list(counts.items()) == list(lmfast.count_ngrams(documents, 2).items())
    with pytest.raises(lmfast.FormatError, match=r"text\.parquet.*number.*INT64"):
        tokenizer.encode_files(tmp_path / "text.parquet", tmp_path / "no", text_column="number")


@pytest.mark.parametrize("append", [True, False])
def test_a_long_document_is_encoded_by_several_threads_to_the_ids_of_the_whole(folder, tmp_path, append):
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    long = " \n".join(made_text(60, 1) + made_text(60, 2)) * 12
    assert len(long) > 2_000_000
    documents = ["short", long, "", long[:700_000], "x" * 600_000]
    for number, document in enumerate(documents):
        (tmp_path / f"{number}.txt").write_text(document, encoding="utf-8")
    options = {} if append else {"append_token": None}
    stores = [
        tokenizer.encode_files(sorted(tmp_path.glob("*.txt")), tmp_path / f"{threads}.bin", threads=threads, **options)
        for threads in (1, 3)
    ]
    assert bytes_of(tmp_path / "1.bin") == bytes_of(tmp_path / "3.bin")
    assert len(stores[0]) == len(documents)
    for found, document in zip(stores[0], documents, strict=True):
        expected = tokenizer.encode(document, special="text")
        assert found.tolist() == expected + [tokenizer.end_of_text] * append
