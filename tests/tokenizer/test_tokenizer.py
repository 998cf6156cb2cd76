"""Encoding and decoding without another implementation at hand."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.hard_text import hard_texts, sentences

from lmfast import FormatError, TokenArray, Tokenizer


@pytest.fixture(scope="module")
def bpe():
    return Tokenizer.train(sentences(300), 400)


@pytest.fixture(scope="module")
def words():
    return Tokenizer.train(sentences(300), 200, kind="word", min_frequency=1)


@settings(deadline=None, max_examples=200)
@given(text=st.text())
def test_any_text_comes_back(bpe, text):
    ids = bpe.encode(text, special="text")
    assert bpe.decode(ids) == text
    assert bpe.decode_bytes(ids) == text.encode()
    assert bpe.encode_array([text], special="text").ids.tolist() == ids


@settings(deadline=None, max_examples=200)
@given(content=st.binary())
def test_any_bytes_come_back(bpe, content):
    single = {bpe.decode_bytes([id]): id for id in range(1, 257)}
    ids = [single[bytes([byte])] for byte in content]
    assert bpe.decode_bytes(ids) == content
    assert bpe.decode(ids) == content.decode(errors="replace")
    stream = bpe.decoder()
    assert "".join([*map(stream.push, ids), stream.finish()]) == content.decode(errors="replace")


def test_a_stream_shows_no_half_character(bpe):
    text = "a é中😀 b"
    stream = bpe.decoder()
    parts = [*map(stream.push, bpe.encode(text)), stream.finish()]
    assert "".join(parts) == text
    assert not any("\ufffd" in part for part in parts)
    assert stream.push(bpe.encode("a")[0]) == "a"


def test_all_encoders_agree_at_any_number_of_threads(bpe):
    texts = [*hard_texts(400), "", "x" * 200000, *sentences(2000), ""]
    expected = [bpe.encode(text) for text in texts]
    for threads in (None, 1, 2, 3):
        assert bpe.encode_batch(texts, threads=threads) == expected
        array = bpe.encode_array(tuple(texts), threads=threads)
        assert array.ids.dtype == np.uint16
        assert array.offsets.dtype == np.uint64
        assert array.offsets.tolist() == np.cumsum([0, *map(len, expected)]).tolist()
        assert [row.tolist() for row in array] == expected
    assert bpe.decode_batch(expected) == texts
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(bpe.encode, texts)) == expected


def test_an_array_of_documents():
    array = TokenArray(np.array([4, 5, 6], np.uint16), np.array([0, 2, 2, 3], np.uint64))
    assert len(array) == 3
    assert [row.tolist() for row in array] == [[4, 5], [], [6]]
    assert array[-1].tolist() == [6]
    with pytest.raises(IndexError, match="3"):
        array[3]


def test_nothing_is_an_array_of_nothing(bpe):
    array = bpe.encode_array([])
    assert len(array) == 0
    assert array.offsets.tolist() == [0]


def test_special_tokens_are_parsed_kept_or_refused(bpe):
    text = "a<|endoftext|>b"
    assert bpe.encode(text).count(0) == 1
    kept = bpe.encode(text, special="text")
    assert 0 not in kept
    assert bpe.decode(kept) == text
    with pytest.raises(ValueError, match=r"endoftext.*byte 1"):
        bpe.encode(text, special="refuse")
    assert bpe.encode("a<|endoftext", special="refuse") == bpe.encode("a<|endoftext")
    assert bpe.decode(bpe.encode(text), skip_special_tokens=True) == "ab"
    assert (bpe.special_tokens, bpe.end_of_text) == ({"<|endoftext|>": 0}, 0)


def test_tokens_have_names(bpe, words):
    for tokenizer in (bpe, words):
        vocabulary = tokenizer.vocab()
        assert list(vocabulary.values()) == list(range(tokenizer.vocab_size))
        for token, id in vocabulary.items():
            assert tokenizer.token_to_id(token) == id
            assert tokenizer.id_to_token(id) == token
        assert tokenizer.token_to_id("never seen") is None
        assert tokenizer.id_to_token(tokenizer.vocab_size) is None
        assert tokenizer.id_to_token(-1) is None


def test_copies_are_equal(bpe, words, tmp_path):
    bpe.save(tmp_path / "tokenizer.json")
    for copy in (
        pickle.loads(pickle.dumps(bpe)),
        Tokenizer.from_file(tmp_path),
        Tokenizer.from_file(tmp_path / "tokenizer.json"),
    ):
        assert copy == bpe
        assert copy.fingerprint == bpe.fingerprint
        assert hash(copy) == hash(bpe)
        assert copy.encode("some text") == bpe.encode("some text")
    assert words != bpe
    assert words.fingerprint != bpe.fingerprint
    assert pickle.loads(pickle.dumps(words)) == words


def test_words_and_the_unknown(words):
    frequent = words.id_to_token(2)
    assert words.special_tokens == {"<unk>": 0, "<|endoftext|>": 1}
    assert words.encode(f" {frequent}\n zzzzzz<|endoftext|>") == [2, 0, 1]
    assert words.decode([2, 0, 2]) == f"{frequent} <unk> {frequent}"
    stream = words.decoder()
    assert "".join([stream.push(2), stream.push(0), stream.finish()]) == f"{frequent} <unk>"


def test_characters_with_and_without_an_unknown():
    text = "one\r\n two é\n"
    closed = Tokenizer.train([text], 256, kind="char", special_tokens=())
    assert closed.vocab_size == len(set(text))
    assert len(closed.encode(text)) == len(text)
    assert closed.decode(closed.encode(text)) == text
    with pytest.raises(ValueError, match='"x"'):
        closed.encode("x")
    opened = Tokenizer.train([text], 256, kind="char")
    assert opened.encode("x") == [opened.token_to_id("<unk>")]


def test_a_vocabulary_smaller_than_wanted_says_why():
    with pytest.warns(UserWarning, match=r"vocab_size=5000: the text supports \d+ tokens.*min_frequency"):
        tokenizer = Tokenizer.train(["a few words, a few words"], 5000)
    assert 257 < tokenizer.vocab_size < 300


def test_training_repeats_itself_at_any_number_of_threads(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(sentences(3000)), encoding="utf-8")
    made = [Tokenizer.train(path, 500, threads=threads, progress=False) for threads in (1, 2, 3)]
    assert made[0] == made[1] == made[2]
    assert made[0] == Tokenizer.train(iter(path.read_text("utf-8").splitlines(keepends=True)), 500)


def test_training_can_fail_in_the_reader():
    def documents():
        yield "text"
        raise RuntimeError("the reader's own")

    with pytest.raises(RuntimeError, match="the reader's own"):
        Tokenizer.train(documents(), 300)
    with pytest.raises(TypeError):
        Tokenizer.train(iter(["text", 5]), 300)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *[(lambda t, v=value: t.encode(v), TypeError) for value in (5, None, b"bytes", ["a"])],
        *[(lambda t, v=value: t.encode_batch(v), TypeError) for value in (5, None, [1], ["a", None], "one string")],
        *[(lambda t, v=value: t.encode_array(v), TypeError) for value in (5, None, [1], ["a", None], "one string")],
        *[(lambda t, v=value: t.decode(v), TypeError) for value in ("text", ["a"], [1.5], None, 5)],
        *[(lambda t, v=value: t.decode([v]), ValueError) for value in (-1, 400, 2**32, 2**63, 2**70)],
        *[(lambda t, v=value: t.decoder().push(v), ValueError) for value in (-1, 400, 2**64)],
        (lambda t: t.decode(np.array([-1])), ValueError),
        (lambda t: t.encode("a", special="nonsense"), ValueError),
        (lambda t: t.encode("a\ud800"), ValueError),
        (lambda t: t.encode_array(["a"], threads=-1), ValueError),
        (lambda t: t.encode_array(["a"], threads=0), ValueError),
        (lambda t: t.encode_files(["a"], "out", append_token="<absent>"), ValueError),
        (lambda t: t.save("absent/folder/tokenizer.json"), FileNotFoundError),
        (lambda _: Tokenizer(), TypeError),
        (lambda _: Tokenizer.from_file(5), TypeError),
        (lambda _: Tokenizer.from_file("absent.json"), FileNotFoundError),
        (lambda _: Tokenizer.train(5, 300), TypeError),
        (lambda _: Tokenizer.train("absent.txt", 300), FileNotFoundError),
        (lambda _: Tokenizer.train(["a"], 300, kind="nonsense"), ValueError),
        (lambda _: Tokenizer.train(["a"], 300, pattern="(unclosed"), ValueError),
        (lambda _: Tokenizer.train(["a"], 300, special_tokens="<s>"), TypeError),
        (lambda _: Tokenizer.train(["a"], 300, min_frequency=-1), ValueError),
        (lambda _: Tokenizer.train(["a"], 100), ValueError),
        (lambda _: Tokenizer.train(["a"], 2**70), ValueError),
    ],
)
def test_wrong_calls(bpe, call, error):
    with pytest.raises(error) as caught:
        call(bpe)
    assert str(caught.value)


def test_an_id_is_named_where_it_is_not_in_the_vocabulary(bpe):
    with pytest.raises(ValueError, match=r"id 1180591620717411303424 .* 400"):
        bpe.decode([1, 2**70])
    with pytest.raises(ValueError, match=r"id 400 .* 400"):
        bpe.decode_bytes(np.array([1, 400], np.int64))


def test_words_have_no_end_of_text_without_one():
    tokenizer = Tokenizer.train(["a b"], 10, kind="word", special_tokens=("<unk>",), min_frequency=1)
    assert tokenizer.end_of_text is None
    with pytest.raises(ValueError, match="end-of-text"):
        tokenizer.encode_files(["a"], "out")


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "ranks.tiktoken").write_bytes(b"IQ== 0\n")
    with pytest.raises(FormatError, match=r"ranks\.tiktoken.*pattern="):
        Tokenizer.from_file(tmp_path / "ranks.tiktoken")
    with pytest.raises(FormatError, match=r"holds no vocabulary.*tokenizer\.json"):
        Tokenizer.from_file(tmp_path / "empty")
