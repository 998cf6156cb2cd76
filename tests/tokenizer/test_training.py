"""Training: the same vocabularies as other trainers', and what every option does."""

import json
import unicodedata

import pytest
from tests.tokenizer.hard_text import hard_texts, sentences

from lmfast import Tokenizer

# Small texts support few tokens, which is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:vocab_size=")

KINDS = ["bpe", "wordpiece", "unigram", "word", "char"]
TEXTS = sentences(500) + hard_texts(40)


def saved(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "trained.json")
    return (tmp_path / "trained.json").read_text("utf-8")


def vocab_size(kind):
    characters = len({letter for text in TEXTS for letter in unicodedata.normalize("NFC", text)})
    return {"bpe": 600, "word": 300, "char": 400}.get(kind, 2 * characters + 400)


@pytest.mark.parametrize("kind", KINDS)
def test_the_threads_do_not_matter(kind, tmp_path):
    files = {
        saved(Tokenizer.train(TEXTS, vocab_size(kind), kind=kind, threads=threads), tmp_path) for threads in (1, 3)
    }
    assert len(files) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_its_lines(kind, tmp_path):
    texts = [text for text in sentences(300) if text.strip()]
    (tmp_path / "text.txt").write_bytes("".join(texts).encode())
    lines = Tokenizer.train(texts, 500, kind=kind, min_frequency=1)
    assert saved(Tokenizer.train(tmp_path / "text.txt", 500, kind=kind, min_frequency=1), tmp_path) == saved(
        lines, tmp_path
    )


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_text_comes_back(kind):
    tokenizer = Tokenizer.train(sentences(300), 500, kind=kind, min_frequency=1)
    special = list(tokenizer.special_tokens.values())
    assert special == list(range(len(special)))
    text = "".join(sentences(3)).split("\n")[0].split(".")[0]
    decoded = tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True)
    assert decoded.replace("é", "e") == text.replace("é", "e")


def trained_by_tokenizers(kind, texts, size, like=None, **options):
    tokenizers = pytest.importorskip("tokenizers")
    steps = tokenizers.pre_tokenizers
    names = {"bpe": "BPE", "wordpiece": "WordPiece", "unigram": "Unigram"}
    unknown = {"unk_token": "[UNK]"} if kind == "wordpiece" else {}
    engine = tokenizers.Tokenizer(getattr(tokenizers.models, names[kind])(**unknown))
    if like is None:
        engine.pre_tokenizer = steps.ByteLevel(add_prefix_space=False)
        options["initial_alphabet"] = steps.ByteLevel.alphabet()
    else:
        engine.pre_tokenizer = like.pre_tokenizer
        if like.normalizer:
            engine.normalizer = like.normalizer
    trainer = getattr(tokenizers.trainers, {"bpe": "Bpe"}.get(kind, names[kind]) + "Trainer")
    engine.train_from_iterator(texts, trainer(vocab_size=size, show_progress=False, **options))
    return engine


