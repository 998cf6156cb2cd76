import gzip
import random

import pytest

from lmfast import NgramModel
from lmfast.errors import FormatError

LINES = [
    "the cat sat on the mat",
    "a dog sat on the cat",
    "",
    "the dog ran",
    "the mat sat on a dog",
    "\u00e9t\u00e9 the",
] * 2
SENTENCES = [*LINES, "zz the cat", "on on on", "the cat sat on the dog"]


@pytest.fixture(scope="module")
def model():
    return NgramModel.train(LINES, 3, discount_fallback=(0.5, 1, 1.5))


def saved(model, path):
    model.save(path)
    return path


def scores(model):
    return [model.token_scores(sentence).log10_prob.tolist() for sentence in SENTENCES]


@pytest.mark.parametrize("name", ["m.lmn", "m.arpa", "m.arpa.gz"])
def test_round_trip(model, tmp_path, name):
    loaded = NgramModel.load(saved(model, tmp_path / name))
    loaded.verify()
    assert (loaded.order, loaded.counts, loaded.vocabulary) == (model.order, model.counts, model.vocabulary)
    assert scores(loaded) == scores(model)
    # An ARPA file of lmplz's kind does not say how the model was estimated.
    assert loaded.smoothing == (model.smoothing if name == "m.lmn" else None)
    for again in ("again.lmn", "again.arpa") if name == "m.lmn" else ("again.arpa",):
        assert saved(loaded, tmp_path / again).read_bytes() == saved(model, tmp_path / f"m.{again}").read_bytes()


def test_gzip_holds_the_same(model, tmp_path):
    plain, packed = saved(model, tmp_path / "m.arpa"), saved(model, tmp_path / "m.arpa.gz")
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_saving_over_the_mapped_file(model, tmp_path):
    path = saved(model, tmp_path / "m.lmn")
    loaded = NgramModel.load(path)
    loaded.save(path)
    assert scores(loaded) == scores(NgramModel.load(path)) == scores(model)
    assert [file.name for file in tmp_path.iterdir()] == ["m.lmn"]


def outcome(path):
    """The scores of a file that nothing finds fault with; None if something does, which must name it."""
    try:
        loaded = NgramModel.load(path)
        found = scores(loaded)
        loaded.next_token_distribution("the cat")
        loaded.generate("the", seed=1)
        loaded.verify()
    except FormatError as error:
        return None if path.name in str(error) else "the error does not name the file"
    return found


def test_every_flipped_bit_is_caught(model, tmp_path):
    content, path = saved(model, tmp_path / "m.lmn").read_bytes(), tmp_path / "flipped.lmn"
    draw, expected = random.Random(1), scores(model)
    places = [*range(0, 256, 3), *(draw.randrange(len(content)) for _ in range(300))]
    caught = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        found = outcome(path)
        assert found is None or found == expected, f"byte {place} was changed unnoticed"
        caught += found is None
    assert caught > len(places) / 2


def test_cut_files(model, tmp_path):
    for name in ("m.lmn", "m.arpa", "m.arpa.gz"):
        content, path = saved(model, tmp_path / name).read_bytes(), tmp_path / f"cut.{name}"
        draw = random.Random(2)
        for length in [
            0,
            1,
            7,
            8,
            31,
            32,
            64,
            len(content) - 9,
            *(draw.randrange(len(content) - 8) for _ in range(60)),
        ]:
            path.write_bytes(content[:length])
            assert outcome(path) is None, f"{name} cut at {length}"


def test_incomplete_and_foreign_files(model, tmp_path):
    content, path = saved(model, tmp_path / "m.lmn").read_bytes(), tmp_path / "x.lmn"
    for changed, expected in [
        (b"LMFNPART" + content[8:], "never written to its end"),
        (content[:8] + b"\2\0\0\0" + content[12:], "version 2"),
        (b"mmap lm http://kheafield.com/code format version 5\n\0" + content, r"KenLM \(format version 5\)"),
        (b"mmap lm http://kheafield.com/code", "KenLM"),
        (random.Random(4).randbytes(5000), "not an n-gram model"),
        (b"\x1f\x8b" + content[2:], "compressed|n-gram model"),
    ]:
        path.write_bytes(changed)
        with pytest.raises(FormatError, match=rf"x\.lmn.*({expected})"):
            NgramModel.load(path)
    with pytest.raises(OSError, match="missing"):
        NgramModel.load(tmp_path / "missing.lmn")
    (tmp_path / "folder.lmn").mkdir()
    with pytest.raises((OSError, FormatError), match="folder"):
        NgramModel.load(tmp_path / "folder.lmn")


ARPA = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1\t<unk>\t0
0\t<s>\t-0.5
-0.5\t</s>\t0
-0.25\ta\t-0.125

\\2-grams:
-0.5\ta </s>
-0.75\t<s> a

