"""Each decoder makes of ids what it makes of them in `tokenizers`, at once and as they come."""

import random

import pytest
from tests.tokenizer.engines import loaded

tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.parity

back = tokenizers.decoders
Regex = tokenizers.Regex

TOKENS = [
    "He", "llo", "▁wor", "▁", "▁▁", "ld</w>", "</w>", "a</w>b</w>", "##ing", "##", "x##", "<0xE2>", "<0x82>", "<0xAC>",
    "<0x41>", "<0xC3>", "<0xF0>", "<0xzz>", "<0x+1>", "<pad>", "a<pad>", "|", "|a", ".", ",", "?", "'", "n't", "do",
    "not", "do not", "'s", "é", "Ġx", "ĠĊ", "Ã", "©", "â", "Ģ", "", " ", "  ", " H", "H ", "HH", "中", "�",
]  # fmt: skip

DECODERS = {
    "none": lambda: None,
    "byte level": lambda: back.ByteLevel(),
    "wordpiece": lambda: back.WordPiece(),
    "wordpiece plain": lambda: back.WordPiece(prefix="x", cleanup=False),
    "metaspace": lambda: back.Metaspace(),
    "metaspace never": lambda: back.Metaspace(prepend_scheme="never"),
    "bpe": lambda: back.BPEDecoder(),
    "bpe empty": lambda: back.BPEDecoder(suffix=""),
    "ctc": lambda: back.CTC(),
    "ctc plain": lambda: back.CTC(cleanup=False, word_delimiter_token="a"),
    "replace": lambda: back.Replace("▁", " "),
    "replace pattern": lambda: back.Replace(Regex(r"l+|$"), "L"),
    "fuse": lambda: back.Fuse(),
    "strip": lambda: back.Strip("H", 1, 0),
    "byte fallback": lambda: back.ByteFallback(),
    "llama": lambda: back.Sequence([back.Replace("▁", " "), back.ByteFallback(), back.Fuse(), back.Strip(" ", 1, 0)]),
    "strip both": lambda: back.Sequence([back.Replace("", "h"), back.Fuse(), back.Strip("h", 2, 3)]),
    "fused": lambda: back.Sequence([back.Fuse(), back.Replace("lo", "0"), back.WordPiece()]),
    "bytes and more": lambda: back.Sequence([back.ByteLevel(), back.Strip("é", 1, 0), back.Replace("中", "c")]),
    "fallback and bytes": lambda: back.Sequence([back.ByteFallback(), back.ByteLevel()]),
    "fallback and more": lambda: back.Sequence([back.ByteFallback(), back.Metaspace(), back.CTC()]),
    "words of words": lambda: back.Sequence([back.CTC(), back.WordPiece(), back.BPEDecoder(), back.Metaspace()]),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders(name):
    vocabulary = {token: id for id, token in enumerate(TOKENS)}
    engine = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({**vocabulary, "[UNK]": len(vocabulary)}, unk_token="[UNK]")
    )
    engine.add_special_tokens(["[UNK]"])
    if DECODERS[name]() is not None:
        engine.decoder = DECODERS[name]()
    file = engine.to_str(pretty=True)
    ours, generator = loaded(file), random.Random(5)
    assert ours._core.state().decode() == file
    for _ in range(1500):
        chosen = generator.choice([range(len(TOKENS) + 1), range(11, 17), range(32, 38)])
        ids = generator.choices(chosen, k=generator.randrange(0, 9))
        if name.startswith("bpe") and not ids:
            continue  # tokenizers panics
        for skip in (False, True):
            try:
                expected = engine.decode(ids, skip_special_tokens=skip) if ids else ""
            except BaseException:  # a panic, where Strip would take more than there is
                assert name == "strip both"
                continue
            what = [TOKENS[id] if id < len(TOKENS) else "[UNK]" for id in ids]
            assert ours.decode(ids, skip_special_tokens=skip) == expected, what
            stream = ours.decoder(skip_special_tokens=skip)
            parts = [*map(stream.push, ids), stream.finish()]
            assert "".join(parts) == expected, (what, parts)


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("wordpiece", 0),
        ("metaspace", 0),
        ("replace", 0),
        ("fuse", 0),
        ("strip", 0),
        ("ctc", 0),
        ("llama", 0),
        ("none", 0),
        ("bpe", 1),
    ],
)
def test_streams_hold_back_only_what_may_change(name, held):
    vocabulary = {"▁a": 0, "b</w>": 1, "##c": 2, "[UNK]": 3}
    engine = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    if DECODERS[name]() is not None:
        engine.decoder = DECODERS[name]()
    stream = loaded(engine.to_str()).decoder()
    ids = [0, 1, 2] * 20
    pushed = "".join(map(stream.push, ids))
    rest = stream.finish()
    assert pushed + rest == engine.decode(ids)
    assert bool(rest) <= bool(held)
