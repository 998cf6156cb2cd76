"""Files of other formats: .tiktoken, SentencePiece .model, vocab.txt, vocab.json beside merges.txt, folders."""

import base64
import io
import json
import pickle
import random

import pytest
from tests.tokenizer.hard_text import hard_texts, sentences

from lmfast import FormatError, Tokenizer

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ALPHABET = {chr(byte): byte for byte in PRINTABLE} | {
    chr(256 + rank): byte for rank, byte in enumerate(sorted({*range(256)} - {*PRINTABLE}))
}


def byte_level(size=400):
    tokenizer = Tokenizer.train(sentences(300) + hard_texts(30), size, special_tokens=())
    return {bytes(ALPHABET[letter] for letter in token): id for token, id in tokenizer.vocab().items()}


def write_ranks(path, ranks):
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())
    path.write_text("".join(lines), encoding="ascii")
    return path


@pytest.fixture(scope="module")
def ranks():
    return byte_level()


def text_of(tokenizer, texts, **options):
    return tokenizer.encode_batch(texts, add_special_tokens=False, **options)


def test_tiktoken(ranks, tmp_path):
    tiktoken = pytest.importorskip("tiktoken")
    special = {"<|end|>": 1000, "<|pad|>": 700}
    # Holes between ranks, and a token that no merge makes.
    ranks = {token: rank + 3 * (rank > 300) for token, rank in ranks.items()} | {b"xqzxqz": 650}
    path = write_ranks(tmp_path / "made.tiktoken", ranks)
    for pattern in (r"\p{L}+|\p{N}{1,3}|\s+|[^\s\p{L}\p{N}]+", r"(?:\S+)|\s+(?!\S)|\s+"):
        ours = Tokenizer.from_file(path, pattern=pattern, special_tokens=special)
        theirs = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
        texts = hard_texts(300, seed=1) + sentences(50) + ["xqzxqz", "a<|end|>b", "<|end|>"]
        assert text_of(ours, texts, special="text") == [theirs.encode_ordinary(text) for text in texts]
        assert text_of(ours, texts) == [theirs.encode(text, allowed_special="all") for text in texts]
        assert ours.encode("a<|end|>", add_special_tokens=True) == theirs.encode("a<|end|>", allowed_special="all")
        copy = pickle.loads(pickle.dumps(ours))
        assert copy == ours
        assert hash(copy) == hash(ours)
        assert text_of(copy, texts) == text_of(ours, texts)
        for text in texts:
            assert ours.decode(ours.encode(text)) == text
    assert ours.vocab_size == 1001
    assert ours.special_tokens == {"<|pad|>": 700, "<|end|>": 1000}