def read_by_tokenizers(tokenizer, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    saved(tokenizer, tmp_path)
    return tokenizers.Tokenizer.from_file(str(tmp_path / "trained.json"))


@pytest.mark.parity
@pytest.mark.parametrize("length", [2, 3, 6])
def test_max_token_length_is_that_of_tokenizers(length):
    theirs = trained_by_tokenizers("bpe", TEXTS, 600, max_token_length=length, min_frequency=2)
    ours = Tokenizer.train(TEXTS, theirs.get_vocab_size(), max_token_length=length, special_tokens=(), min_frequency=2)
    assert ours.vocab() == theirs.get_vocab()


@pytest.mark.parity
def test_wordpiece_covers_text_as_that_of_tokenizers(tmp_path):
    special = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    ours = Tokenizer.train(TEXTS, 700, kind="wordpiece", special_tokens=special)
    engine = read_by_tokenizers(ours, tmp_path)
    theirs = trained_by_tokenizers("wordpiece", TEXTS, 700, engine, special_tokens=list(special), min_frequency=2)
    texts = sentences(200, seed=9) + TEXTS
    for added in (True, False):
        expected = [row.ids for row in engine.encode_batch(texts, add_special_tokens=added)]
        assert ours.encode_batch(texts, add_special_tokens=added) == expected
    sizes = [
        sum(len(row.ids) for row in tool.encode_batch(texts, add_special_tokens=False)) for tool in (engine, theirs)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert ours.encode("a")[:1] + ours.encode("a")[-1:] == [1, 2]


@pytest.mark.parity
@pytest.mark.parametrize("byte_fallback", [False, True])
def test_unigram_covers_text_as_that_of_tokenizers(tmp_path, byte_fallback):
    texts = sentences(2000)
    size = 700 + 256 * byte_fallback
    ours = Tokenizer.train(texts, size, kind="unigram", special_tokens=("<unk>",), byte_fallback=byte_fallback)
    engine = read_by_tokenizers(ours, tmp_path)
    theirs = trained_by_tokenizers("unigram", texts, 700, engine, special_tokens=["<unk>"], unk_token="<unk>")
    held_out = sentences(300, seed=9)
    assert ours.encode_batch(held_out) == [row.ids for row in engine.encode_batch(held_out)]
    sizes = [sum(len(row.ids) for row in tool.encode_batch(held_out)) for tool in (engine, theirs)]
    assert sizes[0] <= 1.01 * sizes[1]
    if byte_fallback:
        assert ours.decode(ours.encode("a \u4e2d b")) == "a \u4e2d b"


@pytest.mark.parity
def test_tie_order_bytes_is_that_of_rustbpe(tmp_path):
    rustbpe = pytest.importorskip("rustbpe")
    pattern = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+"
    theirs = rustbpe.Tokenizer()
    theirs.train_from_iterator(iter(TEXTS), 500, pattern=pattern)
    ours = Tokenizer.train(TEXTS, 500, tie_order="bytes", pattern=pattern, special_tokens=(), min_frequency=0)
    expected = [bytes(token) for token, _ in sorted(theirs.get_mergeable_ranks(), key=lambda entry: entry[1])]
    assert [ours.decode_bytes([id]) for id in range(ours.vocab_size)] == expected


@pytest.mark.parametrize("pattern", [None, "cl100k"])
def test_continue_from_goes_on_where_training_stopped(tmp_path, pattern):
    whole = Tokenizer.train(TEXTS, 700, pattern=pattern)
    begun = Tokenizer.train(TEXTS, 450, pattern=pattern)
    assert saved(Tokenizer.train(TEXTS, 700, continue_from=begun), tmp_path) == saved(whole, tmp_path)
    other = Tokenizer.train(sentences(300, seed=8), 600, continue_from=begun, special_tokens=("<new>",))
    assert other.token_to_id("<new>") == 450
    assert {**begun.special_tokens, "<new>": 450} == other.special_tokens
    assert list(other.vocab())[:450] == list(begun.vocab())
    merges = [json.loads(saved(tokenizer, tmp_path))["model"]["merges"] for tokenizer in (begun, other)]
    assert merges[1][: len(merges[0])] == merges[0]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_a_text_that_supports_fewer_tokens_is_told(kind):
    with pytest.warns(UserWarning, match="vocab_size=5000: the text supports"):
        assert Tokenizer.train(sentences(20), 5000, kind=kind).vocab_size < 5000


def test_alphabets_of_wordpiece():
    texts = ["aaa bb c", "aa b"] * 3
    limited = Tokenizer.train(texts, 40, kind="wordpiece", limit_alphabet=2)
    assert {token for token in limited.vocab() if len(token) == 1} == {"a", "b"}
    assert limited.encode("c", add_special_tokens=False) == [limited.token_to_id("[UNK]")]
    wider = Tokenizer.train(texts, 40, kind="wordpiece", initial_alphabet="xyé")
    assert {token for token in wider.vocab() if len(token) == 1} == set("abcxyé")
    cased = Tokenizer.train(["Aa"] * 3, 40, kind="wordpiece", lowercase=False)
    assert cased.encode("Aa", add_special_tokens=False) != cased.encode("aa", add_special_tokens=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "unigram", "pattern": "gpt2"}, "pattern"),
        ({"kind": "wordpiece", "tie_order": "bytes"}, "tie_order"),
        ({"tie_order": "upwards"}, "tie_order='?\"?upwards"),
        ({"limit_alphabet": 5}, "limit_alphabet"),
        ({"kind": "wordpiece", "limit_alphabet": 0}, "limit_alphabet=0"),
        ({"initial_alphabet": ["a"]}, "initial_alphabet"),
        ({"kind": "wordpiece", "initial_alphabet": ["ab"]}, "initial_alphabet.*'ab'"),
        ({"kind": "word", "max_token_length": 5}, "max_token_length"),
        ({"max_token_length": 0}, "max_token_length=0"),
        ({"kind": "char", "lowercase": True}, "lowercase"),
        ({"byte_fallback": True}, "byte_fallback"),
        ({"kind": "unigram", "vocab_size": 8}, "vocab_size.*characters"),
        ({"kind": "unigram", "vocab_size": 2**21}, "vocab_size=2097152"),
        ({"kind": "nonsense"}, "kind='nonsense'"),
    ],
)
def test_settings_that_cannot_be_used_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.train(["some text to train on"], **{"vocab_size": 400, **options})


def test_what_cannot_be_continued_is_named():
    begun = Tokenizer.train(TEXTS, 400)
    for options, message in [
        ({"vocab_size": 399}, "vocab_size=399: at least 400"),
        ({"pattern": "gpt2"}, "pattern"),
        ({"tie_order": "bytes"}, "tie_order"),
        ({"kind": "word"}, "continue_from"),
    ]:
        with pytest.raises(ValueError, match=message):
            Tokenizer.train(TEXTS, **{"vocab_size": 500, "continue_from": begun, **options})
    words = Tokenizer.train(TEXTS, 100, kind="word")
    with pytest.raises(ValueError, match=r"continue_from.*byte-level"):
        Tokenizer.train(TEXTS, 500, continue_from=words)
