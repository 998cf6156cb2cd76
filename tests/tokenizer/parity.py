"""What it is to be the same as `tokenizers`."""

MODES = [(added, special) for added in (True, False) for special in ("parse", "text")]


def assert_same(ours, theirs, texts):
    for added, special in MODES:
        theirs.encode_special_tokens = special == "text"
        expected = [row.ids for row in theirs.encode_batch(texts, add_special_tokens=added)]
        found = ours.encode_batch(texts, add_special_tokens=added, special=special)
        for text, one, other in zip(texts, found, expected, strict=True):
            assert one == other, (text, added, special)
    for row in expected:
        assert ours.decode(row) == theirs.decode(row, skip_special_tokens=False)
        assert ours.decode(row, skip_special_tokens=True) == theirs.decode(row, skip_special_tokens=True)
