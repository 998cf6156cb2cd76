"""Cleaning: each rule, duplicates, and that threads change nothing."""

import gzip
import json
import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import made_text

from lmfast import Cleaning, Tokenizer, clean
from lmfast.cli.__main__ import main


def cleaned(documents, folder, threads=None, **options):
    report = clean(documents, folder / "out.jsonl", cleaning=Cleaning(**options), threads=threads)
    lines = (folder / "out.jsonl").read_text("utf-8").split("\n")[:-1]
    return [json.loads(line)["text"] for line in lines], report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cleaning")


TEXTS = st.lists(st.text(max_size=30), max_size=20)


@given(TEXTS)
@settings(max_examples=40, deadline=None)
def test_transformations_are_pythons(folder, texts):
    def is_mark(character):
        return unicodedata.category(character).startswith("M")

    def no_accents(text):
        return unicodedata.normalize("NFC", "".join(c for c in unicodedata.normalize("NFD", text) if not is_mark(c)))

    def assigned(text):  # Python's Unicode may be older
        return all(unicodedata.category(character) != "Cn" for character in text)

    texts = [text for text in texts if assigned(text)]
    for options, expected in (
        ({}, lambda text: text),
        ({"normalization": "NFC"}, lambda text: unicodedata.normalize("NFC", text)),
        ({"normalization": "NFKC"}, lambda text: unicodedata.normalize("NFKC", text)),
        ({"strip_accents": True}, no_accents),
        ({"lowercase": True}, str.lower),
        (
            {"drop_control_characters": True},
            lambda text: "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) != "Cc"),
        ),
    ):
        found, report = cleaned(texts, folder, **options)
        assert found == [expected(text) for text in texts]
        assert report.documents_in == report.documents_out == len(texts)
        assert report.bytes_out == sum(len(text.encode()) for text in found)


@given(st.lists(st.text("eJ\0\u0301\u030c", max_size=10), max_size=20))
@settings(max_examples=40, deadline=None)
def test_the_result_has_the_form_asked_for(folder, texts):
    found, _ = cleaned(texts, folder, normalization="NFC", drop_control_characters=True, lowercase=True)
    normalized = [unicodedata.normalize("NFC", text.replace("\0", "")) for text in texts]
    assert found == [unicodedata.normalize("NFC", text.lower()) for text in normalized]


@given(st.text("ab \t\n\r\u00a0", max_size=40))
@settings(max_examples=60, deadline=None)
def test_white_space(folder, text):
    def collapsed(match):
        return ("\n\n" if match[0].count("\n") > 1 else "\n") if "\n" in match[0] else " "

    assert cleaned([text], folder, collapse_whitespace=True)[0] == [re.sub(r"\s+", collapsed, text)]
    assert cleaned([text], folder, trim=True)[0] == [text.strip()]


def test_masks_and_their_counts(folder):
    text = "jane@example.org or 10.0.0.1, +1 555 123 4567, 4111-1111-1111-1111, AKIAIOSFODNN7EXAMPLE"
    found, report = cleaned([text, text], folder, mask=("email", "ip", "phone", "card", "secret"))
    assert found == ["<EMAIL> or <IP>, <PHONE>, <CARD>, <SECRET>"] * 2
    counts = (report.emails_masked, report.ips_masked, report.phones_masked, report.cards_masked, report.secrets_masked)
    assert counts == (2, 2, 2, 2, 2)
    assert cleaned([text], folder, mask=("card",))[0] == [text.replace("4111-1111-1111-1111", "<CARD>")]


@given(st.integers(10**12, 10**19 - 1))
@settings(max_examples=100, deadline=None)
def test_cards_pass_luhns_check(folder, number):
    digits = [int(digit) for digit in reversed(str(number))]
    valid = sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)) % 10 == 0
    assert (cleaned([f"no. {number}!"], folder, mask=("card",))[0] == ["no. <CARD>!"]) == valid


def test_lengths_are_in_characters(folder):
    found, report = cleaned(["\u00e9", "\u00e9" * 2, "\u00e9" * 3, ""], folder, min_characters=1, max_characters=2)
    assert found == ["\u00e9", "\u00e9" * 2]
    assert (report.too_short, report.too_long) == (1, 1)


