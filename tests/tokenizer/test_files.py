"""Reading tokenizer.json: what is refused, and that it is named."""

import json
import random

import pytest
from tests.tokenizer.hard_text import sentences

from lmfast import FormatError, Tokenizer


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "tokenizer.json"
    Tokenizer.train(sentences(100), 300).save(path)
    return json.loads(path.read_text("utf-8"))


def changed(content, *keys, value):
    copy = json.loads(json.dumps(content))
    place = copy
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return copy


TOKEN = {"id": 300, "content": "<x>", "special": True}
SPLIT = {"type": "Split", "pattern": {"Regex": "(unclosed[\\p{"}, "behavior": "Isolated", "invert": False}
TEMPLATE = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}

WRONG = {
    "null model": (("model",), None, "model"),
    "unknown model": (("model", "type"), "Oracle", r"model\.type.*Oracle"),
    "unigram without scores": (("model",), {"type": "Unigram", "vocab": {"a": 0}}, r"model\.vocab.*scores"),
    "unigram of numbers": (("model",), {"type": "Unigram", "vocab": [[1, 2]]}, r"model\.vocab\[0\]"),
    "unigram with a token twice": (
        ("model",),
        {"type": "Unigram", "vocab": [["a", 0], ["a", 1]]},
        r"model\.vocab.*twice",
    ),
    "unknown id": (("model",), {"type": "Unigram", "unk_id": 1, "vocab": [["a", 0.5]]}, r"model\.unk_id.*1"),
    "wordpiece without a prefix": (("model",), {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a"}, "prefix"),
    "prefix": (("model", "continuing_subword_prefix"), "##", r"model\.merges\[0\].*##"),
    "list of words": (("model", "vocab"), ["a"], r"model\.vocab"),
    "no words": (("model", "vocab"), {}, r"model\.vocab"),
    "huge id": (("model", "vocab", "!"), 10**18, r"model\.vocab.*1000000000000000000"),
    "negative id": (("model", "vocab", "!"), -1, r"model\.vocab.*-1"),
    "fraction": (("model", "vocab", "!"), 1.5, r"model\.vocab.*1\.5"),
    "sparse id": (("model", "vocab", "!"), 4_000_000_000, r"model\.vocab.*4000000000"),
    "two tokens of one id": (("model", "vocab", "!"), 5, r"model\.vocab.*5"),
    "absent merge": (("model", "merges"), [["neither", "there"]], r"model\.merges\[0\].*neither"),
    "merge of three": (("model", "merges"), ["three parts here"], r"model\.merges\[0\]"),
    "merge of numbers": (("model", "merges"), [[1, 2]], r"model\.merges\[0\]"),
    "dropout": (("model", "dropout"), 0.1, r"model\.dropout"),
    "unknown field of the model": (("model", "size"), 1, r"model\.size"),
    "unknown field": (("extra",), 1, "extra"),
    "version": (("version",), "9", "version"),
    "unknown step": (("pre_tokenizer",), {"type": "Astrology"}, "pre_tokenizer.*Astrology"),
    "unknown flag": (("pre_tokenizer", "sideways"), True, "pre_tokenizer.*sideways"),
    "bad regex": (
        ("pre_tokenizer",),
        {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]},
        "pre_tokenizer.*unclosed",
    ),
    "behavior": (("pre_tokenizer",), {**SPLIT, "behavior": "Sideways"}, "pre_tokenizer.*Sideways"),
    "normalizer": (("normalizer",), {"type": "Oracle"}, "normalizer.*Oracle"),
    "decoder": (("decoder",), {"type": "Oracle"}, "decoder.*Oracle"),
    "post-processor": (("post_processor",), {"type": "Oracle"}, "post_processor.*Oracle"),
    "template without a text": (("post_processor",), TEMPLATE, "post_processor.*single"),
    "template of an unknown token": (
        ("post_processor",),
        {
            **TEMPLATE,
            "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        },
        "post_processor.*<x>",
    ),
    "template of an id past the end": (
        ("post_processor",),
        {"type": "RobertaProcessing", "sep": ["</s>", 10**6], "cls": ["<s>", 0]},
        "post_processor.*1000000",
    ),
    "huge added id": (("added_tokens",), [{**TOKEN, "id": 2**63}], r"added_tokens\[0\]"),
    "added id of another": (("added_tokens",), [{**TOKEN, "id": 7}], r"added_tokens\[0\].*7"),
    "added twice": (("added_tokens",), [TOKEN, TOKEN], r"added_tokens\[1\]"),
    "unknown flag of a token": (("added_tokens",), [{**TOKEN, "loud": True}], r"added_tokens\[0\].*loud"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fields_are_named(good, tmp_path, name):
    keys, value, message = WRONG[name]
    path = tmp_path / "wrong.tokenizer.json"
    path.write_text(json.dumps(changed(good, *keys, value=value)), encoding="utf-8")
    with pytest.raises(FormatError, match=message) as caught:
        Tokenizer.from_file(path)
    assert "wrong.tokenizer.json" in str(caught.value)


def test_a_lost_byte_is_named(good, tmp_path):
    content = changed(good, "model", "merges", value=[])
    vocabulary = {token: id for token, id in content["model"]["vocab"].items() if token != "!"}
    (tmp_path / "tokenizer.json").write_text(
        json.dumps(changed(content, "model", "vocab", value=vocabulary)), encoding="utf-8"
    )
    with pytest.raises(FormatError, match=r"model\.vocab.*the byte 33"):
        Tokenizer.from_file(tmp_path)


def test_damaged_files_are_errors(good, tmp_path):
    content = json.dumps(good).encode()
    generator = random.Random(5)
    cases = [b"", b"[]", b"{}", b"[" * 200_000, b'{"model":' * 50_000, generator.randbytes(5000), "é".encode("latin-1")]
    cases += [content[: generator.randrange(len(content))] for _ in range(20)]
    cases += [content.replace(b'"vocab": {', b'"vocab": {"!": 1, ', 1)]
    for number, case in enumerate(cases):
        path = tmp_path / f"{number}.json"
        path.write_bytes(case)
        with pytest.raises(FormatError, match=path.name):
            Tokenizer.from_file(path)


def test_flipped_bytes_never_panic(good, tmp_path):
    content, generator, path = bytearray(json.dumps(good).encode()), random.Random(6), tmp_path / "flipped.json"
    for _ in range(200):
        case = bytearray(content)
        for _ in range(generator.randrange(1, 4)):
            case[generator.randrange(len(case))] = generator.randrange(256)
        path.write_bytes(case)
        try:
            Tokenizer.from_file(path).encode("text to try it on 123")
        except FormatError as error:
            assert "flipped.json" in str(error)  # noqa: PT017 - a file that is still good is fine
