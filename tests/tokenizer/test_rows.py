"""Rows of texts and pairs: ids, masks, types and places as in the Encoding of `tokenizers`."""

import itertools
import time

import pytest
from tests.tokenizer.engines import loaded
from tests.tokenizer.hard_text import hard_texts, sentences

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.parity

cut, post = tokenizers.pre_tokenizers, tokenizers.processors
Added = tokenizers.AddedToken


def byte_level(**steps):
    """A byte-level vocabulary, with specials that templates use."""
    engine = tokenizers.Tokenizer(tokenizers.models.BPE())
    engine.pre_tokenizer = cut.ByteLevel(add_prefix_space=steps.pop("add_prefix_space", False))
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<pad>", "<mask>"],
        show_progress=False,
        initial_alphabet=cut.ByteLevel.alphabet(),
    )
    engine.train_from_iterator(sentences(200), trainer)
    for name, step in steps.items():
        setattr(engine, name, step)
    engine.add_tokens([Added("  é", lstrip=True), Added("ab", rstrip=True, normalized=False)])
    return engine


TEMPLATE = {
    "single": "<s> $A </s>",
    "pair": "<s>:4 $B:3 </s>:1 $A:2 </s>:5",
    "special_tokens": [("<s>", 0), ("</s>", 1)],
}
POST_PROCESSORS = {
    "none": lambda: None,
    "bert": lambda: post.BertProcessing(("</s>", 1), ("<s>", 0)),
    "roberta": lambda: post.RobertaProcessing(("</s>", 1), ("<s>", 0)),
    "roberta untrimmed": lambda: post.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False),
    "roberta without prefix": lambda: post.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=False),
    "byte level": lambda: post.ByteLevel(trim_offsets=True),
    "byte level untrimmed": lambda: post.ByteLevel(trim_offsets=False),
    "template": lambda: post.TemplateProcessing(**TEMPLATE),
    "trim, then template": lambda: post.Sequence(
        [post.ByteLevel(trim_offsets=True), post.TemplateProcessing(**TEMPLATE)]
    ),
    "template, then trim": lambda: post.Sequence(
        [post.TemplateProcessing(**TEMPLATE), post.ByteLevel(trim_offsets=True)]
    ),
    "trim twice": lambda: post.Sequence(
        [post.ByteLevel(trim_offsets=True), post.RobertaProcessing(("</s>", 1), ("<s>", 0))]
    ),
}


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("name", POST_PROCESSORS)
def test_post_processors(name, prefix):
    steps = {} if POST_PROCESSORS[name]() is None else {"post_processor": POST_PROCESSORS[name]()}
    engine = byte_level(add_prefix_space=prefix, **steps)
    file = engine.to_str(pretty=True)
    ours = loaded(file)
    assert ours._core.state().decode() == file
    engine.enable_padding(pad_id=2, pad_token="<pad>")
    texts = [*hard_texts(80, seed=8), "  two  spaces ", " é ab  x<mask>  ab"]
    pairs = texts[::-1]
    for special in (True, False):
        for second in (None, pairs):
            inputs = texts if second is None else list(zip(texts, pairs, strict=True))
            compare_rows(
                ours(texts, second, padding=True, return_offsets=True, add_special_tokens=special),
                engine.encode_batch(inputs, add_special_tokens=special),
            )


def compare_rows(found, rows):
    for key, name in (
        ("input_ids", "ids"),
        ("attention_mask", "attention_mask"),
        ("token_type_ids", "type_ids"),
        ("offsets", "offsets"),
    ):
        assert found[key].dtype == "int64"
        for own, row in zip(found[key].tolist(), rows, strict=True):
            theirs = [list(item) if isinstance(item, tuple) else item for item in getattr(row, name)]
            assert own == theirs, (key, row.tokens)