\\end\\
"""


def read(tmp_path, content):
    path = tmp_path / "m.arpa"
    path.write_text(content, newline="")
    return NgramModel.load(path)


def test_small_arpa(tmp_path):
    model = read(tmp_path, ARPA)
    assert model.score("a") == -1.25
    assert model.score("b a", bos=True, eos=False) == -0.5 - 1 - 0.25
    assert model.token_scores("b a").matched_order.tolist() == [1, 1, 2]
    assert saved(model, tmp_path / "again.arpa").read_text() == ARPA


def test_arpa_of_other_programs(tmp_path):
    """Comments, Windows line ends, marks anywhere, no weights where they are 0, <UNK>, an n-gram without its end."""
    content = ARPA.replace("-1\t<unk>\t0\n", "").replace("ngram 2=2", "ngram 2=2\nngram 3=1")
    content = (
        content.replace("\ta\t-0.125", "\ta\t-0.125\n-2\tb\n-1\t<UNK>").replace("1=4", "1=5").replace("\t0\n", "\n")
    )
    content = "# made by hand\n\n" + content.replace("\n\n\\end", "\n\n\\3-grams:\n-0.5\t<s> a b\n\n\\end")
    model = read(tmp_path, content.replace("\n", "\r\n"))
    assert model.vocabulary == ("<unk>", "<s>", "</s>", "a", "b")
    assert model.counts == (5, 2, 1)
    assert model.score("a b", eos=False) == -1.25
    assert model.score("a zz", eos=False) == -0.75 - 0.125 - 1
    assert model.score("a b a", eos=False) == -1.25 - 0.25
    again = NgramModel.load(saved(model, tmp_path / "again.arpa"))
    assert again.score("a b a") == model.score("a b a")
    assert "-0.5\t<s> a b\n" in (tmp_path / "again.arpa").read_text()


def test_missing_unknown_word(tmp_path):
    model = read(tmp_path, ARPA.replace("-1\t<unk>\t0\n", "").replace("1=4", "1=3"))
    assert model.score("b", eos=False) == -100.5


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2=2", "2=3", "3 announced"),
        ("2=2", "2=1", "1 announced"),
        ("2=2", "2=1000000000000000", "2\\^32"),
        ("2=2", "2=-1", "ngram ORDER=COUNT"),
        ("ngram 2", "ngram 3", "ngram ORDER=COUNT"),
        ("-0.5\ta </s>", "0.5\ta </s>", "above 0"),
        ("-0.5\ta </s>", "nan\ta </s>", "nan"),
        ("-0.5\ta </s>", "abc\ta </s>", "abc"),
        ("-0.5\ta </s>", "-0.5\ta zz", "zz"),
        ("-0.5\ta </s>", "-0.5\ta", "2 words"),
        ("-0.5\ta </s>", "-0.5\ta a a", "2 words"),
        ("-0.5\ta </s>", "-0.5 a </s>", "tab"),
        ("-0.5\ta </s>", "-0.5\ta </s>\t-1", "highest order"),
        ("-0.5\ta </s>", "", "announced"),
        ("-0.75\t<s> a", "-0.5\ta </s>", "twice"),
        ("-0.25\ta\t-0.125", "-0.25\t</s>\t0", "twice"),
        ("\t-0.5\n-0.5", "\tinf\n-0.5", "inf"),
        ("0\t<s>\t-0.5", "0\tb\t-0.5", "<s>"),
        ("\\2-grams:", "\\3-grams:", "2-grams"),
        ("\\end\\\n", "", "cut short"),
        ("\\end\\", "\\end", "end"),
        ("\\end\\\n", "\\end\\\nmore\n", "more"),
        ("\\data\\", "\\date\\", "not an n-gram model"),
    ],
)
def test_wrong_arpa(tmp_path, old, new, expected):
    assert old in ARPA
    with pytest.raises(FormatError, match=rf"m\.arpa.*{expected}"):
        read(tmp_path, ARPA.replace(old, new, 1))


def test_words_that_arpa_cannot_hold(tmp_path):
    model = NgramModel.train(["a b", "a <unk> <UNK>"], 2, unk="word", discount_fallback=(0.5, 1, 1.5))
    with pytest.raises(ValueError, match="<UNK>"):
        model.save(tmp_path / "m.arpa")
    model.save(tmp_path / "m.lmn")
    assert [file.name for file in tmp_path.iterdir()] == ["m.lmn"]


def test_wrong_targets(model, tmp_path):
    with pytest.raises(ValueError, match=r"m\.bin.*\.lmn"):
        model.save(tmp_path / "m.bin")
    with pytest.raises(OSError, match="nowhere"):
        model.save(tmp_path / "nowhere" / "m.lmn")
    assert not list(tmp_path.iterdir())
