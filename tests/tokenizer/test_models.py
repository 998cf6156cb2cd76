"""WordPiece, Unigram and BPE on characters: the same ids, text and files as `tokenizers`."""

import json
import random

import pytest
from tests.tokenizer.hard_text import hard_texts, sentences
from tests.tokenizer.parity import assert_same

from lmfast import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.parity

BERT_SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]


def assert_file_is_kept(theirs, tmp_path):
    """What `tokenizers` writes is read, encodes alike, and is written back byte for byte."""
    path, again = tmp_path / "theirs.json", tmp_path / "again.json"
    theirs.save(str(path))
    ours = Tokenizer.from_file(path)
    ours.save(again)
    assert again.read_text("utf-8") == path.read_text("utf-8")
    return ours


def trained(model, trainer, texts, *, normalizer=None, pre_tokenizer=None, decoder=None):
    engine = tokenizers.Tokenizer(model)
    if normalizer is not None:
        engine.normalizer = normalizer
    if pre_tokenizer is not None:
        engine.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        engine.decoder = decoder
    engine.train_from_iterator(texts, trainer)
    return engine


@pytest.fixture(scope="module")
def word_piece():
    models, trainers = tokenizers.models, tokenizers.trainers
    return trained(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=600, special_tokens=BERT_SPECIAL, show_progress=False),
        sentences(300) + hard_texts(50),
        normalizer=tokenizers.normalizers.BertNormalizer(),
        pre_tokenizer=tokenizers.pre_tokenizers.BertPreTokenizer(),
        decoder=tokenizers.decoders.WordPiece(),
    )


def test_word_piece(word_piece, tmp_path):
    ours = assert_file_is_kept(word_piece, tmp_path)
    assert_same(ours, word_piece, hard_texts(500, seed=1) + sentences(200, seed=2))


@pytest.mark.parametrize("change", [{"max_input_chars_per_word": 4}, {"continuing_subword_prefix": ""}])
def test_word_piece_settings(word_piece, tmp_path, change):
    content = json.loads(word_piece.to_str())
    content["model"] |= change
    theirs = tokenizers.Tokenizer.from_str(json.dumps(content))
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, hard_texts(300, seed=3))


def test_word_piece_goes_fast_and_slow_to_the_same_ids(word_piece, tmp_path):
    """The fast way for ASCII, at every place of its window, beside a character of another kind."""
    ours = assert_file_is_kept(word_piece, tmp_path)
    generator = random.Random(4)
    words = [
        "the",
        "Cat",
        "is",
        "1984",
        "it's",
        "e-mail",
        "x" * 17,
        "x" * 70,
        "naïve",
        "中文",
        "a\x00b",
        "\x0b",
        "[SEP]",
        "~",
    ]
    texts = [" " * pad + " ".join(generator.choices(words, k=40)) for pad in range(70)]
    assert_same(ours, word_piece, texts)


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("cut", [False, True])
def test_unigram(tmp_path, byte_fallback, cut):
    split = tokenizers.pre_tokenizers.Metaspace() if cut else None
    theirs = trained(
        tokenizers.models.Unigram(),
        tokenizers.trainers.UnigramTrainer(
            vocab_size=500, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False
        ),
        sentences(300) + hard_texts(30),
        pre_tokenizer=split or tokenizers.pre_tokenizers.Whitespace(),
        decoder=tokenizers.decoders.Metaspace(),
    )
    content = json.loads(theirs.to_str())
    if byte_fallback:
        content["model"]["vocab"] += [[f"<0x{byte:02X}>", -9.5] for byte in range(256)]
        content["model"]["byte_fallback"] = True
    if not cut:
        content["pre_tokenizer"] = None
    theirs = tokenizers.Tokenizer.from_str(json.dumps(content))
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, hard_texts(400, seed=5) + sentences(60, seed=6))


def characters(settings, *, size=400, texts=None):
    """BPE as Llama 2 has it: spaces become U+2581, nothing is cut, what is unknown becomes its bytes."""
    normalizers, decoders = tokenizers.normalizers, tokenizers.decoders
    theirs = trained(
        tokenizers.models.BPE(**{"unk_token": "<unk>", **settings}),
        tokenizers.trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False, max_token_length=12
        ),
        texts or sentences(300),
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        ),
    )
    content = json.loads(theirs.to_str())
    if settings.get("byte_fallback"):
        vocabulary = content["model"]["vocab"]
        for byte in range(256):
            vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    return content


def without_crossing(content):
    """Takes out the merges that join words, as files trained by SentencePiece have none."""
    crossing = [token for token in content["model"]["vocab"] if "▁" in token.lstrip("▁")]
    vocabulary = [token for token in content["model"]["vocab"] if token not in crossing]
    content["model"]["vocab"] = {token: id for id, token in enumerate(vocabulary)}
    merges = content["model"]["merges"]
    content["model"]["merges"] = [pair for pair in merges if "".join(pair) in content["model"]["vocab"]]
    content["model"]["merges"] = [
        pair for pair in content["model"]["merges"] if all(part in content["model"]["vocab"] for part in pair)
    ]
    return content


@pytest.mark.parametrize("fuse_unk", [False, True])
@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("crossing", [False, True])
def test_characters(tmp_path, fuse_unk, byte_fallback, crossing):
    content = characters({"fuse_unk": fuse_unk, "byte_fallback": byte_fallback})
    theirs = tokenizers.Tokenizer.from_str(json.dumps(content if crossing else without_crossing(content)))
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, hard_texts(400, seed=7) + sentences(100, seed=8))


def test_characters_with_affixes(tmp_path):
    settings = {"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>"}
    theirs = trained(
        tokenizers.models.BPE(unk_token="<unk>", **settings),
        tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], show_progress=False, **settings),
        sentences(300),
        pre_tokenizer=tokenizers.pre_tokenizers.Whitespace(),
    )
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, hard_texts(300, seed=9) + sentences(60, seed=10))


def test_affixes_behind_the_byte_alphabet(tmp_path):
    """CLIP has a suffix on byte-level tokens."""
    theirs = trained(
        tokenizers.models.BPE(end_of_word_suffix="</w>"),
        tokenizers.trainers.BpeTrainer(
            vocab_size=600,
            show_progress=False,
            end_of_word_suffix="</w>",
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        ),
        sentences(300),
        pre_tokenizer=tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=tokenizers.decoders.ByteLevel(),
    )
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, hard_texts(200, seed=11) + sentences(60, seed=12))


def test_whole_pieces_come_before_merges(tmp_path):
    content = characters({})
    content["normalizer"] = None
    content["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    content["model"]["ignore_merges"] = True
    content["model"]["vocab"]["unmerged"] = len(content["model"]["vocab"])
    theirs = tokenizers.Tokenizer.from_str(json.dumps(content))
    assert_same(assert_file_is_kept(theirs, tmp_path), theirs, ["unmerged un merged unmerged", *sentences(50)])


def test_a_long_text_without_spaces_takes_no_time(tmp_path):
    content = without_crossing(characters({"byte_fallback": True}))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    ours = Tokenizer.from_file(tmp_path)
    for text in ("a" * 300_000, "ab" * 100_000, "\u4e2d" * 100_000):
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.parametrize("name", ["bert-uncased-minilm", "llama2"])
def test_real_vocabularies(data_folder, tmp_path, name):
    path = data_folder / "vocabs" / f"{name}.tokenizer.json"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    theirs = tokenizers.Tokenizer.from_file(str(path))
    theirs.no_truncation()
    theirs.no_padding()
    assert_same(Tokenizer.from_file(path), theirs, hard_texts(300, seed=13) + sentences(100, seed=14))