def test_duplicates_are_dropped_and_the_first_stays(folder):
    documents = made_text(80, seed=3)
    generator = random.Random(1)
    near = []
    for document in documents:
        words = document.split()
        if len(words) < 150:
            continue
        words[generator.randrange(len(words))] = "changed"
        near.append(" ".join(words).upper())
    found, report = cleaned(documents + documents[::2], folder, drop_duplicates=("exact",))
    assert found == documents
    assert report.exact_duplicates == 40
    found, report = cleaned(documents + near, folder, drop_duplicates=("exact", "near"))
    assert found[: len(documents)] == documents
    assert report.near_duplicates >= len(near) - 1
    assert len(near) > 10


def test_threads_change_nothing(folder):
    documents = [text for seed in range(30) for text in made_text(60, seed % 20)]
    options = {"drop_duplicates": ("near", "exact"), "mask": ("email", "phone"), "collapse_whitespace": True}
    assert cleaned(documents, folder, threads=1, **options) == cleaned(documents, folder, threads=3, **options)


def test_forms_of_output(tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("one \n two\n")
    clean(lines, tmp_path / "out.txt.gz", cleaning=Cleaning(trim=True), lines=True)
    assert gzip.decompress((tmp_path / "out.txt.gz").read_bytes()) == b"one\ntwo\n"
    clean(lines, tmp_path / "out.jsonl.zst", cleaning=Cleaning(), lines=True)
    clean(tmp_path / "out.jsonl.zst", tmp_path / "again.txt", cleaning=Cleaning())
    assert (tmp_path / "again.txt").read_text() == "one \n two\n"
    for out, message in (("out.csv", "ends in"), ("never.txt", "several lines")):
        with pytest.raises(ValueError, match=message):
            clean(lines, tmp_path / out, cleaning=Cleaning())
        assert not (tmp_path / out).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"normalization": "NFD"},
        {"mask": ("name",)},
        {"drop_duplicates": ("some",)},
        {"near_threshold": 2.0, "drop_duplicates": ("near",)},
        {"min_characters": -1},
        {"min_characters": 5, "max_characters": 4},
    ],
)
def test_mistakes_are_named(folder, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        cleaned(["text"], folder, **options)
    assert not list(folder.glob(".*"))


def test_memory_is_bounded(folder):
    with pytest.raises(ValueError, match="memory=1000"):
        cleaned(made_text(), folder, drop_duplicates=("near",), memory=1000)
    with pytest.raises(TypeError, match="mask"):
        Cleaning(mask="email")


def test_encoding_and_training_clean_first(tmp_path):
    documents = [f" {text} jane@example.org " for text in made_text()]
    options = {"trim": True, "mask": ("email",), "drop_duplicates": ("exact",)}
    expected, report = cleaned(documents * 2, tmp_path, **options)
    tokenizer = Tokenizer.train(documents * 2, 320, cleaning=Cleaning(**options))
    assert tokenizer == Tokenizer.train(expected, 320)
    store = tokenizer.encode_files(documents * 2, tmp_path / "store", cleaning=Cleaning(**options))
    assert [tokenizer.decode(document[:-1]) for document in store] == expected
    assert store.cleaning["exact_duplicates"] == report.exact_duplicates == len(documents)
    assert store.text_bytes == report.bytes_out
    assert tokenizer.encode_files(documents, tmp_path / "other").cleaning is None


def test_commands(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("write to jane@example.org\n" * 3 + "other\n")
    out = str(tmp_path / "out.jsonl")
    options = ["--lines", "--mask", "email,ip", "--drop-duplicates", "exact", "--json"]
    assert main(["clean", str(text), "--out", out, *options]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["documents_in"], result["documents_out"], result["emails_masked"]) == (4, 2, 3)
    assert main(["clean", str(text), "--out", out, "--mask", "names"]) == 2
    assert "mask" in capsys.readouterr().err
    Tokenizer.train(made_text(), 300).save(tmp_path / "tokenizer.json")
    words = ["tokenizer", "encode", str(tmp_path / "tokenizer.json"), str(text), "--out", str(tmp_path / "store")]
    assert main([*words, *options, "--no-resume"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["documents"] == 2
    assert result["cleaning"]["exact_duplicates"] == 2