def test_tiktoken_with_tokens_of_any_order(tmp_path):
    """Ranks in another order than that of merging: parts may have higher ranks than what they make."""
    tiktoken = pytest.importorskip("tiktoken")
    generator, pattern = random.Random(3), r"[abc]+|[^abc]"
    for _ in range(30):
        tokens = {bytes([byte]) for byte in range(256)}
        longer = {bytes(generator.choices(b"abc", k=generator.randint(2, 5))) for _ in range(40)}
        order = generator.sample(range(256, 256 + len(longer)), len(longer))
        ranks = {token: token[0] for token in sorted(tokens)} | dict(zip(sorted(longer), order, strict=True))
        ours = Tokenizer.from_file(write_ranks(tmp_path / "any.tiktoken", ranks), pattern=pattern)
        theirs = tiktoken.Encoding("any", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        texts = ["".join(generator.choices("abc", k=generator.randint(1, 30))) for _ in range(50)]
        assert text_of(ours, texts) == [theirs.encode_ordinary(text) for text in texts]


def test_a_saved_rank_file_is_read_by_tokenizers(ranks, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    path = write_ranks(tmp_path / "made.tiktoken", ranks)
    ours = Tokenizer.from_file(path, pattern="cl100k", special_tokens={"<|end|>": 500, "<|pad|>": 600})
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    texts = [*hard_texts(300, seed=2), "a<|end|>b<|pad|>"]
    assert [row.ids for row in theirs.encode_batch(texts)] == text_of(ours, texts)
    again = Tokenizer.from_file(tmp_path / "tokenizer.json")
    assert text_of(again, texts) == text_of(ours, texts)
    assert again.special_tokens == ours.special_tokens


def test_a_special_token_that_would_be_found_in_text_is_not_saved(ranks, tmp_path):
    path = write_ranks(tmp_path / "made.tiktoken", ranks)
    ours = Tokenizer.from_file(path, pattern=r"\S+|\s+", special_tokens={"<|end|>": 500})
    assert 500 not in ours.encode("<|end|>", special="text")
    with pytest.raises(ValueError, match=r"<\|end\|>"):
        ours.save(tmp_path / "tokenizer.json")
    assert not (tmp_path / "tokenizer.json").exists()


def test_an_unknown_rank_file_wants_a_pattern(ranks, tmp_path):
    path = write_ranks(tmp_path / "made.tiktoken", ranks)
    with pytest.raises(FormatError, match=r"made\.tiktoken.*pattern="):
        Tokenizer.from_file(path)
    with pytest.raises(ValueError, match="unclosed"):
        Tokenizer.from_file(path, pattern="(unclosed")
    for special in ({"<|end|>": 5}, {"a": 999}, {"": 999}, {"<|end|>": 4_000_000_000}, {"x1": 600, "x2": 600}):
        with pytest.raises(FormatError, match=r"made\.tiktoken"):
            Tokenizer.from_file(path, pattern="gpt2", special_tokens=special)
    Tokenizer.train(sentences(20), 270).save(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match="pattern="):
        Tokenizer.from_file(tmp_path / "tokenizer.json", pattern="gpt2")
    with pytest.raises(ValueError, match="special_tokens="):
        Tokenizer.from_file(tmp_path / "tokenizer.json", special_tokens={"<x>": 1})


KNOWN = {"r50k_base": 50257, "cl100k_base": 100277, "o200k_base": 200019}


@pytest.mark.parametrize("name", KNOWN)
def test_known_rank_files(data_folder, tmp_path, name):
    tiktoken, public = pytest.importorskip("tiktoken"), pytest.importorskip("tiktoken_ext.openai_public")
    path = data_folder / "vocabs" / f"{name}.tiktoken"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in path.read_bytes().splitlines()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "load_tiktoken_bpe", lambda *_, **__: ranks)
        theirs = tiktoken.Encoding(**getattr(public, name)())
    ours = Tokenizer.from_file(path)
    assert ours.vocab_size == theirs.n_vocab == KNOWN[name]
    texts = hard_texts(400, seed=4) + sentences(50) + ["end \n  ", "\r\n \t", "<|endoftext|>x"]
    assert text_of(ours, texts, special="text") == [theirs.encode_ordinary(text) for text in texts]
    assert text_of(ours, texts) == [theirs.encode(text, allowed_special="all") for text in texts]
    other = tmp_path / "another name"
    other.write_bytes(path.read_bytes())
    assert Tokenizer.from_file(other).special_tokens == ours.special_tokens


@pytest.fixture(scope="module")
def sentencepiece():
    return pytest.importorskip("sentencepiece")


MODELS = {
    "unigram": {"model_type": "unigram", "vocab_size": 600},
    "unigram with bytes": {"model_type": "unigram", "vocab_size": 700, "byte_fallback": True},
    "unigram across words": {
        "model_type": "unigram",
        "vocab_size": 600,
        "split_by_whitespace": False,
        "remove_extra_whitespaces": False,
        "user_defined_symbols": ["<sep>", "th"],
    },
    "unigram folded": {
        "model_type": "unigram",
        "vocab_size": 600,
        "normalization_rule_name": "nfkc_cf",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
    },
    "bpe": {"model_type": "bpe", "vocab_size": 600, "user_defined_symbols": ["<sep>", "th"]},
    "bpe with bytes": {
        "model_type": "bpe",
        "vocab_size": 700,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    },
    "bpe across words": {
        "model_type": "bpe",
        "vocab_size": 600,
        "split_by_whitespace": False,
        "unk_surface": "?",
        "control_symbols": ["<ctl>"],
    },
}


def train_model(sentencepiece, settings):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(400) + [text.replace("\0", "") for text in hard_texts(40)]),
        model_writer=model,
        minloglevel=2,
        hard_vocab_limit=False,
        num_threads=1,
        **settings,
    )
    return model.getvalue()


@pytest.mark.parametrize("name", MODELS)
def test_sentencepiece(sentencepiece, tmp_path, name):
    path = tmp_path / "made.model"
    path.write_bytes(train_model(sentencepiece, MODELS[name]))
    theirs, ours = sentencepiece.SentencePieceProcessor(model_file=str(path)), Tokenizer.from_file(path)
    assert ours.vocab_size == theirs.vocab_size()
    texts = hard_texts(500, seed=5) + sentences(100, seed=6) + ["", " ", "  a  b ", "▁a▁▁b", "<s>the</s>", "the<sep>th"]
    # Long enough for sums to begin anew, and for rounding to decide.
    texts += [" ".join(sentences(3000, seed=7)), "#=" * 40_000, "the" * 30_000]
    expected = theirs.encode(texts)
    for text, one, other in zip(texts, text_of(ours, texts, special="text"), expected, strict=True):
        assert one == other, text[:100]
    assert ours.encode("the", add_special_tokens=True) == theirs.encode("the")
    generator = random.Random(8)
    bytes_ = [id for id in range(theirs.vocab_size()) if theirs.is_byte(id)] or [0]
    for _ in range(500):
        ids = [
            generator.choice(bytes_) if generator.random() < 0.4 else generator.randrange(theirs.vocab_size())
            for _ in range(generator.randrange(20))
        ]
        expected.append(ids)
    for ids in expected:
        text, stream = theirs.decode(ids), ours.decoder()
        assert ours.decode(ids) == text, ids
        assert "".join(map(stream.push, ids)) + stream.finish() == text


