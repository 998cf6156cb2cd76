"""Writes small files of every kind into `fuzz/corpus`, for the targets to begin with: `python fuzz/seeds.py`."""

from __future__ import annotations

import base64
import itertools
import json
import struct
from pathlib import Path

from lmfast import NgramModel, Tokenizer

CORPUS = Path(__file__).parent / "corpus"
TEXT = ["Hello world, it's 123 \u4e2d\u6587 w\u00f6rld!\n", "the cat and the hat \u2581 e\u0301\n"] * 20

NORMALIZERS = [
    None,
    {"type": "NFKC"},
    {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        ],
    },
    {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "},
]
PRE_TOKENIZERS = [
    None,
    {"type": "Whitespace"},
    {"type": "BertPreTokenizer"},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "Punctuation", "behavior": "Isolated"},
        ],
    },
    {"type": "Split", "pattern": {"Regex": "\\w+|x*"}, "behavior": "MergedWithNext", "invert": True},
    {"type": "UnicodeScripts"},
    {"type": "FixedLength", "length": 3},
]


def write(target: str, name: str, data: bytes) -> None:
    """Writes a seed of a target."""
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def field(number: int, data: bytes) -> bytes:
    """A field of bytes of a Protocol Buffers message, shorter than 16 KiB."""
    length = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + length + data


def main() -> None:
    """Writes all seeds."""
    for kind in ("bpe", "wordpiece", "unigram", "word", "char"):
        special = () if kind == "bpe" else ("<unk>", "<s>")
        tokenizer = Tokenizer.train(
            TEXT, 280 if kind == "bpe" else 40, kind=kind, special_tokens=special, min_frequency=1
        )
        path = CORPUS / "trained.json"
        path.parent.mkdir(exist_ok=True)
        tokenizer.save(path)
        file = json.loads(path.read_text("utf-8"))
        path.unlink()
        write("tokenizer_json", kind, json.dumps(file).encode())
        for number, steps in enumerate(itertools.zip_longest(NORMALIZERS, PRE_TOKENIZERS)):
            changed = {**file, "normalizer": steps[0], "pre_tokenizer": steps[1]}
            write("tokenizer_json", f"{kind}-{number}", json.dumps(changed).encode())
        if kind == "bpe":
            vocabulary, merges = json.dumps(file["model"]["vocab"]), file["model"]["merges"]
            lines = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
            write("vocab_json", "bpe", vocabulary.encode() + b"\0" + lines.encode())
    ranks = [bytes([byte]) for byte in range(256)] + [b"th", b"the", b" the", b"\n\n"]
    write("tiktoken", "ranks", b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(ranks)))
    write("vocab_txt", "list", b'[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##ld\nw\n1\n\0{"do_lower_case": false}')
    for algorithm, bytes_too in itertools.product((1, 2), (False, True)):
        pieces = [
            ("<unk>", 2),
            ("<s>", 3),
            ("</s>", 3),
            ("\u2581the", 1),
            ("\u2581", 1),
            ("e", 1),
            ("l", 1),
            ("lo", 1),
            ("\u4e2d", 4),
        ]
        pieces += [(f"<0x{byte:02X}>", 6) for byte in range(256)] if bytes_too else []
        message = b""
        for number, (piece, kind) in enumerate(pieces):
            score = struct.pack("<f", -number / 8)
            message += field(1, field(1, piece.encode()) + b"\x15" + score + bytes([0x18, kind]))
        message += field(2, bytes([0x18, algorithm, 0x98, 2, bytes_too]))
        write("sentencepiece", f"{algorithm}-{bytes_too}", message)
    for order in (1, 2, 4):
        model = NgramModel.train(["a b c a b", "a c <unk>", ""], order, discount_fallback=(0.5, 1, 1.5))
        for target in ("arpa", "lmn"):
            path = CORPUS / target / f"order{order}.{target}"
            path.parent.mkdir(exist_ok=True)
            model.save(path)
    for number in range(28):
        write("decode", str(number), bytes([number, *range(34), 10, 11, 12, 24, 25, 14, 15]))


if __name__ == "__main__":
    main()
