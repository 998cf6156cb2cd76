"""The same ids, text and files as `tokenizers`."""

import itertools
import json

import pytest
from tests.tokenizer.engines import loaded
from tests.tokenizer.hard_text import hard_texts, sentences
from tests.tokenizer.parity import assert_same

from lmfast import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.parity

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def trained_by_tokenizers(source, vocab_size, *, special=("<|endoftext|>",), min_frequency=2, pattern=None):
    steps = tokenizers.pre_tokenizers
    engine = tokenizers.Tokenizer(tokenizers.models.BPE())
    engine.decoder = tokenizers.decoders.ByteLevel()
    engine.pre_tokenizer = steps.ByteLevel(add_prefix_space=False)
    if pattern is not None:
        split = steps.Split(tokenizers.Regex(pattern), "isolated")
        engine.pre_tokenizer = steps.Sequence([split, steps.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special),
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=steps.ByteLevel.alphabet(),
    )
    if isinstance(source, list):
        engine.train_from_iterator(source, trainer)
    else:
        engine.train([str(source)], trainer)
    return engine


@pytest.mark.parametrize("pattern", [None, CL100K, r"\d|\p{Lu}\p{Ll}*", r"^\s+|\w+|x?"])
@pytest.mark.parametrize("min_frequency", [0, 3])
def test_bpe_training_gives_the_same_file(tmp_path, pattern, min_frequency):
    texts = sentences(400) + hard_texts(60)
    theirs = trained_by_tokenizers(texts, 700, min_frequency=min_frequency, pattern=pattern)
    ours = Tokenizer.train(texts, theirs.get_vocab_size(), pattern=pattern or "gpt2", min_frequency=min_frequency)
    ours.save(tmp_path / "ours.json")
    assert (tmp_path / "ours.json").read_text("utf-8") == theirs.to_str(pretty=True)
    assert_same(ours, theirs, hard_texts(300, seed=1))


def test_bpe_training_reads_files_by_line(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("".join(sentences(300)).replace(".\n", "  \r\n\n", 50).encode() + b"no end")
    special = ("<s>", "!", "<s>", "</s>")
    theirs = trained_by_tokenizers(path, 450, special=special)
    ours = Tokenizer.train(path, 450, special_tokens=special)
    ours.save(tmp_path / "ours.json")
    assert json.loads((tmp_path / "ours.json").read_text("utf-8"))["model"] == json.loads(theirs.to_str())["model"]


@pytest.mark.parametrize("kind", ["word", "char"])
def test_words_and_characters(tmp_path, kind):
    texts, special = sentences(300) + hard_texts(100), ["<unk>", "<eos>"]
    steps = tokenizers.pre_tokenizers
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="<unk>"))
    theirs.pre_tokenizer = (
        steps.WhitespaceSplit() if kind == "word" else steps.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    )
    if kind == "char":
        theirs.decoder = tokenizers.decoders.Fuse()
    trainer = tokenizers.trainers.WordLevelTrainer(
        vocab_size=150, min_frequency=2, special_tokens=special, show_progress=False
    )
    theirs.train_from_iterator(texts, trainer)
    ours = Tokenizer.train(texts, 150, kind=kind, special_tokens=special, min_frequency=2)
    ours.save(tmp_path / "ours.json")
    assert (tmp_path / "ours.json").read_text("utf-8") == theirs.to_str(pretty=True)
    assert_same(ours, theirs, texts)


@pytest.mark.parametrize("pattern", ["cl100k", "o200k", "llama3", "qwen2", "tekken"])
def test_named_patterns_are_read_alike(tmp_path, pattern):
    ours = Tokenizer.train(sentences(300), 450, pattern=pattern)
    ours.save(tmp_path / "ours.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json"))
    assert_same(ours, theirs, hard_texts(1500, seed=2))


DEEPSEEK = [
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]


@pytest.mark.parametrize(
    "splits",
    [[(pattern, "isolated", False) for pattern in DEEPSEEK], [(CL100K, "removed", True)], [(CL100K, "removed", False)]],
    ids=["DeepSeek V3", "Phi 4", "what lies between"],
)
def test_cutters_of_models(splits):
    steps, texts = tokenizers.pre_tokenizers, sentences(300) + hard_texts(1500, seed=3)
    texts += ["".join(pair) for pair in itertools.pairwise(texts)]
    texts += [f"{text}\u3042\u30fb{text}7\0" for text in texts[::5]]
    engine = trained_by_tokenizers(texts[:400], 600)
    cutters = [steps.Split(tokenizers.Regex(pattern), behavior, invert) for pattern, behavior, invert in splits]
    engine.pre_tokenizer = steps.Sequence([*cutters, steps.ByteLevel(add_prefix_space=False, use_regex=False)])
    assert_same(loaded(engine.to_str()), engine, texts)


def steps_around(engine):
    template = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    byte_level = tokenizers.processors.ByteLevel(trim_offsets=False)
    roberta = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    prefix = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    added = tokenizers.AddedToken
    yield "template", {"post_processor": template}, []
    yield "sequence", {"post_processor": tokenizers.processors.Sequence([byte_level, template])}, []
    yield "roberta", {"post_processor": roberta, "pre_tokenizer": prefix}, [added("<mask>", lstrip=True, special=True)]
    yield (
        "nfc",
        {"normalizer": tokenizers.normalizers.NFC()},
        [added("é", normalized=True), added("o\u0308", normalized=False)],
    )
    yield (
        "flags",
        {},
        [
            added("re", single_word=True, normalized=False),
            added(" ab", normalized=True),
            added("\n", rstrip=True, lstrip=True, normalized=False),
            added("<|end", normalized=False),
            added("é", special=True),
        ],
    )
    yield "uncut", {"pre_tokenizer": tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)}, []


@pytest.mark.parametrize("number", range(6))
def test_the_steps_around_the_model(tmp_path, number):
    engine = trained_by_tokenizers(sentences(300), 500, special=("<|endoftext|>", "<s>", "</s>"))
    name, steps, added = list(steps_around(engine))[number]
    for step, value in steps.items():
        setattr(engine, step, value)
    engine.add_tokens(added)
    engine.save(str(tmp_path / f"{name}.json"))
    ours = Tokenizer.from_file(tmp_path / f"{name}.json")
    ours.save(tmp_path / "saved.json")
    assert (tmp_path / "saved.json").read_text("utf-8") == (tmp_path / f"{name}.json").read_text("utf-8")
    assert_same(ours, engine, [*hard_texts(1000, seed=4), " re-use <mask>  re\n\n é ab", "re", "<s>re</s>"])


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen3"])
def test_real_vocabularies(data_folder, tmp_path, name):
    path = data_folder / "vocabs" / f"{name}.tokenizer.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    ours, theirs = Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))
    assert ours.vocab() == theirs.get_vocab(with_added_tokens=True)
    ours.save(tmp_path / "saved.json")
    assert tokenizers.Tokenizer.from_file(str(tmp_path / "saved.json")).to_str() == theirs.to_str()
    text = (data_folder / "corpora" / "wikitext2" / "valid.txt").read_text("utf-8")[:300_000]
    assert_same(ours, theirs, [*hard_texts(1000, seed=5), text, "a" * 20_000])