def test_sentencepiece_in_python(sentencepiece, tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(train_model(sentencepiece, MODELS["bpe"]))
    ours = Tokenizer.from_file(tmp_path)
    assert list(ours.special_tokens) == ["<unk>", "<s>", "</s>"]
    assert ours.encode("<s>") == [1]
    assert 1 not in ours.encode("<s>", special="text")
    copy = pickle.loads(pickle.dumps(ours))
    assert copy == ours
    assert copy.fingerprint == ours.fingerprint
    assert copy.encode("the text") == ours.encode("the text")
    with pytest.raises(ValueError, match="SentencePiece"):
        ours.save(tmp_path / "tokenizer.json")
    assert not (tmp_path / "tokenizer.json").exists()
    with pytest.raises(ValueError, match="pattern="):
        Tokenizer.from_file(path, pattern="gpt2")


def test_damaged_models_are_errors(sentencepiece, tmp_path):
    content, generator = train_model(sentencepiece, MODELS["unigram"]), random.Random(9)
    for number in range(60):
        case = bytearray(content)
        if number % 2:
            del case[generator.randrange(len(case)) :]
        for _ in range(3):
            case[generator.randrange(len(case))] = generator.randrange(256)
        path = tmp_path / f"{number}.model"
        path.write_bytes(case)
        try:
            Tokenizer.from_file(path).encode("text to try it on é中")
        except FormatError as error:
            assert path.name in str(error)  # noqa: PT017 - a file that is still good is fine
    for name, kind in (("word", "word"), ("char", "char")):
        path = tmp_path / f"{name}.model"
        path.write_bytes(train_model(sentencepiece, {"model_type": kind, "vocab_size": 100}))
        with pytest.raises(FormatError, match=f"model_type: {kind.upper()}"):
            Tokenizer.from_file(path)


def test_a_list_is_bert(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    engine = tokenizers.BertWordPieceTokenizer()
    engine.train_from_iterator(sentences(300) + hard_texts(30), vocab_size=500, show_progress=False)
    vocabulary = engine.get_vocab()
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.get)), encoding="utf-8")
    texts = hard_texts(300, seed=10) + sentences(50) + ["Two Words [SEP]"]
    for cased in (False, True):
        if cased:
            (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
        theirs = tokenizers.BertWordPieceTokenizer(str(path), lowercase=not cased)
        ours = Tokenizer.from_file(path)
        assert text_of(ours, texts) == [row.ids for row in theirs.encode_batch(texts, add_special_tokens=False)]
        assert ours.encode("two words") == theirs.encode("two words").ids
        assert Tokenizer.from_file(tmp_path) == ours


def test_gpt2_in_two_files(tmp_path):
    trained = Tokenizer.train(sentences(200), 400)
    trained.save(tmp_path / "whole.json")
    model = json.loads((tmp_path / "whole.json").read_text("utf-8"))["model"]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    with pytest.raises(FormatError, match=r"vocab\.json.*merges\.txt"):
        Tokenizer.from_file(folder / "vocab.json")
    lines = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + lines, encoding="utf-8")
    texts = [*hard_texts(200, seed=11), "a<|endoftext|>"]
    for path in (folder, folder / "vocab.json", folder / "merges.txt"):
        assert text_of(Tokenizer.from_file(path), texts) == text_of(trained, texts)
    (folder / "merges.txt").write_text("neither there\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"merges\.txt.*neither"):
        Tokenizer.from_file(folder)


def test_folders(ranks, tmp_path):
    with pytest.raises(FormatError, match="no vocabulary"):
        Tokenizer.from_file(tmp_path)
    write_ranks(tmp_path / "one.tiktoken", ranks)
    assert Tokenizer.from_file(tmp_path, pattern="gpt2").vocab_size == 400
    write_ranks(tmp_path / "two.tiktoken", ranks)
    with pytest.raises(FormatError, match=r"one\.tiktoken, two\.tiktoken"):
        Tokenizer.from_file(tmp_path, pattern="gpt2")


WRONG = {
    "empty.tiktoken": b"",
    "no_rank.tiktoken": b"IQ==\n",
    "not_base64.tiktoken": b"!!! 0\n",
    "twice.tiktoken": b"IQ== 0\nIQ== 1\n",
    "huge.tiktoken": b"IQ== 99999999999999999999\n",
    "few.tiktoken": b"IQ== 0\n",
    "empty.model": b"",
    "long_field.model": b"\x0a\xff\xff\xff\xff\x7f",
    "no_pieces.model": b"\x12\x00",
    "vocab.txt": b"",
    "latin.txt": b"caf\xe9\n",
    "vocab.json": b"{}",
    "random.model": random.Random(3).randbytes(5000),
    "random.tiktoken": random.Random(3).randbytes(5000),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(WRONG[name])
    with pytest.raises(FormatError, match=name.replace(".", r"\.")):
        Tokenizer.from_file(tmp_path / name, pattern="gpt2" if name.endswith("tiktoken") else None)