@pytest.mark.parametrize("direction", ["left", "right"])
@pytest.mark.parametrize("max_length", [4, 5, 9, 40])
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
def test_truncation_and_padding(strategy, max_length, direction):
    engine = byte_level(post_processor=post.TemplateProcessing(**TEMPLATE))
    engine.enable_truncation(max_length, strategy=strategy, direction=direction)
    engine.enable_padding(direction=direction, pad_id=2, pad_token="<pad>", length=max_length)
    file = engine.to_str(pretty=True)
    ours = loaded(file)
    assert ours._core.state().decode() == file
    texts = [text for text in hard_texts(120, seed=9) if len(text) < 50]
    checked = 0
    for text, pair in [*((text, None) for text in texts), *itertools.pairwise(texts)]:
        inputs = (text,) if pair is None else (text, pair)
        call = {"max_length": max_length, "truncation": strategy, "padding": "max_length", "return_offsets": True}
        second = None if pair is None else [pair]
        try:
            row = engine.encode(*inputs)
        except Exception:  # their error has no type of its own
            with pytest.raises(ValueError, match="truncation="):
                ours([text], second, **call)
            continue
        if strategy == "only_second" and pair is None:
            continue  # an error here, and none there as long as the text is short
        compare_rows(ours([text], second, **call), [row])
        checked += 1
    assert checked > 20 or (strategy != "longest_first" and max_length < 10)


def test_a_long_text_is_not_encoded_whole():
    engine = byte_level()
    ours, text = loaded(engine.to_str()), "some words and more of them. " * 200_000
    start = time.perf_counter()
    row = ours([text], max_length=16, truncation=True)
    early = time.perf_counter() - start
    start = time.perf_counter()
    whole = ours.encode(text)
    assert row["input_ids"][0].tolist() == whole[:16]
    assert early < (time.perf_counter() - start) / 2


def test_wrong_calls():
    ours = loaded(byte_level(post_processor=post.TemplateProcessing(**TEMPLATE)).to_str())
    texts = ["a", "a b c"]
    for arguments, options, message in [
        ((texts,), {}, "padding=True"),
        ((texts,), {"truncation": "nonsense", "max_length": 4}, "truncation='nonsense'|truncation=\"nonsense\""),
        ((texts,), {"truncation": True}, "max_length"),
        ((texts,), {"max_length": 7, "padding": True}, "max_length=7"),
        ((texts,), {"padding": "max_length"}, "max_length"),
        ((texts,), {"padding": "max_length", "max_length": 3}, "truncation=True"),
        ((texts,), {"padding": "sideways"}, "padding"),
        ((texts,), {"return_offsets": "lines", "padding": True}, "return_offsets"),
        ((texts,), {"truncation": "only_second", "max_length": 9}, "text_pairs"),
        ((texts, ["b"]), {"padding": True}, "text_pairs has 1"),
        ((texts,), {"truncation": True, "max_length": 1}, "max_length=1"),
        ((texts,), {"max_length": -1}, "max_length=-1"),
    ]:
        with pytest.raises(ValueError, match=message):
            ours(*arguments, **options)
    with pytest.raises(TypeError, match="one str"):
        ours("text")
    empty = ours([], padding=True, return_offsets=True)
    assert (empty["input_ids"].shape, empty["offsets"].shape) == ((0, 0), (0, 0, 2))
    assert ours(["a é b"], return_offsets="bytes")["offsets"][0, 1:-1].tolist()[-1][1] == 6


def test_padding_needs_a_token():
    engine = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    engine.pre_tokenizer = cut.WhitespaceSplit()
    ours = loaded(engine.to_str())
    assert ours(["a", "b"], padding=True)["input_ids"].tolist() == [[0], [1]]
    with pytest.raises(ValueError, match=r"padding.*\[PAD\]"):
        ours(["a b", "a"], padding=True)
    engine.enable_padding(pad_id=1)
    assert loaded(engine.to_str())(["a b", "a"], padding=True)["input_ids"].tolist() == [[0, 1], [0, 1]]
