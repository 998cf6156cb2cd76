"""Tokenizers by `tokenizers`, and what both packages read."""

import base64
import json
import struct

from lmfast import Tokenizer


def loaded(file):
    """The tokenizer of the text of a tokenizer.json."""
    return Tokenizer._from_state(file.encode())


def charsmap():
    """A table that replaces "a" by "bc", "é" by "e", and takes "x" away, in the format of SentencePiece."""
    replacements, values = b"", {}
    for text in (b"bc", b"e", b""):
        values[text] = len(replacements)
        replacements += text + b"\0"
    units = [0] * 2048
    used = {0}

    def place(node, children):
        """Puts the children of a node, label -> (value or None, children), where there is room for them."""
        labels = sorted(children)
        base = next(
            base
            for base in range(256, 2048, 256)
            if not any((base ^ label) in used for label in labels) and base not in used
        )
        units[node] |= (base ^ node) << 10
        used.add(base)
        for label in labels:
            used.add(base ^ label)
            units[base ^ label] = label
        for label in labels:
            child, (value, below) = base ^ label, children[label]
            if value is None:
                place(child, below)
            else:
                leaf = next(at for at in range(512, 2048) if at not in used and (at ^ child) < 1 << 21)
                used.add(leaf)
                units[child] |= 1 << 8 | (leaf ^ child) << 10
                units[leaf] = 1 << 31 | value

    place(
        0,
        {
            ord("a"): (values[b"bc"], {}),
            ord("x"): (values[b""], {}),
            0xC3: (None, {0xA9: (values[b"e"], {})}),
        },
    )
    array = struct.pack("<2048I", *units)
    return base64.b64encode(struct.pack("<I", len(array)) + array + replacements).decode()


def precompiled(tokenizers):
    # What Python cannot make is read from the text of a file.
    text = json.dumps({"type": "Precompiled", "precompiled_charsmap": charsmap()})
    engine = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    content = json.loads(engine.to_str())
    content["normalizer"] = json.loads(text)
    return tokenizers.Tokenizer.from_str(json.dumps(content)).normalizer
